use super::*;

fn zones(fallback: Option<&str>, map: &[(&str, &str)]) -> Result<Zones, Vec<String>> {
    let map = map.iter().map(|&(from, to)| (from.to_owned(), to.to_owned())).collect();
    Zones::load_from(&Settings { fallback: fallback.map(str::to_owned), map }, &[])
}

#[test]
fn windows_ids_and_iana_names_in_any_case() {
    let zones = zones(None, &[]).unwrap();
    for (id, name) in [
        ("Eastern Standard Time", "America/New_York"),
        (" eastern STANDARD time ", "America/New_York"),
        ("america/new_york", "America/New_York"),
        ("US/Pacific", "US/Pacific"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("Cuba", "Cuba"),
        ("UTC", "Etc/UTC"),
        ("GMT", "GMT"),
        ("Etc/GMT+5", "Etc/GMT+5"),
        ("Mid-Atlantic Standard Time", "Etc/GMT+2"),
        ("Kamchatka Standard Time", "Asia/Kamchatka"),
    ] {
        let resolved = zones.resolve(id).unwrap_or_else(|why| panic!("{id}: {why}"));
        assert_eq!((resolved.zone.name(), resolved.fallback), (name, false), "{id}");
    }
}

const NO_ZONES: [&str; 14] = [
    "",
    "  ",
    "EST",
    "est",
    "PST",
    "IST",
    "GMT+5",
    "EST5EDT",
    "CET",
    "Factory",
    "Eastern",
    "America/Nowhere",
    "Eastern Standard Time (Mexico",
    "-05:00",
];

#[test]
fn what_names_no_zone_is_refused_and_never_utc() {
    let zones = zones(None, &[]).unwrap();
    for id in NO_ZONES {
        assert!(zones.resolve(id).is_err(), "{id}");
    }
    assert!(zones.lookup("EST").unwrap_err().starts_with("\"EST\" is an abbreviation"));
    assert!(zones.lookup("America/Nowhere").unwrap_err().starts_with("\"America/Nowhere\" is no time zone id; expected"));
    assert_eq!(zones.lookup(" ").unwrap_err(), "the time zone id is empty");
}

#[test]
fn the_fallback_stands_in_and_says_so() {
    let zones = zones(Some("Mountain Standard Time"), &[]).unwrap();
    for id in NO_ZONES {
        let resolved = zones.resolve(id).unwrap();
        assert_eq!((resolved.zone.name(), resolved.fallback), ("America/Denver", true), "{id}");
        assert!(zones.lookup(id).is_err());
    }
    assert!(!zones.resolve("Eastern Standard Time").unwrap().fallback);
}

#[test]
fn the_practice_s_mappings_come_first_and_are_not_chained() {
    let map =
        [("PACIFIC standard time", "America/Vancouver"), ("EST", "Eastern Standard Time"), ("America/Vancouver", "Pacific Standard Time")];
    let zones = zones(None, &map).unwrap();
    assert_eq!(zones.lookup("Pacific Standard Time").unwrap().name(), "America/Vancouver");
    assert_eq!(zones.lookup("est").unwrap().name(), "America/New_York");
    assert_eq!(zones.lookup("america/vancouver").unwrap().name(), "America/Los_Angeles");
    assert!(!zones.resolve("EST").unwrap().fallback);
}

#[test]
fn all_errors_of_the_settings_at_once() {
    let map = [("A", "Nowhere"), ("B", "EST"), ("", "UTC"), ("Clinic", "UTC"), ("clinic", "Asia/Tokyo"), ("fine", "Asia/Tokyo")];
    let errors = zones(Some("Atlantis/Lost"), &map).unwrap_err();
    assert_eq!(errors.len(), 5, "{errors:#?}");
    assert!(errors[0].starts_with("practice.fallback_time_zone: \"Atlantis/Lost\" is no time zone id"), "{errors:#?}");
    for needle in ["time_zones.\"A\": ", "time_zones.\"B\": \"EST\" is an abbreviation", "an empty id", "mapped twice"] {
        assert!(errors.iter().any(|e| e.contains(needle)), "{needle}: {errors:#?}");
    }
}

#[test]
fn the_digest_changes_with_what_decides() {
    let digest = |fallback, map| zones(fallback, map).unwrap().digest().to_owned();
    let plain = digest(None, &[]);
    assert_eq!(plain, digest(None, &[]));
    let others = [digest(Some("UTC"), &[]), digest(None, &[("a", "UTC")]), digest(None, &[("a", "GMT")]), digest(None, &[("b", "UTC")])];
    let distinct: std::collections::HashSet<_> = others.iter().chain([&plain]).collect();
    assert_eq!(distinct.len(), 5);
}

#[test]
fn an_error_repeats_only_what_looks_like_an_id() {
    let zones = zones(None, &[]).unwrap();
    for private in ["Ray Chalk", "RAY", "trevor@geemail.com", "4045550133", "701-678-455", "a\u{1b}[31m/b", "x".repeat(100_000).as_str()] {
        let why = zones.lookup(private).unwrap_err();
        assert!(why.starts_with("the text (not shown) is no time zone id"), "{why}");
    }
    for id in ["Easten Standard Time", "GMT+5", "AEDT", "Europe/Paaris"] {
        assert!(zones.lookup(id).unwrap_err().contains(id), "{id}");
    }
}
