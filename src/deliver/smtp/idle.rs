//! Connections between two messages.
//!
//! The youngest is used first, and none that has been idle for too long: a firewall in between may have forgotten it, and then the next
//! command waits for its whole time-out. Who takes holds one of the relay's permits and opens a connection only if there is none to take, and
//! gives back before the permit: idle and busy ones together are never more than the permits.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::body::Body;
use super::connection::Connection;

/// The connections that nobody uses.
pub(super) struct Idle {
    /// The youngest is the last.
    kept: Mutex<Vec<(Instant, Connection)>>,
    /// On which the envelope of a message, by its reference, was said behind the one before. Its attempt follows, or lets it go.
    spoken: Mutex<HashMap<String, Spoken>>,
    limit: Duration,
}

/// A connection that owes its answers to an envelope, and the body that is to follow.
pub(super) struct Spoken {
    pub(super) connection: Connection,
    pub(super) body: Body,
}

impl Idle {
    /// `limit`: unused for longer than this, a connection is closed.
    pub(super) fn new(limit: Duration) -> Self {
        Self { kept: Mutex::default(), spoken: Mutex::default(), limit }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Instant, Connection)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one on which the envelope of this message was said.
    pub(super) fn keep_for(&self, reference: String, spoken: Spoken) {
        self.spoken().insert(reference, spoken);
    }

    /// The one on which this message's envelope was said.
    pub(super) fn take_for(&self, reference: &str) -> Option<Spoken> {
        self.spoken().remove(reference)
    }

    fn spoken(&self) -> MutexGuard<'_, HashMap<String, Spoken>> {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if it is young enough.
    pub(super) fn take(&self) -> Option<Connection> {
        self.retire();
        self.kept().pop().map(|(_, connection)| connection)
    }

    /// Keeps one that is in step.
    pub(super) fn give_back(&self, connection: Connection) {
        self.retire();
        self.kept().push((Instant::now(), connection));
    }

    /// Closes the oldest, but for so many.
    pub(super) fn keep(&self, count: usize) {
        self.close(|kept| kept.len().saturating_sub(count));
    }

    /// Closes what is too old.
    fn retire(&self) {
        self.close(|kept| kept.partition_point(|(since, _)| since.elapsed() >= self.limit));
    }

    /// Closes as many of the oldest, with a QUIT that nobody waits for.
    fn close(&self, count: impl FnOnce(&[(Instant, Connection)]) -> usize) {
        let old: Vec<_> = {
            let mut kept = self.kept();
            let old = count(&kept);
            kept.drain(..old).collect()
        };
        for (_, mut connection) in old {
            tokio::spawn(async move { connection.quit().await });
        }
    }
}
