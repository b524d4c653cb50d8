//! Exit code 3: something needs a person, whichever command is asked.

use std::process::Command;

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A practice that reads `list`, and writes its messages into a folder.
fn practice(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "[practice]\nname = \"Lakeside\"\ntime_zone = \"UTC\"\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"desk@example.org\"\n[[email.relay]]\n\
                kind = \"folder\"\npath = \"out\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"list\"\n";
    std::fs::write(folder.path().join("punctual.toml"), format!("{text}{more}")).unwrap();
    folder
}

/// How it ends.
fn code(folder: &TempDir, arguments: &[&str]) -> i32 {
    let done = Command::new(env!("CARGO_BIN_EXE_punctual")).args(arguments).current_dir(folder.path()).output().unwrap();
    done.status.code().unwrap()
}

/// Whoever is named by `unreachable` because of their record needs attention by all commands, also if each field could be read.
#[test]
fn somebody_whose_record_cannot_be_used_needs_attention() {
    let folder = practice("[adopt]\ninvites = true\n");
    let start = (WallClock.now() + TimeDelta::days(3)).to_rfc3339();
    let write = |zone: &str, deliver: &str| {
        let person = json!({ "ParticipationId": 10, "ConnectCode": 700, "ShouldAutoDeliverCode": deliver,
            "ParticipantEmailAddress": "trevor@example.com", "ParticipantTimeZoneWindowsId": zone });
        let list = json!([{ "SessionId": 1, "ScheduleTs": start, "Participants": [person] }]);
        std::fs::write(folder.path().join("list"), list.to_string()).unwrap();
    };
    let codes = || [&["run", "--once"][..], &["status"], &["unreachable"]].map(|arguments| code(&folder, arguments));
    // Their host tells them: we send them nothing, with whatever zone.
    write("Nowhere Standard Time", "N");
    assert_eq!(codes()[..2], [0; 2]);
    write("Nowhere Standard Time", "E");
    assert_eq!(codes(), [3; 3]);
    write("UTC", "E");
    assert_eq!(codes(), [0; 3]);
}

/// Who knows what holds no more, and cannot be told, is named by all commands and in the letter: from us, or from another system before the cut-over.
#[test]
fn whoever_knows_what_holds_no_more_needs_attention() {
    let at = |days| (WallClock.now() + TimeDelta::days(days)).to_rfc3339();
    let person = |id: i64, field: &str, value: &str| {
        let mut person = json!({ "ParticipationId": id, "ConnectCode": 700 + id, "ShouldAutoDeliverCode": "E",
            "ParticipantEmailAddress": format!("p{id}@example.com"), "ParticipantTimeZoneWindowsId": "UTC" });
        person[field] = json!(value);
        person
    };
    let list = |start: String, word: &str, people: &[&Value]| json!([{ "SessionId": 1, "ScheduleTs": start, "ScheduleType": word, "Participants": people }]);
    let (start, later) = (at(3), at(4));
    let listed = |word, people: &[&Value]| list(start.clone(), word, people);
    let nowhere = person(10, "ParticipantTimeZoneWindowsId", "Nowhere");
    let (good, unread, nobody) =
        (person(10, "Passkey", ""), person(10, "ConnectCode", "oops"), person(10, "ParticipantEmailAddress", "a@"));
    let other = person(11, "ShouldAutoDeliverCode", "N");
    let (adopted, invited) = ("[adopt]\ninvites = false\n", "[adopt]\ninvites = true\n");
    for (adopt, first, then, wanted, what) in [
        (adopted, listed("", &[&nowhere]), listed("Cancelled", &[&nowhere]), 0, "cancelled, and told by the practice's clock"),
        (adopted, listed("", &[&other, &unread]), listed("", &[&other]), 3, "removed, and their record could never be read"),
        (invited, listed("", &[&good]), listed("Cancelled", &[&nowhere]), 0, "told by us, cancelled with a bad zone, and told"),
        (adopted, listed("", &[&good]), list(later.clone(), "", &[&nobody]), 3, "moved, with an address that cannot be used"),
        (invited, listed("", &[&good]), list(later.clone(), "", &[&nobody]), 3, "told by us, and moved with such an address"),
        (adopted, listed("", &[&good]), listed("Cancelled", &[&good]), 0, "cancelled, and told"),
        (adopted, listed("", &[&good]), list(later, "", &[&good]), 0, "moved, and told"),
        (adopted, listed("", &[&other]), listed("Cancelled", &[&other]), 0, "their host tells them"),
    ] {
        let folder = practice(&format!("{adopt}[digest]\nto = [\"desk@example.org\"]\nhorizon = \"240h\"\n[invite]\nsettle = \"0s\"\n"));
        for list in [first, then] {
            std::fs::write(folder.path().join("list"), list.to_string()).unwrap();
            // Each message waits for one look, and a change at once for another one.
            for _ in 0..3 {
                code(&folder, &["run", "--once"]);
            }
        }
        for command in [&["run", "--once"][..], &["status"], &["unreachable"], &["digest"]] {
            assert_eq!(code(&folder, command), wanted, "{what}: {command:?}");
        }
    }
}
