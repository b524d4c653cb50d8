//! Windows zone ids, as CLDR's windowsZones maps them for the world (territory 001).
//!
//! CLDR's table is ICU4X's, and decides. It is asked by exact spelling; the list here gives each id that it knows its spelling
//! back when a source writes it in another case. An id newer than the list is still found when it is spelt as CLDR spells it.
//! The oracle holds the list against another copy of CLDR's table.

use std::collections::HashMap;

use icu_time::TimeZone;
use icu_time::zone::iana::IanaParserExtended;
use icu_time::zone::windows::WindowsParserBorrowed;

/// From a Windows id to an IANA name.
pub(super) struct WindowsIds {
    cldr: WindowsParserBorrowed<'static>,
    names: HashMap<TimeZone, &'static str>,
    spelling: HashMap<String, &'static str>,
}

impl WindowsIds {
    pub(super) fn new() -> Self {
        let names = IanaParserExtended::new().iter().map(|zone| (zone.time_zone, zone.canonical)).collect();
        let spelling = SPELLINGS.iter().map(|&id| (id.to_ascii_lowercase(), id)).collect();
        Self { cldr: WindowsParserBorrowed::new(), names, spelling }
    }

    /// The IANA name of the zone that a Windows id means, without regard to case.
    pub(super) fn iana(&self, id: &str) -> Option<&'static str> {
        if let Some((_, name)) = OBSOLETE.iter().find(|(obsolete, _)| obsolete.eq_ignore_ascii_case(id)) {
            return Some(name);
        }
        let spelt = self.spelling.get(&id.to_ascii_lowercase()).copied().unwrap_or(id);
        self.cldr.parse(spelt, None).and_then(|zone| self.names.get(&zone).copied())
    }

    /// Every id on the list with its IANA name, in the list's order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        SPELLINGS.iter().chain(OBSOLETE.iter().map(|(id, _)| id)).filter_map(|&id| Some((id, self.iana(id)?)))
    }
}

/// Ids that Windows keeps for old records and CLDR has dropped.
///
/// "Mid-Atlantic" has been UTC-2 without a place of its own since Windows began; Windows says to use UTC-02 in its stead. Its rules
/// there still change the clocks in summer, which no place at UTC-2 does: the fixed offset is what such a record can mean.
/// "Kamchatka" was Petropavlovsk-Kamchatsky before Windows filed it under UTC+12 without a place.
const OBSOLETE: [(&str, &str); 2] = [("Mid-Atlantic Standard Time", "Etc/GMT+2"), ("Kamchatka Standard Time", "Asia/Kamchatka")];

/// CLDR 48's ids.
#[rustfmt::skip]
const SPELLINGS: &[&str] = &[
    "AUS Central Standard Time", "AUS Eastern Standard Time", "Afghanistan Standard Time", "Alaskan Standard Time",
    "Alberta Standard Time", "Aleutian Standard Time", "Altai Standard Time", "Arab Standard Time", "Arabian Standard Time",
    "Arabic Standard Time", "Argentina Standard Time", "Astrakhan Standard Time", "Atlantic Standard Time",
    "Aus Central W. Standard Time", "Azerbaijan Standard Time", "Azores Standard Time", "Bahia Standard Time", "Bangladesh Standard Time",
    "Belarus Standard Time", "Bougainville Standard Time", "British Columbia Standard Time", "Canada Central Standard Time",
    "Cape Verde Standard Time", "Caucasus Standard Time", "Cen. Australia Standard Time", "Central America Standard Time",
    "Central Asia Standard Time", "Central Brazilian Standard Time", "Central Europe Standard Time", "Central European Standard Time",
    "Central Pacific Standard Time", "Central Standard Time", "Central Standard Time (Mexico)", "Chatham Islands Standard Time",
    "China Standard Time", "Cuba Standard Time", "Dateline Standard Time", "E. Africa Standard Time", "E. Australia Standard Time",
    "E. Europe Standard Time", "E. South America Standard Time", "Easter Island Standard Time", "Eastern Standard Time",
    "Eastern Standard Time (Mexico)", "Egypt Standard Time", "Ekaterinburg Standard Time", "FLE Standard Time", "Fiji Standard Time",
    "GMT Standard Time", "GTB Standard Time", "Georgian Standard Time", "Greenland Standard Time", "Greenwich Standard Time",
    "Haiti Standard Time", "Hawaiian Standard Time", "India Standard Time", "Iran Standard Time", "Israel Standard Time",
    "Jordan Standard Time", "Kaliningrad Standard Time", "Korea Standard Time", "Libya Standard Time", "Line Islands Standard Time",
    "Lord Howe Standard Time", "Magadan Standard Time", "Magallanes Standard Time", "Manitoba Standard Time", "Marquesas Standard Time",
    "Mauritius Standard Time", "Middle East Standard Time", "Montevideo Standard Time", "Morocco Standard Time", "Mountain Standard Time",
    "Mountain Standard Time (Mexico)", "Myanmar Standard Time", "N. Central Asia Standard Time", "Namibia Standard Time",
    "Nepal Standard Time", "New Zealand Standard Time", "Newfoundland Standard Time", "Norfolk Standard Time",
    "North Asia East Standard Time", "North Asia Standard Time", "North Korea Standard Time", "Omsk Standard Time",
    "Pacific SA Standard Time", "Pacific Standard Time", "Pacific Standard Time (Mexico)", "Pakistan Standard Time",
    "Paraguay Standard Time", "Qyzylorda Standard Time", "Romance Standard Time", "Russia Time Zone 10", "Russia Time Zone 11",
    "Russia Time Zone 3", "Russian Standard Time", "SA Eastern Standard Time", "SA Pacific Standard Time", "SA Western Standard Time",
    "SE Asia Standard Time", "Saint Pierre Standard Time", "Sakhalin Standard Time", "Samoa Standard Time", "Sao Tome Standard Time",
    "Saratov Standard Time", "Singapore Standard Time", "South Africa Standard Time", "South Sudan Standard Time",
    "Sri Lanka Standard Time", "Sudan Standard Time", "Syria Standard Time", "Taipei Standard Time", "Tasmania Standard Time",
    "Tocantins Standard Time", "Tokyo Standard Time", "Tomsk Standard Time", "Tonga Standard Time", "Transbaikal Standard Time",
    "Turkey Standard Time", "Turks And Caicos Standard Time", "US Eastern Standard Time", "US Mountain Standard Time", "UTC", "UTC+12",
    "UTC+13", "UTC-02", "UTC-08", "UTC-09", "UTC-11", "Ulaanbaatar Standard Time", "Venezuela Standard Time", "Vladivostok Standard Time",
    "Volgograd Standard Time", "W. Australia Standard Time", "W. Central Africa Standard Time", "W. Europe Standard Time",
    "W. Mongolia Standard Time", "West Asia Standard Time", "West Bank Standard Time", "West Pacific Standard Time",
    "Yakutsk Standard Time", "Yukon Standard Time",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_id_is_known_in_any_case() {
        let ids = WindowsIds::new();
        for id in SPELLINGS {
            let name = ids.iana(id).unwrap_or_else(|| panic!("{id}"));
            assert_eq!(ids.iana(&id.to_ascii_lowercase()), Some(name), "{id}");
            assert_eq!(ids.iana(&id.to_ascii_uppercase()), Some(name), "{id}");
            assert!(name.parse::<chrono_tz::Tz>().is_ok(), "{id}: {name}");
        }
        assert_eq!(ids.all().count(), SPELLINGS.len() + OBSOLETE.len());
    }

    #[test]
    fn the_world_s_zone_is_meant() {
        let ids = WindowsIds::new();
        for (id, name) in [
            ("Eastern Standard Time", "America/New_York"),
            ("US Eastern Standard Time", "America/Indiana/Indianapolis"),
            ("Pacific Standard Time", "America/Los_Angeles"),
            ("British Columbia Standard Time", "America/Vancouver"),
            ("Alberta Standard Time", "America/Edmonton"),
            ("Manitoba Standard Time", "America/Winnipeg"),
            ("Yukon Standard Time", "America/Whitehorse"),
            ("Nepal Standard Time", "Asia/Kathmandu"),
            ("Aus Central W. Standard Time", "Australia/Eucla"),
            ("UTC", "Etc/UTC"),
            ("UTC-11", "Etc/GMT+11"),
            ("UTC+12", "Etc/GMT-12"),
            ("mid-atlantic standard time", "Etc/GMT+2"),
            ("Kamchatka Standard Time", "Asia/Kamchatka"),
        ] {
            assert_eq!(ids.iana(id), Some(name), "{id}");
        }
        for unknown in ["", "Eastern", "Eastern Standard", "Eastern Standard Time ", "Eastern Standard Time/US", "America/New_York", "日本"]
        {
            assert_eq!(ids.iana(unknown), None, "{unknown}");
        }
    }
}
