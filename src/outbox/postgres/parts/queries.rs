//! What people ask.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::{PostgresOutbox, history, list, query};
use crate::entry::{Delivery, Entry, State};
use crate::ledger::{Event, LedgerRow};
use crate::notice::{NoticeKey, Omission, Reason};
use crate::outbox::{Filter, Queries, Result, Status};
use crate::session::{Fault, SessionId};

#[async_trait]
impl Queries for PostgresOutbox {
    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>> {
        let filter = filter.clone();
        self.readers.read("list", async move |db| list::list(db, &filter).await).await
    }

    async fn deliveries(&self, key: NoticeKey) -> Result<(Vec<Delivery>, Option<Vec<u8>>)> {
        self.readers.read("deliveries", async move |db| query::deliveries(db, key).await).await
    }

    async fn status(&self) -> Result<Status> {
        self.readers.read("status", async |db| list::status(db).await).await
    }

    async fn faults(&self) -> Result<Vec<(String, Fault)>> {
        self.readers.read("faults", async |db| list::faults(db).await).await
    }

    async fn omissions(&self, filter: &Filter) -> Result<Vec<Omission>> {
        let filter = filter.clone();
        self.readers.read("omissions", async move |db| list::omissions(db, &filter).await).await
    }

    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>> {
        self.readers.read_in_order("ledger", async move |db| history::rows(db, session, after, limit).await).await
    }

    async fn ledger_end(&self) -> Result<i64> {
        self.readers.read_in_order("ledger_end", async |db| history::end(db).await).await
    }

    async fn ledger_of(&self, event: &Event, sessions: &[SessionId]) -> Result<Vec<LedgerRow>> {
        let (event, sessions) = (event.clone(), sessions.to_vec());
        self.readers.read("ledger_of", async move |db| history::of(db, &event, &sessions).await).await
    }

    async fn due_before(&self, until: DateTime<Utc>) -> Result<u64> {
        self.readers.read("due_before", async move |db| list::due_before(db, until).await).await
    }

    async fn count_between(&self, edges: &[DateTime<Utc>]) -> Result<Vec<HashMap<State, u64>>> {
        let edges = edges.to_vec();
        self.readers.read("count_between", async move |db| list::count_between(db, &edges).await).await
    }

    async fn count(&self, state: State) -> Result<u64> {
        self.readers.read("count", async move |db| list::count(db, state).await).await
    }

    async fn held_by_reason(&self) -> Result<Vec<(Reason, u64)>> {
        self.readers.read("held_by_reason", async |db| list::held_by_reason(db).await).await
    }
}
