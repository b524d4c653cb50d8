//! Jobs by cron expressions.

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::outbox::StoreError;

/// Jobs that are being scheduled.
pub(super) struct Cron {
    scheduler: JobScheduler,
    failed: mpsc::Sender<StoreError>,
}

/// Does something by itself: a store that fails ends the process.
pub(super) async fn watched(failed: mpsc::Sender<StoreError>, job: impl Future<Output = Result<(), StoreError>>) {
    if let Err(error) = job.await {
        failed.try_send(error).ok();
    }
}

impl Cron {
    pub(super) async fn new(failed: &mpsc::Sender<StoreError>) -> anyhow::Result<Self> {
        Ok(Self { scheduler: JobScheduler::new().await.context("the scheduler")?, failed: failed.clone() })
    }

    /// Does something whenever the expression's next moment comes. The error says what could not be scheduled.
    pub(super) async fn every<F, D>(&self, expression: &str, what: &'static str, job: F) -> anyhow::Result<()>
    where
        F: Fn() -> D + Send + Sync + 'static,
        D: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let failed = self.failed.clone();
        let job = Job::new_async(expression, move |_, _| Box::pin(watched(failed.clone(), job())));
        self.scheduler.add(job.context(what)?).await.context(what)?;
        Ok(())
    }

    /// From now on they run.
    pub(super) async fn start(self) -> anyhow::Result<JobScheduler> {
        self.scheduler.start().await.context("the scheduler")?;
        Ok(self.scheduler)
    }
}
