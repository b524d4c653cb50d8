//! First looks: what was known before a start, a sleep or a set clock is old, so each source is asked before anything leaves.
//!
//! A look that has ended counts, also one that found nothing to read: then notices go by what the source said last. One that does not end is
//! waited for [`FIRST_LOOK_WITHIN`], so that a source that hangs holds up the others no longer. Sources that are pushed to are not asked: their last
//! snapshot counts.
//!
//! Whoever asks whether something may leave makes sure, at that moment, that the clock was not set and that the machine has not slept: between two
//! timers both can happen.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::{Clock, Reading, Upset};

/// A first look that takes longer is not waited for.
pub const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(60);

/// A halt is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Which sources were asked since the start, the last sleep and the last jump of the clock.
pub struct Looks {
    clock: Arc<dyn Clock>,
    /// Those that are asked.
    sources: Vec<String>,
    round: Mutex<LookRound>,
    /// Sees each change of the round.
    changed: watch::Sender<LookChange>,
    /// Nothing may leave, whoever was asked.
    halted: AtomicBool,
}

/// A look that was begun in another round than the one that reigns when it ends is no first look of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// What began a round; `None`: the start. Or it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LookChange {
    round: u64,
    upset: Option<Upset>,
    done: bool,
}

/// From one start, sleep or jump to the next.
struct LookRound {
    number: u64,
    began: Instant,
    /// The clocks then; `None`: they do not say.
    clocks: Option<Reading>,
    /// Sources that were not asked yet.
    open: BTreeSet<String>,
}

impl Looks {
    /// At a start: no source was asked yet.
    pub fn new(clock: Arc<dyn Clock>, sources: Vec<String>) -> Self {
        let round = LookRound { number: 0, began: Instant::now(), clocks: Reading::of(&*clock), open: sources.iter().cloned().collect() };
        let done = round.open.is_empty();
        let changed = watch::channel(LookChange { round: 0, upset: None, done }).0;
        Self { clock, sources, round: Mutex::new(round), changed, halted: AtomicBool::new(false) }
    }

    /// Whether something may leave: each source has been asked since the last upset, or for long enough.
    pub fn are_done(&self) -> bool {
        let mut round = self.look_at_the_clocks();
        if !round.open.is_empty() && round.began.elapsed() >= FIRST_LOOK_WITHIN {
            let sources: Vec<String> = std::mem::take(&mut round.open).into_iter().collect();
            tracing::error!(?sources, "no answer to the first look: what was said before is in force");
            self.end(&round);
        }
        round.open.is_empty() && !self.halted.load(Ordering::Relaxed)
    }

    /// Whether nothing may leave for another reason.
    pub fn halt(&self, halted: bool) {
        self.halted.store(halted, Ordering::Relaxed);
    }

    /// To be taken before a source is asked.
    pub fn begin(&self) -> Ticket {
        Ticket(self.look_at_the_clocks().number)
    }

    /// It was asked, and has answered or will not.
    pub fn end_of(&self, source: &str, begun: Ticket) {
        let mut round = self.look_at_the_clocks();
        if round.number == begun.0 && round.open.remove(source) && round.open.is_empty() {
            self.end(&round);
        }
    }

    /// Waits until something may leave.
    pub async fn done(&self) {
        let mut changed = self.changed.subscribe();
        while !self.are_done() {
            let longest = FIRST_LOOK_WITHIN.saturating_sub(self.locked().began.elapsed()).max(LOOK_AGAIN);
            tokio::time::timeout(longest, changed.changed()).await.ok();
        }
    }

    /// Tells of each upset from now on.
    pub fn upsets(self: &Arc<Self>) -> Upsets {
        Upsets { round: self.locked().number, changed: self.changed.subscribe() }
    }

    /// Begins a round if the clock was set or the machine slept since the last one began.
    fn look_at_the_clocks(&self) -> MutexGuard<'_, LookRound> {
        let mut round = self.locked();
        let now = Reading::of(&*self.clock);
        if let Some(upset) = now.zip(round.clocks).and_then(|(now, then)| now.upset_since(then)) {
            *round =
                LookRound { number: round.number + 1, began: Instant::now(), clocks: now, open: self.sources.iter().cloned().collect() };
            self.changed.send_replace(LookChange { round: round.number, upset: Some(upset), done: round.open.is_empty() });
        }
        round
    }

    fn end(&self, round: &LookRound) {
        self.changed.send_modify(|change| *change = LookChange { done: true, round: round.number, ..*change });
    }

    fn locked(&self) -> MutexGuard<'_, LookRound> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Looks::upsets`].
pub struct Upsets {
    /// The last one that was told of.
    round: u64,
    changed: watch::Receiver<LookChange>,
}

impl Upsets {
    /// Waits for the next upset. Several that follow each other are told of once, by the last one.
    pub async fn next(&mut self) -> Upset {
        loop {
            let change = *self.changed.borrow_and_update();
            if change.round > self.round
                && let Some(upset) = change.upset
            {
                self.round = change.round;
                return upset;
            }
            if self.changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
