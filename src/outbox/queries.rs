//! What people ask of the store.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::Result;
use crate::entry::{Delivery, Entry, State};
use crate::ledger::{Event, LedgerRow};
use crate::notice::{NoticeKey, Occasion, Omission, Reason};
use crate::session::{Fault, ParticipationId, SessionId};

/// Which notices a command means.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub session: Option<SessionId>,
    pub participation: Option<ParticipationId>,
    /// In one of these states; empty: all.
    pub states: Vec<State>,
    pub occasion: Option<Occasion>,
    /// These keys; empty: all.
    pub keys: Vec<NoticeKey>,
    /// Only what stands behind this one in due order: its due time and key. (Notices; omissions do not look at it.)
    pub after: Option<(DateTime<Utc>, NoticeKey)>,
    /// At most this many; `None`: all.
    pub limit: Option<usize>,
}

/// A source, as the store last heard of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// When the last snapshot was applied.
    pub last_snapshot_at: Option<DateTime<Utc>>,
    /// Sessions held.
    pub sessions: u64,
}

/// Counts and times for `status`.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub by_state: HashMap<State, u64>,
    pub by_reason: HashMap<Reason, u64>,
    /// When the next notice is due.
    pub next_due: Option<DateTime<Utc>>,
    pub sources: Vec<SourceStatus>,
    /// Quarantined records of the last snapshots.
    pub faults: Vec<(String, Fault)>,
    pub suppressed: u64,
}

/// What people ask of the store.
#[async_trait]
pub trait Queries: Send + Sync {
    /// Notices, in due order; those due at once in the order in which they were added.
    async fn list(&self, filter: &Filter) -> Result<Vec<Entry>>;

    /// The attempts of one notice, and the frozen content if it is still kept.
    async fn deliveries(&self, key: NoticeKey) -> Result<(Vec<Delivery>, Option<Vec<u8>>)>;

    async fn status(&self) -> Result<Status>;

    /// Records of the last snapshots that cannot be used, with their source.
    async fn faults(&self) -> Result<Vec<(String, Fault)>>;

    /// Omissions of the last plan, with their source, in due order.
    async fn omissions(&self, filter: &Filter) -> Result<Vec<Omission>>;

    /// The ledger's rows behind this place ([`LedgerRow::place`]; 0: all), oldest first, of one session or of all, `limit` at most. No row ever comes to
    /// stand before one that was given.
    async fn ledger(&self, session: Option<SessionId>, after: i64, limit: usize) -> Result<Vec<LedgerRow>>;

    /// The place of the ledger's last row; 0: there is none.
    async fn ledger_end(&self) -> Result<i64> {
        Ok(self.ledger(None, 0, usize::MAX).await?.last().map_or(0, |row| row.place))
    }

    /// The ledger's rows of that event about these sessions, oldest first.
    async fn ledger_of(&self, event: &Event, sessions: &[SessionId]) -> Result<Vec<LedgerRow>> {
        let mut all = self.ledger(None, 0, usize::MAX).await?;
        all.retain(|row| row.event == *event && row.session_id.is_some_and(|id| sessions.contains(&id)));
        Ok(all)
    }

    /// How many notices are tried by themselves before that time.
    async fn due_before(&self, until: DateTime<Utc>) -> Result<u64> {
        let waiting = Filter { states: vec![State::Waiting, State::Unknown], ..Filter::default() };
        Ok(self.list(&waiting).await?.iter().filter(|e| e.next_attempt_at.is_some_and(|at| at < until)).count() as u64)
    }

    /// How many notices fell or fall due between each of these times and the next one, by their state.
    async fn count_between(&self, edges: &[DateTime<Utc>]) -> Result<Vec<HashMap<State, u64>>> {
        let all = self.list(&Filter::default()).await?;
        let between = |pair: &[DateTime<Utc>]| {
            let mut counts = HashMap::new();
            for entry in all.iter().filter(|e| (pair[0]..pair[1]).contains(&e.notice.due_at)) {
                *counts.entry(entry.state).or_default() += 1;
            }
            counts
        };
        Ok(edges.windows(2).map(between).collect())
    }

    /// How many notices are in that state.
    async fn count(&self, state: State) -> Result<u64> {
        Ok(self.list(&Filter { states: vec![state], ..Filter::default() }).await?.len() as u64)
    }

    /// How many notices are held, for each reason.
    async fn held_by_reason(&self) -> Result<Vec<(Reason, u64)>> {
        let mut counts = std::collections::BTreeMap::new();
        for entry in self.list(&Filter { states: vec![State::Held], ..Filter::default() }).await? {
            *counts.entry(entry.reason.unwrap_or(Reason::Operator)).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }
}
