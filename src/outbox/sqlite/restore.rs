//! After a restore: what the store that ran last may have sent is held, and not sent again.
//!
//! In: an opened file, and the mark beside it. Out: whether the file is an older copy, and then the hold of all that was due since.
//! A copy made by `backup` says so itself; any other one is known by the mark: its ledger has not got as far, or went another way.
//!
//! Held are the notices that are due by now, and what is in doubt. Letters to the practice that may have gone are cancelled. What the sources said in between is gone too: the first walks find again
//! what was told already, so [`crate::walk`] holds new invites and corrections of the sources that are named in the table `restored`.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::admit::{SealState, reference_key};
use super::columns::{at, key, ms, opt_at, opt_ms};
use super::history;
use super::notices::{NoticeBefore, find, record};
use super::outgoing;
use super::sealed::KeyChecks;
use super::tx::{Tx, head};
use super::watermark::{self, Watermark};
use crate::entry::{Change, State};
use crate::ledger::{Anchor, Event, Finding, LedgerRow};
use crate::notice::{NoticeKey, Reason};
use crate::outbox::origin::StoreOrigin;
use crate::outbox::words::rfc3339;
use crate::outbox::{ReplaysAfterRestore, Restored, Scheduled};

/// The time of the ledger's last row, by the clock of then.
const LAST_AT: &str = "SELECT at FROM ledger ORDER BY seq DESC LIMIT 1";

/// Whether this is the store that ran last. `new`: it was made, or brought up to the version that has marks, by this start.
pub(super) fn origin(
    connection: &Connection,
    path: &Path,
    (new, standing): (New, SealState),
) -> rusqlite::Result<Result<StoreOrigin, String>> {
    let mark = match watermark::read(path) {
        Ok(mark) => mark,
        Err(why) => return Ok(Err(why)),
    };
    let copied_at = connection.query_row("SELECT copied_at FROM identity", [], |row| opt_at(row, 0))?;
    let last_at = connection.query_row(LAST_AT, [], |row| at(row, 0)).optional()?;
    if let Some(copied_at) = copied_at {
        return Ok(Ok(StoreOrigin::Copy(Some(copied_at))));
    }
    let own = match (mark, new) {
        (None, New::Made | New::Unmarked) => true,
        (None, New::No) => last_at.is_none(),
        (Some(mark), _) => {
            // A sealed store keys its mark: another one is as none.
            let known = standing != SealState::Sealed || mark.is_keyed(&reference_key(connection)?);
            if !known {
                tracing::error!("the mark beside the store was not written with its key: it is taken for none, as after a restore");
            }
            known && mark.is_of(&current(connection)?) && reached(connection, &mark)?
        }
    };
    Ok(Ok(if own { StoreOrigin::Own } else { StoreOrigin::Copy(last_at) }))
}

/// What a start did with the file before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum New {
    /// This start made the file.
    Made,
    /// It brought it up from a version without marks.
    Unmarked,
    /// It is as it was before.
    No,
}

impl New {
    /// By the schema's version before this start.
    pub(super) fn from_version(version: u32) -> Self {
        match version {
            0 => Self::Made,
            1 => Self::Unmarked,
            _ => Self::No,
        }
    }
}

/// The ledger has the row that the mark names, or pruned it, which takes later rows.
fn reached(connection: &Connection, mark: &Watermark) -> rusqlite::Result<bool> {
    let Some(head) = mark.head().filter(|head| head.seq > 0) else { return Ok(true) };
    if history::checkpoint(connection)?.is_some_and(|pruned| pruned.seq >= head.seq) {
        return Ok(true);
    }
    Ok(history::link_of(connection, head.seq)? == Some(head.link))
}

/// What the ledger is held against if no anchor is given: the head in the mark that was read, and what is wrong with the mark. Each start writes one;
/// a copy that `backup` made has none until it runs, and says of itself that it is a copy.
pub(super) fn held_against(
    connection: &Connection,
    read: Result<Option<Watermark>, String>,
) -> rusqlite::Result<(Option<Anchor>, Option<Finding>)> {
    let none = |is| Ok((None, Some(Finding::NoMark { is })));
    let mark = match read {
        Err(_) => return none("damaged"),
        Ok(None) if is_copy(connection)? => return Ok((None, None)),
        Ok(None) => return none("missing"),
        Ok(Some(mark)) => mark,
    };
    if !mark.is_of(&current(connection)?) {
        return none("another store's");
    }
    let forged = is_sealed(connection)? && !mark.is_keyed(&reference_key(connection)?);
    Ok((mark.head(), forged.then_some(Finding::Mark)))
}

fn is_copy(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT copied_at IS NOT NULL FROM identity", [], |row| row.get(0))
}

fn is_sealed(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(KeyChecks::read(connection)?.check.is_some())
}

/// The mark that this store would write now.
pub(super) fn current(connection: &Connection) -> rusqlite::Result<Watermark> {
    Ok(Watermark::new(&reference_key(connection)?, head(connection)?, is_sealed(connection)?))
}

/// Holds what was due, and notes which sources find again what was told. In one transaction, with its row in the ledger.
pub(super) fn hold(
    connection: &Tx<'_>,
    since: Option<DateTime<Utc>>,
    (sources, letters): (&[String], &[Scheduled]),
    now: DateTime<Utc>,
) -> rusqlite::Result<Restored> {
    let last_at = connection.query_row(LAST_AT, [], |row| at(row, 0)).optional()?;
    let was_set_back = Restored::was_set_back(last_at, since, now);
    let sql = "SELECT key FROM notice WHERE state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL
               AND (next_attempt_at <= ?1 OR due_at <= ?1 OR doubt IS NOT NULL OR (?2 AND occasion <> 'reminder'))";
    let keys: Vec<NoticeKey> =
        connection.prepare(sql)?.query_map(params![ms(now), was_set_back], |row| key(row, 0))?.collect::<rusqlite::Result<_>>()?;
    let mut held = 0;
    for key in keys {
        let Some(mut row) = find(connection, key)? else { continue };
        let before = NoticeBefore::of(&row);
        let change = Change::End { key, state: State::Held, reason: Reason::Restored };
        // One in doubt stays so; it is not sent again by itself.
        let changed = if row.entry.state == State::Unknown { row.resolve(None) } else { row.change(&change, now) };
        if changed {
            held += 1;
            record(connection, &row, before, (Event::Restored, None), now)?;
        }
    }
    // What waits there may have been answered since.
    let sql = "UPDATE outgoing SET state = 'cancelled', outcome = 'restored', next_attempt_at = NULL, address = '' WHERE kind = 'answer' AND state = 'waiting'";
    connection.execute(sql, [])?;
    let letters = outgoing::forgo(connection, &Scheduled::after(letters, since, now), now)?;
    let mut note =
        connection.prepare("INSERT INTO restored (source) VALUES (?1) ON CONFLICT (source) DO UPDATE SET first_walk_at = NULL")?;
    for source in sources {
        note.execute([source])?;
    }
    connection.execute("UPDATE identity SET copied_at = NULL", [])?;
    let from = since.map_or_else(|| "its beginning".to_owned(), rfc3339);
    let restored = Restored { since, held, letters };
    let detail = format!("an older copy of the store, complete until {from}: {}", restored.in_words());
    history::append(connection, &LedgerRow::new(now, Event::Restored, &detail))?;
    Ok(restored)
}

/// Of whom the walks of a source still find again what was told.
pub(super) fn replays_after_restore(connection: &Connection, source: &str, now: DateTime<Utc>) -> rusqlite::Result<ReplaysAfterRestore> {
    let sql = "SELECT first_walk_at FROM restored WHERE source = ?1";
    match connection.prepare_cached(sql)?.query_row([source], |row| opt_at(row, 0)).optional()? {
        None => Ok(ReplaysAfterRestore::Nobody),
        Some(Some(first)) if now > first + ReplaysAfterRestore::FOR && !is_undecided(connection, source, now)? => {
            Ok(ReplaysAfterRestore::WhoeverWaited(first))
        }
        Some(_) => Ok(ReplaysAfterRestore::Everybody),
    }
}

/// Something that its walks found waits for an operator, or somebody is missed and does not count as absent yet: what comes of it may have been told.
fn is_undecided(connection: &Connection, source: &str, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM guard WHERE source = ?1 AND standing <> 'rejected')
        OR EXISTS (SELECT 1 FROM participant JOIN session ON session.source = participant.source AND session.id = session_id
            WHERE participant.source = ?1 AND absences > 0 AND NOT cancelled AND session.start_at > ?2)";
    connection.prepare_cached(sql)?.query_row(params![source, ms(now)], |row| row.get(0))
}

/// Somebody is held as ambiguous in a session that is to come, or cannot be read: what is found of them is yet to be found.
fn somebody_waits(connection: &Connection, source: &str, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM session LEFT JOIN participant ON participant.source = session.source AND session_id = session.id
        WHERE session.source = ?1 AND session.start_at > ?2 AND (session.ambiguous <> '[]'
            OR session.presence IN ('unheard', 'unreadable') OR participant.presence IN ('unheard', 'unreadable')))";
    connection.prepare_cached(sql)?.query_row(params![source, ms(now)], |row| row.get(0))
}

/// In a walk's transaction, around its change of what waits for an operator: it was walked. People of one source may wait for those of another, so all
/// sources find again what was told until some time after the last thing is decided.
pub(super) fn walked(
    connection: &Connection,
    (source, now): (&str, DateTime<Utc>),
    change: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE restored SET first_walk_at = ?1 WHERE first_walk_at IS NOT NULL AND EXISTS (SELECT 1 FROM guard WHERE standing <> 'rejected')";
    connection.prepare_cached(sql)?.execute([ms(now)])?;
    change()?;
    let sql = "UPDATE restored SET first_walk_at = ?2 WHERE source = ?1 AND first_walk_at IS NULL";
    if connection.prepare_cached(sql)?.execute(params![source, opt_ms(Some(now))])? > 0 {
        return Ok(());
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM restored WHERE source = ?1 AND first_walk_at < ?2)";
    let is_over = connection.prepare_cached(sql)?.query_row(params![source, ms(now - ReplaysAfterRestore::FOR)], |row| row.get(0))?;
    if is_over && !is_undecided(connection, source, now)? && !somebody_waits(connection, source, now)? {
        connection.prepare_cached("DELETE FROM restored WHERE source = ?1")?.execute([source])?;
    }
    Ok(())
}
