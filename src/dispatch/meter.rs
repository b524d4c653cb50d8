//! What a lane did since the process began, and whether it still moves: counters that are read while it works.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use crate::outbox::{Returned, Settlement};
use crate::outcome::Outcome;

/// Upper bounds of the lateness histogram, in seconds: from "at once" over one retry to "hours".
pub const LATENESS: [u64; 11] = [1, 2, 5, 10, 30, 60, 300, 900, 3_600, 10_800, 21_600];

/// How attempts end, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// A server has it.
    Accepted,
    /// A server refused it for good.
    Rejected,
    /// To be tried again.
    Retry,
    /// The channel was at fault.
    ChannelFault,
    /// In doubt.
    Unknown,
    /// Not sent after all: held, cancelled, superseded, lapsed, suppressed.
    Ended,
    /// Moved by the planner, fenced, or returned at a stop.
    Returned,
}

impl Counted {
    /// All of them, each at its own index.
    const ALL: [Self; 7] = [Self::Accepted, Self::Rejected, Self::Retry, Self::ChannelFault, Self::Unknown, Self::Ended, Self::Returned];

    /// The metrics' label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::ChannelFault => "channel_fault",
            Self::Unknown => "unknown",
            Self::Ended => "ended",
            Self::Returned => "returned",
        }
    }
}

impl From<&Settlement> for Counted {
    fn from(end: &Settlement) -> Self {
        match end {
            Settlement::Accepted { .. } => Self::Accepted,
            Settlement::Rejected { .. } => Self::Rejected,
            Settlement::Retry { .. } => Self::Retry,
            Settlement::Unknown { .. } => Self::Unknown,
            Settlement::Ended { .. } => Self::Ended,
            Settlement::Return { outcome: Returned::ChannelFault, .. } => Self::ChannelFault,
            Settlement::Return { outcome: Returned::Fenced | Returned::Moved | Returned::Stopped, .. } => Self::Returned,
        }
    }
}

impl From<&Outcome> for Counted {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted { .. } => Self::Accepted,
            Outcome::Rejected { .. } => Self::Rejected,
            Outcome::Retry { .. } => Self::Retry,
            Outcome::ChannelFault { .. } => Self::ChannelFault,
            Outcome::Unknown { .. } => Self::Unknown,
            Outcome::Fenced => Self::Returned,
        }
    }
}

/// A lane with nothing in flight looks at its store at least every half a minute: three times that is a stop.
const IDLE_MAX: Duration = Duration::from_secs(90);
/// With attempts in flight it may wait for one of them, and none takes longer than its lease.
const IN_FLIGHT_MAX: Duration = Duration::from_secs(30 * 60);

#[derive(Debug)]
pub struct Meter {
    outcomes: [AtomicU64; Counted::ALL.len()],
    lateness: [AtomicU64; LATENESS.len() + 1],
    lateness_ms: AtomicU64,
    heartbeat: Mutex<Heartbeat>,
}

/// When the lane last went round.
#[derive(Debug, Clone, Copy)]
struct Heartbeat {
    at: Instant,
    in_flight: usize,
}

/// How late messages were accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Lateness {
    /// By bucket, each counting what is at or below its bound; then all.
    pub at_most: Vec<u64>,
    /// In seconds.
    pub sum: f64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            outcomes: Default::default(),
            lateness: Default::default(),
            lateness_ms: AtomicU64::new(0),
            heartbeat: Mutex::new(Heartbeat { at: Instant::now(), in_flight: 0 }),
        }
    }
}

impl Meter {
    /// Messages that were in hand at the last look.
    pub fn in_flight(&self) -> usize {
        self.heartbeat.lock().unwrap_or_else(std::sync::PoisonError::into_inner).in_flight
    }

    /// The lane goes round, with so many attempts in flight.
    pub(super) fn heartbeat(&self, in_flight: usize) {
        *self.heartbeat.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Heartbeat { at: Instant::now(), in_flight };
    }

    /// It goes round as it should.
    pub fn is_alive(&self, now: Instant) -> bool {
        let heartbeat = *self.heartbeat.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        now.saturating_duration_since(heartbeat.at) <= if heartbeat.in_flight > 0 { IN_FLIGHT_MAX } else { IDLE_MAX }
    }

    /// An attempt ended, so long after it could have gone.
    pub(super) fn count(&self, end: Counted, late: TimeDelta) {
        self.outcomes[end as usize].fetch_add(1, Ordering::Relaxed);
        if end == Counted::Accepted {
            let ms = u64::try_from(late.num_milliseconds()).unwrap_or(0);
            let bucket = LATENESS.iter().position(|bound| ms <= bound * 1_000).unwrap_or(LATENESS.len());
            self.lateness[bucket].fetch_add(1, Ordering::Relaxed);
            self.lateness_ms.fetch_add(ms, Ordering::Relaxed);
        }
    }

    /// Ended attempts, by the metrics' label.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Counted::ALL.into_iter().map(Counted::as_str).zip(self.outcomes.iter().map(|n| n.load(Ordering::Relaxed)))
    }

    /// How late the accepted ones were.
    pub fn lateness(&self) -> Lateness {
        let mut sum = 0;
        let at_most = self.lateness.iter().map(|n| {
            sum += n.load(Ordering::Relaxed);
            sum
        });
        let at_most = at_most.collect();
        Lateness { at_most, sum: self.lateness_ms.load(Ordering::Relaxed) as f64 / 1_000.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_cumulative_and_only_of_what_was_accepted() {
        let meter = Meter::default();
        for seconds in [-5, 0, 1, 61, 100_000] {
            meter.count(Counted::Accepted, TimeDelta::seconds(seconds));
        }
        meter.count(Counted::Rejected, TimeDelta::seconds(7));
        assert_eq!(meter.lateness(), Lateness { at_most: vec![3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5], sum: 100_062.0 });
        let counted: Vec<_> = meter.outcomes().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [("accepted", 5), ("rejected", 1)]);
    }

    #[test]
    fn a_lane_that_waits_for_an_attempt_still_moves() {
        let meter = Meter::default();
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        meter.heartbeat(0);
        assert!(meter.is_alive(after(60)) && !meter.is_alive(after(120)));
        meter.heartbeat(3);
        assert!(meter.is_alive(after(1_200)) && !meter.is_alive(after(2_000)));
    }
}
