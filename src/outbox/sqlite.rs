//! The outbox in one SQLite file: the default store.
//!
//! ```text
//! async callers --bounded channel--> writer thread: BEGIN IMMEDIATE, all that has arrived, COMMIT (fsync), answer all
//! async callers --blocking pool----> a few read-only connections (WAL: they never wait for the writer, nor it for them)
//! ```
//!
//! In: a URL `sqlite://FILE` in a folder that exists. Out: an [`Outbox`]. What a write answers is on the disk when it answers
//! (WAL, synchronous=FULL), and one fsync serves all that arrived while the last one ran.
//!
//! Failures: an error of SQLite inside a transaction rolls the whole group back and poisons the store: that write and every later one
//! answers a [`StoreError`], because after a failed write nobody knows what the disk holds. Only a new start may go on. What a caller
//! asks wrongly (an end that is none) is refused before anything is written, and harms nobody else.
//!
//! The file is of one daemon: an advisory lock on `FILE.lock` keeps a second one out. Commands open without it; they may write too,
//! each waiting for the other at most as long as `open::BUSY` says. WAL needs shared memory: the file must not lie on a network file system.

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Act, Applied, Begin, Claim, ClaimRequest, Delivery, Entry, Filter, GuardRow, KnownMap, Lease, LedgerRow, Outbox, Purged, Recovered,
    Result, Retention, Seen, Settlement, Status, StoreError, StoredSession, SuppressedAddress, Walk,
};
use crate::contact::{Address, Channel, PhoneNumber};
use crate::notice::{NoticeKey, Omission};
use crate::outbox::receipt::{Receipt, Received, Undelivered};
use crate::outbox::reply::{Place, Taken, Waiting};
use crate::outbox::transition::checked;
use crate::outcome::Suppression;
use crate::session::SessionId;

mod attempt;
mod backup;
mod columns;
mod history;
mod migrate;
mod notices;
mod open;
mod query;
mod reader;
mod receipt;
mod reply;
mod retention;
mod suppression;
mod upkeep;
mod walk;
mod writer;

pub use open::{Access, path_of};

use reader::Readers;
use writer::Writer;

/// The outbox in one SQLite file. See the module.
pub struct SqliteOutbox {
    readers: Readers,
    writer: Writer,
    /// Held as long as the store is open; dropped last.
    _lock: Option<std::fs::File>,
}

impl SqliteOutbox {
    /// Opens `sqlite://FILE`, and for a daemon creates the file and brings its schema up to date. Blocks: the check of a large file
    /// takes seconds.
    ///
    /// # Errors
    /// A [`StoreError`] that names the file and says what to do: the folder is missing, the file is no database, is damaged, is another
    /// program's, has a newer schema, cannot be written, or is in use by another daemon.
    pub fn open(url: &str, access: Access) -> Result<Self> {
        let path = path_of(url)?;
        let opened = open::open(&path, access)?;
        let readers = Readers::new(path.clone());
        let writer = Writer::start(opened.connection, &path)?;
        Ok(Self { readers, writer, _lock: opened.lock })
    }

    /// Transactions committed since it was opened. Fewer than writes: those that arrive together share one.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Copies the store to a new file, while it is in use: what was answered before is in the copy. Checked, and private (mode 0600).
    ///
    /// # Errors
    /// The file exists or cannot be written; the disk is full; the copy fails its check. Nothing is left of a copy that failed.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        let to = to.to_owned();
        self.readers.read("backup", move |c| Ok(backup::copy(c, &to))).await?
    }
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn reference_key(&self) -> Result<[u8; 32]> {
        self.readers.read("reference_key", query::reference_key).await
    }

    async fn seen(&self, source: &str) -> Result<Option<Seen>> {
        let source = source.to_owned();
        self.readers.read("seen", move |c| query::seen(c, &source)).await
    }

    async fn sessions(&self, source: &str, ids: Option<&[SessionId]>) -> Result<Vec<StoredSession>> {
        let (source, ids) = (source.to_owned(), ids.map(<[SessionId]>::to_vec));
        self.readers.read("sessions", move |c| query::sessions(c, &source, ids.as_deref())).await
    }

    async fn guards(&self) -> Result<Vec<GuardRow>> {
        self.readers.read("guards", query::guards).await
    }

    async fn accept_guard(&self, source: Option<&str>, now: DateTime<Utc>) -> Result<usize> {
        let source = source.map(str::to_owned);
        self.writer.write("accept_guard", move |c| walk::accept_guard(c, source.as_deref(), now)).await
    }

    async fn known(&self, source: &str, sessions: &[SessionId]) -> Result<KnownMap> {
        let (source, sessions) = (source.to_owned(), sessions.to_vec());
        self.readers.read("known", move |c| query::known(c, &source, &sessions)).await
    }

    async fn apply(&self, walk: Walk) -> Result<Applied> {
        let applied = self.writer.write("apply", move |c| match walk::check(c, &walk)? {
            Ok(()) => walk::apply(c, &walk).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        });
        applied.await?.map_err(|cause| StoreError { action: "apply".to_owned(), cause })
    }

    async fn suppressions(&self) -> Result<HashMap<String, Suppression>> {
        self.readers.read("suppressions", query::suppressions).await
    }

    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>> {
        self.readers.read("suppressed", suppression::list).await
    }

    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression) -> Result<bool> {
        let address = address.clone();
        self.writer.write("suppress", move |c| suppression::suppress(c, now, &address, kind)).await
    }

    async fn unsuppress(&self, now: DateTime<Utc>, key: &str) -> Result<bool> {
        let key = key.to_owned();
        self.writer.write("unsuppress", move |c| suppression::unsuppress(c, now, &key)).await
    }

    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("next_due", move |c| query::next_due(c, channel)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        self.writer.write("claim", move |c| attempt::claim(c, &request)).await
    }

    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>> {
        self.writer.write("begin", move |c| attempts.iter().map(|a| attempt::begin(c, a)).collect()).await
    }

    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool> {
        self.writer.write("doubt", move |c| attempt::doubt(c, lease, revision, margin)).await
    }

    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>> {
        checked("settle", ends.iter().map(|(_, end)| end.check()))?;
        self.writer.write("settle", move |c| ends.iter().map(|(lease, end)| attempt::settle(c, *lease, end, at)).collect()).await
    }

    async fn receive(&self, now: DateTime<Utc>, receipt: Receipt) -> Result<Received> {
        self.writer.write("receive", move |c| receipt::receive(c, now, &receipt)).await
    }

    async fn due_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<NoticeKey>> {
        self.readers.read("due_between", move |c| receipt::due_between(c, from, until)).await
    }

    async fn undelivered(&self, now: DateTime<Utc>) -> Result<Vec<Undelivered>> {
        self.readers.read("undelivered", move |c| receipt::undelivered(c, now)).await
    }

    async fn reply(&self, now: DateTime<Utc>, taken: Taken) -> Result<bool> {
        self.writer.write("reply", move |c| reply::take(c, now, &taken)).await
    }

    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<Place>> {
        let number = number.clone();
        self.readers.read("open_sessions", move |c| reply::open_sessions(c, number.expose(), now)).await
    }

    async fn waiting_answers(&self) -> Result<Vec<Waiting>> {
        self.readers.read("waiting_answers", reply::waiting).await
    }

    async fn begin_answer(&self, key: NoticeKey) -> Result<bool> {
        self.writer.write("begin_answer", move |c| reply::begin(c, key)).await
    }

    async fn end_answer(&self, now: DateTime<Utc>, key: NoticeKey, outcome: &str) -> Result<()> {
        let outcome = outcome.to_owned();
        self.writer.write("end_answer", move |c| reply::end(c, now, key, &outcome)).await
    }

    async fn recover(&self, owner: &str, now: DateTime<Utc>, everything: bool) -> Result<Recovered> {
        let owner = owner.to_owned();
        self.writer.write("recover", move |c| upkeep::recover(c, &owner, now, everything)).await
    }

    async fn resolve_doubt(&self, now: DateTime<Utc>, resends: Vec<(NoticeKey, Option<DateTime<Utc>>)>) -> Result<()> {
        self.writer.write("resolve_doubt", move |c| upkeep::resolve_doubt(c, now, &resends)).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>> {
        let filter = filter.clone();
        self.readers.read("list", move |c| query::list(c, &filter)).await
    }

    async fn deliveries(&self, key: NoticeKey) -> Result<(Vec<Delivery>, Option<Vec<u8>>)> {
        self.readers.read("deliveries", move |c| query::deliveries(c, key)).await
    }

    async fn act(&self, keys: &[NoticeKey], act: Act, now: DateTime<Utc>) -> Result<usize> {
        let keys = keys.to_vec();
        self.writer.write("act", move |c| upkeep::act(c, &keys, act, now)).await
    }

    async fn status(&self) -> Result<Status> {
        self.readers.read("status", query::status).await
    }

    async fn omissions(&self, filter: &Filter) -> Result<Vec<Omission>> {
        let filter = filter.clone();
        self.readers.read("omissions", move |c| query::omissions(c, &filter)).await
    }

    async fn note(&self, at: DateTime<Utc>, event: &str, detail: &str) -> Result<()> {
        let (event, detail) = (event.to_owned(), detail.to_owned());
        self.writer.write("note", move |c| history::note(c, at, &event, &detail)).await
    }

    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>> {
        self.readers.read("ledger", move |c| history::rows(c, session, after, limit)).await
    }

    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged> {
        let mut total = Purged::default();
        loop {
            let (purged, more) = self.writer.write("purge", move |c| retention::batch(c, retention)).await?;
            total += purged;
            if purged.is_empty() && !more {
                break;
            }
        }
        if !total.is_empty() {
            self.note(now, "purged", &total.in_words()).await?;
        }
        Ok(total)
    }
}
