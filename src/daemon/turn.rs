//! What a node took last of a source that is pushed to. Nobody can ask such a source again: a list of which something waits for an operator is kept, and
//! taken once more when it is decided about. A start forgets it; then the next list that is put does the same.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::source::push::PushedBody;

/// Whoever has this locked has the turn: one push of a source is taken at a time.
#[derive(Default)]
pub(super) struct Turn {
    /// The walk of what was taken last.
    pub(super) walk: Option<i64>,
    /// The list that was taken last, if something of it waits.
    pub(super) waits: Option<WaitingList>,
}

/// A list of which something waits for an operator.
pub(super) struct WaitingList {
    pub(super) offer: Arc<PushedBody>,
    pub(super) came_at: DateTime<Utc>,
    /// Sessions that waited when it was taken.
    pub(super) sessions: usize,
}

impl Turn {
    /// Something was taken, by that walk, and so many sessions wait.
    pub(super) fn took(&mut self, offer: &Arc<PushedBody>, came_at: DateTime<Utc>, (walk, sessions): (i64, usize)) {
        self.walk = Some(walk);
        let waits = sessions > 0 && matches!(**offer, PushedBody::Whole(_));
        self.waits = waits.then(|| WaitingList { offer: Arc::clone(offer), came_at, sessions });
    }
}
