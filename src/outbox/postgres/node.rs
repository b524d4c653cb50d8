//! The daemons of a practice: one that serves alone, or several that have names, its nodes. Each says every few seconds that it lives; one that says
//! nothing for a while is gone, and the others take back what it had claimed ([`super::tend`]): each step of an attempt names the claim that it is of,
//! so one that slept, or was cut off, changes nothing of that any more, and takes part again.
//!
//! A reload is another start of the same process, and takes its own place at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;

use super::columns::get;
use super::db::{Db, Tx};
use super::error::{Res, refused};
use crate::outbox::nodes::DISPLACED;

/// What a start says that finds another one, and is not to serve beside it.
const SERVED_BY: &str = "another punctual serves this practice (";
/// How long a daemon counts as alive after it said so, in the words of PostgreSQL.
pub(super) const ALIVE: &str = "interval '20 seconds'";
/// So often a start looks whether this process is done with it.
const TRIES: u32 = 400;
/// How often a start looks whether the one before it still does.
const LOOK: Duration = Duration::from_millis(500);

/// What this process serves: what a reload left to close is waited for.
static SERVED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A practice that this process serves by a name, or by none, until it is dropped.
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

#[derive(Clone)]
pub(super) struct Node {
    /// Drawn at this start.
    boot: String,
    /// `[node] name`; `None`: it serves alone.
    name: Option<String>,
    /// Until when it lives by the last word of it that the database has acknowledged.
    acknowledged: Arc<Mutex<Option<DateTime<Utc>>>>,
    /// Free again once the last connection of this store is closed.
    _seat: Arc<Seat>,
}

impl Node {
    /// Takes part, as soon as nobody else lives who keeps it from that. An error: somebody does.
    pub(super) async fn join(db: &Db, lineage: &str, name: Option<&str>) -> Res<Self> {
        let seat = Seat::take(format!("{lineage} {} {name:?}", db.practice)).await?;
        let mut drawn = [0; 16];
        getrandom::fill(&mut drawn).map_err(|e| refused(format!("the system gives no random bytes: {e}")))?;
        let (boot, name) = (HEXLOWER.encode(&drawn), name.map(str::to_owned));
        let node = Self { boot, name, acknowledged: Arc::default(), _seat: Arc::new(seat) };
        let mut first: Option<DateTime<Utc>> = None;
        loop {
            let tx = Tx::begin(db).await?;
            let found = node.enter(&tx).await?;
            db.commit().await?;
            let Some((says, alive_until)) = found else { return Ok(node) };
            if *first.get_or_insert(alive_until) != alive_until {
                return Err(refused(node.kept_out_by(&says)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn kept_out_by(&self, says: &str) -> String {
        match &self.name {
            Some(_) => {
                format!("{SERVED_BY}{says}): one without [node] name serves alone, and each name is of one machine; end that one first")
            }
            None => format!("{SERVED_BY}{says}): end that one first, or give each of them a name, [node] name"),
        }
    }

    /// Under the lock that every transaction of the practice holds. Who keeps it out, and until when that one counts as alive: one of the same name, and
    /// any if one of the two has none. What this process left behind is removed.
    async fn enter(&self, tx: &Tx<'_>) -> Res<Option<(String, DateTime<Utc>)>> {
        let sql =
            "SELECT says, alive_until FROM node WHERE practice = $1 AND boot <> $2 AND process <> $3 AND alive_until >= clock_timestamp()
                   AND (name IS NULL OR $4::text IS NULL OR name = $4) LIMIT 1";
        if let Some(row) = tx.first(sql, &[&tx.practice, &self.boot, &process(), &self.name]).await? {
            return Ok(Some((get(&row, 0)?, get(&row, 1)?)));
        }
        let sql =
            "DELETE FROM node WHERE practice = $1 AND boot <> $2 AND (name IS NOT DISTINCT FROM $4 OR name IS NULL OR $4::text IS NULL)
                   AND (process = $3 OR alive_until < clock_timestamp())";
        tx.execute(sql, &[&tx.practice, &self.boot, &process(), &self.name]).await?;
        let sql = format!(
            "INSERT INTO node (practice, boot, name, process, says, alive_until) VALUES ($1, $2, $3, $4, $5, clock_timestamp() + {ALIVE})
             ON CONFLICT (practice, boot) DO UPDATE SET alive_until = excluded.alive_until"
        );
        tx.execute(&sql, &[&tx.practice, &self.boot, &self.name, &process(), &says(self.name.as_deref())]).await?;
        Ok(None)
    }

    /// In a transaction: it lives yet.
    pub(super) async fn goes_on(&self, tx: &Tx<'_>) -> Res<()> {
        let sql =
            format!("UPDATE node SET alive_until = greatest(alive_until, clock_timestamp() + {ALIVE}) WHERE practice = $1 AND boot = $2");
        tx.execute(&sql, &[&tx.practice, &self.boot]).await?;
        Ok(())
    }

    /// Its row is there.
    pub(super) async fn is_there(&self, tx: &Tx<'_>) -> Res<bool> {
        tx.exists("SELECT 1 FROM node WHERE practice = $1 AND boot = $2", &[&tx.practice, &self.boot]).await
    }

    /// In a transaction that holds the practice alone: it takes part. One that was taken for gone takes part again, unless somebody else has its place.
    pub(super) async fn takes_part(&self, tx: &Tx<'_>) -> Res<()> {
        let sql = "SELECT alive_until >= clock_timestamp() FROM node WHERE practice = $1 AND boot = $2";
        match tx.first(sql, &[&tx.practice, &self.boot]).await?.map(|row| get(&row, 0)).transpose()? {
            Some(true) => return Ok(()),
            // It slept, and has not said again that it lives: what it claims now is not of one that is gone.
            Some(false) => return self.goes_on(tx).await,
            None => {}
        }
        match self.enter(tx).await? {
            None => {
                *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(())
            }
            Some((says, _)) if self.has_name() => Err(refused(format!(
                "{DISPLACED} ({says}), while this one was silent: it sends nothing any more. A name is of one machine: give this one a [node] name of its own, or end the other one, and start it again"
            ))),
            Some((says, _)) => {
                Err(refused(format!("another punctual serves this practice now ({says}): this one said nothing for too long")))
            }
        }
    }

    /// Says in a transaction that it lives, and until when; `None`: it was taken for gone.
    pub(super) async fn beat(&self, db: &Db) -> Res<Option<DateTime<Utc>>> {
        let sql =
            format!("UPDATE node SET alive_until = clock_timestamp() + {ALIVE} WHERE practice = $1 AND boot = $2 RETURNING alive_until");
        db.first(&sql, &[&db.practice, &self.boot]).await?.map(|row| get(&row, 0)).transpose()
    }

    /// What it said is committed.
    pub(super) fn was_heard(&self, said: Option<DateTime<Utc>>) {
        if said.is_some() {
            *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner) = said;
        }
    }

    /// Whether the database has all that this node said until a few seconds ago, and so is no older copy; `None`: it was taken for gone there.
    pub(super) async fn is_known(&self, db: &Db) -> Res<Option<bool>> {
        let sql = "SELECT alive_until FROM node WHERE practice = $1 AND boot = $2";
        let there: Option<DateTime<Utc>> = db.first(sql, &[&db.practice, &self.boot]).await?.map(|row| get(&row, 0)).transpose()?;
        let acknowledged = *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(there.map(|there| acknowledged.is_none_or(|said| said <= there)))
    }

    /// It is one of several.
    pub(super) fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// Says that it ends.
    pub(super) async fn leave(&self, db: &Db) -> Res<u64> {
        db.execute("DELETE FROM node WHERE practice = $1 AND boot = $2", &[&db.practice, &self.boot]).await
    }

    /// Drawn at this start.
    pub(super) fn boot(&self) -> &str {
        &self.boot
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
