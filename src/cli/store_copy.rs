//! `store copy`: a practice moves from a file to a database, or back, whole.

use std::path::Path;

use anyhow::{Context, ensure};

use super::progress::Progress;
use super::{Exit, Usage, runtime};
use crate::access::{AccessList, file};
use crate::clock::{Clock, WallClock};
use crate::config::{Config, StoreUrl};
use crate::outbox::copy::{StoreLocation, copy};
use crate::outbox::postgres::PostgresOutbox;
use crate::outbox::{self, Nodes};

/// Where users go that stood in a store, and may stand in none.
const USERS: &str = "users-of-the-database.toml";

/// Copies, and says what to do next.
pub(super) fn run(config: &Config, from: &str, to: &str) -> anyhow::Result<Exit> {
    let (left, new) = (place(config, from)?, place(config, to)?);
    let users = users_of(config, &left)?;
    let bar = Progress::new("copying");
    let copied = copy((&left, &new), config.store_key.as_ref(), WallClock.now(), |rows| bar.counted(rows));
    bar.done();
    let copied = copied.context("the copy did not end")?;
    out!("Copied {} rows, {} of them of the ledger; every row of that follows from the one before it.", copied.rows, copied.ledger);
    if copied.held {
        out!("An earlier copy to the same place did not end: what is due is held at the next start, as after a restore.");
    }
    if let Some(users) = users {
        put_users(config, &new, &users)?;
    }
    out!("From here on the store is {}; {} is refused.", new.shown(), left.shown());
    out!("Next: set [store] url = {to:?}, and start the daemon. Keep the old one until the new one is in your backups.");
    Ok(Exit::Done)
}

/// Users and tokens that stand in a store.
fn users_of(config: &Config, store: &StoreLocation) -> anyhow::Result<Option<AccessList>> {
    let StoreLocation::Database(server, practice) = store else { return Ok(None) };
    // One that cannot be opened cannot be copied: the copy says why.
    let Ok(outbox) = PostgresOutbox::open(server, practice, outbox::Access::Look, config.store_key.as_ref()) else { return Ok(None) };
    let text = runtime()?.block_on(outbox.users(-1))?.map(|(_, text)| text).filter(|text| !text.is_empty());
    text.map(|text| AccessList::parse(&text)).transpose().map_err(anyhow::Error::msg)
}

/// They go along into a database; for a file they are written beside the working directory.
fn put_users(config: &Config, new: &StoreLocation, users: &AccessList) -> anyhow::Result<()> {
    let StoreLocation::Database(server, practice) = new else {
        file::write(Path::new(USERS), users).map_err(anyhow::Error::msg)?;
        out!("Users and tokens stood in the old store. They are in {USERS} now: set [server] users_file to it, in the place of users.");
        return Ok(());
    };
    let outbox = PostgresOutbox::open(server, practice, outbox::Access::Command, config.store_key.as_ref())?;
    let put = runtime()?.block_on(outbox.put_users(0, &users.to_text().map_err(anyhow::Error::msg)?))?;
    ensure!(put, "users and tokens of the old store could not be put into the new one: somebody else was faster");
    out!("Users and tokens went along.");
    Ok(())
}

fn place(config: &Config, url: &str) -> anyhow::Result<StoreLocation> {
    let store = config.store_at(url).map_err(|why| Usage(format!("{url}: {why}")))?;
    Ok(match store {
        StoreUrl::Sqlite(path) => StoreLocation::File(path),
        StoreUrl::Postgres(server) => StoreLocation::Database(server, config.raw.practice.id.clone()),
    })
}
