//! The outbox in memory: for simulations and tests. The rules are those of every store; nothing outlives the process.
//!
//! Its clock, by which leases are measured, stands still until [`MemoryOutbox::set_clock`] moves it.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock};

use chrono::{DateTime, Utc};
use tables::Tables;

mod attempt;
mod guard;
mod known;
mod parts;
mod query;
mod receipt;
mod refused;
mod reply;
mod retention;
mod rows;
mod sources;
mod tables;

/// Where something else may happen first, as it does in life: see [`MemoryOutbox::meanwhile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Between what a walk read and what it writes.
    Apply,
    /// Attempts begin.
    Begin,
    /// An attempt passes its point of no return.
    Doubt,
    /// Claims end.
    Settle,
}

/// What happens first.
pub type Meanwhile = dyn Fn(Point) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The outbox in memory. See the module.
pub struct MemoryOutbox {
    reference_key: [u8; 32],
    tables: Mutex<Tables>,
    meanwhile: OnceLock<Box<Meanwhile>>,
}

impl MemoryOutbox {
    /// An empty store whose Message-IDs are made with this key.
    pub fn new(reference_key: [u8; 32]) -> Self {
        Self { reference_key, tables: Mutex::default(), meanwhile: OnceLock::new() }
    }

    /// Runs this before each write of these kinds, so that a test can let something else happen there. Once for a store.
    pub fn meanwhile(&self, happens: Box<Meanwhile>) {
        self.meanwhile.set(happens).ok();
    }

    async fn reaches(&self, point: Point) {
        if let Some(happens) = self.meanwhile.get() {
            happens(point).await;
        }
    }

    /// Moves the clock by which leases are measured.
    pub fn set_clock(&self, now: DateTime<Utc>) {
        self.tables().clock = now;
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds this lock")
    }
}
