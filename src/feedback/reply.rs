//! Replies: texts that people sent, each taken once, with what it changes and what is answered, in one transaction.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::contact::PhoneNumber;
use crate::feedback::answer::Answer;
use crate::feedback::word::Word;
use crate::known::RsvpOverride;
use crate::notice::NoticeKey;
use crate::session::{ParticipantRef, Rsvp};

/// Names a reply, and its answer: a digest of the provider's id, and of which gateway it is (see `Reply::origin`).
pub fn reply_key(gateway: &str, origin: &str, id: &str) -> NoticeKey {
    let mut key = [0; 16];
    let origin = if origin.is_empty() { String::new() } else { format!("{origin} ") };
    key.copy_from_slice(&Sha256::digest(format!("reply {gateway} {origin}{id}"))[..16]);
    NoticeKey(key)
}

/// A reply, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedReply {
    /// See [`reply_key`].
    pub key: NoticeKey,
    pub from: PhoneNumber,
    pub word: Word,
    pub change: Changes,
    /// What is answered, if nothing forbids it, and in which locale (BCP 47).
    pub answer: Option<(Answer, String)>,
    /// What somebody at the practice should read of it.
    pub for_staff: Option<ForStaff>,
}

/// What somebody wrote, as staff may see it. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ForStaff {
    /// Its text: see [`crate::feedback::said::kept`].
    pub text: String,
    /// Whose it may be: the participants that this number was told of; empty: nobody's that we know.
    pub about: Vec<ParticipantRef>,
}

impl fmt::Debug for ForStaff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForStaff({} bytes, {:?})", self.text.len(), self.about)
    }
}

/// A text that waits for somebody at the practice to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Names it: the reply's key.
    pub key: NoticeKey,
    pub at: DateTime<Utc>,
    /// The sender's number, masked.
    pub shown: String,
    /// What it was taken for.
    pub word: Word,
    /// What it says, and whose it may be.
    pub said: ForStaff,
}

/// What a reply changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    Nothing,
    /// The number gets no more texts. It is answered only if it got any until now.
    OptOut,
    /// It gets texts again, unless somebody at the practice said that it gets none.
    OptIn,
    /// It is a participant's word on a session.
    Rsvp(ParticipantRef, RsvpOverride),
}

/// A session that a number was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// In which a person.
    pub place: ParticipantRef,
    /// By a text within [`LATELY`]: a reply may well be to that one.
    pub lately: bool,
}

/// How long a text may be what somebody answers, whatever became of its session.
pub const LATELY: TimeDelta = TimeDelta::hours(24);

/// An answer that waits to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingAnswer {
    /// The reply's key, and the message's.
    pub key: NoticeKey,
    pub to: PhoneNumber,
    pub answer: Answer,
    /// In which locale (BCP 47).
    pub locale: String,
    /// Not at or after this.
    pub useful_until: DateTime<Utc>,
}

impl fmt::Debug for PendingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingAnswer({}, {:?})", self.key, self.answer)
    }
}

/// The time from which an answer of that kind forbids another one.
pub(crate) fn since(answer: Answer, now: DateTime<Utc>) -> DateTime<Utc> {
    now - answer.pause() + TimeDelta::milliseconds(1)
}

/// The word of an RSVP in the store.
pub(crate) fn rsvp_word(rsvp: Rsvp) -> &'static str {
    match rsvp {
        Rsvp::Unknown => "unknown",
        Rsvp::Confirmed => "confirmed",
        Rsvp::Declined => "declined",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_two_gateways_are_two_replies() {
        let keys = [("twilio", "", "1"), ("http", "a", "1"), ("http", "b", "1"), ("http", "a", "2")].map(|(g, o, id)| reply_key(g, o, id));
        assert!((1..keys.len()).all(|n| !keys[..n].contains(&keys[n])));
    }
}
