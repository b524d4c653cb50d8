//! What comes back, and who gets no messages.

use std::cmp::Reverse;
use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::MemoryOutbox;
use crate::contact::{Address, PhoneNumber};
use crate::feedback::reply::{AcceptedReply, OpenSession, PendingAnswer, Written};
use crate::ledger::{Event, LedgerRow};
use crate::notice::NoticeKey;
use crate::outbox::{Feedback, Filter, Result};
use crate::receipt::{Receipt, ReceiptTarget, Received, Undelivered};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression};

#[async_trait]
impl Feedback for MemoryOutbox {
    async fn suppressions(&self) -> Result<HashMap<String, Suppression>> {
        Ok(self.tables().suppressions.values().map(|s| (s.key.clone(), s.kind)).collect())
    }

    async fn suppressed(&self) -> Result<Vec<SuppressedAddress>> {
        let mut all: Vec<SuppressedAddress> = self.tables().suppressions.values().cloned().collect();
        all.sort_by_key(|s| Reverse(s.since));
        Ok(all)
    }

    async fn suppress(&self, now: DateTime<Utc>, address: &Address, kind: Suppression, deed: Option<&str>) -> Result<bool> {
        let mut tables = self.tables();
        deed.into_iter().for_each(|deed| tables.append(LedgerRow::new(now, Event::Suppress, deed)));
        Ok(tables.suppress(now, address, kind, SaidBy::Person))
    }

    async fn unsuppress(&self, now: DateTime<Utc>, key: &str, deed: Option<&str>) -> Result<bool> {
        let mut tables = self.tables();
        let removed = tables.unsuppress(now, key);
        deed.filter(|_| removed).into_iter().for_each(|deed| tables.append(LedgerRow::new(now, Event::Unsuppress, deed)));
        Ok(removed)
    }

    async fn whose(&self, about: &ReceiptTarget) -> Result<Option<NoticeKey>> {
        Ok(self.tables().about(about))
    }

    async fn receive(&self, now: DateTime<Utc>, receipt: Receipt) -> Result<Received> {
        Ok(self.tables().receive(now, &receipt))
    }

    async fn due_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<NoticeKey>> {
        let mut due = self.tables().list(&Filter::default());
        due.retain(|entry| (from..=until).contains(&entry.notice.due_at));
        Ok(due.iter().rev().map(|entry| entry.notice.key).collect())
    }

    async fn undelivered(&self, now: DateTime<Utc>) -> Result<Vec<Undelivered>> {
        Ok(self.tables().undelivered(now))
    }

    async fn reply(&self, now: DateTime<Utc>, taken: AcceptedReply) -> Result<bool> {
        Ok(self.tables().take_reply(now, &taken))
    }

    async fn open_sessions(&self, number: &PhoneNumber, now: DateTime<Utc>) -> Result<Vec<OpenSession>> {
        Ok(self.tables().open_sessions(number, now))
    }

    async fn waiting_answers(&self) -> Result<Vec<PendingAnswer>> {
        Ok(self.tables().waiting_answers())
    }

    async fn unread(&self, limit: usize) -> Result<Vec<Written>> {
        Ok(self.tables().unread(limit))
    }

    async fn mark_read(&self, who: Option<&str>, key: NoticeKey, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.tables().mark_read(who, key, now))
    }
}
