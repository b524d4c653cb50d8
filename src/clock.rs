//! The clock: the one module that reads it. Everything else is told what time it is.

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;

    /// Whether it can be right: a machine that lost its time says 1970, or when its battery died.
    fn is_plausible(&self) -> bool {
        true
    }

    /// How long the machine has run, sleep included; `None`: it does not say. Nobody sets this clock, so it shows when the other was set.
    fn uptime(&self) -> Option<TimeDelta> {
        None
    }
}

/// When this version was made, as a Unix time in seconds (2026-11-24): no moment before it can be now.
const MADE: i64 = 1_795_478_400;
/// Wall clocks that are corrected by less than this were not set: they drift.
pub const JUMP: TimeDelta = TimeDelta::seconds(60);

/// The wall clock and the time that the machine has run, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// See [`Clock::now`].
    pub wall: DateTime<Utc>,
    /// See [`Clock::uptime`].
    pub uptime: TimeDelta,
}

impl Reading {
    /// Both clocks now.
    pub fn of(clock: &dyn Clock) -> Option<Self> {
        Some(Self { wall: clock.now(), uptime: clock.uptime()? })
    }

    /// By how much the wall clock was set since an earlier reading, if by more than [`JUMP`]. Sleep is none: both clocks count it.
    pub fn jump_since(self, earlier: Self) -> Option<TimeDelta> {
        let jump = (self.wall - earlier.wall) - (self.uptime - earlier.uptime);
        (jump.abs() > JUMP).then_some(jump)
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

    /// Linux counts it in /proc/uptime, in seconds, with the time asleep.
    fn uptime(&self) -> Option<TimeDelta> {
        let seconds: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
        Some(TimeDelta::milliseconds((seconds * 1000.0) as i64))
    }
}

/// Microseconds by the machine's monotonic clock, as systemd counts them.
pub fn monotonic_usec() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000
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
    fn a_wall_clock_that_was_set_shows_against_the_uptime() {
        let reading =
            |wall: i64, uptime: i64| Reading { wall: DateTime::UNIX_EPOCH + TimeDelta::seconds(wall), uptime: TimeDelta::seconds(uptime) };
        for (wall, uptime, jump) in
            [(30, 30, None), (90, 30, None), (91, 30, Some(61)), (-31, 30, Some(-61)), (28_800, 28_800, None), (30, 28_800, Some(-28_770))]
        {
            assert_eq!(reading(1000 + wall, 500 + uptime).jump_since(reading(1000, 500)).map(|j| j.num_seconds()), jump, "{wall} {uptime}");
        }
    }

    #[test]
    fn this_machine_says_how_long_it_has_run() {
        let (first, second) = (Reading::of(&WallClock).unwrap(), Reading::of(&WallClock).unwrap());
        assert!(first.uptime > TimeDelta::zero() && second.uptime >= first.uptime);
        assert!(WallClock.is_plausible());
        assert_eq!(DateTime::from_timestamp(MADE, 0).unwrap().to_rfc3339(), "2026-11-24T00:00:00+00:00");
    }
}
