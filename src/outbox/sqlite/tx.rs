//! One transaction of the writer.

use std::cell::Cell;
use std::ops::Deref;

use rusqlite::Connection;

use super::history;
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
            None => history::head(self.connection),
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
