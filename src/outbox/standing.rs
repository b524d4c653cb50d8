//! Who holds a claim, how doubtful an attempt is, and what a claim may still do.

use chrono::{DateTime, TimeDelta, Utc};

use super::Lease;
use crate::entry::{Phase, State};

/// A claim in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimHolder {
    pub(crate) owner: String,
    /// By the store's clock.
    pub(crate) lease_until: DateTime<Utc>,
    /// Waiting or unknown: where a `Return` leads.
    pub(crate) from: State,
}

impl ClaimHolder {
    /// Its lease is over; or `everything`: whoever asks is the only process that lives, and it is another one's.
    pub(crate) fn is_gone(&self, owner: &str, store_now: DateTime<Utc>, everything: bool) -> bool {
        self.lease_until <= store_now || (everything && self.owner != owner)
    }
}

/// An attempt ended in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Found at a start; nobody decided about a resend yet.
    Undecided,
    Decided,
}

impl Doubt {
    /// The word used in the store.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Decided => "decided",
        }
    }
}

/// What [`super::transition::Row::recover`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Back where it was claimed from.
    Returned,
    /// Unknown now.
    InDoubt,
}

/// What decides whether an attempt may take its next step: the part of a row that a store reads at each of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimState {
    /// How often it was claimed.
    pub(crate) epoch: i64,
    pub(crate) state: State,
    pub(crate) phase: Option<Phase>,
    /// By the store's clock; `None`: nobody holds it.
    pub(crate) lease_until: Option<DateTime<Utc>>,
}

impl ClaimState {
    /// The claim is the one of this lease, and still in force.
    pub(crate) fn holds(self, lease: Lease) -> bool {
        self.epoch == lease.epoch && self.lease_until.is_some()
    }

    /// An attempt begins once for each claim; the store has checked the revision.
    pub(crate) fn may_begin(self, lease: Lease) -> bool {
        self.holds(lease) && self.state == State::Claimed
    }

    /// It has begun, and no server has it: it may go over another transport. (Also behind the point of no return: a refusal there is an answer.)
    pub(crate) fn can_reroute(self, lease: Lease) -> bool {
        self.holds(lease) && self.phase.is_some()
    }

    /// The point of no return; the store has checked the revision. `store_now` is the clock that leases are measured by.
    pub(crate) fn may_enter_doubt(self, lease: Lease, store_now: DateTime<Utc>, margin: TimeDelta) -> bool {
        self.holds(lease) && self.phase == Some(Phase::Pre) && self.left(store_now) > margin
    }

    /// The start of an attempt and its point of no return, in one step.
    pub(crate) fn may_take(self, lease: Lease, store_now: DateTime<Utc>, margin: TimeDelta) -> bool {
        self.may_begin(lease) && self.left(store_now) > margin
    }

    fn left(self, store_now: DateTime<Utc>) -> TimeDelta {
        self.lease_until.map_or(TimeDelta::zero(), |until| until - store_now)
    }
}
