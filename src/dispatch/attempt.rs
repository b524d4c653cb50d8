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
use super::bar::Passed;
use super::crossing::{Course, Crossing};
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
pub(super) struct Way {
    pub(super) course: Arc<Course>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) queue: Queue,
}

/// What those who work on connections tell.
pub(super) enum Told {
    /// A message has its end, and that is durable.
    Ended(Settlement),
    /// One went back into the queue, and another connection may be free.
    Waits,
}

/// An end on its way into the store.
type Settling = Pin<Box<dyn Future<Output = outbox::Result<Settlement>> + Send>>;

/// Whoever works on one connection.
struct Worker {
    way: Arc<Way>,
    tells: UnboundedSender<Told>,
    /// The ends of the messages before.
    settling: VecDeque<Settling>,
    /// One of them has more to do than the store.
    presses: bool,
}

impl Way {
    fn now(&self) -> DateTime<Utc> {
        self.course.clock.now()
    }

    /// The work on one connection, until nothing waits for one.
    pub(super) async fn work(self: Arc<Self>, tells: UnboundedSender<Told>) -> outbox::Result<()> {
        let mut worker = Worker { way: Arc::clone(&self), tells, settling: VecDeque::new(), presses: false };
        let mut first = self.queue.first(true);
        while let Some(crossing) = first {
            let next = worker.hand_over(crossing).await?;
            first = next.or_else(|| self.queue.first(false));
        }
        worker.settled().await
    }

    /// What had no connection at a stop goes back.
    pub(super) async fn give_back(&self, crossing: Box<Crossing>, tells: &UnboundedSender<Told>) -> outbox::Result<()> {
        let passed = crossing.end(&Outcome::Fenced).await?;
        let now = self.now();
        let end = stopped(now);
        self.dispatcher.outbox.settle(now, vec![(crossing.ready.lease, end.clone())]).await?;
        drop(passed);
        drop(tells.send(Told::Ended(end)));
        Ok(())
    }

    /// Whoever is next on a connection that has a message: it passes its point of no return meanwhile.
    fn next(&self) -> Option<Box<Crossing>> {
        if !self.course.lane.may_take_ahead(self.now()) || !self.queue.is_quick() {
            return None;
        }
        let next = self.queue.next(Crossing::may_pass_ahead)?;
        next.pass_ahead();
        Some(next)
    }

    /// Why a message that has its turn does not go now, if it does not.
    fn unsent(&self, ready: &Ready, now: DateTime<Utc>) -> Option<Settlement> {
        if self.course.span.is_over() {
            Some(stopped(now))
        } else if !ready.is_fresh(now) || !self.course.span.may_send() {
            Some(Settlement::moved(self.course.span.due_by(&*self.course.clock)))
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
    async fn hand_over(&mut self, crossing: Box<Crossing>) -> outbox::Result<Option<Box<Crossing>>> {
        let way = Arc::clone(&self.way);
        let (lane, begun) = (&way.course.lane, way.now());
        if let Some(end) = way.unsent(&crossing.ready, begun) {
            let passed = crossing.end(&Outcome::Fenced).await?;
            self.settle(crossing, passed, end);
            return Ok(None);
        }
        let mut next = way.next();
        let named = next.as_ref().map(|next| next.ready.message.reference.clone());
        crossing.is_followed_by(next.as_deref());
        let outcome = self.deliver(&crossing, &mut next).await?;
        if let Some(reference) = named.filter(|_| next.is_none()) {
            lane.let_go(&reference);
        }
        if !matches!(outcome, Outcome::ChannelFault { .. } | Outcome::Fenced) {
            way.queue.took(way.now() - begun);
        }
        // After the store has failed nothing else is tried: nothing passes without its word.
        let passed = crossing.end(&outcome).await?;
        let end = way.dispatcher.settlement(lane, &crossing.ready, outcome.without(&crossing.ready.unsaid));
        self.settle(crossing, passed, end);
        Ok(next)
    }

    /// The message to its outcome. Meanwhile the end of the one before becomes durable; and whoever is next waits no longer than that is worth. That an
    /// end is durable wakes nobody whose message is about to have its outcome.
    async fn deliver(&mut self, crossing: &Crossing, next: &mut Option<Box<Crossing>>) -> outbox::Result<Outcome> {
        let way = Arc::clone(&self.way);
        let mut delivering = pin!(way.course.lane.deliver(&crossing.ready.message, crossing, &*way.course.clock));
        let quick = QUICK.to_std().unwrap_or_default();
        let mut long = pin!(tokio::time::sleep(quick));
        let mut late = false;
        loop {
            tokio::select! {
                biased;
                outcome = &mut delivering => return self.swept().map(|()| outcome),
                settled = done(&mut self.settling), if (late || self.presses) && !self.settling.is_empty() => self.landed(settled)?,
                () = way.course.span.stopped(), if next.is_some() => {
                    if let Some(next) = next.take() {
                        crossing.is_followed_by(None);
                        way.give_back(next, &self.tells).await?;
                    }
                }
                () = &mut long, if !late || next.is_some() => {
                    late = true;
                    long.as_mut().reset(Instant::now() + quick);
                    if let Some(next) = next.take_if(|_| way.queue.has_a_free_connection()) {
                        crossing.is_followed_by(None);
                        way.queue.put(next);
                        drop(self.tells.send(Told::Waits));
                    }
                }
            }
        }
    }

    /// The end of a message goes into the store. The connection is free: that it is not durable yet delays no other one.
    fn settle(&mut self, crossing: Box<Crossing>, passed: Option<Passed>, end: Settlement) {
        // What was said of it behind another one's body, and did not come to that.
        self.way.course.lane.let_go(&crossing.ready.message.reference);
        log(&crossing.ready, &end);
        self.presses |= crossing.ready.left.is_some() || !matches!(end, Settlement::Accepted { .. });
        let way = Arc::clone(&self.way);
        // The next take follows at once, on this connection.
        let followed = matches!(end, Settlement::Accepted { .. }) && way.queue.has_more();
        let mut settling: Settling = Box::pin(async move {
            let (dispatcher, lane, ready, now) = (&way.dispatcher, &way.course.lane, &crossing.ready, way.now());
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
            self.landed(settled)?;
        }
        Ok(())
    }

    /// Until the ends of the messages before are durable.
    async fn settled(&mut self) -> outbox::Result<()> {
        while !self.settling.is_empty() {
            let settled = done(&mut self.settling).await;
            self.landed(settled)?;
        }
        Ok(())
    }

    fn landed(&mut self, settled: outbox::Result<Settlement>) -> outbox::Result<()> {
        self.settling.pop_front();
        self.presses &= !self.settling.is_empty();
        // Whoever counts them may be gone.
        drop(self.tells.send(Told::Ended(settled?)));
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
