//! The store itself.

use std::sync::PoisonError;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::db::Tx;
use super::super::{PostgresOutbox, alert, chains, history, open, outgoing, restore, retention, visit};
use crate::access::logins::KeptLogin;
use crate::ledger::{Anchor, Event, Verified};
use crate::outbox::origin::StoreOrigin;
use crate::outbox::{Actions, Alert, DigestDelivery, Purged, Restored, Result, Retention, Scheduled, Upkeep};

#[async_trait]
impl Upkeep for PostgresOutbox {
    async fn reference_key(&self) -> Result<[u8; 32]> {
        self.readers.read("reference_key", async |db| open::reference_key(db).await).await
    }

    async fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Result<Vec<DigestDelivery>> {
        self.readers.read("staff_letters", async move |db| outgoing::letters(db, scheduled_at).await).await
    }

    async fn add_staff_letters(&self, scheduled_at: DateTime<Utc>, useful_until: DateTime<Utc>, recipients: Vec<String>) -> Result<()> {
        let add = async move |tx: &Tx<'_>| outgoing::add_letters(tx, (scheduled_at, useful_until), &recipients).await;
        self.writer.write("add_staff_letters", add).await
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        self.readers.read("alerts", async |db| alert::list(db).await).await
    }

    async fn begin_alert(&self, alert: Alert) -> Result<()> {
        self.writer.write("begin_alert", async move |tx| alert::begin(tx, &alert).await).await
    }

    async fn end_alert(&self, key: &str, now: DateTime<Utc>) -> Result<()> {
        let key = key.to_owned();
        self.writer.write("end_alert", async move |tx| alert::end(tx, &key, now).await).await
    }

    async fn logins(&self) -> Result<Vec<KeptLogin>> {
        self.readers.read("visits", async |db| visit::list(db).await).await
    }

    async fn put_login(&self, visit: KeptLogin) -> Result<()> {
        self.writer.write("put_visit", async move |tx| visit::put(tx, &visit).await).await
    }

    async fn end_logins(&self, digests: Vec<[u8; 32]>) -> Result<()> {
        self.writer.write("end_visits", async move |tx| visit::end(tx, &digests).await).await
    }

    async fn verify_ledger(&self, anchor: Option<Anchor>) -> Result<Verified> {
        self.readers.read("verify_ledger", async move |db| history::verify(db, anchor).await).await
    }

    async fn hold_restored(&self, sources: &[String], letters: &[Scheduled], now: DateTime<Utc>) -> Result<Option<Restored>> {
        let origin = *self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        let StoreOrigin::Copy(since) = origin else { return Ok(None) };
        let (sources, letters, lineage) = (sources.to_vec(), letters.to_vec(), self.lineage.clone());
        let hold = async move |tx: &Tx<'_>| restore::restored(tx, (since, &lineage), (&sources, &letters), now).await;
        let held = self.writer.write("hold_restored", hold).await?;
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = StoreOrigin::Own;
        Ok(Some(held))
    }

    async fn mark(&self) -> Result<Option<Anchor>> {
        let (head, waits) = self.readers.read("mark", async |db| Ok((history::head(db).await?, chains::wait(db).await?))).await?;
        if !waits {
            return Ok(Some(head));
        }
        let seal = async |tx: &Tx<'_>| {
            chains::seal(tx, chains::NEWER).await?;
            Ok(Some(tx.head()))
        };
        self.writer.write("seal", seal).await
    }

    async fn probe(&self) -> Result<()> {
        self.writer.write("probe", async |_| Ok(())).await?;
        self.readers.read("probe", async |db| open::reference_key(db).await).await.map(|_| ())
    }

    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged> {
        let mut total = Purged::default();
        self.writer.write("purge", async move |tx| history::close_until(tx, retention.history_before, now).await).await?;
        loop {
            let (purged, more) = self.writer.write("purge", async move |tx| retention::batch(tx, retention).await).await?;
            total += purged;
            if purged.is_empty() && !more {
                break;
            }
        }
        if !total.is_empty() {
            self.record_event(now, Event::Purged, &total.in_words()).await?;
        }
        Ok(total)
    }
}
