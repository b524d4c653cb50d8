//! Time zones: from a source's id to today's rules.
//!
//! placeholder, being written: the signatures are fixed.

use chrono::{DateTime, NaiveDateTime, Utc};

/// One zone: an IANA name, and rules that are today's.
#[derive(Clone)]
pub struct Zone {
    id: chrono_tz::Tz,
    rules: jiff::tz::TimeZone,
}

/// A moment on somebody's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The civil time.
    pub civil: NaiveDateTime,
    /// Seconds east of UTC.
    pub offset_seconds: i32,
    /// Daylight saving time is in effect.
    pub dst: bool,
}

impl Zone {
    /// The IANA name: `America/New_York`.
    pub fn name(&self) -> &'static str {
        self.id.name()
    }
    /// What the clocks there show at this instant.
    pub fn local(&self, _at: DateTime<Utc>) -> LocalTime {
        let _ = &self.rules;
        todo!()
    }
    /// The instant of a civil time: in a gap forward by its length, in an overlap the earlier one.
    pub fn instant(&self, _civil: NaiveDateTime) -> DateTime<Utc> {
        todo!()
    }
    /// Whether that civil time happens twice (or was skipped).
    pub fn is_ambiguous(&self, _civil: NaiveDateTime) -> bool {
        todo!()
    }
}

/// A source's id, resolved.
#[derive(Clone)]
pub struct Resolved {
    /// The zone.
    pub zone: Zone,
    /// The id was not usable, and the practice's fallback zone stands in: messages say so.
    pub fallback: bool,
}

/// Every zone that the program knows, and the practice's own mappings.
pub struct Zones {}

/// Where the zone data came from.
#[derive(Debug, Clone)]
pub struct TzData {
    /// `2026f`
    pub version: String,
    /// `built in`, or the folder.
    pub origin: String,
}

/// The practice's wishes.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `[practice] fallback_time_zone`
    pub fallback: Option<String>,
    /// `[time_zones]`: a source's id to another zone (Windows id or IANA name).
    pub map: std::collections::BTreeMap<String, String>,
}

impl Zones {
    /// Loads the newest data of what the program ships and what the host has. Errors: ids in the settings that name no zone, all of them.
    pub fn load(_settings: &Settings) -> Result<Self, Vec<String>> {
        todo!()
    }
    /// A Windows id or IANA name, without regard to case. The error says what is wrong with the id.
    pub fn resolve(&self, _id: &str) -> Result<Resolved, String> {
        todo!()
    }
    /// A stable digest of the data's version and the practice's mappings.
    pub fn digest(&self) -> String {
        todo!()
    }
    /// Version and origin of the data in use.
    pub fn data(&self) -> &TzData {
        todo!()
    }
}
