//! The work on one connection: message after message, each over the best transport that is fit, to its outcome, and into the store.
//!
//! While one message is on it the next one passes its point of no return, where that may be (`Lane::may_take_ahead`), and its envelope leaves behind the
//! body of the one before; and the end of the one before that becomes durable. Whoever is next does not wait for ever: a server that keeps its
//! answer back keeps nobody else.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::Dispatcher;
use super::attempt::{Attempt, AttemptContext};
use super::bar::Passage;
use super::lane::Lane;
use super::meter::Counted;
use super::prepare::fenced;
use super::queue::{QUICK, Queue};
use super::ready::Ready;
use crate::notice::{Notice, NoticeKey};
use crate::outbox::{self, Returned, Settlement};
use crate::outcome::Outcome;
use crate::retry::{after_doubt, next_attempt};

/// What all connections of a lane's run share.
pub(super) struct RunContext {
    pub(super) context: Arc<AttemptContext>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) queue: Queue,
}

/// What those who work on connections tell.
pub(super) enum WorkerEvent {
    /// A message has its end, and that is durable.
    Ended(Settlement),
    /// One went back into the queue, and another connection may be free.
    Requeued,
}

/// An end on its way into the store.
type Settling = Pin<Box<dyn Future<Output = outbox::Result<Settlement>> + Send>>;

/// Whoever works on one connection.
struct Worker {
    shared: Arc<RunContext>,
    tells: UnboundedSender<WorkerEvent>,
    /// The ends of the messages before.
    settling: VecDeque<Settling>,
    /// One of them has more to do than the store.
    presses: bool,
}

impl RunContext {
    fn now(&self) -> DateTime<Utc> {
        self.context.clock.now()
    }

    /// The work on one connection, until nothing waits for one.
    pub(super) async fn work(self: Arc<Self>, tells: UnboundedSender<WorkerEvent>) -> outbox::Result<()> {
        let mut worker = Worker { shared: Arc::clone(&self), tells, settling: VecDeque::new(), presses: false };
        let mut first = self.queue.first(true);
        while let Some(attempt) = first {
            let next = worker.hand_over(attempt).await?;
            first = next.or_else(|| self.queue.first(false));
        }
        worker.settled().await
    }

    /// What had no connection at a stop goes back.
    pub(super) async fn give_back(&self, attempt: Box<Attempt>, tells: &UnboundedSender<WorkerEvent>) -> outbox::Result<()> {
        let passed = attempt.end(&Outcome::Fenced).await?;
        let now = self.now();
        let end = stopped(now);
        self.dispatcher.outbox.settle(now, vec![(attempt.ready.lease, end.clone())]).await?;
        drop(passed);
        drop(tells.send(WorkerEvent::Ended(end)));
        Ok(())
    }

    /// Whoever is next on a connection that has a message: it passes its point of no return meanwhile.
    fn next(&self) -> Option<Box<Attempt>> {
        if !self.context.lane.may_take_ahead(self.now()) || !self.queue.is_quick() {
            return None;
        }
        let next = self.queue.next(Attempt::may_pass_ahead)?;
        next.pass_ahead();
        Some(next)
    }

    /// Why a message that has its turn does not go now, if it does not.
    fn unsent(&self, ready: &Ready, now: DateTime<Utc>) -> Option<Settlement> {
        if self.context.span.is_over() {
            Some(stopped(now))
        } else if !ready.is_fresh(now) || !self.context.span.may_send() {
            Some(Settlement::moved(self.context.span.due_by(&*self.context.clock)))
        } else {
            None
        }
    }
}

fn stopped(now: DateTime<Utc>) -> Settlement {
    Settlement::Return { outcome: Returned::Stopped, why: None, next_attempt_at: now }
}

impl Worker {
    /// Hands one message over. One whose decision is old by now goes back, to be decided again when its turn comes. Whoever is next.
    async fn hand_over(&mut self, attempt: Box<Attempt>) -> outbox::Result<Option<Box<Attempt>>> {
        let shared = Arc::clone(&self.shared);
        let (lane, begun) = (&shared.context.lane, shared.now());
        if let Some(end) = shared.unsent(&attempt.ready, begun) {
            let passed = attempt.end(&Outcome::Fenced).await?;
            self.settle(attempt, passed, end);
            return Ok(None);
        }
        let mut next = shared.next();
        let named = next.as_ref().map(|next| next.ready.message.reference.clone());
        attempt.is_followed_by(next.as_deref());
        let outcome = self.deliver(&attempt, &mut next).await?;
        if let Some(reference) = named.filter(|_| next.is_none()) {
            lane.let_go(&reference);
        }
        if !matches!(outcome, Outcome::ChannelFault { .. } | Outcome::Fenced) {
            shared.queue.took(shared.now() - begun);
        }
        // After the store has failed nothing else is tried: nothing passes without its word.
        let passed = attempt.end(&outcome).await?;
        let end = shared.dispatcher.settlement(lane, &attempt.ready, outcome.without(&attempt.ready.unsaid));
        self.settle(attempt, passed, end);
        Ok(next)
    }

    /// The message to its outcome. Meanwhile the end of the one before becomes durable; and whoever is next waits no longer than that is worth. That an
    /// end is durable wakes nobody whose message is about to have its outcome.
    async fn deliver(&mut self, attempt: &Attempt, next: &mut Option<Box<Attempt>>) -> outbox::Result<Outcome> {
        let shared = Arc::clone(&self.shared);
        let mut delivering = pin!(shared.context.lane.deliver(&attempt.ready.message, attempt, &*shared.context.clock));
        let quick = QUICK.to_std().unwrap_or_default();
        let mut long = pin!(tokio::time::sleep(quick));
        let mut late = false;
        loop {
            tokio::select! {
                biased;
                outcome = &mut delivering => return self.swept().map(|()| outcome),
                settled = done(&mut self.settling), if (late || self.presses) && !self.settling.is_empty() => self.ended(settled)?,
                () = shared.context.span.stopped(), if next.is_some() => {
                    if let Some(next) = next.take() {
                        attempt.is_followed_by(None);
                        shared.give_back(next, &self.tells).await?;
                    }
                }
                () = &mut long, if !late || next.is_some() => {
                    late = true;
                    long.as_mut().reset(Instant::now() + quick);
                    if let Some(next) = next.take_if(|_| shared.queue.has_a_free_connection()) {
                        attempt.is_followed_by(None);
                        shared.queue.put(next);
                        drop(self.tells.send(WorkerEvent::Requeued));
                    }
                }
            }
        }
    }

    /// The end of a message goes into the store. The connection is free: that it is not durable yet delays no other one.
    fn settle(&mut self, attempt: Box<Attempt>, passed: Option<Passage>, end: Settlement) {
        // What was said of it behind another one's body, and did not come to that.
        self.shared.context.lane.let_go(&attempt.ready.message.reference);
        log(&attempt.ready, &end);
        self.presses |= attempt.ready.left.is_some() || !matches!(end, Settlement::Accepted { .. });
        let shared = Arc::clone(&self.shared);
        // The next take follows at once, on this connection.
        let followed = matches!(end, Settlement::Accepted { .. }) && shared.queue.has_more();
        let mut settling: Settling = Box::pin(async move {
            let (dispatcher, lane, ready, now) = (&shared.dispatcher, &shared.context.lane, &attempt.ready, shared.now());
            if let (Some(left), Settlement::Accepted { .. } | Settlement::Unknown { .. }) = (&ready.left, &end) {
                // Before its end is durable: no end of this process may leave them with that word alone.
                dispatcher.tell_what_stands(left, &ready.notice, now).await?;
            }
            if followed {
                dispatcher.outbox.settle_with_next(now, ready.lease, end.clone()).await?;
            } else {
                dispatcher.outbox.settle(now, vec![(ready.lease, end.clone())]).await?;
            }
            // It is back when its end is durable.
            drop(passed);
            lane.meter().count(Counted::from(&end), now - ready.notice.due_at);
            dispatcher.take_back(lane, ready.notice.key, now).await?;
            Ok(end)
        });
        // Asked once, the store does it by itself.
        let settled = settling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.settling.push_back(match settled {
            Poll::Pending => settling,
            Poll::Ready(settled) => Box::pin(std::future::ready(settled)),
        });
    }

    /// What is durable by now is told.
    fn swept(&mut self) -> outbox::Result<()> {
        while let Some(settling) = self.settling.front_mut() {
            let Poll::Ready(settled) = settling.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { return Ok(()) };
            self.ended(settled)?;
        }
        Ok(())
    }

    /// Until the ends of the messages before are durable.
    async fn settled(&mut self) -> outbox::Result<()> {
        while !self.settling.is_empty() {
            let settled = done(&mut self.settling).await;
            self.ended(settled)?;
        }
        Ok(())
    }

    fn ended(&mut self, settled: outbox::Result<Settlement>) -> outbox::Result<()> {
        self.settling.pop_front();
        self.presses &= !self.settling.is_empty();
        // Whoever counts them may be gone.
        drop(self.tells.send(WorkerEvent::Ended(settled?)));
        Ok(())
    }
}

/// The first of them; for ever, if there is none.
async fn done(settling: &mut VecDeque<Settling>) -> outbox::Result<Settlement> {
    match settling.front_mut() {
        Some(settling) => settling.await,
        None => std::future::pending().await,
    }
}

impl Dispatcher {
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
                outcome: Returned::ChannelFault,
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
