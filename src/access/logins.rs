//! Who is logged in. Pure: `now` and random ids are arguments. (A *log-in session*, or login: a *session* alone is a video session here.)
//!
//! A login's id is known to its browser alone: here it is kept as a digest. A login ends when it is idle, when it is old, when its user is
//! gone or has another password or one-time codes. What is revealed in it is hidden when the daemon ends; the login goes on ([`KeptLogin`]).

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::User;
use crate::session::ParticipantKey;

/// Without a request, it ends after this time.
const IDLE: TimeDelta = TimeDelta::minutes(30);
/// And after this time in any case.
const WHOLE: TimeDelta = TimeDelta::hours(12);
/// What was revealed is shown for so long.
const REVEALED: TimeDelta = TimeDelta::minutes(5);
/// A login that was seen so much later than it was kept is kept anew.
const KEPT_EVERY: TimeDelta = TimeDelta::minutes(1);
/// Log-in sessions at once; the one that was idle longest makes room.
const LOGINS_MAX: usize = 1000;

/// One who is logged in.
#[derive(Debug, Clone)]
pub struct LoginSession {
    pub user: User,
    began: DateTime<Utc>,
    seen: DateTime<Utc>,
    /// As of when it is kept.
    kept: Option<DateTime<Utc>>,
    /// Whose code and contact are shown, and until when.
    revealed: HashMap<ParticipantKey, DateTime<Utc>>,
}

impl LoginSession {
    /// Until when this person's code and contact are shown.
    pub fn revealed(&self, person: ParticipantKey, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.revealed.get(&person).copied().filter(|until| now < *until)
    }
}

/// All who are logged in.
#[derive(Debug, Default)]
pub struct LoginSessions {
    open: HashMap<[u8; 32], LoginSession>,
    /// What was kept, and is over.
    over: Vec<[u8; 32]>,
}

/// A login, as it is kept for another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLogin {
    /// SHA-256 of its id.
    pub digest: [u8; 32],
    pub name: String,
    /// Of their password and one-time codes.
    pub mark: [u8; 32],
    pub began: DateTime<Utc>,
    /// When they asked last, or up to two minutes earlier.
    pub seen: DateTime<Utc>,
}

impl LoginSessions {
    pub fn open(&mut self, id: &str, user: User, now: DateTime<Utc>) {
        if self.open.len() >= LOGINS_MAX {
            self.tidy(now);
        }
        if self.open.len() >= LOGINS_MAX
            && let Some(idlest) = self.open.iter().min_by_key(|(_, v)| v.seen).map(|(digest, _)| *digest)
        {
            self.end(idlest);
        }
        self.open.insert(digest(id), LoginSession { user, began: now, seen: now, kept: None, revealed: HashMap::new() });
    }

    /// Whose id it is; `current` finds the user as the file has them now.
    pub fn find(&mut self, id: &str, current: impl Fn(&str) -> Option<User>, now: DateTime<Utc>) -> Option<LoginSession> {
        let digest = digest(id);
        let login = self.open.get_mut(&digest)?;
        let user =
            current(login.user.name.as_str()).filter(|user| (&user.argon2id, &user.totp) == (&login.user.argon2id, &login.user.totp));
        let Some(user) = user.filter(|_| login.lasts(now)) else {
            self.end(digest);
            return None;
        };
        if user.role != login.user.role {
            login.revealed.clear();
        }
        login.user = user;
        login.seen = now;
        Some(login.clone())
    }

    /// That person's code and contact are shown, for a while.
    pub fn reveal(&mut self, id: &str, person: ParticipantKey, now: DateTime<Utc>) {
        if let Some(login) = self.open.get_mut(&digest(id)) {
            login.revealed.retain(|_, until| now < *until);
            login.revealed.insert(person, now + REVEALED);
        }
    }

    /// What the store says of one that another process may have opened, used or ended.
    pub fn renew(&mut self, digest: [u8; 32], kept: Option<KeptLogin>, current: impl Fn(&str) -> Option<User>, now: DateTime<Utc>) {
        match (kept, self.open.get_mut(&digest)) {
            (Some(kept), Some(login)) => login.seen = login.seen.max(kept.seen),
            (Some(kept), None) => self.recall(kept, current, now),
            // One that is not written down yet is nobody else's to end.
            (None, Some(login)) if login.kept.is_some() => drop(self.open.remove(&digest)),
            (None, _) => {}
        }
    }

    /// Those that were written down, by their digests.
    pub fn kept(&self) -> Vec<[u8; 32]> {
        self.open.iter().filter(|(_, login)| login.kept.is_some()).map(|(digest, _)| *digest).collect()
    }

    pub fn close(&mut self, id: &str) {
        self.end(digest(id));
    }

    fn end(&mut self, digest: [u8; 32]) {
        self.open.remove(&digest);
        self.over.push(digest);
    }

    /// Ends those that do not last.
    fn tidy(&mut self, now: DateTime<Utc>) {
        let over: Vec<_> = self.open.iter().filter(|(_, login)| !login.lasts(now)).map(|(digest, _)| *digest).collect();
        over.into_iter().for_each(|digest| self.end(digest));
    }

    /// A login of an earlier process. `current` finds the user as the file has them now.
    pub fn recall(&mut self, kept: KeptLogin, current: impl Fn(&str) -> Option<User>, now: DateTime<Utc>) {
        let KeptLogin { digest, name, mark, began, seen } = kept;
        let user = current(&name).filter(|user| mark_of(user) == mark);
        // A clock that was ahead lengthens no login.
        let login = user.map(|user| LoginSession { user, began, seen, kept: Some(seen), revealed: HashMap::new() });
        match login.filter(|login| login.lasts(now) && seen <= now + KEPT_EVERY && began <= seen) {
            Some(login) => drop(self.open.insert(digest, login)),
            None => self.over.push(digest),
        }
    }

    /// What is to be kept now, and what no longer: each is told once.
    pub fn changes(&mut self, now: DateTime<Utc>) -> (Vec<KeptLogin>, Vec<[u8; 32]>) {
        self.tidy(now);
        let stale = |login: &LoginSession| login.kept.is_none_or(|kept| login.seen - kept >= KEPT_EVERY);
        let mut changed = Vec::new();
        for (digest, login) in self.open.iter_mut().filter(|(_, login)| stale(login)) {
            login.kept = Some(login.seen);
            let name = login.user.name.to_string();
            changed.push(KeptLogin { digest: *digest, name, mark: mark_of(&login.user), began: login.began, seen: login.seen });
        }
        (changed, std::mem::take(&mut self.over))
    }

    /// What of the changes was not written: it is told again.
    pub fn not_written(&mut self, changed: &[KeptLogin], over: Vec<[u8; 32]>) {
        self.over.extend(over);
        for one in changed {
            if let Some(login) = self.open.get_mut(&one.digest) {
                login.kept = None;
            }
        }
    }
}

/// Other passwords and other secrets have another one.
fn mark_of(user: &User) -> [u8; 32] {
    Sha256::new()
        .chain_update(user.argon2id.as_bytes())
        .chain_update([0])
        .chain_update(user.totp.as_deref().unwrap_or_default())
        .finalize()
        .into()
}

impl LoginSession {
    fn lasts(&self, now: DateTime<Utc>) -> bool {
        now - self.seen < IDLE && now - self.began < WHOLE
    }
}

/// What is kept of a login's id.
pub fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::UserRole;
    use crate::session::{ParticipationId, SessionId};

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(n)
    }

    fn jane(hash: &str) -> User {
        User { name: "jane".parse().unwrap(), role: UserRole::Operator, argon2id: hash.to_owned(), totp: None }
    }

    fn there(logins: &mut LoginSessions, id: &str, now: i64) -> bool {
        logins.find(id, |_| Some(jane("a")), minute(now)).is_some()
    }

    #[test]
    fn a_visit_ends_when_it_is_idle_and_when_it_is_old() {
        let mut logins = LoginSessions::default();
        logins.open("id", jane("a"), minute(0));
        assert!(there(&mut logins, "id", 29) && there(&mut logins, "id", 58) && !there(&mut logins, "other", 58));
        assert!(!there(&mut logins, "id", 88), "half an hour without a request");
        logins.open("id", jane("a"), minute(0));
        for now in (20..720).step_by(20) {
            assert!(there(&mut logins, "id", now), "{now}");
        }
        assert!(!there(&mut logins, "id", 720), "twelve hours");
    }

    #[test]
    fn a_visit_ends_with_its_user_and_their_password() {
        for now_is in [None, Some(jane("b"))] {
            let mut logins = LoginSessions::default();
            logins.open("id", jane("a"), minute(0));
            assert!(logins.find("id", |_| now_is.clone(), minute(1)).is_none());
            assert!(!there(&mut logins, "id", 2), "for good");
        }
        let mut logins = LoginSessions::default();
        logins.open("id", jane("a"), minute(0));
        let viewer = User { role: UserRole::Viewer, ..jane("a") };
        assert_eq!(logins.find("id", |_| Some(viewer.clone()), minute(1)).unwrap().user.role, UserRole::Viewer, "a role holds at once");
        logins.close("id");
        assert!(!there(&mut logins, "id", 2));
    }

    #[test]
    fn what_was_revealed_is_hidden_again() {
        let mut logins = LoginSessions::default();
        logins.open("id", jane("a"), minute(0));
        let (one, other) = ((SessionId(1), ParticipationId(2)), (SessionId(1), ParticipationId(3)));
        logins.reveal("id", one, minute(1));
        let login = logins.find("id", |_| Some(jane("a")), minute(2)).unwrap();
        assert_eq!((login.revealed(one, minute(2)), login.revealed(other, minute(2))), (Some(minute(6)), None));
        assert_eq!(login.revealed(one, minute(6)), None);
        let viewer = logins.find("id", |_| Some(User { role: UserRole::Viewer, ..jane("a") }), minute(3)).unwrap();
        assert_eq!(viewer.revealed(one, minute(3)), None, "whoever may not reveal sees nothing that is");
        let again = logins.find("id", |_| Some(jane("a")), minute(4)).unwrap();
        assert_eq!(again.revealed(one, minute(4)), None);
    }

    #[test]
    fn a_visit_outlives_the_process_but_not_its_password() {
        let mut logins = LoginSessions::default();
        logins.open("id", jane("a"), minute(0));
        logins.reveal("id", (SessionId(1), ParticipationId(2)), minute(0));
        let (kept, over) = logins.changes(minute(0));
        assert_eq!((kept.len(), over.len()), (1, 0));
        assert_eq!(logins.changes(minute(0)), (vec![], vec![]), "each is told once");
        there(&mut logins, "id", 10);
        let seen = logins.changes(minute(10)).0;
        assert_eq!((seen[0].began, seen[0].seen), (minute(0), minute(10)));
        for (password, now, goes_on) in [("a", 39, true), ("a", 40, false), ("b", 11, false), ("a", 8, false)] {
            let mut next = LoginSessions::default();
            next.recall(seen[0].clone(), |_| Some(jane(password)), minute(now));
            assert_eq!(next.open.len(), usize::from(goes_on), "{password} {now}");
            assert_eq!(next.changes(minute(now)).1.len(), usize::from(!goes_on));
        }
        let mut next = LoginSessions::default();
        next.recall(seen[0].clone(), |_| Some(jane("a")), minute(11));
        assert!(next.find("id", |_| Some(jane("a")), minute(11)).unwrap().revealed.is_empty(), "what was revealed is hidden");
        next.close("id");
        next.open("other", jane("a"), minute(11));
        let (kept, over) = next.changes(minute(11));
        assert_eq!((kept.len(), over.as_slice()), (1, &[digest("id")][..]));
        next.not_written(&kept, over.clone());
        assert_eq!(next.changes(minute(11)), (kept, over), "what was not written is told again");
    }

    #[test]
    fn visits_are_bounded() {
        let mut logins = LoginSessions::default();
        for n in 0..LOGINS_MAX + 10 {
            logins.open(&n.to_string(), jane("a"), minute(0) + TimeDelta::seconds(n as i64));
        }
        assert_eq!(logins.open.len(), LOGINS_MAX);
        assert!(!logins.open.contains_key(&digest("0")) && logins.open.contains_key(&digest("1009")));
    }
}
