//! A node that starts while its database is away waits for it, and ends when it is told to. What waiting does not mend ends it as any start: a log-in that is
//! refused, a database or a schema that is not there.

use std::time::Duration;

use tokio::runtime::Handle;

use super::signals::Signals;
use crate::config::{Config, StoreUrl};
use crate::daemon::Notifier;
use crate::outbox::postgres::{PostgresOutbox, Server};

/// From one look to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// The configuration, once its database is there; at once, if it is no node's. `None`: it was told to end meanwhile.
pub(super) async fn of_the_database(
    runtime: &Handle,
    config: Config,
    signals: &mut Signals,
    load: &impl Fn() -> Result<Config, String>,
) -> Option<Config> {
    let (mut config, notifier, mut waits) = (config, Notifier::from_environment(), false);
    while let Some(server) = server(&config) {
        // (By the engine's runtime, whose threads an end does not wait for.)
        let looking = runtime.spawn_blocking(move || PostgresOutbox::away(&server));
        let why = tokio::select! {
            looked = looking => looked.ok().flatten(),
            () = signals.end() => return None,
        };
        let Some(why) = why else { break };
        if !waits {
            tracing::warn!(why, "the database is away: this node waits until it is there");
        }
        waits = true;
        notifier.waits(&format!("waits for the database: {why}"));
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = signals.terminate.recv() => return None,
            _ = signals.interrupt.recv() => return None,
            _ = signals.hangup.recv() => match load() {
                Ok(other) => config = other,
                Err(why) => tracing::error!(%why, "the new configuration is not taken"),
            },
        }
    }
    if waits {
        tracing::info!("the database is there");
        notifier.goes_on();
    }
    Some(config)
}

/// Where a node's database is.
fn server(config: &Config) -> Option<Server> {
    match &config.store {
        Some(StoreUrl::Postgres(server)) if config.raw.node.name.is_some() => Some(Server::clone(server)),
        _ => None,
    }
}
