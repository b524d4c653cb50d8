//! A node that stands by: another one serves the practice. It takes that one's place once it is gone, and touches nothing until then.

use std::time::Duration;

use super::signals::Signals;
use crate::clock::monotonic_usec;
use crate::config::Config;
use crate::daemon::{Notifier, serving_elsewhere};

/// From one look at the other to the next.
const LOOK: Duration = Duration::from_secs(1);

/// The configuration to serve with, as soon as no other node serves; `None`: told to end before. Without `[node] name` nobody is waited for.
pub(super) async fn turn(mut config: Config, signals: &mut Signals, load: &impl Fn() -> Result<Config, String>) -> Option<Config> {
    let notifier = Notifier::from_environment();
    let mut told = String::new();
    while config.raw.node.name.is_some() {
        let looked = serving_elsewhere(&config);
        let other = match tokio::task::spawn_blocking(looked).await.unwrap_or_else(|error| Err(error.into())) {
            Ok(Some(other)) => other,
            Ok(None) => break,
            // The start says what is wrong.
            Err(_) if told.is_empty() => break,
            Err(error) => format!("the database cannot be asked: {error}"),
        };
        if other != told {
            tracing::info!(serves = other, "standing by");
            notifier.ready();
            notifier.status(&format!("standing by: {other} serves the practice"));
            told = other;
        }
        notifier.well();
        tokio::select! {
            () = tokio::time::sleep(LOOK) => continue,
            _ = signals.hangup.recv() => {}
            _ = signals.terminate.recv() => return stopped(&notifier),
            _ = signals.interrupt.recv() => return stopped(&notifier),
        }
        notifier.reloading(monotonic_usec());
        match load() {
            Ok(next) => config = next,
            Err(why) => tracing::error!(%why, "the new configuration is not taken; the old one stays in force"),
        }
        notifier.ready();
    }
    Some(config)
}

fn stopped(notifier: &Notifier) -> Option<Config> {
    notifier.stopping();
    None
}
