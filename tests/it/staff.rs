//! The pages of staff and the API of programs, over real sockets: who may look, who may act, and what nobody sees.

use chrono::TimeDelta;
use punctual::access::{AccessList, Scope, Token, User, UserRole, digest, file, password};
use punctual::clock::{Clock, WallClock};
use punctual::contact::Channel;
use punctual::entry::{Entry, State};
use punctual::ledger::LedgerRow;
use punctual::notice::NoticeKey;
use punctual::outbox::{Action, Begin, ClaimRequest, Filter, Settlement};
use punctual::suppression::Suppression;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::Value;

use crate::push::{Practice, no_trust, session};

mod api;
pub(crate) mod crawler;
mod deeds;
mod door;
mod flood;
mod nodes;
mod outage;
mod pages;
mod people;
mod records;
mod roles;
mod templates;
mod unrevealed;
mod users;

const PASSWORD: &str = "correct horse battery";
pub(crate) const READ: &str = "read-0123456789abcdef01234567";
pub(crate) const WRITE: &str = "write-0123456789abcdef01234567";
pub(crate) const PUSH: &str = "push-0123456789abcdef01234567";

/// A practice with sessions, and with staff: jane may act, victor may look.
pub(crate) struct Office {
    pub(crate) practice: Practice,
}

impl Office {
    async fn open() -> Self {
        Self::with(&[session(1, 111_111_111), session(2, 222_222_222)]).await
    }

    async fn with(sessions: &[Value]) -> Self {
        let practice = Practice::open().await;
        let office = Self { practice };
        office.users(|_| {});
        assert_eq!(office.practice.list(sessions).await.0, 200);
        office
    }

    /// Writes the users file, changed like that.
    fn users(&self, change: impl FnOnce(&mut AccessList)) {
        let mut access = everybody();
        change(&mut access);
        file::write(&self.practice.folder.path().join("users.toml"), &access).unwrap();
    }

    /// Another daemon of this process, with the same users: as after a reload.
    async fn reload(self) -> Self {
        let users = self.practice.folder.path().join("users.toml");
        let text = Practice::text("").replace("\"users.toml\"", &format!("{:?}", users.display().to_string()));
        let practice = Practice::of(tempfile::tempdir().unwrap(), &text).await;
        // The users file stays as long as the daemon that reads it.
        let Self { practice: Practice { folder, .. } } = self;
        std::mem::forget(folder);
        Self { practice }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.practice.address)
    }

    /// A browser that nobody is logged in with.
    fn browser(&self) -> Browser<'_> {
        let client = Client::builder().no_proxy().redirect(Policy::none()).tls_backend_preconfigured(no_trust()).build().unwrap();
        Browser { office: self, client, cookie: String::new() }
    }

    async fn logged_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let answer = browser.log_in(name, PASSWORD).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/"));
        browser
    }

    async fn entries(&self) -> Vec<Entry> {
        self.practice.engine.outbox().list(&Filter::default()).await.unwrap()
    }

    async fn state(&self, key: NoticeKey) -> State {
        self.entries().await.into_iter().find(|e| e.notice.key == key).unwrap().state
    }

    /// Somebody holds the first notice.
    async fn hold(&self) -> NoticeKey {
        let key = self.entries().await.into_iter().rfind(|e| e.state == State::Waiting).unwrap().notice.key;
        assert_eq!(self.practice.engine.outbox().act(&[key], Action::Hold, WallClock.now()).await.unwrap(), 1);
        key
    }

    /// Everybody was told of their session, by telephone.
    async fn invited(&self) {
        let invites: Vec<NoticeKey> = self.entries().await.iter().filter(|e| e.notice.rule.is_none()).map(|e| e.notice.key).collect();
        assert!(self.practice.engine.outbox().act(&invites, Action::CancelTold, WallClock.now()).await.unwrap() > 0);
    }

    /// The first invite met a mailbox that does not exist.
    async fn refused(&self) -> NoticeKey {
        self.ended(Settlement::Rejected { reply: "550 5.1.1 no such user".to_owned(), remember: Some(Suppression::Bounced) }).await
    }

    /// The next message of a lane, handed over by hand, with that end.
    async fn ended(&self, end: Settlement) -> NoticeKey {
        let outbox = self.practice.engine.outbox();
        let now = WallClock.now() + TimeDelta::minutes(3);
        let request = ClaimRequest { owner: "test".to_owned(), now, channel: Channel::Email, lease: TimeDelta::minutes(5), limit: 1 };
        let claim = outbox.claim(request).await.unwrap().remove(0);
        let lease = claim.lease();
        let facts = claim.known.facts_now().to_owned();
        let (transport, bytes) = ("folder".to_owned(), b"a message".as_slice().into());
        let begin = Begin { lease, revision: claim.revision, facts, at: now, transport, bytes };
        assert_eq!(outbox.begin(vec![begin]).await.unwrap(), [true]);
        assert!(outbox.doubt(lease, claim.revision, TimeDelta::zero()).await.unwrap());
        assert_eq!(outbox.settle(now, vec![(lease, end)]).await.unwrap(), [true]);
        lease.key
    }

    async fn ledger(&self) -> Vec<LedgerRow> {
        self.practice.engine.outbox().ledger(None, 0, 1000).await.unwrap()
    }

    async fn close(self) {
        self.practice.close().await;
    }
}

fn everybody() -> AccessList {
    let user = |name: &str, role| User { name: name.parse().unwrap(), role, argon2id: password::hash(PASSWORD).unwrap(), totp: None };
    let token =
        |name: &str, token: &str, scopes: &[Scope]| Token { name: name.parse().unwrap(), scopes: scopes.to_vec(), sha256: digest(token) };
    AccessList {
        user: vec![user("jane", UserRole::Operator), user("victor", UserRole::Viewer)],
        token: vec![
            token("reader", READ, &[Scope::Read]),
            token("writer", WRITE, &[Scope::Read, Scope::Write]),
            token("pusher", PUSH, &[Scope::Push]),
        ],
    }
}

/// Gives a practice its staff and its programs.
pub(crate) fn write_users(practice: &Practice) {
    file::write(&practice.folder.path().join("users.toml"), &everybody()).unwrap();
}

/// A browser: it keeps one cookie, and follows nothing.
struct Browser<'a> {
    office: &'a Office,
    client: Client,
    cookie: String,
}

impl Browser<'_> {
    async fn get(&mut self, path: &str) -> Response {
        let asked = self.client.get(self.office.address(path)).header("cookie", &self.cookie).send().await.unwrap();
        self.keep(&asked);
        asked
    }

    /// Status and text of a page.
    async fn page(&mut self, path: &str) -> (u16, String) {
        let page = self.get(path).await;
        (page.status().as_u16(), page.text().await.unwrap())
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let posted = self.client.post(self.office.address(path)).header("cookie", &self.cookie).form(fields).send().await.unwrap();
        self.keep(&posted);
        posted
    }

    fn keep(&mut self, response: &Response) {
        if let Some(set) = response.headers().get("set-cookie") {
            set.to_str().unwrap().split(';').next().unwrap().clone_into(&mut self.cookie);
        }
    }

    async fn log_in(&mut self, name: &str, password: &str) -> Response {
        let token = token_of(&self.page("/login").await.1);
        self.post("/login", &[("token", &token), ("name", name), ("password", password)]).await
    }

    /// The status of a log-in with a one-time code.
    async fn log_in_by_code(&mut self, name: &str, password: &str, code: &str) -> u16 {
        let token = token_of(&self.page("/login").await.1);
        self.post("/login", &[("token", &token), ("name", name), ("password", password), ("code", code)]).await.status().as_u16()
    }

    /// Posts a form of a page, with its token.
    async fn submit(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> u16 {
        let token = token_of(&self.page(page).await.1);
        let mut all = vec![("token", token.as_str())];
        all.extend_from_slice(fields);
        self.post(path, &all).await.status().as_u16()
    }
}

/// The token of a page's first form.
fn token_of(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap_or_else(|| panic!("no form in {page}"));
    rest.split('"').next().unwrap().to_owned()
}
