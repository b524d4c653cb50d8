//! Between rows of SQLite and the values of the program: words, times, keys.
//!
//! A word that the program does not know is an error of the read, never a default: a row that cannot be understood is not acted upon.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, Row};

use crate::entry::Phase;
use crate::ledger::Link;
use crate::notice::NoticeKey;
use crate::session::{Role, SessionId};

/// Milliseconds since 1970.
pub(super) fn ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

pub(super) fn opt_ms(at: Option<DateTime<Utc>>) -> Option<i64> {
    at.map(ms)
}

/// A time from milliseconds.
pub(super) fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<DateTime<Utc>> {
    let ms: i64 = row.get(column)?;
    DateTime::from_timestamp_millis(ms).ok_or_else(|| misread(column, Type::Integer, format!("{ms} is no time")))
}

pub(super) fn opt_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<DateTime<Utc>>> {
    if row.get_ref(column)?.data_type() == Type::Null { Ok(None) } else { at(row, column).map(Some) }
}

/// One of a type's words.
pub(super) fn word<T: FromStr<Err: fmt::Display>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|e: T::Err| misread(column, Type::Text, e.to_string()))
}

pub(super) fn opt_word<T: FromStr<Err: fmt::Display>>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    if row.get_ref(column)?.data_type() == Type::Null { Ok(None) } else { word(row, column).map(Some) }
}

pub(super) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<NoticeKey> {
    row.get(column).map(NoticeKey)
}

/// Of the sessions that a statement's second value lists: see [`json_ids`].
pub(super) const OF_THESE: &str = "session_id IN (SELECT value FROM json_each(?2))";

/// Ids, as a statement takes many of them.
pub(super) fn json_ids(sessions: &[SessionId]) -> String {
    let ids: Vec<String> = sessions.iter().map(SessionId::to_string).collect();
    format!("[{}]", ids.join(","))
}

/// The word of a role.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Participant => "participant",
    }
}

pub(super) fn opt_role(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Role>> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(None),
        Some("host") => Ok(Some(Role::Host)),
        Some("participant") => Ok(Some(Role::Participant)),
        Some(other) => Err(misread(column, Type::Text, format!("{other:?} is no role"))),
    }
}

/// The word of a phase.
pub(super) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pre => "pre",
        Phase::Doubt => "doubt",
    }
}

pub(super) fn opt_phase(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Phase>> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(None),
        Some("pre") => Ok(Some(Phase::Pre)),
        Some("doubt") => Ok(Some(Phase::Doubt)),
        Some(other) => Err(misread(column, Type::Text, format!("{other:?} is no phase"))),
    }
}

/// The clock that leases are measured by.
pub(super) fn store_now(connection: &Connection) -> rusqlite::Result<DateTime<Utc>> {
    connection.prepare_cached("SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER)")?.query_row([], |row| at(row, 0))
}

/// A value that does not belong there.
pub(super) fn misread(column: usize, kind: Type, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::<dyn Error + Send + Sync>::from(why))
}

/// A missing role or phase where there must be one.
pub(super) fn required<T>(value: Option<T>, column: usize) -> rusqlite::Result<T> {
    value.ok_or_else(|| misread(column, Type::Null, "there must be a value".to_owned()))
}

/// The link of a row of the ledger.
pub(super) fn link(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Link>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(Link))
}
