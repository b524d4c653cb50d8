//! Sessions of the store, many at once, with what is known of their people.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::{Desk, DeskSession, Unanswered, latest};
use crate::known::{KnownMap, by_session};
use crate::outbox::StoreError;
use crate::plan;
use crate::session::SessionId;
use crate::session::stored::StoredSession;

/// Sessions that are read together.
pub(super) const BATCH: usize = 200;

/// A session, as the store names it.
pub(super) type SourceSession = (String, SessionId);

/// What the store has of a session.
pub(super) struct SessionRead {
    source: String,
    stored: StoredSession,
    known: KnownMap,
}

impl Desk {
    /// Read together, whatever source they are of.
    pub(super) async fn read(&self, ids: &[SourceSession]) -> Result<Vec<SessionRead>, StoreError> {
        let mut read: HashMap<SourceSession, SessionRead> = HashMap::new();
        let sources: BTreeSet<&String> = ids.iter().map(|(source, _)| source).collect();
        for source in sources {
            let theirs: Vec<SessionId> = ids.iter().filter(|(of, _)| of == source).map(|(_, id)| *id).collect();
            let (known, stored) = tokio::try_join!(self.outbox.known(source, &theirs), self.outbox.sessions(source, Some(&theirs)))?;
            let mut known = by_session(known);
            for stored in stored {
                let known = known.remove(&stored.id).unwrap_or_default();
                read.insert((source.clone(), stored.id), SessionRead { source: source.clone(), stored, known });
            }
        }
        Ok(ids.iter().filter_map(|place| read.remove(place)).collect())
    }

    /// All of them, some together, in no order; `look` is taken where nobody waits for it, and the store reads the next ones meanwhile.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        ids: &[SourceSession],
        look: impl Fn(&Self, Vec<SessionRead>) -> T + Clone + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        // As they lie in the store, not as they start: each of its pages is read once.
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let mut looks = Vec::new();
        for batch in ids.chunks(BATCH) {
            let read = self.read(batch).await?;
            let (desk, look) = (self.clone(), look.clone());
            looks.push(tokio::task::spawn_blocking(move || look(&desk, read)));
        }
        let mut found = Vec::new();
        for look in looks {
            found.push(look.await.map_err(|why| StoreError { action: "look at sessions".to_owned(), cause: why.to_string() })?);
        }
        Ok(found)
    }

    /// As its source said it last, with what is known of its people now.
    pub(super) fn see_one(
        &self,
        SessionRead { source, stored, known }: SessionRead,
        now: DateTime<Utc>,
    ) -> Result<DeskSession, Unanswered> {
        let session = latest(&stored).ok_or(Unanswered::Record(stored.id))?;
        let known = plan::observe(&session, known, &self.policy, false, now);
        Ok(DeskSession { source, session, known })
    }
}
