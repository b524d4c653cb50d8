//! A file that is left for another store, and one that is filled from another: see [`crate::outbox::copy`].
//!
//! A new file is filled beside its place, and gets its name when it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, params, params_from_iter};

use super::beside::{beside, folder_of};
use super::columns::{misread, ms};
use super::history;
use super::key::StoreKey;
use super::open::{action, explain, folder_exists, lock, open};
use super::restore::current;
use super::sealed::{KeyChecks, Sealer};
use super::tx::{Tx, head};
use super::{acting, migrate, watermark};
use crate::ledger::Event;
use crate::outbox::origin::StoreOrigin;
use crate::outbox::rows::{Cells, CopyFrom, CopyTo, SqlValue, StoreIdentity, Table};
use crate::outbox::words::refusal;
use crate::outbox::{Access, Result, StoreError};

/// Rows at a time.
const ROWS: usize = 1000;

/// Where the practice's store is now, if this one is not used any more.
pub(super) fn moved_to(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT moved_to FROM identity")?.query_row([], |row| row.get(0))
}

/// In each transaction of a writer: what waited until the practice was copied to another store is written nowhere, and says so.
pub(super) fn is_used(connection: &Connection) -> rusqlite::Result<()> {
    moved_to(connection)?.map_or(Ok(()), |to| Err(rusqlite::Error::UserFunctionError(refusal(&to).into())))
}

/// A file that is left, in a transaction.
pub(in crate::outbox) struct OldFile {
    connection: Connection,
    path: PathBuf,
    to: String,
    was_left: bool,
    _lock: Option<File>,
}

impl OldFile {
    /// Nobody else writes to it from here on.
    pub(in crate::outbox) fn open(path: &Path, key: Option<&StoreKey>, (to, now): (&str, DateTime<Utc>)) -> Result<Self> {
        let refused = |cause: String| StoreError { action: action(path, "copy"), cause };
        if !path.metadata().is_ok_and(|found| found.len() > 0) {
            return Err(refused("there is no store".to_owned()));
        }
        let sealer = Sealer::new(key);
        let opened = open(path, Access::Daemon, (&sealer, key))?;
        if opened.origin != StoreOrigin::Own {
            return Err(refused(
                "it is an older copy of a store: start the daemon on it once, which holds what may have been told".to_owned(),
            ));
        }
        let connection = opened.connection;
        let noted = (|| {
            if KeyChecks::read(&connection)?.next.is_some() {
                return Ok(Err("it gets another key, and that is not done: say `punctual store rekey` until it is".to_owned()));
            }
            connection.execute_batch("BEGIN IMMEDIATE")?;
            sealer.refresh(&connection)?;
            let was_left = moved_to(&connection)?;
            if was_left.as_ref().is_some_and(|place| place != to) {
                return Ok(Err(refusal(&was_left.unwrap_or_default())));
            }
            if was_left.is_none() {
                history::note(&Tx::new(&connection), now, Event::CopiedTo, to)?;
            }
            Ok(Ok(was_left.is_some()))
        })();
        let was_left = noted.map_err(|e| explain(path, "copy", &e))?.map_err(refused)?;
        Ok(Self { connection, path: path.to_owned(), to: to.to_owned(), was_left, _lock: opened.lock })
    }
}

impl CopyFrom for OldFile {
    fn own(&mut self) -> Result<StoreIdentity> {
        let key = self.connection.query_row("SELECT reference_key FROM identity", [], |row| row.get(0));
        let own = key.and_then(|reference_key| Ok(StoreIdentity { reference_key, head: head(&self.connection)?, was_left: self.was_left }));
        own.map_err(|e| explain(&self.path, "copy", &e))
    }

    fn rows(&mut self, table: &'static Table, after: Cells) -> Result<Vec<Cells>> {
        rows(&self.connection, table, after).map_err(|e| explain(&self.path, "copy", &e))
    }

    fn left(self: Box<Self>) -> Result<()> {
        let failed = |e: rusqlite::Error| explain(&self.path, "copy", &e);
        self.connection.execute("UPDATE identity SET moved_to = ?1", [&self.to]).map_err(failed)?;
        self.connection.execute_batch("COMMIT").map_err(failed)?;
        let mark = current(&self.connection).map_err(failed)?;
        watermark::write(&self.path, &mark).map_err(|cause| StoreError { action: action(&self.path, "copy"), cause })
    }
}

fn rows(connection: &Connection, table: &Table, after: Cells) -> rusqlite::Result<Vec<Cells>> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let (key, width) = (table.key.join(", "), names.len());
    let places = (1..=after.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let beyond = if after.is_empty() { "TRUE".to_owned() } else { format!("({key}) > ({places})") };
    let sql = format!("SELECT {} FROM {} WHERE {beyond} ORDER BY {key} LIMIT {ROWS}", names.join(", "), table.name);
    let mut statement = connection.prepare_cached(&sql)?;
    let cell = |row: &rusqlite::Row<'_>, place: usize| match row.get(place)? {
        Value::Null => Ok(SqlValue::None),
        Value::Integer(number) => Ok(SqlValue::Int(number)),
        Value::Text(text) => Ok(SqlValue::Text(text)),
        Value::Blob(bytes) => Ok(SqlValue::Bytes(bytes)),
        Value::Real(_) => Err(misread(place, Type::Real, "there are no fractions in a store".to_owned())),
    };
    let row = |row: &rusqlite::Row<'_>| (0..width).map(|place| cell(row, place)).collect::<rusqlite::Result<Cells>>();
    statement.query_map(params_from_iter(after.into_iter().map(value)), row)?.collect()
}

fn value(cell: SqlValue) -> Value {
    match cell {
        SqlValue::None => Value::Null,
        SqlValue::Int(number) => Value::Integer(number),
        SqlValue::Text(text) => Value::Text(text),
        SqlValue::Bytes(bytes) => Value::Blob(bytes),
    }
}

/// A file that is filled, in a transaction.
pub(in crate::outbox) struct NewFile {
    /// Until it is settled.
    connection: Option<Connection>,
    path: PathBuf,
    part: PathBuf,
    _locks: [Option<File>; 2],
}

impl NewFile {
    /// An empty one beside its place.
    pub(in crate::outbox) fn make(path: &Path, key: Option<&StoreKey>) -> Result<Self> {
        let refused = |cause: String| StoreError { action: action(path, "copy"), cause };
        if path.exists() || beside(path, "-wal").exists() {
            return Err(refused("something is there already: give the name of a file that is not there".to_owned()));
        }
        folder_exists(path).map_err(refused)?;
        let part = beside(path, ".part");
        let locked = lock(path).map_err(refused)?;
        for rest in ["", "-wal", "-shm", ".mark"] {
            drop(fs::remove_file(beside(&part, rest)));
        }
        let sealer = Sealer::new(key);
        let opened = open(&part, Access::Daemon, (&sealer, key))?;
        let connection = opened.connection;
        let begun = connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM ledger_key").and_then(|()| sealer.refresh(&connection));
        begun.map_err(|e| explain(&part, "copy", &e))?;
        Ok(Self { connection: Some(connection), path: path.to_owned(), part, _locks: [Some(locked), opened.lock] })
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is not settled yet")
    }

    fn checked(&self, own: &StoreIdentity, from: &str, now: DateTime<Utc>) -> rusqlite::Result<std::result::Result<(), String>> {
        let connection = self.connection();
        connection.execute("UPDATE identity SET reference_key = ?1", params![own.reference_key])?;
        let mut verified = history::verify(connection, Some(own.head))?;
        verified.findings.extend(acting::differences(connection, migrate::VERSION)?);
        if let Some(finding) = verified.findings.first() {
            return Ok(Err(format!("the ledger is not as it was written: {finding}; see punctual ledger verify")));
        }
        history::note(&Tx::new(connection), now, Event::CopiedFrom, from)?;
        if own.was_left {
            connection.execute("UPDATE identity SET copied_at = ?1", [ms(now)])?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(Ok(()))
    }
}

impl CopyTo for NewFile {
    fn put(&mut self, table: &'static Table, rows: Vec<Cells>) -> Result<()> {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let places = (1..=names.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({places})", table.name, names.join(", "));
        let put = || {
            let mut statement = self.connection().prepare_cached(&sql)?;
            rows.into_iter().try_for_each(|row| statement.execute(params_from_iter(row.into_iter().map(value))).map(drop))
        };
        put().map_err(|e: rusqlite::Error| explain(&self.part, "copy", &e))
    }

    fn ready(&mut self, own: &StoreIdentity, from: &str, now: DateTime<Utc>) -> Result<()> {
        let checked = self.checked(own, from, now).map_err(|e| explain(&self.part, "copy", &e))?;
        checked.map_err(|cause| StoreError { action: action(&self.path, "copy"), cause })
    }

    fn settle(mut self: Box<Self>) -> Result<()> {
        let mark = current(self.connection()).map_err(|e| explain(&self.part, "copy", &e))?;
        // The last one to close the file copies its log into it.
        let closed = self.connection.take().map_or(Ok(()), |connection| connection.close().map_err(|(_, e)| e));
        closed.map_err(|e| explain(&self.part, "copy", &e))?;
        let failed = |cause: String| StoreError { action: action(&self.path, "copy"), cause };
        watermark::write(&self.path, &mark).map_err(failed)?;
        let named = fs::rename(&self.part, &self.path).and_then(|()| File::open(folder_of(&self.path))?.sync_all());
        named.map_err(|e| failed(format!("it cannot get its name: {e}")))
    }
}

/// What is left of one that was not settled.
impl Drop for NewFile {
    fn drop(&mut self) {
        drop(self.connection.take());
        for rest in ["", "-wal", "-shm", ".mark", ".lock"] {
            drop(fs::remove_file(beside(&self.part, rest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::migrate::{VERSION, schema};
    use crate::outbox::rows::TABLES;

    /// What a later version adds is carried, too. (`identity` is of the store itself: its key is carried.)
    #[test]
    fn every_column_is_carried() {
        let sql = "SELECT t.name || ' ' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
                   WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'identity'";
        let there: BTreeSet<String> =
            schema(VERSION).and_then(|file| file.prepare(sql)?.query_map([], |row| row.get(0))?.collect()).unwrap();
        let carried = TABLES.iter().flat_map(|table| table.columns.iter().map(|column| format!("{} {}", table.name, column.name)));
        assert_eq!(carried.collect::<BTreeSet<_>>(), there);
    }
}
