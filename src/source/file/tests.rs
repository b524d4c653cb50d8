use std::fs;
use std::time::SystemTime;

use chrono::TimeDelta;

use super::*;

const RECORD: &str = r#"[{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[]}]"#;

struct Place {
    settings: Settings,
    last: Option<Print>,
    _folder: tempfile::TempDir,
}

impl Place {
    /// A file of that name, or a folder with it.
    fn new(in_folder: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        fs::write(&file, RECORD).unwrap();
        let path = if in_folder { folder.path().to_owned() } else { file };
        Self { settings: Settings { path }, last: None, _folder: folder }
    }

    fn file(&self) -> PathBuf {
        if self.settings.path.is_dir() { self.settings.path.join("a.json") } else { self.settings.path.clone() }
    }

    /// How many sessions it says; `None`: what it said before.
    fn says(&mut self, now: DateTime<Utc>) -> Option<usize> {
        match read_since(&self.settings, self.last.as_ref(), now).unwrap() {
            SourceRead::Same(print) => {
                self.last = Some(print);
                None
            }
            SourceRead::Now(snapshot, print) => {
                self.last = print.filter(Print::is_whole);
                Some(snapshot.sessions.len())
            }
        }
    }
}

/// The file's own time, and one when nobody writes it any more.
fn times(file: &Path) -> (SystemTime, DateTime<Utc>, DateTime<Utc>) {
    let written = fs::metadata(file).unwrap().modified().unwrap();
    let at = DateTime::<Utc>::from(written);
    (written, at, at + TimeDelta::minutes(1))
}

#[test]
fn what_is_as_it_was_is_not_said_again() {
    for in_folder in [false, true] {
        let mut place = Place::new(in_folder);
        let (written, just_now, later) = times(&place.file());
        assert_eq!(place.says(just_now), Some(1), "the first time");
        assert_eq!((place.says(just_now), place.says(later), place.says(later)), (None, None, None));
        // The same bytes, written again, at another time or into another file.
        fs::write(place.file(), RECORD).unwrap();
        assert_eq!(place.says(later), None);
        // Others, of the same length and with the same time.
        fs::write(place.file(), RECORD.replace(":1,", ":2,")).unwrap();
        fs::File::options().write(true).open(place.file()).unwrap().set_modified(written).unwrap();
        assert_eq!((place.says(later), place.says(later)), (Some(1), None));
        fs::write(place.file(), "[]").unwrap();
        assert_eq!(place.says(later), Some(0));
    }
}

#[test]
fn a_time_that_cannot_be_trusted_is_not() {
    let mut place = Place::new(false);
    let (_, written, _) = times(&place.file());
    // When it is looked at: while it may still be written, or before it was written by its own word.
    for now in [written, written + TimeDelta::seconds(4), written - TimeDelta::days(1)] {
        place.last = None;
        place.says(now);
        let mark = place.last.as_ref().unwrap().parts[0].mark.unwrap();
        assert!(!mark.is_same(mark), "{now}: its bytes are compared");
    }
    place.says(written + TimeDelta::minutes(1));
    let mark = place.last.as_ref().unwrap().parts[0].mark.unwrap();
    assert!(mark.is_same(mark));
}

#[test]
fn what_could_not_be_read_whole_is_read_again() {
    let mut place = Place::new(true);
    let (_, _, later) = times(&place.file());
    fs::write(place.settings.path.join("b.json"), "[{").unwrap();
    assert_eq!((place.says(later), place.says(later)), (Some(1), Some(1)), "a part is at fault");
    fs::write(place.settings.path.join("b.json"), "[]").unwrap();
    assert_eq!((place.says(later), place.says(later)), (Some(1), None));
    fs::write(place.settings.path.join("c.json"), "[]").unwrap();
    assert_eq!(place.says(later), Some(1), "a file more");
    fs::remove_file(place.settings.path.join("b.json")).unwrap();
    assert_eq!(place.says(later), Some(1), "a file less");
    fs::rename(place.settings.path.join("c.json"), place.settings.path.join("d.json")).unwrap();
    assert_eq!(place.says(later), Some(1), "another name, and other paths in faults");
}
