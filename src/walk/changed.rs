//! What a list says that is new, and what it misses, beside what the last walk left.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::elsewhere::Beside;
use super::occupied;
use super::parts::UnreadSessions;
use crate::outbox::{self, Outbox, Seen, SeenSession};
use crate::plan::NotJoined;
use crate::session::stored::StoredSession;
use crate::session::{Presence, Session, SessionId, Snapshot, SnapshotKind, TakenFor};
use crate::source::{ambiguity, json};

/// What the last walk left of what is to come, or may still be told of, and of what the snapshot lists: what is over is not read.
pub(super) async fn seen(outbox: &dyn Outbox, source: &str, snapshot: &Snapshot, now: DateTime<Utc>) -> outbox::Result<Option<Seen>> {
    let Some(mut seen) = outbox.seen_from(source, now - NotJoined::LONGEST).await? else { return Ok(None) };
    let unknown: Vec<SessionId> = snapshot.sessions.iter().map(|s| s.id).filter(|id| !seen.sessions.contains_key(id)).collect();
    if !unknown.is_empty() {
        seen.sessions.extend(outbox.seen_among(source, &unknown).await?);
    }
    Ok(Some(seen))
}

/// Sessions to plan, with their new digests: those of this source, as all sources together tell them.
pub(super) fn changed<'a>(snapshot: &'a Snapshot, beside: &Beside, seen: Option<&Seen>, all: bool) -> Vec<(Cow<'a, Session>, String)> {
    let listed = |is: Presence| matches!(is, Presence::Listed | Presence::Guarded | Presence::Kept);
    let as_it_was = |last: &SeenSession, digest: &str| last.digest == digest && listed(last.presence) && !last.replan;
    let last = |id: SessionId| seen.and_then(|s| s.sessions.get(&id));
    let own = snapshot.sessions.iter().filter(|s| !beside.second.contains(&s.id));
    let told = own.map(|s| beside.together.get(&s.id).map_or(Cow::Borrowed(s), |together| Cow::Owned(together.clone())));
    let digested = told.map(|s| (digest(&s), s));
    let changed = digested.filter(|(d, s)| all || !last(s.id).is_some_and(|last| as_it_was(last, d)));
    changed.map(|(digest, session)| (session, digest)).collect()
}

/// A session of another source is told in another way now. One that is held as absent or guarded is looked at when its own source tells it again.
/// What its own source says twice, or gives to somebody though it is another one's, stays so until that one is read again.
pub(super) fn differs<'s>(together: &'s Session, stored: &StoredSession) -> Option<&'s Session> {
    let of_its_own = |why: &str| ambiguity::is_told_twice(why) || occupied::is_of_another(why);
    let is_its_own = stored.ambiguous.iter().any(|(_, why)| of_its_own(why));
    let counts = matches!(stored.presence, Presence::Listed | Presence::Unknown) && !is_its_own;
    (counts && digest(together) != stored.digest).then_some(together)
}

/// Digest of a record and of what other records say about it.
pub(super) fn digest(session: &Session) -> String {
    let mut hash = Sha256::new();
    hash.update(json::without_layout(&session.record.text).as_bytes());
    hash.update(session.record.taken_for.map_or("", TakenFor::as_str));
    hash.update(session.twice.as_bytes());
    for person in session.participants.iter().filter(|p| p.ambiguous.is_some()) {
        hash.update(person.id.0.to_be_bytes());
        hash.update(person.ambiguous.as_deref().unwrap_or_default());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}

/// Sessions that were seen before, start in the future, and are not in the snapshot as sessions: absent, unreadable or unheard. An absent one
/// is looked at in every walk until it counts as gone, the others once; likewise those that have started and may still be told of. `all`: what is as it
/// was is looked at, too.
pub(super) fn missing(
    (snapshot, unheard): (&Snapshot, &UnreadSessions),
    seen: Option<&Seen>,
    all: bool,
    now: DateTime<Utc>,
) -> Vec<(SessionId, Presence)> {
    let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
    let decided = seen.map(|s| s.guard.decided().collect::<HashSet<SessionId>>()).unwrap_or_default();
    let unreadable: HashSet<SessionId> = snapshot.unreadable().collect();
    let runs = |start: DateTime<Utc>| start <= now && now - start < NotJoined::LONGEST;
    let unlisted = seen.into_iter().flat_map(|s| &s.sessions).filter(|(id, s)| !listed.contains(id) && (s.start > now || runs(s.start)));
    let is = |id: &SessionId, was: &SeenSession| {
        let extent = match snapshot.kind {
            SnapshotKind::Delta => SnapshotKind::Delta,
            _ if unheard.may_list(*id) => SnapshotKind::Partial,
            _ => SnapshotKind::Full,
        };
        let again = all || was.replan;
        if runs(was.start) {
            let is = match extent {
                _ if unreadable.contains(id) => Some(Presence::Unreadable),
                SnapshotKind::Full => Some(Presence::Absent),
                SnapshotKind::Partial => Some(Presence::Unknown),
                SnapshotKind::Delta => None,
            };
            return is.filter(|_| was.presence == Presence::Listed || again);
        }
        match (extent, was.presence) {
            _ if unreadable.contains(id) => Some(Presence::Unreadable).filter(|is| was.presence != *is || was.replan),
            (SnapshotKind::Full, Presence::Guarded | Presence::Kept) if was.digest.is_empty() => Some(Presence::Absent).filter(|_| again),
            (SnapshotKind::Full, is) => Some(Presence::Absent).filter(|_| is != Presence::Gone || again),
            (SnapshotKind::Partial, Presence::Listed) => Some(Presence::Unknown),
            (SnapshotKind::Partial, Presence::Unknown) => Some(Presence::Unknown).filter(|_| again),
            // It stays so; but this is no list that misses it, so the next one is the first in a row.
            (SnapshotKind::Partial, Presence::Absent) => Some(Presence::Unknown),
            // What an operator decided of it is done with what lists it, and asked for until then.
            (SnapshotKind::Delta, Presence::Listed) => Some(Presence::Listed).filter(|_| again && !(was.replan && decided.contains(id))),
            // It is held already, or gone.
            (SnapshotKind::Partial | SnapshotKind::Delta, _) => None,
        }
    };
    let mut missing: Vec<(SessionId, Presence)> = unlisted.filter_map(|(id, s)| Some((*id, is(id, s)?))).collect();
    missing.sort_unstable_by_key(|(id, _)| *id);
    missing
}
