//! What the daemon does beside its work: notes how far the store has got, and removes what is past its time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler};

use super::Engine;
use crate::outbox::StoreError;

/// From one mark to the next. A raw copy of the file that is younger than this, put back, is not known for one (`punctual backup` is, always).
const MARK_EVERY: Duration = Duration::from_secs(5);

/// From one anchor in the log to the next: what is cut off the ledger's end and was older shows.
const ANCHOR_EVERY: Duration = Duration::from_secs(3600);

impl Engine {
    /// Marks until it is dropped. A mark that cannot be written is told, and the next one is tried: it protects a restore, not today's messages.
    pub(super) async fn keep_marking(self: Arc<Self>) {
        let mut told = false;
        let mut anchored: Option<Instant> = None;
        loop {
            tokio::time::sleep(MARK_EVERY).await;
            match self.outbox.mark().await {
                Ok(head) => {
                    told = false;
                    if anchored.is_none_or(|then| then.elapsed() >= ANCHOR_EVERY) {
                        // In the log, it is kept elsewhere: `ledger verify --anchor` can be held against it.
                        let head = head.map_or_else(String::new, |head| head.to_string());
                        tracing::info!(ledger = head, "anchor");
                        anchored = Some(Instant::now());
                    }
                }
                Err(error) if !told => {
                    tracing::error!(%error, "the store's mark cannot be written: an older copy put back would not be known for one");
                    told = true;
                }
                Err(_) => {}
            }
        }
    }

    /// Removes what is past its time, by its cron expression.
    pub(super) async fn prune_by_cron(self: &Arc<Self>, scheduler: &JobScheduler, failed: &mpsc::Sender<StoreError>) -> anyhow::Result<()> {
        let (engine, failed) = (Arc::clone(self), failed.clone());
        let job = Job::new_async(self.keep.prune.as_str(), move |_, _| {
            let (engine, failed) = (Arc::clone(&engine), failed.clone());
            Box::pin(async move {
                if let Err(error) = engine.prune().await {
                    failed.try_send(error).ok();
                }
            })
        });
        scheduler.add(job.context("[retention] prune")?).await.context("[retention] prune")?;
        Ok(())
    }

    async fn prune(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let purged = self.outbox.purge(now, self.keep.at(now)).await?;
        // In the log, it is kept elsewhere: `ledger verify --anchor` can be held against it.
        let head = self.outbox.mark().await?.map_or_else(String::new, |head| head.to_string());
        tracing::info!(removed = purged.in_words(), ledger = head, "pruned");
        Ok(())
    }
}
