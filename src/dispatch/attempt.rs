//! One attempt: over the best transport that is fit, to its outcome, and into the store.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Semaphore;

use super::lane::Lane;
use super::prepare::{Ready, fenced};
use super::{CHANNEL_FAULT, Dispatcher, Span};
use crate::deliver::PointOfNoReturn;
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
    /// The store failed: nothing may go out any more.
    failure: Mutex<Option<StoreError>>,
}

#[async_trait]
impl PointOfNoReturn for Crossing<'_> {
    async fn cross(&self) -> bool {
        match self.outbox.doubt(self.lease, self.revision, MARGIN).await {
            Ok(ours) => ours,
            Err(e) => {
                *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(e);
                false
            }
        }
    }
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
        Ok(end)
    }

    /// Tries the transports in order of preference. The next one is tried only when the one before was at fault and nothing was sent.
    async fn deliver(&self, lane: &Lane, ready: &Ready) -> outbox::Result<Outcome> {
        let mut last = Outcome::ChannelFault { why: format!("no fit transport for {}", lane.channel), after: None };
        for (n, transport) in lane.open(self.clock.now()) {
            let Some(wait) = lane.turn(n, self.clock.now()) else {
                last = Outcome::ChannelFault { why: format!("{} has no turn left", transport.name()), after: None };
                continue;
            };
            tokio::time::sleep(wait).await;
            let crossing = Crossing { outbox: &*self.outbox, lease: ready.lease, revision: ready.revision, failure: Mutex::new(None) };
            let outcome = transport.deliver(&ready.message, &crossing).await;
            if let Some(failure) = crossing.failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
                return Err(failure);
            }
            let Outcome::ChannelFault { why, after } = &outcome else {
                lane.mend(n);
                return Ok(outcome);
            };
            tracing::warn!(transport = transport.name(), %why, "the channel is at fault and pauses");
            lane.pause(n, *after, self.clock.now());
            last = outcome;
        }
        Ok(last)
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
                next_attempt_at: reopening(lane, now).min(n.useful_until.max(now)),
            },
            Outcome::Unknown { why } => {
                let resend_at = after_doubt(lane.doubt, lane.channel, n.occasion, ready.again, now, n.start, n.useful_until);
                Settlement::Unknown { why, resend_at }
            }
            Outcome::Fenced => fenced(now),
        }
    }
}

/// When a message that its channel could not take has a chance again.
fn reopening(lane: &Lane, now: DateTime<Utc>) -> DateTime<Utc> {
    lane.reopens_at().filter(|at| *at > now).unwrap_or(now + crate::retry::channel_pause(1, None))
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
