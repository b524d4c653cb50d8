//! The one connection that writes, on its own thread, and its group commit.
//!
//! In: closures over the connection, through a bounded channel. Out: their answers, after the commit that makes them durable.
//! A group is what has arrived when the last commit was done, so a group grows with the load, and nobody waits for company.
//!
//! Invariants: an answer is sent only after its COMMIT returned. After any error of SQLite nothing is written any more.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{mpsc, oneshot};

use super::open::explain;
use crate::outbox::{Result, StoreError};

/// Writes that wait for the writer; more make their callers wait. Each is one attempt's step, and there are far fewer attempts at once.
const QUEUE: usize = 1024;
/// Writes in one transaction, so that the first of a long queue is answered before the last has run.
const GROUP: usize = 256;

/// Sends an answer; called when it is durable.
type Answer = Box<dyn FnOnce() + Send>;
/// One write: runs inside the group's transaction.
type Run = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Answer> + Send>;

struct Job {
    action: &'static str,
    run: Run,
}

/// What the thread tells the callers besides their answers.
#[derive(Default)]
struct Shared {
    commits: AtomicU64,
    /// Why nothing is written any more.
    poison: OnceLock<String>,
}

/// The handle of the writer thread. Dropping it ends the thread after what it runs, and waits for that.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Writer {
    /// Takes the connection over.
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let (inside, path) = (shared.clone(), path.to_owned());
        let thread = std::thread::Builder::new().name("outbox-writer".to_owned()).spawn(move || serve(connection, queue, &inside, &path));
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
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let run: Run = Box::new(move |connection| {
            let value = op(connection)?;
            // The caller may be gone; what it asked is done all the same.
            Ok(Box::new(move || drop(answer.send(value))) as Answer)
        });
        let jobs = self.jobs.as_ref().expect("the sender is there until the drop");
        if jobs.send(Job { action, run }).await.is_err() {
            return Err(self.ended(action));
        }
        answered.await.map_err(|_| self.ended(action))
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

fn serve(connection: Connection, mut queue: mpsc::Receiver<Job>, shared: &Shared, path: &Path) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        match commit(&connection, group) {
            Ok(answers) => {
                shared.commits.fetch_add(1, Ordering::Relaxed);
                for answer in answers {
                    answer();
                }
            }
            Err((action, error)) => return give_up(&connection, shared, &explain(path, action, &error)),
        }
    }
}

/// One transaction. The answers of a group that failed are dropped unsent, and so tell their callers.
fn commit(connection: &Connection, group: Vec<Job>) -> std::result::Result<Vec<Answer>, (&'static str, rusqlite::Error)> {
    let mut answers = Vec::with_capacity(group.len());
    connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| ("begin of a transaction", e))?;
    for job in group {
        answers.push((job.run)(connection).map_err(|e| (job.action, e))?);
    }
    connection.execute_batch("COMMIT").map_err(|e| ("commit", e))?;
    Ok(answers)
}

/// After a failed write the page cache may hold what the disk does not: nothing of it may be copied into the database when the
/// connection closes. The next start reads what the log has on the disk.
fn give_up(connection: &Connection, shared: &Shared, error: &StoreError) {
    tracing::error!(%error, "the store is out of use until the next start");
    drop(shared.poison.set(error.to_string()));
    drop(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
    drop(connection.execute_batch("ROLLBACK"));
}
