//! Who is logged in. Pure: `now` and random ids are arguments. (A *visit*, because a *session* is a video session here.)
//!
//! A visit's id is known to its browser alone: here it is kept as a digest. A visit ends when it is idle, when it is old, when its user is
//! gone or has another password or one-time codes. What is revealed in it is hidden when the daemon ends; the visit goes on ([`KeptVisit`]).

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::User;
use crate::session::{ParticipationId, SessionId};

/// Without a request, it ends after this time.
const IDLE: TimeDelta = TimeDelta::minutes(30);
/// And after this time in any case.
const WHOLE: TimeDelta = TimeDelta::hours(12);
/// What was revealed is shown for so long.
const REVEALED: TimeDelta = TimeDelta::minutes(5);
/// A visit that was seen so much later than it was kept is kept anew.
const KEPT_EVERY: TimeDelta = TimeDelta::minutes(1);
/// Visits at once; the one that was idle longest makes room.
const VISITS_MAX: usize = 1000;

/// A person in a session.
pub type PersonId = (SessionId, ParticipationId);

/// One who is logged in.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Who.
    pub user: User,
    began: DateTime<Utc>,
    seen: DateTime<Utc>,
    /// As of when it is kept.
    kept: Option<DateTime<Utc>>,
    /// Whose code and contact are shown, and until when.
    revealed: HashMap<PersonId, DateTime<Utc>>,
}

impl Visit {
    /// Until when this person's code and contact are shown.
    pub fn revealed(&self, person: PersonId, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.revealed.get(&person).copied().filter(|until| now < *until)
    }
}

/// All who are logged in.
#[derive(Debug, Default)]
pub struct Visits {
    open: HashMap<[u8; 32], Visit>,
    /// What was kept, and is over.
    over: Vec<[u8; 32]>,
}

/// A visit, as it is kept for another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVisit {
    /// SHA-256 of its id.
    pub digest: [u8; 32],
    /// The user's name.
    pub name: String,
    /// Of their password and one-time codes.
    pub mark: [u8; 32],
    /// When it began.
    pub began: DateTime<Utc>,
    /// When they asked last, or up to two minutes earlier.
    pub seen: DateTime<Utc>,
}

impl Visits {
    /// Somebody logged in.
    pub fn open(&mut self, id: &str, user: User, now: DateTime<Utc>) {
        if self.open.len() >= VISITS_MAX {
            self.tidy(now);
        }
        if self.open.len() >= VISITS_MAX
            && let Some(idlest) = self.open.iter().min_by_key(|(_, v)| v.seen).map(|(digest, _)| *digest)
        {
            self.end(idlest);
        }
        self.open.insert(digest(id), Visit { user, began: now, seen: now, kept: None, revealed: HashMap::new() });
    }

    /// Whose id it is; `current` finds the user as the file has them now.
    pub fn find(&mut self, id: &str, current: impl Fn(&str) -> Option<User>, now: DateTime<Utc>) -> Option<Visit> {
        let digest = digest(id);
        let visit = self.open.get_mut(&digest)?;
        let user =
            current(visit.user.name.as_str()).filter(|user| (&user.argon2id, &user.totp) == (&visit.user.argon2id, &visit.user.totp));
        let Some(user) = user.filter(|_| visit.lasts(now)) else {
            self.end(digest);
            return None;
        };
        if user.role != visit.user.role {
            visit.revealed.clear();
        }
        visit.user = user;
        visit.seen = now;
        Some(visit.clone())
    }

    /// That person's code and contact are shown, for a while.
    pub fn reveal(&mut self, id: &str, person: PersonId, now: DateTime<Utc>) {
        if let Some(visit) = self.open.get_mut(&digest(id)) {
            visit.revealed.retain(|_, until| now < *until);
            visit.revealed.insert(person, now + REVEALED);
        }
    }

    /// Somebody logged out.
    pub fn close(&mut self, id: &str) {
        self.end(digest(id));
    }

    fn end(&mut self, digest: [u8; 32]) {
        self.open.remove(&digest);
        self.over.push(digest);
    }

    /// Ends those that do not last.
    fn tidy(&mut self, now: DateTime<Utc>) {
        let over: Vec<_> = self.open.iter().filter(|(_, visit)| !visit.lasts(now)).map(|(digest, _)| *digest).collect();
        over.into_iter().for_each(|digest| self.end(digest));
    }

    /// A visit of an earlier process. `current` finds the user as the file has them now.
    pub fn recall(&mut self, kept: KeptVisit, current: impl Fn(&str) -> Option<User>, now: DateTime<Utc>) {
        let KeptVisit { digest, name, mark, began, seen } = kept;
        let user = current(&name).filter(|user| mark_of(user) == mark);
        // A clock that was ahead lengthens no visit.
        let visit = user.map(|user| Visit { user, began, seen, kept: Some(seen), revealed: HashMap::new() });
        match visit.filter(|visit| visit.lasts(now) && seen <= now + KEPT_EVERY && began <= seen) {
            Some(visit) => drop(self.open.insert(digest, visit)),
            None => self.over.push(digest),
        }
    }

    /// What is to be kept now, and what no longer: each is told once.
    pub fn changes(&mut self, now: DateTime<Utc>) -> (Vec<KeptVisit>, Vec<[u8; 32]>) {
        self.tidy(now);
        let stale = |visit: &Visit| visit.kept.is_none_or(|kept| visit.seen - kept >= KEPT_EVERY);
        let mut changed = Vec::new();
        for (digest, visit) in self.open.iter_mut().filter(|(_, visit)| stale(visit)) {
            visit.kept = Some(visit.seen);
            let name = visit.user.name.to_string();
            changed.push(KeptVisit { digest: *digest, name, mark: mark_of(&visit.user), began: visit.began, seen: visit.seen });
        }
        (changed, std::mem::take(&mut self.over))
    }

    /// What of the changes was not written: it is told again.
    pub fn not_written(&mut self, changed: &[KeptVisit], over: Vec<[u8; 32]>) {
        self.over.extend(over);
        for one in changed {
            if let Some(visit) = self.open.get_mut(&one.digest) {
                visit.kept = None;
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

impl Visit {
    fn lasts(&self, now: DateTime<Utc>) -> bool {
        now - self.seen < IDLE && now - self.began < WHOLE
    }
}

fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(n)
    }

    fn jane(hash: &str) -> User {
        User { name: "jane".parse().unwrap(), role: Role::Operator, argon2id: hash.to_owned(), totp: None }
    }

    fn there(visits: &mut Visits, id: &str, now: i64) -> bool {
        visits.find(id, |_| Some(jane("a")), minute(now)).is_some()
    }

    #[test]
    fn a_visit_ends_when_it_is_idle_and_when_it_is_old() {
        let mut visits = Visits::default();
        visits.open("id", jane("a"), minute(0));
        assert!(there(&mut visits, "id", 29) && there(&mut visits, "id", 58) && !there(&mut visits, "other", 58));
        assert!(!there(&mut visits, "id", 88), "half an hour without a request");
        visits.open("id", jane("a"), minute(0));
        for now in (20..720).step_by(20) {
            assert!(there(&mut visits, "id", now), "{now}");
        }
        assert!(!there(&mut visits, "id", 720), "twelve hours");
    }

    #[test]
    fn a_visit_ends_with_its_user_and_their_password() {
        for now_is in [None, Some(jane("b"))] {
            let mut visits = Visits::default();
            visits.open("id", jane("a"), minute(0));
            assert!(visits.find("id", |_| now_is.clone(), minute(1)).is_none());
            assert!(!there(&mut visits, "id", 2), "for good");
        }
        let mut visits = Visits::default();
        visits.open("id", jane("a"), minute(0));
        let viewer = User { role: Role::Viewer, ..jane("a") };
        assert_eq!(visits.find("id", |_| Some(viewer.clone()), minute(1)).unwrap().user.role, Role::Viewer, "a role holds at once");
        visits.close("id");
        assert!(!there(&mut visits, "id", 2));
    }

    #[test]
    fn what_was_revealed_is_hidden_again() {
        let mut visits = Visits::default();
        visits.open("id", jane("a"), minute(0));
        let (one, other) = ((SessionId(1), ParticipationId(2)), (SessionId(1), ParticipationId(3)));
        visits.reveal("id", one, minute(1));
        let visit = visits.find("id", |_| Some(jane("a")), minute(2)).unwrap();
        assert_eq!((visit.revealed(one, minute(2)), visit.revealed(other, minute(2))), (Some(minute(6)), None));
        assert_eq!(visit.revealed(one, minute(6)), None);
        let viewer = visits.find("id", |_| Some(User { role: Role::Viewer, ..jane("a") }), minute(3)).unwrap();
        assert_eq!(viewer.revealed(one, minute(3)), None, "whoever may not reveal sees nothing that is");
        let again = visits.find("id", |_| Some(jane("a")), minute(4)).unwrap();
        assert_eq!(again.revealed(one, minute(4)), None);
    }

    #[test]
    fn a_visit_outlives_the_process_but_not_its_password() {
        let mut visits = Visits::default();
        visits.open("id", jane("a"), minute(0));
        visits.reveal("id", (SessionId(1), ParticipationId(2)), minute(0));
        let (kept, over) = visits.changes(minute(0));
        assert_eq!((kept.len(), over.len()), (1, 0));
        assert_eq!(visits.changes(minute(0)), (vec![], vec![]), "each is told once");
        there(&mut visits, "id", 10);
        let seen = visits.changes(minute(10)).0;
        assert_eq!((seen[0].began, seen[0].seen), (minute(0), minute(10)));
        for (password, now, goes_on) in [("a", 39, true), ("a", 40, false), ("b", 11, false), ("a", 8, false)] {
            let mut next = Visits::default();
            next.recall(seen[0].clone(), |_| Some(jane(password)), minute(now));
            assert_eq!(next.open.len(), usize::from(goes_on), "{password} {now}");
            assert_eq!(next.changes(minute(now)).1.len(), usize::from(!goes_on));
        }
        let mut next = Visits::default();
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
        let mut visits = Visits::default();
        for n in 0..VISITS_MAX + 10 {
            visits.open(&n.to_string(), jane("a"), minute(0) + TimeDelta::seconds(n as i64));
        }
        assert_eq!(visits.open.len(), VISITS_MAX);
        assert!(!visits.open.contains_key(&digest("0")) && visits.open.contains_key(&digest("1009")));
    }
}
