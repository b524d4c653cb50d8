//! Who a request comes from: staff by the cookie of their login, programs by their token.
//!
//! A cookie is a random id, and nothing else; it is drawn anew at log-in, so that an id that somebody knew before is worth nothing after. A form's
//! token is an HMAC of that id: no other site can know it. Failures: [`Trouble`], for staff a page.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::cookie;
use super::history;
use super::page::Trouble;
use super::problem::Problem;
use super::request;
use crate::access::attempts::LoginAttempts;
use crate::access::logins::{LoginSession, LoginSessions};
use crate::access::{self, AccessList, Scope, Token, User, UserRole, password, totp};
use crate::ledger::Event;
use crate::outbox::Outbox;
use crate::session::ParticipantKey;

mod over_nodes;
mod users;

pub use users::Users;

/// Passwords that are looked at together: each takes 19 MiB and some 30 ms of a core, and messages go on meanwhile.
const HASHING: usize = 1;
/// One look at the same thing in this time is told: who goes back and forth fills no ledger.
const LOOK_LASTS: TimeDelta = TimeDelta::hours(1);
/// Looks that are remembered.
const LOOKS_MAX: usize = 10_000;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

pub(super) struct Authenticator {
    users: Users,
    logins: Mutex<LoginSessions>,
    memory: Arc<AuthMemory>,
    hashing: Semaphore,
    changing: Semaphore,
    /// Makes the tokens of forms.
    key: [u8; 32],
    /// Codes of the step in which it was opened may have been used before: a login does not outlast it either.
    opened_in: i64,
    looks: Mutex<Looks>,
    /// Where other nodes' pages count and remember, too; `None`: there are none.
    others: Option<Arc<dyn Outbox>>,
}

/// Who looked at what of late, and when the ledger was told.
type Looks = HashMap<(String, Option<ParticipantKey>), DateTime<Utc>>;

/// What a reload does not forget.
#[derive(Default)]
struct AuthMemory {
    attempts: Mutex<LoginAttempts>,
    /// One-time codes: the step of the last one that each name used.
    used: Mutex<HashMap<access::Name, i64>>,
}

impl AuthMemory {
    /// Of a users file, or those of the store, as long as the process lives.
    fn of(users: &Users) -> Arc<Self> {
        static ALL: LazyLock<Mutex<HashMap<Option<PathBuf>, Arc<AuthMemory>>>> = LazyLock::new(Mutex::default);
        Arc::clone(ALL.lock().unwrap_or_else(PoisonError::into_inner).entry(users.path()).or_default())
    }
}

/// A member of staff, at work.
pub(super) struct CurrentUser {
    pub(super) login: LoginSession,
    /// The cookie's value.
    pub(super) id: String,
}

impl CurrentUser {
    pub(super) fn is_operator(&self) -> bool {
        self.login.user.role == UserRole::Operator
    }

    pub(super) fn name(&self) -> &str {
        self.login.user.name.as_str()
    }
}

impl Authenticator {
    pub(super) fn new(users: Users, key: [u8; 32], outbox: &Arc<dyn Outbox>, now: DateTime<Utc>) -> Self {
        Self {
            memory: AuthMemory::of(&users),
            users,
            logins: Mutex::default(),
            hashing: Semaphore::new(HASHING),
            changing: Semaphore::new(1),
            key,
            opened_in: totp::step(now),
            looks: Mutex::default(),
            others: outbox.is_shared().then(|| Arc::clone(outbox)),
        }
    }

    /// What an earlier process may have taken: who logged in within the life of a code used one of that time.
    pub(super) async fn recall_codes(&self, outbox: &dyn Outbox, now: DateTime<Utc>) {
        if !self.asks_codes() {
            return;
        }
        let last = match history::since(outbox, now - totp::LIFE).await {
            Ok(rows) => rows,
            // Nobody knows: then no code is taken that may have been used.
            Err(error) => {
                tracing::error!(%error, "who logged in of late cannot be read: one-time codes of the last minute are not taken");
                self.access().user.iter().for_each(|user| self.is_used(&user.name, totp::last_taken(now)));
                return;
            }
        };
        for row in last.iter().filter(|row| row.event == Event::LogIn) {
            if let Some(name) = row.detail.as_deref().and_then(|name| name.parse().ok()) {
                self.is_used(&name, totp::last_taken(row.at));
            }
        }
    }

    fn is_used(&self, name: &access::Name, step: i64) {
        let mut used = self.memory.used.lock().unwrap_or_else(PoisonError::into_inner);
        let last = used.entry(name.clone()).or_insert(step);
        *last = (*last).max(step);
    }

    /// Whether the ledger is to be told of a look: the first of an hour.
    pub(super) fn first_look(&self, what: &str, about: Option<ParticipantKey>, now: DateTime<Utc>) -> bool {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what.to_owned(), about);
        if looks.get(&key).is_some_and(|told| (now - *told).abs() < LOOK_LASTS) {
            return false;
        }
        if looks.len() >= LOOKS_MAX {
            // What is forgotten is told once more.
            looks.clear();
        }
        looks.insert(key, now);
        true
    }

    pub(super) fn access(&self) -> Arc<AccessList> {
        self.users.current()
    }

    pub(super) fn logins(&self) -> MutexGuard<'_, LoginSessions> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who it is; else they are sent to the log-in page.
    pub(super) fn current_user(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Result<CurrentUser, Trouble> {
        let id = cookie::login(headers).ok_or(Trouble::LogIn)?;
        let access = self.access();
        let login = self.logins().find(id, |name| access.user(name).cloned(), now).ok_or(Trouble::LogIn)?;
        Ok(CurrentUser { login, id: id.to_owned() })
    }

    /// An operator who meant it: the form is one of ours, made for this login.
    pub(super) fn operator(&self, headers: &HeaderMap, form: &Form, now: DateTime<Utc>) -> Result<CurrentUser, Trouble> {
        let current_user = self.current_user(headers, now)?;
        self.is_ours(headers, &current_user.id, form)?;
        if current_user.is_operator() { Ok(current_user) } else { Err(Trouble::Forbidden("Viewers may look, and not act.")) }
    }

    /// Whose login that is.
    pub(super) fn current_user_of(&self, id: &str, now: DateTime<Utc>) -> Result<String, Trouble> {
        let access = self.access();
        let login = self.logins().find(id, |name| access.user(name).cloned(), now).ok_or(Trouble::LogIn)?;
        Ok(login.user.name.to_string())
    }

    /// The token of a login's forms.
    pub(super) fn form_token(&self, id: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(id.as_bytes());
        data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
    }

    /// A form of another site, or of another login, does nothing.
    pub(super) fn is_ours(&self, headers: &HeaderMap, id: &str, form: &Form) -> Result<(), Trouble> {
        let elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
        let token = self.form_token(id);
        let ours: bool = token.as_bytes().ct_eq(form.get("token").as_bytes()).into();
        if ours && !elsewhere { Ok(()) } else { Err(Trouble::Forbidden("The form is too old. Go back, reload the page, and try again.")) }
    }

    /// Name, password and code, or how long to wait. `browser`: what its cookie says. The id of the new login, and what the browser is known by.
    pub(super) async fn log_in(
        &self,
        form: &Form,
        (from, browser): (IpAddr, Option<&str>),
        now: DateTime<Utc>,
    ) -> Result<(String, String), Refused> {
        let (name, password) = (form.get("name").trim().to_ascii_lowercase(), form.get("password").to_owned());
        // Kept names are no longer than real ones: a long one is nobody's.
        let counted = if name.parse::<access::Name>().is_ok() { name.as_str() } else { "?" };
        let user = self.access().user(&name).cloned();
        let known = browser.filter(|cookie| user.as_ref().is_some_and(|user| is_known(user, cookie)));
        self.begin(counted, from, known, now).await?;
        let right = self.verified(user.as_ref(), password).await;
        let user = user.filter(|_| right).ok_or(Refused::Wrong)?;
        self.takes_code(&user, form.get("code"), now).await?;
        self.succeeded(counted, from, known).await?;
        let id = access::new_token().map_err(|_| Refused::Wrong)?;
        let nonce = access::new_token().map_err(|_| Refused::Wrong)?;
        let browser = known.map_or_else(|| format!("{nonce}.{}", mark_of(&user, &nonce)), str::to_owned);
        self.logins().open(&id, user, now);
        Ok((id, browser))
    }

    async fn verified(&self, user: Option<&User>, password: String) -> bool {
        let hash = user.map(|user| user.argon2id.clone());
        let _one_of_few = self.hashing.acquire().await.expect("nobody closes it");
        password::verify_apart(password, hash).await
    }

    /// Whether it is the password of somebody who is logged in. It may be tried as often as a log-in.
    pub(super) async fn is_theirs(
        &self,
        user: &User,
        given: &str,
        (from, browser): (IpAddr, Option<&str>),
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let known = browser.filter(|cookie| is_known(user, cookie));
        self.begin(user.name.as_str(), from, known, now).await?;
        if !self.verified(Some(user), given.to_owned()).await {
            return Err(Refused::Wrong);
        }
        self.succeeded(user.name.as_str(), from, known).await
    }

    /// One change of the users at a time.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        self.changing.acquire().await.expect("nobody closes it")
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    /// A name as it may be told: that of a user. What else was typed may be a password.
    pub(super) fn told_name(&self, form: &Form) -> String {
        let name = form.get("name").trim().to_ascii_lowercase();
        self.access().user(&name).map_or_else(|| "an unknown name".to_owned(), |user| user.name.to_string())
    }

    /// Lets a user in without a password: a demonstration's, or whoever has just changed theirs. The id of the login.
    pub(super) fn let_in(&self, name: &str, now: DateTime<Utc>) -> Option<String> {
        let user = self.access().user(name).cloned()?;
        let id = access::new_token().ok()?;
        self.logins().open(&id, user, now);
        Some(id)
    }

    /// Whether anybody is asked for a code.
    pub(super) fn asks_codes(&self) -> bool {
        self.access().user.iter().any(|user| user.totp.is_some())
    }

    fn attempts(&self) -> MutexGuard<'_, LoginAttempts> {
        self.memory.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log_out(&self, id: &str) {
        self.logins().close(id);
    }

    pub(super) fn reveal(&self, current_user: &CurrentUser, person: ParticipantKey, now: DateTime<Utc>) {
        self.logins().reveal(&current_user.id, person, now);
    }

    /// The program whose token it is, if it may do that.
    pub(super) fn program(&self, headers: &HeaderMap, scope: Scope) -> Result<Token, Problem> {
        let access = self.access();
        let token = request::bearer(headers).and_then(|given| access.token(given)).ok_or_else(Problem::no_token)?;
        if token.scopes.contains(&scope) { Ok(token.clone()) } else { Err(Problem::scope(scope)) }
    }
}

/// Why a log-in failed.
#[derive(Debug)]
pub(super) enum Refused {
    /// Too often; so long from now.
    Wait(TimeDelta),
    /// Name, password or code.
    Wrong,
}

/// What a browser is known by, as long as the user's password stays: nobody can make it up without the hash in the users file.
fn mark_of(user: &User, nonce: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(user.argon2id.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(b"browser ");
    mac.update(nonce.as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}

fn is_known(user: &User, cookie: &str) -> bool {
    cookie.split_once('.').is_some_and(|(nonce, mark)| mark_of(user, nonce).as_bytes().ct_eq(mark.as_bytes()).into())
}

/// Where a request comes from: what a proxy that is trusted says last, in whichever line, else the connection's other end. Trusted are the machine
/// itself, and those that the configuration names.
pub(super) fn address(headers: &HeaderMap, peer: Option<Peer>, trusted: &[IpAddr]) -> IpAddr {
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |Peer(address)| address.ip().to_canonical());
    let last = headers.get_all("x-forwarded-for").into_iter().next_back();
    let said = last.and_then(|v| forwarded(v.to_str().ok()?.rsplit(',').next()?.trim()));
    said.filter(|_| peer.is_loopback() || trusted.contains(&peer)).unwrap_or(peer)
}

/// An address as proxies write it: some add the port, some put brackets around.
fn forwarded(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// A field; empty: there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

impl Refused {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Wrong => StatusCode::UNAUTHORIZED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_browser_is_known_by_the_name_that_logged_in_with_it() {
        let user =
            |name: &str, hash: &str| User { name: name.parse().unwrap(), role: UserRole::Viewer, argon2id: hash.to_owned(), totp: None };
        let (jane, cookie) = (user("jane", "a"), format!("n.{}", mark_of(&user("jane", "a"), "n")));
        assert!(is_known(&jane, &cookie));
        for (who, cookie) in [(user("jane", "b"), cookie.as_str()), (jane.clone(), "n."), (jane.clone(), ""), (jane.clone(), &cookie[1..])]
        {
            assert!(!is_known(&who, cookie), "{cookie}");
        }
    }

    #[test]
    fn only_a_proxy_on_this_machine_is_believed() {
        let said = headers(&[("x-forwarded-for", "198.51.100.7, 203.0.113.9")]);
        let peer = |ip: &str| Some(Peer(SocketAddr::new(ip.parse().unwrap(), 1)));
        assert_eq!(address(&said, peer("127.0.0.1"), &[]), IpAddr::from([203, 0, 113, 9]));
        assert_eq!(address(&said, peer("192.0.2.1"), &[]), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(address(&said, peer("192.0.2.1"), &[IpAddr::from([192, 0, 2, 1])]), IpAddr::from([203, 0, 113, 9]));
        assert_eq!(address(&headers(&[]), peer("127.0.0.1"), &[]), IpAddr::from([127, 0, 0, 1]));
        for (written, ip) in [
            ("203.0.113.9:41234", "203.0.113.9"),
            ("[2001:db8::9]:443", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("2001:db8::9", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("unknown", "127.0.0.1"),
            ("198.51.100.7,", "127.0.0.1"),
        ] {
            assert_eq!(
                address(&headers(&[("x-forwarded-for", written)]), peer("127.0.0.1"), &[]),
                ip.parse::<IpAddr>().unwrap(),
                "{written}"
            );
        }
        let mut lines = HeaderMap::new();
        lines.append("x-forwarded-for", "198.51.100.7".parse().unwrap());
        lines.append("x-forwarded-for", "203.0.113.9".parse().unwrap());
        assert_eq!(address(&lines, peer("127.0.0.1"), &[]), IpAddr::from([203, 0, 113, 9]), "a made-up line stands before the proxy's own");
    }
}
