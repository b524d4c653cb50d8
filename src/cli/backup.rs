//! `backup FILE`: a checked copy of the store, while it is in use.

use std::path::Path;

use anyhow::bail;
use serde::Serialize;

use super::accounts::account;
use super::progress::Progress;
use super::table::counted_rows;
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::{Config, StoreUrl};
use crate::ledger::{Anchor, Event};
use crate::outbox::Actions;
use crate::outbox::sqlite::{Access, SqliteOutbox};

#[derive(Serialize)]
struct Made {
    file: String,
    bytes: u64,
    ledger_rows: u64,
    ledger_head: Anchor,
}

pub(super) fn backup(config: Config, to: &Path, json: bool) -> anyhow::Result<Exit> {
    let path = match &config.store {
        None => bail!("no store is configured: there is nothing to copy"),
        Some(StoreUrl::Sqlite(path)) => path,
        Some(StoreUrl::Postgres(server)) => {
            bail!("the store is the {}: its server's own backup copies it, pg_basebackup or pg_dump (docs/operations.md)", server.shown())
        }
    };
    if to.exists() {
        bail!("{} is there already: name a new file", to.display());
    }
    let bar = Progress::new("copied");
    let shown = bar.clone();
    let verified = runtime()?.block_on(async {
        let store = SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), Access::Command, config.store_key.as_ref())?;
        let verified = store.backup(to, move |done, all| shown.reached(done, all)).await?;
        store.record_event(WallClock.now(), Event::Backup, &format!("up to row {}, by {}", verified.head, account())).await?;
        anyhow::Ok(verified)
    });
    bar.done();
    let verified = verified?;
    let bytes = to.metadata()?.len();
    let made = Made { file: to.display().to_string(), bytes, ledger_rows: verified.rows, ledger_head: verified.head };
    if json {
        out!("{}", serde_json::to_string(&made)?);
    } else {
        out!(
            "{}: {bytes} bytes, sound, with {} of the ledger, each following from the one before it",
            made.file,
            counted_rows(made.ledger_rows)
        );
        out!("Its last row: {}", made.ledger_head);
    }
    Ok(Exit::Done)
}
