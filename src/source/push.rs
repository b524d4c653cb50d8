//! `kind = "push"`: another system says what changed, over HTTP.
//!
//! In: an [`Offer`], and what the store holds of the source. Out: the [`Snapshot`] that a walk takes, and what is wrong with the offered records.
//! A whole list is a snapshot like any other. One session, or the end of one, is merged into the last: it is *partial*, so that what else the
//! source said stands unchanged, and every session that is listed is in it, so that a code that two people now have is seen.
//!
//! Refused, with nothing changed: what cannot be read at all, what needs a list to merge into when there is none, and a single change while
//! others wait for an operator: their list would be lost.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::ambiguity;
use super::json::{self, PRESENCE};
use crate::outbox::StoredSession;
use crate::session::{Fault, Presence, Session, SessionId, Snapshot};

/// Who may push.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bearer token of this source.
    pub token: SecretString,
}

/// What is pushed.
#[derive(Clone)]
pub enum Offer {
    /// All sessions: what is not in it is listed no more.
    Whole(Vec<u8>),
    /// One session, new or changed.
    One(SessionId, Vec<u8>),
    /// That session is cancelled.
    Cancel(SessionId),
}

/// What the store holds of the source.
#[derive(Clone, Default)]
pub struct Held {
    /// A whole list was taken once.
    pub filled: bool,
    /// Sessions that wait for an operator.
    pub guarded: usize,
    /// All its sessions.
    pub sessions: Vec<StoredSession>,
    /// Records of it that could not be used.
    pub faults: Vec<Fault>,
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
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
pub struct Taken {
    /// For the walk.
    pub snapshot: Snapshot,
    /// Of the offered records alone.
    pub faults: Vec<Fault>,
}

/// Makes the next snapshot of what is offered and of what is held.
pub fn take(offer: &Offer, held: &Held, now: DateTime<Utc>) -> Result<Taken, Refused> {
    let session = match offer {
        Offer::Whole(body) => return whole(body, held, now),
        Offer::One(id, body) => {
            mergeable(held)?;
            one(*id, body)?
        }
        Offer::Cancel(id) => {
            mergeable(held)?;
            cancelled(*id, held)?
        }
    };
    Ok(merged(session, held))
}

/// The source's sessions as it last said them, for a look without a walk.
pub fn last(held: &[StoredSession]) -> Snapshot {
    let sessions = held.iter().filter_map(|s| as_said(&s.record)).filter(|s| s.presence == Presence::Listed);
    let mut snapshot = Snapshot { sessions: sessions.collect(), ..Snapshot::default() };
    ambiguity::mark(&mut snapshot);
    snapshot
}

/// A list. What was cancelled by name stays so, although lists tell it no more; but nothing is added to a list of nothing, which the guard
/// must see as such.
fn whole(body: &[u8], held: &Held, now: DateTime<Utc>) -> Result<Taken, Refused> {
    let mut snapshot = json::parse(body).map_err(|refusal| Refused::Unusable(format!("the body: {refusal}")))?;
    let faults = faults_of(&snapshot);
    if !snapshot.sessions.is_empty() {
        let named: HashSet<SessionId> =
            snapshot.sessions.iter().map(|s| s.id).chain(snapshot.faults.iter().filter_map(|f| f.session)).collect();
        let unnamed = held.sessions.iter().filter(|s| !named.contains(&s.id)).filter_map(|s| as_said(&s.record));
        snapshot.sessions.extend(unnamed.filter(|s| s.cancelled && s.presence == Presence::Listed && s.start > now));
    }
    ambiguity::mark(&mut snapshot);
    Ok(Taken { snapshot, faults })
}

fn mergeable(held: &Held) -> Result<(), Refused> {
    if !held.filled {
        return Err(Refused::Conflict("no list of this source was taken yet: put the whole list first, if only an empty one".to_owned()));
    }
    if held.guarded > 0 {
        let why = format!(
            "{} sessions wait for an operator (punctual guard), and a single change would lose what they wait for: put the whole list",
            held.guarded
        );
        return Err(Refused::Conflict(why));
    }
    Ok(())
}

/// The one session of that id.
fn one(id: SessionId, body: &[u8]) -> Result<Session, Refused> {
    let mut snapshot = json::parse(body).map_err(|refusal| Refused::Unusable(format!("the body: {refusal}")))?;
    if let Some(fault) = snapshot.faults.pop() {
        return Err(Refused::Record(fault));
    }
    match (snapshot.sessions.pop(), snapshot.sessions.is_empty()) {
        (Some(session), true) if session.id == id => Ok(session),
        (Some(session), true) => Err(Refused::Unusable(format!("SessionId: found {}; expected {id}, as in the address", session.id))),
        _ => Err(Refused::Unusable("the body: expected one session".to_owned())),
    }
}

/// The session as it was last said, but cancelled.
fn cancelled(id: SessionId, held: &Held) -> Result<Session, Refused> {
    let stored = held.sessions.iter().find(|s| s.id == id).ok_or(Refused::Unknown(id))?;
    let unclear = || Refused::Conflict(format!("session {id} was last said twice, with different content: put it first"));
    let mut fields = fields(&stored.record).ok_or_else(unclear)?;
    drop_marks(&mut fields);
    fields.insert("ScheduleType".to_owned(), "Cancelled".into());
    json::kept(&Value::Object(fields).to_string()).ok_or_else(unclear)
}

/// The last snapshot with that session in place of what it was.
fn merged(session: Session, held: &Held) -> Taken {
    let id = session.id;
    let faults = session.faults.clone();
    let rest = held.sessions.iter().filter(|s| s.id != id).filter_map(|s| as_said(&s.record));
    // Whoever is held as absent may come back: their codes count. Whoever counts as cancelled has none.
    let rest = rest.filter(|s| s.presence != Presence::Gone);
    let mut snapshot = Snapshot { sessions: std::iter::once(session).chain(rest).collect(), ..Snapshot::default() };
    ambiguity::mark(&mut snapshot);
    snapshot.sessions.retain(|s| s.presence == Presence::Listed);
    let present: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
    snapshot.faults = held.faults.iter().filter(|f| f.session.is_none_or(|s| !present.contains(&s))).cloned().collect();
    snapshot.partial = true;
    Taken { snapshot, faults }
}

fn faults_of(snapshot: &Snapshot) -> Vec<Fault> {
    snapshot.faults.iter().chain(snapshot.sessions.iter().flat_map(|s| &s.faults)).cloned().collect()
}

/// A kept record without those whom the source lists no more. `None`: it cannot be read.
fn as_said(record: &str) -> Option<Session> {
    let session = json::kept(record)?;
    if session.participants.iter().all(|p| p.presence == Presence::Listed) {
        return Some(session);
    }
    let mut fields = fields(record)?;
    drop_departed(&mut fields);
    json::kept(&Value::Object(fields).to_string())
}

fn fields(record: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(record) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// The session itself is listed again; whoever departed stays departed.
fn drop_marks(fields: &mut Map<String, Value>) {
    fields.remove(PRESENCE);
    drop_departed(fields);
}

fn drop_departed(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(people)) = fields.get_mut("Participants") {
        people.retain(|person| person.get(PRESENCE).is_none());
    }
}
