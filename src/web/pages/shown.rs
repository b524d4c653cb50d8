//! What the templates get: facts in words and in local times. Nothing here is HTML: the templates escape it all.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;

use crate::desk::outage::{Outage, is_overdue};
use crate::desk::why::{Said, Told};
use crate::desk::{Desk, agenda, unreachable, what, words};
use crate::feedback::word::Word;
use crate::notice::Reason;
use crate::outbox::reply::Written;
use crate::outbox::{Act, Delivery, Entry, GuardKind, GuardRow, LedgerRow, SourceStatus, State, Verdict};
use crate::session::{Fault, Role};
use crate::web::Office;
use crate::zone::Zone;

/// What every page has around it.
#[derive(Serialize)]
pub(super) struct Frame {
    pub(super) practice: String,
    /// `New York`
    pub(super) zone: String,
    pub(super) user: String,
    pub(super) operator: bool,
    /// Of the page's forms.
    pub(super) token: String,
    /// Things that want a decision.
    pub(super) waiting: u64,
    pub(super) section: &'static str,
    /// Nothing is sent: it is all rehearsed.
    pub(super) shadow: bool,
    /// What keeps messages from going out.
    pub(super) banner: Vec<Banner>,
    /// How fresh what the sources said is.
    pub(super) sources: Vec<Fresh>,
}

/// What keeps messages from going out, in words.
#[derive(Serialize)]
pub(super) struct Banner {
    /// What is at fault, since when, and why.
    headline: String,
    /// How many messages wait, and the most urgent one.
    waits: String,
    /// The session of that one.
    session: Option<i64>,
}

impl Banner {
    pub(super) fn of(outage: &Outage, office: &Office, now: DateTime<Utc>) -> Self {
        Self {
            headline: outage.headline(&office.zone, now),
            waits: outage.what_waits(&office.zone, now),
            session: outage.most_urgent.map(|urgent| urgent.session_id.0),
        }
    }
}

/// When a source was last read.
#[derive(Serialize)]
pub(super) struct Fresh {
    name: String,
    /// `12 seconds ago`; none: never.
    ago: Option<String>,
}

impl Fresh {
    pub(super) fn all(sources: &[SourceStatus], desk: &Desk, now: DateTime<Utc>) -> Vec<Self> {
        let read = |name: &String| sources.iter().find(|s| s.name == *name).and_then(|s| s.last_snapshot_at);
        desk.sources.iter().map(|name| Self { name: name.clone(), ago: read(name).map(|at| words::ago(at, now)) }).collect()
    }
}

/// A time on somebody's clock.
#[derive(Serialize, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// For programs: RFC 3339, UTC.
    pub(super) iso: String,
    /// `Tue, Nov 24`
    pub(super) date: String,
    /// `3:00 PM`
    pub(super) time: String,
    /// `2026-11-24`
    pub(super) day: String,
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

/// The sessions of one day of the practice.
#[derive(Serialize)]
pub(super) struct Day {
    /// `Today`, `Tomorrow`, or nothing.
    name: &'static str,
    /// `Tue, Nov 24`
    date: String,
    sessions: Vec<SessionCard>,
}

/// Days with their sessions, also those without one.
pub(super) fn by_day(cards: Vec<SessionCard>, from: NaiveDate, days: u64, today: NaiveDate) -> Vec<Day> {
    let mut all: Vec<(NaiveDate, Day)> = from
        .iter_days()
        .take(usize::try_from(days).unwrap_or(0))
        .map(|day| {
            let name = match (day - today).num_days() {
                -1 => "Yesterday",
                0 => "Today",
                1 => "Tomorrow",
                _ => "",
            };
            (day, Day { name, date: day.format("%a, %b %-d").to_string(), sessions: Vec::new() })
        })
        .collect();
    for card in cards {
        if let Some((_, day)) = all.iter_mut().find(|(date, _)| date.to_string() == card.start.day) {
            day.sessions.push(card);
        }
    }
    all.into_iter().map(|(_, day)| day).collect()
}

/// One session.
#[derive(Serialize)]
pub(super) struct SessionCard {
    id: i64,
    start: Moment,
    over: bool,
    cancelled: bool,
    meet_now: bool,
    people: Vec<PersonCard>,
    faults: Vec<String>,
}

impl SessionCard {
    pub(super) fn of(entry: &agenda::Entry, office: &Office, now: DateTime<Utc>) -> Self {
        Self {
            id: entry.session.0,
            start: moment(entry.start, &office.zone),
            over: entry.start <= now,
            cancelled: entry.cancelled,
            meet_now: entry.meet_now,
            people: entry.people.iter().map(|p| PersonCard::of(p, entry, office, now)).collect(),
            faults: entry.faults.clone(),
        }
    }
}

/// One participant.
#[derive(Serialize)]
pub(super) struct PersonCard {
    id: i64,
    session: i64,
    role: &'static str,
    /// The masked address; or why there is none, where nothing else says so.
    to: String,
    /// Told by somebody else.
    elsewhere: bool,
    /// Their own clock, where it differs from the practice's at that time.
    local: Option<Moment>,
    /// `Los Angeles`
    zone: String,
    trouble: Option<Trouble>,
    steps: Vec<Chip>,
}

/// Why somebody will not be reached, and what to do.
#[derive(Serialize)]
pub(super) struct Trouble {
    text: String,
    detail: Option<String>,
    remedy: Option<&'static str>,
}

impl Trouble {
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
            (None, "undelivered" | "failed") => {
                ("The server took a message, and it did not arrive".to_owned(), Some("Call them, or correct the address."))
            }
            (None, other) => (other.to_owned(), None),
        };
        Self { text, detail: detail.filter(|_| held.is_none()).cloned(), remedy }
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl PersonCard {
    pub(super) fn of(person: &agenda::Person, entry: &agenda::Entry, office: &Office, now: DateTime<Utc>) -> Self {
        let zone = person.zone.as_ref();
        let theirs = zone.filter(|z| z.local(entry.start).civil != office.zone.local(entry.start).civil);
        Self {
            id: person.id.0,
            session: entry.session.0,
            role: role(person.role),
            to: match &person.to {
                Ok(to) => to.clone(),
                Err(_) if person.told_elsewhere || person.against.is_some() => String::new(),
                Err(reason) => words::reason(*reason).to_owned(),
            },
            elsewhere: person.told_elsewhere,
            local: theirs.map(|z| moment(entry.start, z)),
            zone: zone.map(zone_name).unwrap_or_default(),
            trouble: person.against.as_ref().map(|(reason, detail)| Trouble::of(reason, detail.as_ref())),
            steps: person.steps.iter().filter(|s| !is_said(s, person)).map(|s| Chip::of(s, office, now)).collect(),
        }
    }
}

/// What is not told for the one reason that stands above it anyway.
fn is_said(step: &agenda::Step, person: &agenda::Person) -> bool {
    let above = person.against.as_ref().map(|(reason, _)| reason.as_str());
    step.key.is_none() && step.reason.is_some_and(|reason| above == Some(reason.as_str()))
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

/// One thing that was, will or will not be told.
#[derive(Serialize)]
struct Chip {
    what: String,
    state: String,
    tone: &'static str,
    at: Option<Moment>,
    /// It is today, on the practice's clock.
    today: bool,
    why: Option<&'static str>,
    key: Option<String>,
}

impl Chip {
    fn of(step: &agenda::Step, office: &Office, now: DateTime<Utc>) -> Self {
        let at = step.at.map(|at| moment(at, &office.zone));
        Self {
            what: capital(&step.what),
            state: if step.overdue { words::OVERDUE } else { step.state.map_or("Not sent", words::state) }.to_owned(),
            tone: if step.overdue { "bad" } else { tone(step.state) },
            today: at.as_ref().is_some_and(|at| at.day == moment(now, &office.zone).day),
            at,
            why: step.reason.map(words::reason),
            key: step.key.map(|k| k.to_string()),
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// One notice, and what may be done with it.
#[derive(Serialize)]
pub(super) struct NoticeRow {
    key: String,
    session: i64,
    participation: i64,
    role: &'static str,
    what: String,
    channel: &'static str,
    to: String,
    state: &'static str,
    tone: &'static str,
    why: Option<&'static str>,
    remedy: Option<&'static str>,
    due: Moment,
    start: Moment,
    over: bool,
    next: Option<Moment>,
    accepted: Option<Moment>,
    attempts: u32,
    acts: Vec<Button>,
    /// It went, or was refused, and is still of use: it can be sent again.
    again: bool,
}

/// A deed that is possible.
#[derive(Serialize)]
struct Button {
    act: &'static str,
    label: &'static str,
    /// What it does, for whoever is not sure.
    help: &'static str,
}

impl NoticeRow {
    pub(super) fn of(entry: &Entry, office: &Office, now: DateTime<Utc>) -> Self {
        let notice = &entry.notice;
        let at = |at: DateTime<Utc>| moment(at, &office.zone);
        let in_doubt = (entry.state == State::Unknown).then_some(Reason::InDoubt);
        let reason = entry.reason.or(in_doubt);
        let overdue = is_overdue(entry.state, notice.due_at, notice.useful_until, now);
        Self {
            key: notice.key.to_string(),
            session: notice.session.0,
            participation: notice.participation.0,
            role: role(notice.role),
            what: capital(&what(notice.occasion, notice.rule.as_deref())),
            channel: match notice.address.channel() {
                crate::contact::Channel::Email => "e-mail",
                crate::contact::Channel::Sms => "text message",
            },
            to: notice.address.to_string(),
            state: if overdue { words::OVERDUE } else { words::state(entry.state) },
            tone: if overdue { "bad" } else { tone(Some(entry.state)) },
            why: reason.map(words::reason),
            remedy: reason.and_then(words::remedy),
            due: at(notice.due_at),
            start: at(notice.start),
            over: notice.useful_until <= now,
            next: entry.next_attempt_at.map(at),
            accepted: entry.accepted_at.map(at),
            attempts: entry.attempts,
            acts: buttons(entry, now),
            again: matches!(entry.state, State::Accepted | State::Rejected) && notice.useful_until > now,
        }
    }
}

/// What may be done with a notice in its state: see [`Act`].
fn buttons(entry: &Entry, now: DateTime<Utc>) -> Vec<Button> {
    let button = |act: Act, label, help| Button { act: act.as_str(), label, help };
    let cancel = button(Act::Cancel, "Do not send", "It is not sent, and not planned again.");
    match entry.state {
        State::Held if entry.notice.useful_until <= now => vec![cancel],
        State::Held => vec![button(Act::Release, "Release", "It is sent at its time, or at once if that is past."), cancel],
        State::Unknown => vec![button(Act::Retry, "Send again", "The same message once more, now."), cancel],
        State::Waiting if entry.attempts > 0 && entry.next_attempt_at.is_some_and(|at| at > now) => vec![
            button(Act::Retry, "Try now", "It does not wait for its next attempt."),
            button(Act::Hold, "Hold", "It waits until somebody releases it."),
            cancel,
        ],
        State::Waiting => vec![button(Act::Hold, "Hold", "It waits until somebody releases it."), cancel],
        State::Cancelled
            if entry.reason.is_some_and(|why| matches!(why, Reason::Operator | Reason::Told)) && entry.notice.useful_until > now =>
        {
            vec![button(Act::Restore, "Take back", "It is sent after all, at its time.")]
        }
        _ => Vec::new(),
    }
}

/// What the guard holds of one source.
#[derive(Serialize)]
pub(super) struct Guarded {
    source: String,
    since: Moment,
    /// `moved`, and the sessions.
    kinds: Vec<(&'static str, Vec<i64>)>,
    /// Sessions.
    count: usize,
    /// Some of it can be rejected.
    rejectable: bool,
}

impl Guarded {
    /// Rows are in the order of their sources and sessions.
    pub(super) fn by_source(rows: &[GuardRow], office: &Office) -> Vec<Self> {
        rows.chunk_by(|a, b| a.source == b.source).filter_map(|rows| Self::of(rows, office)).collect()
    }

    fn of(rows: &[GuardRow], office: &Office) -> Option<Self> {
        let first = rows.iter().min_by_key(|row| row.since)?;
        let of = |kind: GuardKind| rows.iter().filter(|row| row.kind == kind).map(|row| row.session_id.0).collect::<Vec<i64>>();
        let kinds = GuardKind::ALL.into_iter().map(|kind| (words_of(kind), of(kind))).filter(|(_, sessions)| !sessions.is_empty());
        Some(Self {
            source: first.source.clone(),
            since: moment(first.since, &office.zone),
            kinds: kinds.collect(),
            count: rows.chunk_by(|a, b| a.session_id == b.session_id).count(),
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
        GuardKind::Codes => "have other connect codes or passkeys",
        GuardKind::Addresses => "have other addresses or numbers",
        GuardKind::Zones => "have other time zones",
        GuardKind::Names => "have other names",
        GuardKind::Clocks => "are at another hour on people's clocks, although the source says the same",
    }
}

/// A record that cannot be read.
#[derive(Serialize)]
pub(super) struct FaultRow {
    source: String,
    session: Option<i64>,
    participation: Option<i64>,
    text: String,
}

impl From<(String, Fault)> for FaultRow {
    fn from((source, fault): (String, Fault)) -> Self {
        Self { source, text: fault.to_string(), session: fault.session.map(|s| s.0), participation: fault.participation.map(|p| p.0) }
    }
}

/// What somebody wrote.
#[derive(Serialize)]
pub(super) struct ReplyRow {
    key: String,
    at: Moment,
    /// Masked.
    from: String,
    text: String,
    /// What the service took it for, if for anything.
    taken: Option<&'static str>,
    /// Session and participation of each whose it may be.
    about: Vec<(i64, i64)>,
}

impl ReplyRow {
    pub(super) fn of(said: Written, office: &Office) -> Self {
        Self {
            key: said.key.to_string(),
            at: moment(said.at, &office.zone),
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
            about: said.said.about.iter().map(|place| (place.session.0, place.participation.0)).collect(),
        }
    }
}

/// Somebody who will not be reached.
#[derive(Serialize)]
pub(super) struct Unreached {
    session: i64,
    participation: Option<i64>,
    start: Option<Moment>,
    trouble: Trouble,
}

impl Unreached {
    pub(super) fn of(row: &unreachable::Row, office: &Office) -> Self {
        Self {
            session: row.session_id.0,
            participation: row.participation_id.map(|p| p.0),
            start: row.start.parse::<DateTime<Utc>>().ok().map(|at| moment(at, &office.zone)),
            trouble: Trouble::of(&row.reason, row.detail.as_ref()),
        }
    }
}

/// One attempt.
#[derive(Serialize)]
pub(super) struct Attempt {
    number: u32,
    at: Moment,
    outcome: String,
    transport: String,
    reply: String,
    /// What became of the message: `undelivered: 30005`.
    receipt: Option<String>,
}

impl Attempt {
    pub(super) fn of(delivery: &Delivery, office: &Office) -> Self {
        Self {
            number: delivery.attempt,
            at: moment(delivery.started_at, &office.zone),
            outcome: delivery.outcome.clone().unwrap_or_else(|| "under way".to_owned()),
            transport: delivery.transport.clone().unwrap_or_default(),
            reply: delivery.reply.clone().unwrap_or_default(),
            receipt: delivery
                .receipt
                .map(|fate| delivery.receipt_detail.as_ref().map_or_else(|| fate.to_string(), |d| format!("{fate}: {d}"))),
        }
    }
}

/// One decision of the planner.
#[derive(Serialize)]
pub(super) struct Decided {
    what: String,
    verdict: &'static str,
    due: Option<Moment>,
    why: Option<&'static str>,
    /// The reason's own word: `booked_late`.
    reason: Option<&'static str>,
    detail: Option<String>,
}

impl Decided {
    pub(super) fn of(said: &Said, office: &Office) -> Self {
        let due = said.due_at.as_ref().and_then(|at| at.parse::<DateTime<Utc>>().ok());
        Self {
            what: capital(&said.what),
            verdict: match said.verdict {
                "send" => "Send",
                "done" => "Done",
                _ => "Do not send",
            },
            due: due.map(|at| moment(at, &office.zone)),
            why: said.reason.map(words::reason),
            reason: said.reason.map(Reason::as_str),
            detail: said.detail.clone(),
        }
    }
}

/// One row of the ledger.
#[derive(Serialize)]
pub(super) struct History {
    at: Moment,
    what: String,
    event: String,
    step: String,
    detail: String,
}

impl History {
    /// Of all notices of a person, the newest first.
    pub(super) fn of(notices: &[Told], office: &Office) -> Vec<Self> {
        let mut rows: Vec<(&LedgerRow, &str)> =
            notices.iter().flat_map(|n| n.history.iter().map(move |row| (row, n.what.as_str()))).collect();
        rows.sort_by_key(|(row, _)| std::cmp::Reverse(row.seq));
        let step = |row: &LedgerRow| {
            let states = [row.from_state, row.to_state].into_iter().flatten().map(words::state);
            states.collect::<Vec<_>>().join(" → ")
        };
        let one = |(row, what): (&LedgerRow, &str)| Self {
            at: moment(row.at, &office.zone),
            what: capital(what),
            event: row.event.clone(),
            step: step(row),
            detail: row.detail.clone().unwrap_or_default(),
        };
        rows.into_iter().map(one).collect()
    }
}
