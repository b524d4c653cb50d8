//! What each step of an attempt makes of a row, whatever leaves: a notice, the letter to the practice, an answer to a text. Pure, and the same for
//! every store. ([`super::transition`] has what else becomes of a notice, [`super::outgoing`] what is only of the others.)
//!
//! In: a [`Row`] as the store holds it, and the step. Out: whether that was possible, and the row changed in place, or untouched if not.
//!
//! Invariants: a claim's fields (owner, lease, the state before) are set in claimed and sending, and in no other state; phase is set in
//! sending only; `next_attempt_at` is empty in held and in every final state; epochs never fall.

use chrono::{DateTime, TimeDelta, Utc};

use super::standing::{ClaimHolder, ClaimState, Doubt, Recovery};
use super::{Lease, Settlement};
use crate::entry::{Entry, Phase, State};
use crate::notice::Reason;

/// A message as a store keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Row<E = Entry> {
    /// Of a notice: what everyone may see.
    pub(crate) entry: E,
    /// How often it was claimed.
    pub(crate) epoch: i64,
    /// Who holds it, while claimed or sending.
    pub(crate) claim: Option<ClaimHolder>,
    /// Whether an attempt of it ended in doubt: then its frozen bytes are what is sent again.
    pub(crate) doubt: Option<Doubt>,
}

/// Where a message is.
pub(crate) struct AttemptProgress<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) phase: &'a mut Option<Phase>,
    pub(crate) next_attempt_at: &'a mut Option<DateTime<Utc>>,
    pub(crate) attempts: &'a mut u32,
    pub(crate) changed_at: &'a mut DateTime<Utc>,
}

/// What is handed over in attempts.
pub(crate) trait Attempted {
    fn progress(&mut self) -> AttemptProgress<'_>;

    fn stands(&self) -> (State, Option<Phase>);

    /// Why it is in its state.
    fn set_reason(&mut self, _reason: Option<Reason>) {}

    /// What is told, by its digest.
    fn set_facts(&mut self, _facts: &str) {}

    /// What the server said last.
    fn set_reply(&mut self, _reply: &str) {}

    /// By which id the server knows it.
    fn set_accepted(&mut self, _at: DateTime<Utc>, _reference: Option<&str>) {}
}

impl Attempted for Entry {
    fn progress(&mut self) -> AttemptProgress<'_> {
        let Self { state, phase, next_attempt_at, attempts, changed_at, .. } = self;
        AttemptProgress { state, phase, next_attempt_at, attempts, changed_at }
    }

    fn stands(&self) -> (State, Option<Phase>) {
        (self.state, self.phase)
    }

    fn set_reason(&mut self, reason: Option<Reason>) {
        self.reason = reason;
    }

    fn set_facts(&mut self, facts: &str) {
        self.facts = Some(facts.to_owned());
    }

    fn set_reply(&mut self, reply: &str) {
        self.server_reply = Some(reply.to_owned());
    }

    fn set_accepted(&mut self, at: DateTime<Utc>, reference: Option<&str>) {
        self.accepted_at = Some(at);
        self.reference = reference.map(str::to_owned);
    }
}

impl<E: Attempted> Row<E> {
    /// Claims it; the store has checked that it is due.
    pub(crate) fn claim(&mut self, owner: &str, lease_until: DateTime<Utc>, at: DateTime<Utc>) {
        self.claim = Some(ClaimHolder { owner: owner.to_owned(), lease_until, from: self.entry.stands().0 });
        self.epoch += 1;
        self.go(State::Claimed, None, at);
    }

    pub(crate) fn standing(&self) -> ClaimState {
        let lease_until = self.claim.as_ref().map(|c| c.lease_until);
        let (state, phase) = self.entry.stands();
        ClaimState { epoch: self.epoch, state, phase, lease_until }
    }

    pub(crate) fn begin(&mut self, lease: Lease, facts: &str, at: DateTime<Utc>) -> bool {
        if !self.standing().may_begin(lease) {
            return false;
        }
        self.go(State::Sending, None, at);
        self.in_phase(Phase::Pre);
        *self.entry.progress().attempts += 1;
        self.entry.set_facts(facts);
        true
    }

    /// The point of no return.
    pub(crate) fn enter_doubt(&mut self, lease: Lease, store_now: DateTime<Utc>, margin: TimeDelta) -> bool {
        let may = self.standing().may_enter_doubt(lease, store_now, margin);
        if may {
            self.in_phase(Phase::Doubt);
        }
        may
    }

    /// Begins it, and takes it past its point of no return, in one step.
    pub(crate) fn take(&mut self, lease: Lease, facts: &str, (at, store_now): (DateTime<Utc>, DateTime<Utc>), margin: TimeDelta) -> bool {
        let may = self.standing().may_take(lease, store_now, margin) && self.begin(lease, facts, at);
        if may {
            self.in_phase(Phase::Doubt);
        }
        may
    }

    /// It goes over another transport: of that nothing was sent yet.
    pub(crate) fn reroute(&mut self, lease: Lease) -> bool {
        let may = self.standing().can_reroute(lease);
        if may {
            self.in_phase(Phase::Pre);
        }
        may
    }

    /// The claim ends. (Also one that was taken back in doubt: whoever was taken for gone has come back with the server's answer.)
    pub(crate) fn settle(&mut self, lease: Lease, end: &Settlement, at: DateTime<Utc>) -> bool {
        if self.is_answered_late(lease, end) {
            self.doubt = Some(Doubt::Decided);
        } else if !self.standing().holds(lease) {
            return false;
        }
        match end {
            Settlement::Accepted { reply, reference } => {
                self.end(State::Accepted, None, at);
                self.entry.set_accepted(at, reference.as_deref());
                self.entry.set_reply(reply);
            }
            Settlement::Rejected { reply, .. } => {
                self.end(State::Rejected, None, at);
                self.entry.set_reply(reply);
            }
            Settlement::Retry { why, next_attempt_at } => {
                self.wait(State::Waiting, *next_attempt_at, at);
                self.entry.set_reply(why);
            }
            Settlement::Return { why, next_attempt_at, .. } => self.give_back(why.as_deref(), *next_attempt_at, at),
            Settlement::Unknown { why, resend_at } => {
                self.end(State::Unknown, None, at);
                *self.entry.progress().next_attempt_at = *resend_at;
                self.entry.set_reply(why);
                self.doubt = Some(Doubt::Decided);
            }
            Settlement::Ended { state, reason } => self.end(*state, Some(*reason), at),
        }
        true
    }

    /// The attempt was taken for one that nobody will hear of again, and this is its answer.
    fn is_answered_late(&self, lease: Lease, end: &Settlement) -> bool {
        let is_answer = matches!(end, Settlement::Accepted { .. } | Settlement::Rejected { .. } | Settlement::Retry { .. });
        is_answer && self.doubt.is_some() && self.epoch == lease.epoch && self.entry.stands().0 == State::Unknown
    }

    fn give_back(&mut self, why: Option<&str>, next_attempt_at: DateTime<Utc>, at: DateTime<Utc>) {
        let AttemptProgress { phase, attempts, .. } = self.entry.progress();
        if phase.is_some() {
            *attempts -= 1;
        }
        let from = self.claim.as_ref().map_or(State::Waiting, |c| c.from);
        self.wait(from, next_attempt_at, at);
        if let Some(why) = why {
            self.entry.set_reply(why);
        }
    }

    /// Takes a claim back whose owner is gone.
    pub(crate) fn recover(&mut self, is_gone: impl FnOnce(&ClaimHolder) -> bool, at: DateTime<Utc>) -> Option<Recovery> {
        let claim = self.claim.as_ref().filter(|claim| is_gone(claim))?;
        if self.entry.stands().1 == Some(Phase::Doubt) {
            self.end(State::Unknown, None, at);
            self.doubt = Some(Doubt::Undecided);
            return Some(Recovery::InDoubt);
        }
        let from = claim.from;
        self.go(from, None, at);
        self.claim = None;
        Some(Recovery::Returned)
    }

    /// To a state in which it is tried by itself.
    pub(super) fn wait(&mut self, state: State, next_attempt_at: DateTime<Utc>, at: DateTime<Utc>) {
        self.go(state, None, at);
        self.claim = None;
        *self.entry.progress().next_attempt_at = Some(next_attempt_at);
    }

    /// To a state in which it is not.
    pub(super) fn end(&mut self, state: State, reason: Option<Reason>, at: DateTime<Utc>) {
        self.go(state, reason, at);
        self.claim = None;
        *self.entry.progress().next_attempt_at = None;
    }

    fn go(&mut self, to: State, reason: Option<Reason>, at: DateTime<Utc>) {
        let AttemptProgress { state, phase, changed_at, .. } = self.entry.progress();
        if *state != to {
            *changed_at = at;
        }
        *state = to;
        *phase = None;
        self.entry.set_reason(reason);
    }

    fn in_phase(&mut self, to: Phase) {
        *self.entry.progress().phase = Some(to);
    }
}
