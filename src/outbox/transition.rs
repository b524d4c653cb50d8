//! What each write makes of a notice: the rules of the states, pure, and the same for every store. (The steps of its attempts are those of all that
//! leaves: [`super::attempted`].)
//!
//! In: a [`Row`] as the store holds it, and what the caller wants. Out: whether that was possible, and the row changed in place, or
//! untouched if not. A store reads the row, asks here, and writes it back in the same transaction.

use chrono::{DateTime, Utc};

pub(crate) use super::attempted::Row;
use super::checks::check_end;
use super::standing::Doubt;
use super::{Action, Purged, Settlement};
use crate::entry::{Change, Entry, Phase, State};
use crate::known::KnownNotice;
use crate::ledger::{Event, LedgerRow};
use crate::notice::{Notice, Reason};
use crate::suppression::Suppression;

/// Why a refusal is taken back, in the ledger.
pub(crate) const REFUSED_US: &str = "several were refused in the same words";

/// Likewise, why what a receipt said is.
pub(crate) const ARRIVED: &str = "a later receipt says that it arrived";

impl From<&Row> for KnownNotice {
    fn from(row: &Row) -> Self {
        let entry = row.entry.clone();
        Self {
            notice: entry.notice,
            state: entry.state,
            reason: entry.reason,
            changed_at: entry.changed_at,
            facts: entry.facts,
            doubted: row.doubt.is_some() || entry.phase == Some(Phase::Doubt),
            undelivered: false,
        }
    }
}

impl Row {
    pub(crate) fn added(notice: Notice, source: &str, at: DateTime<Utc>) -> Self {
        let entry = Entry {
            source: source.to_owned(),
            state: State::Waiting,
            reason: None,
            phase: None,
            next_attempt_at: Some(notice.due_at),
            attempts: 0,
            accepted_at: None,
            server_reply: None,
            reference: None,
            changed_at: at,
            facts: None,
            notice,
        };
        Self { entry, epoch: 0, claim: None, doubt: None }
    }

    /// A planner's change. `false`: it is in no state for it, or is so already.
    pub(crate) fn change(&mut self, change: &Change, at: DateTime<Utc>) -> bool {
        let pending = self.entry.state.pending();
        match *change {
            Change::Move { due_at, useful_until, .. } if pending || self.can_revive() => self.move_to(due_at, useful_until, at),
            Change::End { state, reason, .. } if pending && self.must_lapse(state, reason, at) => {
                // Over or not, it may have gone before a restore.
                let otherwise = if reason == Reason::Restored { reason } else { Reason::Lapsed };
                self.lapse_for(at, otherwise)
            }
            Change::End { state, reason, .. } if pending => {
                // Whatever kept it is the reason.
                let too_late = matches!(reason, Reason::Lapsed | Reason::Started);
                let reason = if too_late { self.entry.reason.unwrap_or(reason) } else { reason };
                let same = self.entry.state == state && self.entry.reason == Some(reason);
                if !same {
                    self.end(state, Some(reason), at);
                }
                !same
            }
            _ => false,
        }
    }

    /// It ended untold, by the planner's word: a session that moves away and back needs it again.
    fn can_revive(&self) -> bool {
        let by_plan = matches!(self.entry.state, State::Cancelled | State::Superseded | State::Suppressed | State::Lapsed);
        by_plan && !self.entry.reason.is_some_and(Reason::is_a_persons) && self.doubt.is_none()
    }

    /// Its time passed while it waited: that is the reason, unless another one says that nobody needed it.
    fn must_lapse(&self, state: State, reason: Reason, at: DateTime<Utc>) -> bool {
        let said_nothing = state == State::Held || matches!(reason, Reason::Outdated | Reason::Started | Reason::Lapsed);
        said_nothing && self.entry.notice.useful_until <= at
    }

    /// Its time passed: whatever kept it is the reason. What is in doubt stays so. `false`: it has time yet, or is in no state for it.
    pub(crate) fn lapse(&mut self, at: DateTime<Utc>) -> bool {
        self.lapse_for(at, Reason::Lapsed)
    }

    /// Likewise, with the reason if nothing kept it.
    fn lapse_for(&mut self, at: DateTime<Utc>, otherwise: Reason) -> bool {
        let open = self.entry.state.pending() || self.entry.state == State::Unknown;
        if !open || self.entry.notice.useful_until > at {
            return false;
        }
        let kept = if self.doubt.is_some() { Reason::InDoubt } else { self.entry.reason.unwrap_or(otherwise) };
        self.end(State::Lapsed, Some(kept), at);
        self.doubt = self.doubt.map(|_| Doubt::Decided);
        true
    }

    fn move_to(&mut self, due_at: DateTime<Utc>, useful_until: DateTime<Utc>, at: DateTime<Utc>) -> bool {
        let before = (self.entry.state, self.entry.notice.due_at, self.entry.notice.useful_until, self.entry.next_attempt_at);
        if before == (State::Waiting, due_at, useful_until, Some(due_at)) {
            return false;
        }
        self.entry.notice.due_at = due_at;
        self.entry.notice.useful_until = useful_until;
        self.wait(State::Waiting, due_at, at);
        true
    }

    /// Its refusal was about us: it waits again, if it is still of use.
    pub(crate) fn take_back(&mut self, next_attempt_at: Option<DateTime<Utc>>, at: DateTime<Utc>) -> bool {
        let may = self.entry.state == State::Rejected && self.entry.notice.useful_until > at;
        if may {
            self.wait(State::Waiting, next_attempt_at.unwrap_or(self.entry.notice.due_at), at);
        }
        may
    }

    /// A receipt says that the provider has it: a doubt is over, unless an attempt runs. Whether it was one.
    pub(crate) fn receive(&mut self, at: DateTime<Utc>) -> bool {
        let open = self.entry.state.pending() || self.entry.state == State::Lapsed;
        let doubtful = self.entry.state == State::Unknown || (open && self.doubt.is_some());
        if doubtful {
            self.end(State::Accepted, None, at);
            self.entry.accepted_at = Some(at);
            if self.doubt.is_some() {
                self.doubt = Some(Doubt::Decided);
            }
        }
        doubtful
    }

    /// Decides about a doubt.
    pub(crate) fn resolve(&mut self, resend_at: Option<DateTime<Utc>>) -> bool {
        if self.entry.state != State::Unknown {
            return false;
        }
        self.entry.next_attempt_at = resend_at;
        self.doubt = Some(Doubt::Decided);
        true
    }

    pub(crate) fn act(&mut self, act: Action, now: DateTime<Utc>) -> bool {
        let due_now = now.max(self.entry.notice.due_at);
        match (act, self.entry.state) {
            (Action::Retry, State::Waiting) if self.entry.next_attempt_at.is_none_or(|at| at > due_now) => {
                self.wait(State::Waiting, due_now, now);
            }
            (Action::Retry, State::Held | State::Unknown) => self.wait(State::Waiting, due_now, now),
            (Action::Hold, State::Waiting) => self.end(State::Held, Some(Reason::Operator), now),
            (Action::Release, State::Held) => self.wait(State::Waiting, self.entry.notice.due_at, now),
            (Action::Cancel, State::Waiting | State::Held | State::Unknown) => self.end(State::Cancelled, Some(Reason::Operator), now),
            (Action::CancelTold, State::Waiting | State::Held | State::Unknown) => self.end(State::Cancelled, Some(Reason::Told), now),
            (Action::Restore, State::Cancelled) if self.can_be_restored(now) && self.doubt.is_some() => self.end(State::Unknown, None, now),
            (Action::Restore, State::Cancelled) if self.can_be_restored(now) => self.wait(State::Waiting, self.entry.notice.due_at, now),
            _ => return false,
        }
        if self.doubt.is_some() {
            self.doubt = Some(Doubt::Decided);
        }
        true
    }

    /// A person cancelled it, and it is of use yet.
    fn can_be_restored(&self, now: DateTime<Utc>) -> bool {
        matches!(self.entry.reason, Some(Reason::Operator | Reason::Told)) && self.entry.notice.useful_until > now
    }

    /// Nothing will be sent of it any more, unless a person says so.
    pub(crate) fn at_rest(&self) -> bool {
        self.claim.is_none() && self.entry.next_attempt_at.is_none()
    }

    /// Its row for the ledger, after a change from `from`. The sequence number is the store's.
    pub(crate) fn event(&self, event: Event, from: Option<State>, at: DateTime<Utc>, detail: Option<String>) -> LedgerRow {
        LedgerRow {
            seq: 0,
            chain_id: None,
            place: 0,
            at,
            key: Some(self.entry.notice.key.to_string()),
            session_id: Some(self.entry.notice.session),
            participation_id: Some(self.entry.notice.participation),
            event,
            from_state: from,
            to_state: Some(self.entry.state),
            reason: self.entry.reason,
            detail,
            chain: None,
        }
    }

    /// The ledger's row of what its rejection said about the address.
    pub(crate) fn suppressed(&self, kind: Suppression, at: DateTime<Utc>) -> LedgerRow {
        LedgerRow { to_state: None, ..self.event(Event::Suppressed, None, at, Some(kind.as_str().to_owned())) }
    }

    /// The ledger's row of what its rejection said, and says no more.
    pub(crate) fn unsuppressed(&self, why: &str, at: DateTime<Utc>) -> LedgerRow {
        LedgerRow { to_state: None, ..self.event(Event::Unsuppressed, None, at, Some(why.to_owned())) }
    }
}

impl Settlement {
    /// An attempt without an end of its own, of which, or of a copy before it, a receipt came.
    pub(crate) fn by_receipt() -> Self {
        Self::Accepted { reply: "no answer; a receipt came".to_owned(), reference: None }
    }

    /// It would be tried again, or may be: unless a receipt says that a copy has arrived.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Retry { .. } | Self::Return { .. })
    }

    /// An end must be one.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Ended { state, .. } => check_end(*state),
            _ => Ok(()),
        }
    }
}

impl std::ops::AddAssign for Purged {
    fn add_assign(&mut self, other: Self) {
        self.contents += other.contents;
        self.records += other.records;
        self.notices += other.notices;
        self.ledger_rows += other.ledger_rows;
    }
}
