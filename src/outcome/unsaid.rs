//! Words of a session that a server repeats, and that neither the log nor the history shall hold.
//!
//! In: the names of its people and its topic. Out: texts without any of their words. What an answer means was decided before, on the server's own
//! words; this changes what is kept of it.

use std::collections::HashSet;

use super::Outcome;

/// Shorter ones are no names: `de`, `MD`, and parts of status codes.
const WORD_MIN: usize = 3;

/// Words that are not repeated.
#[derive(Clone, Default)]
pub struct Unsaid(HashSet<String>);

impl std::fmt::Debug for Unsaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsaid")
    }
}

impl Unsaid {
    /// The words of these texts.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let words = texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect::<Vec<_>>());
        Self(words.filter(|word| word.chars().count() >= WORD_MIN && word.contains(char::is_alphabetic)).collect())
    }

    /// A text with `(...)` in place of them, however they are written in capitals.
    pub fn left_out(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
            if self.0.contains(&word.to_lowercase()) {
                out.push_str("(...)");
                out.push_str(&piece[word.len()..]);
            } else {
                out.push_str(piece);
            }
        }
        out
    }
}

impl Outcome {
    /// The same outcome, with nothing of these in what the server said.
    #[must_use]
    pub fn without(self, unsaid: &Unsaid) -> Self {
        self.retold(|text| unsaid.left_out(&text))
    }

    /// The same outcome, with its text as `told` makes it.
    #[must_use]
    pub(crate) fn retold(self, told: impl Fn(String) -> String) -> Self {
        match self {
            Self::Accepted { reply, reference } => Self::Accepted { reply: told(reply), reference },
            Self::Rejected { reply, remember } => Self::Rejected { reply: told(reply), remember },
            Self::Retry { why, after } => Self::Retry { why: told(why), after },
            Self::ChannelFault { why, after } => Self::ChannelFault { why: told(why), after },
            Self::Unknown { why } => Self::Unknown { why: told(why) },
            Self::Fenced => Self::Fenced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_name_or_a_topic_is_repeated() {
        let unsaid = Unsaid::of(["Alice O'Patient-Núñez", "Dr. Kay", "550 Grief group"].into_iter());
        for (said, told) in [
            ("550 5.7.1 Message for ALICE refused", "550 5.7.1 Message for (...) refused"),
            ("subject: grief Group, by kay", "subject: (...) (...), by (...)"),
            ("patient_núñez", "(...)_(...)"),
            ("250 2.0.0 ok: queued as 4XkAlice1", "250 2.0.0 ok: queued as 4XkAlice1"),
            ("", ""),
        ] {
            assert_eq!(unsaid.left_out(said), told);
        }
    }
}
