//! The store itself.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::MemoryOutbox;
use crate::ledger::{Anchor, ChainReader, Event, LedgerRow, Verified};
use crate::outbox::attempted::Row;
use crate::outbox::{Alert, DigestDelivery, Purged, Result, Retention, Upkeep};

#[async_trait]
impl Upkeep for MemoryOutbox {
    async fn reference_key(&self) -> Result<[u8; 32]> {
        Ok(self.reference_key)
    }

    async fn staff_letters(&self, scheduled_at: DateTime<Utc>) -> Result<Vec<DigestDelivery>> {
        Ok(self.tables().staff_letters(scheduled_at))
    }

    async fn alerts(&self) -> Result<Vec<Alert>> {
        Ok(self.tables().alerts.values().cloned().collect())
    }

    async fn begin_alert(&self, alert: Alert) -> Result<()> {
        let mut tables = self.tables();
        if !tables.alerts.contains_key(&alert.key) {
            tables.append(LedgerRow::new(alert.since, Event::Alert, &alert.key));
            tables.alerts.insert(alert.key.clone(), alert);
        }
        Ok(())
    }

    async fn end_alert(&self, key: &str, now: DateTime<Utc>) -> Result<()> {
        let mut tables = self.tables();
        if tables.alerts.remove(key).is_some() {
            tables.append(LedgerRow::new(now, Event::AlertOver, key));
        }
        Ok(())
    }

    async fn add_staff_letters(&self, scheduled_at: DateTime<Utc>, useful_until: DateTime<Utc>, recipients: Vec<String>) -> Result<()> {
        let mut tables = self.tables();
        recipients.iter().for_each(|to| tables.add_alone(Row::letter(scheduled_at, useful_until, to)));
        Ok(())
    }

    async fn verify_ledger(&self, anchor: Option<Anchor>) -> Result<Verified> {
        let tables = self.tables();
        let mut walker = ChainReader::new(tables.checkpoint, anchor);
        tables.ledger.iter().for_each(|row| walker.step(row));
        Ok(walker.end(tables.head.seq))
    }

    async fn purge(&self, now: DateTime<Utc>, retention: Retention) -> Result<Purged> {
        let mut tables = self.tables();
        let purged = tables.purge(now, retention);
        if !purged.is_empty() {
            tables.append(LedgerRow::new(now, Event::Purged, &purged.in_words()));
        }
        Ok(purged)
    }
}
