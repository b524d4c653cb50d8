//! A practice moves to another store, whole: from a file to a database, or back.
//!
//! ```text
//! the old store: BEGIN, nobody else writes --rows--> the new one: BEGIN, empty until its commit
//!                note `copied_to`, COMMIT           then: ledger verified, note `copied_from`, COMMIT
//! ```
//!
//! In: two places, and the key of both. Nobody serves the practice meanwhile, on either. Out: the new store has every row of the old one: notices with
//! their keys and attempts, what was told, the ledger with its chain (of several, their rows in one: see [`crate::ledger::event::Event::Merged`]), sealed values
//! as they are. From then on the old one is refused by every start: it
//! names the new one.
//!
//! Whatever ends it: before the old store's commit nothing was changed, but that a database that was to be filled is refused until it is; between the two commits neither is used, and the same copy goes once more. What is
//! due is held then, as after a restore: whether the first copy was used since is known to nobody.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::key::Keys;
use super::postgres::Server;
use super::rows::{Cells, CopyFrom, CopyTo, TABLES, Table};
use super::{Result, StoreError, StoreKey, postgres, sqlite};

/// Where a practice's store is, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    File(PathBuf),
    /// A practice in a database.
    Database(Box<Server>, String),
}

impl StoreLocation {
    /// For messages, and to know it again.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Database(server, practice) => format!("practice {practice} in the {}", server.shown()),
        }
    }
}

/// What a copy carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Of all tables.
    pub rows: u64,
    /// Of them, of the ledger.
    pub ledger: u64,
    /// The old store was left for the same place before, by a copy that did not end: the new one holds what is due.
    pub held: bool,
}

/// Moves it. `progress` is told rows.
///
/// # Errors
/// A store cannot be opened, or its own errors; somebody serves the practice; there is nothing to copy, or something where it would go; the ledger is not
/// as it was written. Nothing was changed then, but see the module.
pub fn copy(
    (from, to): (&StoreLocation, &StoreLocation),
    key: Option<&StoreKey>,
    now: DateTime<Utc>,
    progress: impl Fn(u64),
) -> Result<Copied> {
    if from == to {
        return Err(StoreError { action: "copy".to_owned(), cause: "both are the same place".to_owned() });
    }
    let mut leaving: Box<dyn CopyFrom> = match from {
        StoreLocation::File(path) => Box::new(sqlite::copy::OldFile::open(path, key, (&to.shown(), now))?),
        StoreLocation::Database(server, practice) => Box::new(postgres::copy::Side::leave((server, practice), key, (&to.shown(), now))?),
    };
    let mut arriving: Box<dyn CopyTo> = match to {
        StoreLocation::File(path) => Box::new(sqlite::copy::NewFile::make(path, key)?),
        StoreLocation::Database(server, practice) => Box::new(postgres::copy::Side::arrive((server, practice), key)?),
    };
    let keys = key.map(|key| Keys::new(key.clone()));
    let mut copied = Copied { rows: 0, ledger: 0, held: false };
    for table in &TABLES {
        let mut after = Cells::new();
        loop {
            let rows = leaving.rows(table, after)?;
            let Some(last) = rows.last() else { break };
            opens(table, keys.as_ref(), &rows)?;
            after = table.key_of(last);
            copied.rows += rows.len() as u64;
            copied.ledger += if table.name == "ledger" { rows.len() as u64 } else { 0 };
            arriving.put(table, rows)?;
            progress(copied.rows);
        }
    }
    let own = leaving.own()?;
    copied.held = own.was_left;
    arriving.ready(&own, &from.shown(), now)?;
    leaving.left()?;
    arriving.settle()?;
    Ok(copied)
}

/// What the key does not open is not carried: a store would end at it.
fn opens(table: &Table, keys: Option<&Keys>, rows: &[Cells]) -> Result<()> {
    let Some(keys) = keys else { return Ok(()) };
    let opens = |row: &Cells| (0..table.columns.len()).all(|column| table.opened(keys, row, column).is_some());
    if rows.iter().all(opens) {
        return Ok(());
    }
    let cause =
        format!("a value of its table {} does not open: it is damaged, or was put there by somebody else. Restore a backup", table.name);
    Err(StoreError { action: "copy".to_owned(), cause })
}
