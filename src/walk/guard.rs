//! The guard: too much that changes at once is more likely a fault of the source than the truth. Additions pass; removals and changes wait
//! for an operator, and nothing is sent for the sessions concerned. The next snapshot that is as before clears it.
//!
//! It trips on an empty snapshot after one that was not, and on more than max(3, 20 %) of the future sessions that are removed or cancelled,
//! moved by the same amount of time, or have other connect codes; and on as many that start at another hour on people's clocks although the
//! source says the same, because the zone data or the configuration changed.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::outbox::Guard;
use crate::session::{ParticipationId, Presence, Session, SessionId};

/// So many may always change at once.
const ALWAYS: usize = 3;
/// And so many of a hundred.
const PERCENT: usize = 20;

/// What a guard looks at.
pub(super) struct Changes<'a> {
    /// Future sessions before this snapshot, those that counted as gone left out.
    pub(super) future: usize,
    /// The snapshot lists nothing at all.
    pub(super) empty: bool,
    /// Future sessions that are not listed.
    pub(super) missing: &'a [SessionId],
    /// Sessions that differ: as they were, and as they are.
    pub(super) changed: Vec<(&'a Session, &'a Session)>,
    /// Sessions of which people would be told another hour, although the source says the same.
    pub(super) clocks: Vec<SessionId>,
    /// What an operator let pass.
    pub(super) accepted: Option<&'a str>,
}

/// Which sessions wait.
pub(super) fn judge(changes: &Changes<'_>, now: DateTime<Utc>) -> Guard {
    let limit = ALWAYS.max(changes.future * PERCENT / 100);
    let mut tripped: BTreeMap<SessionId, &'static str> = BTreeMap::new();
    let mut trip = |ids: Vec<SessionId>, kind: &'static str| {
        ids.into_iter().for_each(|id| {
            tripped.entry(id).or_insert(kind);
        });
    };
    let future: Vec<(&Session, &Session)> = changes.changed.iter().filter(|(was, _)| was.start > now).copied().collect();
    let removed = removed(changes.missing, &future);
    if removed.len() > limit || (changes.empty && !removed.is_empty()) {
        trip(removed, "removed");
    }
    for moved in moved(&future).into_values().filter(|ids| ids.len() > limit) {
        trip(moved, "moved");
    }
    let recoded = recoded(&future);
    if recoded.len() > limit {
        trip(recoded.into_iter().map(|(session, _)| session).collect(), "codes");
    }
    if changes.clocks.len() > limit {
        trip(changes.clocks.clone(), "clocks");
    }
    let items: Vec<String> = tripped.iter().map(|(id, kind)| item(*id, kind, &changes.changed)).collect();
    let accepted: HashSet<&str> = changes.accepted.into_iter().flat_map(str::lines).collect();
    let passed = items.iter().all(|item| accepted.contains(item.as_str()));
    Guard { digest: items.join("\n"), sessions: if passed { Vec::new() } else { tripped.into_iter().collect() } }
}

/// One line of a guard's digest: what an operator accepts is this change of this session, and no other.
fn item(id: SessionId, kind: &str, changed: &[(&Session, &Session)]) -> String {
    use sha2::{Digest, Sha256};
    let now = changed.iter().find(|(_, is)| is.id == id).map_or("", |(_, is)| is.record.as_str());
    format!("{id} {kind} {}", data_encoding::HEXLOWER.encode(&Sha256::digest(now.as_bytes())[..8]))
}

fn removed(missing: &[SessionId], changed: &[(&Session, &Session)]) -> Vec<SessionId> {
    let cancelled =
        changed.iter().filter(|(was, is)| is.cancelled && !was.cancelled && was.presence != Presence::Gone).map(|(_, is)| is.id);
    missing.iter().copied().chain(cancelled).collect()
}

/// By how much.
fn moved(changed: &[(&Session, &Session)]) -> HashMap<TimeDelta, Vec<SessionId>> {
    let mut by: HashMap<TimeDelta, Vec<SessionId>> = HashMap::new();
    for (was, is) in changed.iter().filter(|(was, is)| was.start != is.start) {
        by.entry(is.start - was.start).or_default().push(is.id);
    }
    by
}

/// Participations with another connect code.
fn recoded(changed: &[(&Session, &Session)]) -> Vec<(SessionId, ParticipationId)> {
    let pairs = changed.iter().flat_map(|(was, is)| is.participants.iter().filter_map(|p| Some((is.id, p, was.participant(p.id)?))));
    pairs.filter(|(_, is, was)| is.code.is_some() && was.code.is_some() && is.code != was.code).map(|(id, is, _)| (id, is.id)).collect()
}
