//! Connections that read, beside the one that writes: a long list never delays a commit.
//!
//! In: closures over a read-only connection. Out: their answers, from one consistent view that has every write answered before.
//! A failed read poisons nothing.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open::{explain, open_reader};
use crate::outbox::{Result, StoreError};

/// Reads at once: a dashboard, a command of the daemon, the planner and the dispatcher.
const READERS: usize = 4;

/// A few read-only connections, opened when they are needed first.
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// Opens nothing yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Runs `op` in a read transaction, on a thread that may block.
    pub(super) async fn read<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (path, idle) = (self.path.clone(), self.idle.clone());
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = free.map_or_else(|| open_reader(&path), Ok).map_err(|e| explain(&path, action, &e))?;
            let value = in_transaction(&connection, op).map_err(|e| explain(&path, action, &e))?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Ok(value)
        });
        task.await.unwrap_or_else(|e| Err(StoreError { action: action.to_owned(), cause: format!("the read did not end: {e}") }))
    }
}

/// Several statements of one read see the same moment. A connection whose read failed is closed, its transaction with it.
fn in_transaction<T>(connection: &Connection, op: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    connection.execute_batch("BEGIN")?;
    let value = op(connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(value)
}
