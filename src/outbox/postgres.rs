//! The outbox on a PostgreSQL server: for whoever has one, and backs it up, already.
//!
//! ```text
//! async callers --channel--> writer's thread: BEGIN, the practice locked, all that has arrived, COMMIT, answer all
//! async callers --channel--> reader's thread: a few connections, each read from one moment
//! ```
//!
//! In: a [`Server`], the name of a practice, a key or none. Out: an [`crate::outbox::Outbox`]. What a write answers is on the server's disk when it answers,
//! and on its synchronous standby's, if it has one.
//!
//! Rules are those of every store (`transition`): a transaction locks the rows that it names, asks, and writes back. What is private is sealed before it
//! leaves the process. Every key begins with the practice, so that one database may hold several.
//!
//! Failures: a connection that is lost is made again for a while, also to another server of the URL; a transaction is done again unless the ledger has
//! its last row. What was promoted or restored meanwhile is another database: nothing is written to it before a start has held what may have been told.
//!
//! Hand-overs of several programs run side by side, each in a chain of the ledger of its own; all that is decided over many rows is one after another.
//!
//! One daemon serves a practice, or several that have names ([`node`]); commands write beside them. Each hands over what it claimed; one of them walks the
//! sources by the clock ([`tend`]). A walk is planned upon all those before it, or refused ([`super::Nodes::walks`]).

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use heart::Heart;
use node::Node;
use reach::Reach;
use readers::Readers;
use writer::Writer;

use super::key::StoreKey;
use super::{Access, Result};
use crate::outbox::origin::StoreOrigin;
use crate::suppression::SuppressedAddress;

mod acts;
mod alert;
mod ask;
mod attempt;
mod carry;
mod chains;
mod claim;
mod columns;
mod connect;
pub(super) mod copy;
mod db;
mod error;
mod guard;
mod heart;
mod history;
mod hold;
mod known;
mod lineage;
mod list;
mod look;
mod merge;
mod migrate;
mod node;
mod notices;
mod open;
mod outgoing;
mod parts;
mod place;
mod plans;
mod query;
mod reach;
mod readers;
mod receipt;
mod rekey;
mod reply;
mod restore;
mod retention;
mod sealed;
mod silence;
mod sources;
mod statements;
mod suppression;
mod tend;
mod thread;
mod transport;
mod visit;
mod walk;
mod walked;
mod writer;

pub use connect::Server;
pub use open::ServerStanding;

/// The outbox on a PostgreSQL server. See the module.
pub struct PostgresOutbox {
    readers: Readers,
    writer: Writer,
    /// Whether it is the database that ran last.
    origin: Mutex<StoreOrigin>,
    lineage: String,
    reach: Arc<Reach>,
    /// `None`: it is a command's, and no daemon's.
    node: Option<Node>,
    /// Dropped last: until then nobody else may have its place.
    heart: Option<Heart>,
}

impl PostgresOutbox {
    /// Opens the store of a practice; a daemon makes it if it is not there. Blocks for moments; for up to half a minute, if a daemon ended a moment ago
    /// without a word.
    ///
    /// # Errors
    /// A [`crate::outbox::StoreError`] that names the database and says what to do: it is not there, is a standby, is not durable, has no schema or another
    /// one, is sealed with another key, or is served by another daemon.
    pub fn open(server: &Server, practice: &str, access: Access, key: Option<&StoreKey>) -> Result<Self> {
        let (home, origin) = open::open(server, practice, access, key)?;
        let heart = Heart::start(&home)?;
        let readers = Readers::start(home.clone())?;
        let (lineage, node, reach) = (home.lineage.0.clone(), home.node.clone(), Arc::clone(&home.reach));
        Ok(Self { readers, writer: Writer::start(home)?, origin: Mutex::new(origin), lineage, reach, node, heart })
    }

    /// Makes the store of a practice, as a daemon does at its first start; nothing, if it is there.
    ///
    /// # Errors
    /// Those of [`Self::open`], but that of another daemon.
    pub fn begin(server: &Server, practice: &str, key: Option<&StoreKey>) -> Result<()> {
        open::begin(server, practice, key)
    }

    /// What its claims are known by, as a daemon.
    fn boot(&self) -> Option<&str> {
        self.node.as_ref().map(Node::boot)
    }

    /// What is wrong with the server or its schema, in one line each that says what to do; empty: nothing.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn look(server: &Server) -> Result<Vec<String>> {
        open::look(server)
    }

    /// Why it cannot be reached now, where that may pass: nobody is there, or it starts, ends, or only reads. `None`: it can be, or waiting mends nothing.
    pub fn away(server: &Server) -> Option<String> {
        open::away(server)
    }

    /// How a practice's store stands there.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn stands(server: &Server, practice: &str) -> Result<ServerStanding> {
        open::stands(server, practice)
    }

    /// Brings the schema up to date, whole or not at all; several that do so at once wait for each other. The versions before and after.
    ///
    /// # Errors
    /// It cannot be reached, is not one for a store, is another program's, or has a newer schema.
    pub fn migrate(server: &Server) -> Result<(i32, i32)> {
        open::migrate(server)
    }

    /// Gives a sealed practice another key, whole or not at all, while no daemon serves it; how many rows were sealed anew. `progress` is told them.
    ///
    /// # Errors
    /// Those of [`PostgresOutbox::open`]; the new key was not made for this store; something in it does not open. Nothing was changed then.
    pub fn rekey(
        place: (&Server, &str),
        (old, new): (&StoreKey, &StoreKey),
        now: DateTime<Utc>,
        progress: impl Fn(u64) + Send + 'static,
    ) -> Result<u64> {
        rekey::rekey(place, (old, new), now, progress)
    }

    /// Takes over the suppressed addresses of another store: how many are new here.
    ///
    /// # Errors
    /// The store failed.
    pub async fn import_suppressions(&self, from: Vec<SuppressedAddress>, now: DateTime<Utc>) -> Result<usize> {
        self.writer.write("import_suppressions", async move |tx| suppression::import(tx, now, &from).await).await
    }
}
