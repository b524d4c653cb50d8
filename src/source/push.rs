//! `kind = "push"`: another system says what changed, over HTTP.
//!
//! In: an [`PushedBody`], and what the store holds of the source. Out: the [`Snapshot`] that a walk takes, and what is wrong with the offered records.
//! A whole list is a snapshot like any other. One session, or the end of one, is merged into the last: it is *partial*, so that what else the
//! source said stands unchanged, and every session that shares a code or a participation with it is in it, so that a code that two people now have is
//! seen.
//!
//! Refused, with nothing changed: what cannot be read at all, what needs a list to merge into when there is none, and a single change while
//! others wait for an operator: their list would be lost.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::ambiguity::{self, Exclusive};
use super::json;
use crate::session::stored::StoredSession;
use crate::session::{Fault, Presence, Session, SessionId, Snapshot, SnapshotKind, SourceRecord, TakenFor};

#[derive(Debug, Clone)]
pub struct Settings {
    /// The bearer token of this source.
    pub token: SecretString,
}

#[derive(Clone)]
pub enum PushedBody {
    /// All sessions: what is not in it is listed no more.
    Whole(Vec<u8>),
    /// One session, new or changed.
    One(SessionId, Vec<u8>),
    /// That session is cancelled.
    Cancel(SessionId),
}

impl PushedBody {
    /// What its session claims; nothing, if it cannot be read or is as it was.
    pub fn claims(&self, now: DateTime<Utc>) -> Vec<Exclusive> {
        match self {
            Self::One(id, body) => one(*id, body).map(|session| ambiguity::claims(&session, now)).unwrap_or_default(),
            Self::Whole(_) | Self::Cancel(_) => Vec::new(),
        }
    }

    /// The one that it is about.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Whole(_) => None,
            Self::One(id, _) | Self::Cancel(id) => Some(*id),
        }
    }
}

/// What the store holds of the source: what is to come, or began lately; of a change of one session, that one, and what it may concern.
#[derive(Clone, Default)]
pub struct StoredSource {
    /// A whole list was taken once.
    pub filled: bool,
    /// Sessions that wait for an operator.
    pub guarded: usize,
    pub sessions: Vec<StoredSession>,
    /// Records of it that could not be used.
    pub faults: Vec<Fault>,
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushRefused {
    /// It is no Session JSON, or not that of the named session.
    #[error("{0}")]
    Unusable(String),
    /// The one record is at fault.
    #[error("{0}")]
    Record(Fault),
    /// No such session is known.
    #[error("session {0} is not known")]
    Unknown(SessionId),
    /// Nothing to merge into, or others wait.
    #[error("{0}")]
    Conflict(String),
}

/// What an offer comes to.
#[derive(Debug, Clone, Default)]
pub struct AcceptedPush {
    pub snapshot: Snapshot,
    /// Of the offered records alone.
    pub faults: Vec<Fault>,
}

/// Makes the next snapshot of what is offered and of what is held.
pub fn take(offer: &PushedBody, held: &StoredSource, now: DateTime<Utc>) -> Result<AcceptedPush, PushRefused> {
    let session = match offer {
        PushedBody::Whole(body) => return whole(body, held, now),
        PushedBody::One(id, body) => {
            mergeable(held)?;
            one(*id, body)?
        }
        PushedBody::Cancel(id) => {
            mergeable(held)?;
            cancelled(*id, held)?
        }
    };
    Ok(merged(session, held, now))
}

/// The source's sessions as it last said them, for a look without a walk.
pub fn last(held: &[StoredSession], now: DateTime<Utc>) -> Snapshot {
    let sessions = held.iter().filter(|s| s.presence == Presence::Listed).filter_map(as_said);
    let mut snapshot = Snapshot { sessions: sessions.collect(), ..Snapshot::default() };
    ambiguity::mark(&mut snapshot, now);
    snapshot
}

/// A list. What was cancelled by name stays so, although lists tell it no more; but nothing is added to a list of nothing, which the guard
/// must see as such.
fn whole(body: &[u8], held: &StoredSource, now: DateTime<Utc>) -> Result<AcceptedPush, PushRefused> {
    let mut snapshot = json::parse(body).map_err(|refusal| PushRefused::Unusable(format!("the body: {refusal}")))?;
    let faults = faults_of(&snapshot);
    if !snapshot.sessions.is_empty() {
        let named: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).chain(snapshot.unreadable()).collect();
        let unnamed = held.sessions.iter().filter(|s| !named.contains(&s.id) && s.presence == Presence::Listed).filter_map(as_said);
        snapshot.sessions.extend(unnamed.filter(|s| s.cancelled && s.start > now));
    }
    ambiguity::mark(&mut snapshot, now);
    Ok(AcceptedPush { snapshot, faults })
}

fn mergeable(held: &StoredSource) -> Result<(), PushRefused> {
    if !held.filled {
        return Err(PushRefused::Conflict(
            "no list of this source was taken yet: put the whole list first, if only an empty one".to_owned(),
        ));
    }
    if held.guarded > 0 {
        let why = format!(
            "{} sessions wait for an operator (punctual guard), and a single change would lose what they wait for: put the whole list",
            held.guarded
        );
        return Err(PushRefused::Conflict(why));
    }
    Ok(())
}

/// The one session of that id.
fn one(id: SessionId, body: &[u8]) -> Result<Session, PushRefused> {
    let mut snapshot = json::parse(body).map_err(|refusal| PushRefused::Unusable(format!("the body: {refusal}")))?;
    if let Some(fault) = snapshot.faults.pop() {
        return Err(PushRefused::Record(fault));
    }
    match (snapshot.sessions.pop(), snapshot.sessions.is_empty()) {
        (Some(session), true) if session.id == id => Ok(session),
        (Some(session), true) => Err(PushRefused::Unusable(format!("SessionId: found {}; expected {id}, as in the address", session.id))),
        _ => Err(PushRefused::Unusable("the body: expected one session".to_owned())),
    }
}

/// The session as it was last said, but cancelled.
fn cancelled(id: SessionId, held: &StoredSource) -> Result<Session, PushRefused> {
    let stored = held.sessions.iter().find(|s| s.id == id).ok_or(PushRefused::Unknown(id))?;
    let unclear = || PushRefused::Conflict(format!("session {id} was last said twice, with different content: put it first"));
    let record = SourceRecord { taken_for: Some(TakenFor::Withdrawn), ..stored.record.clone() };
    json::stored_record(&record).ok_or_else(unclear)
}

/// What it may concern as it was, with that session in place of what it was.
fn merged(session: Session, held: &StoredSource, now: DateTime<Utc>) -> AcceptedPush {
    let id = session.id;
    let faults = session.faults.clone();
    // Whoever is held as absent may come back: their codes count. Whoever counts as cancelled has none.
    let rest = held.sessions.iter().filter(|s| s.id != id && s.presence != Presence::Gone).filter_map(as_said);
    let mut snapshot = Snapshot { sessions: std::iter::once(session).chain(rest).collect(), ..Snapshot::default() };
    ambiguity::mark(&mut snapshot, now);
    snapshot.sessions.retain(|s| s.presence == Presence::Listed);
    let present: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
    snapshot.faults = held.faults.iter().filter(|f| f.session.is_none_or(|s| !present.contains(&s))).cloned().collect();
    snapshot.kind = SnapshotKind::Delta;
    AcceptedPush { snapshot, faults }
}

fn faults_of(snapshot: &Snapshot) -> Vec<Fault> {
    snapshot.told().lines()
}

/// A session without those whom the source lists no more. `None`: it cannot be read.
fn as_said(stored: &StoredSession) -> Option<Session> {
    Some(Session { presence: stored.presence, ..json::stored_record(&stored.record)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::stored::{Departed, Touch};
    use crate::session::{ParticipationId, Role};

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn record(id: i64, people: &[(i64, i64)]) -> SourceRecord {
        let people: Vec<String> = people
            .iter()
            .map(|(id, code)| format!(r#"{{"ParticipationId":{id},"ConnectCode":{code},"ShouldAutoDeliverCode":"E"}}"#))
            .collect();
        format!(r#"{{"SessionId":{id},"ScheduleTs":"2026-11-26T15:00:00","Participants":[{}]}}"#, people.join(",")).into()
    }

    fn held(records: &[(i64, SourceRecord)]) -> StoredSource {
        let stored = |(id, record): &(i64, SourceRecord)| StoredSession {
            id: SessionId(*id),
            digest: String::new(),
            presence: Presence::Listed,
            touch: Touch::default(),
            record: record.clone(),
            departed: Vec::new(),
            ambiguous: Vec::new(),
        };
        StoredSource { filled: true, guarded: 0, sessions: records.iter().map(stored).collect(), faults: Vec::new() }
    }

    /// Sessions, and their people with whether they are ambiguous.
    fn listed(taken: &AcceptedPush) -> Vec<(i64, Vec<(i64, bool)>)> {
        let people = |s: &Session| s.participants.iter().map(|p| (p.id.0, p.ambiguous.is_some())).collect();
        let mut all: Vec<_> = taken.snapshot.sessions.iter().map(|s| (s.id.0, people(s))).collect();
        all.sort_unstable();
        all
    }

    fn put(id: i64, people: &[(i64, i64)], held: &StoredSource) -> AcceptedPush {
        take(&PushedBody::One(SessionId(id), record(id, people).text.into_bytes()), held, NOW).unwrap()
    }

    const CODE: i64 = 111_111_111;

    #[test]
    fn whoever_departed_is_not_listed_again() {
        let before = record(1, &[(10, 1 + CODE), (11, 2 + CODE)]);
        let record_of = json::record_of(&before, ParticipationId(11)).unwrap();
        let departed = Departed { id: ParticipationId(11), role: Role::Participant, presence: Presence::Absent, record: record_of };
        let mut held = held(&[(1, record(1, &[(10, 1 + CODE)]))]);
        held.sessions[0].departed = vec![departed];
        let taken = put(2, &[(20, 3 + CODE)], &held);
        assert_eq!(listed(&taken), [(1, vec![(10, false)]), (2, vec![(20, false)])]);
        assert_eq!(taken.snapshot.kind, SnapshotKind::Delta);
        let cancelled = take(&PushedBody::Cancel(SessionId(1)), &held, NOW).unwrap();
        assert_eq!(listed(&cancelled), [(1, vec![(10, false)])]);
        assert_eq!(listed(&AcceptedPush { snapshot: last(&held.sessions, NOW), ..AcceptedPush::default() }), [(1, vec![(10, false)])]);
    }

    #[test]
    fn codes_of_the_absent_count_and_those_of_the_gone_do_not() {
        for (presence, confused) in [(Presence::Absent, true), (Presence::Unreadable, true), (Presence::Gone, false)] {
            let mut held = held(&[(1, record(1, &[(10, CODE)]))]);
            held.sessions[0].presence = presence;
            assert_eq!(listed(&put(2, &[(20, CODE)], &held)), [(2, vec![(20, confused)])], "{presence:?}");
        }
    }

    #[test]
    fn a_cancelled_session_is_listed_again() {
        let mut held = held(&[(1, record(1, &[(10, CODE)]))]);
        held.sessions[0].presence = Presence::Absent;
        let taken = take(&PushedBody::Cancel(SessionId(1)), &held, NOW).unwrap();
        let session = &taken.snapshot.sessions[0];
        assert_eq!((session.cancelled, session.presence), (true, Presence::Listed));
    }

    #[test]
    fn faults_of_others_stay_and_its_own_are_replaced() {
        let fault = |session: Option<i64>| Fault {
            path: "[0]".to_owned(),
            reason: "found a number; expected an object".to_owned(),
            session: session.map(SessionId),
            participation: None,
        };
        let held = StoredSource { faults: vec![fault(None), fault(Some(2)), fault(Some(3))], ..held(&[(1, record(1, &[(10, CODE)]))]) };
        let taken = put(2, &[(20, 2 + CODE)], &held);
        assert_eq!(taken.snapshot.faults, [fault(None), fault(Some(3))]);
        assert_eq!(taken.faults, [], "what is told is told of what was offered");
    }

    #[test]
    fn a_list_keeps_what_was_cancelled_by_name_until_it_has_begun() {
        let stored = held(&[(1, record(1, &[(10, CODE)]))]);
        let cancelled = take(&PushedBody::Cancel(SessionId(1)), &stored, NOW).unwrap().snapshot.sessions[0].record.clone();
        let held = held(&[(1, cancelled), (2, record(2, &[(20, 2 + CODE)]))]);
        let list = |body: String, now| {
            let taken = take(&PushedBody::Whole(body.into_bytes()), &held, now).unwrap();
            assert_eq!(taken.snapshot.kind, SnapshotKind::Full);
            taken.snapshot.sessions.iter().map(|s| (s.id.0, s.cancelled)).collect::<Vec<_>>()
        };
        let other = format!("[{}]", record(3, &[(30, 3 + CODE)]).text);
        assert_eq!(list(other.clone(), NOW), [(3, false), (1, true)]);
        assert_eq!(list(other, "2026-11-26T15:00:00Z".parse().unwrap()), [(3, false)]);
        assert_eq!(list(format!("[{}]", record(1, &[(10, CODE)]).text), NOW), [(1, false)], "it is on again");
        assert_eq!(list("[]".to_owned(), NOW), [], "the guard sees an empty list as one");
    }
}
