//! Exit code 3: something needs a person, whichever command is asked.

use std::process::Command;

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use serde_json::json;

/// Whoever is named by `unreachable` because of their record needs attention by all commands, also if each field could be read.
#[test]
fn somebody_whose_record_cannot_be_used_needs_attention() {
    let folder = tempfile::tempdir().unwrap();
    let start = (WallClock.now() + TimeDelta::days(3)).to_rfc3339();
    let write = |zone: &str, deliver: &str| {
        let person = json!({ "ParticipationId": 10, "ConnectCode": 700, "ShouldAutoDeliverCode": deliver,
            "ParticipantEmailAddress": "trevor@example.com", "ParticipantTimeZoneWindowsId": zone });
        let list = json!([{ "SessionId": 1, "ScheduleTs": start, "Participants": [person] }]);
        std::fs::write(folder.path().join("list"), list.to_string()).unwrap();
    };
    let text = "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"desk@example.org\"\n\
                [[email.relay]]\nkind = \"folder\"\npath = \"out\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"list\"\n";
    std::fs::write(folder.path().join("punctual.toml"), text).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
        let done = command.args(arguments).current_dir(folder.path()).output().unwrap();
        done.status.code().unwrap()
    };
    let codes = || [&["run", "--once"][..], &["status"], &["unreachable"]].map(run);
    // Their host tells them: we send them nothing, with whatever zone.
    write("Nowhere Standard Time", "N");
    assert_eq!(codes()[..2], [0; 2]);
    write("Nowhere Standard Time", "E");
    assert_eq!(codes(), [3; 3]);
    write("UTC", "E");
    assert_eq!(codes(), [0; 3]);
}
