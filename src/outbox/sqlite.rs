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
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Act, Alert, Applied, Begin, Claim, ClaimRequest, Filter, Lately, Lease, Outbox, Purged, Recovered, Rest, Restored, Result, Retention,
    Seen, SeenSession, Settlement, SourceRow, StaffLetter, Status, StoreError, Walk,
};
use crate::contact::{Address, Channel, PhoneNumber};
use crate::entry::{Delivery, Entry, State};
use crate::feedback::reply::{Taken, Told, Waiting, Written};
use crate::guard::{GuardRow, Verdict};
use crate::known::KnownMap;
use crate::known::resend::Resent;
use crate::ledger::{Anchor, LedgerRow, Verified};
use crate::notice::{Notice, NoticeKey, Omission, Reason};
use crate::outbox::transition::{Row, checked};
use crate::receipt::{Receipt, Received, Undelivered};
use crate::session::stored::{Also, StoredSession};
use crate::session::{ParticipationId, SessionId};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression};

mod alert;
mod attempt;
mod backup;
mod beside;
mod columns;
mod figures;
mod frozen;
mod guard;
mod history;
mod letter;
mod mark;
mod marks;
mod migrate;
mod notices;
mod open;
mod query;
mod reader;
mod receipt;
mod refused;
mod reply;
mod restore;
mod retention;
mod sealed;
mod sources;
mod suppression;
mod tx;
mod upkeep;
mod walk;
mod writer;

pub use open::{Access, path_of};
pub use sealed::StoreKey;

use frozen::Packed;
use mark::Mark;
use reader::Readers;
use restore::Origin;
use sealed::Sealer;
use writer::Writer;

/// The outbox in one SQLite file. See the module.
pub struct SqliteOutbox {
    readers: Readers,
    writer: Writer,
    path: PathBuf,
    /// Whether it is the store that ran last.
    origin: Mutex<Origin>,
    /// As last written.
    mark: Arc<Mutex<Option<Mark>>>,
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
        Self::open_with(url, access, None)
    }

    /// Likewise, with the key that it is sealed with; a new one is sealed with it from then on.
    ///
    /// # Errors
    /// Those of [`SqliteOutbox::open`]; and another key, or none, or one for a store that was made without.
    pub fn open_with(url: &str, access: Access, key: Option<&StoreKey>) -> Result<Self> {
        let path = path_of(url)?;
        let sealer = Sealer::new(key);
        let opened = open::open(&path, access, &sealer)?;
        let readers = Readers::new(path.clone(), sealer);
        let writer = Writer::start(opened.connection, &path)?;
        Ok(Self { readers, writer, path, origin: Mutex::new(opened.origin), mark: Arc::default(), _lock: opened.lock })
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
        let to = to.to_owned();
        self.readers.read("backup", move |c| Ok(backup::copy(c, &to, &progress))).await?
    }
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn reference_key(&self) -> Result<[u8; 32]> {
        self.readers.read("reference_key", query::reference_key).await
    }

    async fn seen_from(&self, source: &str, from: DateTime<Utc>) -> Result<Option<Seen>> {
        let source = source.to_owned();
        self.readers.read("seen", move |c| query::seen(c, &source, from)).await
    }

    async fn seen_among(&self, source: &str, ids: &[SessionId]) -> Result<HashMap<SessionId, SeenSession>> {
        let (source, ids) = (source.to_owned(), ids.to_vec());
        self.readers.read("seen", move |c| query::seen_among(c, &source, &ids)).await
    }

    async fn sources(&self) -> Result<Vec<SourceRow>> {
        self.readers.read("sources", sources::all).await
    }

    async fn configure(&self, names: &[String], now: DateTime<Utc>) -> Result<usize> {
        let names = names.to_vec();
        self.writer.write("configure", move |c| sources::configure(c, &names, now)).await
    }

    async fn rename_source(&self, from: &str, to: &str, now: DateTime<Utc>) -> Result<bool> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.writer.write("rename_source", move |c| sources::rename(c, &from, &to, now)).await
    }

    async fn also(&self) -> Result<Vec<(String, Also)>> {
        self.readers.read("also", sources::also).await
    }

    async fn sessions(&self, source: &str, ids: Option<&[SessionId]>) -> Result<Vec<StoredSession>> {
        let (source, ids) = (source.to_owned(), ids.map(<[SessionId]>::to_vec));
        self.readers.read("sessions", move |c| query::sessions(c, &source, ids.as_deref())).await
    }

    async fn starting(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: usize) -> Result<Vec<(String, SessionId)>> {
        self.readers.read("starting", move |c| query::starting(c, from, until, limit)).await
    }

    async fn guards(&self) -> Result<Vec<GuardRow>> {
        self.readers.read("guards", guard::rows).await
    }

    async fn decide_guard(&self, verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> Result<usize> {
        let (who, source) = (who.map(str::to_owned), source.map(str::to_owned));
        self.writer.write("decide_guard", move |c| guard::decide(c, verdict, who.as_deref(), source.as_deref(), now)).await
    }

    async fn people(&self, source: &str, now: DateTime<Utc>) -> Result<usize> {
        let source = source.to_owned();
        self.readers.read("people", move |c| query::people(c, &source, now)).await
    }

    async fn rest(&self, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<Option<Rest>> {
        let source = source.to_owned();
        self.readers.read("rest", move |c| query::rest(c, &source, now, since)).await
    }

    async fn heard(&self, source: &str, at: DateTime<Utc>) -> Result<()> {
        let source = source.to_owned();
        self.writer.write("heard", move |c| walk::heard(c, &source, at)).await
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

    async fn plan_anew(&self) -> Result<()> {
        self.writer.write("plan_anew", |c| walk::plan_anew(c)).await
    }

    async fn suppressions(&self) -> Result<HashMap<String, Suppression>> {
        self.readers.read("suppressions", query::suppressions).await
    }

    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>> {
        self.readers.read("suppressed", suppression::list).await
    }

    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression) -> Result<bool> {
        let address = address.clone();
        self.writer.write("suppress", move |c| suppression::suppress(c, now, &address, kind, SaidBy::Person)).await
    }

    async fn unsuppress(&self, now: DateTime<Utc>, key: &str) -> Result<bool> {
        let key = key.to_owned();
        self.writer.write("unsuppress", move |c| suppression::unsuppress(c, now, &key)).await
    }

    async fn next_due(&self, channel: Channel) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("next_due", move |c| query::next_due(c, channel)).await
    }

    async fn most_urgent(&self, channel: Channel, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("most_urgent", move |c| query::most_urgent(c, channel, now)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>> {
        self.writer.write("claim", move |c| attempt::claim(c, &request)).await
    }

    async fn begin(&self, attempts: Vec<Begin>) -> Result<Vec<bool>> {
        // Packed here: the writer has enough to do.
        let packed: Vec<Packed> = attempts.iter().map(|a| Packed::of(&a.bytes)).collect();
        self.writer.write("begin", move |c| attempts.iter().zip(&packed).map(|(a, p)| attempt::begin(c, a, p)).collect()).await
    }

    async fn doubt(&self, lease: Lease, revision: i64, margin: TimeDelta) -> Result<bool> {
        self.writer.write("doubt", move |c| attempt::doubt(c, lease, revision, margin)).await
    }

    async fn take(&self, attempt: Begin, margin: TimeDelta) -> Result<bool> {
        let packed = Packed::of(&attempt.bytes);
        self.writer.write("take", move |c| attempt::take(c, &attempt, &packed, margin)).await
    }

    async fn goes_over(&self, lease: Lease, transport: &str) -> Result<bool> {
        let transport = transport.to_owned();
        self.writer.write("goes_over", move |c| attempt::goes_over(c, lease, &transport)).await
    }

    async fn settle(&self, at: DateTime<Utc>, ends: Vec<(Lease, Settlement)>) -> Result<Vec<bool>> {
        checked("settle", ends.iter().map(|(_, end)| end.check()))?;
        self.writer.write("settle", move |c| ends.iter().map(|(lease, end)| attempt::settle(c, *lease, end, at)).collect()).await
    }

    async fn settled_lately(&self, channel: Channel, rows: usize) -> Result<Vec<Lately>> {
        self.readers.read("settled_lately", move |c| refused::settled_lately(c, channel, rows)).await
    }

    async fn take_back(&self, rejected: &[(NoticeKey, Option<DateTime<Utc>>)], now: DateTime<Utc>) -> Result<usize> {
        let rejected = rejected.to_vec();
        self.writer.write("take_back", move |c| refused::take_back(c, &rejected, now)).await
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

    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<Told>> {
        let number = number.clone();
        self.readers.read("open_sessions", move |c| reply::open_sessions(c, number.expose(), now)).await
    }

    async fn waiting_answers(&self) -> Result<Vec<Waiting>> {
        self.readers.read("waiting_answers", reply::waiting).await
    }

    async fn unread(&self, limit: usize) -> Result<Vec<Written>> {
        self.readers.read("unread", move |c| reply::unread(c, limit)).await
    }

    async fn mark_read(&self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> Result<bool> {
        let who = who.map(str::to_owned);
        self.writer.write("mark_read", move |c| reply::mark_read(c, now, who.as_deref(), key)).await
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

    async fn ask(&self, now: DateTime<Utc>, source: &str, notice: Notice, detail: &str) -> Result<bool> {
        let (row, detail) = (Row::added(notice, source, now), detail.to_owned());
        self.writer.write("ask", move |c| upkeep::ask(c, &row, &detail, now)).await
    }

    async fn lapse(&self, now: DateTime<Utc>) -> Result<Vec<Entry>> {
        self.writer.write("lapse", move |c| attempt::lapse(c, now)).await
    }

    async fn lapsed(&self, since: DateTime<Utc>) -> Result<Vec<Entry>> {
        self.readers.read("lapsed", move |c| query::lapsed(c, since)).await
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

    async fn act_by(&self, who: Option<&str>, keys: &[NoticeKey], act: Act, now: DateTime<Utc>) -> Result<usize> {
        let (who, keys) = (who.map(str::to_owned), keys.to_vec());
        self.writer.write("act", move |c| upkeep::act(c, who.as_deref(), &keys, act, now)).await
    }

    async fn resend(&self, who: Option<&str>, keys: &[NoticeKey], to: Option<&Address>, now: DateTime<Utc>) -> Result<Vec<Resent>> {
        let (who, keys, to) = (who.map(str::to_owned), keys.to_vec(), to.cloned());
        self.writer.write("resend", move |c| upkeep::resend(c, who.as_deref(), &keys, to.as_ref(), now)).await
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

    async fn witness(&self, at: DateTime<Utc>, event: &str, detail: &str, about: Option<(SessionId, ParticipationId)>) -> Result<()> {
        let row = LedgerRow::witness(at, event, detail, about);
        self.writer.write("witness", move |c| history::append(c, &row)).await
    }

    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>> {
        self.readers.read("ledger", move |c| history::rows(c, session, after, limit)).await
    }

    async fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Result<Vec<StaffLetter>> {
        self.readers.read("staff_letters", move |c| letter::list(c, scheduled_at)).await
    }

    async fn put_staff_letter(&self, letter: StaffLetter) -> Result<bool> {
        self.writer.write("put_staff_letter", move |c| letter::put(c, &letter)).await
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        self.readers.read("alerts", alert::list).await
    }

    async fn begin_alert(&self, alert: Alert) -> Result<()> {
        self.writer.write("begin_alert", move |c| alert::begin(c, &alert)).await
    }

    async fn end_alert(&self, key: &str, now: DateTime<Utc>) -> Result<()> {
        let key = key.to_owned();
        self.writer.write("end_alert", move |c| alert::end(c, &key, now)).await
    }

    async fn verify_ledger(&self, anchor: Option<Anchor>) -> Result<Verified> {
        // What a command adds while this runs is seen by neither: the mark is read first.
        let noted = anchor.is_none().then(|| mark::read(&self.path).ok().flatten()).flatten();
        self.readers
            .read("verify_ledger", move |c| {
                let own = noted.filter(|mark| restore::current(c).is_ok_and(|current| mark.is_of(&current)));
                history::verify(c, anchor.or_else(|| own.and_then(|mark| mark.head())))
            })
            .await
    }

    async fn hold_restored(&self, sources: &[String], now: DateTime<Utc>) -> Result<Option<Restored>> {
        let origin = *self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let Origin::Copy(since) = origin else { return Ok(None) };
        let sources = sources.to_vec();
        let restored = self.writer.write("hold_restored", move |c| restore::hold(c, since, &sources, now)).await?;
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = Origin::Own;
        self.mark().await?;
        Ok(Some(restored))
    }

    async fn finds_again(&self, source: &str, now: DateTime<Utc>) -> Result<bool> {
        let source = source.to_owned();
        self.readers.read("finds_again", move |c| restore::finds_again(c, &source, now)).await
    }

    async fn mark(&self) -> Result<Option<Anchor>> {
        if *self.origin.lock().unwrap_or_else(PoisonError::into_inner) != Origin::Own {
            return Ok(None);
        }
        let (path, last) = (self.path.clone(), Arc::clone(&self.mark));
        let marked = self.readers.read("mark", move |c| {
            let mark = restore::current(c)?;
            let head = mark.head();
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.as_ref() == Some(&mark) {
                return Ok(Ok(head));
            }
            Ok(mark::write(&path, &mark).map(|()| *last = Some(mark)).map(|()| head))
        });
        marked.await?.map_err(|cause| StoreError { action: "mark".to_owned(), cause })
    }

    async fn probe(&self) -> Result<()> {
        self.writer.write("probe", |_| Ok(())).await?;
        self.readers.read("probe", query::reference_key).await.map(|_| ())
    }

    async fn due_before(&self, until: DateTime<Utc>) -> Result<u64> {
        self.readers.read("due_before", move |c| figures::due_before(c, until)).await
    }

    async fn count_between(&self, edges: &[DateTime<Utc>]) -> Result<Vec<HashMap<State, u64>>> {
        let edges = edges.to_vec();
        self.readers.read("count_between", move |c| figures::count_between(c, &edges)).await
    }

    async fn count(&self, state: State) -> Result<u64> {
        self.readers.read("count", move |c| figures::count(c, state)).await
    }

    async fn held_by_reason(&self) -> Result<Vec<(Reason, u64)>> {
        self.readers.read("held_by_reason", figures::held_by_reason).await
    }

    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged> {
        let mut total = Purged::default();
        self.writer.write("purge", move |c| history::close_until(c, retention.history_before, now)).await?;
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
        self.forget().await?;
        Ok(total)
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
