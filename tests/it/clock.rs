//! The clock of tests: it stands until somebody moves it.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use punctual::clock::Clock;

/// `2026-11-24T12:00:00Z`
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The wall clock, and the time that the machine has run. A wall clock before 2000 cannot be right.
pub(crate) struct ManualClock(Mutex<(DateTime<Utc>, TimeDelta)>);

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.lock().unwrap().0
    }

    fn is_plausible(&self) -> bool {
        self.now() > at("2000-01-01T00:00:00Z")
    }

    fn uptime(&self) -> Option<TimeDelta> {
        Some(self.0.lock().unwrap().1)
    }
}

impl ManualClock {
    pub(crate) fn new(now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self(Mutex::new((now, TimeDelta::days(1)))))
    }

    /// Time passes.
    pub(crate) fn go_on(&self, time: TimeDelta) {
        let mut both = self.0.lock().unwrap();
        *both = (both.0 + time, both.1 + time);
    }

    /// Time passes until then.
    pub(crate) fn go_to(&self, then: DateTime<Utc>) {
        self.go_on(then - self.now());
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set(&self, to: DateTime<Utc>) {
        self.0.lock().unwrap().0 = to;
    }
}
