//! Concerns in words for an administrator: what is wrong, and what to do about it. English: staff of a practice read it.

use super::reasons::{self, GUARD};
use super::{Concern, ConcernKind, Why};
use crate::guard::GuardKind;
use crate::notice::Reason;

/// What is wrong, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// `No e-mail address`
    pub what: &'static str,
    /// `Enter an address in the session, or call them.`
    pub advice: &'static str,
}

/// The heading of each kind, in the order in which they are listed.
pub const HEADINGS: [(ConcernKind, &str); 5] = [
    (ConcernKind::Person, "Will not be reached"),
    (ConcernKind::Message, "Messages that need a look"),
    (ConcernKind::Change, "Changes that wait for a decision"),
    (ConcernKind::Record, "Records that cannot be read"),
    (ConcernKind::Reply, "Texts that people wrote"),
];

/// The words for one concern.
pub fn of(concern: &Concern) -> Words {
    let (what, advice) = match (concern.kind, concern.why) {
        (ConcernKind::Record, Why::Omitted(Reason::UnknownStatus)) => (
            "A word that is not known",
            "Correct it in the scheduling system, or say what it means in [source.status]. Until then the messages that depend on it are held.",
        ),
        (ConcernKind::Record, _) => {
            ("Not readable", "Correct the record in the scheduling system. Until then nobody in it is told anything.")
        }
        (_, Why::Omitted(reason)) => {
            let words = reasons::of(reason);
            (words.what, words.advice)
        }
        (ConcernKind::Message, Why::Held) => {
            ("A message is held", "Look at it with `punctual outbox list --state held`; release it, or call them.")
        }
        (_, Why::Held) => ("Their messages are held", "Look at them with `punctual outbox list --state held`; release them, or call."),
        (ConcernKind::Message, Why::Rejected) => {
            ("The mail server or gateway refused a message", "Other messages reached them. Check the address.")
        }
        (_, Why::Rejected) => ("The mail server or gateway refused their messages", "Check the address or number, and call them."),
        (_, Why::Unknown) => ("A message may or may not have arrived", "The server's answer was lost. Ask them, or call."),
        (_, Why::Undelivered(_)) => ("A message to them did not arrive", "Check the address or number, and call them."),
        (_, Why::Guarded(kind)) => (of_guard(kind), if kind == GuardKind::Clocks { CLOCKS } else { GUARD }),
        (_, Why::Untold) => ("They know what holds no more, and no message says so", "Call them."),
        (_, Why::Wrote) => (
            "They wrote, and the service did not answer",
            "Read it on the page Decisions, or with `punctual replies list`; answer by telephone, then mark it as read.",
        ),
    };
    Words { what, advice }
}

/// What to do where the scheduling system is as it was.
const CLOCKS: &str = "Is that right? Then run `punctual guard accept`. If not, correct the zones in the configuration.";

/// What too many did at once.
fn of_guard(kind: GuardKind) -> &'static str {
    match kind {
        GuardKind::Removed => "Left the list: many, or not asked for any more",
        GuardKind::Moved => "Moved, with many others",
        GuardKind::Participants => "People left the session, as in many others",
        GuardKind::Roles => "A patient is listed as the host, or the host as a patient",
        GuardKind::Codes => "New connect codes: many, or another person's until now",
        GuardKind::Addresses => "New addresses or numbers: many, or another person's until now",
        GuardKind::Zones => "New time zones, with many others",
        GuardKind::Names => "New names, with many others",
        GuardKind::Deliveries => "Not to be told, or by another channel, or declined, with many others",
        GuardKind::Clocks => "Another hour on people's clocks, with many others",
    }
}
