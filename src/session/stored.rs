//! A session as it is remembered: the record that its source said last, and what the walks made of its presence. In print, a record shows its
//! size instead.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{ParticipationId, Presence, Role, SessionId, SourceRecord};

/// What a source says of a session that stands under another one.
#[derive(Clone, PartialEq, Eq)]
pub struct Also {
    /// SessionId.
    pub id: SessionId,
    /// Its start, for retention.
    pub start: DateTime<Utc>,
    /// The record as this source said it.
    pub record: SourceRecord,
}

/// What a plan was made upon: raised by whatever happens to the session's notices, and by whoever wants it planned again. A plan that was made
/// upon another one is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touch {
    /// The number of the ledger's last row about the session: claims, attempts, ends, receipts, replies, people's deeds and walks each write one.
    pub last: i64,
    /// How often somebody has asked since the last walk that it be planned again.
    pub again: u32,
}

/// Somebody whom the source lists no more in a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Departed {
    /// ParticipationId.
    pub id: ParticipationId,
    /// By position, when last listed.
    pub role: Role,
    /// Absent, gone or unreadable.
    pub presence: Presence,
    /// The person's own record, as the source said it last.
    pub record: String,
}

/// A session that the store holds.
#[derive(Clone)]
pub struct StoredSession {
    /// SessionId.
    pub id: SessionId,
    /// See `WalkedSession::digest`.
    pub digest: String,
    /// See `WalkedSession::presence`.
    pub presence: Presence,
    /// What a plan is made upon; not read for a claim.
    pub touch: Touch,
    /// See `WalkedSession::record`.
    pub record: SourceRecord,
    /// See `WalkedSession::departed`.
    pub departed: Vec<Departed>,
    /// See `WalkedSession::ambiguous`.
    pub ambiguous: Vec<(ParticipationId, String)>,
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, digest, presence, touch, record, departed, .. } = self;
        write!(f, "StoredSession({id}, {digest}, {presence:?}, {touch:?}, {record:?}, {departed:?})")
    }
}

impl fmt::Debug for Also {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Also({}, {}, {:?})", self.id, self.start, self.record)
    }
}

impl fmt::Debug for Departed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Departed({}, {:?}, {:?}, {} bytes)", self.id, self.role, self.presence, self.record.len())
    }
}
