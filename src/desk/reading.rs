//! Sessions of the store, many at once, with what is known of their people.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::{Desk, Seen, Unanswered, latest};
use crate::known::{KnownMap, by_session};
use crate::outbox::StoreError;
use crate::plan;
use crate::session::SessionId;
use crate::session::stored::StoredSession;

/// Sessions that are read together.
pub(super) const BATCH: usize = 200;

/// A session, as the store names it.
pub(super) type Place = (String, SessionId);

/// What the store has of a session.
pub(super) struct Read {
    source: String,
    stored: StoredSession,
    known: KnownMap,
}

impl Desk {
    /// Read together, whatever source they are of.
    pub(super) async fn read(&self, ids: &[Place]) -> Result<Vec<Read>, StoreError> {
        let mut read: HashMap<Place, Read> = HashMap::new();
        let sources: BTreeSet<&String> = ids.iter().map(|(source, _)| source).collect();
        for source in sources {
            let theirs: Vec<SessionId> = ids.iter().filter(|(of, _)| of == source).map(|(_, id)| *id).collect();
            let mut known = by_session(self.outbox.known(source, &theirs).await?);
            for stored in self.outbox.sessions(source, Some(&theirs)).await? {
                let known = known.remove(&stored.id).unwrap_or_default();
                read.insert((source.clone(), stored.id), Read { source: source.clone(), stored, known });
            }
        }
        Ok(ids.iter().filter_map(|place| read.remove(place)).collect())
    }

    /// As its source said it last, with what is known of its people now.
    pub(super) fn see_one(&self, Read { source, stored, known }: Read, now: DateTime<Utc>) -> Result<Seen, Unanswered> {
        let session = latest(&stored).ok_or(Unanswered::Record(stored.id))?;
        let known = plan::observe(&session, known, &self.policy, false, now);
        Ok(Seen { source, session, known })
    }
}
