//! From a notice to a message: pure, `now` is an argument.
//!
//! placeholder, being written: the signatures are fixed.

use crate::message::{Message, SmsEncoding};
use crate::notice::Notice;
use crate::session::{Participant, Session};
use crate::zone::Resolved;
use chrono::{DateTime, Utc};

/// What a practice decides about its messages.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Shown as the sender, and in texts.
    pub practice_name: String,
    /// Shown in messages: a telephone number or an address; may be empty.
    pub practice_contact: String,
    /// The practice's locale (BCP 47), the last of the fallback chain: `en-US`.
    pub locale: String,
    /// Tera template of the join link; has `code` and `passkey` (empty if none).
    pub join_url: String,
    /// From header: display name.
    pub from_name: String,
    /// From header and envelope: address.
    pub from: crate::contact::EmailAddress,
    /// Reply-To header.
    pub reply_to: Option<crate::contact::EmailAddress>,
    /// `[templates] dir`: overrides the embedded templates file by file.
    pub template_dir: Option<std::path::PathBuf>,
    /// `[templates] show_participant_names_to_host`
    pub show_participant_names_to_host: bool,
    /// The most segments that a text may have, by default.
    pub max_segments: u32,
    /// The duration of the calendar entry when the source does not say.
    pub default_duration: chrono::TimeDelta,
    /// See `Outbox::reference_key`.
    pub reference_key: [u8; 32],
}

/// Everything that one message may be made of. There is no other participant in it, but for the host's name.
pub struct Facts<'a> {
    /// What to tell.
    pub notice: &'a Notice,
    /// The session. Only its own facts and the host's name are shown.
    pub session: &'a Session,
    /// The recipient.
    pub participant: &'a Participant,
    /// The recipient's zone.
    pub zone: &'a Resolved,
    /// The recipient's locale as asked for (participant, overrides); `None`: the practice's.
    pub locale: Option<&'a str>,
    /// Calendar SEQUENCE: how many revisions of this participation were told before.
    pub sequence: u32,
}

/// A message, and its parts as `preview` shows them.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The final bytes.
    pub message: Message,
    /// The locale that was used.
    pub locale: String,
    /// The parts.
    pub parts: Parts,
}

/// The parts of a message, for people to read.
#[derive(Clone)]
pub enum Parts {
    /// An e-mail's.
    Email {
        /// With the angle brackets.
        message_id: String,
        /// Decoded.
        subject: String,
        /// The text part.
        text: String,
        /// The HTML part.
        html: String,
    },
    /// A text's.
    Sms {
        /// The text.
        text: String,
        /// See [`SmsEncoding`].
        encoding: SmsEncoding,
        /// Parts on the air.
        segments: u32,
    },
}
impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

/// Why a notice could not become a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A template failed: names the file, the line and what was wrong. Repeats no value.
    #[error("template {file}: {why}")]
    Template {
        /// which
        file: String,
        /// why
        why: String,
    },
    /// The final bytes hold something of another person. Names the kind of thing and the place, never the thing.
    #[error("the message would have shown {what}")]
    Leak {
        /// `the connect code of another participant (18620)`
        what: String,
    },
    /// The text needs more segments than allowed.
    #[error("the text needs {segments} segments ({encoding:?}), {limit} are allowed{culprit}")]
    TooLong {
        /// needed
        segments: u32,
        /// allowed
        limit: u32,
        /// its encoding
        encoding: SmsEncoding,
        /// `; "’" (U+2019) is not in the GSM alphabet`, or empty
        culprit: String,
    },
}

/// Renders notices: the templates are compiled, the settings checked.
pub struct Renderer {}

impl Renderer {
    /// Compiles all templates and checks that none is missing. All errors at once.
    pub fn new(_settings: Settings) -> Result<Self, Vec<String>> {
        todo!()
    }
    /// Renders and passes the gate.
    pub fn render(&self, _facts: &Facts<'_>, _now: DateTime<Utc>) -> Result<Rendered, RenderError> {
        todo!()
    }
    /// Renders every template of every locale with difficult samples, for `check`. All problems.
    pub fn lint(&self) -> Vec<String> {
        todo!()
    }
}
