//! One attempt: over the best transport that is fit, to its outcome, and into the store.

use chrono::{DateTime, Utc};

use super::crossing::Crossing;
use super::lane::Lane;
use super::prepare::{Ready, fenced};
use super::queue::Queue;
use super::{CHANNEL_FAULT, Dispatcher, Span};
use crate::notice::{Notice, NoticeKey};
use crate::outbox::{self, Settlement};
use crate::outcome::Outcome;
use crate::retry::{after_doubt, next_attempt};

impl Dispatcher {
    /// Hands the most urgent message over, as soon as a connection is free, and settles it. One whose decision is old by then goes back, to be
    /// decided again when its turn comes.
    pub(super) async fn hand_over(&self, lane: &Lane, queue: &Queue, span: &Span) -> outbox::Result<Settlement> {
        let seat = queue.seat().await?;
        let ahead = lane.may_take_ahead(self.clock.now()) && queue.is_quick();
        let mut permit = if ahead { queue.free_connection() } else { Some(queue.connection().await?) };
        let ready = queue.first()?;
        let crossing = Crossing::new(&self.outbox, &ready, &*self.clock, span, lane.bar());
        if permit.is_none() {
            crossing.approach_ahead();
            permit = tokio::select! {
                permit = queue.connection() => Some(permit?),
                () = span.stopped() => None,
            };
        }
        drop(seat);
        let begun = self.clock.now();
        // `beyond`: it is back when its end is durable.
        let unsent = if span.is_over() {
            Some(Settlement::Return { outcome: "stopped", why: None, next_attempt_at: begun })
        } else if !ready.is_fresh(begun) || !span.may_send() {
            Some(Settlement::moved(span.due_by(&*self.clock)))
        } else {
            None
        };
        let (end, beyond) = if let Some(end) = unsent {
            (end, crossing.end(&Outcome::Fenced).await?)
        } else {
            let outcome = lane.deliver(&ready.message, &crossing, &*self.clock).await;
            // After the store has failed nothing else is tried: nothing passes without its word.
            let beyond = crossing.end(&outcome).await?;
            if !matches!(outcome, Outcome::ChannelFault { .. } | Outcome::Fenced) {
                queue.took(self.clock.now() - begun);
            }
            (self.settlement(lane, &ready, outcome.without(&ready.unsaid)), beyond)
        };
        // The connection is free; that this message's end is not durable yet delays no other one.
        drop(permit);
        log(&ready, &end);
        let now = self.clock.now();
        if let (Some(left), Settlement::Accepted { .. } | Settlement::Unknown { .. }) = (&ready.left, &end) {
            // Before its end is durable: no end of this process may leave them with that word alone.
            self.tell_what_stands(left, &ready.notice, now).await?;
        }
        self.outbox.settle(now, vec![(ready.lease, end.clone())]).await?;
        drop(beyond);
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
                next_attempt_at: again_at(lane, n, now).min(n.useful_until.max(now)),
            },
            Outcome::Unknown { why } => {
                let resend_at = after_doubt(lane.doubt, n, ready.again, now);
                Settlement::Unknown { why, resend_at }
            }
            Outcome::Fenced => fenced(now),
        }
    }
}

/// When a message that its channel could not take has a chance again.
fn again_at(lane: &Lane, notice: &Notice, now: DateTime<Utc>) -> DateTime<Utc> {
    lane.waits_for(notice.useful_until, now);
    lane.again_at(notice.key, now)
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
