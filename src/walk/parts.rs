//! Of a source that is read in parts (the files of a folder, the lists of hosts) some may not be readable: what they list, nobody can know now.
//!
//! What stood in a part that was read, and stands there no more, is absent at once. It may have gone to a part that cannot be read: so it counts as
//! cancelled only once that one was read, or is not believed any more. Pure.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::outbox::{Seen, SourcePart};
use crate::plan::Policy;
use crate::session::{SessionId, Snapshot, SnapshotKind, SnapshotPart};

/// What a snapshot cannot say of the sessions that it does not list.
pub(super) enum UnreadSessions {
    /// It says of all that they are not there; or it tells of a change only.
    Nobody,
    /// Each of them may stand in what cannot be read.
    All,
    /// These may: they stood in a part that cannot be read now. All others left the parts that were read.
    These(HashSet<SessionId>),
}

impl UnreadSessions {
    pub(super) fn of(snapshot: &Snapshot, seen: Option<&Seen>) -> Self {
        if snapshot.kind == SnapshotKind::Delta || snapshot.is_whole() {
            return Self::Nobody;
        }
        let stored = seen.map(|seen| seen.parts.as_slice()).unwrap_or_default();
        if stored.is_empty() || snapshot.parts.is_empty() {
            return Self::All;
        }
        let unread = stored.iter().filter(|part| is_unread(snapshot, &part.name));
        Self::These(unread.flat_map(|part| &part.sessions).copied().collect())
    }

    pub(super) fn is_any(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// A session that is not listed may stand in what cannot be read.
    pub(super) fn may_list(&self, id: SessionId) -> bool {
        match self {
            Self::Nobody => false,
            Self::All => true,
            Self::These(unread) => unread.contains(&id),
        }
    }
}

/// A part that is there no more has nothing left to be read.
fn is_unread(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.parts.iter().any(|part| part.name == name && !part.whole)
}

/// When a part that cannot be read now, and is believed, was read last; of several, the one that was so the longest ago.
pub(super) fn unheard_since(snapshot: &Snapshot, seen: Option<&Seen>, policy: &Policy, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let seen = seen?;
    let read_at = |part: &SnapshotPart| {
        let stored = seen.parts.iter().find(|stored| stored.name == part.name);
        stored.and_then(|stored| stored.read_at).max(seen.whole_at)
    };
    let unread = snapshot.parts.iter().filter(|part| !part.whole);
    unread.filter_map(read_at).filter(|then| policy.believes(*then, now)).min()
}

/// The parts as the store shall remember them. `None`: as it does.
pub(super) fn now(snapshot: &Snapshot, seen: Option<&Seen>, now: DateTime<Utc>) -> Option<Vec<SourcePart>> {
    let stored = seen.map(|seen| seen.parts.as_slice()).unwrap_or_default();
    // What a part that cannot be read lists must have been known before.
    if snapshot.kind == SnapshotKind::Delta || (stored.is_empty() && !snapshot.is_whole()) {
        return None;
    }
    let read_at = (!snapshot.is_whole()).then_some(now);
    let mut parts: Vec<SourcePart> = snapshot.parts.iter().map(|part| remembered(part, stored, read_at)).collect();
    parts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let listed = |parts: &[SourcePart]| parts.iter().map(|part| (part.name.clone(), part.sessions.clone())).collect::<Vec<_>>();
    let as_it_was = read_at.is_none() && listed(&parts) == listed(stored);
    (!as_it_was).then_some(parts)
}

/// A part that was not read whole may list what it did.
fn remembered(part: &SnapshotPart, stored: &[SourcePart], read_at: Option<DateTime<Utc>>) -> SourcePart {
    let last = stored.iter().find(|stored| stored.name == part.name).filter(|_| !part.whole);
    let mut sessions: Vec<SessionId> = last.iter().flat_map(|last| &last.sessions).chain(&part.sessions).copied().collect();
    sessions.sort_unstable();
    sessions.dedup();
    let read_at = if part.whole { read_at } else { last.and_then(|last| last.read_at) };
    SourcePart { name: part.name.clone(), read_at, sessions }
}
