//! What comes back: receipts of messages that were handed over, and people's replies to them. Pure.

use std::fmt;

use crate::receipt::DeliveryStatus;
use crate::session::RawContact;
use crate::suppression::Suppression;

pub mod answer;
pub mod bounce;
pub mod reply;
pub mod said;
pub mod word;

/// A receipt, as a provider words it: it may name the message by its own id, by ours, or by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The provider's id of the message.
    pub reference: Option<String>,
    /// The client reference that we gave it (see `Message::reference`).
    pub ours: Option<String>,
    /// What became of the message.
    pub status: DeliveryStatus,
    /// The provider's error, redacted.
    pub detail: Option<String>,
    /// What that says about the address.
    pub remember: Option<Suppression>,
    /// The mailbox that it speaks of, where that may be another than the message's: it may have been forwarded. `None`: the message's own.
    pub recipient: Option<RawContact>,
}

/// A text that somebody sent to us. Neither it nor its sender is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Which kind of gateway handed it on.
    pub gateway: &'static str,
    /// Which one of its kind, if ids are unique within one only; empty: they are unique within the kind.
    pub origin: String,
    /// The gateway's id of it: the same one again changes nothing.
    pub id: String,
    /// The sender's number, as the provider writes it.
    pub from: String,
    pub text: String,
    /// The provider itself answers STOP, START and HELP: we do not answer these as well.
    pub answered: bool,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} bytes)", self.text.len())
    }
}

/// Length of our own references, in characters: 160 bits in base32.
const REFERENCE: usize = 32;

/// Whether that can be one of our own references at all.
pub fn is_reference(text: &str) -> bool {
    text.len() == REFERENCE && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::NoticeKey;

    #[test]
    fn our_references_look_like_themselves() {
        assert!(is_reference(&crate::render::reference(&[7; 32], NoticeKey([1; 16]))));
        for other in ["", "SM1", &"A".repeat(32), &"a".repeat(33), &"1".repeat(32)] {
            assert!(!is_reference(other), "{other}");
        }
    }
}
