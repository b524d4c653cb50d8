//! The record of what people did by commands: a row in the ledger for each deed, with the account behind it, and no address, wherever it was typed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::push::session;

/// Runs a command in that folder. What it printed; it must do what it is asked.
fn run(folder: &Path, arguments: &[&str], typed: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_punctual"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(done.status.code(), Some(0), "{arguments:?}: {said}");
    said
}

/// A practice with a session, in a folder of its own, after its first walk.
fn practice() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = "[practice]\nname = \"Lakeside Telehealth\"\nhosts = false\n[store]\nurl = \"sqlite://punctual.db\"\n\
                  [email]\nfrom = \"Lakeside <sessions@example.org>\"\n[[email.relay]]\nkind = \"folder\"\npath = \"outbox\"\n\
                  [invite]\nsettle = \"1h\"\n[server]\nusers_file = \"users.toml\"\n\
                  [[source]]\nname = \"file\"\nkind = \"file\"\npath = \"sessions.json\"\n";
    std::fs::write(folder.path().join("punctual.toml"), config).unwrap();
    let mut one = session(1, 111_111_111);
    one["Participants"][0]["ParticipantTimeZoneWindowsId"] = json!("Eastern Standard Time");
    std::fs::write(folder.path().join("sessions.json"), json!([one]).to_string()).unwrap();
    run(folder.path(), &["run", "--once"], "");
    folder
}

/// Event and detail of each row of the ledger.
fn rows(folder: &Path) -> Vec<(String, String)> {
    let text = run(folder, &["ledger", "export"], "");
    let rows = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    rows.map(|row| (row["event"].as_str().unwrap().to_owned(), row["detail"].as_str().unwrap_or_default().to_owned())).collect()
}

#[test]
fn each_deed_by_command_has_a_row_that_names_the_account() {
    let practice = practice();
    let folder = practice.path();
    let backup = ["backup", "copy.db"];
    for (arguments, typed, event, detail) in [
        (&["user", "add", "jane"][..], "correct horse battery\n", "user_added", "jane, viewer"),
        (&["user", "add", "jane", "--role", "operator"], "correct horse battery\n", "user_added", "jane, operator"),
        (&["user", "totp", "jane"], "", "user_totp", "jane, on"),
        (&["user", "remove", "jane"], "", "user_removed", "jane"),
        (&["token", "add", "desk", "--scope", "read"], "", "token_added", "desk, read"),
        (&["token", "remove", "desk"], "", "token_removed", "desk"),
        (&["suppress", "add", "-"], "xanthippe.rare@example.org\n", "suppress", "x*****@example.org"),
        (&["suppress", "remove", "-"], "xanthippe.rare@example.org\n", "unsuppress", ""),
        (&["send-test", "--to", "-"], "xanthippe.rare@example.org\n", "send_test", "email over"),
        (&["preview", "--reveal"], "", "reveal", "preview of 1 sessions"),
        (&["outbox", "hold", "--all"], "", "hold", ""),
        (&["outbox", "release", "--all"], "", "release", ""),
        (&backup, "", "backup", "up to row"),
    ] {
        let before = rows(folder).len();
        run(folder, arguments, typed);
        let new = rows(folder).split_off(before);
        let account = format!("by account {}", rustix::process::getuid().as_raw());
        let is_it = |row: &&(String, String)| row.0 == event && row.1.starts_with(detail) && row.1.contains(&account);
        assert!(new.iter().any(|row| is_it(&row)), "{arguments:?}: {new:?}");
        assert!(new.iter().all(|row| !row.1.contains("xanthippe")), "{new:?}");
    }
}

/// What `-` reads is the address, and the list shows it masked.
#[test]
fn an_address_is_typed_where_no_list_of_processes_shows_it() {
    let practice = practice();
    let folder = practice.path();
    for (typed, shown) in [("xanthippe.rare@example.org\n", "x*****@example.org"), ("  404-555-0123\r\n", "0123")] {
        run(folder, &["suppress", "add", "-"], typed);
        let list = run(folder, &["suppress", "list", "--json"], "");
        assert!(list.contains(shown) && !list.contains(typed.trim()), "{list}");
        run(folder, &["suppress", "remove", "-"], typed);
        assert!(!run(folder, &["suppress", "list", "--json"], "").contains("{\""), "{typed}");
    }
    run(folder, &["send-test", "--to", "-"], "xanthippe.rare@example.org\n");
    let mails = std::fs::read_dir(folder.join("outbox")).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    assert_eq!(mails.filter(|mail| mail.contains("xanthippe.rare@example.org")).count(), 1);
    // And the manual says it so.
    for page in [include_str!("../../README.md"), include_str!("../../docs/operations.md"), include_str!("../../docs/feedback.md")] {
        for command in ["suppress add ", "suppress remove ", "send-test --to "] {
            for rest in page.split(command).skip(1) {
                let argument: String = rest.chars().take_while(|c| !c.is_whitespace() && *c != '`').collect();
                assert!(
                    !argument.contains('@') && !argument.starts_with(['+', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']),
                    "{command}{argument}"
                );
            }
        }
    }
    assert!(include_str!("../../docs/operations.md").contains("send-test --to -"));
}
