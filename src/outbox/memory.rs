//! The outbox in memory: for simulations and tests. The rules are those of every store; nothing outlives the process.
//!
//! Its clock, by which leases are measured, stands still until [`MemoryOutbox::set_clock`] moves it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use tables::Tables;

use super::{ReadFile, SourceLook, TransportName, transports};

mod attempt;
mod guard;
mod known;
mod outgoing;
mod parts;
mod query;
mod receipt;
mod refused;
mod reply;
mod retention;
mod rows;
mod sources;
mod tables;

/// The outbox in memory. See the module.
pub struct MemoryOutbox {
    reference_key: [u8; 32],
    tables: Mutex<Tables>,
    transports: Mutex<BTreeMap<TransportName, transports::Row>>,
    looks: Mutex<BTreeMap<String, SourceLook>>,
    reads: Mutex<BTreeMap<String, ReadFile>>,
}

impl MemoryOutbox {
    /// An empty store whose Message-IDs are made with this key.
    pub fn new(reference_key: [u8; 32]) -> Self {
        Self { reference_key, tables: Mutex::default(), transports: Mutex::default(), looks: Mutex::default(), reads: Mutex::default() }
    }

    /// Moves the clock by which leases are measured.
    pub fn set_clock(&self, now: DateTime<Utc>) {
        self.tables().clock = now;
    }

    fn rows_of_transports(&self) -> MutexGuard<'_, BTreeMap<TransportName, transports::Row>> {
        self.transports.lock().expect("nothing panics while it holds this lock")
    }

    fn rows_of_looks(&self) -> MutexGuard<'_, BTreeMap<String, SourceLook>> {
        self.looks.lock().expect("nothing panics while it holds this lock")
    }

    fn rows_of_reads(&self) -> MutexGuard<'_, BTreeMap<String, ReadFile>> {
        self.reads.lock().expect("nothing panics while it holds this lock")
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds this lock")
    }
}
