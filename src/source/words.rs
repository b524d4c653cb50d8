//! What the words of a source mean: ScheduleType and RSVP, as this vendor and other systems write them.
//!
//! Case, spaces and punctuation do not count. A word that nobody taught us is never guessed at: the practice says what it means, in
//! `[source.status]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{json, kept};
use crate::session::{Fault, Rsvp, Session, Snapshot, Standing};

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
    /// The word used in the configuration and in kept records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Cancelled => "cancelled",
            Self::Over => "over",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Live, Self::Cancelled, Self::Over].into_iter().find(|meaning| meaning.as_str() == word)
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

    /// It says nothing.
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

/// How a session stands whose word means that; `None`: nobody knows what it means.
pub(super) fn standing(meaning: Option<Meaning>) -> Standing {
    match meaning {
        Some(Meaning::Live | Meaning::Cancelled) => Standing::Live,
        Some(Meaning::Over) => Standing::Over,
        None => Standing::Unknown,
    }
}

/// Takes each session for what the practice says that its word means. A word that nobody knows is told as a fault; its session is held.
pub fn apply(snapshot: &mut Snapshot, dictionary: &Dictionary) {
    let mut unknowns = Vec::new();
    for session in &mut snapshot.sessions {
        let marked = memchr::memmem::find(session.record.as_bytes(), json::MEANING.as_bytes()).is_some();
        if marked || !dictionary.is_empty() {
            let word = json::schedule_type(&session.record);
            let said = dictionary.meaning(&word);
            if marked || said.is_some() {
                session.record = kept::with_meaning(&session.record, said);
            }
            let meaning = said.or_else(|| schedule_type(&word));
            (session.cancelled, session.standing) = (meaning == Some(Meaning::Cancelled), standing(meaning));
        }
        if session.standing == Standing::Unknown {
            unknowns.push(unknown(session));
        }
    }
    unknowns.into_iter().for_each(|fault| snapshot.fault(fault));
}

/// Each word of ScheduleType, what it is taken for (`None`: it is not known), and how many sessions have it.
pub fn census(snapshot: &Snapshot) -> BTreeMap<(String, Option<Meaning>), usize> {
    let mut census = BTreeMap::new();
    for session in &snapshot.sessions {
        let meaning = match session.standing {
            _ if session.cancelled => Some(Meaning::Cancelled),
            Standing::Live => Some(Meaning::Live),
            Standing::Over => Some(Meaning::Over),
            Standing::Unknown => None,
        };
        let word = json::schedule_type(&session.record);
        let word = shown(&word).unwrap_or("(another text)").to_owned();
        *census.entry((word, meaning)).or_default() += 1;
    }
    census
}

fn unknown(session: &Session) -> Fault {
    let word = json::schedule_type(&session.record);
    let found = shown(&word).map_or_else(|| "a text".to_owned(), |word| format!("{word:?}"));
    let first = session.participants.first().and_then(|p| p.path.rsplit_once("Participants["));
    let path = first.map_or_else(|| format!("SessionId {}.", session.id), |(before, _)| before.to_owned());
    let reason = format!("found {found}, which is no word that is known: the session is held; say what it means in [source.status]");
    Fault { path: format!("{path}ScheduleType"), reason, session: Some(session.id), participation: None }
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

    #[test]
    fn what_the_practice_says_goes_with_the_record() {
        let body =
            |kind: &str| format!(r#"[{{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","ScheduleType":"{kind}","Participants":[]}}]"#);
        let said = BTreeMap::from([
            ("On Hold".to_owned(), Meaning::Live),
            ("Billed".to_owned(), Meaning::Over),
            ("scheduled".to_owned(), Meaning::Cancelled),
        ]);
        let dictionary = Dictionary::new(&said).unwrap();
        for (kind, with, cancelled, standing) in [
            ("On Hold", &Dictionary::default(), false, Standing::Unknown),
            ("on hold", &dictionary, false, Standing::Live),
            ("BILLED", &dictionary, false, Standing::Over),
            ("Scheduled", &dictionary, true, Standing::Live),
            ("Cancelled", &dictionary, true, Standing::Live),
            ("Draft", &dictionary, false, Standing::Unknown),
        ] {
            let mut snapshot = json::parse(body(kind).as_bytes()).unwrap();
            apply(&mut snapshot, with);
            let session = &snapshot.sessions[0];
            assert_eq!((session.cancelled, session.standing), (cancelled, standing), "{kind}");
            let kept = json::kept(&session.record).unwrap();
            assert_eq!((kept.cancelled, kept.standing), (cancelled, standing), "{kind}, as the store keeps it");
            let told: Vec<&str> = snapshot.faults.iter().map(|f| f.path.as_str()).collect();
            assert_eq!(told, if standing == Standing::Unknown { vec!["SessionId 1.ScheduleType"] } else { vec![] }, "{kind}");
        }
    }

    #[test]
    fn a_source_cannot_say_what_its_words_mean() {
        let body =
            r#"[{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","ScheduleType":"Draft","PunctualMeaning":"live","Participants":[]}]"#;
        let mut snapshot = json::parse(body.as_bytes()).unwrap();
        apply(&mut snapshot, &Dictionary::default());
        assert_eq!(json::kept(&snapshot.sessions[0].record).unwrap().standing, Standing::Unknown);
    }

    #[test]
    fn what_stands_in_the_wrong_column_is_not_shown() {
        for (word, is) in [
            ("On Hold", true),
            ("En attente", true),
            ("Trevor Ohm, 404-555-0123", false),
            ("trevor@example.com", false),
            ("She said that she would rather come on Monday", false),
        ] {
            assert_eq!(shown(word).is_some(), is, "{word}");
        }
    }
}
