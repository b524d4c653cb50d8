//! What the store does at the steps of an attempt: a notice's, a letter's, an answer's. [`super::attempt`] says when.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::ready::Ready;
use crate::outbox::{self, Begin, Lease, Outbox, Outgoing};

/// What must be left of the lease when an attempt passes its point of no return: longer than the wait for the answer (10 min).
const MARGIN: TimeDelta = TimeDelta::minutes(11);

/// The store's word, which it gives by itself once it was asked.
pub(crate) type Taking = Pin<Box<dyn Future<Output = outbox::Result<bool>> + Send>>;

/// What an attempt is made of, as the store keeps it.
#[async_trait]
pub(crate) trait AttemptRecord: Send + Sync {
    /// The attempt begins over that transport, and passes its point of no return, in one durable step. `false`: it is not ours any more, or not true.
    fn take(&self, outbox: &Arc<dyn Outbox>, transport: &str, now: DateTime<Utc>) -> Taking;

    /// It has begun before, and passes now.
    async fn doubt(&self, outbox: &Arc<dyn Outbox>) -> outbox::Result<bool>;

    /// The transport before it refused the message, perhaps behind the point of no return: over this one nothing was sent yet. `false`: it goes over no
    /// other one.
    async fn reroute(&self, outbox: &Arc<dyn Outbox>, transport: &str) -> outbox::Result<bool>;

    /// It was tried, and ended before it had begun.
    async fn begin(&self, outbox: &Arc<dyn Outbox>, transport: &str, now: DateTime<Utc>) -> outbox::Result<()>;

    /// The transport that it is begun for; empty: whichever is tried first.
    fn transport(&self) -> String {
        String::new()
    }

    /// How it ends says something of the channel ([`crate::deliver::PointOfNoReturn::weighs`]).
    fn weighs(&self) -> bool {
        false
    }

    /// An early doubt costs it no more than a delay.
    fn may_take_early(&self) -> bool {
        false
    }

    /// It may still be sent.
    fn holds(&self, _now: DateTime<Utc>) -> bool {
        true
    }

    /// Likewise, without another look.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.holds(now)
    }

    /// Attempts before this one.
    fn attempts(&self) -> u32;

    /// What a server said, fit for the log.
    fn shown(&self, said: &str) -> String {
        said.to_owned()
    }
}

#[async_trait]
impl AttemptRecord for Box<Ready> {
    fn take(&self, outbox: &Arc<dyn Outbox>, transport: &str, now: DateTime<Utc>) -> Taking {
        let (outbox, attempt) = (Arc::clone(outbox), Ready::begin(self, transport.to_owned(), now));
        Box::pin(async move { outbox.take(attempt, MARGIN).await })
    }

    async fn doubt(&self, outbox: &Arc<dyn Outbox>) -> outbox::Result<bool> {
        outbox.doubt(self.lease, self.revision, MARGIN).await
    }

    async fn reroute(&self, outbox: &Arc<dyn Outbox>, transport: &str) -> outbox::Result<bool> {
        outbox.reroute(self.lease, transport).await
    }

    async fn begin(&self, outbox: &Arc<dyn Outbox>, transport: &str, now: DateTime<Utc>) -> outbox::Result<()> {
        outbox.begin(vec![Ready::begin(self, transport.to_owned(), now)]).await.map(drop)
    }

    fn transport(&self) -> String {
        self.transport.clone()
    }

    fn weighs(&self) -> bool {
        true
    }

    fn may_take_early(&self) -> bool {
        true
    }

    fn holds(&self, now: DateTime<Utc>) -> bool {
        Ready::holds(self, now)
    }

    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        Ready::is_fresh(self, now)
    }

    fn attempts(&self) -> u32 {
        self.attempts
    }

    fn shown(&self, said: &str) -> String {
        self.unsaid.left_out(said)
    }
}

/// The letter to the practice, or an answer to a text: claimed, and made just now.
pub(crate) struct AloneRecord {
    pub(crate) lease: Lease,
    /// Attempts that were begun before this one.
    pub(crate) attempts: u32,
}

#[async_trait]
impl AttemptRecord for AloneRecord {
    fn take(&self, outbox: &Arc<dyn Outbox>, transport: &str, now: DateTime<Utc>) -> Taking {
        let (outbox, attempt) = (Arc::clone(outbox), Begin::alone(self.lease, transport.to_owned(), now));
        Box::pin(async move { outbox.take(attempt, MARGIN).await })
    }

    async fn doubt(&self, outbox: &Arc<dyn Outbox>) -> outbox::Result<bool> {
        outbox.doubt(self.lease, 0, MARGIN).await
    }

    /// An answer is not worth a second attempt.
    async fn reroute(&self, outbox: &Arc<dyn Outbox>, transport: &str) -> outbox::Result<bool> {
        Ok(self.lease.kind == Outgoing::Letter && outbox.reroute(self.lease, transport).await?)
    }

    async fn begin(&self, outbox: &Arc<dyn Outbox>, transport: &str, now: DateTime<Utc>) -> outbox::Result<()> {
        outbox.begin(vec![Begin::alone(self.lease, transport.to_owned(), now)]).await.map(drop)
    }

    fn attempts(&self) -> u32 {
        self.attempts
    }
}
