//! Messages that are no notices: the letter to the practice, and answers to texts. They stand in one table, and their attempts go by the same states,
//! phases and steps as notices' ([`super::attempted`]).
//!
//! What is only of them: nothing of a session is decided upon, no bytes are frozen, and a doubt is for good. A letter of a scheduled time goes to a
//! recipient once; an answer leaves once, whatever came of it, so what left and was not taken does not go again.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::attempted::{AttemptProgress, Attempted, Row};
use super::standing::{ClaimHolder, Recovery};
use super::words::rfc3339;
use super::{Begin, Lease, Outgoing, Settlement};
use crate::contact::PhoneNumber;
use crate::entry::{AttemptEnd, Phase, State};
use crate::feedback::answer::Answer;
use crate::feedback::reply::PendingAnswer;
use crate::ledger::{Event, LedgerRow};
use crate::notice::NoticeKey;
use crate::outcome::NOT_SENT;

/// The letter of one scheduled time to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestDelivery {
    /// See [`digest_key`].
    pub key: NoticeKey,
    /// The time that it was scheduled for.
    pub scheduled_at: DateTime<Utc>,
    /// The address, by its [`suppression_key`](crate::suppression::suppression_key).
    pub recipient: String,
    /// Where it is. Cancelled: there was nothing to tell, or the store was restored, and it may have gone before.
    pub state: State,
    pub attempts: u32,
    /// When it is tried next; `None`: never again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it got into its state.
    pub changed_at: DateTime<Utc>,
}

/// A scheduled time of the letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    pub at: DateTime<Utc>,
    /// It is made up until then, if it was missed.
    pub useful_until: DateTime<Utc>,
    /// The addresses, each by its [`suppression_key`](crate::suppression::suppression_key).
    pub recipients: Vec<String>,
}

impl Scheduled {
    /// Those that may have gone after the time until which a copy is complete. All, if there is none, or it is of a clock that was ahead.
    pub(crate) fn after(all: &[Self], since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Vec<Self> {
        let since = since.filter(|since| *since <= now);
        all.iter().filter(|scheduled| since.is_none_or(|since| scheduled.useful_until > since)).cloned().collect()
    }
}

/// Names a letter, and its message: a digest of its scheduled time and of the recipient.
pub fn digest_key(scheduled_at: DateTime<Utc>, recipient: &str) -> NoticeKey {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(format!("letter {} {recipient}", scheduled_at.timestamp_millis()))[..16]);
    NoticeKey(key)
}

/// A message that is no notice.
#[derive(Debug, Clone)]
pub(crate) struct Alone {
    pub(crate) key: NoticeKey,
    pub(crate) what: AloneMessage,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) useful_until: DateTime<Utc>,
    pub(crate) state: State,
    pub(crate) phase: Option<Phase>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) attempts: u32,
    pub(crate) changed_at: DateTime<Utc>,
    /// Over which it went last.
    pub(crate) transport: Option<String>,
    /// What became of it; `None`: it is open, or nobody can know.
    pub(crate) outcome: Option<AloneEnd>,
}

/// An answer left, and the gateway did not take it: whoever asks again is answered again.
pub(crate) const NOT_TAKEN: &str = "not taken";

/// What became of a message that is no notice, or of an attempt of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AloneEnd {
    /// An attempt ended so, or none was needed.
    Attempt(AttemptEnd),
    /// It is about to leave: nobody can know any more.
    Doubt,
    /// It is tried again.
    Open,
    /// An answer left, and the server did not take it.
    NotTaken,
    /// There was nothing to tell.
    Empty,
    /// It may have gone before a restore.
    Restored,
    /// Shadow mode.
    NotSent,
}

impl AloneEnd {
    const OWN: [(Self, &str); 6] = [
        (Self::Doubt, "doubt"),
        (Self::Open, "open"),
        (Self::NotTaken, NOT_TAKEN),
        (Self::Empty, "empty"),
        (Self::Restored, "restored"),
        (Self::NotSent, NOT_SENT),
    ];

    /// The word in the store and in the ledger.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Attempt(end) => end.as_str(),
            own => Self::OWN.iter().find(|(end, _)| end == own).map_or("", |(_, word)| word),
        }
    }
}

impl From<&str> for AloneEnd {
    fn from(word: &str) -> Self {
        let own = Self::OWN.into_iter().find(|(_, own)| *own == word);
        own.map_or_else(|| Self::Attempt(AttemptEnd::from(word)), |(end, _)| end)
    }
}

#[derive(Debug, Clone)]
pub(crate) enum AloneMessage {
    /// To the recipient of that name.
    Letter { recipient: String },
    /// To that number, which is forgotten at its end. Its key is the reply's.
    Answer { to: Option<PhoneNumber>, answer: Answer, locale: String },
}

impl AloneMessage {
    pub(crate) fn kind(&self) -> Outgoing {
        match self {
            Self::Letter { .. } => Outgoing::Letter,
            Self::Answer { .. } => Outgoing::Answer,
        }
    }
}

impl Attempted for Alone {
    fn progress(&mut self) -> AttemptProgress<'_> {
        let Self { state, phase, next_attempt_at, attempts, changed_at, .. } = self;
        AttemptProgress { state, phase, next_attempt_at, attempts, changed_at }
    }

    fn stands(&self) -> (State, Option<Phase>) {
        (self.state, self.phase)
    }
}

/// A step is not possible, and nothing changed.
pub(crate) struct NotPossible;

/// A step of an attempt.
#[derive(Clone, Copy)]
pub(crate) enum AloneStep<'a> {
    Begin(&'a Begin),
    Take(&'a Begin, TimeDelta),
    Doubt(TimeDelta),
    Reroute(&'a str),
    Settle(&'a Settlement, DateTime<Utc>),
}

impl Row<Alone> {
    /// The letter of that time.
    pub(crate) fn letter(scheduled_at: DateTime<Utc>, useful_until: DateTime<Utc>, recipient: &str) -> Self {
        let what = AloneMessage::Letter { recipient: recipient.to_owned() };
        Self::added(digest_key(scheduled_at, recipient), what, (scheduled_at, useful_until))
    }

    /// The answer to a reply that came just now.
    pub(crate) fn answer(key: NoticeKey, to: PhoneNumber, (answer, locale): (Answer, &str), at: DateTime<Utc>) -> Self {
        let what = AloneMessage::Answer { to: Some(to), answer, locale: locale.to_owned() };
        Self::added(key, what, (at, at + answer.useful()))
    }

    fn added(key: NoticeKey, what: AloneMessage, (due_at, useful_until): (DateTime<Utc>, DateTime<Utc>)) -> Self {
        let (next_attempt_at, changed_at) = (Some(due_at), due_at);
        let (phase, attempts, transport, outcome) = (None, 0, None, None);
        let entry = Alone {
            key,
            what,
            due_at,
            useful_until,
            state: State::Waiting,
            phase,
            next_attempt_at,
            attempts,
            changed_at,
            transport,
            outcome,
        };
        Self { entry, epoch: 0, claim: None, doubt: None }
    }

    /// Claims it. `false`: it waits no more, or not yet. Whoever has claimed it and not begun may do so again: the answer may have been lost.
    pub(crate) fn claim_alone(&mut self, owner: &str, lease_until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let is_theirs = self.entry.state == State::Claimed && self.claim.as_ref().is_some_and(|held| held.owner == owner);
        let is_due = self.entry.state == State::Waiting && self.entry.next_attempt_at.is_some_and(|at| at <= now);
        if is_due || is_theirs {
            self.claim(owner, lease_until, now);
            self.claim.iter_mut().for_each(|held| held.from = State::Waiting);
        }
        is_due || is_theirs
    }

    /// Takes a step of an attempt, and says what the ledger tells of it.
    pub(crate) fn step(&mut self, lease: Lease, step: AloneStep<'_>, store_now: DateTime<Utc>) -> Result<Option<LedgerRow>, NotPossible> {
        let (done, told) = match step {
            AloneStep::Begin(begin) => (self.begin(lease, "", begin.at), None),
            AloneStep::Take(begin, margin) => (self.take(lease, "", (begin.at, store_now), margin), Some((AloneEnd::Doubt, begin.at))),
            AloneStep::Doubt(margin) => (self.enter_doubt(lease, store_now, margin), Some((AloneEnd::Doubt, store_now))),
            AloneStep::Reroute(_) => (self.reroute(lease), Some((AloneEnd::Open, store_now))),
            AloneStep::Settle(end, at) => return self.settle_alone(lease, end, at),
        };
        if !done {
            return Err(NotPossible);
        }
        if let AloneStep::Begin(Begin { transport, .. }) | AloneStep::Take(Begin { transport, .. }, _) = step {
            self.entry.transport = Some(transport.clone());
        }
        if let AloneStep::Reroute(transport) = step {
            self.entry.transport = Some(transport.to_owned());
        }
        // Of an answer only its end is told.
        let told = told.filter(|_| self.entry.what.kind() == Outgoing::Letter);
        Ok(told.map(|(end, at)| self.event(&end, at)))
    }

    fn settle_alone(&mut self, lease: Lease, end: &Settlement, at: DateTime<Utc>) -> Result<Option<LedgerRow>, NotPossible> {
        let kind = self.entry.what.kind();
        let left = self.entry.phase == Some(Phase::Doubt);
        let final_end = match end {
            Settlement::Retry { why, .. } if left && kind == Outgoing::Answer => {
                Some(Settlement::Rejected { reply: why.clone(), remember: None })
            }
            Settlement::Unknown { why, .. } => Some(Settlement::Unknown { why: why.clone(), resend_at: None }),
            _ => None,
        };
        if !self.settle(lease, final_end.as_ref().unwrap_or(end), at) {
            return Err(NotPossible);
        }
        // What may have left goes never again: there is nothing to decide.
        self.doubt = None;
        let outcome = match (end, kind) {
            (Settlement::Accepted { reply, .. }, Outgoing::Answer) if reply == NOT_SENT => AloneEnd::NotSent,
            (Settlement::Ended { state: State::Cancelled, .. }, Outgoing::Letter) => AloneEnd::Empty,
            (Settlement::Retry { .. }, Outgoing::Letter) => AloneEnd::Open,
            (Settlement::Retry { .. }, _) if left => AloneEnd::NotTaken,
            (Settlement::Retry { .. } | Settlement::Return { .. }, _) => return Ok(None),
            _ => AloneEnd::Attempt(end.in_words().0),
        };
        if self.entry.next_attempt_at.is_none() {
            self.entry.outcome = Some(outcome.clone());
            self.forget_address();
        }
        // That it may have arrived was told when it left.
        let is_told = !matches!((end, kind), (Settlement::Unknown { .. }, Outgoing::Letter));
        Ok(is_told.then(|| self.event(&outcome, at)))
    }

    /// Takes a claim back whose owner is gone. Nothing of it goes again if it may have left.
    pub(crate) fn recover_alone(&mut self, is_gone: impl FnOnce(&ClaimHolder) -> bool, at: DateTime<Utc>) -> Option<Recovery> {
        let recovery = self.recover(is_gone, at)?;
        if recovery == Recovery::InDoubt {
            self.doubt = None;
            self.forget_address();
        }
        Some(recovery)
    }

    /// The store is an older copy: it may have gone since, so it does not go any more. `None`: it is over, or on its way.
    pub(crate) fn forgo(&mut self, at: DateTime<Utc>) -> Option<LedgerRow> {
        if self.entry.next_attempt_at.is_none() || self.entry.phase == Some(Phase::Doubt) {
            return None;
        }
        self.claim = None;
        let Alone { state, phase, next_attempt_at, changed_at, outcome, .. } = &mut self.entry;
        (*state, *phase, *next_attempt_at, *changed_at, *outcome) = (State::Cancelled, None, None, at, Some(AloneEnd::Restored));
        self.forget_address();
        Some(self.event(&AloneEnd::Restored, at))
    }

    fn forget_address(&mut self) {
        if let AloneMessage::Answer { to, .. } = &mut self.entry.what {
            *to = None;
        }
    }

    fn event(&self, end: &AloneEnd, at: DateTime<Utc>) -> LedgerRow {
        let word = end.as_str();
        match &self.entry.what {
            AloneMessage::Letter { .. } => LedgerRow::new(at, Event::DigestDelivery, &format!("of {}: {word}", rfc3339(self.entry.due_at))),
            AloneMessage::Answer { answer, .. } => LedgerRow::new(at, Event::Answer, &format!("{}: {word}", answer.as_str())),
        }
    }

    /// As a letter, if it is one.
    pub(crate) fn as_letter(&self) -> Option<DigestDelivery> {
        let Alone { key, state, attempts, next_attempt_at, changed_at, due_at: scheduled_at, .. } = self.entry;
        let AloneMessage::Letter { recipient } = &self.entry.what else { return None };
        Some(DigestDelivery { key, scheduled_at, recipient: recipient.clone(), state, attempts, next_attempt_at, changed_at })
    }

    /// As an answer that waits, if it is one.
    pub(crate) fn as_waiting(&self) -> Option<PendingAnswer> {
        let Alone { key, useful_until, state: State::Waiting, .. } = self.entry else { return None };
        let AloneMessage::Answer { to: Some(to), answer, locale } = &self.entry.what else { return None };
        Some(PendingAnswer { key, to: to.clone(), answer: *answer, locale: locale.clone(), useful_until })
    }
}
