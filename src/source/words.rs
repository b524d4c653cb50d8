//! What the words of a source mean: ScheduleType and RSVP, as this vendor and other systems write them.
//!
//! Case, spaces and punctuation do not count. A word that nobody taught us is never guessed at: the practice says what it means, in
//! `[source.status]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::session::{Rsvp, Standing, TakenFor};

/// What a word of ScheduleType means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// It takes place.
    Live,
    /// It will not.
    Cancelled,
    /// It is over, or counts as such: nobody is told anything any more.
    Over,
}

impl Meaning {
    /// What a session with such a word is taken for.
    pub fn taken_for(self) -> TakenFor {
        match self {
            Self::Live => TakenFor::Live,
            Self::Cancelled => TakenFor::Cancelled,
            Self::Over => TakenFor::Over,
        }
    }
}

/// What a practice says of its source's words, by the folded word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary(BTreeMap<String, Meaning>);

impl Dictionary {
    /// The error names a word that stands twice.
    pub fn new(words: &BTreeMap<String, Meaning>) -> Result<Self, String> {
        let mut folded = BTreeMap::new();
        for (word, meaning) in words {
            if folded.insert(fold(word), *meaning).is_some_and(|other| other != *meaning) {
                return Err(format!("{word:?} stands twice, with two meanings (case, spaces and punctuation do not count)"));
            }
        }
        Ok(Self(folded))
    }

    /// What all of them say, the earlier before the later: for sessions of no source in particular.
    pub fn of_all<'a>(all: impl DoubleEndedIterator<Item = &'a Self>) -> Self {
        Self(all.rev().flat_map(|one| one.0.clone()).collect())
    }

    /// What the practice says that it means; `None`: nothing.
    pub fn meaning(&self, word: &str) -> Option<Meaning> {
        self.0.get(&fold(word)).copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const LIVE: [&str; 2] = ["scheduled", "rescheduled"];
/// Alone, or with words behind that say by whom or why.
const CANCELLED: [&str; 23] = [
    "cancelled",
    "canceled",
    "cancel",
    "cancellation",
    "cancelation",
    "canc",
    "cancld",
    "cxl",
    "cxld",
    "canx",
    "deleted",
    "delete",
    "removed",
    "void",
    "voided",
    "annulled",
    "revoked",
    "withdrawn",
    "cancelado",
    "cancelada",
    "annule",
    "annulee",
    "enteredinerror",
];
/// Behind such a word they say that it is not so yet, or not so simple.
const DOUBTS: [&str; 9] = ["request", "requested", "pending", "rescheduled", "reschedule", "rebooked", "unless", "not", "false"];
const OVER: [&str; 22] = [
    "completed",
    "complete",
    "ended",
    "finished",
    "done",
    "concluded",
    "fulfilled",
    "attended",
    "checkedout",
    "past",
    "over",
    "noshow",
    "noshowed",
    "didnotshow",
    "didnotattend",
    "dna",
    "missed",
    "absent",
    "completado",
    "terminado",
    "termine",
    "terminee",
];

/// What ScheduleType says, without the practice's help; `None`: no word that we know.
pub fn schedule_type(word: &str) -> Option<Meaning> {
    let whole = fold(word);
    if word.trim().is_empty() || LIVE.contains(&whole.as_str()) {
        return Some(Meaning::Live);
    }
    if OVER.contains(&whole.as_str()) {
        return Some(Meaning::Over);
    }
    let words: Vec<String> = word.split(|c: char| !c.is_alphanumeric()).map(fold).filter(|w| !w.is_empty()).collect();
    let words = words.strip_prefix(&["late".to_owned()]).unwrap_or(&words);
    let (first, rest) = words.split_first()?;
    let doubtful = rest.iter().any(|w| DOUBTS.contains(&w.as_str())) || *rest == ["no"];
    let cancelled = CANCELLED.contains(&whole.as_str()) || (CANCELLED.contains(&first.as_str()) && !doubtful);
    cancelled.then_some(Meaning::Cancelled)
}

/// How a session stands whose word means that, and whether it is cancelled; `None`: nobody knows what it means.
pub(super) fn stands(meaning: Option<Meaning>) -> (bool, Standing) {
    meaning.map_or((false, Standing::Unknown), |meaning| meaning.taken_for().stands())
}

/// What RSVP says; `None`: no word that we know.
pub fn rsvp(word: &str) -> Option<Rsvp> {
    match fold(word).as_str() {
        "confirmed" | "accepted" | "yes" => Some(Rsvp::Confirmed),
        "declined" | "rejected" | "no" => Some(Rsvp::Declined),
        "unknown" | "pending" | "tentative" => Some(Rsvp::Unknown),
        _ if word.trim().is_empty() => Some(Rsvp::Unknown),
        _ => None,
    }
}

/// Letters and digits alone, small, without accents.
fn fold(word: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    if word.is_ascii() {
        return word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    }
    word.nfkd().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A word as it may be shown to staff: it is short, and holds no digits and no @, as a name, a note or a number in the wrong column would.
pub fn shown(word: &str) -> Option<&str> {
    let word = word.trim();
    let plain = word.chars().all(|c| c.is_alphabetic() || c.is_whitespace() || "-_/&().,'".contains(c));
    (plain && word.chars().count() <= 40 && word.split_whitespace().count() <= 4).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_types() {
        use Meaning::{Cancelled, Live, Over};
        for (means, words) in [
            (Some(Live), &["", " ", "Scheduled", "RESCHEDULED", "re-scheduled", "scheduled "][..]),
            (
                Some(Cancelled),
                &[
                    "Cancelled",
                    "Canceled",
                    "CANCELED",
                    " cancelled ",
                    "Cancel",
                    "Deleted",
                    "Removed",
                    "Void",
                    "VOIDED",
                    "Cancelled by patient",
                    "Canceled - Weather",
                    "Late Cancel",
                    "LATE_CANCELLED",
                    "cancelled (no charge fee)",
                    "entered-in-error",
                    "Annulée",
                    "CANCELADA",
                ],
            ),
            (
                Some(Over),
                &[
                    "Completed",
                    "COMPLETE",
                    "Ended",
                    "No Show",
                    "NoShow",
                    "no-show",
                    "NO_SHOW",
                    "Missed",
                    "Did not attend",
                    "fulfilled",
                    "Done",
                ],
            ),
            (
                None,
                &[
                    "Confirmed",
                    "Pending",
                    "On Hold",
                    "Tentative",
                    "Waitlist",
                    "Arrived",
                    "Checked In",
                    "Cancellation requested",
                    "Cancel pending",
                    "Canceled/Rescheduled",
                    "Cancelled: no",
                    "Not cancelled",
                    "Uncancelled",
                    "Draft",
                    "?",
                    "x",
                    "Show",
                    "7",
                ],
            ),
        ] {
            for word in words {
                assert_eq!(schedule_type(word), means, "{word:?}");
            }
        }
    }

    #[test]
    fn answers() {
        for (means, words) in [
            (Some(Rsvp::Confirmed), &["Confirmed", "confirmed", "ACCEPTED", "yes "][..]),
            (Some(Rsvp::Declined), &["Declined", "declined", "Rejected", "NO"]),
            (Some(Rsvp::Unknown), &["", "Unknown", "unknown", "Pending", "tentative"]),
            (None, &["Maybe", "?", "Delegated", "confirmed?no", "Y/N", "-1", "true"]),
        ] {
            for word in words {
                assert_eq!(rsvp(word), means, "{word:?}");
            }
        }
    }

    #[test]
    fn a_practice_says_what_its_words_mean() {
        let said = BTreeMap::from([("On Hold".to_owned(), Meaning::Live), ("billed".to_owned(), Meaning::Over)]);
        let dictionary = Dictionary::new(&said).unwrap();
        for (word, means) in
            [("on hold", Some(Meaning::Live)), ("ON-HOLD", Some(Meaning::Live)), ("Billed", Some(Meaning::Over)), ("x", None)]
        {
            assert_eq!(dictionary.meaning(word), means, "{word}");
        }
        let twice = BTreeMap::from([("On Hold".to_owned(), Meaning::Live), ("on hold".to_owned(), Meaning::Over)]);
        assert!(Dictionary::new(&twice).is_err());
    }
}
