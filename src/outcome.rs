//! How a hand-over ended. Never a bool: each transport maps each answer to one of these, in one table.

use std::time::Duration;

use crate::suppression::Suppression;

mod redact;
pub mod refusal;
mod status;
mod unsaid;

pub use redact::{redacted, without_recipient};
pub(crate) use status::EnhancedStatus;
pub use unsaid::Unsaid;

/// The pause of a channel whose fault showed in the answer to one message: none yet. Another message may ask it at once, and the channel pauses
/// if that one meets a fault, too; one recipient never stops the others.
pub const ASK_ANOTHER: Duration = Duration::ZERO;

/// Stands between a transport's name and its last fault, where a message found it paused and did not reach it.
pub const PAUSES: &str = " pauses: ";

/// The server's text of what was not sent because of shadow mode.
pub const NOT_SENT: &str = "not sent: shadow mode";

/// The end of one attempt to hand a message over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server said that it has the message.
    Accepted {
        /// The server's text, as [`redacted`].
        reply: String,
        /// The server's own id of the message (Twilio's sid, Postfix's queue id), if it gave one.
        reference: Option<String>,
    },
    /// The server refused this message or this recipient for good. Nothing was sent; no attempt will change that.
    Rejected {
        /// The server's text, as [`redacted`].
        reply: String,
        /// What to remember about the address.
        remember: Option<Suppression>,
    },
    /// Nothing was sent, for now: try this message again later.
    Retry {
        /// What happened, as [`redacted`].
        why: String,
        /// Not before this long, if the server named a time.
        after: Option<Duration>,
    },
    /// Nothing was sent, and no message would fare better: the channel is at fault (log-in, TLS, a 5yz to MAIL, 429, a refusal about us).
    /// The channel pauses; the message keeps its turn and is not counted as tried.
    ChannelFault {
        /// What happened, as [`redacted`].
        why: String,
        /// Not before this long, if the server named a time; or [`ASK_ANOTHER`].
        after: Option<Duration>,
    },
    /// The point of no return was passed and no answer came: nobody can know whether it was accepted.
    Unknown {
        /// What happened, as [`redacted`].
        why: String,
    },
    /// The store did not let the attempt pass its point of no return: the notice is no longer ours, or no longer true. Nothing was sent.
    Fenced,
}
