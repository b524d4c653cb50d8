//! A notice in the outbox: where it is, the attempts to hand it over, and what a plan changes of it.
//!
//! ```text
//! waiting -> claimed -> sending(pre) -> sending(doubt) -> accepted | rejected | waiting (retry) | unknown
//! waiting -> held | cancelled | superseded | lapsed | suppressed
//! ```

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::notice::{Notice, NoticeKey, Reason};
use crate::receipt::DeliveryStatus;

mod attempt_end;

pub use attempt_end::AttemptEnd;

/// Where a notice is. See the module's drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not due yet, or to be tried again.
    Waiting,
    /// Somebody is about to render it.
    Claimed,
    /// Its bytes are frozen; an attempt runs, or ran when the process ended.
    Sending,
    /// A server said that it has it. Final.
    Accepted,
    /// A server refused it for good. Final.
    Rejected,
    /// It may or may not have been accepted. Resent once at `next_attempt_at`, if that is set.
    Unknown,
    /// Waits for a person, or for a fault to be mended.
    Held,
    /// Its session, participant or facts are gone. Final.
    Cancelled,
    /// Another notice took its place. Final.
    Superseded,
    /// Its time passed. Final.
    Lapsed,
    /// Its address gets no messages. Final.
    Suppressed,
}

impl State {
    pub const ALL: [Self; 11] = [
        Self::Waiting,
        Self::Claimed,
        Self::Sending,
        Self::Accepted,
        Self::Rejected,
        Self::Unknown,
        Self::Held,
        Self::Cancelled,
        Self::Superseded,
        Self::Lapsed,
        Self::Suppressed,
    ];

    /// The word used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Held => "held",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Lapsed => "lapsed",
            Self::Suppressed => "suppressed",
        }
    }

    /// The participant was told, or may have been.
    pub fn may_have_been_sent(self) -> bool {
        matches!(self, Self::Accepted | Self::Unknown | Self::Sending)
    }

    /// The planner may still move or cancel it.
    pub fn pending(self) -> bool {
        matches!(self, Self::Waiting | Self::Held)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|x| x.as_str() == s).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|x| x.as_str()).collect();
            format!("{s:?} is no state; expected one of {}", all.join(", "))
        })
    }
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing was sent yet.
    Pre,
    /// The server may have it.
    Doubt,
}

/// One notice in the outbox. (`outbox list` prints it; the address is masked in print.)
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is told to whom, when. `notice.due_at` is the planned time.
    pub notice: Notice,
    /// Where its session came from.
    pub source: String,
    pub state: State,
    /// Why it is there, for held, cancelled, superseded, lapsed, suppressed.
    pub reason: Option<Reason>,
    /// `None`: it is not being sent.
    pub phase: Option<Phase>,
    /// When it is tried next: the due time, or later after a failure. `None`: not by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When a server accepted it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// What the server said last, redacted.
    pub server_reply: Option<String>,
    /// The server's own id of the message.
    pub reference: Option<String>,
    /// When it got into its state.
    pub changed_at: DateTime<Utc>,
    /// Digest of the facts in its frozen bytes; `None`: never begun.
    pub facts: Option<String>,
}

/// One attempt to hand a notice over.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Delivery {
    /// 1 for the first.
    pub attempt: u32,
    /// When its bytes were frozen.
    pub started_at: DateTime<Utc>,
    /// How far it got.
    pub phase: Phase,
    /// When it was settled; `None`: it runs, or the process ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    #[schema(value_type = Option<String>)]
    pub outcome: Option<AttemptEnd>,
    /// The transport's name.
    pub transport: Option<String>,
    /// What the server said, redacted.
    pub reply: Option<String>,
    /// What became of the message, as the provider or a mail server said later; `None`: nothing was said yet.
    pub receipt: Option<DeliveryStatus>,
    /// When that came.
    pub receipt_at: Option<DateTime<Utc>>,
    /// The provider's error, redacted.
    pub receipt_detail: Option<String>,
}

/// One change in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new notice, waiting. A key that exists already is left as it is.
    Add(Notice),
    /// Another due time (or useful-until), or needed again: waiting. Only while waiting or held, or when it ended untold as cancelled,
    /// superseded, suppressed or lapsed (and no operator ended it): a session may move away and back.
    Move {
        key: NoticeKey,
        /// The new due time; the next attempt too.
        due_at: DateTime<Utc>,
        useful_until: DateTime<Utc>,
    },
    /// Not any more. Only while waiting or held. `state` is held, cancelled, superseded, lapsed or suppressed.
    End { key: NoticeKey, state: State, reason: Reason },
}
