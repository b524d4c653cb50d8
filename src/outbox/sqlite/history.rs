//! The ledger: what happened to each notice, and what operators did. Rows are only ever added; triggers refuse the rest.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::columns::{at, misread, ms, opt_word};
use crate::notice::NoticeKey;
use crate::outbox::LedgerRow;
use crate::session::{ParticipationId, SessionId};

/// Adds a row, in the transaction of what it tells.
pub(super) fn append(connection: &Connection, row: &LedgerRow) -> rusqlite::Result<()> {
    let key = row.key.as_deref().map(str::parse::<NoticeKey>).transpose().map_err(|e| misread(0, Type::Blob, e))?;
    let sql = "INSERT INTO ledger (at, notice_key, session_id, participation_id, event, from_state, to_state, reason, detail)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(params![
        ms(row.at),
        key.map(|k| k.0),
        row.session_id.map(|s| s.0),
        row.participation_id.map(|p| p.0),
        row.event,
        row.from_state.map(crate::outbox::State::as_str),
        row.to_state.map(crate::outbox::State::as_str),
        row.reason.map(crate::notice::Reason::as_str),
        row.detail,
    ])?;
    Ok(())
}

/// An operator's deed that is about no notice.
pub(super) fn note(connection: &Connection, at: DateTime<Utc>, event: &str, detail: &str) -> rusqlite::Result<()> {
    append(connection, &LedgerRow::note(at, event, detail))
}

/// Rows after `after`, oldest first.
pub(super) fn rows(connection: &Connection, session: Option<SessionId>, after: i64, limit: usize) -> rusqlite::Result<Vec<LedgerRow>> {
    let of_session = if session.is_some() { "session_id = ?3 AND" } else { "?3 IS NULL AND" };
    let sql = format!(
        "SELECT seq, at, notice_key, session_id, participation_id, event, from_state, to_state, reason, detail
         FROM ledger WHERE {of_session} seq > ?1 ORDER BY seq LIMIT ?2"
    );
    let values = params![after, i64::try_from(limit).unwrap_or(i64::MAX), session.map(|s| s.0)];
    connection.prepare_cached(&sql)?.query_map(values, row)?.collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<LedgerRow> {
    Ok(LedgerRow {
        seq: row.get(0)?,
        at: at(row, 1)?,
        key: row.get::<_, Option<[u8; 16]>>(2)?.map(|k| NoticeKey(k).to_string()),
        session_id: row.get::<_, Option<i64>>(3)?.map(SessionId),
        participation_id: row.get::<_, Option<i64>>(4)?.map(ParticipationId),
        event: row.get(5)?,
        from_state: opt_word(row, 6)?,
        to_state: opt_word(row, 7)?,
        reason: opt_word(row, 8)?,
        detail: row.get(9)?,
    })
}
