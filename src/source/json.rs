//! Session JSON, versions V0 to V2, to a [`Snapshot`].
//!
//! In: a body, an array of sessions or one session. Out: what could be read, and a [`Fault`] for each record that could not, with the path
//! of the field. A body that is no JSON is refused whole. No record is parsed deeper than its own fields, so that no nesting overflows the
//! stack, and unknown fields cost nothing.
//!
//! A fault says what kind of value was found and what was expected; it repeats no value.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::record::{RawField, Record};
use super::words::{self, Meaning};
use crate::contact::{ConnectCode, Passkey, PersonName};
use crate::session::{
    AutoDeliver, Fault, Participant, ParticipationId, Presence, RawContact, Role, Rsvp, Session, SessionId, Snapshot, SourceRecord, Unread,
};

/// The largest body that is read, in bytes: 100,000 sessions of the usual size fit.
pub const BODY_MAX: usize = 32 << 20;
/// More sessions than any practice has: something else is wrong.
const SESSIONS_MAX: usize = 1_000_000;
/// More participants than a video session takes.
const PARTICIPANTS_MAX: usize = 500;
/// A calendar entry of more than a day is a mistake.
const DURATION_MAX: i64 = 24 * 60;

/// A body that is not Session JSON at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSessionJson {
    /// Line and column, from 1, where that is known.
    pub place: Option<(usize, usize)>,
    /// What was found and what was expected.
    pub why: String,
}

impl fmt::Display for NotSessionJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl std::error::Error for NotSessionJson {}

/// What a body should have been.
const EXPECTED: &str = "expected an array of sessions, or one session";

/// Reads one session's record, which the store kept, and takes it for what it was taken for. `None`: it is none.
pub fn stored_record(record: &SourceRecord) -> Option<Session> {
    let mut session = session(serde_json::from_str(&record.text).ok()?, "").ok()?;
    if let Some(taken_for) = record.taken_for {
        (session.cancelled, session.standing) = taken_for.stands();
        session.record.taken_for = Some(taken_for);
    }
    Some(session)
}

/// Reads one participant's record, which the store kept. `None`: it is none.
pub(super) fn kept_person(record: &str) -> Option<Participant> {
    participant(serde_json::from_str(record).ok()?, "", 1).ok()
}

/// That participant's own record within a session's. `None`: there is none that can be read.
pub(crate) fn record_of(record: &SourceRecord, id: ParticipationId) -> Option<String> {
    let fields = Record::read(serde_json::from_str(&record.text).ok()?, "").ok()?;
    let people = fields.list("Participants").ok()?;
    let is_theirs = |person: &&&RawValue| Record::read(person, "").ok().and_then(|p| p.id("ParticipationId").ok()) == Some(id.0);
    people.iter().find(is_theirs).map(|person| person.get().to_owned())
}

/// What a record's ScheduleType is, as the source wrote it.
pub(super) fn schedule_type(record: &str) -> String {
    let raw: Result<&RawValue, _> = serde_json::from_str(record);
    let said = raw.ok().and_then(|raw| Record::read(raw, "").and_then(|fields| word(&fields, "ScheduleType")).ok().flatten());
    said.unwrap_or_default()
}

/// A record that could not be read says all the same that it is cancelled.
pub(crate) fn says_cancelled(record: &str) -> bool {
    words::schedule_type(&schedule_type(record)) == Some(Meaning::Cancelled)
}

/// A record without white space between its tokens: the same record in another layout is the same.
pub(crate) fn without_layout(json: &str) -> Cow<'_, str> {
    let (mut in_string, mut escaped, mut from) = (false, false, 0);
    let mut out = String::new();
    for (at, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            out.push_str(&json[from..at]);
            from = at + 1;
        } else {
            in_string = byte == b'"';
        }
    }
    if from == 0 { Cow::Borrowed(json) } else { Cow::Owned(out + &json[from..]) }
}

pub fn parse(bytes: &[u8]) -> Result<Snapshot, NotSessionJson> {
    let text = text_of(bytes)?;
    match text.trim_start().bytes().next() {
        Some(b'[') => array(text),
        Some(b'{') => object(text),
        Some(b'<') => Err(refuse(format!("found a page of HTML or XML; {EXPECTED}"))),
        Some(_) => Err(refuse(format!("found neither [ nor {{ at the beginning; {EXPECTED}"))),
        None => Err(refuse(format!("is empty; {EXPECTED}"))),
    }
}

fn refuse(why: String) -> NotSessionJson {
    NotSessionJson { place: None, why }
}

/// UTF-8, with or without a byte order mark.
fn text_of(bytes: &[u8]) -> Result<&str, NotSessionJson> {
    if bytes.len() > BODY_MAX {
        return Err(refuse(format!("has {} bytes; expected at most {BODY_MAX} (32 MiB)", bytes.len())));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(refuse("is UTF-16; expected UTF-8".to_owned()));
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        NotSessionJson { place: Some((line, column)), why: format!("is not UTF-8: byte {} cannot stand there", e.valid_up_to()) }
    })
}

fn syntax(e: &serde_json::Error) -> NotSessionJson {
    let said = e.to_string();
    let why = said.split(" at line ").next().unwrap_or_default();
    let why = if e.is_eof() {
        format!("the JSON ends too early ({why}): was the file still being written?")
    } else {
        format!("is not JSON: {why}")
    };
    NotSessionJson { place: Some((e.line(), e.column())), why }
}

fn array(text: &str) -> Result<Snapshot, NotSessionJson> {
    let records: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| syntax(&e))?;
    if records.len() > SESSIONS_MAX {
        return Err(refuse(format!("has {} sessions; expected at most {SESSIONS_MAX}", records.len())));
    }
    let mut snapshot = Snapshot { sessions: Vec::with_capacity(records.len()), ..Snapshot::default() };
    for (n, record) in records.into_iter().enumerate() {
        match session(record, &format!("[{n}]")) {
            Ok(session) => snapshot.sessions.push(session),
            Err(fault) => {
                snapshot.keep_unread(fault.session, record.get());
                snapshot.fault(fault);
            }
        }
    }
    Ok(snapshot)
}

fn object(text: &str) -> Result<Snapshot, NotSessionJson> {
    let record: &RawValue = serde_json::from_str(text).map_err(|e| syntax(&e))?;
    let fields = Record::read(record, "").map_err(|fault| refuse(fault.reason))?;
    if !["SessionId", "ScheduleTs", "Participants"].iter().any(|key| fields.has(key)) {
        let said = if fields.has("Message") { "the source answers with an error message" } else { "found an object that is no session" };
        return Err(refuse(format!("{said}; {EXPECTED}")));
    }
    let mut snapshot = Snapshot::default();
    match session(record, "") {
        Ok(session) => snapshot.sessions.push(session),
        Err(fault) => {
            snapshot.keep_unread(fault.session, record.get());
            snapshot.faults.push(fault);
        }
    }
    Ok(snapshot)
}

/// Reads one session; the fault is one of the session itself.
fn session(raw: &RawValue, path: &str) -> Result<Session, Fault> {
    let record = Record::read(raw, path)?;
    let id = SessionId(record.id("SessionId")?);
    let of_session = |fault: Fault| Fault { session: Some(id), ..fault };
    let start = record.required("ScheduleTs", "a time such as 2014-04-16T15:00:00", time).map_err(of_session)?;
    let meaning = word(&record, "ScheduleType").map_err(of_session)?.map_or(Some(Meaning::Live), |word| words::schedule_type(&word));
    let people = record.list("Participants").map_err(of_session)?;
    if people.len() > PARTICIPANTS_MAX {
        return Err(of_session(
            record.fault("Participants", &format!("has {} participants; expected at most {PARTICIPANTS_MAX}", people.len())),
        ));
    }
    let (cancelled, standing) = words::stands(meaning);
    let mut session = Session {
        id,
        start,
        cancelled,
        standing,
        presence: Presence::Listed,
        // Nobody is shown it: one that is no code at all has nothing to be kept from.
        code: record.optional("ConnectCode", "", code).unwrap_or_default(),
        duration: record.optional("DurationPlannedMinutes", "", duration).unwrap_or_default(),
        topic: record.text("Topic").ok().flatten().unwrap_or_default(),
        participants: Vec::with_capacity(people.len()),
        faults: Vec::new(),
        unread: Vec::new(),
        twice: String::new(),
        held_until: None,
        record: raw.get().into(),
    };
    for (n, person) in people.into_iter().enumerate() {
        match participant(person, &record.path_of(&format!("Participants[{n}]")), n) {
            Ok(read) => {
                session.faults.extend(read.rsvp_unknown.then(|| of_session(unknown_rsvp(person, &read))));
                session.participants.push(read);
            }
            Err(fault) => {
                session.unread.extend(unread(person, fault.participation));
                session.faults.push(of_session(fault));
            }
        }
    }
    Ok(session)
}

/// What a record at fault holds all the same: nobody else may be told it. `None`: nothing of it can be read.
fn unread(person: &RawValue, id: Option<ParticipationId>) -> Option<Unread> {
    let record = Record::read(person, "").ok()?;
    let text = |key: &str| record.optional(key, "", digits_or_text).ok().flatten();
    let contact = |key: &str| RawContact(text(key).unwrap_or_default());
    let unread = Unread {
        id,
        code: record.optional("ConnectCode", "", any_code).ok().flatten(),
        passkey: text("Passkey").and_then(|raw| Passkey::parse(raw.trim()).ok().flatten()),
        email: contact("ParticipantEmailAddress"),
        sms_number: contact("ParticipantSmsNumber"),
        name: text("ParticipantFullName").map(|raw| PersonName::clean(&raw)),
    };
    (unread != Unread { id, ..Unread::default() }).then_some(unread)
}

/// A word, whatever its kind is: a number or a flag is a word that nobody knows.
fn word(record: &Record<'_>, key: &str) -> Result<Option<String>, Fault> {
    record.optional(key, "a word", |found| Some(found.as_text().map_or_else(|| found.kind().to_owned(), std::borrow::Cow::into_owned)))
}

fn unknown_rsvp(raw: &RawValue, person: &Participant) -> Fault {
    let said = Record::read(raw, "").and_then(|record| word(&record, "RSVP")).ok().flatten().unwrap_or_default();
    let found = words::shown(&said).map_or_else(|| "another text".to_owned(), |word| format!("{word:?}"));
    let reason = format!("found {found}; expected Confirmed, Declined or Unknown: reminders are held");
    Fault { path: format!("{}.RSVP", person.path), reason, session: None, participation: Some(person.id) }
}

fn participant(raw: &RawValue, path: &str, position: usize) -> Result<Participant, Fault> {
    let record = Record::read(raw, path)?;
    let id = ParticipationId(record.id("ParticipationId")?);
    read_participant(&record, id, position).map_err(|fault| Fault { participation: Some(id), ..fault })
}

fn read_participant(record: &Record<'_>, id: ParticipationId, position: usize) -> Result<Participant, Fault> {
    let text = |key: &str| record.text(key).map(Option::unwrap_or_default);
    let rsvp = word(record, "RSVP")?.map_or(Some(Rsvp::Unknown), |word| words::rsvp(&word));
    let role = if position == 0 { Role::Host } else { Role::Participant };
    Ok(Participant {
        id,
        role,
        has_account: role == Role::Participant && record.optional("SecureVideoUserId", "an id", user_id)?.unwrap_or_default(),
        path: record.path().to_owned(),
        auto_deliver: record.required("ShouldAutoDeliverCode", "\"E\", \"S\" or \"N\"", auto_deliver)?,
        name: PersonName::clean(&text("ParticipantFullName")?),
        email: RawContact(text("ParticipantEmailAddress")?),
        sms_number: RawContact(text("ParticipantSmsNumber")?),
        time_zone: text("ParticipantTimeZoneWindowsId")?,
        locale: record.text("ParticipantLocale")?.filter(|l| !l.trim().is_empty()),
        external_id: record.optional("ParticipantExternalId", "a string", digits_or_text)?.unwrap_or_default(),
        code: record.optional("ConnectCode", "a code of nine digits", code)?,
        passkey: set(record, "Passkey", "letters, digits and hyphens, 64 at most", passkey)?,
        connected_at: set(record, "ConnectionTs", "a time such as 2014-04-16T15:00:00", time)?,
        expires_at: set(record, "ExpiresTs", "a time such as 2014-04-16T15:00:00", time)?,
        rsvp: rsvp.unwrap_or_default(),
        rsvp_unknown: rsvp.is_none(),
        deposit: set(record, "DepositRequired", "an amount of 0 or more", amount)?,
        ambiguous: None,
        presence: Presence::Listed,
    })
}

fn auto_deliver(found: &RawField<'_>) -> Option<AutoDeliver> {
    match found.as_text()?.as_ref() {
        "E" => Some(AutoDeliver::Email),
        "S" => Some(AutoDeliver::Sms),
        "N" => Some(AutoDeliver::Nobody),
        _ => None,
    }
}

fn code(found: &RawField<'_>) -> Option<ConnectCode> {
    ConnectCode::parse(found.as_digits()?.as_ref())
}

/// A code however it is written: of a record at fault, whose fault that may be.
fn any_code(found: &RawField<'_>) -> Option<ConnectCode> {
    let digits = |text: std::borrow::Cow<'_, str>| text.chars().filter(char::is_ascii_digit).collect::<String>();
    code(found).or_else(|| ConnectCode::parse(&digits(found.as_text()?)))
}

fn passkey(found: &RawField<'_>) -> Option<Passkey> {
    Passkey::parse(found.as_text()?.trim()).ok().flatten()
}

/// A field that need not be set: unset it is missing, null, an empty text, or the first moment of the calendar (as .NET writes a time that is none).
fn set<'r, T>(record: &Record<'r>, key: &str, expected: &str, read: impl Fn(&RawField<'r>) -> Option<T>) -> Result<Option<T>, Fault> {
    let text = record.text(key).ok().flatten();
    if text.is_some_and(|text| text.trim().is_empty() || text.trim().starts_with("0001-01-01T00:00:00")) {
        return Ok(None);
    }
    record.optional(key, expected, read)
}

/// Whether it is one: 0 and an empty text are none.
fn user_id(found: &RawField<'_>) -> Option<bool> {
    let text = found.as_digits().or_else(|| found.as_text())?;
    Some(!text.trim().trim_start_matches('0').is_empty())
}

fn digits_or_text(found: &RawField<'_>) -> Option<String> {
    found.as_digits().or_else(|| found.as_text()).map(std::borrow::Cow::into_owned)
}

fn amount(found: &RawField<'_>) -> Option<Decimal> {
    let written = found.as_number().or_else(|| found.as_text())?;
    Decimal::from_str_exact(written.trim()).ok().filter(|d| !d.is_sign_negative())
}

fn duration(found: &RawField<'_>) -> Option<TimeDelta> {
    let minutes: i64 = found.as_digits()?.parse().ok()?;
    (1..=DURATION_MAX).contains(&minutes).then(|| TimeDelta::minutes(minutes))
}

/// RFC 3339, where a missing offset means UTC. Fractions of a second are dropped; there is no second 60.
fn time(found: &RawField<'_>) -> Option<DateTime<Utc>> {
    // The days at which exporters' calendars begin and end stand for none.
    instant(&found.as_text()?).filter(|at| at.year() < 9999 && at.date_naive() != DateTime::UNIX_EPOCH.date_naive())
}

/// The same, of a text.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|t| t.and_utc());
    let at = naive.or_else(|_| DateTime::parse_from_rfc3339(text).map(|t| t.with_timezone(&Utc))).ok()?;
    let leap_second = at.nanosecond() >= 1_000_000_000;
    (!leap_second && (1970..=9999).contains(&at.year())).then(|| at.with_nanosecond(0)).flatten()
}

#[cfg(test)]
mod tests;
