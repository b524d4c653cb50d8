//! A message that may go, and how long what was decided of it holds.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::elsewhere::FreedHour;
use crate::message::Message;
use crate::notice::Notice;
use crate::outbox::{Begin, Lease};
use crate::outcome::Unsaid;

/// A decision is so long in force; what waits longer is looked at again.
const FRESH: TimeDelta = TimeDelta::seconds(30);

/// A message that may go, and what fences it.
pub(super) struct Ready {
    pub(super) lease: Lease,
    pub(super) revision: i64,
    /// Digest of the facts that the message holds.
    pub(super) facts: String,
    pub(super) notice: Notice,
    pub(super) message: Message,
    /// The transport that it is begun for: on record, unless another one takes it.
    pub(super) transport: String,
    /// Attempts begun before this one.
    pub(super) attempts: u32,
    /// It is the second copy of a message in doubt.
    pub(super) again: bool,
    /// The hour that it takes from its reader, and who may be expected then all the same.
    pub(super) left: Option<Box<FreedHour>>,
    /// Words of the session that a server may repeat, and nobody is told.
    pub(super) unsaid: Arc<Unsaid>,
    /// When that was decided.
    pub(super) decided_at: DateTime<Utc>,
    /// Until when it holds at the most: its use, quiet hours, and the day that it calls today or tomorrow.
    pub(super) holds_until: DateTime<Utc>,
}

impl Ready {
    /// What the store freezes of it.
    pub(super) fn begin(&self, transport: String, at: DateTime<Utc>) -> Begin {
        Begin {
            lease: self.lease,
            revision: self.revision,
            facts: self.facts.clone(),
            at,
            transport,
            bytes: self.message.content.shared_bytes(),
        }
    }

    /// It may still be sent.
    pub(super) fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.holds_until
    }

    /// It may be sent without another look.
    pub(super) fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.holds(now) && (now - self.decided_at).abs() <= FRESH
    }
}
