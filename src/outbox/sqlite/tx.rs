//! One transaction of the writer.

use std::cell::{Cell, RefCell, RefMut};
use std::ops::Deref;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use secrecy::zeroize::Zeroizing;

use super::columns::link;
use crate::ledger::{Anchor, KeyedPart, LedgerRow, Link};

/// The connection inside a transaction, and how far the ledger has got in it: nobody else can add a row meanwhile, so its end is read once.
/// What only reads, or writes nothing that the ledger tells, takes the [`Connection`].
pub(super) struct Tx<'c> {
    connection: &'c Connection,
    head: Cell<Option<Anchor>>,
    /// What the ledger's rows are chained with, once it was read.
    chain: RefCell<Chain>,
    /// A walk adds rows by the thousand: it is looked up once.
    adding: RefCell<Option<CachedStatement<'c>>>,
}

const ADD: &str =
    "INSERT INTO ledger (seq, chain, at, notice_key, session_id, participation_id, event, from_state, to_state, reason, detail)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// What the ledger's next rows are chained with.
#[derive(Default)]
enum Chain {
    #[default]
    Unread,
    Plain,
    Keyed(Zeroizing<[u8; 32]>),
}

impl<'c> Tx<'c> {
    /// Of a transaction that has begun.
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, head: Cell::new(None), chain: RefCell::default(), adding: RefCell::default() }
    }

    /// The ledger's last row.
    pub(super) fn head(&self) -> rusqlite::Result<Anchor> {
        match self.head.get() {
            Some(head) => Ok(head),
            None => head(self.connection),
        }
    }

    /// The link of the row that follows.
    pub(super) fn link(&self, last: Link, row: &LedgerRow) -> rusqlite::Result<Link> {
        let mut chain = self.chain.borrow_mut();
        if let Chain::Unread = *chain {
            *chain = parts(self.connection)?.into_iter().next_back().map_or(Chain::Plain, |part| Chain::Keyed(part.key));
        }
        let key = if let Chain::Keyed(key) = &*chain { Some(&**key) } else { None };
        Ok(last.follow(key, row))
    }

    /// The statement that adds a row to the ledger.
    pub(super) fn adding(&self) -> rusqlite::Result<RefMut<'_, CachedStatement<'c>>> {
        let mut adding = self.adding.borrow_mut();
        if adding.is_none() {
            *adding = Some(self.connection.prepare_cached(ADD)?);
        }
        Ok(RefMut::map(adding, |statement| statement.as_mut().expect("it was just put there")))
    }

    /// It is chained with another key from the next row on.
    pub(super) fn forget_chain(&self) {
        *self.chain.borrow_mut() = Chain::Unread;
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

/// The parts of the ledger that are keyed, the oldest first.
pub(super) fn parts(connection: &Connection) -> rusqlite::Result<Vec<KeyedPart>> {
    // A file of an earlier version has none, while it is brought up to date.
    let Ok(mut statement) =
        connection.prepare_cached("SELECT from_seq, unseal('ledger_key', from_seq, key) FROM ledger_key ORDER BY from_seq")
    else {
        return Ok(Vec::new());
    };
    let part = |row: &Row<'_>| Ok(KeyedPart { from: row.get(0)?, key: Zeroizing::new(row.get(1)?) });
    statement.query_map([], part)?.collect()
}
