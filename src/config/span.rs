//! Durations and times of day as people write them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Months, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An elapsed time: `90s`, `2m`, `1h 30m`, `24h`. No days: a day is not always 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration(pub TimeDelta);

/// Longest duration taken: a year.
const LONGEST: TimeDelta = TimeDelta::days(366);

impl FromStr for Duration {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration; expected hours, minutes or seconds, such as \"24h\", \"1h 30m\" or \"90s\"");
        let parsed: jiff::SignedDuration = text.trim().parse().map_err(|_| wrong())?;
        let span = TimeDelta::from_std(parsed.try_into().map_err(|_| wrong())?).map_err(|_| wrong())?;
        if span > LONGEST { Err(format!("{text:?} is longer than a year")) } else { Ok(Self(span)) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.num_seconds();
        let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
        let written: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
        f.write_str(if written.is_empty() { "0s".to_owned() } else { written.join(" ") }.as_str())
    }
}

/// How long something is kept: `7d`, `6y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Of 24 hours: nobody's clock matters.
    Days(u32),
    /// Of the calendar.
    Years(u32),
}

impl Period {
    /// The time that lies so long before that one.
    pub fn before(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let before = match self {
            Self::Days(n) => now.checked_sub_signed(TimeDelta::days(n.into())),
            Self::Years(n) => now.checked_sub_months(Months::new(n.saturating_mul(12))),
        };
        before.unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

impl FromStr for Period {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let number = |n: &str| n.trim().parse::<u32>().ok().filter(|n| (1..=36_500).contains(n));
        let days = text.strip_suffix('d').and_then(number).map(Self::Days);
        let years = text.strip_suffix('y').and_then(number).filter(|n| *n <= 100).map(Self::Years);
        days.or(years).ok_or_else(|| format!("{text:?} is no period; expected days or years, such as \"7d\" or \"6y\""))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(n) => write!(f, "{n}d"),
            Self::Years(n) => write!(f, "{n}y"),
        }
    }
}

/// A time of day: `18:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock(pub NaiveTime);

impl FromStr for Clock {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = NaiveTime::parse_from_str(text.trim(), "%H:%M");
        parsed.map(Self).map_err(|_| format!("{text:?} is no time of day; expected hours and minutes such as \"18:00\""))
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%H:%M").fmt(f)
    }
}

/// Read and written as strings.
macro_rules! as_string {
    ($t:ty, $name:literal, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl Serialize for $t {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl schemars::JsonSchema for $t {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
as_string!(Duration, "Duration", r"^\s*(\d+\s*[a-z]+[\s,]*)+$");
as_string!(Period, "Period", r"^\s*[0-9]+\s*[dy]\s*$");
as_string!(Clock, "TimeOfDay", r"^([01]?\d|2[0-3]):[0-5]\d$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("24h", 86_400), ("2m", 120), ("90s", 90), ("1h 30m", 5400), ("1h30m", 5400), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(Duration(TimeDelta::seconds(seconds))), "{text}");
        }
        for text in ["", "24", "1d", "-1h", "1 day", "soon", "99999h"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        assert_eq!(Duration(TimeDelta::seconds(5400)).to_string(), "1h 30m");
        assert_eq!(Duration(TimeDelta::zero()).to_string(), "0s");
    }

    #[test]
    fn times_of_day() {
        assert_eq!("18:00".parse::<Clock>().unwrap().to_string(), "18:00");
        for text in ["24:00", "6pm", "18", ""] {
            assert!(text.parse::<Clock>().is_err(), "{text}");
        }
    }
}
