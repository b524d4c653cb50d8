//! The dead-man's ping: a request to a monitor for as long as all is well. When it stays away, the monitor raises the alarm: also when this
//! machine is gone and can raise none.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;

use super::Engine;
use crate::alert::Ping;
use crate::http_client;
use crate::outbox::StoreError;

/// The longest wait for one ping.
const WITHIN: Duration = Duration::from_secs(20);

/// Whom to tell that all is well.
#[derive(Clone)]
pub(super) struct Monitor {
    client: Client,
    ping: Ping,
}

impl Engine {
    /// `None`: no monitor is configured.
    pub(super) fn pings(&self) -> anyhow::Result<Option<Monitor>> {
        let Some(ping) = self.monitors.ping.clone() else { return Ok(None) };
        Ok(Some(Monitor { client: http_client::client(WITHIN, None).map_err(anyhow::Error::msg)?, ping }))
    }
}

impl Monitor {
    /// When: a cron expression with seconds.
    pub(super) fn cron(&self) -> &str {
        &self.ping.cron
    }

    /// Pings, if the engine is ready and leads.
    pub(super) async fn send(self, engine: Arc<Engine>) -> Result<(), StoreError> {
        if !engine.membership.leads() && engine.membership.idle().is_none() {
            return Ok(());
        }
        let reasons = engine.unready().await;
        if !reasons.is_empty() {
            tracing::error!(reasons = reasons.join("; "), "not ready: the monitor is not pinged");
            return Ok(());
        }
        match self.client.get(self.ping.url).send().await {
            Ok(answer) if answer.status().is_success() => tracing::debug!("pinged"),
            Ok(answer) => tracing::warn!(status = answer.status().as_u16(), "the monitor did not take the ping"),
            Err(why) => tracing::warn!(why = http_client::chain(&why), "the monitor could not be pinged"),
        }
        Ok(())
    }
}
