//! What staff ask, and how it is answered: the same for the command line, the pages and the API.
//!
//! In: the store, the policy, `now`. Out: facts, as values that are printed or serialized; contacts and names in them are masked. Nothing here
//! sends or changes anything.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::entry::Entry;
use crate::known::{Known, KnownMap};
use crate::notice::Occasion;
use crate::outbox::{Outbox, StoreError};
use crate::plan::{self, Policy, Suppressions};
use crate::receipt::Undelivered;
use crate::session::stored::StoredSession;
use crate::session::{Session, SessionId};
use crate::source::stored;

pub mod agenda;
pub mod called;
pub mod decided;
pub mod message;
pub mod nodes;
pub mod notices;
pub mod outage;
pub mod people;
mod reading;
pub mod records;
pub mod remind;
pub mod resend;
pub mod status;
pub mod unreachable;
pub mod why;
pub mod words;

#[derive(Clone)]
pub struct Desk {
    /// What was and will be told.
    pub outbox: Arc<dyn Outbox>,
    /// By which it is decided.
    pub policy: Arc<Policy>,
    /// The configured sources' names.
    pub sources: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds of a session cannot be read.
    #[error("session {0}: the store's record cannot be read")]
    Record(SessionId),
}

/// A session as its source said it last, and what is known of its participants now.
pub struct DeskSession {
    pub source: String,
    pub session: Session,
    /// Each participant, their notices included.
    pub known: KnownMap,
}

/// What is known beside the sessions: whom nothing is sent, and what did not arrive.
struct Notes {
    suppressed: Suppressions,
    undelivered: Vec<Undelivered>,
}

impl Desk {
    /// The session of that id, of each source that has one.
    pub async fn session(&self, id: SessionId, now: DateTime<Utc>) -> Result<Vec<DeskSession>, Unanswered> {
        let mut found = Vec::new();
        for source in &self.sources {
            let Some(stored) = self.outbox.sessions(source, Some(&[id])).await?.pop() else { continue };
            let session = latest(&stored).ok_or(Unanswered::Record(id))?;
            found.push(self.seen(source, session, now).await?);
        }
        Ok(found)
    }

    async fn seen(&self, source: &str, session: Session, now: DateTime<Utc>) -> Result<DeskSession, StoreError> {
        let known = self.outbox.known(source, &[session.id]).await?;
        let known = plan::observe(&session, known, &self.policy, false, now);
        Ok(DeskSession { source: source.to_owned(), session, known })
    }

    /// What is known beside the sessions.
    async fn notes(&self, now: DateTime<Utc>) -> Result<Notes, StoreError> {
        Ok(Notes { suppressed: self.suppressions().await?, undelivered: self.outbox.undelivered(now).await? })
    }

    /// Messages that should have gone in the last day, and did not. Whoever did not join a session that is over was missed by nobody.
    pub async fn lapsed(&self, now: DateTime<Utc>) -> Result<Vec<Entry>, StoreError> {
        let mut lapsed = self.outbox.lapsed(now - TimeDelta::days(1)).await?;
        lapsed.retain(|e| e.notice.occasion != Occasion::NotJoined);
        Ok(lapsed)
    }

    /// Addresses that get nothing.
    pub async fn suppressions(&self) -> Result<Suppressions, StoreError> {
        Ok(Suppressions(self.outbox.suppressions().await?))
    }
}

impl DeskSession {
    /// What is known of a participant.
    pub fn known(&self, id: crate::session::ParticipationId) -> Option<&Known> {
        self.known.get(&(self.session.id, id))
    }
}

/// The session that the store holds, as its source said it last.
fn latest(stored: &StoredSession) -> Option<Session> {
    stored::session(stored)
}

/// `reminder 24h`
pub fn what(occasion: Occasion, rule: Option<&str>) -> String {
    rule.map_or_else(|| occasion.to_string(), |rule| format!("{occasion} {rule}"))
}
