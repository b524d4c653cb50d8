//! What is begun and waits for a connection: the most urgent first, and few at a time.
//!
//! A connection that is free takes whatever is most urgent at that moment, so that what falls due later and is more urgent overtakes. How many are
//! begun ahead follows from how fast the lane hands over: as many as leave within [`AHEAD`]. Over a relay that takes seconds for a message none are,
//! and each is decided when a connection is free; over a fast one enough to keep all of its connections busy while the next batch is prepared.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::BATCH;
use super::prepare::Ready;
use crate::outbox::{self, StoreError};

/// What is begun leaves within this time, at the rate measured.
const AHEAD: TimeDelta = TimeDelta::seconds(2);
/// And no more than this: two batches, one that leaves while the other one is prepared.
const AHEAD_MAX: usize = 2 * BATCH;

/// A message that has its connection for no longer lets the next one pass its point of no return meanwhile: that one waits no longer, in doubt, than
/// this.
const QUICK: TimeDelta = TimeDelta::milliseconds(250);

/// A lane's connections, and what waits for them.
pub(super) struct Queue {
    permits: Semaphore,
    /// One for each connection: whoever is next on it.
    seats: Semaphore,
    connections: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Begun so far: what is as urgent leaves in the order in which it was claimed.
    begun: u64,
    /// What a message takes on its connection, the latest counting most; `None`: none was handed over yet.
    takes: Option<TimeDelta>,
}

struct Waiting {
    urgency: (DateTime<Utc>, DateTime<Utc>, u64),
    ready: Box<Ready>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.urgency == other.urgency
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.urgency.cmp(&other.urgency)
    }
}

impl Queue {
    pub(super) fn new(connections: usize) -> Self {
        let [permits, seats] = [connections; 2].map(Semaphore::new);
        Self { permits, seats, connections, state: Mutex::default() }
    }

    /// Takes one in. Whoever does calls [`Queue::first`] once.
    pub(super) fn put(&self, ready: Box<Ready>) {
        let mut state = self.locked();
        state.begun += 1;
        let urgency = (ready.notice.useful_until, ready.notice.due_at, state.begun);
        state.waiting.push(Reverse(Waiting { urgency, ready }));
    }

    /// Waits to be among those that are next: as many as there are connections.
    pub(super) async fn seat(&self) -> outbox::Result<SemaphorePermit<'_>> {
        self.seats.acquire().await.map_err(|e| defect(&e))
    }

    /// Waits for a connection. It is taken until the permit is dropped.
    pub(super) async fn connection(&self) -> outbox::Result<SemaphorePermit<'_>> {
        self.permits.acquire().await.map_err(|e| defect(&e))
    }

    /// A connection, if one is free.
    pub(super) fn free_connection(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.try_acquire().ok()
    }

    /// Takes the most urgent one out.
    pub(super) fn first(&self) -> outbox::Result<Box<Ready>> {
        let Reverse(first) = self.locked().waiting.pop().ok_or_else(|| defect(&"nothing waits for the connection"))?;
        Ok(first.ready)
    }

    /// Who is next need not wait long.
    pub(super) fn is_quick(&self) -> bool {
        self.locked().takes.is_some_and(|takes| takes <= QUICK)
    }

    /// A message had its connection for so long.
    pub(super) fn took(&self, time: TimeDelta) {
        let mut state = self.locked();
        let time = time.max(TimeDelta::zero());
        state.takes = Some(state.takes.map_or(time, |before| (before * 3 + time) / 4));
    }

    /// How many may be begun now, with so many in the air: none until it is worth a claim.
    pub(super) fn room(&self, flying: usize) -> usize {
        let ahead = ahead(self.connections, self.locked().takes);
        let room = (self.connections + ahead).saturating_sub(flying).min(BATCH);
        let worth = flying < self.connections || room >= (ahead / 2).max(1);
        if worth { room } else { 0 }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn defect(cause: &dyn std::fmt::Display) -> StoreError {
    StoreError { action: "hand-over".to_owned(), cause: cause.to_string() }
}

/// How many are begun beside those that have a connection. Before the first message was handed over nobody knows how long one takes: none.
fn ahead(connections: usize, takes: Option<TimeDelta>) -> usize {
    let Some(micros) = takes.map(|t| t.num_microseconds().unwrap_or(i64::MAX).max(1)) else { return 0 };
    let each = AHEAD.num_microseconds().unwrap_or(0) / micros;
    usize::try_from(each).unwrap_or(0).saturating_mul(connections).min(AHEAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_begun_ahead_of_a_slow_relay_and_enough_for_a_fast_one() {
        for (connections, millis, begun) in [
            (1, Some(4_000), 0),
            (4, Some(20_000), 0),
            (4, Some(2_000), 4),
            (4, Some(500), 16),
            (1, Some(100), 20),
            (4, Some(5), AHEAD_MAX),
            (64, Some(100), AHEAD_MAX),
            (1, Some(0), AHEAD_MAX),
            (4, None, 0),
        ] {
            assert_eq!(ahead(connections, millis.map(TimeDelta::milliseconds)), begun, "{connections} {millis:?}");
        }
    }

    #[test]
    fn a_claim_is_made_for_a_free_connection_and_else_when_it_is_worth_one() {
        let queue = Queue::new(4);
        assert_eq!((queue.room(0), queue.room(3), queue.room(4)), (4, 1, 0));
        queue.took(TimeDelta::milliseconds(5));
        assert_eq!((queue.room(0), queue.room(4), queue.room(516), queue.room(517)), (BATCH, BATCH, BATCH, 0));
        (0..40).for_each(|_| queue.took(TimeDelta::seconds(20)));
        assert_eq!((queue.room(3), queue.room(4), queue.room(500)), (1, 0, 0), "it has become slow");
    }
}
