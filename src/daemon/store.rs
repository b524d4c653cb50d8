//! The configured store, whichever it is.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use chrono::{DateTime, Utc};

use crate::config::{Config, StoreUrl};
use crate::outbox::postgres::PostgresOutbox;
use crate::outbox::sqlite::SqliteOutbox;
use crate::outbox::{Access, Outbox, sqlite};
use crate::suppression::SuppressedAddress;

/// Opens the configured store. `lock`: as the one process that hands over.
pub fn open_store(config: &Config, lock: bool) -> anyhow::Result<Arc<dyn Outbox>> {
    open_for(config, if lock { Access::Daemon } else { Access::Command })
}

/// Makes the configured store where a database holds none of this practice yet, as the first start does: users may stand in it before a daemon runs.
pub fn begin_store(config: &Config) -> anyhow::Result<()> {
    let Some(StoreUrl::Postgres(server)) = &config.store else { return Ok(()) };
    Ok(PostgresOutbox::begin(server, practice(config), config.store_key.as_ref())?)
}

/// Opens it to say what is wrong with it: also one that somebody changed.
pub fn look_at_store(config: &Config) -> anyhow::Result<Arc<dyn Outbox>> {
    open_for(config, Access::Look)
}

fn open_for(config: &Config, access: Access) -> anyhow::Result<Arc<dyn Outbox>> {
    let key = config.store_key.as_ref();
    match &config.store {
        None => bail!("no store is configured: set [store] url = \"sqlite://punctual.db\""),
        // Nothing failed: it is made by the daemon.
        Some(StoreUrl::Sqlite(path)) if !matches!(access, Access::Daemon) && is_new(path) => {
            bail!("there is no store yet ({}): `punctual run` makes it at its first start", path.display())
        }
        Some(StoreUrl::Sqlite(path)) => Ok(Arc::new(SqliteOutbox::open_with(&url(path), access, key)?)),
        Some(StoreUrl::Postgres(server)) => {
            if access != Access::Daemon {
                match PostgresOutbox::stands(server, practice(config)) {
                    Ok(standing) if !standing.made && PostgresOutbox::look(server)?.is_empty() => {
                        bail!("there is no store yet ({}): `punctual run` makes it at its first start", server.shown())
                    }
                    // Asked once: whoever waits for it waits no longer than that.
                    Err(error) if error.is_away() => return Err(error.into()),
                    _ => {}
                }
            }
            Ok(Arc::new(PostgresOutbox::open(server, practice(config), access, key)?))
        }
    }
}

/// Neither the file nor a log of it is there.
fn is_new(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    !path.exists() && !Path::new(&log).exists()
}

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// By which a database knows whose store it is.
fn practice(config: &Config) -> &str {
    &config.raw.practice.id
}

/// Whether the configured store was ever filled. One that cannot be looked at counts as such: whoever opens it says why.
pub fn store_exists(config: &Config) -> bool {
    match &config.store {
        None => false,
        Some(StoreUrl::Sqlite(path)) => path.exists(),
        Some(StoreUrl::Postgres(server)) => PostgresOutbox::stands(server, practice(config)).map_or(true, |standing| standing.made),
    }
}

/// Whether a daemon has it open.
pub fn is_served(config: &Config) -> bool {
    match &config.store {
        None => false,
        Some(StoreUrl::Sqlite(path)) => sqlite::is_served(path),
        Some(StoreUrl::Postgres(server)) => PostgresOutbox::stands(server, practice(config)).is_ok_and(|standing| standing.served),
    }
}

/// What keeps a start from the server that it lies on, in one line each that says what to do.
pub fn store_faults(config: &Config) -> Vec<String> {
    let Some(StoreUrl::Postgres(server)) = &config.store else { return Vec::new() };
    PostgresOutbox::look(server).unwrap_or_else(|error| vec![error.to_string()])
}

/// Takes over the suppressed addresses of another store, before the first start: how many are new here.
pub async fn take_over_suppressions(config: &Config, from: Vec<SuppressedAddress>, now: DateTime<Utc>) -> anyhow::Result<usize> {
    let key = config.store_key.as_ref();
    match &config.store {
        None => bail!("no store is configured: set [store] url"),
        Some(StoreUrl::Sqlite(path)) => {
            Ok(SqliteOutbox::open_with(&url(path), Access::Daemon, key)?.import_suppressions(from, now).await?)
        }
        Some(StoreUrl::Postgres(server)) => {
            let store = PostgresOutbox::open(server, practice(config), Access::Daemon, key)?;
            Ok(store.import_suppressions(from, now).await?)
        }
    }
}
