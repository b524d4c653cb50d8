//! What people ask.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::super::tx::head;
use super::super::{SqliteOutbox, figures, history, query};
use crate::entry::{Delivery, Entry, State};
use crate::ledger::{Event, LedgerRow};
use crate::notice::{NoticeKey, Omission, Reason};
use crate::outbox::{Filter, Queries, Result, Status};
use crate::session::{Fault, SessionId};

#[async_trait]
impl Queries for SqliteOutbox {
    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>> {
        let filter = filter.clone();
        self.readers.read("list", move |c| query::list(c, &filter)).await
    }

    async fn deliveries(&self, key: NoticeKey) -> Result<(Vec<Delivery>, Option<Vec<u8>>)> {
        self.readers.read("deliveries", move |c| query::deliveries(c, key)).await
    }

    async fn status(&self) -> Result<Status> {
        self.readers.read("status", query::status).await
    }

    async fn faults(&self) -> Result<Vec<(String, Fault)>> {
        self.readers.read("faults", query::faults).await
    }

    async fn omissions(&self, filter: &Filter) -> Result<Vec<Omission>> {
        let filter = filter.clone();
        self.readers.read("omissions", move |c| query::omissions(c, &filter)).await
    }

    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>> {
        self.readers.read("ledger", move |c| history::rows(c, session, after, limit)).await
    }

    async fn ledger_end(&self) -> Result<i64> {
        self.readers.read("ledger_end", |c| Ok(head(c)?.seq)).await
    }

    async fn ledger_of(&self, event: &Event, sessions: &[SessionId]) -> Result<Vec<LedgerRow>> {
        let (event, sessions) = (event.clone(), sessions.to_vec());
        self.readers.read("ledger_of", move |c| history::of(c, &event, &sessions)).await
    }

    async fn due_before(&self, until: DateTime<Utc>) -> Result<u64> {
        self.readers.read("due_before", move |c| figures::due_before(c, until)).await
    }

    async fn count_between(&self, edges: &[DateTime<Utc>]) -> Result<Vec<HashMap<State, u64>>> {
        let edges = edges.to_vec();
        self.readers.read("count_between", move |c| figures::count_between(c, &edges)).await
    }

    async fn count(&self, state: State) -> Result<u64> {
        self.readers.read("count", move |c| figures::count(c, state)).await
    }

    async fn held_by_reason(&self) -> Result<Vec<(Reason, u64)>> {
        self.readers.read("held_by_reason", figures::held_by_reason).await
    }
}
