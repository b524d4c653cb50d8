//! Connections that read, beside the one that writes: a long list never delays a commit.
//!
//! In: closures over a read-only connection. Out: their answers, from one consistent view that has every write answered before.
//! A failed read poisons nothing.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open::{explain, open_reader};
use super::sealed::Sealer;
use crate::outbox::{Result, StoreError};

/// Reads at once: a dashboard, a command of the daemon, the planner and the dispatcher.
const READERS: usize = 4;

/// A few read-only connections, opened when they are needed first.
pub(super) struct Readers {
    path: PathBuf,
    sealer: Sealer,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// Opens nothing yet.
    pub(super) fn new(path: PathBuf, sealer: Sealer) -> Self {
        Self { path, sealer, permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Runs `op` in a read transaction, on a thread that may block.
    pub(super) async fn read<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (path, sealer, idle) = (self.path.clone(), self.sealer.clone(), self.idle.clone());
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = free.map_or_else(|| open_reader(&path, &sealer), Ok).map_err(|e| explain(&path, action, &e))?;
            let value = in_transaction(&connection, &sealer, op).map_err(|e| explain(&path, action, &e))?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(value)
        });
        task.await.unwrap_or_else(|e| Err(StoreError { action: action.to_owned(), cause: format!("the read did not end: {e}") }))
    }
}

/// Several statements of one read see the same moment. A connection whose read failed is closed, its transaction with it.
fn in_transaction<T>(connection: &Connection, sealer: &Sealer, op: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    connection.execute_batch("BEGIN")?;
    sealer.refresh(connection)?;
    let value = op(connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tokio::sync::oneshot;

    use super::*;
    use crate::ledger::Event;
    use crate::outbox::Access;
    use crate::outbox::sqlite::history::note;
    use crate::outbox::sqlite::open::open;
    use crate::outbox::sqlite::tx::Tx;
    use crate::outbox::sqlite::writer::Writer;

    fn rows(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0))
    }

    #[tokio::test]
    async fn a_long_read_delays_no_commit_and_sees_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let writer =
            Writer::start(open(&path, Access::Daemon, (&Sealer::new(None), None)).unwrap().connection, &path, Sealer::new(None)).unwrap();
        let readers = Readers::new(path, Sealer::new(None));
        let (tell_running, running) = oneshot::channel();
        let (open_gate, gate) = std::sync::mpsc::channel::<()>();
        let long = readers.read("long", move |c| {
            let before = rows(c)?;
            tell_running.send(()).expect("the test waits for it");
            gate.recv().expect("the test opens it");
            Ok((before, rows(c)?))
        });
        let beside = async {
            running.await.unwrap();
            writer.write("note", |c| note(c, DateTime::UNIX_EPOCH, Event::Reveal, "")).await.unwrap();
            assert_eq!(readers.read("short", rows).await.unwrap(), 1, "what was answered is seen");
            open_gate.send(()).unwrap();
        };
        let (long, ()) = tokio::join!(long, beside);
        assert_eq!(long.unwrap(), (0, 0));
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let _writer = open(&path, Access::Daemon, (&Sealer::new(None), None)).unwrap();
        let readers = Readers::new(path, Sealer::new(None));
        let error = readers.read("write", |c| note(&Tx::new(c), DateTime::UNIX_EPOCH, Event::Reveal, "")).await.unwrap_err();
        assert!(error.to_string().contains("cannot be written") || error.to_string().contains("readonly"), "{error}");
        assert_eq!(readers.read("count", rows).await.unwrap(), 0, "a failed read poisons nothing");
    }
}
