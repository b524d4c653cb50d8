//! Bounces: from a maildir and through the command, with the codes that mail servers understand.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use punctual::config;
use punctual::daemon::Engine;
use punctual::entry::State;
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Feedback, Filter, Queries};
use punctual::receipt::DeliveryStatus;
use serde_json::json;

/// A practice with one session, whose invite is in a folder; its Message-ID.
async fn sent(folder: &Path, more: &str) -> String {
    for part in ["outbox", "Maildir/new", "Maildir/cur"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    let start = (WallClock.now() + TimeDelta::days(3)).format("%Y-%m-%dT%H:00:00").to_string();
    let session = json!([{ "SessionId": 1, "ScheduleTs": start, "Participants": [
        { "ParticipationId": 10, "ParticipantFullName": "A. MacGuffin", "ShouldAutoDeliverCode": "N" },
        { "ParticipationId": 11, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": "trevor@example.com",
          "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ConnectCode": 111_111_111, "ShouldAutoDeliverCode": "E" },
    ]}]);
    fs::write(folder.join("sessions.json"), session.to_string()).unwrap();
    let text = format!(
        "[practice]\nname = \"Lakeside Telehealth\"\nhosts = false\n[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n\
         [quiet_hours]\nfrom = \"00:00\"\nto = \"00:00\"\n[store]\nurl = \"sqlite://punctual.db\"\n\
         [[source]]\nkind = \"file\"\npath = \"sessions.json\"\n\
         [email]\nfrom = \"Lakeside <sessions@example.org>\"\n{more}[[email.relay]]\nkind = \"folder\"\npath = \"outbox\"\n"
    );
    fs::write(folder.join("punctual.toml"), &text).unwrap();
    once(folder).await;
    let mail = fs::read_dir(folder.join("outbox")).unwrap().next().unwrap().unwrap().path();
    let mail = fs::read_to_string(mail).unwrap();
    let id = mail.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
    id.trim().to_owned()
}

async fn once(folder: &Path) {
    let text = fs::read_to_string(folder.join("punctual.toml")).unwrap();
    let config = config::parse(&text, Some(&folder.join("punctual.toml")), &[]).unwrap_or_else(|m| panic!("{m}"));
    Engine::start(config, Arc::new(WallClock)).await.unwrap().once().await.unwrap();
}

fn report(action: &str, status: &str, message_id: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.org\r\nTo: sessions@example.org\r\nContent-Type: multipart/report; boundary=b\r\n\r\n\
         --b\r\n\r\nIt did not work.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n\
         Final-Recipient: rfc822; trevor@example.com\r\nAction: {action}\r\nStatus: {status}\r\n\
         Diagnostic-Code: smtp; <trevor@example.com> says no\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
         Message-ID: {message_id}\r\n\r\n--b--\r\n"
    )
}

fn store(folder: &Path) -> SqliteOutbox {
    SqliteOutbox::open(&format!("sqlite://{}", folder.join("punctual.db").display()), Access::Command).unwrap()
}

/// What the invite's delivery says.
async fn delivery_status(folder: &Path) -> Option<DeliveryStatus> {
    let store = store(folder);
    let sent = store.list(&Filter { states: vec![State::Accepted], ..Filter::default() }).await.unwrap();
    assert_eq!(sent.len(), 1);
    store.deliveries(sent[0].notice.key).await.unwrap().0[0].receipt
}

/// What the maildir holds, by folder.
fn held(folder: &Path, part: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder.join("Maildir").join(part)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maildir_is_read_and_each_mail_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let id = sent(folder, "bounce_maildir = \"Maildir\"\n").await;
    for (name, mail) in [("1.delay", report("delayed", "4.4.1", &id)), ("2.letter", "Subject: hello\r\n\r\nhello\r\n".to_owned())] {
        fs::write(folder.join("Maildir/new").join(name), mail).unwrap();
    }
    once(folder).await;
    assert_eq!(
        (delivery_status(folder).await, store(folder).suppressions().await.unwrap().len()),
        (Some(DeliveryStatus::Sent), 0),
        "a delay is noted only"
    );
    fs::write(folder.join("Maildir/new/3.bounce:2,"), report("failed", "5.1.1", &id)).unwrap();
    fs::write(folder.join("Maildir/new/4.again"), report("failed", "5.1.1", &id)).unwrap();
    fs::write(folder.join("Maildir/new/5.other"), report("failed", "5.1.1", &format!("<{}@example.org>", "a".repeat(32)))).unwrap();
    once(folder).await;
    assert_eq!((delivery_status(folder).await, store(folder).suppressions().await.unwrap().len()), (Some(DeliveryStatus::Undelivered), 1));
    assert_eq!(held(folder, "new"), [] as [&str; 0]);
    assert_eq!(held(folder, "cur"), ["1.delay:2,S", "2.letter:2,", "3.bounce:2,S", "4.again:2,S", "5.other:2,S"]);
    let rows = store(folder).ledger(None, 0, usize::MAX).await.unwrap();
    let receipts: Vec<&str> = rows.iter().filter(|row| row.event == "receipt").filter_map(|row| row.detail.as_deref()).collect();
    assert_eq!(receipts, ["sent: 4.4.1 smtp; (address) says no", "undelivered: 5.1.1 smtp; (address) says no"]);
}

/// Exit code and output.
fn pipe(folder: &Path, mail: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_punctual"))
        .arg("--config")
        .arg(folder.join("punctual.toml"))
        .arg("bounce")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(mail.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    (done.status.code().unwrap(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_pipes_it_and_understands_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let id = sent(folder, "").await;
    let bounce = report("failed", "5.1.1", &id);
    let long = format!("{bounce}{}", "x".repeat(3 << 20));
    for (mail, code, says) in [
        ("Subject: hello\r\n\r\nhello\r\n", 65, "no bounce"),
        (&report("failed", "5.1.1", &format!("<{}@example.org>", "a".repeat(32))), 0, "no message that was sent"),
        (&report("delayed", "4.4.1", &id), 0, ": sent"),
        (&long, 0, ": undelivered"),
        (&bounce, 0, "nothing new"),
    ] {
        let (ended, said) = pipe(folder, mail);
        assert!(ended == code && said.contains(says), "{code} {says}: {ended} {said}");
        assert!(!said.contains("trevor"), "{said}");
    }
    assert_eq!(delivery_status(folder).await, Some(DeliveryStatus::Undelivered));
    fs::remove_file(folder.join("punctual.db")).unwrap();
    fs::write(folder.join("punctual.db"), "this is no database, and it is not empty").unwrap();
    assert_eq!(pipe(folder, &bounce).0, 75, "it comes again when the store is mended");
    fs::write(folder.join("punctual.toml"), "[store]\ncolour = 1\n").unwrap();
    assert_eq!(pipe(folder, &bounce).0, 78);
}
