//! Letters to the practice: what a store remembers of them, so that none of a scheduled time goes out twice.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// The letter of one scheduled time to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StaffLetter {
    /// The time that it was scheduled for.
    pub scheduled_at: DateTime<Utc>,
    /// The address, by its [`suppression_key`](crate::suppression::suppression_key).
    pub recipient: String,
    /// Where it is.
    pub state: LetterState,
    /// Attempts that ended without doubt: nothing was sent.
    pub attempts: u32,
    /// When it got into its state, or was last tried.
    pub changed_at: DateTime<Utc>,
}

/// Where a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterState {
    /// Nothing was sent yet: it is tried again.
    Open,
    /// It passed its point of no return, and no answer is recorded. Never sent again.
    Doubt,
    /// A server has it. Final.
    Accepted,
    /// A server refused it for good. Final.
    Rejected,
    /// There was nothing to tell. Final.
    Empty,
}

impl LetterState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Open, Self::Doubt, Self::Accepted, Self::Rejected, Self::Empty];

    /// The word used in the store and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Doubt => "doubt",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Empty => "empty",
        }
    }

    /// Whether a letter may get here from there (`None`: nothing is known of it). The same rule for every store: the point of no return
    /// is passed once, and what is final stays.
    pub(crate) fn may_follow(self, before: Option<Self>) -> bool {
        match before {
            None | Some(Self::Open) => true,
            Some(Self::Doubt) => !matches!(self, Self::Doubt | Self::Empty),
            Some(Self::Accepted | Self::Rejected | Self::Empty) => false,
        }
    }
}

impl StaffLetter {
    /// What the ledger says of it.
    pub(crate) fn in_words(&self) -> String {
        format!("of {}: {}", super::words::rfc3339(self.scheduled_at), self.state.as_str())
    }
}
