//! What the templates get: facts in words and in local times. Nothing here is HTML: the templates escape it all.

use chrono::{DateTime, SecondsFormat, Utc};

use self::session::{Named, People, Showing};
use crate::desk::outage::Outage;
use crate::desk::records::{field, label};
pub(super) use crate::desk::words::capital;
use crate::desk::{Desk, nodes, unreachable, words};
use crate::entry::State;
use crate::feedback::reply::Written;
use crate::feedback::word::Word;
use crate::guard::{GuardKind, GuardRow, Verdict};
use crate::notice::Reason;
use crate::outbox::{NodeRow, SourceStatus};
use crate::session::Role;
use crate::web::{AppState, DemoAction, Stage};
use crate::zone::Zone;

mod notice;
pub(super) mod session;

pub(super) use notice::{History, NoticeRow, PlannerDecision, ShownAttempt};

/// What every page has around it.
pub(super) struct Frame {
    pub practice: String,
    /// `New York`
    pub zone: String,
    pub user: String,
    pub operator: bool,
    /// Of the page's forms.
    pub token: String,
    /// Things that want a decision.
    pub waiting: u64,
    pub section: &'static str,
    /// Nothing is sent: it is all rehearsed.
    pub shadow: bool,
    /// Its reader sees names.
    pub names: bool,
    /// What keeps messages from going out.
    pub banner: Vec<Banner>,
    /// Of several that serve the practice.
    pub nodes: Vec<NodeLine>,
    /// How fresh what the sources said is.
    pub sources: Vec<Fresh>,
    /// It is a demonstration.
    pub demo: Option<Demo>,
}

/// A demonstration's clock and buttons.
pub(super) struct Demo {
    pub now: Moment,
    pub actions: Vec<DemoAction>,
}

impl Demo {
    pub(super) fn of(stage: &dyn Stage, office: &AppState, now: DateTime<Utc>) -> Self {
        Self { now: moment(now, &office.zone), actions: stage.actions() }
    }
}

/// What keeps messages from going out, in words.
pub(super) struct Banner {
    /// What is at fault, since when, and why.
    pub headline: String,
    /// How many messages wait, and the most urgent one.
    pub waits: String,
    /// Whose that one is.
    pub whose: Option<Named>,
}

impl Banner {
    pub(super) fn of(outage: &Outage, people: &People, showing: Showing<'_>) -> Self {
        let (zone, now) = (&showing.office.zone, showing.now);
        let urgent = outage.most_urgent.map(|urgent| (urgent.session_id, urgent.participation_id));
        Self {
            headline: outage.headline(zone, now),
            waits: outage.what_waits(zone, now),
            whose: urgent.map(|place| Named::of(place, people, showing)),
        }
    }
}

/// A node.
pub(super) struct NodeLine {
    pub name: String,
    /// Its process, and the machine.
    pub at: String,
    /// `leads`, or what keeps it from its work; none: it works.
    pub says: Option<String>,
    /// It does nothing, or is gone.
    pub is_at_fault: bool,
    /// What each page tells of one that does nothing. (Of the node that shows the page the banner tells.)
    pub told: Option<String>,
}

impl NodeLine {
    pub(super) fn of(node: NodeRow, showing: Showing<'_>) -> Self {
        let says = nodes::standing(&node, &|at| words::clock(at, &showing.office.zone, showing.now));
        let (is_idle, is_at_fault) = (node.idle.is_some(), node.idle.is_some() || !node.lives);
        let told = says.as_ref().filter(|_| is_idle && !node.is_own).map(|says| format!("{says}. {}", nodes::MEANWHILE));
        Self { name: node.name, at: node.at, says, is_at_fault, told }
    }
}

/// When a source was last read.
pub(super) struct Fresh {
    pub name: String,
    /// `12 seconds ago`; none: never.
    pub ago: Option<String>,
}

impl Fresh {
    pub(super) fn all(sources: &[SourceStatus], desk: &Desk, now: DateTime<Utc>) -> Vec<Self> {
        let read = |name: &String| sources.iter().find(|s| s.name == *name).and_then(|s| s.last_snapshot_at);
        desk.sources.iter().map(|name| Self { name: name.clone(), ago: read(name).map(|at| words::ago(at, now)) }).collect()
    }
}

/// A time on somebody's clock.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// For programs: RFC 3339, UTC.
    pub iso: String,
    /// `Tue, Nov 24`
    pub date: String,
    /// `3:00 PM`
    pub time: String,
    /// `2026-11-24`
    pub day: String,
}

/// That time on the clock of a zone.
pub(super) fn moment(at: DateTime<Utc>, zone: &Zone) -> Moment {
    let local = zone.local(at).civil;
    Moment {
        iso: at.to_rfc3339_opts(SecondsFormat::Secs, true),
        date: local.format("%a, %b %-d").to_string(),
        time: local.format("%-I:%M %p").to_string(),
        day: local.date().to_string(),
    }
}

/// `New York` of `America/New_York`.
pub(super) fn zone_name(zone: &Zone) -> String {
    zone.name().rsplit('/').next().unwrap_or(zone.name()).replace('_', " ")
}

/// Why somebody will not be reached, and what to do.
pub(super) struct NotReached {
    pub text: String,
    pub detail: Option<String>,
    pub remedy: Option<&'static str>,
}

impl NotReached {
    /// `reason`: a reason's word, or a state's.
    fn of(reason: &str, detail: Option<&String>) -> Self {
        let known = |word: &str| word.parse::<Reason>().ok();
        let held = detail.and_then(|d| known(d));
        let (text, remedy) = match (known(reason), reason) {
            (Some(r), _) => (words::reason(r).to_owned(), words::remedy(r)),
            (None, "held") => {
                let why = held.map_or_else(String::new, |r| format!(": {}", lower(words::reason(r))));
                (format!("A message is held{why}"), held.and_then(words::remedy).or(Some("Decide about it.")))
            }
            (None, "rejected") => ("The message was refused".to_owned(), Some("Call them, or correct the address.")),
            (None, "unknown") => ("Nobody knows whether the message arrived".to_owned(), words::remedy(Reason::InDoubt)),
            (None, unreachable::OVERDUE) => {
                ("A message is overdue".to_owned(), Some("Call them: the session is near, and their message does not go out."))
            }
            (None, unreachable::UNTOLD) => ("They know what holds no more, and no message says so".to_owned(), Some("Call them.")),
            (None, "undelivered" | "failed") => {
                ("The server took a message, and it did not arrive".to_owned(), Some("Call them, or correct the address."))
            }
            (None, other) => (other.to_owned(), None),
        };
        // A path is for whoever looks after the records: `[6].Participants[1].ParticipantEmailAddress: there is no @ in it`.
        let plain = |detail: &String| match detail.split_once(": ") {
            Some((path, says)) if path.contains("].") && !path.contains(' ') => format!("{}: {says}", label(field(path))),
            _ => detail.clone(),
        };
        Self { text, detail: detail.filter(|_| held.is_none()).map(plain), remedy }
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Host => "Host",
        Role::Participant => "Participant",
    }
}

/// How a step is meant: a class of the style sheet, beside the words that say the same.
fn tone(state: Option<State>) -> &'static str {
    match state {
        Some(State::Accepted) => "good",
        Some(State::Waiting | State::Claimed | State::Sending) => "plain",
        Some(State::Held | State::Unknown | State::Rejected | State::Lapsed) => "bad",
        Some(State::Cancelled | State::Superseded | State::Suppressed) | None => "quiet",
    }
}

/// What the guard holds of one source.
pub(super) struct Guarded {
    pub source: String,
    pub since: Moment,
    /// `moved`, and the sessions.
    pub kinds: Vec<(&'static str, Vec<i64>)>,
    pub count: usize,
    /// Some of it can be rejected.
    pub rejectable: bool,
    /// `source=front+desk`
    pub query: String,
}

impl Guarded {
    /// Rows are in the order of their sources and sessions.
    pub(super) fn by_source(rows: &[GuardRow], office: &AppState) -> Vec<Self> {
        rows.chunk_by(|a, b| a.source == b.source).filter_map(|rows| Self::of(rows, office)).collect()
    }

    fn of(rows: &[GuardRow], office: &AppState) -> Option<Self> {
        let first = rows.iter().min_by_key(|row| row.since)?;
        let of = |kind: GuardKind| rows.iter().filter(|row| row.kind == kind).map(|row| row.session_id.0).collect::<Vec<i64>>();
        let kinds = GuardKind::ALL.into_iter().map(|kind| (words_of(kind), of(kind))).filter(|(_, sessions)| !sessions.is_empty());
        Some(Self {
            source: first.source.clone(),
            since: moment(first.since, &office.zone),
            kinds: kinds.collect(),
            count: rows.chunk_by(|a, b| a.session_id == b.session_id).count(),
            query: url::form_urlencoded::Serializer::new(String::new()).append_pair("source", &first.source).finish(),
            rejectable: rows.iter().any(|row| Verdict::Reject.of(row.kind).is_some()),
        })
    }
}

/// `20 sessions ...: 1, 2, 3`
fn words_of(kind: GuardKind) -> &'static str {
    match kind {
        GuardKind::Removed => "are gone, or cancelled",
        GuardKind::Moved => "moved",
        GuardKind::Participants => "have fewer people",
        GuardKind::Roles => "list a patient as the host, or the host as a patient",
        GuardKind::Codes => "have other connect codes or passkeys",
        GuardKind::Addresses => "have other addresses or numbers",
        GuardKind::Zones => "have other time zones",
        GuardKind::Names => "have other names",
        GuardKind::Deliveries => "are not to be told any more, or by another channel, or declined",
        GuardKind::Clocks => "are at another hour on people's clocks, although the source says the same",
    }
}

pub(super) struct ReplyRow {
    pub key: String,
    pub at: Moment,
    /// Masked.
    pub from: String,
    pub text: String,
    /// What the service took it for, if for anything.
    pub taken: Option<&'static str>,
    /// Each whose it may be.
    pub about: Vec<Named>,
}

impl ReplyRow {
    pub(super) fn of(said: Written, people: &People, showing: Showing<'_>) -> Self {
        Self {
            key: said.key.to_string(),
            at: moment(said.at, &showing.office.zone),
            from: said.shown,
            text: said.said.text,
            taken: match said.word {
                Word::Stop => Some("They get no more texts."),
                Word::Start => Some("They get texts again."),
                Word::Help => Some("They were told whose texts these are."),
                Word::Yes => Some("It may be a yes."),
                Word::No => Some("It may be a no."),
                Word::Other => None,
            },
            about: said.said.about.iter().map(|p| Named::of((p.session, p.participation), people, showing)).collect(),
        }
    }
}
