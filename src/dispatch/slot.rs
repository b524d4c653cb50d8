//! One transport of a lane: whether it is fit, who asks it after a fault, how often it may be used, and whether its refusals are believed.
//!
//! A fault that shows before a message is spoken of (no connection, no log-in, 421) pauses it at once. One that shows in the answer to a message
//! ([`ASK_ANOTHER`]) may be that message's alone: the next one asks at once, and only if that is another one and meets a fault too, it pauses. So
//! one recipient never stops the others, and a probe is another message than the one that failed last.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use super::breaker::{Belief, Breaker, RefusedMessage, same_words};
use super::places::{Place, Places};
use crate::contact::Address;
use crate::deliver::{Route, Transport};
use crate::entry::AttemptEnd;
use crate::message::{Content, Message};
use crate::notice::NoticeKey;
use crate::outbox::RecentEnd;
use crate::outcome::{ASK_ANOTHER, Outcome, PAUSES};
use crate::rate::RateLimiter;
use crate::retry::channel_pause;
use crate::suppression::{Suppression, suppression_key};

mod store;

/// Begins the reason of a fault that was a refusal in the words of others: by it the breaker is made anew out of the store's history.
const ALIKE: &str = "as others were refused: ";

/// Hand-overs to so many, one after the other, that ended in doubt in the same words: it is at fault.
const DOUBTS: usize = 3;
/// While its pauses are shorter than this one (half an hour), it is asked whether it is well before another message is risked.
const ASKED_FIRST: u32 = 7;
/// Different words of putting off that are remembered.
const PUT_OFF_MAX: usize = 100;

pub(super) struct Slot {
    pub(super) transport: Arc<dyn Transport>,
    fault: Mutex<SlotFault>,
    breaker: Mutex<Breaker>,
    /// Whom it put off since its last acceptance, by its words; `None`: several.
    put_off: Mutex<HashMap<String, Option<String>>>,
    /// Whose message it left in doubt since its last acceptance, by its words.
    doubts: Mutex<HashMap<String, HashSet<String>>>,
    /// Another transport can take what this one puts off.
    has_others: bool,
    /// Whoever asked has their answer.
    answered: Notify,
    /// `None`: as often as one likes.
    pub(super) limiter: Option<Mutex<RateLimiter>>,
    /// One asks the store for turns, and the others have theirs of those.
    pub(super) asks: tokio::sync::Mutex<()>,
    /// The version of its pause that the store has, as far as is known.
    version: AtomicI64,
    /// As many as it may have attempts at once: the lane has as many as the widest of its transports.
    places: Places,
}

/// A fault, and the message that met it.
pub(super) struct Met {
    pub(super) key: NoticeKey,
    /// What is wrong, without contacts.
    pub(super) why: String,
    /// The server asked for a pause of this length.
    pub(super) after: Option<Duration>,
}

#[derive(Default, Clone)]
struct SlotFault {
    /// It was at fault the last time it was tried.
    suspect: bool,
    /// Pauses in a row.
    pauses: u32,
    paused_until: Option<DateTime<Utc>>,
    /// The server asked for a pause until then.
    said_until: Option<DateTime<Utc>>,
    /// One message asks for all whether it is well. Never of one that is.
    probing: bool,
    /// The message that met the last fault.
    met_by: Option<NoticeKey>,
    /// What that fault was; no contact stands in it.
    why: String,
    /// The store has it at fault.
    is_known: bool,
    /// What the store is not told yet.
    unsaved: Unsaved,
    /// Asked for all processes: the store is told if it was not asked after all.
    probes: bool,
}

/// What the store is not told of a fault yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Unsaved {
    #[default]
    Nothing,
    Pause,
    Recovery,
}

impl Slot {
    pub(super) fn new(route: Route, has_others: bool) -> Self {
        let Route { transport, rate } = route;
        let (fault, breaker, put_off) = (Mutex::default(), Mutex::default(), Mutex::default());
        let places = Places::new(transport.concurrency().max(1));
        Self {
            transport,
            fault,
            breaker,
            put_off,
            doubts: Mutex::default(),
            has_others,
            answered: Notify::new(),
            limiter: rate.map(|rate| Mutex::new(RateLimiter::new(rate))),
            asks: tokio::sync::Mutex::default(),
            version: AtomicI64::new(0),
            places,
        }
    }

    /// A place for one attempt. `None`: none was free for as long as that is worth.
    pub(super) async fn place(&self, patience: Option<Duration>) -> Option<Place<'_>> {
        let place = self.places.take();
        match patience {
            Some(patience) => tokio::time::timeout(patience, place).await.ok(),
            None => Some(place.await),
        }
    }

    /// Its connections are shared among so many nodes.
    pub(super) fn share_among(&self, nodes: usize) {
        let share = self.share(nodes);
        self.places.resize(share);
        self.transport.narrow(share);
    }

    /// One at least.
    pub(super) fn share(&self, nodes: usize) -> usize {
        self.transport.concurrency().max(1).div_ceil(nodes)
    }

    fn fault(&self) -> MutexGuard<'_, SlotFault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.fault().paused_until.is_none_or(|until| until <= now)
    }

    pub(super) fn paused_until(&self) -> Option<DateTime<Utc>> {
        self.fault().paused_until
    }

    /// It was at fault the last time it was tried.
    pub(super) fn is_suspect(&self) -> bool {
        self.fault().suspect
    }

    /// Whether a message may try it: after a fault, one does, and the others pass by until that one has its answer.
    pub(super) fn try_acquire(&self) -> bool {
        let mut fault = self.fault();
        let on_probation = fault.suspect;
        !std::mem::replace(&mut fault.probing, on_probation)
    }

    /// Entered, and not tried after all.
    pub(super) fn release(&self) {
        self.fault().probing = false;
        self.answered.notify_waiters();
    }

    /// Until nobody asks it any more.
    pub(super) async fn answered(&self) {
        let mut answered = std::pin::pin!(self.answered.notified());
        answered.as_mut().enable();
        if self.fault().probing {
            answered.await;
        }
    }

    /// Takes its next turn: how long to wait for it; `None`: it is too far ahead.
    pub(super) fn turn(&self, now: DateTime<Utc>) -> Option<Duration> {
        let Some(limiter) = &self.limiter else { return Some(Duration::ZERO) };
        let turn = limiter.lock().unwrap_or_else(PoisonError::into_inner).take(now)?;
        Some((turn - now).to_std().unwrap_or_default())
    }

    /// It answered as it should.
    pub(super) fn recover(&self) {
        let mut fault = self.fault();
        let (is_known, probes) = (fault.is_known, fault.probes);
        let unsaved = if is_known { Unsaved::Recovery } else { Unsaved::Nothing };
        *fault = SlotFault { is_known, unsaved, probes, ..SlotFault::default() };
        drop(fault);
        self.answered.notify_waiters();
    }

    /// It is at fault, and pauses, longer each time. Attempts that were under way together count as one fault. `false`: it does not pause yet.
    /// `urgent`: until when the most urgent of what waits for it is of use.
    pub(super) fn meet_fault(&self, met: &Met, urgent: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        let Met { key, ref why, after } = *met;
        let mut fault = self.fault();
        why.clone_into(&mut fault.why);
        fault.probing = false;
        let may_be_the_messages = after == Some(ASK_ANOTHER);
        let again = fault.met_by.replace(key) == Some(key);
        let first = !std::mem::replace(&mut fault.suspect, true);
        if fault.paused_until.is_none_or(|until| until <= now) && !(may_be_the_messages && (first || again)) {
            fault.pauses += 1;
            fault.unsaved = Unsaved::Pause;
            fault.said_until = after.and_then(|after| now.checked_add_signed(TimeDelta::from_std(after).ok()?));
            fault.paused_until = Some(now + channel_pause(fault.pauses, after, urgent.map(|until| until - now)));
        }
        let pauses = fault.paused_until.is_some_and(|until| until > now);
        drop(fault);
        self.answered.notify_waiters();
        pauses
    }

    /// Why it pauses, for a message that it was not asked about.
    pub(super) fn why_it_pauses(&self) -> String {
        let fault = self.fault();
        let why = fault.why.strip_prefix(ALIKE).unwrap_or(&fault.why);
        format!("{}{PAUSES}{why}", self.transport.name())
    }

    /// Something waits that is of use until then: its pause leaves time for that.
    pub(super) fn hasten(&self, useful_until: DateTime<Utc>, now: DateTime<Utc>) {
        let mut fault = self.fault();
        let Some(paused_until) = fault.paused_until.filter(|until| *until > now) else { return };
        let said = fault.said_until.and_then(|until| (until - now).to_std().ok());
        fault.paused_until = Some(paused_until.min(now + channel_pause(fault.pauses, said, Some(useful_until - now))));
    }

    /// It is asked again, by one message for all.
    pub(super) fn forget_pause(&self) {
        let mut fault = self.fault();
        fault.paused_until = fault.paused_until.map(|_| DateTime::UNIX_EPOCH);
    }

    /// What an outcome means beside those before it: a refusal that is about us is a fault, and names what is taken back.
    pub(super) fn weigh(&self, outcome: Outcome, message: &Message) -> (Outcome, Vec<NoticeKey>) {
        match outcome {
            Outcome::Accepted { .. } => {
                let mut breaker = self.breaker();
                if !breaker.is_quiet() {
                    breaker.accepted(&recipient(message));
                }
                drop(breaker);
                self.put_off().clear();
                self.doubts().clear();
                (outcome, Vec::new())
            }
            Outcome::Retry { why, after } if self.puts_everybody_off(&why, message) => {
                (Outcome::ChannelFault { why: format!("as others were put off: {why}"), after }, Vec::new())
            }
            // Their own wish is theirs, whoever else wished it.
            Outcome::Rejected { remember: Some(Suppression::OptedOut), .. } => (outcome, Vec::new()),
            Outcome::Rejected { reply, remember } => {
                self.doubts().clear();
                let refused = RefusedMessage { key: message.key, who: recipient(message), words: same_words(&reply) };
                match self.breaker().refused(refused) {
                    Belief::Believed => (Outcome::Rejected { reply, remember }, Vec::new()),
                    Belief::AboutUs(before) => (Outcome::ChannelFault { why: format!("{ALIKE}{reply}"), after: Some(ASK_ANOTHER) }, before),
                }
            }
            other => (other, Vec::new()),
        }
    }

    /// It says "later" to several, or drops their connections, in the same words and with no acceptance between them, and another transport is there:
    /// that one takes them. (A relay that is alone is asked again, by each message in its own time: one that greylists means just that.)
    fn puts_everybody_off(&self, why: &str, message: &Message) -> bool {
        if !self.has_others {
            return false;
        }
        let mut put_off = self.put_off();
        if put_off.len() >= PUT_OFF_MAX {
            put_off.clear();
        }
        let who = recipient(message);
        let first = put_off.entry(same_words(why)).or_insert_with(|| Some(who.clone()));
        if first.as_ref().is_some_and(|first| *first != who) {
            *first = None;
        }
        first.is_none()
    }

    fn put_off(&self) -> MutexGuard<'_, HashMap<String, Option<String>>> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It leaves one message after the other in doubt, in the same words and with no acceptance between: whatever answers there takes nothing. A message
    /// that is in doubt stays so, but no other one is risked before that one's turn.
    pub(super) fn leaves_all_in_doubt(&self, why: &str, message: &Message) -> bool {
        self.doubted(same_words(why), recipient(message)) >= DOUBTS
    }

    /// So many it left in doubt in these words.
    fn doubted(&self, words: String, who: String) -> usize {
        let mut doubts = self.doubts();
        if doubts.len() >= PUT_OFF_MAX {
            doubts.clear();
        }
        let all = doubts.entry(words).or_default();
        if all.len() < DOUBTS {
            all.insert(who);
        }
        all.len()
    }

    /// Before another message is risked it is asked whether it is well. Only for a while: what it says there may be as wrong.
    pub(super) fn must_be_asked(&self) -> bool {
        self.doubts().values().any(|all| all.len() >= DOUBTS) && self.fault().pauses < ASKED_FIRST
    }

    fn doubts(&self) -> MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it said before this process began.
    pub(super) fn recall(&self, history: &[RecentEnd]) {
        let mut breaker = self.breaker();
        for ended in history.iter().filter(|ended| ended.transport == self.transport.name()) {
            let said = ended.said.as_str();
            let refused = |reply: &str| RefusedMessage { key: ended.key, who: ended.who.clone(), words: same_words(reply) };
            match (&ended.end, said.strip_prefix(ALIKE)) {
                (AttemptEnd::Accepted, _) => {
                    breaker.accepted(&ended.who);
                    self.doubts().clear();
                }
                (AttemptEnd::Unknown, _) => drop(self.doubted(same_words(said), ended.who.clone())),
                (AttemptEnd::Rejected, _) => breaker.recall(refused(said), true),
                (AttemptEnd::ChannelFault, Some(reply)) => breaker.recall(refused(reply), false),
                _ => {}
            }
        }
        drop(breaker);
        if self.must_be_asked() {
            self.fault().suspect = true;
        }
    }
}

/// As the suppression list knows them.
fn recipient(message: &Message) -> String {
    suppression_key(&match &message.content {
        Content::Email { to, .. } => Address::Email(to.clone()),
        Content::Sms { to, .. } => Address::Sms(to.clone()),
    })
}
