//! The dead-man's ping: a request to a monitor for as long as all is well. When it stays away, the monitor raises the alarm: also when this
//! machine is gone and can raise none.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::Client;
use tokio_cron_scheduler::{Job, JobScheduler};

use super::Engine;
use crate::alert::Ping;
use crate::http_client;

/// For one ping.
const WITHIN: Duration = Duration::from_secs(20);

impl Engine {
    /// Pings by the cron expression, while ready.
    pub(super) async fn ping_by_cron(self: &Arc<Self>, scheduler: &JobScheduler) -> anyhow::Result<()> {
        let Some(ping) = self.ping.clone() else { return Ok(()) };
        let client = http_client::client(WITHIN, None).map_err(anyhow::Error::msg)?;
        let engine = Arc::clone(self);
        let cron = ping.cron.clone();
        let job = Job::new_async(cron.as_str(), move |_, _| {
            let (engine, client, ping) = (Arc::clone(&engine), client.clone(), ping.clone());
            Box::pin(async move { engine.ping(&client, &ping).await })
        });
        scheduler.add(job.context("[server] ping")?).await.context("[server] ping")?;
        Ok(())
    }

    async fn ping(&self, client: &Client, ping: &Ping) {
        let reasons = self.unready().await;
        if !reasons.is_empty() {
            tracing::error!(reasons = reasons.join("; "), "not ready: the monitor is not pinged");
            return;
        }
        match client.get(ping.url.clone()).send().await {
            Ok(answer) if answer.status().is_success() => tracing::debug!("pinged"),
            Ok(answer) => tracing::warn!(status = answer.status().as_u16(), "the monitor did not take the ping"),
            Err(why) => tracing::warn!(why = http_client::chain(&why), "the monitor could not be pinged"),
        }
    }
}
