//! How often a relay or a gateway may be used: `rate = "100/min"`. Pure: `now` is an argument.
//!
//! Turns are spaced evenly, so that no minute ever sees more than a minute's share, not even the first after a quiet night. That is stricter than
//! a bucket that fills up, and what providers count.
//!
//! A store keeps the turns of a transport for all processes that use it, those that come later too: it gives some at a time ([`give`]), and whoever has
//! them uses them or lets them pass ([`RateLimiter::given`]). None is given back, so none is given twice.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Messages in a time: at most this many in any such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: i32,
    per: Per,
}

/// The units that a rate can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Per {
    Second,
    Minute,
    Hour,
    Day,
}

impl Per {
    const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    fn word(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "day",
        }
    }

    fn span(self) -> TimeDelta {
        match self {
            Self::Second => TimeDelta::seconds(1),
            Self::Minute => TimeDelta::minutes(1),
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }
}

/// More than this a second is no limit.
const COUNT_MAX: i32 = 100_000;

impl Rate {
    /// From one turn to the next, rounded up to the microsecond.
    pub fn spacing(self) -> TimeDelta {
        let count = i64::from(self.count);
        TimeDelta::microseconds((self.per.span().num_milliseconds() * 1000 + count - 1) / count)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate; expected messages per s, min, h or day, such as \"100/min\"");
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.trim().parse().ok().filter(|n| (1..=COUNT_MAX).contains(n)).ok_or_else(wrong)?;
        let per = Per::ALL.into_iter().find(|p| p.word() == per.trim()).ok_or_else(wrong)?;
        Ok(Self { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.word())
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl schemars::JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^ *[0-9]+ */ *(s|min|h|day) *$" })
    }
}

/// How far ahead a turn may be taken: what is in hand waits no longer than this, and is still what it was.
pub const BURST_WINDOW: TimeDelta = TimeDelta::seconds(5);

/// So much of its time is asked for at once, at most, by whoever uses all turns that it gets: others wait no longer for theirs.
const AT_ONCE: TimeDelta = TimeDelta::seconds(1);

/// A share that goes on where the one before ended does so by this process's clock, too, but for the time that an answer takes.
const LATE: TimeDelta = TimeDelta::milliseconds(100);

/// When the next turn is: `now` or later. A turn further ahead than any can be is of a clock that was set back since.
fn following(next: Option<DateTime<Utc>>, now: DateTime<Utc>, spacing: TimeDelta) -> DateTime<Utc> {
    next.filter(|next| *next <= now + BURST_WINDOW + spacing).map_or(now, |next| next.max(now))
}

/// Turns from that one until that time.
fn turns_until(end: DateTime<Utc>, first: DateTime<Utc>, spacing: TimeDelta) -> usize {
    let left = end - first;
    if left < TimeDelta::zero() {
        return 0;
    }
    let (left, spacing) = (left.num_nanoseconds().unwrap_or(i64::MAX), spacing.num_nanoseconds().unwrap_or(i64::MAX));
    usize::try_from(left / spacing.max(1) + 1).unwrap_or(usize::MAX)
}

/// Turns that a store gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// The first one, by the store's clock; of none: the next one that nobody has.
    pub first: DateTime<Utc>,
    /// How long it is until then.
    pub wait: TimeDelta,
    /// How many, at the spacing that was asked for.
    pub count: usize,
}

impl Turns {
    /// The first turn behind them.
    pub fn end(&self, spacing: TimeDelta) -> DateTime<Utc> {
        self.first + spacing * i32::try_from(self.count).unwrap_or(i32::MAX)
    }
}

/// Gives so many turns at most, none further ahead than [`BURST_WINDOW`]. `next`: the next one that nobody has.
pub fn give(next: Option<DateTime<Utc>>, now: DateTime<Utc>, spacing: TimeDelta, count: usize) -> Turns {
    let first = following(next, now, spacing);
    Turns { first, wait: first - now, count: count.min(turns_until(now + BURST_WINDOW, first, spacing)) }
}

/// The turns of one relay or gateway.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    spacing: TimeDelta,
    /// The next turn that was not taken here; `None`: there was none yet.
    next: Option<DateTime<Utc>>,
    /// Those that a store gave, if one does.
    share: Share,
}

/// What a store gave, and what it said.
#[derive(Debug, Clone, Default)]
struct Share {
    /// Turns before this time are this process's.
    end: Option<DateTime<Utc>>,
    /// The same by the store's clock.
    end_there: Option<DateTime<Utc>>,
    /// The next turn that nobody has, as far as is known.
    free: Option<DateTime<Utc>>,
    /// How many were asked for last.
    asked: usize,
}

impl RateLimiter {
    /// No turn was taken yet.
    pub fn new(rate: Rate) -> Self {
        Self { spacing: rate.spacing(), next: None, share: Share::default() }
    }

    /// When the next turn is: `now` or later.
    pub fn next(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.own(now) > 0 { following(self.next, now, self.spacing) } else { self.free(now) }
    }

    /// Turns that can be taken now.
    pub fn turns(&self, now: DateTime<Utc>) -> usize {
        self.own(now).saturating_add(turns_until(now + BURST_WINDOW, self.free(now), self.spacing))
    }

    /// Of those that were given.
    fn own(&self, now: DateTime<Utc>) -> usize {
        let end = self.share.end.filter(|end| *end <= now + BURST_WINDOW + self.spacing);
        end.map_or(0, |end| turns_until(end - self.spacing, following(self.next, now, self.spacing), self.spacing))
    }

    /// The next one that can be had beside them.
    fn free(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let known = self.share.end.max(self.share.free);
        following(known.or(self.next), now, self.spacing)
    }

    /// What a store is asked for: the spacing, and how many. As many as one uses, and twice as many if those before did not last.
    pub fn wanted(&mut self, now: DateTime<Utc>) -> (TimeDelta, usize) {
        let most = turns_until(now + AT_ONCE - self.spacing, now, self.spacing).max(1);
        let lasted = self.share.end.is_none_or(|end| end < now);
        self.share.asked = if lasted { 1 } else { (self.share.asked * 2).clamp(1, most) };
        (self.spacing, self.share.asked)
    }

    /// A store gave these.
    pub fn given(&mut self, now: DateTime<Utc>, turns: Turns) {
        let first = now + turns.wait;
        self.share.free = Some(first);
        if turns.count == 0 {
            return;
        }
        let before = self.share.end.filter(|end| self.share.end_there == Some(turns.first) && (*end - first).abs() <= LATE);
        if before.is_none() {
            self.next = Some(first);
        }
        let from = before.map_or(first, |end| end.min(first));
        self.share.end = Some(Turns { first: from, ..turns }.end(self.spacing));
        self.share.end_there = Some(turns.end(self.spacing));
    }

    /// The next turn that nobody has is so long from now.
    pub fn set_next_turn(&mut self, now: DateTime<Utc>, wait: TimeDelta) {
        self.share.free = Some(now + wait);
    }

    /// Takes the next turn that was given; `None`: there is none.
    pub fn take_given(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.own(now) == 0 {
            return None;
        }
        let turn = following(self.next, now, self.spacing);
        self.next = Some(turn + self.spacing);
        Some(turn)
    }

    /// Takes the next turn, and says when it is; `None`: it is too far ahead.
    pub fn take(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let turn = self.next(now);
        if turn > now + BURST_WINDOW {
            return None;
        }
        self.next = Some(turn + self.spacing);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
    }

    fn pace(rate: &str) -> RateLimiter {
        RateLimiter::new(rate.parse().unwrap())
    }

    #[test]
    fn rates() {
        for (text, written, millis) in [
            ("100/min", "100/min", 600),
            ("1/s", "1/s", 1000),
            (" 20 / s ", "20/s", 50),
            ("3600/h", "3600/h", 1000),
            ("1/day", "1/day", 86_400_000),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.to_string().as_str(), rate.spacing()), (written, TimeDelta::milliseconds(millis)));
        }
        for wrong in ["", "100", "/min", "0/s", "-1/s", "1/week", "1.5/s", "100001/s", "many/min", "99999999999999999999/s"] {
            assert!(wrong.parse::<Rate>().unwrap_err().contains("100/min"), "{wrong}");
        }
    }

    #[test]
    fn no_time_sees_more_than_its_share() {
        for (rate, window) in [("10/s", 1), ("100/min", 60), ("7/min", 60), ("30/h", 3600)] {
            let count: i64 = rate.split_once('/').unwrap().0.parse().unwrap();
            let mut pace = pace(rate);
            let mut turns = Vec::new();
            // Asked all the time, with a quiet while in the middle.
            for second in (0..4000).filter(|s| !(1000..2000).contains(s)) {
                while let Some(turn) = pace.take(at(second)) {
                    turns.push(turn);
                }
            }
            assert!(turns.is_sorted());
            for (n, first) in turns.iter().enumerate() {
                let within = turns[n..].iter().take_while(|t| **t - *first < TimeDelta::seconds(window)).count() as i64;
                assert!(within <= count, "{rate}: {within} from {first}");
            }
            let most = (3000 * count) / window;
            assert!(turns.len() as i64 >= most * 9 / 10, "{rate}: {} of {most}: it does not waste turns", turns.len());
        }
    }

    #[test]
    fn turns_are_taken_a_little_ahead_and_no_further() {
        let mut pace = pace("1/s");
        assert_eq!(pace.turns(at(0)), 6);
        let taken: Vec<_> = std::iter::from_fn(|| pace.take(at(0))).collect();
        assert_eq!(taken, (0..=5).map(at).collect::<Vec<_>>());
        assert_eq!((pace.turns(at(0)), pace.next(at(0))), (0, at(6)));
        assert_eq!((pace.turns(at(1)), pace.take(at(1))), (1, Some(at(6))));
        let mut slow = super::RateLimiter::new("1/h".parse().unwrap());
        assert_eq!((slow.turns(at(0)), slow.take(at(0)), slow.take(at(0))), (1, Some(at(0)), None));
        assert_eq!((slow.turns(at(3594)), slow.turns(at(3595))), (0, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut pace = pace("1/s");
        pace.take(at(100_000));
        assert_eq!((pace.next(at(0)), pace.take(at(0)), pace.next(at(0))), (at(0), Some(at(0)), at(1)));
    }
}
