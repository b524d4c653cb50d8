//! How an attempt ended, as a delivery and the ledger's row of it name it.

use std::fmt;

use serde::{Serialize, Serializer};

use super::State;

/// How an attempt, or a claim without one, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The server has it.
    Accepted,
    /// The server refused it for good.
    Rejected,
    /// To be tried again; the attempt counts.
    Retry,
    /// In doubt.
    Unknown,
    /// The channel itself was at fault: no message would have fared better.
    ChannelFault,
    /// The store did not let it pass: the claim or what was decided upon is another one by now.
    Fenced,
    /// It goes at another time, or is decided again.
    Moved,
    /// The process ended in good order.
    Stopped,
    /// The process ended during the attempt.
    Crashed,
    /// Not sent after all: held, cancelled, superseded, lapsed or suppressed.
    Ended(State),
    /// A word of another version; only [`From`] makes one.
    Other(Box<str>),
}

/// Those with a word of their own.
const WORDS: [(AttemptEnd, &str); 9] = [
    (AttemptEnd::Accepted, "accepted"),
    (AttemptEnd::Rejected, "rejected"),
    (AttemptEnd::Retry, "retry"),
    (AttemptEnd::Unknown, "unknown"),
    (AttemptEnd::ChannelFault, "channel_fault"),
    (AttemptEnd::Fenced, "fenced"),
    (AttemptEnd::Moved, "moved"),
    (AttemptEnd::Stopped, "stopped"),
    (AttemptEnd::Crashed, "crashed"),
];

impl AttemptEnd {
    /// The word in the store, in JSON and in the ledger's detail.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ended(state) => state.as_str(),
            Self::Other(word) => word,
            known => WORDS.iter().find(|(end, _)| end == known).map_or("", |(_, word)| word),
        }
    }

    /// The ledger's detail: `retry: 451 4.3.0 try again`.
    pub fn detail(&self, said: Option<&str>) -> String {
        said.filter(|said| !said.is_empty()).map_or_else(|| self.to_string(), |said| format!("{self}: {said}"))
    }

    /// The end that a detail names, and what the server said.
    pub fn of_detail(detail: &str) -> (Self, &str) {
        let (word, said) = detail.split_once(": ").unwrap_or((detail, ""));
        (Self::from(word), said)
    }
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for AttemptEnd {
    fn from(word: &str) -> Self {
        let own = WORDS.iter().find(|(_, own)| *own == word).map(|(end, _)| end.clone());
        own.or_else(|| word.parse().ok().map(Self::Ended)).unwrap_or_else(|| Self::Other(word.into()))
    }
}

impl Serialize for AttemptEnd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_read_as_it_is_written() {
        let states = [State::Held, State::Cancelled, State::Superseded, State::Lapsed, State::Suppressed].map(AttemptEnd::Ended);
        for end in WORDS.into_iter().map(|(end, _)| end).chain(states) {
            assert_eq!(AttemptEnd::from(end.as_str()), end);
            assert_eq!(AttemptEnd::of_detail(&end.detail(Some("451 later: try again"))), (end.clone(), "451 later: try again"));
            assert_eq!(AttemptEnd::of_detail(&end.detail(None)), (end, ""));
        }
        for word in ["", "postponed", "Retry"] {
            assert_eq!(AttemptEnd::from(word).as_str(), word, "a word of another version stays as it is");
        }
    }
}
