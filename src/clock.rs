//! The clock: the one module that reads it. Everything else is told what time it is.

use chrono::{DateTime, TimeDelta, Utc};
use rustix::time::{ClockId, clock_gettime};

pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;

    /// Whether it can be right: a machine that lost its time says 1970, or when its battery died.
    fn is_plausible(&self) -> bool {
        true
    }

    /// How long the machine has run, sleep included; `None`: it does not say. Nobody sets this clock, so it shows when the other was set.
    fn uptime(&self) -> Option<TimeDelta> {
        None
    }

    /// Likewise, sleep excluded: behind [`Clock::uptime`] by as long as the machine slept.
    fn awake(&self) -> Option<TimeDelta> {
        self.uptime()
    }
}

/// When this version was made, as a Unix time in seconds (2026-11-24): no moment before it can be now.
const MADE: i64 = 1_795_478_400;
/// Wall clocks that are corrected by less than this were not set: they drift. Who slept for less than this missed no more than between two polls.
pub const JUMP: TimeDelta = TimeDelta::seconds(60);

/// The wall clock and the times that the machine has run, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// See [`Clock::now`].
    pub wall: DateTime<Utc>,
    /// See [`Clock::uptime`].
    pub uptime: TimeDelta,
    /// See [`Clock::awake`].
    pub awake: TimeDelta,
}

/// What makes that which was known a moment ago old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upset {
    /// The wall clock was set, by so much.
    Set(TimeDelta),
    /// The machine slept, for so long.
    Slept(TimeDelta),
}

impl Reading {
    /// All clocks now; `None`: this one does not say how long the machine has run.
    pub fn of(clock: &dyn Clock) -> Option<Self> {
        Some(Self { wall: clock.now(), uptime: clock.uptime()?, awake: clock.awake()? })
    }

    /// By how much the wall clock was set since an earlier reading, or how long the machine slept, if by more than [`JUMP`]. Sleep alone sets no
    /// clock: the uptime counts it as well.
    pub fn upset_since(self, earlier: Self) -> Option<Upset> {
        let ran = self.uptime - earlier.uptime;
        let (jump, slept) = (self.wall - earlier.wall - ran, ran - (self.awake - earlier.awake));
        match (jump.abs() > JUMP, slept > JUMP) {
            (true, _) => Some(Upset::Set(jump)),
            (false, true) => Some(Upset::Slept(slept)),
            (false, false) => None,
        }
    }
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn is_plausible(&self) -> bool {
        self.now().timestamp() >= MADE
    }

    fn uptime(&self) -> Option<TimeDelta> {
        Some(machine(ClockId::Boottime))
    }

    fn awake(&self) -> Option<TimeDelta> {
        Some(machine(ClockId::Monotonic))
    }
}

/// A clock of the machine that nobody sets.
fn machine(id: ClockId) -> TimeDelta {
    let now = clock_gettime(id);
    TimeDelta::seconds(now.tv_sec) + TimeDelta::nanoseconds(now.tv_nsec)
}

/// Microseconds by the machine's monotonic clock, as systemd counts them.
pub fn monotonic_usec() -> u64 {
    machine(ClockId::Monotonic).num_microseconds().and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

/// A clock that stands still, for tests.
#[derive(Debug, Clone, Copy)]
pub struct Fixed(pub DateTime<Utc>);

impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_was_set_shows_against_the_uptime_and_sleep_against_the_time_awake() {
        let reading = |wall: i64, uptime: i64, awake: i64| Reading {
            wall: DateTime::UNIX_EPOCH + TimeDelta::seconds(1000 + wall),
            uptime: TimeDelta::seconds(500 + uptime),
            awake: TimeDelta::seconds(300 + awake),
        };
        let (set, slept) = (|s| Some(Upset::Set(TimeDelta::seconds(s))), |s| Some(Upset::Slept(TimeDelta::seconds(s))));
        for (wall, uptime, awake, upset) in [
            (30, 30, 30, None),
            (90, 30, 30, None),
            (91, 30, 30, set(61)),
            (-31, 30, 30, set(-61)),
            (28_800, 28_800, 28_800, None),
            (28_800, 28_800, 30, slept(28_770)),
            (90, 90, 30, None),
            (91, 91, 30, slept(61)),
            (30, 28_800, 30, set(-28_770)),
        ] {
            assert_eq!(reading(wall, uptime, awake).upset_since(reading(0, 0, 0)), upset, "{wall} {uptime} {awake}");
        }
    }

    #[test]
    fn this_machine_says_how_long_it_has_run() {
        let (first, second) = (Reading::of(&WallClock).unwrap(), Reading::of(&WallClock).unwrap());
        assert!(first.uptime > TimeDelta::zero() && second.uptime >= first.uptime && second.awake >= first.awake);
        assert!(WallClock.is_plausible());
        assert_eq!(DateTime::from_timestamp(MADE, 0).unwrap().to_rfc3339(), "2026-11-24T00:00:00+00:00");
    }
}
