//! A session's record: what its source said, and what is said beside it.

use std::fmt;
use std::str::FromStr;

use super::Standing;

/// A record as its source said it. In print it shows its size: it holds names and codes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SourceRecord {
    /// Byte for byte. Empty: it was purged, or there never was one.
    pub text: String,
    /// How the session stands, whatever the word of its ScheduleType says; `None`: as that says.
    pub taken_for: Option<TakenFor>,
}

impl SourceRecord {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl From<String> for SourceRecord {
    fn from(text: String) -> Self {
        Self { text, taken_for: None }
    }
}

impl From<&str> for SourceRecord {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for SourceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.text.len())?;
        self.taken_for.map_or(Ok(()), |taken_for| write!(f, ", taken for {}", taken_for.as_str()))
    }
}

/// How a session stands although its record may say something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenFor {
    /// The practice says that its word means: it takes place.
    Live,
    /// The practice says that its word means: it will not.
    Cancelled,
    /// The practice says that its word means: it is over.
    Over,
    /// It is cancelled, although the record that is in force does not say so: its source took it back without another one, or cancelled it beside
    /// changes that wait for an operator.
    Withdrawn,
}

impl TakenFor {
    const ALL: [Self; 4] = [Self::Live, Self::Cancelled, Self::Over, Self::Withdrawn];

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Cancelled => "cancelled",
            Self::Over => "over",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether it is cancelled, and what else that says.
    pub fn stands(self) -> (bool, Standing) {
        match self {
            Self::Live => (false, Standing::Live),
            Self::Cancelled | Self::Withdrawn => (true, Standing::Live),
            Self::Over => (false, Standing::Over),
        }
    }
}

impl FromStr for TakenFor {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|one| one.as_str() == word).ok_or_else(|| format!("{word:?} is nothing that a session is taken for"))
    }
}
