//! `store copy`: a practice moves from a file to a database, or back, whole.

use anyhow::Context;

use super::progress::Progress;
use super::{Exit, Usage};
use crate::clock::{Clock, WallClock};
use crate::config::{Config, StoreUrl};
use crate::outbox::copy::{StoreLocation, copy};

/// Copies, and says what to do next.
pub(super) fn run(config: &Config, from: &str, to: &str) -> anyhow::Result<Exit> {
    let (left, new) = (place(config, from)?, place(config, to)?);
    let bar = Progress::new("copying");
    let copied = copy((&left, &new), config.store_key.as_ref(), WallClock.now(), |rows| bar.counted(rows));
    bar.done();
    let copied = copied.context("the copy did not end")?;
    println!("Copied {} rows, {} of them of the ledger; every row of that follows from the one before it.", copied.rows, copied.ledger);
    if copied.held {
        println!("An earlier copy to the same place did not end: what is due is held at the next start, as after a restore.");
    }
    println!("From here on the store is {}; {} is refused.", new.shown(), left.shown());
    println!("Next: set [store] url = {to:?}, and start the daemon. Keep the old one until the new one is in your backups.");
    Ok(Exit::Done)
}

fn place(config: &Config, url: &str) -> anyhow::Result<StoreLocation> {
    let store = config.store_at(url).map_err(|why| Usage(format!("{url}: {why}")))?;
    Ok(match store {
        StoreUrl::Sqlite(path) => StoreLocation::File(path),
        StoreUrl::Postgres(server) => StoreLocation::Database(server, config.raw.practice.id.clone()),
    })
}
