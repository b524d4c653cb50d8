//! The one daemon of a practice. It says every few seconds that it lives; one that says nothing for a while is gone, and another one may take its place:
//! from then on the database takes nothing from the first one any more, however long it slept.
//!
//! A reload is another start of the same process, and takes its own place at once. Other nodes stand by, and look whether the one that serves still lives.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;

use super::columns::get;
use super::db::{Db, Tx};
use super::error::{Res, refused};

/// What a start says that finds another one.
pub const SERVED_BY: &str = "another punctual serves this practice (";
/// How long a daemon counts as alive after it said so, in the words of PostgreSQL.
const ALIVE: &str = "interval '20 seconds'";
/// So often a start looks whether this process is done with it.
const TRIES: u32 = 400;
/// How often a start looks whether the one before it still does.
const LOOK: Duration = Duration::from_millis(500);

/// The practices that this process serves: what a reload left to close is waited for.
static SERVED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A practice that this process serves, until it is dropped.
pub(super) struct Seat(String);

impl Seat {
    /// As soon as this process does not serve it any more.
    async fn take(name: String) -> Res<Self> {
        for _ in 0..TRIES {
            if SERVED.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
                return Ok(Self(name));
            }
            tokio::time::sleep(LOOK / 10).await;
        }
        Err(refused("this process serves the practice already"))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        SERVED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// This daemon.
#[derive(Clone)]
pub(super) struct Node {
    /// Drawn at this start.
    boot: String,
    /// Free again once the last connection of this store is closed.
    _seat: Arc<Seat>,
}

impl Node {
    /// Takes the practice, as soon as nobody else has it. An error: somebody lives who has it.
    pub(super) async fn join(db: &Db, lineage: &str, name: Option<&str>) -> Res<Self> {
        let seat = Seat::take(format!("{lineage} {}", db.practice)).await?;
        let mut drawn = [0; 16];
        getrandom::fill(&mut drawn).map_err(|e| refused(format!("the system gives no random bytes: {e}")))?;
        let node = Self { boot: HEXLOWER.encode(&drawn), _seat: Arc::new(seat) };
        let mut first: Option<DateTime<Utc>> = None;
        loop {
            if node.take(db, &says(name)).await? {
                return Ok(node);
            }
            let Some(row) = db.first("SELECT alive_until, says FROM node WHERE practice = $1", &[&db.practice]).await? else { continue };
            let alive_until = get(&row, 0)?;
            if *first.get_or_insert(alive_until) != alive_until {
                return Err(refused(format!("{SERVED_BY}{}): end that one first", get::<String>(&row, 1)?)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Under the lock that every transaction of the practice holds.
    async fn take(&self, db: &Db, says: &str) -> Res<bool> {
        let tx = Tx::begin(db).await?;
        let sql = format!(
            "INSERT INTO node (practice, boot, process, says, alive_until) VALUES ($1, $2, $3, $4, clock_timestamp() + {ALIVE})
             ON CONFLICT (practice) DO UPDATE SET boot = excluded.boot, process = excluded.process, says = excluded.says, alive_until = excluded.alive_until
             WHERE node.alive_until < clock_timestamp() OR node.process = excluded.process"
        );
        let taken = tx.execute(&sql, &[&db.practice, &self.boot, &process(), &says]).await?;
        db.commit().await?;
        Ok(taken == 1)
    }

    /// In a transaction of the writer: nobody else has taken it.
    pub(super) async fn holds(&self, tx: &Tx<'_>) -> Res<bool> {
        tx.exists("SELECT 1 FROM node WHERE practice = $1 AND boot = $2", &[&tx.practice, &self.boot]).await
    }

    /// Says that it lives.
    pub(super) async fn beat(&self, db: &Db) -> Res<u64> {
        let sql = format!("UPDATE node SET alive_until = clock_timestamp() + {ALIVE} WHERE practice = $1 AND boot = $2");
        db.execute(&sql, &[&db.practice, &self.boot]).await
    }

    /// Says that it ends.
    pub(super) async fn leave(&self, db: &Db) -> Res<u64> {
        db.execute("DELETE FROM node WHERE practice = $1 AND boot = $2", &[&db.practice, &self.boot]).await
    }
}

/// What stays the same over a reload, which replaces the program in the same process: the machine's start, the process and its start.
pub(super) fn process() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let stat = read("/proc/self/stat");
    // Behind the name, which may hold anything: the 20th field is the time of the start.
    let started = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)).unwrap_or_default();
    let (boot, host) = (read("/proc/sys/kernel/random/boot_id"), read("/proc/sys/kernel/hostname"));
    format!("{} {} {} {started}", host.trim(), boot.trim(), std::process::id())
}

fn says(name: Option<&str>) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let process = format!("process {} on {}", std::process::id(), host.trim());
    name.map_or(process.clone(), |name| format!("node {name}, {process}"))
}
