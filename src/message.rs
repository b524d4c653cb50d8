//! A message: a rendered notice. Its content is final: what `preview` shows is, byte for byte, what the wire gets,
//! and what a resend sends again.

use std::fmt;
use std::sync::Arc;

use crate::contact::{EmailAddress, PhoneNumber};
use crate::notice::NoticeKey;

/// Ready to hand over.
#[derive(Clone)]
pub struct Message {
    /// Which notice it is.
    pub key: NoticeKey,
    /// Derived from the key by HMAC: shows nothing of it. For e-mail the part before the `@` of the Message-ID;
    /// for a text the client reference that the gateway gives back with its receipts.
    pub reference: String,
    /// What is handed over, and to whom.
    pub content: Content,
}

/// The final content, by channel.
#[derive(Clone)]
pub enum Content {
    /// RFC 5322 bytes: ASCII, CRLF, lines within 998 bytes; not dot-stuffed.
    Email {
        /// Envelope sender.
        from: EmailAddress,
        /// The one envelope recipient.
        to: EmailAddress,
        /// Headers and body.
        bytes: Arc<[u8]>,
    },
    Sms {
        to: PhoneNumber,
        /// The text, as Unicode; the gateway encodes it.
        text: Arc<str>,
        /// What it needs on the air.
        encoding: SmsEncoding,
        /// How many parts it has there, at least 1.
        segments: u32,
    },
}

/// What a text needs on the air (3GPP TS 23.038).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmsEncoding {
    /// The GSM 7 bit default alphabet and its extension: 160 septets, or 153 a part.
    Gsm7,
    /// UCS-2: 70 code units, or 67 a part.
    Ucs2,
}

impl Content {
    /// The bytes that the store keeps, and that a digest is made of.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Email { bytes, .. } => bytes,
            Self::Sms { text, .. } => text.as_bytes(),
        }
    }

    /// Likewise, to be kept by several.
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        match self {
            Self::Email { bytes, .. } => Arc::clone(bytes),
            Self::Sms { text, .. } => Arc::clone(text).into(),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.key, self.content.bytes().len())
    }
}
