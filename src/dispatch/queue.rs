//! What is begun and waits for a connection: the most urgent first, and few at a time.
//!
//! A connection that is free takes whatever is most urgent at that moment, so that what falls due later and is more urgent overtakes; over a quick relay
//! it takes the one behind it, too ([`Queue::next`]). How many are
//! begun ahead follows from how fast the lane hands over: as many as leave within [`AHEAD`]. Over a relay that takes seconds for a message none are,
//! and each is decided when a connection is free; over a fast one enough to keep all of its connections busy while the next batch is prepared.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::BATCH;
use super::attempt::Attempt;

/// What is begun leaves within this time, at the rate measured.
const AHEAD: TimeDelta = TimeDelta::seconds(2);
/// And no more than this: two batches, one that leaves while the other one is prepared.
const AHEAD_MAX: usize = 2 * BATCH;

/// A message that has its connection for no longer lets the next one pass its point of no return meanwhile: that one waits for it no longer, in doubt,
/// than this.
pub(super) const QUICK: TimeDelta = TimeDelta::milliseconds(250);

/// A lane's connections, and what waits for them.
pub(super) struct Queue {
    connections: AtomicUsize,
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    waiting: BinaryHeap<Reverse<Queued>>,
    /// Connections that somebody works on.
    busy: usize,
    /// Of those, without a message yet.
    new: usize,
    /// Begun so far: what is as urgent leaves in the order in which it was claimed.
    begun: u64,
    /// What a message takes on its connection, the latest counting most; `None`: none was handed over yet.
    takes: Option<TimeDelta>,
}

struct Queued {
    urgency: (DateTime<Utc>, DateTime<Utc>, u64),
    attempt: Box<Attempt>,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.urgency == other.urgency
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.urgency.cmp(&other.urgency)
    }
}

impl Queue {
    pub(super) fn new(connections: usize) -> Self {
        Self { connections: AtomicUsize::new(connections), state: Mutex::default() }
    }

    /// From now on there are so many. Of those that are too many each ends with the message that it has.
    pub(super) fn has_connections(&self, connections: usize) {
        self.connections.store(connections, Ordering::Relaxed);
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn put(&self, attempt: Box<Attempt>) {
        let mut state = self.locked();
        state.begun += 1;
        let notice = &attempt.ready.notice;
        let urgency = (notice.useful_until, notice.due_at, state.begun);
        state.waiting.push(Reverse(Queued { urgency, attempt }));
    }

    /// Something waits and a connection is free, which is taken herewith: whoever asks sees to it that it is worked on, until [`Queue::first`] gives it
    /// back.
    pub(super) fn takes_connection(&self) -> bool {
        let mut state = self.locked();
        let takes = state.busy < self.connections() && !state.waiting.is_empty();
        state.busy += usize::from(takes);
        state.new += usize::from(takes);
        takes
    }

    /// A connection is free, or will be as soon as something waits for it.
    pub(super) fn has_a_free_connection(&self) -> bool {
        self.locked().busy < self.connections()
    }

    /// Takes the most urgent one out. `None`: nothing waits, or there are too many connections, and this one is free. `new`: it had no message yet.
    pub(super) fn first(&self, new: bool) -> Option<Box<Attempt>> {
        let mut state = self.locked();
        state.new -= usize::from(new);
        let is_too_many = !new && state.busy > self.connections();
        let first = if is_too_many { None } else { state.waiting.pop() };
        state.busy -= usize::from(first.is_none());
        first.map(|Reverse(first)| first.attempt)
    }

    /// Takes the most urgent one out, if no connection is free for it and it may be next on one that has another message.
    pub(super) fn next(&self, may: impl FnOnce(&Attempt) -> bool) -> Option<Box<Attempt>> {
        let mut state = self.locked();
        let waits = state.busy == self.connections() && state.waiting.len() > state.new;
        let may = waits && state.waiting.peek().is_some_and(|Reverse(first)| may(&first.attempt));
        let next = if may { state.waiting.pop() } else { None };
        next.map(|Reverse(next)| next.attempt)
    }

    /// Takes the most urgent one out, for no connection.
    pub(super) fn any(&self) -> Option<Box<Attempt>> {
        self.locked().waiting.pop().map(|Reverse(one)| one.attempt)
    }

    /// Somebody waits for a connection.
    pub(super) fn has_more(&self) -> bool {
        let state = self.locked();
        state.waiting.len() > state.new
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
    pub(super) fn room(&self, in_flight: usize) -> usize {
        let ahead = ahead(self.connections(), self.locked().takes);
        let room = (self.connections() + ahead).saturating_sub(in_flight).min(BATCH);
        let worth = in_flight < self.connections() || room >= (ahead / 2).max(1);
        if worth { room } else { 0 }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        queue.has_connections(2);
        assert_eq!((queue.room(0), queue.room(1), queue.room(2)), (2, 1, 0), "another node has its share");
    }
}
