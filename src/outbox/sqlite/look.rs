//! Rows of the table `look`.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{at, ms, opt_at, opt_ms};
use crate::outbox::{ReadFile, SourceLook, UnreadSource};

/// One more is wanted. How many are by now.
pub(super) fn want(connection: &Connection, source: &str) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO look (source, wanted) VALUES (?1, 1) ON CONFLICT (source) DO UPDATE SET wanted = wanted + 1 RETURNING wanted";
    connection.prepare_cached(sql)?.query_row([source], |row| row.get(0))
}

/// It has had so many.
pub(super) fn had(connection: &Connection, source: &str, wanted: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE look SET had = max(had, min(?2, wanted)) WHERE source = ?1";
    connection.prepare_cached(sql)?.execute(params![source, wanted]).map(drop)
}

/// It is left alone until then.
pub(super) fn leave_alone(connection: &Connection, source: &str, until: Option<DateTime<Utc>>, refusals: u32) -> rusqlite::Result<()> {
    let sql = "INSERT INTO look (source, quiet_until, refusals) VALUES (?1, ?2, ?3)
               ON CONFLICT (source) DO UPDATE SET quiet_until = excluded.quiet_until, refusals = excluded.refusals";
    connection.prepare_cached(sql)?.execute(params![source, opt_ms(until), refusals]).map(drop)
}

/// A node read that.
pub(super) fn was_read(connection: &Connection, source: &str, file: &ReadFile) -> rusqlite::Result<()> {
    let sql = "INSERT INTO look (source, read_by, written, said) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (source) DO UPDATE SET read_by = excluded.read_by, written = excluded.written, said = excluded.said";
    connection.prepare_cached(sql)?.execute(params![source, file.by, ms(file.written), file.said]).map(drop)
}

/// What a node read last.
pub(super) fn last_read(connection: &Connection, source: &str) -> rusqlite::Result<Option<ReadFile>> {
    let sql = "SELECT read_by, written, said FROM look WHERE source = ?1 AND read_by IS NOT NULL";
    let one = |row: &Row<'_>| Ok(ReadFile { by: row.get(0)?, written: at(row, 1)?, said: row.get(2)? });
    connection.prepare_cached(sql)?.query_row([source], one).optional()
}

/// It could not be read, or can be again.
pub(super) fn not_read(connection: &Connection, source: &str, unread: Option<&UnreadSource>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO look (source, unread_at, unread_why, unread_stays) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (source) DO UPDATE
               SET unread_at = excluded.unread_at, unread_why = excluded.unread_why, unread_stays = excluded.unread_stays";
    let (since, why, stays) = (unread.map(|u| ms(u.since)), unread.map(|u| &u.why), unread.is_some_and(|u| u.stays));
    connection.prepare_cached(sql)?.execute(params![source, since, why, stays]).map(drop)
}

/// All of them.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<SourceLook>> {
    let one = |row: &Row<'_>| {
        let (source, wanted, had) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let stays = row.get(7)?;
        let unread = opt_at(row, 5)?.zip(row.get(6)?).map(|(since, why)| UnreadSource { since, why, stays });
        Ok(SourceLook { source, wanted, had, quiet_until: opt_at(row, 3)?, refusals: row.get(4)?, unread })
    };
    let sql = "SELECT source, wanted, had, quiet_until, refusals, unread_at, unread_why, unread_stays FROM look ORDER BY source";
    connection.prepare_cached(sql)?.query_map([], one)?.collect()
}
