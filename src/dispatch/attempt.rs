//! One attempt: over the best transport that is fit, to its outcome, and into the store.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Semaphore;

use super::lane::Lane;
use super::prepare::{Ready, fenced};
use super::{CHANNEL_FAULT, Dispatcher, Span};
use crate::deliver::PointOfNoReturn;
use crate::notice::NoticeKey;
use crate::outbox::{self, Lease, Outbox, Settlement, StoreError};
use crate::outcome::Outcome;
use crate::retry::{after_doubt, next_attempt};

/// What must be left of the lease when an attempt passes its point of no return: longer than the wait for the answer (10 min).
const MARGIN: TimeDelta = TimeDelta::minutes(11);

/// Asks the store to let the attempt pass.
struct Crossing<'a> {
    outbox: &'a dyn Outbox,
    lease: Lease,
    revision: i64,
    /// The transport that is on record: at first the one that it was begun for.
    over: Mutex<Cow<'a, str>>,
    /// It is past its point of no return with that one.
    crossed: AtomicBool,
    /// The store failed: nothing may go out any more.
    failure: Mutex<Option<StoreError>>,
}

#[async_trait]
impl PointOfNoReturn for Crossing<'_> {
    async fn cross(&self) -> bool {
        match self.outbox.doubt(self.lease, self.revision, MARGIN).await {
            Ok(ours) => {
                self.crossed.store(ours, Ordering::SeqCst);
                ours
            }
            Err(e) => {
                self.fail(e);
                false
            }
        }
    }

    /// After a store that failed nothing crosses. One that refused it behind the point of no return gave an answer: the next one has a point of its
    /// own.
    async fn goes_over(&self, transport: &str) {
        if *locked(&self.over) == transport && !self.crossed.load(Ordering::SeqCst) {
            return;
        }
        self.crossed.store(false, Ordering::SeqCst);
        match self.outbox.goes_over(self.lease, transport).await {
            Ok(_) => *locked(&self.over) = Cow::Owned(transport.to_owned()),
            Err(e) => self.fail(e),
        }
    }
}

impl Crossing<'_> {
    fn fail(&self, error: StoreError) {
        *locked(&self.failure) = Some(error);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dispatcher {
    /// Hands one message over and settles it.
    pub(super) async fn hand_over(&self, lane: &Lane, ready: Ready, permits: &Semaphore, span: &Span) -> outbox::Result<Settlement> {
        let permit = permits.acquire().await.map_err(|e| StoreError { action: "hand-over".to_owned(), cause: e.to_string() })?;
        let end = if span.is_over() {
            Settlement::Return { outcome: "stopped", why: None, next_attempt_at: self.clock.now() }
        } else {
            let outcome = self.deliver(lane, &ready).await?;
            self.settlement(lane, &ready, outcome)
        };
        // The connection is free; that this message's end is not durable yet delays no other one.
        drop(permit);
        log(&ready, &end);
        let now = self.clock.now();
        self.outbox.settle(now, vec![(ready.lease, end.clone())]).await?;
        lane.meter().settled(&end, now - ready.notice.due_at);
        self.take_back(lane, ready.notice.key, now).await?;
        Ok(end)
    }

    /// Refusals that turned out to be about us are taken back, once they are durable: they wait as what the channel could not take does.
    async fn take_back(&self, lane: &Lane, settled: NoticeKey, now: DateTime<Utc>) -> outbox::Result<()> {
        let refused = lane.settled(settled);
        if refused.is_empty() {
            return Ok(());
        }
        let at_once = lane.is_well(now);
        let again: Vec<_> = refused.into_iter().map(|key| (key, (!at_once).then(|| lane.again_at(key, now)))).collect();
        let back = self.outbox.take_back(&again, now).await?;
        tracing::warn!(channel = %lane.channel, back, "several were refused in the same words: that is about us, and is taken back");
        Ok(())
    }

    /// Over the lane's transports; after the store has failed nothing else is tried, for nothing passes without its word.
    async fn deliver(&self, lane: &Lane, ready: &Ready) -> outbox::Result<Outcome> {
        let crossing = Crossing {
            outbox: &*self.outbox,
            lease: ready.lease,
            revision: ready.revision,
            over: Mutex::new(Cow::Borrowed(&ready.over)),
            crossed: AtomicBool::new(false),
            failure: Mutex::new(None),
        };
        let outcome = lane.deliver(&ready.message, &crossing, &*self.clock).await;
        match crossing.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(outcome),
        }
    }

    fn settlement(&self, lane: &Lane, ready: &Ready, outcome: Outcome) -> Settlement {
        let now = self.clock.now();
        let n = &ready.notice;
        match outcome {
            Outcome::Accepted { reply, reference } => Settlement::Accepted { reply, reference },
            Outcome::Rejected { reply, remember } => Settlement::Rejected { reply, remember },
            Outcome::Retry { why, after } => {
                Settlement::Retry { why, next_attempt_at: next_attempt(ready.attempts + 1, n.key, after, now, n.useful_until) }
            }
            Outcome::ChannelFault { why, .. } => Settlement::Return {
                outcome: CHANNEL_FAULT,
                why: Some(why),
                next_attempt_at: lane.again_at(n.key, now).min(n.useful_until.max(now)),
            },
            Outcome::Unknown { why } => {
                let resend_at = after_doubt(lane.doubt, lane.channel, n.occasion, ready.again, now, n.start, n.useful_until);
                Settlement::Unknown { why, resend_at }
            }
            Outcome::Fenced => fenced(now),
        }
    }
}

fn log(ready: &Ready, end: &Settlement) {
    let n = &ready.notice;
    let (key, session, participation, occasion) = (n.key, n.session, n.participation, n.occasion);
    match end {
        Settlement::Accepted { reply, .. } => tracing::info!(%key, %session, %participation, %occasion, %reply, "accepted"),
        Settlement::Rejected { reply, .. } => tracing::warn!(%key, %session, %participation, %occasion, %reply, "rejected"),
        Settlement::Retry { why, next_attempt_at } => {
            tracing::warn!(%key, %session, %participation, %occasion, %why, %next_attempt_at, "not sent yet");
        }
        Settlement::Unknown { why, .. } => tracing::warn!(%key, %session, %participation, %occasion, %why, "in doubt"),
        other => tracing::debug!(%key, %session, %participation, %occasion, end = ?other, "returned"),
    }
}
