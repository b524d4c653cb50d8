//! One run of a lane: what is in hand, and what came of it so far.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;

use super::lane::Lane;
use super::prepare::Ready;
use super::queue::Queue;
use super::{BATCH, Dispatcher, Span, Tally, defect};
use crate::outbox::{self, Settlement};

/// One run of a lane: what is in the air, and what came of it so far.
pub(super) struct Flight {
    pub(super) lane: Arc<Lane>,
    pub(super) span: Span,
    pub(super) queue: Arc<Queue>,
    pub(super) flying: JoinSet<outbox::Result<Settlement>>,
    pub(super) tally: Tally,
    /// Until then nothing more is due; `None`: something may be.
    pub(super) nothing_before: Option<DateTime<Utc>>,
}

impl Flight {
    pub(super) fn new(lane: Arc<Lane>, span: Span) -> Self {
        let queue = Arc::new(Queue::new(lane.concurrency()));
        Self { lane, span, queue, flying: JoinSet::new(), tally: Tally::default(), nothing_before: None }
    }

    pub(super) fn take_off(&mut self, dispatcher: &Arc<Dispatcher>, ready: Box<Ready>) {
        self.queue.put(ready);
        let (me, lane, queue, span) = (Arc::clone(dispatcher), Arc::clone(&self.lane), Arc::clone(&self.queue), self.span.clone());
        self.flying.spawn(async move { me.hand_over(&lane, &queue, &span).await });
    }

    /// How many may be claimed now.
    pub(super) fn room(&self, now: DateTime<Utc>) -> usize {
        // After a fault one message asks for all: the others wait for its end.
        let probing = self.lane.is_on_probation() && !self.flying.is_empty();
        if self.stands_still(now) || probing || self.nothing_before.is_some_and(|at| at > now) {
            return 0;
        }
        let turns = self.lane.room(now).map_or(BATCH, |(turns, _)| turns.saturating_sub(self.flying.len()));
        turns.min(self.queue.room(self.flying.len()))
    }

    pub(super) fn stands_still(&self, now: DateTime<Utc>) -> bool {
        self.span.is_over() || self.lane.is_closed(now) || !self.span.may_send()
    }

    /// One is down. It may be due again, or, if refusals turned out to be about us, others may.
    pub(super) fn lands(&mut self, landed: Result<outbox::Result<Settlement>, tokio::task::JoinError>) -> outbox::Result<()> {
        let end = landing(landed)?;
        self.nothing_before = None;
        self.tally.add(&end);
        Ok(())
    }
}

/// A task's result; a panic in it is a defect of ours, and the claim stays for the next start to take back.
pub(super) fn landing(landed: Result<outbox::Result<Settlement>, tokio::task::JoinError>) -> outbox::Result<Settlement> {
    landed.unwrap_or_else(|e| Err(defect("hand-over", &e)))
}
