//! What the tables hold of a source and of a session.

use chrono::{DateTime, Utc};

use super::guard::GuardTable;
use crate::outbox::{SeenSession, SourcePart};
use crate::session::stored::StoredSession;
use crate::session::{Fault, SessionId};

pub(super) struct MemorySource {
    pub(super) last_snapshot_at: DateTime<Utc>,
    pub(super) whole_at: Option<DateTime<Utc>>,
    pub(super) parts: Vec<SourcePart>,
    pub(super) policy_digest: String,
    pub(super) faults: Vec<Fault>,
    pub(super) guard: GuardTable,
    pub(super) filled: bool,
    pub(super) adopting: Vec<SessionId>,
    pub(super) gone: bool,
}

pub(super) struct SessionRow {
    /// But for the ledger's part of its touch.
    pub(super) stored: StoredSession,
    pub(super) start: DateTime<Utc>,
    pub(super) revision: i64,
}

impl SessionRow {
    pub(super) fn seen(&self) -> SeenSession {
        let StoredSession { digest, presence, touch, .. } = &self.stored;
        SeenSession { digest: digest.clone(), presence: *presence, replan: touch.again > 0, start: self.start }
    }
}
