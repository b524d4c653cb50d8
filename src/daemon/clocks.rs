//! What a set clock, or a machine that slept, makes of what is known.
//!
//! Timers run by the monotonic clock; what is due is decided by the wall clock. When that was set, all that was decided by the old one is decided
//! again: every session is planned, also what had lapsed; pauses are over; and nothing leaves before the sources were asked
//! ([`looks`](crate::dispatch::looks)).

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::Engine;
use crate::clock::Upset;
use crate::entry::{Entry, State};
use crate::notice::NoticeKey;
use crate::outbox::{self, Action, Filter, Outbox, StoreError};
use crate::retry::{DoubtPolicy, after_doubt};

/// How often the wall clock is held against the machine's own, also when nothing is due.
const CLOCK_LOOK: Duration = Duration::from_secs(5);

impl Engine {
    /// Looks at the clocks. Never ends.
    pub(super) async fn watch_the_clocks(self: Arc<Self>) {
        loop {
            tokio::time::sleep(CLOCK_LOOK).await;
            self.feeds.looks.are_done();
        }
    }

    /// The clock was set, or the machine slept: asks all sources, and wakes all lanes when they are asked.
    pub(super) async fn meet(self: &Arc<Self>, upset: Upset, failed: &mpsc::Sender<StoreError>) -> Result<(), StoreError> {
        // What was not looked at while nobody was awake, or by another clock, was not missing for so long.
        self.outbox.absences_anew().await?;
        match upset {
            Upset::Slept(time) => {
                tracing::info!(seconds = time.num_seconds(), "the machine slept: the sources are asked before anything is sent");
            }
            Upset::Set(jump) => {
                tracing::warn!(
                    seconds = jump.num_seconds(),
                    now = %self.clock.now(),
                    "the clock was set: everything is planned again, and the sources are asked before anything is sent"
                );
                self.outbox.plan_anew().await?;
                self.lanes.iter().for_each(|(lane, _)| lane.forget_pauses());
                forget_waits(&*self.outbox, self.clock.now()).await?;
            }
        }
        self.poll_all(failed);
        let engine = Arc::clone(self);
        let failed = failed.clone();
        tokio::spawn(async move {
            for source in engine.feeds.names.iter().filter(|name| engine.feeds.is_pushed(name)) {
                if let Err(error) = engine.plan_again(source).await {
                    failed.try_send(error).ok();
                }
            }
            engine.feeds.looks.done().await;
            engine.wake_lanes();
        });
        Ok(())
    }

    pub(super) fn wake_lanes(&self) {
        self.lanes.iter().for_each(|(_, wake)| wake.notify_one());
    }
}

/// Back-offs that were reckoned by a clock that was ahead: those notices are tried as soon as they are due.
pub async fn forget_waits(outbox: &dyn Outbox, now: DateTime<Utc>) -> outbox::Result<()> {
    let waiting = outbox.list(&Filter { states: vec![State::Waiting, State::Unknown], ..Filter::default() }).await?;
    let (doubtful, waiting): (Vec<Entry>, Vec<Entry>) = waiting
        .into_iter()
        .filter(|e| e.next_attempt_at.is_some_and(|at| at > e.notice.due_at.max(now)))
        .partition(|e| e.state == State::Unknown);
    let keys: Vec<NoticeKey> = waiting.iter().map(|e| e.notice.key).collect();
    outbox.act(&keys, Action::Retry, now).await?;
    let resends = doubtful.iter().map(|e| (e.notice.key, resend_at(e, now)));
    outbox.resolve_doubt(now, resends.collect()).await?;
    Ok(())
}

/// When a message in doubt is sent again that was to be sent again: as if the doubt had come up now.
fn resend_at(entry: &Entry, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let n = &entry.notice;
    let at = after_doubt(DoubtPolicy::Resend, n, false, now);
    at.min(entry.next_attempt_at)
}
