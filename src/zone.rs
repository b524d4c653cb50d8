//! Time zones: from a source's id to today's rules.
//!
//! A [`Zone`] is chrono-tz's name for a place with rules that are not chrono-tz's own: its release of the IANA database is older
//! than the clock changes that several regions have abolished since. The rules are TZif data (RFC 9636), the newest of what
//! the program ships and what the host has (`database`), read by jiff. [`Zones`] turns what a source says (a Windows id or
//! an IANA name) into a `Zone` (`resolve`, `windows`).
//!
//! - Inputs: instants and civil times (chrono's types), ids, the practice's [`Settings`], the host's zoneinfo folders.
//! - Outputs: [`LocalTime`], instants, [`Resolved`] zones, [`TzData`] for whoever asks which rules are in use.
//! - Invariants: civil time to instant is total and has one answer (in a gap forward by its length, in an overlap the earlier
//!   instant); no date panics; all zones come from one release of the database; nothing becomes UTC because it was not understood.
//! - Failures: an id that names no zone, told with what is wrong with it; host data that cannot be used is passed over with a
//!   note, and the shipped data serves.

mod database;
mod resolve;
mod windows;

use std::fmt;

use chrono::{
    DateTime, Datelike, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, SecondsFormat, TimeDelta, TimeZone,
    Timelike, Utc,
};
use jiff::tz::AmbiguousOffset;

pub use database::{ReleaseWatch, TzData};
pub use resolve::{Resolved, Settings, Zones};

/// One zone: an IANA name, and rules that are today's. A clone is cheap.
///
/// It implements [`chrono::TimeZone`], so that `DateTime<Zone>` works like any other.
#[derive(Clone)]
pub struct Zone {
    id: chrono_tz::Tz,
    rules: jiff::tz::TimeZone,
    /// Winter carries the daylight flag in this data (Ireland, Morocco): see [`Zone::is_summer`].
    negative_dst: bool,
}

/// A moment on somebody's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    pub civil: NaiveDateTime,
    /// Seconds east of UTC.
    pub offset_seconds: i32,
    /// Summer time is in effect: the clocks there are ahead of their standard.
    pub dst: bool,
}

impl Zone {
    fn new(id: chrono_tz::Tz, rules: jiff::tz::TimeZone) -> Self {
        let negative_dst = has_negative_dst(&rules);
        Self { id, rules, negative_dst }
    }

    /// The IANA name: `America/New_York`.
    pub fn name(&self) -> &'static str {
        self.id.name()
    }

    /// What the clocks there show at this instant.
    pub fn local(&self, at: DateTime<Utc>) -> LocalTime {
        let stamp = timestamp(at.timestamp());
        let info = self.rules.to_offset_info(stamp);
        let offset_seconds = info.offset().seconds();
        let dst = if self.negative_dst { self.is_summer(stamp) } else { info.dst().is_dst() };
        LocalTime { civil: shifted(at.naive_utc(), offset_seconds), offset_seconds, dst }
    }

    /// What the zone calls its time at this instant: `EST`; some zones have only an offset.
    pub fn abbreviation(&self, at: DateTime<Utc>) -> String {
        self.rules.to_offset_info(timestamp(at.timestamp())).abbreviation().to_owned()
    }

    /// The instant of a civil time: in a gap forward by its length, in an overlap the earlier one.
    pub fn instant(&self, civil: NaiveDateTime) -> DateTime<Utc> {
        // The offset from before the change does both: in a gap it leads past it by its length, in an overlap to the first pass.
        let offset = match self.offsets(civil) {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
        };
        shifted(civil, -offset.seconds()).and_utc()
    }

    /// Whether that civil time happens twice (or was skipped).
    pub fn is_ambiguous(&self, civil: NaiveDateTime) -> bool {
        !matches!(self.offsets(civil), AmbiguousOffset::Unambiguous { .. })
    }

    fn offsets(&self, civil: NaiveDateTime) -> AmbiguousOffset {
        self.rules.to_ambiguous_timestamp(datetime(civil)).offset()
    }

    fn offset_at(&self, utc: NaiveDateTime) -> ZoneOffset {
        let offset = self.rules.to_offset(timestamp(utc.and_utc().timestamp()));
        self.with_seconds(offset.seconds())
    }

    fn with_seconds(&self, seconds: i32) -> ZoneOffset {
        ZoneOffset { zone: self.clone(), seconds }
    }

    /// Ireland's law calls winter the exception, and the main form of the database flags it so (Morocco likewise); people, and
    /// CLDR's names, mean by summer time the period that is ahead. Which form the data has depends on who compiled it.
    fn is_summer(&self, at: jiff::Timestamp) -> bool {
        let now = self.rules.to_offset_info(at);
        let next = self.rules.following(at).next();
        match next {
            Some(next) if now.dst().is_dst() == next.dst().is_dst() => now.dst().is_dst(),
            Some(next) => now.offset() > next.offset(),
            None => now.dst().is_dst(),
        }
    }
}

/// Whether a period of these rules has the daylight flag and is behind the period that follows it without one.
fn has_negative_dst(rules: &jiff::tz::TimeZone) -> bool {
    /// 2000-01-01: what was abolished before then matters to no session.
    const SINCE: i64 = 946_684_800;
    /// Two changes a year (Morocco: four), from 2000 to beyond 2037, where recorded changes end and rules take over.
    const CHANGES: usize = 160;
    let mut before: Option<(bool, i32)> = None;
    rules.following(timestamp(SINCE)).take(CHANGES).any(|change| {
        let now = (change.dst().is_dst(), change.offset().seconds());
        let negative = before.is_some_and(|(dst, offset)| dst && !now.0 && offset < now.1);
        before = Some(now);
        negative
    })
}

/// Seconds since 1970 as jiff counts them; beyond the years -9999 to 9999 the last rules that it knows go on.
fn timestamp(seconds: i64) -> jiff::Timestamp {
    let bounds = jiff::Timestamp::MIN.as_second()..=jiff::Timestamp::MAX.as_second();
    jiff::Timestamp::from_second(seconds.clamp(*bounds.start(), *bounds.end())).unwrap_or(jiff::Timestamp::MAX)
}

/// A civil time as jiff writes it, to the second: clocks change on whole seconds.
fn datetime(civil: NaiveDateTime) -> jiff::civil::DateTime {
    let Ok(year) = i16::try_from(civil.year().clamp(-9999, 9999)) else { return jiff::civil::DateTime::MAX };
    // Each of these is below 60, so the casts keep their values.
    let (month, day) = (civil.month() as i8, civil.day() as i8);
    let (hour, minute, second) = (civil.hour() as i8, civil.minute() as i8, civil.second() as i8);
    // Only 29 February of a clamped year may not exist there.
    jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).unwrap_or(jiff::civil::DateTime::MAX)
}

/// At the ends of chrono's calendar (some 262,000 years away) the time stays there.
fn shifted(time: NaiveDateTime, seconds: i32) -> NaiveDateTime {
    time.checked_add_signed(TimeDelta::seconds(seconds.into())).unwrap_or(if seconds < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX })
}

impl PartialEq for Zone {
    /// By name: one program holds one release of the database.
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a `DateTime<Zone>` carries: the offset in force. It prints as `-05:00`, never as an abbreviation, for those are ambiguous.
#[derive(Clone, PartialEq, Eq)]
pub struct ZoneOffset {
    zone: Zone,
    seconds: i32,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        // RFC 9636 allows 26 hours and chrono 24; no zone has ever used more than 16, and data that does is refused when loaded.
        const DAY: i32 = 86_399;
        FixedOffset::east_opt(self.seconds.clamp(-DAY, DAY)).expect("less than a day")
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fix().fmt(f)
    }
}

impl fmt::Debug for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TimeZone for Zone {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone.clone()
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<ZoneOffset> {
        match self.offsets(*local) {
            AmbiguousOffset::Unambiguous { offset } => MappedLocalTime::Single(self.with_seconds(offset.seconds())),
            AmbiguousOffset::Gap { .. } => MappedLocalTime::None,
            AmbiguousOffset::Fold { before, after } => {
                MappedLocalTime::Ambiguous(self.with_seconds(before.seconds()), self.with_seconds(after.seconds()))
            }
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_at(utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        self.offset_at(*utc)
    }
}

/// An instant as programs read it: RFC 3339 in UTC, to the second.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
