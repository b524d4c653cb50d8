//! `store migrate`: the schema of a store on PostgreSQL. `store copy`: see [`super::store_copy`]. `store rekey`: another key for a sealed store, while the daemon runs.
//!
//! Each call goes as far as it can, and the next one goes on: whatever ends it, either key opens the store until the last step. That step waits until
//! `[store] key_file` holds the new key, so that no start is left with a key that opens nothing. The program writes the new key's file, and replaces
//! none: secrets are the practice's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use clap::Subcommand;

use super::progress::Progress;
use super::{Exit, Usage, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::{Config, StoreUrl};
use crate::outbox::Upkeep;
use crate::outbox::postgres::{PostgresOutbox, Server};
use crate::outbox::sqlite::{Access, Reached, Rekeying, SqliteOutbox, StoreKey};

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Moves the practice to another store, whole: notices, what was told, the ledger, sealed values. Stop the daemon before.
    ///
    /// Both are named as `[store] url` names a store; a database is spoken to with `[store] password_file` and `ca_file`, and gets the practice of `[practice]
    /// id`. `[store] key_file` is the key of both. The new one must be empty: a file that is not there, or a database with a schema (`store migrate`)
    /// that has no store of the practice. The old one is refused from then on by every start, and says where the new one is.
    ///
    /// Until it says that the new store is the practice's, start nothing and say no other command on either; set `[store] url` after it. If it was cut
    /// off, say the same again before anything starts: a start on a store that is not filled takes it for a new practice's, and may tell people again.
    Copy {
        /// The store that is: `sqlite:///var/lib/punctual/punctual.db`.
        from: String,
        /// The store that will be: `postgres://punctual@db.example.com/punctual`.
        to: String,
    },
    /// Gives a sealed store another key, and seals all of it anew; the daemon may run (but not on a database). Say it again after any end: it goes on where it was.
    ///
    /// First with `--to`: it writes the new key to that file, and seals all anew; either key opens the store then. Put the file in place of `[store]
    /// key_file`, restart the daemon if the key is a systemd credential, and say it again: from then on the old key opens nothing. Copies that
    /// were made before still open with it.
    Rekey {
        /// The file for the new key: a new one, mode 0600.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Makes the schema of a PostgreSQL store, or brings it up to date; a daemon never does so by itself. Whole or not at all; several at once wait for
    /// each other. (A SQLite file is brought up to date by the daemon that starts on it.)
    Migrate,
}

fn migrate(server: &Server) -> anyhow::Result<Exit> {
    match PostgresOutbox::migrate(server)? {
        (from, to) if from == to => out!("The {} has schema version {to} already: nothing was changed.", server.shown()),
        (0, to) => out!("The {} has schema version {to} now: the daemon can be started.", server.shown()),
        (from, to) => out!("The {} has schema version {to} now, in place of {from}.", server.shown()),
    }
    Ok(Exit::Done)
}

const NOT_SEALED: &str = "[store] key_file is not set: nothing in the store is sealed, and there is no key to replace";
/// A daemon looks at least every five seconds which key holds: the old one is not taken away before.
const NOTICED: TimeDelta = TimeDelta::seconds(15);
/// From one transaction to the next: whoever else writes gets their turn.
const TURN: Duration = Duration::from_millis(10);

pub(super) fn store(config: &Config, command: &StoreCommand) -> anyhow::Result<Exit> {
    let path = match (command, &config.store) {
        (StoreCommand::Copy { from, to }, _) => return super::store_copy::run(config, from, to),
        (_, None) => bail!("no store is configured: set [store] url"),
        (StoreCommand::Rekey { .. }, Some(StoreUrl::Sqlite(path))) => path,
        (StoreCommand::Rekey { to }, Some(StoreUrl::Postgres(server))) => return rekey_database(config, server, to.as_deref()),
        (StoreCommand::Migrate, Some(StoreUrl::Sqlite(_))) => {
            out!("The store is a file: the daemon brings its schema up to date when it starts. There is nothing to do.");
            return Ok(Exit::Done);
        }
        (StoreCommand::Migrate, Some(StoreUrl::Postgres(server))) => return migrate(server),
    };
    let StoreCommand::Rekey { to } = command else { return Ok(Exit::Done) };
    let Some(key) = &config.store_key else { bail!(NOT_SEALED) };
    runtime()?.block_on(async {
        let store = SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), Access::Command, Some(key))?;
        let Some(new) = begun(&store, to.as_deref(), key).await? else { return Ok(Exit::Done) };
        sealed_anew(&store).await?;
        if !new.is(key) {
            let file = config.raw.store.key_file.as_deref().unwrap_or(Path::new("[store] key_file"));
            out!("All of it is sealed with the new key. Until the last step either key opens it.");
            out!("Put the new key's file in place of {}, restart the daemon if it is a systemd credential, and say", file.display());
            out!("once more: punctual store rekey");
            return Ok(Exit::Attention);
        }
        finish(&store, path).await
    })
}

/// In one step, while no daemon serves it.
fn rekey_database(config: &Config, server: &Server, to: Option<&Path>) -> anyhow::Result<Exit> {
    let Some(key) = &config.store_key else { bail!(NOT_SEALED) };
    let Some(to) = to else {
        drop(crate::daemon::look_at_store(config)?);
        out!("The store has one key, that of [store] key_file. For another one: punctual store rekey --to FILE");
        return Ok(Exit::Done);
    };
    let new = if to.exists() { written_before(to, key)? } else { key.successor().map_err(anyhow::Error::msg)? };
    if !to.exists() {
        write_key(to, &new)?;
    }
    let bar = Progress::new("sealing anew");
    let counted = bar.clone();
    let place = (server, config.raw.practice.id.as_str());
    let rows = PostgresOutbox::rekey(place, (key, &new), WallClock.now(), move |rows| counted.counted(rows));
    bar.done();
    let rows = rows?;
    let file = config.raw.store.key_file.as_deref().unwrap_or(Path::new("[store] key_file"));
    out!(
        "All of it, {rows} rows, is sealed with the new key, and the old one opens it no more. Every row of the ledger follows from the one before it."
    );
    out!(
        "Put {} in place of {}, and start the daemon. What was backed up before opens with the old key: keep it as long.",
        to.display(),
        file.display()
    );
    Ok(Exit::Done)
}

/// The new key, if the store gets one; begins, if it does not yet.
async fn begun(store: &SqliteOutbox, to: Option<&Path>, key: &StoreKey) -> anyhow::Result<Option<StoreKey>> {
    if let Rekeying::Begun { new, .. } = store.rekeying().await? {
        // The file may be lost: the store knows what was in it.
        if let Some(to) = to.filter(|to| !to.exists()) {
            write_key(to, &new)?;
        }
        return Ok(Some(new));
    }
    let Some(to) = to else {
        if store.verify_ledger(None).await?.findings.is_empty() {
            out!("The store has one key, that of [store] key_file. For another one: punctual store rekey --to FILE");
            return Ok(None);
        }
        bail!("the ledger is not as it was written: see punctual ledger verify");
    };
    if let Some(finding) = store.verify_ledger(None).await?.findings.first() {
        bail!("the ledger is not as it was written: {finding}; see punctual ledger verify. Nothing was changed");
    }
    let new = if to.exists() { written_before(to, key)? } else { key.successor().map_err(anyhow::Error::msg)? };
    if !to.exists() {
        write_key(to, &new)?;
    }
    store.begin_rekey(&new, WallClock.now()).await?.map_err(|why| anyhow::anyhow!("{why}"))?;
    Ok(Some(new))
}

/// An earlier call wrote the file, and ended before it began.
fn written_before(to: &Path, key: &StoreKey) -> anyhow::Result<StoreKey> {
    let read = fs::read_to_string(to).with_context(|| format!("{} cannot be read", to.display()))?;
    let new = StoreKey::parse(&read).map_err(|why| Usage(format!("{} is there already, and {why}: name a new file", to.display())))?;
    if new.is(key) {
        return Err(Usage(format!("{} holds the key that the store has: name a new file", to.display())).into());
    }
    Ok(new)
}

/// Durable before anything is sealed with it.
fn write_key(to: &Path, key: &StoreKey) -> anyhow::Result<()> {
    let written = || -> io::Result<()> {
        let part = to.with_extension("part");
        drop(fs::remove_file(&part));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(key.text().as_bytes())?;
        file.sync_all()?;
        // Never over a file that is there.
        fs::hard_link(&part, to)?;
        fs::remove_file(&part)?;
        File::open(to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
    };
    written().with_context(|| format!("{} cannot be written; name a new file in a folder that only the service can read", to.display()))
}

async fn sealed_anew(store: &SqliteOutbox) -> anyhow::Result<()> {
    let bar = Progress::new("sealing anew");
    let mut next = Some(Reached::default());
    while let Some(reached) = next {
        next = store.rekey_some(reached).await?;
        tokio::time::sleep(TURN).await;
    }
    bar.done();
    Ok(())
}

async fn finish(store: &SqliteOutbox, path: &Path) -> anyhow::Result<Exit> {
    if let Rekeying::Begun { since: Some(since), .. } = store.rekeying().await?
        && crate::outbox::sqlite::is_served(path)
    {
        let left = since + NOTICED - WallClock.now();
        tokio::time::sleep(left.clamp(TimeDelta::zero(), NOTICED).to_std().unwrap_or_default()).await;
    }
    store.finish_rekey(WallClock.now()).await?;
    let verified = store.verify_ledger(None).await?;
    if let Some(finding) = verified.findings.first() {
        bail!("the ledger is not as it was written: {finding}; see punctual ledger verify");
    }
    out!("The store has its new key, and the old one opens it no more. Every row of the ledger follows from the one before it.");
    out!("Copies that were made before open with the old key: keep it as long as you keep them, or make a new backup.");
    if !store.has_forgotten() {
        out!("Somebody reads the store just now: what the old key sealed leaves the log beside it with the next writes, or the next stop.");
    }
    Ok(Exit::Done)
}
