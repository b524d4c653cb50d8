//! One attempt to hand a message over, up to its point of no return and past it, as the store has it.
//!
//! It begins and passes in one durable step. In strict order the store is asked right before the bytes leave, when the connection stands. Where the lane
//! allows it ([`super::Lane::takes_early`]), it is asked while the envelope is spoken, and the bytes wait for its word: the attempt is in doubt a moment
//! earlier, and the connection does not wait for the disk.
//!
//! The same for all that leaves: notices, the letter to the practice, answers to texts. What the store does at each step is the [`AttemptRecord`]'s.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::Span;
use super::bar::Passage;
use super::lane::Lane;
use super::ready::Ready;
use super::record::{AttemptRecord, Taking};
use crate::clock::Clock;
use crate::deliver::PointOfNoReturn;
use crate::message::Message;
use crate::outbox::{self, Outbox, StoreError};
use crate::outcome::Outcome;
use crate::retry::{DoubtPolicy, after_doubt};

/// The next start is no later than this after a crash.
const RESTART: TimeDelta = TimeDelta::minutes(5);

/// What all attempts of a lane's run share.
pub(crate) struct AttemptContext {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) span: Span,
}

impl AttemptContext {
    /// Of one message alone, now.
    pub(crate) fn alone(outbox: &Arc<dyn Outbox>, clock: &Arc<dyn Clock>, lane: &Arc<Lane>) -> Arc<Self> {
        let (outbox, clock, lane) = (Arc::clone(outbox), Arc::clone(clock), Arc::clone(lane));
        let span = Span::Once(clock.now());
        Arc::new(Self { outbox, clock, lane, span })
    }
}

/// One attempt: it asks the store before anything leaves.
pub(super) struct Attempt<R = Box<Ready>> {
    context: Arc<AttemptContext>,
    /// What it is an attempt of.
    pub(super) ready: R,
    at: Mutex<AttemptState>,
}

struct AttemptState {
    step: Step,
    /// The transport that is on record, or will be.
    transport: String,
    /// It is past its point of no return.
    passed: Option<Passage>,
    /// Bytes may have left.
    left: bool,
    /// What comes before that point may take no longer.
    patience: Option<Duration>,
    /// What follows on its connection.
    next: Option<Message>,
    /// The store failed: nothing may go out any more.
    failure: Option<StoreError>,
}

enum Step {
    /// Claimed: the store knows of no attempt.
    Claimed,
    /// Begun, before its point of no return: another transport was at fault behind it.
    Begun,
    /// The store is asked to begin it and to let it pass.
    Taking(Taking),
    /// Past its point of no return with the transport on record.
    Passed,
    /// The store said no.
    Refused,
}

impl Attempt {
    /// It may pass before it has a connection: it would go again by itself if we ended now, and in time after the next start. An early doubt costs a
    /// delay.
    pub(super) fn may_pass_ahead(&self) -> bool {
        let tried_before = self.ready.again || self.ready.attempts > 0;
        let again = after_doubt(DoubtPolicy::Resend, &self.ready.notice, tried_before, self.now() + RESTART);
        again.is_some() && self.is_fresh()
    }

    /// Before it has a connection.
    pub(super) fn pass_ahead(&self) {
        self.take();
    }

    /// Who is next on its connection.
    pub(super) fn is_followed_by(&self, next: Option<&Self>) {
        self.at().next = next.map(|next| next.ready.message.clone());
    }
}

impl<R: AttemptRecord> Attempt<R> {
    pub(super) fn new(context: Arc<AttemptContext>, ready: R) -> Self {
        let transport = ready.transport();
        let at = AttemptState { step: Step::Claimed, transport, passed: None, left: false, patience: None, next: None, failure: None };
        Self { context, ready, at: Mutex::new(at) }
    }

    fn now(&self) -> DateTime<Utc> {
        self.context.clock.now()
    }

    fn at(&self) -> MutexGuard<'_, AttemptState> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_send(&self) -> bool {
        self.ready.holds(self.now()) && self.context.span.may_send()
    }

    /// Takes the step out: whoever does puts another one in.
    fn step(&self) -> Step {
        std::mem::replace(&mut self.at().step, Step::Refused)
    }

    /// Waits for the store, if it is asked just now. Where it stands then.
    async fn settled_step(&self) -> Step {
        let taking = match self.step() {
            Step::Taking(taking) => taking,
            other => return other,
        };
        match taking.await {
            Ok(true) => Step::Passed,
            Ok(false) => Step::Refused,
            Err(e) => self.fail(e),
        }
    }

    /// Asks the store, unless it was asked before.
    fn take(&self) {
        let mut at = self.at();
        if !matches!(at.step, Step::Claimed) || !self.may_send() {
            return;
        }
        let Some(passed) = self.context.lane.bar().pass() else { return };
        at.passed = Some(passed);
        let mut taking = self.ready.take(&self.context.outbox, &at.transport, self.now());
        // Asked once, the store does it by itself; its word is waited for behind the envelope, and wakes nobody before.
        let answered = taking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        at.step = match answered {
            Poll::Pending => Step::Taking(taking),
            Poll::Ready(answer) => Step::Taking(Box::pin(std::future::ready(answer))),
        };
    }

    fn fail(&self, error: StoreError) -> Step {
        self.at().failure = Some(error);
        Step::Refused
    }

    async fn doubt(&self) -> Step {
        let Some(passed) = self.context.lane.bar().pass() else { return Step::Begun };
        match self.ready.doubt(&self.context.outbox).await {
            Ok(true) => {
                self.at().passed = Some(passed);
                Step::Passed
            }
            Ok(false) => Step::Refused,
            Err(e) => self.fail(e),
        }
    }

    /// The attempt is over. What was tried before it had begun is written down, too: who asks why nothing came finds the answer.
    pub(super) async fn end(&self, outcome: &Outcome) -> outbox::Result<Option<Passage>> {
        let step = self.settled_step().await;
        let (transport, passed) = {
            let mut at = self.at();
            if let Some(failure) = at.failure.take() {
                return Err(failure);
            }
            (at.transport.clone(), at.passed.take())
        };
        if matches!(step, Step::Claimed) && !matches!(outcome, Outcome::Fenced) {
            self.ready.begin(&self.context.outbox, &transport, self.now()).await?;
        }
        Ok(passed)
    }

    /// Bytes of it may have left: it got past its point of no return over one transport at least.
    pub(super) fn left(&self) -> bool {
        self.at().left
    }
}

#[async_trait]
impl<R: AttemptRecord> PointOfNoReturn for Attempt<R> {
    fn approach(&self) {
        if self.context.lane.takes_early() && self.ready.may_take_early() {
            self.take();
        }
    }

    async fn pass(&self) -> bool {
        if !self.may_send() {
            return false;
        }
        self.take();
        let step = match self.settled_step().await {
            Step::Begun => self.doubt().await,
            other => other,
        };
        let passed = matches!(step, Step::Passed);
        // The store took its time.
        let sends = passed && self.may_send();
        let mut at = self.at();
        at.step = step;
        at.left |= sends;
        sends
    }

    fn next(&self) -> Option<Message> {
        self.at().next.take()
    }

    fn attempts(&self) -> u32 {
        self.ready.attempts()
    }

    fn shown(&self, said: &str) -> String {
        self.ready.shown(said)
    }

    fn weighs(&self) -> bool {
        self.ready.weighs()
    }

    fn hurries(&self, patience: Option<Duration>) {
        self.at().patience = patience;
    }

    fn patience(&self) -> Option<Duration> {
        self.at().patience
    }

    fn is_fresh(&self) -> bool {
        self.ready.is_fresh(self.now()) && self.context.span.may_send()
    }

    /// After a store that failed nothing passes. One that refused it behind the point of no return gave an answer: the next one has a point of its
    /// own.
    async fn reroute(&self, transport: &str) -> bool {
        let same = self.at().transport == transport;
        // What the store is asked just now names this one.
        if same && matches!(self.at().step, Step::Taking(_)) {
            return true;
        }
        let step = self.settled_step().await;
        let step = match step {
            Step::Begun if same => Step::Begun,
            Step::Begun | Step::Passed => match self.ready.reroute(&self.context.outbox, transport).await {
                Ok(true) => Step::Begun,
                Ok(false) => Step::Refused,
                Err(e) => self.fail(e),
            },
            other => other,
        };
        let goes = !matches!(step, Step::Refused);
        let mut at = self.at();
        transport.clone_into(&mut at.transport);
        at.step = step;
        goes
    }
}
