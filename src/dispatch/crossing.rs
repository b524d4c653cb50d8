//! One attempt's way past its point of no return, as the store has it.
//!
//! In strict order it was begun before, and the store is asked once more right before the bytes leave. In one step, where the lane allows it
//! ([`super::Lane::takes_in_one_step`]), the store is asked while the envelope is spoken, and the bytes wait for its word: the attempt is in doubt a
//! moment earlier, and the connection does not wait for the disk.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::Span;
use super::bar::{Bar, Passed};
use super::prepare::Ready;
use crate::clock::Clock;
use crate::deliver::PointOfNoReturn;
use crate::outbox::{self, Outbox, StoreError};
use crate::outcome::Outcome;
use crate::retry::{DoubtPolicy, after_doubt};

/// What must be left of the lease when an attempt passes its point of no return: longer than the wait for the answer (10 min).
const MARGIN: TimeDelta = TimeDelta::minutes(11);
/// The next start is no later than this after a crash.
const RESTART: TimeDelta = TimeDelta::minutes(5);

/// Asks the store to let the attempt pass.
pub(super) struct Crossing<'a> {
    outbox: &'a Arc<dyn Outbox>,
    ready: &'a Ready,
    clock: &'a dyn Clock,
    span: &'a Span,
    bar: &'a Bar,
    at: Mutex<At<'a>>,
}

/// Where it stands.
struct At<'a> {
    step: Step<'a>,
    /// The transport that is on record, or will be.
    over: String,
    /// It is past its point of no return.
    passed: Option<Passed<'a>>,
    /// The store failed: nothing may go out any more.
    failure: Option<StoreError>,
}

enum Step<'a> {
    /// Claimed: the store knows of no attempt.
    Claimed,
    /// Begun, before its point of no return.
    Begun,
    /// The store is asked to begin it and to let it pass.
    Taking(Pin<Box<dyn Future<Output = outbox::Result<bool>> + Send + 'a>>),
    /// Past its point of no return with the transport on record.
    Crossed,
    /// The store said no.
    Refused,
}

impl<'a> Crossing<'a> {
    pub(super) fn new(outbox: &'a Arc<dyn Outbox>, ready: &'a Ready, clock: &'a dyn Clock, span: &'a Span, bar: &'a Bar) -> Self {
        let step = if ready.begun { Step::Begun } else { Step::Claimed };
        let at = Mutex::new(At { step, over: ready.over.clone(), passed: None, failure: None });
        Self { outbox, ready, clock, span, bar, at }
    }

    fn at(&self) -> MutexGuard<'_, At<'a>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_send(&self) -> bool {
        self.ready.holds(self.clock.now()) && self.span.may_send()
    }

    /// Takes the step out: whoever does puts another one in.
    fn step(&self) -> Step<'a> {
        std::mem::replace(&mut self.at().step, Step::Refused)
    }

    /// Waits for the store, if it is asked just now. Where it stands then.
    async fn settled_step(&self) -> Step<'a> {
        let taking = match self.step() {
            Step::Taking(taking) => taking,
            other => return other,
        };
        match taking.await {
            Ok(true) => Step::Crossed,
            Ok(false) => Step::Refused,
            Err(e) => self.fail(e),
        }
    }

    /// Before it has a connection. Only what would go again by itself if we end now, and in time after the next start: an early doubt costs a delay.
    pub(super) fn approach_ahead(&self) {
        let tried_before = self.ready.again || self.ready.attempts > 0;
        let again = after_doubt(DoubtPolicy::Resend, &self.ready.notice, tried_before, self.clock.now() + RESTART);
        if again.is_some() && self.is_fresh() {
            self.approach();
        }
    }

    fn fail(&self, error: StoreError) -> Step<'a> {
        self.at().failure = Some(error);
        Step::Refused
    }

    async fn doubt(&self) -> Step<'a> {
        let Some(passed) = self.bar.pass() else { return Step::Begun };
        match self.outbox.doubt(self.ready.lease, self.ready.revision, MARGIN).await {
            Ok(true) => {
                self.at().passed = Some(passed);
                Step::Crossed
            }
            Ok(false) => Step::Refused,
            Err(e) => self.fail(e),
        }
    }

    /// The attempt is over. What was tried before it had begun is written down, too: who asks why nothing came finds the answer.
    pub(super) async fn end(self, outcome: &Outcome) -> outbox::Result<Option<Passed<'a>>> {
        let step = self.settled_step().await;
        let At { over, passed, failure, .. } = self.at.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = failure {
            return Err(failure);
        }
        if matches!(step, Step::Claimed) && !matches!(outcome, Outcome::Fenced) {
            self.outbox.begin(vec![self.ready.begin(over, self.clock.now())]).await?;
        }
        Ok(passed)
    }
}

#[async_trait]
impl PointOfNoReturn for Crossing<'_> {
    fn approach(&self) {
        let mut at = self.at();
        if !matches!(at.step, Step::Claimed) || !self.may_send() {
            return;
        }
        let Some(passed) = self.bar.pass() else { return };
        at.passed = Some(passed);
        let mut taking = self.outbox.take(self.ready.begin(at.over.clone(), self.clock.now()), MARGIN);
        // Asked once, the store does it by itself; its word is waited for behind the envelope, and wakes nobody before.
        let answered = taking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        at.step = match answered {
            Poll::Pending => Step::Taking(taking),
            Poll::Ready(answer) => Step::Taking(Box::pin(std::future::ready(answer))),
        };
    }

    async fn cross(&self) -> bool {
        if !self.may_send() {
            return false;
        }
        self.approach();
        let step = match self.settled_step().await {
            Step::Begun => self.doubt().await,
            other => other,
        };
        let crossed = matches!(step, Step::Crossed);
        self.at().step = step;
        // The store took its time.
        crossed && self.may_send()
    }

    fn attempts(&self) -> u32 {
        self.ready.attempts
    }

    fn shown(&self, said: &str) -> String {
        self.ready.unsaid.left_out(said)
    }

    fn is_fresh(&self) -> bool {
        self.ready.is_fresh(self.clock.now()) && self.span.may_send()
    }

    /// After a store that failed nothing crosses. One that refused it behind the point of no return gave an answer: the next one has a point of its
    /// own.
    async fn goes_over(&self, transport: &str) {
        let same = self.at().over == transport;
        // What the store is asked just now names this one.
        if same && matches!(self.at().step, Step::Taking(_)) {
            return;
        }
        let step = self.settled_step().await;
        let step = match step {
            Step::Begun if same => Step::Begun,
            Step::Begun | Step::Crossed => match self.outbox.goes_over(self.ready.lease, transport).await {
                Ok(_) => Step::Begun,
                Err(e) => self.fail(e),
            },
            other => other,
        };
        let mut at = self.at();
        transport.clone_into(&mut at.over);
        at.step = step;
    }
}
