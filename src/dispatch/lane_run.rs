//! One run of a lane: what is in hand, and what came of it so far.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::attempt::{Attempt, AttemptContext};
use super::lane::Lane;
use super::queue::Queue;
use super::ready::Ready;
use super::worker::{RunContext, WorkerEvent};
use super::{BATCH, Dispatcher, Span, Tally, defect};
use crate::clock::Clock;
use crate::outbox;

/// From one look at what other processes noted to the next, at most, while its channel pauses.
const HEAR_AGAIN: TimeDelta = TimeDelta::seconds(2);

/// One run of a lane: what is in flight, and what came of it so far.
pub(super) struct LaneRun {
    pub(super) lane: Arc<Lane>,
    pub(super) span: Span,
    pub(super) shared: Arc<RunContext>,
    /// One for each connection that is in use.
    workers: JoinSet<outbox::Result<()>>,
    tells: UnboundedSender<WorkerEvent>,
    events: UnboundedReceiver<WorkerEvent>,
    /// Begun, and without an end.
    pub(super) in_flight: usize,
    pub(super) tally: Tally,
    /// Until then nothing more is due; `None`: something may be.
    pub(super) nothing_before: Option<DateTime<Utc>>,
}

impl LaneRun {
    pub(super) fn new(dispatcher: Arc<Dispatcher>, lane: Arc<Lane>, span: Span) -> Self {
        let queue = Queue::new(lane.concurrency());
        let (outbox, clock) = (Arc::clone(&dispatcher.outbox), Arc::clone(&dispatcher.clock));
        let context = AttemptContext { outbox, clock, lane: Arc::clone(&lane), span: span.clone() };
        let shared = Arc::new(RunContext { context: Arc::new(context), dispatcher, queue });
        let (tells, events) = unbounded_channel();
        Self { lane, span, shared, workers: JoinSet::new(), tells, events, in_flight: 0, tally: Tally::default(), nothing_before: None }
    }

    pub(super) fn start(&mut self, ready: Box<Ready>) {
        self.shared.queue.put(Box::new(Attempt::new(Arc::clone(&self.shared.context), ready)));
        self.in_flight += 1;
        self.work();
    }

    /// Each free connection is worked on, if something waits.
    fn work(&mut self) {
        while self.shared.queue.takes_connection() {
            self.workers.spawn(Arc::clone(&self.shared).work(self.tells.clone()));
        }
    }

    /// How many may be claimed now.
    pub(super) fn room(&self, now: DateTime<Utc>) -> usize {
        // After a fault one message asks for all: the others wait for its end.
        let probing = self.lane.is_suspect() && self.in_flight > 0;
        if self.stands_still(now) || probing || self.nothing_before.is_some_and(|at| at > now) {
            return 0;
        }
        let turns = self.lane.room(now).map_or(BATCH, |(turns, _)| turns.saturating_sub(self.in_flight));
        turns.min(self.shared.queue.room(self.in_flight))
    }

    /// It goes on; and what other processes noted of its transports is known here, too.
    pub(super) async fn looks_up(&self, clock: &dyn Clock) -> outbox::Result<()> {
        self.lane.meter().heartbeat(self.in_flight);
        self.shared.queue.has_connections(self.lane.concurrency());
        self.lane.refresh_transports(clock).await
    }

    /// When it is looked at again whether a transport of its lane is fit.
    pub(super) fn reopens_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let hears_at = self.lane.is_shared().then_some(now + HEAR_AGAIN);
        [self.lane.reopens_at(), hears_at].into_iter().flatten().min()
    }

    pub(super) fn stands_still(&self, now: DateTime<Utc>) -> bool {
        self.span.is_over() || self.lane.is_closed(now) || !self.span.may_send()
    }

    /// Until some have ended: they may be due again, or, if refusals turned out to be about us, others may. For ever, if nothing is in flight.
    pub(super) async fn ended(&mut self) -> outbox::Result<()> {
        tokio::select! {
            Some(event) = self.events.recv(), if self.in_flight > 0 => self.handle(event),
            Some(done) = self.workers.join_next() => leaves(done)?,
            else => std::future::pending().await,
        }
        // The answers of one commit come together.
        while let Ok(event) = self.events.try_recv() {
            self.handle(event);
        }
        while let Some(done) = self.workers.try_join_next() {
            leaves(done)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Ended(end) => {
                self.in_flight -= 1;
                self.nothing_before = None;
                self.tally.add(&end);
            }
            WorkerEvent::Requeued => self.work(),
        }
    }

    /// What waits for a connection goes back.
    pub(super) async fn give_back(&self) -> outbox::Result<()> {
        while let Some(attempt) = self.shared.queue.any() {
            self.shared.give_back(attempt, &self.tells).await?;
        }
        Ok(())
    }
}

/// Whoever worked on a connection has no more to do. A panic is a defect of ours, and the claim stays for the next start to take back.
fn leaves(done: Result<outbox::Result<()>, tokio::task::JoinError>) -> outbox::Result<()> {
    done.unwrap_or_else(|e| Err(defect("hand-over", &e)))
}
