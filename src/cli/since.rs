//! A time, or so long ago: `2026-11-28T09:00:00Z`, `2h`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use crate::zone::Zone;

/// As it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

impl Since {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let wrong = || format!("{text:?} is neither a time (2026-11-28T09:00:00Z) nor a span (30m, 2h, 1d)");
        let span = |unit: &str, of: fn(i64) -> TimeDelta| {
            let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
            (0..=10_000).contains(&count).then(|| of(count))
        };
        let found = span("m", TimeDelta::minutes).or_else(|| span("h", TimeDelta::hours)).or_else(|| span("d", TimeDelta::days));
        found.map(Self::Ago).ok_or_else(wrong)
    }

    pub(super) fn before(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now - span,
        }
    }
}

/// A moment as people write it: an instant, or a day or a time on the practice's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypedTime {
    Instant(DateTime<Utc>),
    Civil(NaiveDateTime),
}

impl TypedTime {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let civil = |pattern: &str| NaiveDateTime::parse_from_str(text, pattern).ok();
        let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN));
        let times = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
        if let Ok(at) = text.parse() {
            return Ok(Self::Instant(at));
        }
        let found = times.iter().find_map(|pattern| civil(pattern)).or_else(day);
        found.map(Self::Civil).ok_or_else(|| {
            format!("{text:?} is no time; expected 2026-11-29, \"2026-11-29 15:00\" (on the practice's clock), or 2026-11-29T20:00:00Z")
        })
    }

    /// On the clock of that zone.
    pub(super) fn on(self, zone: &Zone) -> DateTime<Utc> {
        match self {
            Self::Instant(at) => at,
            Self::Civil(civil) => zone.instant(civil),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Settings, Zones};

    #[test]
    fn moments() {
        let zones = Zones::load(&Settings { fallback: Some("America/New_York".to_owned()), ..Settings::default() }).unwrap();
        let zone = zones.resolve("").unwrap().zone;
        for (text, at) in [
            ("2026-11-29", "2026-11-29T05:00:00Z"),
            ("2026-11-29 15:00", "2026-11-29T20:00:00Z"),
            ("2026-11-29T15:00", "2026-11-29T20:00:00Z"),
            ("2026-11-29T15:00:00Z", "2026-11-29T15:00:00Z"),
        ] {
            assert_eq!(TypedTime::parse(text).map(|moment| moment.on(&zone)), Ok(at.parse().unwrap()), "{text}");
        }
        for wrong in ["tomorrow", "", "2026-13-01"] {
            assert!(TypedTime::parse(wrong).unwrap_err().contains("2026-11-29 15:00"), "{wrong}");
        }
    }

    #[test]
    fn times_and_spans() {
        let now: DateTime<Utc> = "2026-11-28T12:00:00Z".parse().unwrap();
        for (text, at) in [
            ("2026-11-28T09:00:00Z", "2026-11-28T09:00:00Z"),
            ("2026-11-28T09:00:00-05:00", "2026-11-28T14:00:00Z"),
            ("30m", "2026-11-28T11:30:00Z"),
            ("2h", "2026-11-28T10:00:00Z"),
            ("1d", "2026-11-27T12:00:00Z"),
        ] {
            assert_eq!(Since::parse(text).map(|since| since.before(now)), Ok(at.parse().unwrap()), "{text}");
        }
        for wrong in ["", "h", "2", "-2h", "2w", "yesterday", "99999d", "2 h", "\u{fc}"] {
            assert!(Since::parse(wrong).unwrap_err().contains("2h"), "{wrong}");
        }
    }
}
