//! Letters to the practice.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{at, misread, ms};
use super::history;
use super::tx::Tx;
use crate::outbox::{LetterState, StaffLetter};

const COLUMNS: &str = "SELECT scheduled_at, recipient, state, attempts, changed_at FROM staff_letter WHERE scheduled_at = ?1";

/// Those of a scheduled time, by recipient.
pub(super) fn list(connection: &Connection, scheduled_at: DateTime<Utc>) -> rusqlite::Result<Vec<StaffLetter>> {
    connection.prepare_cached(&format!("{COLUMNS} ORDER BY recipient"))?.query_map([ms(scheduled_at)], row)?.collect()
}

/// Writes one down, and in the ledger. `false`: it may not get there, and stays as it is.
pub(super) fn put(connection: &Tx<'_>, letter: &StaffLetter) -> rusqlite::Result<bool> {
    let key = params![ms(letter.scheduled_at), letter.recipient];
    let before = connection.prepare_cached(&format!("{COLUMNS} AND recipient = ?2"))?.query_row(key, row).optional()?;
    if !letter.state.may_follow(before.map(|b| b.state)) {
        return Ok(false);
    }
    let sql = "INSERT INTO staff_letter (scheduled_at, recipient, state, attempts, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET state = excluded.state, attempts = excluded.attempts, changed_at = excluded.changed_at";
    let values = params![ms(letter.scheduled_at), letter.recipient, letter.state.as_str(), letter.attempts, ms(letter.changed_at)];
    connection.prepare_cached(sql)?.execute(values)?;
    history::note(connection, letter.changed_at, "staff_letter", &letter.in_words())?;
    Ok(true)
}

fn row(row: &Row<'_>) -> rusqlite::Result<StaffLetter> {
    let word = row.get_ref(2)?.as_str()?;
    let state = LetterState::ALL.into_iter().find(|s| s.as_str() == word);
    Ok(StaffLetter {
        scheduled_at: at(row, 0)?,
        recipient: row.get(1)?,
        state: state.ok_or_else(|| misread(2, Type::Text, format!("{word:?} is no state of a letter")))?,
        attempts: row.get(3)?,
        changed_at: at(row, 4)?,
    })
}
