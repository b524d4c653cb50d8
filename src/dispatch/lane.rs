//! A lane: one channel's transports, which of them is fit, when a faulty one is tried again, and how often each may be used.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use store::LaneStore;

use super::bar::Bar;
use super::meter::Meter;
use super::slot::{Met, Slot};
use crate::clock::Clock;
use crate::contact::Channel;
use crate::deliver::{PointOfNoReturn, Route};
use crate::message::Message;
use crate::notice::NoticeKey;
use crate::outbox::RecentEnd;
use crate::outcome::Outcome;
use crate::rate::BURST_WINDOW;
use crate::retry::{DoubtPolicy, bounded, channel_pause, pause};

mod store;

/// So far behind the others a message stands that met a fault of the channel: they ask first when it is tried again.
const BEHIND: TimeDelta = TimeDelta::seconds(1);
/// A message that was tried so often before, and is put off once more, tries the next transport, too.
const PUT_OFF_MAX: u32 = 2;
/// So long one transport may take up to the point of no return while another one is well. A server that answers at all does so sooner, and a session may
/// begin in minutes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages whose faults are counted: more than wait for a channel in an outage of days.
const FAULTS_MAX: usize = 100_000;

/// One channel and its transports, in order of preference.
pub struct Lane {
    pub channel: Channel,
    /// What becomes of a message in doubt.
    pub doubt: DoubtPolicy,
    transports: Vec<Slot>,
    refresh: Notify,
    meter: Meter,
    bar: Arc<Bar>,
    /// The most urgent of what waits for it is of use until then.
    urgent: Mutex<Option<DateTime<Utc>>>,
    refusals: Mutex<Refusals>,
    /// Notices leave the next turn to whoever waits for one alone.
    keeps_turn: AtomicBool,
    /// How many nodes share its transports.
    nodes: AtomicUsize,
    /// Where its turns and pauses outlive it.
    kept: Option<LaneStore>,
}

/// What was refused and is not settled yet, and what of it is taken back.
#[derive(Default)]
struct Refusals {
    unsettled: HashSet<NoticeKey>,
    taken_back: BTreeSet<NoticeKey>,
    /// How often each message met a fault of the channel itself.
    faults: HashMap<NoticeKey, u32>,
}

impl Lane {
    /// A lane may have no transport at all: its notices then wait, and lapse loudly.
    pub fn new(channel: Channel, doubt: DoubtPolicy, routes: Vec<Route>) -> Self {
        let has_others = routes.len() > 1;
        let transports = routes.into_iter().map(|route| Slot::new(route, has_others)).collect();
        Self {
            channel,
            doubt,
            transports,
            meter: Meter::default(),
            refresh: Notify::new(),
            bar: Arc::default(),
            urgent: Mutex::default(),
            refusals: Mutex::default(),
            keeps_turn: AtomicBool::default(),
            nodes: AtomicUsize::new(1),
            kept: None,
        }
    }

    /// A notice of this lane waits for a fresh look at its source.
    pub(super) fn request_refresh(&self) {
        self.refresh.notify_one();
    }

    /// Waits until one does.
    pub async fn refresh_requested(&self) {
        self.refresh.notified().await;
    }

    /// Whether one does: asked once for each time.
    pub fn take_refresh_request(&self) -> bool {
        pin!(self.refresh.notified()).enable()
    }

    /// So many nodes hand over by these transports: each has its share of their connections. Whether they were another number before.
    pub fn share_among(&self, nodes: usize) -> bool {
        let others = self.nodes.swap(nodes, Ordering::Relaxed) != nodes;
        if others {
            self.transports.iter().for_each(|slot| slot.share_among(nodes));
        }
        others
    }

    /// Attempts that may run at once: of the widest transport.
    pub fn concurrency(&self) -> usize {
        self.transports.iter().map(|slot| slot.share(self.nodes.load(Ordering::Relaxed))).max().unwrap_or(1)
    }

    /// Its attempts pass their point of no return in the store beside the envelope: what a crash leaves in doubt then goes again by itself, so an early
    /// doubt costs a delay, never a second copy. Texts, and whatever waits for a person, do so right before their bytes leave.
    pub(super) fn takes_early(&self) -> bool {
        self.channel == Channel::Email && self.doubt == DoubtPolicy::Resend
    }

    /// The next message may do so while the one before it is on its connection: nothing else that it would wait for, in doubt, is known of.
    pub(super) fn may_take_ahead(&self, now: DateTime<Utc>) -> bool {
        self.takes_early() && self.is_well(now) && self.transports.iter().all(|slot| slot.limiter.is_none())
    }

    /// What was said of this message to a server, behind another one's body, is given up.
    pub(super) fn let_go(&self, reference: &str) {
        self.transports.iter().for_each(|slot| slot.transport.let_go(reference));
    }

    pub(super) fn bar(&self) -> &Arc<Bar> {
        &self.bar
    }

    /// Nothing passes its point of no return any more: the process ends soon.
    pub fn shut(&self) {
        self.bar.shut();
    }

    /// How many attempts are past it, and have no answer yet.
    pub fn beyond(&self) -> usize {
        self.bar.beyond()
    }

    /// What it did so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Each transport's name, and until when it pauses; `None`: it does not.
    pub fn pauses(&self, now: DateTime<Utc>) -> impl Iterator<Item = (&str, Option<DateTime<Utc>>)> {
        self.transports.iter().map(move |s| (s.transport.name(), s.paused_until().filter(|until| *until > now)))
    }

    /// The name of the transport that a message is begun for: the first that is well, or else the preferred one.
    pub(super) fn preferred(&self, now: DateTime<Utc>) -> &str {
        let well = self.transports.iter().find(|slot| slot.is_open(now) && !slot.is_suspect());
        well.or(self.transports.first()).map_or("none", |slot| slot.transport.name())
    }

    /// What its transports said before this process began, in order.
    pub(super) fn recall(&self, history: &[RecentEnd]) {
        self.transports.iter().for_each(|slot| slot.recall(history));
    }

    /// Tries the transports in order of preference. The next one is tried only when the one before was at fault, or puts the message off again and
    /// again, and has nothing of it. Where only one that another message asks is left, it waits for that answer.
    pub async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn, clock: &dyn Clock) -> Outcome {
        let mut last = None;
        let mut tried: HashSet<usize> = HashSet::new();
        loop {
            let mut asked = None;
            for (n, slot) in self.transports.iter().enumerate() {
                if tried.contains(&n) || !slot.is_open(clock.now()) {
                    continue;
                }
                let patience = self.has_another(&tried, n, clock.now()).then_some(PATIENCE);
                let Some(_place) = slot.place(patience).await else {
                    tried.insert(n);
                    continue;
                };
                // It may have met a fault meanwhile.
                if !slot.is_open(clock.now()) {
                    continue;
                }
                if !slot.try_acquire() {
                    asked.get_or_insert(slot);
                    continue;
                }
                tried.insert(n);
                doubt.hurries(patience);
                match self.try_one(slot, message, doubt, clock).await {
                    Outcome::ChannelFault { .. } if matches!(last, Some(Outcome::Retry { .. })) => {}
                    fault @ Outcome::ChannelFault { .. } => last = Some(fault),
                    // Whatever it is that this one has against it, another one may not.
                    later @ Outcome::Retry { .. } if doubt.attempts() >= PUT_OFF_MAX && tried.len() < self.transports.len() => {
                        last = Some(later);
                    }
                    outcome => {
                        self.refusals().faults.remove(&message.key);
                        return outcome;
                    }
                }
            }
            match asked {
                Some(slot) => slot.answered().await,
                None => return last.unwrap_or_else(|| self.untried(clock.now())),
            }
        }
    }

    /// No transport was fit for a message: the most preferred one's fault says why.
    fn untried(&self, now: DateTime<Utc>) -> Outcome {
        let paused = self.transports.iter().find(|slot| !slot.is_open(now)).map(Slot::why_it_pauses);
        Outcome::ChannelFault { why: paused.unwrap_or_else(|| format!("no fit transport for {}", self.channel)), after: None }
    }

    /// One that was not tried is well, beside this one.
    fn has_another(&self, tried: &HashSet<usize>, this: usize, now: DateTime<Utc>) -> bool {
        let others = self.transports.iter().enumerate().filter(|(n, _)| *n != this && !tried.contains(n));
        others.map(|(_, slot)| slot).any(|slot| slot.is_open(now) && !slot.is_suspect())
    }

    async fn try_one(&self, slot: &Slot, message: &Message, doubt: &dyn PointOfNoReturn, clock: &dyn Clock) -> Outcome {
        if !self.may_ask(slot).await {
            slot.step_aside(clock.now());
            return Outcome::ChannelFault { why: slot.why_it_pauses(), after: None };
        }
        let outcome = self.tried(slot, message, doubt, clock).await;
        self.save(slot, clock.now()).await;
        outcome
    }

    async fn tried(&self, slot: &Slot, message: &Message, doubt: &dyn PointOfNoReturn, clock: &dyn Clock) -> Outcome {
        let transport = &slot.transport;
        if slot.must_be_asked()
            && let Err(why) = transport.probe().await
        {
            let why = format!("what it took is in doubt, and asked whether it is well: {why}");
            slot.meet_fault(&Met { key: message.key, why: doubt.shown(&why), after: None }, self.urgent(), clock.now());
            return Outcome::ChannelFault { why, after: None };
        }
        let Some(wait) = self.turn(slot, clock).await else {
            slot.release();
            return Outcome::ChannelFault { why: format!("{} has no turn left", transport.name()), after: None };
        };
        // A sleep of nothing lasts until the timer's next tick, a millisecond on.
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if !doubt.is_fresh() {
            slot.release();
            return Outcome::Fenced;
        }
        if !doubt.reroute(transport.name()).await {
            slot.release();
            return Outcome::Fenced;
        }
        let outcome = transport.deliver(message, doubt).await;
        let (outcome, taken_back) = if doubt.weighs() { slot.weigh(outcome, message) } else { (outcome, Vec::new()) };
        match &outcome {
            Outcome::ChannelFault { why, after } => {
                let met = Met { key: message.key, why: doubt.shown(why), after: *after };
                let pauses = slot.meet_fault(&met, self.urgent(), clock.now());
                let does = if pauses { "the channel is at fault and pauses" } else { "the channel is at fault: another message asks it" };
                tracing::warn!(transport = transport.name(), why = met.why, "{does}");
                let mut refusals = self.refusals();
                refusals.taken_back.extend(taken_back);
                if refusals.faults.len() >= FAULTS_MAX {
                    refusals.faults.clear();
                }
                *refusals.faults.entry(message.key).or_default() += 1;
            }
            Outcome::Rejected { .. } | Outcome::Unknown { .. } if !doubt.weighs() => slot.release(),
            Outcome::Rejected { .. } => {
                self.refusals().unsettled.insert(message.key);
                slot.recover();
            }
            Outcome::Unknown { why } if slot.leaves_all_in_doubt(why, message) => {
                let met = Met { key: message.key, why: doubt.shown(why), after: None };
                slot.meet_fault(&met, self.urgent(), clock.now());
                tracing::error!(transport = transport.name(), why = met.why, "one message after the other is in doubt: the channel pauses");
            }
            Outcome::Fenced => slot.release(),
            _ => slot.recover(),
        }
        outcome
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of a message is durable. What is to be taken back by then: refusals that turned out to be about us, and are settled.
    pub(super) fn settled(&self, key: NoticeKey) -> Vec<NoticeKey> {
        let mut refusals = self.refusals();
        let Refusals { unsettled, taken_back, .. } = &mut *refusals;
        unsettled.remove(&key);
        let ready: Vec<NoticeKey> = taken_back.iter().filter(|key| !unsettled.contains(*key)).copied().collect();
        taken_back.retain(|key| unsettled.contains(key));
        ready
    }

    /// When a message that its channel could not take is tried again. While the channel pauses: after that, and whoever met the fault behind the
    /// others, who ask then. While it does not: one that met a fault has its own back-off, and the others follow at once.
    pub(super) fn again_at(&self, key: NoticeKey, now: DateTime<Utc>) -> DateTime<Utc> {
        let faults = self.refusals().faults.get(&key).copied();
        match self.reopens_at().filter(|at| *at > now) {
            Some(at) if faults.is_some() => at + BEHIND,
            Some(at) => at,
            None => {
                let own = |faults| pause(faults, key).max(channel_pause(1, None, None) + BEHIND);
                now + bounded(faults.map_or(BEHIND, own), self.urgent().map(|until| until - now))
            }
        }
    }

    /// A transport is open and was well the last time it was tried: what is taken back goes over it at once.
    pub(super) fn is_well(&self, now: DateTime<Utc>) -> bool {
        self.transports.iter().any(|slot| slot.is_open(now) && !slot.is_suspect())
    }

    /// Messages that may be begun now, and when the next one may be if that is none: of the fit transport that is freest. `None`: as many as
    /// one likes.
    pub(super) fn room(&self, now: DateTime<Utc>) -> Option<(usize, DateTime<Utc>)> {
        let kept = usize::from(self.keeps_turn.load(Ordering::Relaxed));
        self.turns(now).map(|(turns, next)| (turns.saturating_sub(kept), next))
    }

    /// Until when whoever hands over alone waits for a turn; `None`: there is one now.
    pub fn next_turn(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.turns(now).and_then(|(turns, next)| (turns == 0).then_some(next - BURST_WINDOW))
    }

    /// Whether somebody waits for a turn alone, and gets the next one: a backlog of notices would take each as soon as it comes.
    pub fn keep_turn(&self, waits: bool) {
        self.keeps_turn.store(waits, Ordering::Relaxed);
    }

    /// Turns that are there, for notices and for whoever waits alone, and when the next one comes.
    fn turns(&self, now: DateTime<Utc>) -> Option<(usize, DateTime<Utc>)> {
        let mut most: Option<(usize, DateTime<Utc>)> = None;
        let all_on_probation = self.is_suspect();
        for slot in self.transports.iter().filter(|s| s.is_open(now) && (all_on_probation || !s.is_suspect())) {
            let limiter = slot.limiter.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
            let theirs = (limiter.turns(now), limiter.next(now));
            if most.is_none_or(|(turns, at)| theirs.0 > turns || (theirs.0 == turns && theirs.1 < at)) {
                most = Some(theirs);
            }
        }
        most
    }

    fn urgent(&self) -> Option<DateTime<Utc>> {
        *self.urgent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most urgent of what waits for it is of use until then: its pauses leave time for that.
    pub(super) fn waits_for(&self, useful_until: DateTime<Utc>, now: DateTime<Utc>) {
        let mut urgent = self.urgent.lock().unwrap_or_else(PoisonError::into_inner);
        *urgent = Some(urgent.filter(|before| *before > now).map_or(useful_until, |before| before.min(useful_until)));
        drop(urgent);
        self.transports.iter().for_each(|slot| slot.hasten(useful_until, now));
    }

    /// Pauses are over: the clock was set, and they were by the old one; or somebody has something tried now.
    pub fn forget_pauses(&self) {
        self.transports.iter().for_each(Slot::forget_pause);
    }

    /// Every transport is paused.
    pub fn is_closed(&self, now: DateTime<Utc>) -> bool {
        !self.transports.is_empty() && !self.transports.iter().any(|s| s.is_open(now))
    }

    /// Every transport failed the last time it was tried: one message is tried before the others.
    pub(super) fn is_suspect(&self) -> bool {
        !self.transports.is_empty() && self.transports.iter().all(Slot::is_suspect)
    }

    /// When the first paused transport is tried again.
    pub(super) fn reopens_at(&self) -> Option<DateTime<Utc>> {
        if self.transports.iter().any(|s| s.paused_until().is_none()) {
            return None;
        }
        self.transports.iter().filter_map(Slot::paused_until).min()
    }
}
