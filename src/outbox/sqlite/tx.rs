//! One transaction of the writer.

use std::cell::Cell;
use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension, Row};

use super::columns::link;
use crate::ledger::Anchor;

/// The connection inside a transaction, and how far the ledger has got in it: nobody else can add a row meanwhile, so its end is read once.
/// What only reads, or writes nothing that the ledger tells, takes the [`Connection`].
pub(super) struct Tx<'c> {
    connection: &'c Connection,
    head: Cell<Option<Anchor>>,
}

impl<'c> Tx<'c> {
    /// Of a transaction that has begun.
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, head: Cell::new(None) }
    }

    /// The ledger's last row.
    pub(super) fn head(&self) -> rusqlite::Result<Anchor> {
        match self.head.get() {
            Some(head) => Ok(head),
            None => head(self.connection),
        }
    }

    /// A row was added.
    pub(super) fn advance(&self, head: Anchor) {
        self.head.set(Some(head));
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// The last number that was given, and the link of its row. (A row that is gone leaves its number; [`super::history::verify`] tells.)
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Anchor> {
    let sql = "SELECT given.seq, ledger.chain FROM sqlite_sequence AS given LEFT JOIN ledger ON ledger.seq = given.seq WHERE given.name = 'ledger'";
    let anchor = |row: &Row<'_>| Ok(Anchor { seq: row.get(0)?, link: link(row, 1)?.unwrap_or_default() });
    Ok(connection.prepare_cached(sql)?.query_row([], anchor).optional()?.unwrap_or_default())
}
