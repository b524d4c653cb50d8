//! Dates, times and the names of zones in the reader's language, by CLDR.
//!
//! In: an instant and the reader's [`Zone`]. Out: [`ShownMoment`], ready to print: "Wednesday, April 16, 2014", "11:00 AM",
//! "Eastern Daylight Time". A locale's formatters are loaded once and shared by all threads.
//!
//! Invariants. The offset always comes from the zone's own rules, which are newer than what CLDR knows of them: where the
//! name that CLDR would give belongs to another offset or another season, the place and the offset are named instead
//! ("Vancouver Time (UTC-7)"). Where the clock shows an hour twice, the offset is named too. Every space is a plain one:
//! CLDR's narrow and no-break spaces look broken in old mail programs, and one of them turns a text message into UCS-2.
//!
//! Failures: only in [`Dates::load`], for a locale that is no BCP 47 tag or has no data.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};
use icu_calendar::{Date, Gregorian};
use icu_datetime::fieldsets::zone::{ExemplarCity, Location, SpecificLong, SpecificShort};
use icu_datetime::fieldsets::{MDE, T, YMDE};
use icu_datetime::{DateTimeFormatterPreferences, FixedCalendarDateTimeFormatter, NoCalendarFormatter};
use icu_locale::Locale;
use icu_time::zone::models::AtTime;
use icu_time::zone::{UtcOffset, ZoneNameTimestamp};
use icu_time::{Time, TimeZone, TimeZoneInfo};

use crate::zone::{LocalTime, Zone};

/// One moment, as one reader's clock and calendar show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShownMoment {
    /// `Wednesday, April 16, 2014`
    pub(super) date: String,
    /// `Wed, Apr 16`: for a text message; `Fri, Dec 8, 2028` where the year is no matter of course.
    pub(super) date_short: String,
    /// `11:00 AM`
    pub(super) time: String,
    /// `Eastern Daylight Time`; `Eastern Standard Time (UTC-5)` where the hour happens twice; `Vancouver Time (UTC-7)`
    /// where no name of CLDR is true.
    pub(super) zone: String,
    /// `EDT`, or `UTC-7`; `EST (UTC-5)` where the hour happens twice.
    pub(super) zone_short: String,
    /// `UTC-4`, `UTC+5:45`, `UTC`
    pub(super) offset: String,
    /// Whether that is the reader's today, tomorrow or another day.
    pub(super) day: DayDistance,
}

/// How far away a day is, on the reader's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayDistance {
    /// The same date.
    Today,
    /// The next date.
    Tomorrow,
    Other,
}

/// The formatters of one locale.
pub(super) struct Dates {
    french: bool,
    spanish: bool,
    date: FixedCalendarDateTimeFormatter<Gregorian, YMDE>,
    date_short: FixedCalendarDateTimeFormatter<Gregorian, MDE>,
    date_short_with_year: FixedCalendarDateTimeFormatter<Gregorian, YMDE>,
    time: NoCalendarFormatter<T>,
    zone_long: NoCalendarFormatter<SpecificLong>,
    zone_short: NoCalendarFormatter<SpecificShort>,
    place: NoCalendarFormatter<Location>,
    city: NoCalendarFormatter<ExemplarCity>,
    /// What was formatted before: many people are told of the same moment in the same zone.
    known: Mutex<HashMap<MomentKey, ShownMoment>>,
}

/// Moments that are remembered: a day's sessions in each zone. More begin a new memory.
const KNOWN_MAX: usize = 1024;

/// All that a formatted moment depends on, but for today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct MomentKey {
    at: DateTime<Utc>,
    zone: &'static str,
    offset_seconds: i32,
    dst: bool,
    twice: bool,
    with_year: bool,
}

/// A day and a month within so many days are the next ones, or the last ones, of that name: further away the year belongs there.
const YEAR_BEYOND: TimeDelta = TimeDelta::days(300);

impl Dates {
    /// Loads a locale's data. The error says what is wrong with the locale.
    pub(super) fn load(locale: &str) -> Result<Self, String> {
        let tag: Locale = locale.parse().map_err(|_| format!("{locale:?} is no BCP 47 language tag"))?;
        let (french, spanish) = (tag.id.language.as_str() == "fr", tag.id.language.as_str() == "es");
        let prefs = DateTimeFormatterPreferences::from(&tag);
        let load = || {
            Ok::<_, icu_datetime::DateTimeFormatterLoadError>(Self {
                french,
                spanish,
                date: FixedCalendarDateTimeFormatter::try_new(prefs, YMDE::long())?,
                date_short: FixedCalendarDateTimeFormatter::try_new(prefs, MDE::medium())?,
                date_short_with_year: FixedCalendarDateTimeFormatter::try_new(prefs, YMDE::medium())?,
                time: NoCalendarFormatter::try_new(prefs, T::hm())?,
                zone_long: NoCalendarFormatter::try_new(prefs, SpecificLong)?,
                zone_short: NoCalendarFormatter::try_new(prefs, SpecificShort)?,
                place: NoCalendarFormatter::try_new(prefs, Location)?,
                city: NoCalendarFormatter::try_new(prefs, ExemplarCity)?,
                known: Mutex::default(),
            })
        };
        load().map_err(|e| format!("no date formats for {locale:?}: {e}"))
    }

    /// What the reader's calendar and clock show at `at`; `now` decides what is today.
    pub(super) fn when(&self, at: DateTime<Utc>, zone: &Zone, now: DateTime<Utc>) -> ShownMoment {
        let local = zone.local(at);
        let day = distance(local.civil.date(), zone.local(now).civil.date());
        let twice = zone.is_ambiguous(local.civil);
        let with_year = (at - now).abs() > YEAR_BEYOND;
        let shown = MomentKey { at, zone: zone.name(), offset_seconds: local.offset_seconds, dst: local.dst, twice, with_year };
        if let Some(known) = self.known().get(&shown) {
            return ShownMoment { day, ..known.clone() };
        }
        let when = ShownMoment { day, ..self.format(&shown, zone, local) };
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(shown, when.clone());
        when
    }

    fn known(&self) -> MutexGuard<'_, HashMap<MomentKey, ShownMoment>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn format(&self, shown: &MomentKey, zone: &Zone, local: LocalTime) -> ShownMoment {
        let (at, twice) = (shown.at, shown.twice);
        let offset = offset_label(local.offset_seconds);
        let (zone_name, zone_short) = self.zone_names(at, zone, local, &offset, twice);
        let day = local.civil.date();
        let short = if shown.with_year {
            self.date_short_with_year.format(&gregorian(day)).to_string()
        } else {
            self.date_short.format(&gregorian(day)).to_string()
        };
        ShownMoment {
            date: self.day(&self.date.format(&gregorian(day)).to_string(), day),
            date_short: self.day(&short, day),
            time: self.hour(plain(&self.time.format(&clock(local.civil)).to_string())),
            zone: zone_name,
            zone_short,
            offset,
            day: DayDistance::Other,
        }
    }

    /// The long and the short name of the zone at that moment.
    fn zone_names(&self, at: DateTime<Utc>, zone: &Zone, local: LocalTime, offset: &str, twice: bool) -> (String, String) {
        let info = zone_info(at, zone, local);
        if !name_is_true(info, zone, local) {
            return (format!("{} ({offset})", self.place_name(info)), offset.to_owned());
        }
        let long = plain(&self.zone_long.format(&info).to_string());
        let long = if is_offset(&long) { offset.to_owned() } else { long };
        // As Spanish speakers in the United States say it.
        let long = if self.spanish { long.replace("de las Montañas Rocosas", "de la montaña") } else { long };
        let short = plain(&self.zone_short.format(&info).to_string());
        // Without an abbreviation of its own in this locale CLDR says "GMT-4", or the city: the offset is plainer.
        let short = match is_abbreviation(&short) {
            true => short,
            false if long.contains("Greenwich") => "GMT".to_owned(),
            false => offset.to_owned(),
        };
        if !twice {
            return (long, short);
        }
        let short = if short == offset { short } else { format!("{short} ({offset})") };
        (format!("{long} ({offset})"), short)
    }

    /// "Vancouver Time". CLDR's French is "heure : Vancouver", a label; in a sentence it is the hour of the city.
    fn place_name(&self, info: TimeZoneInfo<AtTime>) -> String {
        if !self.french {
            return plain(&self.place.format(&info).to_string());
        }
        let city = plain(&self.city.format(&info).to_string());
        let elided = city.chars().next().is_some_and(|c| "AEIOUYÀÉÈÊÎÔ".contains(c));
        if elided { format!("heure d’{city}") } else { format!("heure de {city}") }
    }

    /// French writes full hours without minutes, and no zero before the hour (OQLF): `5 h`, `13 h 30`.
    fn hour(&self, formatted: String) -> String {
        if !self.french {
            return formatted;
        }
        let hour = formatted.strip_suffix(" 00").unwrap_or(&formatted);
        hour.strip_prefix('0').unwrap_or(hour).to_owned()
    }

    /// French writes the first of a month as an ordinal, which CLDR's pattern does not; Spanish no comma behind the weekday (RAE).
    fn day(&self, formatted: &str, date: NaiveDate) -> String {
        let formatted = plain(formatted);
        if self.spanish {
            return formatted.replacen(", ", " ", 1);
        }
        if self.french && date.day() == 1 { formatted.replacen(" 1 ", " 1er ", 1) } else { formatted }
    }
}

/// Zones whose summer time is their standard time by law: some builds of tzdata flag their *winter* as daylight saving, with a
/// negative amount, and others the summer as elsewhere (tzdata, file `europe`, Rule Eire; its `DATAFORM`). The offset alone
/// tells their seasons apart.
const FLAGGED_EITHER_WAY: [&str; 2] = ["Europe/Dublin", "Eire"];

/// Whether CLDR's name for this zone and offset says what is so: it knows this offset for this zone, and as the season that
/// the zone's own rules say it is. British Columbia at UTC-7 all year is no longer on "Pacific Daylight Time" in January.
fn name_is_true(info: TimeZoneInfo<AtTime>, zone: &Zone, local: LocalTime) -> bool {
    let Some(believed) = believed_offsets(info) else { return false };
    let (standard, daylight) = (Some(believed.0), believed.1);
    let real = Some(local.offset_seconds);
    if FLAGGED_EITHER_WAY.contains(&zone.name()) {
        return real == standard || real == daylight;
    }
    real == if local.dst { daylight } else { standard }
}

/// The standard and the daylight offset, in seconds, that CLDR believes in for this zone at this time.
#[expect(deprecated, reason = "deprecated as a time zone database, which it is not; here it is asked what CLDR's names stand for")]
fn believed_offsets(info: TimeZoneInfo<AtTime>) -> Option<(i32, Option<i32>)> {
    let offsets = icu_time::zone::VariantOffsetsCalculator::new()
        .compute_offsets_from_time_zone_and_name_timestamp(info.id(), info.zone_name_timestamp())?;
    Some((offsets.standard.to_seconds(), offsets.daylight.map(UtcOffset::to_seconds)))
}

fn zone_info(at: DateTime<Utc>, zone: &Zone, local: LocalTime) -> TimeZoneInfo<AtTime> {
    TimeZone::from_iana_id(zone.name())
        .with_offset(UtcOffset::try_from_seconds(local.offset_seconds).ok())
        .with_zone_name_timestamp(ZoneNameTimestamp::from_epoch_seconds(at.timestamp()))
}

/// `EDT`, `HNE`: capital letters, and not the start of an offset.
fn is_abbreviation(short: &str) -> bool {
    short.len() <= 5 && short.chars().all(|c| c.is_ascii_uppercase())
}

/// What CLDR calls a zone without a name: `GMT-05:00`.
fn is_offset(long: &str) -> bool {
    (long.starts_with("GMT") || long.starts_with("UTC")) && long[3..].starts_with(['+', '-', '−'])
}

/// `UTC-4`, `UTC+5:45`, `UTC`: with a plain hyphen, which the GSM alphabet has.
fn offset_label(seconds: i32) -> String {
    let minutes = seconds.abs() / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    match (minutes / 60, minutes % 60) {
        (0, 0) => "UTC".to_owned(),
        (h, 0) => format!("UTC{sign}{h}"),
        (h, m) => format!("UTC{sign}{h}:{m:02}"),
    }
}

/// Whether a message of this start, made then, calls its day another one than a message made now: "tomorrow" is a day's word.
pub fn calls_it_another_day(start: DateTime<Utc>, zone: &Zone, then: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let date = |at| zone.local(at).civil.date();
    distance(date(start), date(then)) != distance(date(start), date(now))
}

fn distance(day: NaiveDate, today: NaiveDate) -> DayDistance {
    match day - today {
        d if d == TimeDelta::zero() => DayDistance::Today,
        d if d == TimeDelta::days(1) => DayDistance::Tomorrow,
        _ => DayDistance::Other,
    }
}

fn gregorian(day: NaiveDate) -> Date<Gregorian> {
    let (month, day_of_month) = (day.month() as u8, day.day() as u8);
    Date::try_new_gregorian(day.year(), month, day_of_month).expect("chrono's calendar is the Gregorian one")
}

fn clock(civil: NaiveDateTime) -> Time {
    let (hour, minute) = (civil.hour() as u8, civil.minute() as u8);
    Time::try_new(hour, minute, 0, 0).expect("chrono's hours and minutes are within a day")
}

/// Plain spaces for narrow, thin and no-break ones.
fn plain(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\u{202F}' | '\u{00A0}' | '\u{2009}') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Settings, Zones};

    fn at(rfc3339: &str) -> DateTime<Utc> {
        rfc3339.parse().unwrap()
    }

    fn zone(id: &str) -> Zone {
        Zones::load(&Settings::default()).unwrap().resolve(id).unwrap().zone
    }

    fn when(locale: &str, id: &str, instant: &str) -> ShownMoment {
        let moment = at(instant);
        Dates::load(locale).unwrap().when(moment, &zone(id), moment - TimeDelta::days(90))
    }

    #[test]
    fn the_vendors_example_in_each_language() {
        for (locale, date, short, time, zone, zone_short) in [
            ("en-US", "Wednesday, April 16, 2014", "Wed, Apr 16", "11:00 AM", "Eastern Daylight Time", "EDT"),
            ("es-US", "miércoles 16 de abril de 2014", "mié 16 de abr", "11:00 a.m.", "hora de verano oriental", "EDT"),
            ("fr-CA", "mercredi 16 avril 2014", "mer. 16 avr.", "11 h", "heure avancée de l’Est", "HAE"),
            ("de-DE", "Mittwoch, 16. April 2014", "Mi., 16. Apr.", "11:00", "Nordamerikanische Ostküsten-Sommerzeit", "UTC-4"),
            ("pt-BR", "quarta-feira, 16 de abril de 2014", "qua., 16 de abr.", "11:00", "Horário de Verão do Leste", "UTC-4"),
        ] {
            let when = when(locale, "America/New_York", "2014-04-16T15:00:00Z");
            assert_eq!(when.date, date);
            assert_eq!(when.date_short, short);
            assert_eq!(when.time, time);
            assert_eq!(when.zone, zone);
            assert_eq!(when.zone_short, zone_short);
        }
    }

    /// Zone, instant, time, long and short name: both sides of changes, zones that stopped changing after CLDR's data was
    /// made, the date line, and offsets that are no whole hours.
    const NAMES: [(&str, &str, &str, &str, &str); 24] = [
        ("America/New_York", "2026-11-01T04:59:00Z", "12:59 AM", "Eastern Daylight Time", "EDT"),
        ("America/New_York", "2026-11-01T05:30:00Z", "1:30 AM", "Eastern Daylight Time (UTC-4)", "EDT (UTC-4)"),
        ("America/New_York", "2026-11-01T06:30:00Z", "1:30 AM", "Eastern Standard Time (UTC-5)", "EST (UTC-5)"),
        ("America/New_York", "2026-11-01T07:00:00Z", "2:00 AM", "Eastern Standard Time", "EST"),
        ("America/New_York", "2027-03-14T06:59:00Z", "1:59 AM", "Eastern Standard Time", "EST"),
        ("America/New_York", "2027-03-14T07:00:00Z", "3:00 AM", "Eastern Daylight Time", "EDT"),
        ("America/Vancouver", "2026-01-15T18:00:00Z", "10:00 AM", "Pacific Standard Time", "PST"),
        ("America/Vancouver", "2026-07-15T18:00:00Z", "11:00 AM", "Pacific Daylight Time", "PDT"),
        ("America/Vancouver", "2027-01-15T18:00:00Z", "11:00 AM", "Vancouver Time (UTC-7)", "UTC-7"),
        ("America/Edmonton", "2027-01-15T18:00:00Z", "12:00 PM", "Edmonton Time (UTC-6)", "UTC-6"),
        ("America/Winnipeg", "2027-01-15T18:00:00Z", "1:00 PM", "Winnipeg Time (UTC-5)", "UTC-5"),
        ("Africa/Casablanca", "2026-02-25T18:00:00Z", "6:00 PM", "Morocco Time (UTC)", "UTC"),
        ("America/Havana", "2026-07-15T18:00:00Z", "2:00 PM", "Cuba Daylight Time", "UTC-4"),
        ("Asia/Kathmandu", "2027-01-15T18:00:00Z", "11:45 PM", "Nepal Time", "UTC+5:45"),
        ("Pacific/Apia", "2027-01-15T18:00:00Z", "7:00 AM", "West Samoa Standard Time", "UTC+13"),
        ("Pacific/Kiritimati", "2027-01-15T18:00:00Z", "8:00 AM", "Line Islands Time", "UTC+14"),
        ("Australia/Lord_Howe", "2027-01-15T18:00:00Z", "5:00 AM", "Lord Howe Daylight Time", "UTC+11"),
        ("Australia/Lord_Howe", "2027-07-15T18:00:00Z", "4:30 AM", "Lord Howe Standard Time", "UTC+10:30"),
        ("Europe/Dublin", "2027-07-15T18:00:00Z", "7:00 PM", "Irish Standard Time", "UTC+1"),
        ("Europe/Dublin", "2027-01-15T18:00:00Z", "6:00 PM", "Greenwich Mean Time", "GMT"),
        ("America/Phoenix", "2027-07-15T18:00:00Z", "11:00 AM", "Mountain Standard Time", "MST"),
        ("Pacific/Honolulu", "2027-07-15T18:00:00Z", "8:00 AM", "Hawaii Time", "HST"),
        ("Etc/UTC", "2027-07-15T18:00:00Z", "6:00 PM", "Coordinated Universal Time", "UTC"),
        ("Etc/GMT+5", "2027-07-15T18:00:00Z", "1:00 PM", "UTC-5", "UTC-5"),
    ];

    #[test]
    fn a_zone_is_named_as_its_clocks_go() {
        for (id, instant, time, long, short) in NAMES {
            let when = when("en-US", id, instant);
            assert_eq!((when.time.as_str(), when.zone.as_str(), when.zone_short.as_str()), (time, long, short), "{id} at {instant}");
        }
    }

    #[test]
    fn no_name_ever_disagrees_with_the_clock() {
        // Every fortnight of 2026 and 2027: a name of CLDR stands for the offset that the clocks have, or is not used.
        let (dates, zones) = (Dates::load("en-US").unwrap(), Zones::load(&Settings::default()).unwrap());
        for id in chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name()) {
            let Ok(resolved) = zones.resolve(id) else { continue };
            for fortnight in 0..52 {
                let moment = at("2026-01-03T12:00:00Z") + TimeDelta::days(14 * fortnight);
                let local = resolved.zone.local(moment);
                let when = dates.when(moment, &resolved.zone, moment);
                let named = !when.zone.contains("UTC");
                let (standard, daylight) = believed_offsets(zone_info(moment, &resolved.zone, local)).unwrap_or((i32::MAX, None));
                let stands_for = if when.zone.contains("Daylight") || when.zone.contains("Summer") { daylight } else { None };
                let fits =
                    stands_for.map_or([Some(standard), daylight].contains(&Some(local.offset_seconds)), |d| d == local.offset_seconds);
                assert!(!named || fits, "{id} at {moment}: {} for {} s", when.zone, local.offset_seconds);
                assert!(when.date.is_ascii() && when.time.is_ascii(), "{id}: {when:?}");
            }
        }
    }

    #[test]
    fn place_names_in_french_are_prose() {
        for (id, name) in [
            ("America/Vancouver", "heure de Vancouver (UTC-7)"),
            ("America/Edmonton", "heure d’Edmonton (UTC-6)"),
            ("America/Winnipeg", "heure de Winnipeg (UTC-5)"),
        ] {
            assert_eq!(when("fr-CA", id, "2027-01-15T18:00:00Z").zone, name);
        }
        assert_eq!(when("es-US", "America/Vancouver", "2027-01-15T18:00:00Z").zone, "hora de Vancouver (UTC-7)");
    }

    #[test]
    fn the_first_of_a_month_is_an_ordinal_in_french() {
        let first = when("fr-CA", "America/Toronto", "2027-04-01T15:00:00Z");
        assert_eq!((first.date.as_str(), first.date_short.as_str()), ("jeudi 1er avril 2027", "jeu. 1er avr."));
        assert_eq!(when("fr-CA", "America/Toronto", "2027-04-11T15:00:00Z").date, "dimanche 11 avril 2027");
    }

    #[test]
    fn a_day_that_is_far_away_has_its_year() {
        let (zone, start) = (zone("America/New_York"), at("2028-12-08T20:00:00Z"));
        for (locale, near, far) in [
            ("en-US", "Fri, Dec 8", "Fri, Dec 8, 2028"),
            ("es-US", "vie 8 de dic", "vie 8 de dic de 2028"),
            ("fr-CA", "ven. 8 déc.", "ven. 8 déc. 2028"),
        ] {
            let dates = Dates::load(locale).unwrap();
            for (days, short) in [(10, near), (300, near), (301, far), (366, far), (-400, far)] {
                let when = dates.when(start, &zone, start - TimeDelta::days(days));
                assert_eq!(when.date_short, short, "{locale}: {days} days ahead");
            }
        }
    }

    #[test]
    fn today_and_tomorrow_are_the_readers() {
        let dates = Dates::load("en-US").unwrap();
        for (id, moment, now, day) in [
            ("America/New_York", "2027-01-16T03:30:00Z", "2027-01-15T12:00:00Z", DayDistance::Today),
            ("America/New_York", "2027-01-16T05:30:00Z", "2027-01-15T12:00:00Z", DayDistance::Tomorrow),
            ("Pacific/Kiritimati", "2027-01-15T18:00:00Z", "2027-01-15T09:00:00Z", DayDistance::Tomorrow),
            ("Pacific/Kiritimati", "2027-01-15T18:00:00Z", "2027-01-15T10:00:00Z", DayDistance::Today),
            ("America/New_York", "2027-01-18T12:00:00Z", "2027-01-15T12:00:00Z", DayDistance::Other),
            ("America/New_York", "2027-01-14T12:00:00Z", "2027-01-15T12:00:00Z", DayDistance::Other),
        ] {
            assert_eq!(dates.when(at(moment), &zone(id), at(now)).day, day, "{id} {moment} at {now}");
        }
    }

    #[test]
    fn no_locale_without_data() {
        assert!(Dates::load("not a locale").is_err());
    }
}
