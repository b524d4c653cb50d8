//! What one walk looks at: what the list says that is new, what it misses, and what other sources say beside it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::adoption::{Fill, adopting};
use super::changed::{changed, differs, missing, seen};
use super::elsewhere::{Beside, Elsewhere};
use super::occupied::Occupancy;
use super::parts::{self, UnreadSessions};
use super::work::Work;
use super::{WalkSummary, Walker, held, lately};
use crate::guard::Member;
use crate::outbox::{self, NotedSession, Outbox, Seen, Walk};
use crate::plan::Policy;
use crate::session::{Presence, Session, SessionId, Snapshot};

/// Between the digest of the policy and what the source was asked for, as the store remembers them.
const ASKED: &str = "; ";

/// With which policy the last walk decided, and what it had asked for.
pub(super) fn decided_with(stored: &str) -> (&str, &str) {
    stored.split_once(ASKED).unwrap_or((stored, ""))
}

pub(super) struct Scope<'a> {
    source: &'a str,
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    now: DateTime<Utc>,
    /// What the last walk left; `None`: there was none.
    seen: Option<Seen>,
    /// In the place of that, for a first list with sessions that move here: it is news, but for what another source said before.
    first: Option<Seen>,
    policy_digest: String,
    /// What the source was asked for then.
    asked_before: String,
    fill: Fill,
    unheard: UnreadSessions,
    beside: Beside,
    /// What waits, or was decided, of sessions that move here.
    carried: Vec<Member>,
    /// New or changed sessions, with their digests.
    changed: Vec<(Cow<'a, Session>, String)>,
    missing: Vec<(SessionId, Presence)>,
    /// Sessions that another source lists instead: where they go, as that one says them.
    moves: BTreeMap<SessionId, (String, Session)>,
    /// Sessions of other sources that are told in another way now.
    marked: Vec<SessionId>,
    /// Sessions that the guard keeps under another source: see [`Work::LooksAgain`].
    look_again: Vec<SessionId>,
}

impl<'a> Scope<'a> {
    pub(super) async fn read(
        outbox: &dyn Outbox,
        elsewhere: &mut Elsewhere,
        (source, snapshot): (&'a str, &'a Snapshot),
        policy: &'a Policy,
        now: DateTime<Utc>,
    ) -> outbox::Result<Self> {
        let mut seen = seen(outbox, source, snapshot, now).await?;
        let policy_digest = policy.digest();
        let (policy_before, asked_before) = seen.as_ref().map(|s| decided_with(&s.policy_digest)).unwrap_or_default();
        let asked_before = asked_before.to_owned();
        let all = seen.as_ref().is_none_or(|s| policy_before != policy_digest || !policy.believes(s.last_snapshot_at, now));
        let fill = Fill::of(snapshot, seen.as_ref());
        let unheard = UnreadSessions::of(snapshot, seen.as_ref());
        let mut missing = missing((snapshot, &unheard), seen.as_ref(), all, now);
        let mut beside = elsewhere.beside(outbox, (source, snapshot), &missing, policy, now).await?;
        let carried = held::carried(outbox, source, &beside.from, now).await?;
        if let Some(seen) = &mut seen {
            seen.guard.members.extend(carried.iter().cloned());
        }
        let first = (seen.is_none() && !beside.from.is_empty()).then(|| held::first(carried.clone(), now));
        let moves = std::mem::take(&mut beside.moves);
        missing.retain(|(id, _)| !moves.contains_key(id));
        let changed = if fill == Fill::Waits { Vec::new() } else { changed(snapshot, &beside, seen.as_ref(), all) };
        let told_otherwise = |(id, (_, stored)): (&SessionId, &(String, _))| differs(beside.together.get(id)?, stored).map(|_| *id);
        let marked = beside.others.iter().filter_map(told_otherwise).collect();
        let look_again = held::kept_elsewhere(&beside);
        Ok(Self {
            source,
            snapshot,
            policy,
            now,
            seen,
            first,
            policy_digest,
            asked_before,
            fill,
            unheard,
            beside,
            carried,
            changed,
            missing,
            moves,
            marked,
            look_again,
        })
    }

    /// The walker, with all that it needs of the store; and what may be another one's.
    pub(super) async fn walker(&mut self, outbox: &dyn Outbox) -> outbox::Result<(Walker<'a>, Occupancy<'a>)> {
        let mut places: HashMap<SessionId, String> = self.beside.from.clone();
        places.extend(self.marked.iter().chain(&self.look_again).map(|id| (*id, self.beside.others[id].0.clone())));
        let occupied = Occupancy::of((self.snapshot, &self.unheard), &self.changed, self.seen.as_ref());
        // Of a list that says nothing new nobody gets anything.
        let is_new = !self.changed.is_empty() || !self.moves.is_empty() || !self.missing.is_empty();
        let lately = if is_new { lately::by_session(outbox.lately(self.now).await?) } else { HashMap::new() };
        let ids = self.ids(&occupied, &lately);
        let mut walker = Walker::of(outbox, (self.source, self.policy), places, self.now).await?;
        let (seen, asked) = (self.seen.as_ref(), &self.snapshot.asked);
        walker.unread_elsewhere = std::mem::take(&mut self.beside.unread);
        walker.first_fill = self.fill == Fill::First && !self.policy.adopt_invites;
        walker.adopting = seen.iter().flat_map(|s| s.adopting.iter().copied()).collect();
        let parts_unheard = parts::unheard_since(self.snapshot, seen, self.policy, self.now);
        walker.unheard = self.beside.unheard.into_iter().chain(parts_unheard).min();
        walker.asked_anew = !asked.is_empty() && !self.asked_before.is_empty() && self.asked_before != *asked;
        walker.noted_elsewhere = lately::places(&lately, self.source);
        walker.lately = lately;
        walker.read(outbox, &ids).await?;
        let new = self.changed.iter().filter(|(session, _)| !walker.before.contains_key(&session.id)).count();
        walker.comes_singly = lately::come_singly(new, self.was_filled());
        walker.left = walker.left_in(&self.changed, &occupied, &self.listed_there());
        walker.occupied(&mut self.changed, &self.missing, &occupied);
        Ok((walker, occupied))
    }

    /// Sessions of which the walker needs what the store holds.
    fn ids(&self, occupied: &Occupancy<'_>, lately: &HashMap<SessionId, NotedSession>) -> Vec<SessionId> {
        let mut ids: Vec<SessionId> = self.changed.iter().map(|(s, _)| s.id).chain(self.missing.iter().map(|(id, _)| *id)).collect();
        ids.extend(self.moves.keys().chain(&self.marked).chain(&self.look_again));
        if !self.changed.is_empty() {
            // Whoever comes may be one of those whom the guard keeps elsewhere.
            ids.extend(self.seen.iter().flat_map(|s| s.guard.displaced()));
            ids.extend(lately.keys());
        }
        ids.extend(occupied.ids());
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Sessions that move to another source, as they are told there.
    fn listed_there(&self) -> Vec<&Session> {
        self.moves.iter().map(|(id, (_, said))| self.beside.together.get(id).unwrap_or(said)).collect()
    }

    /// Asks the guard: what waits for an operator stays where it is.
    pub(super) async fn judge(&mut self, outbox: &dyn Outbox, walker: &mut Walker<'_>, occupied: &Occupancy<'_>) -> outbox::Result<()> {
        let Some(seen) = self.seen.as_ref().or(self.first.as_ref()) else { return Ok(()) };
        walker.judge(outbox, self.snapshot, seen, (&self.changed, &self.missing, &self.listed_there())).await?;
        walker.holds_back(&mut self.changed, occupied, seen);
        let Self { moves, missing, .. } = self;
        moves.retain(|id, _| {
            let stays = walker.stays(*id);
            missing.extend(stays.then_some((*id, Presence::Absent)));
            !stays
        });
        Ok(())
    }

    /// What is planned, in this order: what is listed, what is missing, what moves, and what other sources have.
    pub(super) fn work(&mut self, walker: &Walker<'_>) -> Vec<Work<'a>> {
        let looked_at = self.changed.iter().map(|(session, _)| session.id).chain(self.missing.iter().map(|(id, _)| *id));
        let elsewhere = self.moves.keys().chain(&self.marked).chain(&self.look_again).copied();
        let heirs = walker.heirs(looked_at.chain(elsewhere));
        let together = &self.beside.together;
        let marked =
            self.marked.iter().filter_map(|id| together.get(id).cloned()).chain(heirs).map(|session| Work::Marked(Box::new(session)));
        let moves = std::mem::take(&mut self.moves).into_iter();
        let moves = moves.map(|(id, (to, said))| Work::Moves(to, Box::new(together.get(&id).cloned().unwrap_or(said))));
        let listed = std::mem::take(&mut self.changed).into_iter().map(|(session, digest)| Work::Listed(Box::new(session), digest));
        let missing = self.missing.iter().map(|(id, why)| Work::Missing(*id, *why));
        let look_again = self.look_again.iter().copied().map(Work::LooksAgain);
        listed.chain(missing).chain(moves).chain(marked).chain(look_again).collect()
    }

    /// What the guard judged by, if it did.
    pub(super) fn judged(&self) -> Option<&Seen> {
        self.seen.as_ref().or(self.first.as_ref())
    }

    pub(super) fn carried(&self) -> &[Member] {
        &self.carried
    }

    /// The first fill was over before this walk.
    pub(super) fn was_filled(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.filled)
    }

    /// What can be said before anything is planned.
    pub(super) fn report(&self) -> WalkSummary {
        WalkSummary {
            sessions: self.snapshot.sessions.len(),
            faults: self.snapshot.told().count,
            waits: self.fill == Fill::Waits,
            ..WalkSummary::default()
        }
    }

    /// What is written of the source itself.
    pub(super) fn walk(self) -> Walk {
        let (snapshot, seen, whole) = (self.snapshot, self.seen.as_ref(), self.snapshot.is_whole());
        let asked = if whole && !snapshot.asked.is_empty() { &snapshot.asked } else { &self.asked_before };
        Walk {
            source: self.source.to_owned(),
            at: self.now,
            heard: true,
            whole,
            policy_digest: if asked.is_empty() { self.policy_digest.clone() } else { format!("{}{ASKED}{asked}", self.policy_digest) },
            faults: snapshot.told().lines(),
            // A change is told of by itself, and ends no first fill.
            filled: self.fill == Fill::First || self.was_filled(),
            adopting: adopting(snapshot, seen, self.fill, self.policy),
            parts: parts::now(snapshot, seen, self.now),
            also: self.beside.also,
            ..Walk::default()
        }
    }
}
