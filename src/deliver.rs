//! Handing a message over: one server, one recipient, one attempt, one [`Outcome`].
//!
//! A transport knows the phases of its protocol. Up to the *point of no return* (SMTP: the 354 answer to DATA; HTTP: the open
//! connection) nothing was sent, whatever fails. There it asks [`PointOfNoReturn::pass`], which makes the attempt's doubt durable,
//! and only then lets out the bytes that the server can accept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::message::Message;
use crate::outcome::Outcome;
use crate::rate::Rate;

pub mod folder;
pub mod gateway;
pub mod shadow;
pub mod smtp;

/// Asked once in each attempt, right before the bytes that the server can accept.
#[async_trait]
pub trait PointOfNoReturn: Send + Sync {
    /// Makes the doubt durable. `false`: the attempt is not ours any more (or no longer true): send nothing, leave no half-open
    /// transaction with the server, and answer [`Outcome::Fenced`].
    async fn pass(&self) -> bool;

    /// The envelope is about to be spoken: what makes the doubt durable may run beside it. [`PointOfNoReturn::pass`] waits for its end.
    fn approach(&self) {}

    /// Asked before anything is said to a transport. `false`: what was decided is old by now, so say nothing, and answer [`Outcome::Fenced`].
    fn is_fresh(&self) -> bool {
        true
    }

    /// Attempts of this message that were begun before this one.
    fn attempts(&self) -> u32 {
        0
    }

    /// How it ends says something of the channel, beyond its own fault: whoever gets it was chosen by us. Not so of an answer, which anybody may ask for.
    fn weighs(&self) -> bool {
        true
    }

    /// What was said to it, fit for the log: without the words of the people whom the message is about.
    fn shown(&self, said: &str) -> String {
        said.to_owned()
    }

    /// How long that may be from now on: see [`PointOfNoReturn::patience`].
    fn hurries(&self, _patience: Option<Duration>) {}

    /// How long what comes before that point may take in all, if another transport is well: then the phases' own times, up to ten minutes for whoever
    /// waits for a connection, are too long. `None`: as long as they take.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// The message that follows on this attempt's connection, if that is known by now: its envelope may leave behind this one's body (RFC 2920). It
    /// waits for this attempt's end from then on, and passes its own point of no return. Asked once, behind this one's.
    fn next(&self) -> Option<Message> {
        None
    }

    /// The attempt goes over this transport: whoever keeps records sees to it that they name this one, before anything is said to it. `false`: it goes
    /// over no transport any more.
    async fn reroute(&self, _transport: &str) -> bool {
        true
    }
}

/// Of what has no history: a test message, an alert. Nothing is made durable: told twice is better than not at all.
pub struct NoRecord;

#[async_trait]
impl PointOfNoReturn for NoRecord {
    async fn pass(&self) -> bool {
        true
    }
}

/// A transport, and how often a lane may use it.
#[derive(Clone)]
pub struct Route {
    pub transport: Arc<dyn Transport>,
    /// `None`: as often as one likes.
    pub rate: Option<Rate>,
}

impl From<Arc<dyn Transport>> for Route {
    fn from(transport: Arc<dyn Transport>) -> Self {
        Self { transport, rate: None }
    }
}

/// A relay, a gateway or a folder.
#[async_trait]
pub trait Transport: Send + Sync {
    /// For logs, metrics and `status`: `smtp:mail.example.org:587`. No secret in it.
    fn name(&self) -> &str;

    /// How many attempts may run at once: connections that it will hold.
    fn concurrency(&self) -> usize;

    /// No more than so many attempts run at once from now on: connections beyond that are closed when nobody uses them. (Other nodes have the others.)
    fn narrow(&self, _connections: usize) {}

    /// One attempt. Ends by the transport's own time-outs, and never panics on what a server says.
    /// Must be run to its end: a caller does not drop the future half-way, except when the whole process ends.
    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome;

    /// The message of this reference, which [`PointOfNoReturn::next`] named, does not come, or came another way: what was said of it to a server is given up.
    fn let_go(&self, _reference: &str) {}

    /// Logs in (SMTP: up to AUTH; gateways: an authenticated request that sends nothing) and says what answered,
    /// or what is wrong and how to mend it.
    async fn probe(&self) -> Result<String, String>;
}
