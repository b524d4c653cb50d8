//! What a row of the ledger tells of. The words stand in stores, in exports and under the chain's links: a word that was written once is never changed.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::guard::Verdict;

/// The one table of events and their words. A word that it lacks is of an older or a newer version: it is kept as it stands.
macro_rules! events {
    ($($(#[doc = $doc:literal])* $event:ident = $word:literal,)*) => {
        /// What a row of the ledger tells of.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Event {
            $($(#[doc = $doc])* $event,)*
            /// A word of another version; only [`From`] makes one.
            Other(Box<str>),
        }

        impl Event {
            /// All that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$event,)*];

            /// The word in the store, in JSON and in CSV.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$event => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for Event {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$event,)*
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}

events! {
    /// A notice was planned.
    Added = "added",
    /// It has another due time.
    Moved = "moved",
    /// It is not sent.
    Ended = "ended",
    /// Its time passed before it could be claimed.
    Lapsed = "lapsed",
    /// Its source is configured no more.
    SourceGone = "source_gone",
    /// A person asked for it.
    Asked = "asked",
    /// An attempt begins.
    Claimed = "claimed",
    /// Its bytes are frozen.
    Begun = "begun",
    /// The same bytes go to another transport.
    Rerouted = "rerouted",
    /// From here on the server may have it.
    Doubted = "doubted",
    /// The attempt ended.
    Settled = "settled",
    /// A refusal was about the practice, not about this recipient: it waits again.
    TakenBack = "taken_back",
    /// The process ended during the attempt.
    Recovered = "recovered",
    /// A doubt ended.
    Resolved = "resolved",
    /// A provider or mail server said what became of it.
    Receipt = "receipt",
    /// Somebody wrote to us.
    Reply = "reply",
    /// Somebody at the practice has read that.
    ReplyRead = "reply_read",
    /// An answer to a text ended.
    Answer = "answer",
    /// A participant said whether they come.
    Rsvp = "rsvp",
    /// A person put an address on the suppression list.
    Suppress = "suppress",
    /// An address got onto that list.
    Suppressed = "suppressed",
    /// A person took an address off it.
    Unsuppress = "unsuppress",
    /// An address left it.
    Unsuppressed = "unsuppressed",
    /// A person: retry at once.
    Retry = "retry",
    /// A person: hold it.
    Hold = "hold",
    /// A person: send what is held.
    Release = "release",
    /// A person: do not send it.
    Cancel = "cancel",
    /// A person: do not send it, they were told otherwise.
    CancelTold = "cancel_told",
    /// A person: send what was cancelled.
    Restore = "restore",
    /// A person: send what was sent once more.
    Resend = "resend",
    /// A person reminded somebody, in the words of older versions.
    Remind = "remind",
    /// A person called somebody.
    Called = "called",
    /// A person accepted what the guard held.
    GuardAccepted = "guard_accepted",
    /// A person rejected it.
    GuardRejected = "guard_rejected",
    /// The daily letter to the practice ended.
    DigestDelivery = "staff_letter",
    /// A test message was sent.
    SendTest = "send_test",
    Alert = "alert",
    /// The reason for that is gone.
    AlertOver = "alert_over",
    /// A text of a message was changed.
    Template = "template",
    LogIn = "log_in",
    LogOut = "log_out",
    /// A log-in was refused.
    LogInRefused = "log_in_refused",
    /// Somebody saw a code or a contact.
    Reveal = "reveal",
    /// Somebody saw a page about a person.
    Looked = "looked",
    /// A user was added.
    UserAdded = "user_added",
    /// A user's role was changed.
    UserRole = "user_role",
    /// A user's password was changed.
    UserPassword = "user_password",
    /// A user's one-time codes were changed.
    UserTotp = "user_totp",
    /// A user was removed.
    UserRemoved = "user_removed",
    /// A token was added.
    TokenAdded = "token_added",
    /// A token was removed.
    TokenRemoved = "token_removed",
    /// A source has another name.
    SourceRenamed = "source_renamed",
    /// The booking system reported something.
    Webhook = "webhook",
    /// The provider said that it sent a message (see [`crate::evidence`]).
    Evidence = "evidence",
    /// A backup was made.
    Backup = "backup",
    /// What is older than the retention was removed.
    Purged = "purged",
    /// The detail is the [`Anchor`](super::Anchor) of the last row that a prune removed.
    Checkpoint = "checkpoint",
    /// An older copy of the store was put in its place.
    Restored = "restored",
    /// Everything was copied to another store.
    CopiedTo = "copied_to",
    /// Everything came from another store.
    CopiedFrom = "copied_from",
    /// The chain has another key from here on.
    Keyed = "keyed",
    /// The store's old key opens it no more.
    Rekeyed = "rekeyed",
    /// Opens a chain (see [`super::chains`]).
    Chain = "chain",
    /// Says how far chains have got.
    Seal = "seal",
    /// Behind it the rows of several chains stand in one: a store that keeps one chain was filled from one that keeps several.
    Merged = "merged",
    /// A checkpoint, before its chain was merged.
    WasCheckpoint = "was_checkpoint",
    /// An opening of a chain, before that chain was merged.
    WasChain = "was_chain",
    /// A seal, before its chain was merged.
    WasSeal = "was_seal",
}

impl Event {
    /// What it is called in a chain that was merged: some speak of chains, or of numbers, that are no more.
    #[must_use]
    pub fn merged(self) -> Self {
        match self {
            Self::Checkpoint => Self::WasCheckpoint,
            Self::Chain => Self::WasChain,
            Self::Seal => Self::WasSeal,
            other => other,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// As its word stands in an export.
impl PartialEq<str> for Event {
    fn eq(&self, word: &str) -> bool {
        self.as_str() == word
    }
}

impl PartialEq<&str> for Event {
    fn eq(&self, word: &&str) -> bool {
        self.as_str() == *word
    }
}

impl From<Verdict> for Event {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accept => Self::GuardAccepted,
            Verdict::Reject => Self::GuardRejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_word_is_read_as_it_is_written() {
        for event in Event::ALL {
            assert_eq!(Event::from(event.as_str()), *event);
        }
        assert_eq!(Event::ALL.iter().map(Event::as_str).collect::<HashSet<_>>().len(), Event::ALL.len());
    }

    /// A row of another version keeps its word, and so its link.
    #[test]
    fn a_word_of_another_version_stays_as_it_is() {
        for word in ["", "paused", "Settled", "settled ", "was_paused", "\"quoted\"\n"] {
            let event = Event::from(word);
            assert_eq!((event.as_str(), serde_json::to_string(&event).unwrap()), (word, serde_json::to_string(word).unwrap()));
            assert_eq!(event.clone().merged(), event);
        }
    }
}
