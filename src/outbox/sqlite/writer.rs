//! The one connection that writes, on its own thread, and its group commit.
//!
//! In: closures over the transaction, through a channel. Out: their answers, after the commit that makes them durable.
//! A group is what has arrived when the last commit was done, so a group grows with the load. Under load, what can wait for a moment waits for as
//! much company as the last group had: a commit costs more than a row. Whoever is alone, or cannot wait, is committed at once; but what nobody waits
//! for, and is followed by another write at once, waits for that one.
//!
//! Invariants: an answer is sent only after its COMMIT returned. After any error of SQLite nothing is written any more.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{oneshot, watch};

use super::acting::Looked;
use super::copy;
use super::open::{BUSY, explain};
use super::sealed::Sealer;
use super::tx::Tx;
use crate::outbox::{Result, StoreError};

/// Writes in one transaction, so that the first of a long queue is answered before the last has run.
const GROUP: usize = 256;
/// Company is waited for after a group of so many, until there are as many again, or so many, or this long. A few connections gain nothing by it; but
/// what another write follows waits as long for that one, which comes as soon as a connection has its next message.
const COMPANY_FROM: usize = 12;
const COMPANY: usize = 24;
const COMPANY_WITHIN: Duration = Duration::from_millis(1);

/// How long readers of what was before are waited for: they read for milliseconds.
const TRUNCATE_WITHIN: Duration = Duration::from_millis(20);

/// Sends an answer; called when it is durable.
type Answer = Box<dyn FnOnce() + Send>;
/// One write: runs inside the group's transaction.
type Run = Box<dyn FnOnce(&Tx<'_>) -> rusqlite::Result<Answer> + Send>;

struct Job {
    action: &'static str,
    waits: Waits,
    run: Run,
}

/// What a write can wait for before it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// It waits for nothing.
    Not,
    /// Company, under load.
    ForCompany,
    /// Whatever comes next: it is known to come, and nobody waits for this one alone.
    ForTheNext,
}

/// What the thread tells the callers besides their answers.
#[derive(Default)]
struct WriterState {
    commits: AtomicU64,
    /// Something was removed that the log still holds, and the file holds until the log is copied back.
    forgetting: AtomicBool,
    /// Why nothing is written any more.
    poison: OnceLock<String>,
    /// The thread has ended.
    over: watch::Sender<bool>,
}

/// Says that the thread has ended, also if it panics.
struct End(Arc<WriterState>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.over.send_replace(true);
    }
}

/// The handle of the writer thread. Dropping it ends the thread after what it runs, and waits for that.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<WriterState>,
}

impl Writer {
    /// Takes the connection over.
    pub(super) fn start(connection: Connection, path: &Path, sealer: Sealer) -> Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let shared = Arc::new(WriterState::default());
        let (inside, path) = (End(shared.clone()), path.to_owned());
        let thread = std::thread::Builder::new()
            .name("outbox-writer".to_owned())
            .spawn(move || serve((connection, sealer), &queue, &inside.0, &path));
        let thread = thread.map_err(|e| StoreError { action: "start of the writer thread".to_owned(), cause: e.to_string() })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), shared })
    }

    /// Transactions committed.
    pub(super) fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Runs `op` in the next transaction, and answers when that is durable.
    pub(super) async fn write<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.ask(action, Waits::Not, op).await
    }

    /// Likewise, of what can wait for company.
    pub(super) async fn write_in_company<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.ask(action, Waits::ForCompany, op).await
    }

    /// Likewise, of what another write follows at once, if nobody waits for this one: see [`Waits::ForTheNext`].
    pub(super) async fn write_with_next<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.ask(action, Waits::ForTheNext, op).await
    }

    async fn ask<T, F>(&self, action: &'static str, waits: Waits, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let run: Run = Box::new(move |tx| {
            let value = op(tx)?;
            // The caller may be gone; what it asked is done all the same.
            Ok(Box::new(move || drop(answer.send(value))) as Answer)
        });
        let jobs = self.jobs.as_ref().expect("the sender is there until the drop");
        if jobs.send(Job { action, waits, run }).is_ok()
            && let Ok(value) = answered.await
        {
            return Ok(value);
        }
        // The answer was dropped before the thread has said why: it ends once it has.
        drop(self.shared.over.subscribe().wait_for(|over| *over).await);
        Err(self.ended(action))
    }

    /// What was removed is to leave the file and its log: with the next commits, as soon as nobody reads what was before.
    pub(super) fn forget(&self) {
        self.shared.forgetting.store(true, Ordering::Relaxed);
    }

    /// Nothing that was removed is left in the write-ahead file.
    pub(super) fn has_forgotten(&self) -> bool {
        !self.shared.forgetting.load(Ordering::Relaxed)
    }

    fn ended(&self, action: &str) -> StoreError {
        let cause = self.shared.poison.get().cloned();
        StoreError { action: action.to_owned(), cause: cause.unwrap_or_else(|| "its writer thread ended in a panic".to_owned()) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve((connection, sealer): (Connection, Sealer), queue: &mpsc::Receiver<Job>, shared: &WriterState, path: &Path) {
    let mut before = 0;
    let looked = Looked::default();
    while let Ok(first) = queue.recv() {
        let group = gathered(queue, first, before);
        before = group.len();
        match commit(&connection, (&sealer, &looked), group) {
            Ok(answers) => {
                shared.commits.fetch_add(1, Ordering::Relaxed);
                if shared.forgetting.load(Ordering::Relaxed) && truncate(&connection) {
                    shared.forgetting.store(false, Ordering::Relaxed);
                }
                for answer in answers {
                    answer();
                }
            }
            Err((action, error)) => return give_up(&connection, shared, &explain(path, action, &error)),
        }
    }
    // A clean stop leaves nothing in the log; if somebody still reads, the last one to close copies it back.
    truncate(&connection);
}

/// What is written together; `before`: how many were the last time.
fn gathered(queue: &mpsc::Receiver<Job>, first: Job, before: usize) -> Vec<Job> {
    let until = Instant::now() + COMPANY_WITHIN;
    let enough = if before < COMPANY_FROM { 0 } else { before.min(COMPANY) };
    let (mut patient, mut unasked) = (true, true);
    let mut group: Vec<Job> = Vec::new();
    let mut next = Some(first);
    while let Some(job) = next {
        patient &= job.waits != Waits::Not;
        unasked &= job.waits == Waits::ForTheNext;
        group.push(job);
        if group.len() == GROUP {
            break;
        }
        next = queue.try_recv().ok().or_else(|| {
            let waits = unasked || (patient && group.len() < enough);
            waits.then(|| queue.recv_timeout(until.saturating_duration_since(Instant::now())).ok()).flatten()
        });
    }
    group
}

/// Copies the log back into the file, and empties it. `false`: somebody reads what was before, or another process writes. That is not waited for:
/// messages wait for this thread.
fn truncate(connection: &Connection) -> bool {
    drop(connection.busy_timeout(TRUNCATE_WITHIN));
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    drop(connection.busy_timeout(BUSY));
    busy.is_ok_and(|busy| busy == 0)
}

/// One transaction. The answers of a group that failed are dropped unsent, and so tell their callers.
fn commit(
    connection: &Connection,
    (sealer, looked): (&Sealer, &Looked),
    group: Vec<Job>,
) -> std::result::Result<Vec<Answer>, (&'static str, rusqlite::Error)> {
    let mut answers = Vec::with_capacity(group.len());
    connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| ("begin of a transaction", e))?;
    looked.again(connection).map_err(|e| ("begin of a transaction", e))?;
    copy::is_used(connection).map_err(|e| ("begin of a transaction", e))?;
    sealer.refresh(connection).map_err(|e| ("begin of a transaction", e))?;
    let tx = Tx::new(connection);
    for job in group {
        answers.push((job.run)(&tx).map_err(|e| (job.action, e))?);
    }
    connection.execute_batch("COMMIT").map_err(|e| ("commit", e))?;
    Ok(answers)
}

/// After a failed write the page cache may hold what the disk does not: nothing of it may be copied into the database when the
/// connection closes. The next start reads what the log has on the disk.
fn give_up(connection: &Connection, shared: &WriterState, error: &StoreError) {
    tracing::error!(%error, "the store is out of use until the next start");
    drop(shared.poison.set(error.to_string()));
    drop(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
    drop(connection.execute_batch("ROLLBACK"));
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::ledger::Event;
    use crate::outbox::Access;
    use crate::outbox::sqlite::history::note;
    use crate::outbox::sqlite::open::{open, open_reader};

    const NOW: DateTime<chrono::Utc> = DateTime::UNIX_EPOCH;

    fn start(path: &Path) -> Writer {
        let none = Sealer::new(None);
        Writer::start(open(path, Access::Command, (&none, None)).unwrap().connection, path, none).unwrap()
    }

    fn new_file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        drop(open(&path, Access::Daemon, (&Sealer::new(None), None)).unwrap());
        (folder, path)
    }

    fn rows(path: &Path) -> i64 {
        open_reader(path, &Sealer::new(None)).unwrap().query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap()
    }

    /// Both writes are in one group: they were sent while the one before them ran.
    #[tokio::test]
    async fn a_full_disk_fails_the_group_and_every_write_after_it() {
        let (_folder, path) = new_file();
        let writer = start(&path);
        writer.write("note", |c| note(c, NOW, "kept".into(), "")).await.unwrap();
        let (open_gate, gate) = mpsc::channel::<()>();
        let (tell_running, running) = oneshot::channel();
        let before = writer.write("limit", move |c| {
            let pages: i64 = c.pragma_query_value(None, "page_count", |row| row.get(0))?;
            c.pragma_update_and_check(None, "max_page_count", pages + 10, |row| row.get::<_, i64>(0))?;
            tell_running.send(()).expect("the test waits for it");
            gate.recv().expect("the test opens it");
            Ok(())
        });
        let group = async {
            running.await.unwrap();
            let small = writer.write("small", |c| note(c, NOW, "small".into(), ""));
            let large = writer.write("large", |c| note(c, NOW, "large".into(), &"x".repeat(1 << 20)));
            let opener = async { open_gate.send(()).unwrap() };
            tokio::join!(biased; small, large, opener)
        };
        let (before, (small, large, ())) = tokio::join!(before, group);
        before.unwrap();
        for (action, answer) in
            [("small", small), ("large", large), ("later", writer.write("later", |c| note(c, NOW, "later".into(), "")).await)]
        {
            let error = answer.unwrap_err().to_string();
            assert!(error.starts_with(&format!("the store {action} failed: ")), "{error}");
            assert!(error.contains("the disk is full: make room") && error.contains("outbox.db"), "{error}");
        }
        assert_eq!(rows(&path), 1, "reads go on, and see what was answered");
        drop(writer);
        start(&path).write("note", |c| note(c, NOW, "after".into(), "")).await.unwrap();
        assert_eq!(rows(&path), 2, "nothing of the failed group is there after the next start");
    }

    fn job(waits: Waits) -> Job {
        Job { action: "note", waits, run: Box::new(|_| Ok(Box::new(|| {}))) }
    }

    /// Without a clock: whoever sends is gone, or all that is waited for is there.
    #[test]
    fn a_group_is_what_is_there_and_waits_for_no_more_than_the_last_one_had() {
        for (waiting, before, group) in [(0, 0, 1), (3, 0, 4), (300, 0, GROUP), (5, 40, 6), (0, 40, 1), (300, 40, GROUP)] {
            let (jobs, queue) = mpsc::channel();
            (0..waiting).for_each(|_| jobs.send(job(Waits::ForCompany)).unwrap());
            drop(jobs);
            assert_eq!(gathered(&queue, job(Waits::ForCompany), before).len(), group, "{waiting} {before}");
        }
        let (jobs, queue) = mpsc::channel();
        (1..COMPANY_FROM).for_each(|_| jobs.send(job(Waits::ForCompany)).unwrap());
        assert_eq!(gathered(&queue, job(Waits::ForCompany), COMPANY_FROM).len(), COMPANY_FROM, "all of them are there");
        jobs.send(job(Waits::Not)).unwrap();
        assert_eq!(gathered(&queue, job(Waits::ForCompany), COMPANY_FROM).len(), 2, "that one cannot wait");
        assert_eq!(gathered(&queue, job(Waits::ForTheNext), 1).len(), 1, "nothing came after all");
        jobs.send(job(Waits::Not)).unwrap();
        assert_eq!(gathered(&queue, job(Waits::ForTheNext), 1).len(), 2, "with what followed it");
    }

    #[tokio::test]
    async fn a_panic_ends_the_writer_and_not_its_callers() {
        let (_folder, path) = new_file();
        let writer = start(&path);
        let broken = |c: &Tx<'_>| -> rusqlite::Result<()> {
            note(c, NOW, "half".into(), "")?;
            panic!("a fault of the program");
        };
        for answer in [writer.write("broken", broken).await, writer.write("later", |c| note(c, NOW, "later".into(), "")).await] {
            assert!(answer.unwrap_err().to_string().contains("ended in a panic"));
        }
        drop(writer);
        assert_eq!(rows(&path), 0);
    }

    #[tokio::test]
    async fn what_is_answered_is_synced() {
        let (_folder, path) = new_file();
        let set = |pragma: &'static str, value: i64| (pragma, value);
        let expected = [set("synchronous", 2), set("foreign_keys", 1), set("mmap_size", 0), set("secure_delete", 1), set("temp_store", 2)];
        start(&path)
            .write("look", move |c| {
                for (pragma, value) in expected {
                    assert_eq!(c.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))?, value, "{pragma}");
                }
                assert_eq!(c.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?, "wal");
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_ledger_refuses_changes() {
        let (_folder, path) = new_file();
        let writer = start(&path);
        writer.write("note", |c| note(c, NOW, Event::Reveal, "")).await.unwrap();
        for sql in ["UPDATE ledger SET event = 'x'", "DELETE FROM ledger", "REPLACE INTO ledger (seq, at, event) VALUES (1, 0, 'x')"] {
            let refused = writer.write("tamper", move |c| Ok(c.execute(sql, []).unwrap_err().to_string())).await.unwrap();
            assert!(refused.contains("the ledger is append-only"), "{refused}");
        }
        assert_eq!(rows(&path), 1);
    }
}
