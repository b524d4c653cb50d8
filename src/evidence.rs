//! What the provider says that it sent, beside what this program did, or in shadow mode would have done.
//!
//! The provider's webhook reports each of its own messages (NOTIFY_PUBLIC_USER, the vendor's article 316): a status word, the recipient, the
//! session's start. Of that an [`Evidence`] is kept in the ledger, with the ids of whom it is about and nothing else. [`compare`] pairs the two
//! sides: the same, at another time, missing here, or extra here. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;

use crate::notice::Occasion;
use crate::session::{ParticipationId, SessionId};

/// Within this the provider and we are at the same time: it sends at once what waits here for corrections, and its events come late.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(15);

/// One message of the provider's, without the person: the ledger's row says whom it was about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// Its own word for the kind: `Update`; others are not documented.
    pub status: String,
    /// ID of the event. What it stands for is not documented.
    pub id: Option<i64>,
    /// When it was sent.
    pub at: DateTime<Utc>,
    /// The start that it spoke of.
    pub start: DateTime<Utc>,
}

impl fmt::Display for Evidence {
    /// `Update 183765 2019-06-11T10:45:12Z 2019-06-26T18:45:00Z`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |t: DateTime<Utc>| t.to_rfc3339_opts(SecondsFormat::Secs, true);
        let id = self.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        write!(f, "{} {id} {} {}", self.status, time(self.at), time(self.start))
    }
}

impl FromStr for Evidence {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("{s:?} is no evidence");
        let [status, id, at, start] = s.split(' ').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let time = |text: &str| text.parse::<DateTime<Utc>>().map_err(|_| wrong());
        let id = if id == "-" { None } else { Some(id.parse().map_err(|_| wrong())?) };
        Ok(Self { status: status.to_owned(), id, at: time(at)?, start: time(start)? })
    }
}

/// Whom, and which start: messages of both sides are compared within it.
type Meeting = (SessionId, ParticipationId, DateTime<Utc>);

/// A message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    pub session: SessionId,
    /// The person in it.
    pub participation: ParticipationId,
    /// The start that it speaks of.
    pub start: DateTime<Utc>,
    pub occasion: Occasion,
    /// The reminder rule's name.
    pub rule: Option<String>,
    /// When it was handed over, or would have been.
    pub at: DateTime<Utc>,
}

/// A message of the provider's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    /// The session and the person in it; `None`: nobody here has that address at that start.
    pub about: Option<(SessionId, ParticipationId)>,
    pub evidence: Evidence,
}

/// How the two sides compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Both, at about the same time.
    Same,
    /// Both, at different times.
    TimeDiffers,
    /// The provider's alone.
    Missing,
    /// Ours alone.
    Extra,
}

impl Comparison {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::TimeDiffers => "time_differs",
            Self::Missing => "missing",
            Self::Extra => "extra",
        }
    }
}

/// One message, or a pair of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub verdict: Comparison,
    /// The session; `None`: the provider told somebody whom no source lists.
    pub session_id: Option<SessionId>,
    /// The person in it.
    pub participation_id: Option<ParticipationId>,
    /// The start that was spoken of.
    pub start: DateTime<Utc>,
    pub occasion: Option<Occasion>,
    /// The reminder rule's name.
    pub rule: Option<String>,
    /// When we did, or would have.
    pub our_time: Option<DateTime<Utc>>,
    /// In the provider's words.
    pub status: Option<String>,
    /// When the provider sent it.
    pub their_time: Option<DateTime<Utc>>,
}

/// Pairs the messages of both sides: within one person's meeting those of the same kind and the nearest times first. What the provider
/// reports twice counts once. In the order of the starts.
pub fn compare(ours: &[Ours], theirs: &[Theirs]) -> Vec<Row> {
    let mut meetings: BTreeMap<Meeting, (Vec<&Ours>, Vec<&Evidence>)> = BTreeMap::new();
    for one in ours {
        meetings.entry((one.session, one.participation, one.start)).or_default().0.push(one);
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut strangers: Vec<&Evidence> = Vec::new();
    for one in theirs {
        match one.about {
            Some((session, person)) => meetings.entry((session, person, one.evidence.start)).or_default().1.push(&one.evidence),
            None => strangers.push(&one.evidence),
        }
    }
    strangers.sort_unstable();
    strangers.dedup();
    rows.extend(strangers.into_iter().map(|evidence| row(None, None, Some(evidence))));
    for (meeting, (ours, mut theirs)) in meetings {
        theirs.sort_unstable();
        theirs.dedup();
        rows.extend(pair(meeting, ours, theirs));
    }
    rows.sort_by_key(|r| (r.start, r.session_id, r.participation_id, r.our_time.or(r.their_time)));
    rows
}

fn pair(meeting: Meeting, mut ours: Vec<&Ours>, mut theirs: Vec<&Evidence>) -> Vec<Row> {
    let mut rows = Vec::new();
    loop {
        let all = ours.iter().enumerate().flat_map(|(o, our)| theirs.iter().enumerate().map(move |(t, their)| (o, t, *our, *their)));
        let alike = all.filter(|(_, _, our, their)| may_be(&their.status, our.occasion));
        let Some((o, t, _, _)) = alike.min_by_key(|(_, _, our, their)| (our.at - their.at).abs()) else { break };
        rows.push(row(Some(meeting), Some(ours.remove(o)), Some(theirs.remove(t))));
    }
    rows.extend(ours.into_iter().map(|our| row(Some(meeting), Some(our), None)));
    rows.extend(theirs.into_iter().map(|their| row(Some(meeting), None, Some(their))));
    rows
}

/// Whether the provider's word can stand for the occasion. Only `Update` is documented; of a word that is not known it can be anything.
fn may_be(status: &str, occasion: Occasion) -> bool {
    let word = status.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
    if says(&["invit", "creat", "schedul"]) && !says(&["resched"]) {
        occasion == Occasion::Invite
    } else if says(&["remind"]) {
        occasion == Occasion::Reminder
    } else if says(&["cancel", "remov", "delet"]) {
        occasion == Occasion::Cancelled
    } else if says(&["updat", "resched", "chang"]) {
        matches!(occasion, Occasion::Rescheduled | Occasion::Updated)
    } else {
        true
    }
}

fn row(meeting: Option<Meeting>, our: Option<&Ours>, their: Option<&Evidence>) -> Row {
    let verdict = match (our, their) {
        (Some(our), Some(their)) if (our.at - their.at).abs() <= TOLERANCE => Comparison::Same,
        (Some(_), Some(_)) => Comparison::TimeDiffers,
        (None, _) => Comparison::Missing,
        (Some(_), None) => Comparison::Extra,
    };
    Row {
        verdict,
        session_id: meeting.map(|m| m.0),
        participation_id: meeting.map(|m| m.1),
        start: meeting.map(|m| m.2).or(their.map(|t| t.start)).unwrap_or_default(),
        occasion: our.map(|o| o.occasion),
        rule: our.and_then(|o| o.rule.clone()),
        our_time: our.map(|o| o.at),
        status: their.map(|t| t.status.clone()),
        their_time: their.map(|t| t.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-{text}:00Z").parse().unwrap()
    }

    fn ours(person: i64, occasion: Occasion, rule: Option<&str>, time: &str) -> Ours {
        let rule = rule.map(str::to_owned);
        Ours { session: SessionId(1), participation: ParticipationId(person), start: at("26T15:00"), occasion, rule, at: at(time) }
    }

    fn theirs(person: i64, status: &str, time: &str) -> Theirs {
        let evidence = Evidence { status: status.to_owned(), id: Some(7), at: at(time), start: at("26T15:00") };
        Theirs { about: Some((SessionId(1), ParticipationId(person))), evidence }
    }

    /// `11 invite same`, in order.
    fn said(ours: &[Ours], theirs: &[Theirs]) -> Vec<String> {
        let shown = |r: &Row| {
            let what = r.rule.clone().or(r.occasion.map(|o| o.to_string())).or(r.status.clone()).unwrap_or_default();
            format!("{} {what} {}", r.participation_id.map_or_else(|| "?".to_owned(), |p| p.to_string()), r.verdict.as_str())
        };
        compare(ours, theirs).iter().map(shown).collect()
    }

    #[test]
    fn messages_of_both_sides_are_paired() {
        use Occasion::{Cancelled, Invite, Reminder, Rescheduled};
        let cases: [(&[Ours], &[Theirs], &[&str]); 8] = [
            (&[ours(11, Invite, None, "24T09:02")], &[theirs(11, "Invite", "24T09:00")], &["11 invite same"]),
            (&[ours(11, Invite, None, "24T09:15")], &[theirs(11, "Invite", "24T09:00")], &["11 invite same"]),
            (&[ours(11, Invite, None, "24T09:16")], &[theirs(11, "Invite", "24T09:00")], &["11 invite time_differs"]),
            (&[], &[theirs(11, "Invite", "24T09:00")], &["11 Invite missing"]),
            (&[ours(11, Invite, None, "24T09:02")], &[], &["11 invite extra"]),
            (&[ours(11, Invite, None, "24T09:02")], &[theirs(12, "Invite", "24T09:00")], &["11 invite extra", "12 Invite missing"]),
            // The nearest of their kind; an invite is no reminder, however near; an unknown word may be any.
            (
                &[
                    ours(11, Reminder, Some("24h"), "25T15:00"),
                    ours(11, Reminder, Some("1h"), "26T14:00"),
                    ours(11, Rescheduled, None, "25T10:00"),
                    ours(11, Cancelled, None, "26T14:30"),
                ],
                &[theirs(11, "Reminder", "26T14:01"), theirs(11, "Update", "25T09:59"), theirs(11, "Other", "26T14:31")],
                &["11 rescheduled same", "11 24h extra", "11 1h same", "11 cancelled same"],
            ),
            // An event that is sent again counts once.
            (
                &[ours(11, Invite, None, "24T09:02")],
                &[theirs(11, "Invite", "24T09:00"), theirs(11, "Invite", "24T09:00")],
                &["11 invite same"],
            ),
        ];
        for (ours, theirs, rows) in cases {
            assert_eq!(said(ours, theirs), rows);
        }
        let stranger = Theirs { about: None, ..theirs(11, "Invite", "24T09:00") };
        assert_eq!(said(&[], &[stranger.clone(), stranger]), ["? Invite missing"]);
    }

    #[test]
    fn it_reads_what_it_writes() {
        for text in ["Update 183765 2019-06-11T10:45:12Z 2019-06-26T18:45:00Z", "(other) - 2019-06-11T10:45:12Z 2019-06-26T18:45:00Z"] {
            assert_eq!(text.parse::<Evidence>().unwrap().to_string(), text);
        }
        for text in ["", "Update 1 2019-06-11T10:45:12Z", "Update x 2019-06-11T10:45:12Z 2019-06-26T18:45:00Z", "a b c d e"] {
            assert!(text.parse::<Evidence>().is_err(), "{text}");
        }
    }
}
