//! A walk: what a source said becomes changes of the outbox. Its cost is in proportion to what changed.
//!
//! Every session has a digest of its record. Only sessions that are new, changed or absent are planned; when the policy or the zone data
//! changed, all of them. The result is applied whole or not at all.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::notice::{Decision, Omission, Reason};
use crate::outbox::{self, Applied, Change, Known, KnownMap, Outbox, State, Walk, WalkedSession};
use crate::plan::{self, Policy, Suppressions, diff};
use crate::session::{Fault, ParticipationId, Session, SessionId, Snapshot};
use crate::source::json;

/// Stands in a session's digest while the source does not list it.
const ABSENT: &str = "absent";
/// Ends a session's digest that was planned while something of it was in flight.
const IN_FLIGHT: &str = "+in flight";
/// Stands in a session's digest while its record cannot be read.
const UNREADABLE: &str = "unreadable";

/// What a walk saw and did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Sessions in the snapshot.
    pub sessions: usize,
    /// Of them: new, changed or planned again.
    pub planned: usize,
    /// Records that could not be used.
    pub faults: usize,
    /// What changed in the outbox.
    pub applied: Applied,
}

/// Plans what changed since the last walk, and applies it.
pub async fn walk(outbox: &dyn Outbox, source: &str, snapshot: &Snapshot, policy: &Policy, now: DateTime<Utc>) -> outbox::Result<Report> {
    let suppressed = Suppressions(outbox.suppressions().await?);
    let seen = outbox.digests(source).await?;
    let first_fill = seen.is_none();
    let (last_policy, digests) = seen.unwrap_or_default();
    let policy_digest = policy.digest();
    let changed = changed(snapshot, &digests, last_policy != policy_digest);
    let missing = if snapshot.partial { Vec::new() } else { missing(snapshot, &digests) };
    let ids: Vec<SessionId> = changed.iter().map(|(s, _)| s.id).chain(missing.iter().map(|(id, _)| *id)).collect();
    let mut known = by_session(outbox.known(source, &ids).await?);
    let mut sessions: Vec<WalkedSession> = changed
        .into_iter()
        .map(|(session, digest)| {
            let known = plan::observe(session, known.remove(&session.id).unwrap_or_default(), first_fill, now);
            plan_one(session, digest, &known, policy, &suppressed, now)
        })
        .collect();
    if !missing.is_empty() {
        sessions.extend(hold_missing(outbox, source, &missing, &mut known, now).await?);
    }
    let planned = sessions.len();
    let faults: Vec<Fault> = snapshot.faults.iter().chain(snapshot.sessions.iter().flat_map(|s| &s.faults)).cloned().collect();
    let report = Report { sessions: snapshot.sessions.len(), planned, faults: faults.len(), applied: Applied::default() };
    let applied = outbox.apply(Walk { source: source.to_owned(), at: now, policy_digest, sessions, faults }).await?;
    Ok(Report { applied, ..report })
}

/// Sessions to plan, with their new digests.
fn changed<'a>(snapshot: &'a Snapshot, seen: &HashMap<SessionId, String>, all: bool) -> Vec<(&'a Session, String)> {
    let digested = snapshot.sessions.iter().map(|s| (s, digest(s)));
    digested.filter(|(s, d)| all || seen.get(&s.id) != Some(d)).collect()
}

/// Digest of a record and of what other records say about it.
fn digest(session: &Session) -> String {
    let mut hash = Sha256::new();
    hash.update(session.record.as_bytes());
    for person in session.participants.iter().filter(|p| p.ambiguous.is_some()) {
        hash.update(person.id.0.to_be_bytes());
        hash.update(person.ambiguous.as_deref().unwrap_or_default());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

/// Sessions that were seen before and are not in the snapshot as sessions, with what stands in their digest now.
fn missing(snapshot: &Snapshot, seen: &HashMap<SessionId, String>) -> Vec<(SessionId, &'static str)> {
    let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
    let unreadable: HashSet<SessionId> = snapshot.faults.iter().filter_map(|f| f.session).collect();
    let mut missing: Vec<_> = seen
        .iter()
        .filter(|(id, _)| !listed.contains(id))
        .map(|(id, digest)| (*id, digest, if unreadable.contains(id) { UNREADABLE } else { ABSENT }))
        .filter(|(_, was, is)| was.as_str() != *is)
        .map(|(id, _, is)| (id, is))
        .collect();
    missing.sort_unstable();
    missing
}

pub(crate) fn by_session(known: KnownMap) -> HashMap<SessionId, KnownMap> {
    let mut grouped: HashMap<SessionId, KnownMap> = HashMap::new();
    for ((session, participation), one) in known {
        grouped.entry(session).or_default().insert((session, participation), one);
    }
    grouped
}

fn plan_one(
    session: &Session,
    digest: String,
    known: &KnownMap,
    policy: &Policy,
    suppressed: &Suppressions,
    now: DateTime<Utc>,
) -> WalkedSession {
    let decisions = plan::plan_session(session, known, policy, suppressed, now);
    // Nobody can know yet whether what is in flight will have been told: the next walk decides again.
    let in_flight = known.values().flat_map(|k| &k.notices).any(|n| matches!(n.state, State::Claimed | State::Sending));
    let digest = if in_flight { format!("{digest}{IN_FLIGHT}") } else { digest };
    let mut people: Vec<(&(SessionId, ParticipationId), &Known)> = known.iter().collect();
    people.sort_unstable_by_key(|(id, _)| **id);
    let changes = people.iter().flat_map(|((_, id), one)| changes_for(session, *id, one, &decisions)).collect();
    WalkedSession {
        id: session.id,
        digest,
        record: session.record.clone(),
        ambiguous: session.participants.iter().filter_map(|p| p.ambiguous.clone().map(|why| (p.id, why))).collect(),
        start: session.start,
        known: people.into_iter().map(|((_, id), one)| (*id, Known { notices: Vec::new(), ..one.clone() })).collect(),
        changes,
        omissions: decisions.into_iter().filter_map(|d| if let Decision::Omit(o) = d { Some(o) } else { None }).collect(),
    }
}

/// What changes for one participant; one whom the record has no more, or whose record is at fault, gets nothing for now.
fn changes_for(session: &Session, id: ParticipationId, known: &Known, decisions: &[Decision]) -> Vec<Change> {
    let theirs: Vec<&Decision> = decisions.iter().filter(|d| diff::of_participant(d, session.id, id)).collect();
    if !theirs.is_empty() || session.participant(id).is_some() {
        return diff::diff(&theirs, &known.notices);
    }
    let nameless_fault = session.faults.iter().any(|f| f.participation.is_none());
    let reason = if nameless_fault { Reason::Quarantined } else { Reason::Absent };
    diff::diff(&[&Decision::Omit(whole_person(session.id, id, reason))], &known.notices)
}

/// Nothing at all for this participant.
fn whole_person(session: SessionId, id: ParticipationId, reason: Reason) -> Omission {
    Omission {
        session: Some(session),
        participation: Some(id),
        role: None,
        occasion: None,
        rule: None,
        channel: None,
        due_at: None,
        reason,
        detail: None,
    }
}

/// Holds everything of sessions that the source does not list any more, or whose records cannot be read.
/// What has started already stays as it is: the source drops sessions a day after they ran.
async fn hold_missing(
    outbox: &dyn Outbox,
    source: &str,
    missing: &[(SessionId, &'static str)],
    known: &mut HashMap<SessionId, KnownMap>,
    now: DateTime<Utc>,
) -> outbox::Result<Vec<WalkedSession>> {
    let digests: HashMap<SessionId, &'static str> = missing.iter().copied().collect();
    let mut held = Vec::new();
    for stored in outbox.sessions(source).await? {
        let Some(digest) = digests.get(&stored.id) else { continue };
        let start = json::parse(stored.record.as_bytes()).ok().and_then(|s| s.sessions.first().map(|s| s.start));
        let people = known.remove(&stored.id).unwrap_or_default();
        let reason = if *digest == ABSENT { Reason::Absent } else { Reason::Quarantined };
        let ended = start.is_some_and(|start| start <= now);
        let mut omissions = Vec::new();
        let mut changes = Vec::new();
        for ((_, id), one) in people.iter().filter(|_| !ended) {
            let omission = whole_person(stored.id, *id, reason);
            changes.extend(diff::diff(&[&Decision::Omit(omission.clone())], &one.notices));
            omissions.push(omission);
        }
        held.push(WalkedSession {
            id: stored.id,
            digest: (*digest).to_owned(),
            record: stored.record,
            ambiguous: stored.ambiguous,
            start: start.unwrap_or(now),
            known: people.into_iter().map(|((_, id), one)| (id, Known { notices: Vec::new(), ..one })).collect(),
            changes,
            omissions,
        });
    }
    Ok(held)
}
