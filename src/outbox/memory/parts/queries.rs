//! What people ask.

use async_trait::async_trait;

use super::super::MemoryOutbox;
use crate::entry::{Delivery, Entry};
use crate::ledger::LedgerRow;
use crate::notice::{NoticeKey, Omission};
use crate::outbox::{Filter, Queries, Result, Status};
use crate::session::{Fault, SessionId};

#[async_trait]
impl Queries for MemoryOutbox {
    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>> {
        Ok(self.tables().list(filter))
    }

    async fn deliveries(&self, key: NoticeKey) -> Result<(Vec<Delivery>, Option<Vec<u8>>)> {
        let tables = self.tables();
        let all = tables.deliveries.get(&key).into_iter().flatten().map(|(_, delivery)| delivery.clone()).collect();
        Ok((all, tables.content.get(&key).cloned()))
    }

    async fn status(&self) -> Result<Status> {
        Ok(self.tables().status())
    }

    async fn faults(&self) -> Result<Vec<(String, Fault)>> {
        Ok(self.tables().status().faults)
    }

    async fn omissions(&self, filter: &Filter) -> Result<Vec<Omission>> {
        Ok(self.tables().omissions(filter))
    }

    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>> {
        let tables = self.tables();
        let rows = tables.ledger.iter().filter(|row| row.seq > after && (session.is_none() || row.session_id == session));
        Ok(rows.take(limit).cloned().collect())
    }
}
