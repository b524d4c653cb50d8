//! Rows of the table `look`.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};

use super::columns::{ms, opt_at, opt_ms};
use crate::outbox::{ReadFile, SourceLook};

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

/// All of them.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<SourceLook>> {
    let one = |row: &Row<'_>| {
        let (source, wanted, had) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let read = match (row.get(5)?, opt_at(row, 6)?, row.get(7)?) {
            (Some(by), Some(written), Some(said)) => Some(ReadFile { by, written, said }),
            _ => None,
        };
        Ok(SourceLook { source, wanted, had, quiet_until: opt_at(row, 3)?, refusals: row.get(4)?, read })
    };
    let sql = "SELECT source, wanted, had, quiet_until, refusals, read_by, written, said FROM look ORDER BY source";
    connection.prepare_cached(sql)?.query_map([], one)?.collect()
}
