//! Between rows of PostgreSQL and the values of the program: words, times, keys.
//!
//! A word that the program does not know is an error of the read, never a default: a row that cannot be understood is not acted upon.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::error::{Res, refused};
use crate::entry::Phase;
use crate::feedback::reply::rsvp_word;
use crate::ledger::Link;
use crate::notice::NoticeKey;
use crate::session::{ParticipationId, Role, Rsvp, SessionId};

/// Milliseconds since 1970.
pub(super) fn ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

pub(super) fn opt_ms(at: Option<DateTime<Utc>>) -> Option<i64> {
    at.map(ms)
}

/// At most so many rows.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Res<T> {
    Ok(row.try_get(column)?)
}

/// A time from milliseconds.
pub(super) fn time(ms: i64) -> Res<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| refused(format!("{ms} is no time")))
}

pub(super) fn at(row: &Row, column: usize) -> Res<DateTime<Utc>> {
    time(get(row, column)?)
}

pub(super) fn opt_at(row: &Row, column: usize) -> Res<Option<DateTime<Utc>>> {
    get::<Option<i64>>(row, column)?.map(time).transpose()
}

/// One of a type's words.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str) -> Res<T> {
    text.parse().map_err(|e: T::Err| refused(e.to_string()))
}

pub(super) fn word<T: FromStr<Err: Display>>(row: &Row, column: usize) -> Res<T> {
    parsed(get(row, column)?)
}

pub(super) fn opt_word<T: FromStr<Err: Display>>(row: &Row, column: usize) -> Res<Option<T>> {
    get::<Option<&str>>(row, column)?.map(parsed).transpose()
}

/// A count, which is never less than nothing.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, column: usize) -> Res<T> {
    let found: i64 = get(row, column)?;
    T::try_from(found).map_err(|_| refused(format!("{found} is out of range")))
}

pub(super) fn key(row: &Row, column: usize) -> Res<NoticeKey> {
    key_of(get(row, column)?)
}

pub(super) fn key_of(bytes: &[u8]) -> Res<NoticeKey> {
    bytes.try_into().map(NoticeKey).map_err(|_| refused("a notice's key is not of 16 bytes"))
}

/// Keys, as a statement takes many of them.
pub(super) fn keys(keys: &[NoticeKey]) -> Vec<&[u8]> {
    keys.iter().map(|key| &key.0[..]).collect()
}

/// Ids, as a statement takes many of them.
pub(super) fn ids(sessions: &[SessionId]) -> Vec<i64> {
    sessions.iter().map(|id| id.0).collect()
}

pub(super) fn session(row: &Row, column: usize) -> Res<SessionId> {
    get(row, column).map(SessionId)
}

pub(super) fn person(row: &Row, column: usize) -> Res<ParticipationId> {
    get(row, column).map(ParticipationId)
}

/// A list of SessionIds.
pub(super) fn session_ids(row: &Row, column: usize) -> Res<Vec<SessionId>> {
    json(get(row, column)?)
}

/// What stands in JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Res<T> {
    serde_json::from_str(text).map_err(|e| refused(format!("a value of the store is no JSON of its kind: line {}", e.line())))
}

/// The word of a role.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Participant => "participant",
    }
}

pub(super) fn opt_role(row: &Row, column: usize) -> Res<Option<Role>> {
    match get::<Option<&str>>(row, column)? {
        None => Ok(None),
        Some("host") => Ok(Some(Role::Host)),
        Some("participant") => Ok(Some(Role::Participant)),
        Some(other) => Err(refused(format!("{other:?} is no role"))),
    }
}

/// The word of a phase.
pub(super) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pre => "pre",
        Phase::Doubt => "doubt",
    }
}

pub(super) fn opt_phase(row: &Row, column: usize) -> Res<Option<Phase>> {
    match get::<Option<&str>>(row, column)? {
        None => Ok(None),
        Some("pre") => Ok(Some(Phase::Pre)),
        Some("doubt") => Ok(Some(Phase::Doubt)),
        Some(other) => Err(refused(format!("{other:?} is no phase"))),
    }
}

/// An RSVP; `None`: there is none.
pub(super) fn opt_rsvp(row: &Row, column: usize) -> Res<Option<Rsvp>> {
    let Some(text) = get::<Option<&str>>(row, column)? else { return Ok(None) };
    let all = [Rsvp::Unknown, Rsvp::Confirmed, Rsvp::Declined];
    all.into_iter().find(|r| rsvp_word(*r) == text).map(Some).ok_or_else(|| refused(format!("{text:?} is no RSVP")))
}

/// A missing value where there must be one.
pub(super) fn required<T>(value: Option<T>, what: &str) -> Res<T> {
    value.ok_or_else(|| refused(format!("there must be {what}")))
}

/// The link of a row of the ledger.
pub(super) fn link(row: &Row, column: usize) -> Res<Link> {
    let bytes: &[u8] = get(row, column)?;
    bytes.try_into().map(Link).map_err(|_| refused("a link of the ledger is not of 32 bytes"))
}
