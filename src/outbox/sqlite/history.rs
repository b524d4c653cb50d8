//! The ledger: what happened to each notice, and what operators did. Rows are only ever added, each linked to the one before it;
//! triggers refuse the rest.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{OF_THESE, at, json_ids, link, misread, ms, opt_word};
use super::sealed::refused;
use super::tx::{Tx, head, parts};
use crate::entry::State;
use crate::ledger::{Anchor, ChainReader, Event, LedgerRow, Link, Verified};
use crate::notice::NoticeKey;
use crate::session::{ParticipationId, SessionId};

/// Adds a row, in the transaction of what it tells.
pub(super) fn append(tx: &Tx<'_>, row: &LedgerRow) -> rusqlite::Result<()> {
    let key = row.key.as_deref().map(str::parse::<NoticeKey>).transpose().map_err(|e| misread(0, Type::Blob, e))?;
    add(tx, key, row.clone())
}

fn add(tx: &Tx<'_>, key: Option<NoticeKey>, mut row: LedgerRow) -> rusqlite::Result<()> {
    let last = tx.head()?;
    row.seq = last.seq + 1;
    // As it will be read: times are kept to the millisecond.
    row.at = DateTime::from_timestamp_millis(ms(row.at)).unwrap_or(row.at);
    let head = Anchor { seq: row.seq, link: tx.link(last.link, &row)? };
    let added = tx.adding()?.execute(params![
        head.seq,
        head.link.0,
        ms(row.at),
        key.map(|k| k.0),
        row.session_id.map(|s| s.0),
        row.participation_id.map(|p| p.0),
        row.event.as_str(),
        row.from_state.map(State::as_str),
        row.to_state.map(State::as_str),
        row.reason.map(crate::notice::Reason::as_str),
        row.detail,
    ])?;
    if added != 1 {
        return Err(refused("the ledger did not take a row: somebody changed the file".to_owned()));
    }
    tx.advance(head);
    Ok(())
}

/// The link of a row; `None`: there is no such row, or it has none.
pub(super) fn link_of(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Link>> {
    let found = connection.prepare_cached("SELECT chain FROM ledger WHERE seq = ?1")?.query_row([seq], |row| link(row, 0)).optional()?;
    Ok(found.flatten())
}

/// The last row that a purge took, or is about to take.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<Option<Anchor>> {
    let sql = "SELECT detail FROM ledger WHERE event = 'checkpoint' ORDER BY seq DESC LIMIT 1";
    connection.prepare_cached(sql)?.query_row([], |row| super::columns::word(row, 0)).optional()
}

/// Notes up to where the ledger goes: all before the first row that is not older than that. `false`: nothing does.
pub(super) fn close_until(connection: &Tx<'_>, before: DateTime<Utc>, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let first_kept = connection.prepare_cached(FIRST_KEPT)?.query_row([ms(before)], |row| row.get(0)).optional()?;
    let sql = "SELECT seq, chain FROM ledger WHERE seq < ?1 ORDER BY seq DESC LIMIT 1";
    let last = |row: &Row<'_>| Ok(Anchor { seq: row.get(0)?, link: link(row, 1)?.unwrap_or_default() });
    let last = connection.prepare_cached(sql)?.query_row([first_kept.unwrap_or(i64::MAX)], last).optional()?;
    let reached = checkpoint(connection)?.map_or(0, |anchor| anchor.seq);
    let Some(last) = last.filter(|anchor| anchor.seq > reached) else { return Ok(false) };
    note(connection, now, Event::Checkpoint, &last.to_string())?;
    Ok(true)
}

/// The plus keeps SQLite to the order of the rows: what goes stands at the beginning.
pub(super) const FIRST_KEPT: &str = "SELECT seq FROM ledger WHERE +at >= ?1 ORDER BY seq LIMIT 1";

/// Walks all of it.
pub(super) fn verify(connection: &Connection, anchor: Option<Anchor>) -> rusqlite::Result<Verified> {
    let mut walker = ChainReader::new(checkpoint(connection)?, anchor).keyed(parts(connection)?);
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM ledger ORDER BY seq"))?;
    for row in statement.query_map([], row)? {
        walker.step(&row?);
    }
    Ok(walker.end(head(connection)?.seq))
}

/// Links the rows of a store whose schema had no links.
pub(super) fn link_all(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM ledger ORDER BY seq"))?;
    let mut update = connection.prepare("UPDATE ledger SET chain = ?2 WHERE seq = ?1")?;
    let rows: Vec<LedgerRow> = statement.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
    let mut last = Link::START;
    for row in &rows {
        last = last.next(row);
        update.execute(params![row.seq, last.0])?;
    }
    // What an earlier version purged left no checkpoint: the chain begins with the first row that is left.
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) if first.seq > 1 => {
            let purged = Anchor { seq: first.seq - 1, link: Link::START };
            note(&Tx::new(connection), last.at, Event::Checkpoint, &purged.to_string())
        }
        _ => Ok(()),
    }
}

/// Which notice takes a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepOf {
    pub(super) key: NoticeKey,
    pub(super) session: i64,
    pub(super) participation: i64,
}

/// What a step was.
pub(super) struct Stepped<'a> {
    pub(super) event: Event,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) at: DateTime<Utc>,
    pub(super) detail: Option<&'a str>,
}

/// Adds the row of a step that has no reason, as all steps of an attempt are: with what is at hand, in the transaction of what it tells.
pub(super) fn step(tx: &Tx<'_>, step: &StepOf, Stepped { event, from, to, at, detail }: Stepped<'_>) -> rusqlite::Result<()> {
    let row = LedgerRow {
        key: Some(step.key.to_string()),
        session_id: Some(SessionId(step.session)),
        participation_id: Some(ParticipationId(step.participation)),
        from_state: Some(from),
        to_state: Some(to),
        detail: detail.map(str::to_owned),
        ..LedgerRow::new(at, event, "")
    };
    add(tx, Some(step.key), row)
}

/// An operator's deed that is about no notice.
pub(super) fn note(tx: &Tx<'_>, at: DateTime<Utc>, event: Event, detail: &str) -> rusqlite::Result<()> {
    add(tx, None, LedgerRow::new(at, event, detail))
}

/// Rows after `after`, oldest first.
pub(super) fn rows(connection: &Connection, session: Option<SessionId>, after: i64, limit: usize) -> rusqlite::Result<Vec<LedgerRow>> {
    let of_session = if session.is_some() { "session_id = ?3 AND" } else { "?3 IS NULL AND" };
    let sql = format!("SELECT {COLUMNS} FROM ledger WHERE {of_session} seq > ?1 ORDER BY seq LIMIT ?2");
    let values = params![after, i64::try_from(limit).unwrap_or(i64::MAX), session.map(|s| s.0)];
    connection.prepare_cached(&sql)?.query_map(values, row)?.collect()
}

/// Rows of that event about these sessions, oldest first.
pub(super) fn of(connection: &Connection, event: &Event, sessions: &[SessionId]) -> rusqlite::Result<Vec<LedgerRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ledger INDEXED BY ledger_session WHERE {OF_THESE} AND event = ?1 ORDER BY seq");
    connection.prepare_cached(&sql)?.query_map(params![event.as_str(), json_ids(sessions)], row)?.collect()
}

/// In the order in which [`row`] reads them.
const COLUMNS: &str = "seq, at, notice_key, session_id, participation_id, event, from_state, to_state, reason, detail, chain";

fn row(row: &Row<'_>) -> rusqlite::Result<LedgerRow> {
    Ok(LedgerRow {
        seq: row.get(0)?,
        chain_id: None,
        place: row.get(0)?,
        at: at(row, 1)?,
        key: row.get::<_, Option<[u8; 16]>>(2)?.map(|k| NoticeKey(k).to_string()),
        session_id: row.get::<_, Option<i64>>(3)?.map(SessionId),
        participation_id: row.get::<_, Option<i64>>(4)?.map(ParticipationId),
        event: Event::from(row.get_ref(5)?.as_str()?),
        from_state: opt_word(row, 6)?,
        to_state: opt_word(row, 7)?,
        reason: opt_word(row, 8)?,
        detail: row.get(9)?,
        chain: link(row, 10)?,
    })
}
