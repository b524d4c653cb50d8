//! A node that starts while its database is away, or loses it while it starts, waits for it, and ends when it is told to. What waiting does not mend ends it as any start: a log-in that is
//! refused, a database or a schema that is not there.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::signals::Signals;
use crate::config::{Config, StoreUrl};
use crate::daemon::Notifier;
use crate::outbox::StoreError;
use crate::outbox::postgres::{PostgresOutbox, Server};
use crate::web;

/// From one look to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// The configuration, once its database is there; at once, if it is no node's. `None`: it was told to end meanwhile. `lost`: how a start has just lost it.
pub(super) async fn of_the_database(
    runtime: &Handle,
    config: Config,
    signals: &mut Signals,
    load: &impl Fn() -> Result<Config, String>,
    mut lost: Option<String>,
) -> Option<Config> {
    let (mut config, notifier, mut waits) = (config, Notifier::from_environment(), None);
    while let Some(server) = server(&config) {
        let why = if lost.is_some() {
            lost.take()
        } else {
            // (By the engine's runtime, whose threads an end does not wait for.)
            let looking = runtime.spawn_blocking(move || PostgresOutbox::away(&server));
            tokio::select! {
                looked = looking => looked.ok().flatten(),
                () = signals.end() => return None,
            }
        };
        let Some(why) = why else { break };
        if waits.is_none() {
            tracing::warn!(why, "the database is away: this node waits until it is there");
            waits = Some(Answering::begin(runtime, &config));
        }
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
    if let Some(answering) = waits {
        answering.end().await;
        tracing::info!("the database is there");
        notifier.goes_on();
    }
    Some(config)
}

/// A start failed: how it lost its database, and the configuration for the next one. `None`: waiting mends nothing.
pub(super) fn lost(error: &anyhow::Error, config: Config) -> Option<(String, Config)> {
    let lost = error.downcast_ref::<StoreError>().filter(|error| error.is_away())?;
    server(&config).map(|_| (lost.cause.clone(), config))
}

/// Whoever asks meanwhile is answered: that it lives, and that nothing can be done yet.
struct Answering {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Answering {
    fn begin(runtime: &Handle, config: &Config) -> Self {
        let (stop, stopped) = watch::channel(false);
        let listens = config.server.as_ref().map(|server| server.listen);
        let task = runtime.spawn(async move {
            let Some(listens) = listens else { return };
            match TcpListener::bind(listens).await {
                Ok(listener) => web::answer_while_waiting(listener, stopped).await,
                Err(why) => tracing::warn!(%why, %listens, "nobody is answered while this node waits"),
            }
        });
        Self { stop, task }
    }

    /// The port is free again.
    async fn end(self) {
        self.stop.send_replace(true);
        drop(self.task.await);
    }
}

/// Where a node's database is.
fn server(config: &Config) -> Option<Server> {
    match &config.store {
        Some(StoreUrl::Postgres(server)) if config.raw.node.name.is_some() => Some(Server::clone(server)),
        _ => None,
    }
}
