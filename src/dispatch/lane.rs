//! A lane: one channel's transports, which of them is fit, when a faulty one is tried again, and how often each may be used.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::meter::Meter;
use crate::clock::Clock;
use crate::contact::Channel;
use crate::deliver::{PointOfNoReturn, Transport};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::pace::{Pace, Rate};
use crate::retry::{DoubtPolicy, channel_pause};

/// One channel and its transports, in order of preference.
pub struct Lane {
    /// Which.
    pub channel: Channel,
    /// What becomes of a message in doubt.
    pub doubt: DoubtPolicy,
    transports: Vec<Slot>,
    look: Notify,
    meter: Meter,
}

struct Slot {
    transport: Arc<dyn Transport>,
    fault: Mutex<Fault>,
    /// `None`: as often as one likes.
    pace: Option<Mutex<Pace>>,
}

#[derive(Default, Clone)]
struct Fault {
    /// In a row.
    count: u32,
    paused_until: Option<DateTime<Utc>>,
    /// Its pause is over, and one message asks for all whether it is well. Never of one that is.
    asked: bool,
}

impl Slot {
    fn fault(&self) -> std::sync::MutexGuard<'_, Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.fault().paused_until.is_none_or(|until| until <= now)
    }

    /// It was at fault the last time it was tried.
    fn is_on_probation(&self) -> bool {
        self.fault().count > 0
    }

    /// Whether a message may try it: after a fault, one does, and the others pass by until that one has its answer.
    fn enter(&self) -> bool {
        let mut fault = self.fault();
        let on_probation = fault.count > 0;
        !std::mem::replace(&mut fault.asked, on_probation)
    }

    /// Entered, and not tried after all.
    fn leave(&self) {
        self.fault().asked = false;
    }

    /// Takes its next turn: how long to wait for it; `None`: it is too far ahead.
    fn turn(&self, now: DateTime<Utc>) -> Option<Duration> {
        let Some(pace) = &self.pace else { return Some(Duration::ZERO) };
        let turn = pace.lock().unwrap_or_else(PoisonError::into_inner).take(now)?;
        Some((turn - now).to_std().unwrap_or_default())
    }

    /// It answered as it should.
    fn mend(&self) {
        *self.fault() = Fault::default();
    }

    /// It is at fault, and pauses, longer each time. Attempts that were under way together count as one fault.
    fn pause(&self, after: Option<Duration>, now: DateTime<Utc>) {
        let mut fault = self.fault();
        fault.asked = false;
        if fault.paused_until.is_none_or(|until| until <= now) {
            fault.count += 1;
            fault.paused_until = Some(now + channel_pause(fault.count, after));
        }
    }
}

impl Lane {
    /// A lane may have no transport at all: its notices then wait, and lapse loudly.
    pub fn new(channel: Channel, doubt: DoubtPolicy, transports: Vec<Arc<dyn Transport>>) -> Self {
        let slots = transports.into_iter().map(|transport| Slot { transport, fault: Mutex::default(), pace: None });
        Self { channel, doubt, transports: slots.collect(), meter: Meter::default(), look: Notify::new() }
    }

    /// How often each transport may be used, in their order; one that has no rate is not limited.
    #[must_use]
    pub fn paced(mut self, rates: &[Option<Rate>]) -> Self {
        for (slot, rate) in self.transports.iter_mut().zip(rates) {
            slot.pace = rate.map(|rate| Mutex::new(Pace::new(rate)));
        }
        self
    }

    /// A notice of this lane waits for a fresh look at its source.
    pub(super) fn want_look(&self) {
        self.look.notify_one();
    }

    /// Waits until one does.
    pub async fn look_wanted(&self) {
        self.look.notified().await;
    }

    /// Whether one does: asked once for each time.
    pub fn take_wanted_look(&self) -> bool {
        pin!(self.look.notified()).enable()
    }

    /// Attempts that may run at once: of the widest transport.
    pub fn concurrency(&self) -> usize {
        self.transports.iter().map(|s| s.transport.concurrency()).max().unwrap_or(1).max(1)
    }

    /// What it did so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Each transport's name, and whether it pauses.
    pub fn pauses(&self, now: DateTime<Utc>) -> impl Iterator<Item = (&str, bool)> {
        self.transports.iter().map(move |s| (s.transport.name(), !s.is_open(now)))
    }

    /// The name of the transport that a message is begun for: the first that is well, or else the preferred one.
    pub(super) fn preferred(&self, now: DateTime<Utc>) -> &str {
        let well = self.transports.iter().find(|slot| slot.is_open(now) && !slot.is_on_probation());
        well.or(self.transports.first()).map_or("none", |slot| slot.transport.name())
    }

    /// Tries the transports in order of preference. The next one is tried only when the one before was at fault and nothing was sent.
    pub async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn, clock: &dyn Clock) -> Outcome {
        let mut last = Outcome::ChannelFault { why: format!("no fit transport for {}", self.channel), after: None };
        for slot in self.transports.iter().filter(|slot| slot.is_open(clock.now())) {
            let transport = &slot.transport;
            if !slot.enter() {
                last = Outcome::ChannelFault {
                    why: format!("{} was at fault, and another message asks it first", transport.name()),
                    after: None,
                };
                continue;
            }
            let Some(wait) = slot.turn(clock.now()) else {
                slot.leave();
                last = Outcome::ChannelFault { why: format!("{} has no turn left", transport.name()), after: None };
                continue;
            };
            tokio::time::sleep(wait).await;
            doubt.goes_over(transport.name()).await;
            let outcome = transport.deliver(message, doubt).await;
            let Outcome::ChannelFault { why, after } = &outcome else {
                slot.mend();
                return outcome;
            };
            tracing::warn!(transport = transport.name(), %why, "the channel is at fault and pauses");
            slot.pause(*after, clock.now());
            last = outcome;
        }
        last
    }

    /// Messages that may be begun now, and when the next one may be if that is none: of the fit transport that is freest. `None`: as many as
    /// one likes.
    pub(super) fn room(&self, now: DateTime<Utc>) -> Option<(usize, DateTime<Utc>)> {
        let mut most: Option<(usize, DateTime<Utc>)> = None;
        let all_on_probation = self.is_on_probation();
        for slot in self.transports.iter().filter(|s| s.is_open(now) && (all_on_probation || !s.is_on_probation())) {
            let pace = slot.pace.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
            let theirs = (pace.turns(now), pace.next(now));
            if most.is_none_or(|(turns, at)| theirs.0 > turns || (theirs.0 == turns && theirs.1 < at)) {
                most = Some(theirs);
            }
        }
        most
    }

    /// Every transport is paused.
    pub fn is_closed(&self, now: DateTime<Utc>) -> bool {
        !self.transports.is_empty() && !self.transports.iter().any(|s| s.is_open(now))
    }

    /// Every transport failed the last time it was tried: one message is tried before the others.
    pub(super) fn is_on_probation(&self) -> bool {
        !self.transports.is_empty() && self.transports.iter().all(Slot::is_on_probation)
    }

    /// When the first paused transport is tried again.
    pub(super) fn reopens_at(&self) -> Option<DateTime<Utc>> {
        if self.transports.iter().any(|s| s.fault().paused_until.is_none()) {
            return None;
        }
        self.transports.iter().filter_map(|s| s.fault().paused_until).min()
    }
}
