//! A planned walk is applied: whole, or in parts if all that it has are new sessions.
//!
//! What changes, moves or ends what was there is one write, decided upon the whole list, and the guard has looked at all of it. Of a list that only adds,
//! each session is whole: the first few are written and may leave while the others are planned. What says that the source was read to its end (it is
//! filled, it was whole, which part of it lists what) is written with the last of them. So a crash in between leaves a source that has not said all yet,
//! and the next walk finds what is left as new as it was.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

use super::work::Work;
use super::{Elsewhere, ROUNDS, WalkSummary, Walker};
use crate::guard::GuardChange;
use crate::outbox::{self, Applied, Outbox, ReplaysAfterRestore, Walk, WalkedSession};
use crate::session::{Session, SessionId};

/// Sessions of the first part: so few that its messages leave at once. Each part has twice as many as the one before.
pub const FIRST_PART: usize = 64;
/// And at most so many: each part writes most pages of the store's indexes once more, and whoever hands over meanwhile waits for it.
const LARGEST_PART: usize = 2048;

/// What a walk tells while it goes on.
pub enum WalkProgress<'a> {
    /// This is new, or told in another way, and will be written as it stands in the snapshot.
    Listed(&'a Session),
    /// A part of a list that only adds is in, and more of it comes.
    Part,
}

/// A walk that is planned, and not applied yet.
pub(super) struct Planned<'a> {
    pub(super) walk: Walk,
    /// What may be planned again.
    pub(super) work: Vec<Work<'a>>,
    /// What is planned once that is applied: new sessions only.
    pub(super) later: VecDeque<Vec<Work<'a>>>,
    pub(super) walker: Walker<'a>,
    pub(super) report: WalkSummary,
    /// The first fill was over before it.
    pub(super) was_filled: bool,
}

impl Planned<'_> {
    /// Applies it, and tells of it: of the sessions of each part before it is written, and of each part but the last. What was touched since it was read is read and planned again, until nothing is.
    pub(super) async fn apply(
        mut self,
        outbox: &dyn Outbox,
        elsewhere: &mut Elsewhere,
        told: &(dyn Fn(WalkProgress<'_>) + Send + Sync),
    ) -> outbox::Result<WalkSummary> {
        let (at, source) = (self.walk.at, self.walk.source.clone());
        let mut applied = Applied::default();
        tell(&self.work, told);
        while let Some(next) = self.later.pop_front() {
            tell(&next, told);
            let sessions = std::mem::take(&mut self.walk.sessions);
            let part = Walk { sessions, ..self.in_part() };
            let planning = async { self.walker.sessions(&next) };
            // They are planned while the others are written.
            let (then, sessions) = tokio::join!(biased; put(outbox, elsewhere, part), planning);
            add(&mut applied, then?);
            if applied.overtaken {
                return Ok(WalkSummary { applied, ..self.report });
            }
            self.walk.after = Some(applied.walks);
            self.report.planned += sessions.len();
            (self.walk.sessions, self.work) = (sessions, next);
            told(WalkProgress::Part);
            tokio::task::yield_now().await;
        }
        for _ in 0..ROUNDS {
            let heard = self.walk.heard;
            let then = put(outbox, elsewhere, self.walk).await?;
            let touched: HashSet<SessionId> = then.touched.iter().copied().collect();
            add(&mut applied, then);
            if heard {
                self.report.walks = applied.walks;
            }
            if touched.is_empty() || applied.overtaken {
                break;
            }
            self.work.retain(|work| touched.contains(&work.id()));
            let ids: Vec<SessionId> = self.work.iter().map(Work::id).collect();
            self.walker.read(outbox, &ids).await?;
            let (sessions, after) = (self.walker.sessions(&self.work), Some(applied.walks));
            self.walk = Walk { source: source.clone(), at, sessions, after, ..Walk::default() };
        }
        Ok(WalkSummary { applied, ..self.report })
    }

    /// The walk as it is written before its last part: not all that the source says is there yet.
    fn in_part(&self) -> Walk {
        let Walk { source, at, heard, policy_digest, faults, adopting, after, .. } = &self.walk;
        Walk {
            source: source.clone(),
            at: *at,
            heard: *heard,
            whole: false,
            policy_digest: policy_digest.clone(),
            sessions: Vec::new(),
            faults: faults.clone(),
            guard: GuardChange::default(),
            filled: self.was_filled,
            adopting: adopting.clone(),
            parts: None,
            after: *after,
            also: None,
        }
    }
}

/// (What is planned otherwise than its source says is no longer as it stands in the snapshot.)
fn tell(work: &[Work<'_>], told: &(dyn Fn(WalkProgress<'_>) + Send + Sync)) {
    for one in work {
        if let Work::Listed(session, _) = one
            && let Cow::Borrowed(session) = &**session
        {
            told(WalkProgress::Listed(session));
        }
    }
}

fn add(all: &mut Applied, then: Applied) {
    all.added += then.added;
    all.moved += then.moved;
    all.ended += then.ended;
    all.touched = then.touched;
    all.overtaken = then.overtaken;
    all.walks = then.walks;
}

async fn put(outbox: &dyn Outbox, elsewhere: &mut Elsewhere, walk: Walk) -> outbox::Result<Applied> {
    let remembered: Option<(_, Vec<WalkedSession>)> = elsewhere.is_read().then(|| (walk.also.clone(), walk.sessions.clone()));
    let (source, at) = (walk.source.clone(), walk.at);
    let then = outbox.apply(walk).await?;
    if then.overtaken {
        return Ok(then);
    }
    elsewhere.has_walked(then.walks);
    if let Some((also, mut sessions)) = remembered {
        let touched: HashSet<SessionId> = then.touched.iter().copied().collect();
        sessions.retain(|s| !touched.contains(&s.id));
        elsewhere.applied(&source, also.as_deref(), &sessions, at);
    }
    Ok(then)
}

/// The work in its parts: the first one, and the others. All of it is the first, unless it is new.
pub(super) fn in_parts<'a>(mut work: Vec<Work<'a>>, walker: &Walker<'_>) -> (Vec<Work<'a>>, VecDeque<Vec<Work<'a>>>) {
    let is_new = |one: &Work<'_>| matches!(one, Work::Listed(session, _) if !walker.before.contains_key(&session.id) && !walker.places.contains_key(&session.id));
    // After a restore it is the whole list that tells what is found again.
    if work.len() <= FIRST_PART || walker.replays_after_restore != ReplaysAfterRestore::Nobody || !work.iter().all(is_new) {
        return (work, VecDeque::new());
    }
    // Whoever is told first is in the first.
    work.sort_by_key(|one| if let Work::Listed(session, _) = one { Some(session.start) } else { None });
    let (mut rest, mut later, mut size) = (work.split_off(FIRST_PART), VecDeque::new(), FIRST_PART);
    while !rest.is_empty() {
        size = (size * 2).min(LARGEST_PART);
        let others = rest.split_off(size.min(rest.len()));
        later.push_back(std::mem::replace(&mut rest, others));
    }
    // Within a part no order matters, and neighbours of the store's indexes are written together.
    for part in std::iter::once(&mut work).chain(&mut later) {
        part.sort_unstable_by_key(Work::id);
    }
    (work, later)
}
