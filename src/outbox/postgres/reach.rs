//! Whether the database can be reached, as all connections of this process find it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[derive(Default)]
pub(super) struct Reach(Mutex<Option<Instant>>);

impl Reach {
    /// A connection found nobody, from then on.
    pub(super) fn lost(&self, since: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(since);
    }

    /// A connection was answered.
    pub(super) fn found(&self) {
        if let Some(since) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tracing::info!(away_seconds = since.elapsed().as_secs(), "the database answers again");
        }
    }

    /// Since when nobody answers; `None`: somebody does.
    pub(super) fn lost_since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
