//! The outbox in one SQLite file: the default store.
//!
//! ```text
//! async callers --bounded channel--> writer thread: BEGIN IMMEDIATE, all that has arrived, COMMIT (fsync), answer all
//! async callers --blocking pool----> a few read-only connections (WAL: they never wait for the writer, nor it for them)
//! ```
//!
//! In: a URL `sqlite://FILE` in a folder that exists. Out: an [`crate::outbox::Outbox`]. What a write answers is on the disk when it answers
//! (WAL, synchronous=FULL), and one fsync serves all that arrived while the last one ran.
//!
//! Failures: an error of SQLite inside a transaction rolls the whole group back and poisons the store: that write and every later one
//! answers a [`crate::outbox::StoreError`], because after a failed write nobody knows what the disk holds. Only a new start may go on. What a caller
//! asks wrongly (an end that is none) is refused before anything is written, and harms nobody else.
//!
//! The file is of one daemon: an advisory lock on `FILE.lock` keeps a second one out. Commands open without it; they may write too,
//! each waiting for the other at most as long as `open::BUSY` says. WAL needs shared memory: the file must not lie on a network file system.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use reader::Readers;
use sealed::Sealer;
use watermark::Watermark;
use writer::Writer;

use super::{Result, StoreError, key};
use crate::ledger::Verified;
use crate::outbox::origin::StoreOrigin;
use crate::outbox::words::refusal;
use crate::suppression::SuppressedAddress;

mod acting;
mod admit;
mod alert;
mod attempt;
mod backup;
mod beside;
mod columns;
pub(super) mod copy;
mod embedded;
mod figures;
mod frozen;
mod guard;
mod history;
mod known;
mod look;
mod migrate;
mod notices;
mod open;
mod outgoing;
mod parts;
mod query;
mod reader;
mod receipt;
mod refused;
mod rekey;
mod reply;
mod restore;
mod retention;
mod sealed;
mod sources;
mod suppression;
mod transport;
mod tx;
mod upkeep;
mod visit;
mod walk;
mod watermark;
mod writer;

pub use super::Access;
pub use key::StoreKey;
pub use open::{is_served, path_of};
pub use rekey::{Reached, Rekeying};

/// The outbox in one SQLite file. See the module.
pub struct SqliteOutbox {
    readers: Readers,
    writer: Writer,
    sealer: Sealer,
    path: PathBuf,
    /// Whether it is the store that ran last.
    origin: Mutex<StoreOrigin>,
    /// As last written.
    mark: Arc<Mutex<Option<Watermark>>>,
    /// Held as long as the store is open; dropped last.
    _lock: Option<std::fs::File>,
}

impl SqliteOutbox {
    /// Opens `sqlite://FILE`, and for a daemon creates the file and brings its schema up to date. Blocks: the check of a large file
    /// takes seconds.
    ///
    /// # Errors
    /// A [`crate::outbox::StoreError`] that names the file and says what to do: the folder is missing, the file is no database, is damaged, is another
    /// program's, has a newer schema, cannot be written, or is in use by another daemon.
    pub fn open(url: &str, access: Access) -> Result<Self> {
        Self::open_with(url, access, None)
    }

    /// Likewise, with the key that it is sealed with; a new one is sealed with it from then on.
    ///
    /// # Errors
    /// Those of [`SqliteOutbox::open`]; and another key, or none, or one for a store that was made without.
    pub fn open_with(url: &str, access: Access, key: Option<&StoreKey>) -> Result<Self> {
        let path = path_of(url)?;
        let sealer = Sealer::new(key);
        let opened = open::open(&path, access, (&sealer, key))?;
        if access != Access::Look {
            let moved = copy::moved_to(&opened.connection).map_err(|e| open::explain(&path, "open", &e))?;
            if let Some(to) = moved {
                return Err(StoreError { action: open::action(&path, "open"), cause: refusal(&to) });
            }
        }
        let readers = Readers::new(path.clone(), sealer.clone());
        let writer = Writer::start(opened.connection, &path, sealer.clone())?;
        Ok(Self { readers, writer, sealer, path, origin: Mutex::new(opened.origin), mark: Arc::default(), _lock: opened.lock })
    }

    /// Takes over the suppressed addresses of another store: how many are new here.
    ///
    /// # Errors
    /// The store failed.
    pub async fn import_suppressions(&self, from: Vec<SuppressedAddress>, now: DateTime<Utc>) -> Result<usize> {
        self.writer.write("import_suppressions", move |c| suppression::import(c, now, &from)).await
    }

    /// Transactions committed since it was opened. Fewer than writes: those that arrive together share one.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Copies the store to a new file, while it is in use: what was answered before is in the copy. Its pages and its ledger are checked; it is
    /// private (mode 0600), and says of itself that it is a copy. `progress` is told pages: done, and all.
    ///
    /// # Errors
    /// The file exists or cannot be written; the disk is full; the copy fails its check. Nothing is left of a copy that failed.
    pub async fn backup(&self, to: &Path, progress: impl Fn(u64, u64) + Send + 'static) -> Result<Verified> {
        let (to, sealer) = (to.to_owned(), self.sealer.clone());
        self.readers.read("backup", move |c| Ok(backup::copy((c, &sealer), &to, &progress))).await?
    }
}

/// Looks for readers of what was before a prune, and the time from one to the next: they read for milliseconds.
const FORGET_LOOKS: u32 = 50;
const FORGET_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

impl SqliteOutbox {
    /// What was removed leaves the file: its pages are overwritten in the log, and copied back. While somebody reads, it is tried again; after a few
    /// seconds with the next writes.
    async fn forget(&self) -> Result<()> {
        self.writer.forget();
        for _ in 0..FORGET_LOOKS {
            self.writer.write("checkpoint", |_| Ok(())).await?;
            if self.writer.has_forgotten() {
                break;
            }
            tokio::time::sleep(FORGET_EVERY).await;
        }
        Ok(())
    }
}

/// Another key for it: see [`rekey`].
impl SqliteOutbox {
    /// Where it stands between two keys.
    ///
    /// # Errors
    /// The store failed.
    pub async fn rekeying(&self) -> Result<Rekeying> {
        let sealer = self.sealer.clone();
        self.readers.read("rekeying", move |c| rekey::state(c, &sealer)).await
    }

    /// From here on the new key seals, and either opens it. The inner error says why that cannot be.
    ///
    /// # Errors
    /// The store failed.
    pub async fn begin_rekey(&self, new: &StoreKey, now: DateTime<Utc>) -> Result<std::result::Result<(), String>> {
        let (sealer, new) = (self.sealer.clone(), new.clone());
        self.writer.write("begin_rekey", move |tx| rekey::begin(tx, &sealer, &new, now)).await
    }

    /// Seals some of it anew. `None`: that was all.
    ///
    /// # Errors
    /// The store failed.
    pub async fn rekey_some(&self, after: Reached) -> Result<Option<Reached>> {
        self.writer.write("rekey_some", move |tx| rekey::batch(tx, &after)).await
    }

    /// The old key opens it no more, and nothing that it sealed is left in the file or its log. Only once [`SqliteOutbox::rekey_some`] got to its end.
    ///
    /// # Errors
    /// The store failed.
    pub async fn finish_rekey(&self, now: DateTime<Utc>) -> Result<()> {
        let sealer = self.sealer.clone();
        self.writer.write("finish_rekey", move |tx| rekey::finish(tx, &sealer, now)).await?;
        self.forget().await
    }

    /// Nothing of what was removed is left in the log either.
    pub fn has_forgotten(&self) -> bool {
        self.writer.has_forgotten()
    }
}
