//! What in the file acts by itself: triggers and views. They are exactly those that the migrations make, or somebody changed the file.
//!
//! A trigger of somebody else's can keep rows out of the ledger, and a missing one lets rows be changed: nothing else would say so.
//!
//! In: a connection, and the version of its schema. Out: what differs. What SQLite would compile as anything but a table or an index counts,
//! whatever `sqlite_schema.type` calls it: that column is not what SQLite goes by.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::OnceLock;

use rusqlite::Connection;

use super::migrate::{VERSION, schema};
use super::sealed::refused;
use crate::ledger::Finding;

/// What is neither a table nor an index: its name, its table, its text.
type Acting = (String, String, String);

/// SQLite stores what it compiled in these words; an index that it made for a constraint has no text.
const ACTING: &str = "SELECT coalesce(name, ''), coalesce(tbl_name, ''), coalesce(sql, '') FROM sqlite_schema
    WHERE type NOT IN ('table', 'index') OR NOT (coalesce(sql, 'CREATE INDEX ') GLOB 'CREATE TABLE *' OR coalesce(sql, 'CREATE INDEX ') GLOB 'CREATE INDEX *'
        OR coalesce(sql, '') GLOB 'CREATE UNIQUE INDEX *') ORDER BY name";
const KEEP: &str = "somebody changed the file. Keep it as it is, find out who did, and go on with a backup (docs/operations.md)";
/// Letters of a name that are told: somebody else chose it.
const NAME: usize = 60;

fn all(connection: &Connection) -> rusqlite::Result<Vec<Acting>> {
    connection.prepare(ACTING)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// What a file of that version has. Its making takes as long as a hundred messages: that of today is made once.
fn ours(version: u32) -> rusqlite::Result<Cow<'static, [Acting]>> {
    static TODAY: OnceLock<Vec<Acting>> = OnceLock::new();
    if version != VERSION {
        return Ok(Cow::Owned(all(&schema(version)?)?));
    }
    if TODAY.get().is_none() {
        drop(TODAY.set(all(&schema(VERSION)?)?));
    }
    Ok(Cow::Borrowed(TODAY.get().map_or(&[], Vec::as_slice)))
}

/// What differs from what a file of that version has, what is missing first.
pub(super) fn differences(connection: &Connection, version: u32) -> rusqlite::Result<Vec<Finding>> {
    let (found, ours) = (all(connection)?, ours(version)?);
    let missing = ours.iter().any(|one| !found.contains(one)).then_some(Finding::Unguarded);
    let planted =
        found.iter().filter(|one| !ours.contains(one)).map(|(name, ..)| Finding::Planted { name: name.chars().take(NAME).collect() });
    Ok(missing.into_iter().chain(planted).collect())
}

/// Whether a file of that version has nothing else that acts by itself; else why no process goes on with it.
pub(super) fn is_ours(connection: &Connection, version: u32) -> rusqlite::Result<Result<(), String>> {
    let first = differences(connection, version)?.into_iter().next();
    Ok(first.map_or(Ok(()), |finding| Err(format!("{finding}: {KEEP}"))))
}

/// The schema as it was looked at last, by a connection that writes. It has a number that rises with each change, and SQLite goes by that number, too.
#[derive(Default)]
pub(super) struct Looked(Cell<Option<i64>>);

impl Looked {
    /// At the beginning of a transaction: what was put in since the file was opened is no better.
    pub(super) fn again(&self, connection: &Connection) -> rusqlite::Result<()> {
        let now = connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))?;
        if self.0.get() == Some(now) {
            return Ok(());
        }
        is_ours(connection, VERSION)?.map_err(refused)?;
        self.0.set(Some(now));
        Ok(())
    }
}
