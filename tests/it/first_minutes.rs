//! The first minutes of a newcomer: what the README says, word for word, in an empty folder; and the demonstration in a browser.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use reqwest::Client;
use reqwest::redirect::Policy;

use crate::push::no_trust;

const PROGRAM: &str = env!("CARGO_BIN_EXE_punctual");

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The commands of the README that begin with the program's name.
fn commands() -> Vec<Vec<&'static str>> {
    let readme = include_str!("../../README.md");
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    punctual "));
    lines.map(|line| line.split(" #").next().unwrap().split_whitespace().collect()).collect()
}

#[test]
fn what_the_readme_says_works_in_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let commands = commands();
    assert_eq!(commands.iter().map(|words| words[0]).collect::<Vec<_>>(), ["init", "check", "preview", "run"]);
    for mut words in commands {
        // A test waits for no daemon.
        if words == ["run"] {
            words.push("--once");
        }
        let output = run(folder.path(), &words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", said(&output));
        if words[0] != "init" {
            assert!(said(&output).contains("Configuration: punctual.toml"), "{words:?}: {}", said(&output));
        }
    }
    let shown = run(folder.path(), &["outbox", "list"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("Planned") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(run(folder.path(), &["outbox", "cancel"]).status.code(), Some(2));
    let everything = run(folder.path(), &["outbox", "cancel", "--all"]);
    assert!(everything.status.code() == Some(2) && said(&everything).contains("say --yes"), "{}", said(&everything));
    let held = run(folder.path(), &["outbox", "hold", "--all", "--state", "waiting", "--reason", "the relay moves"]);
    assert_eq!(held.status.code(), Some(0), "{}", said(&held));
    assert!(said(&run(folder.path(), &["ledger", "export"])).contains(": the relay moves"));
    let preview = |more: &[&str]| said(&run(folder.path(), &[&["preview"], more].concat()));
    let (kept, fresh) = (preview(&[]), preview(&["--fresh"]));
    assert!(kept.contains("As the store knows it") && kept.contains("[operator]") && kept.contains("\n0 would be sent"), "{kept}");
    assert!(!fresh.contains("As the store knows it") && !fresh.contains("[operator]") && !fresh.contains("\n0 would be sent"), "{fresh}");
    assert_eq!(run(folder.path(), &["outbox", "cancel", "--all", "--yes"]).status.code(), Some(0));
    for wrong in [&["send-test", "--to", "nobody"][..], &["suppress", "add", "foo"]] {
        assert_eq!(run(folder.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(run(folder.path(), &["preview", "--session", "1"]).status.code(), Some(1));
    let nowhere = tempfile::tempdir().unwrap();
    assert!(said(&run(nowhere.path(), &["check"])).contains("none found"), "no false all-clear");
}

#[test]
fn a_store_that_is_not_there_yet_has_not_failed() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init"]).status.code(), Some(0));
    for command in [&["status"][..], &["why", "4101"], &["outbox", "list"], &["ledger", "verify"]] {
        let output = run(folder.path(), command);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {}", said(&output));
        assert!(said(&output).contains("there is no store yet") && said(&output).contains("punctual run"), "{}", said(&output));
    }
}

#[test]
fn init_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sessions.json"), "[]").unwrap();
    assert_eq!(run(folder.path(), &["init"]).status.code(), Some(0));
    assert_eq!(run(folder.path(), &["init"]).status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(folder.path().join("sessions.json")).unwrap(), "[]");
    assert!(!folder.path().join("users.toml").exists(), "nobody asked for a user");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["demo", "--serve", "--port", "0", "--dir", "demo", "--at", "2026-11-30T13:20:00Z"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let link =
        lines.map_while(Result::ok).find_map(|line| line.trim().strip_prefix("http://").map(|rest| format!("http://{rest}"))).unwrap();
    let base = link.split("/demo").next().unwrap().to_owned();
    let client = Client::builder().no_proxy().redirect(Policy::none()).tls_backend_preconfigured(no_trust()).build().unwrap();
    let cookie = |answer: &reqwest::Response| answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(client.get(format!("{base}/demo?key=wrong")).send().await.unwrap().status(), 404);
    let mut visit = cookie(&client.get(&link).send().await.unwrap());
    for (act, before, after) in [
        ("mail", "Break the mail server", "Mend the mail server"),
        ("record", "Spoil a record", "Correct the record"),
        ("hour", "8:2", "9:2"),
        ("day", "Mon, Nov 30", "Tue, Dec 1"),
    ] {
        let page = client.get(&base).header("cookie", &visit).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Nothing leaves this machine") && page.contains(before), "{act}: {page}");
        let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let form = client.post(format!("{base}/demo/{act}")).header("cookie", &visit).form(&[("token", token.as_str())]);
        let answer = form.send().await.unwrap();
        assert_eq!(answer.status(), 303, "{act}");
        visit = cookie(&answer);
        let page = client.get(&base).header("cookie", &visit).send().await.unwrap().text().await.unwrap();
        assert!(page.contains(after), "{act}: {page}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn health_asks_the_daemon_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = |server: &str| {
        let text = format!(
            "[practice]\nname = \"Lakeside\"\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"a@example.org\"\n[[email.relay]]\n\
             kind = \"folder\"\npath = \"outbox\"\n[[source]]\nname = \"file\"\nkind = \"file\"\npath = \"sessions.json\"\n{server}"
        );
        std::fs::write(folder.path().join("punctual.toml"), text).unwrap();
    };
    std::fs::write(folder.path().join("sessions.json"), "[]").unwrap();
    config("");
    let asked = run(folder.path(), &["health"]);
    assert!(asked.status.code() == Some(1) && said(&asked).contains("set [server] listen"), "{}", said(&asked));
    config(&format!("[server]\nlisten = \"0.0.0.0:{port}\"\n"));
    let asked = run(folder.path(), &["health"]);
    assert!(asked.status.code() == Some(1) && said(&asked).contains(&format!("does not listen at 127.0.0.1:{port}")), "{}", said(&asked));
    let mut daemon = Command::new(PROGRAM).arg("run").current_dir(folder.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(" ready ")), "it begins");
    let asked = run(folder.path(), &["health"]);
    assert!(asked.status.success() && said(&asked).lines().any(|line| line == "ready"), "{}", said(&asked));
    assert!(said(&run(folder.path(), &["health", "--alive", "--json"])).contains("{\"healthy\":true}"));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn a_gateway_that_was_forgotten_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["init"]).status.code(), Some(0));
    let file = folder.path().join("punctual.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let begins = text.find("\n[[sms.gateway]]").unwrap() + 1;
    let ends = begins + text[begins + 1..].find("\n[").unwrap() + 1;
    std::fs::write(&file, format!("{}{}", &text[..begins], &text[ends..])).unwrap();
    let said = said(&run(folder.path(), &["run", "--once"]));
    let told = said.matches("no [[sms.gateway]] is configured: what these people are to get by sms waits, and is not sent").count();
    assert!(told == 1 && !said.contains("[[email.relay]] is configured"), "{said}");
}

/// Three daemons over one database: the one that leads is killed at its work, and everybody is told once.
#[test]
fn the_demonstration_of_several_nodes() {
    if crate::outbox::cluster::cluster().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo =
        Command::new(env!("CARGO_BIN_EXE_punctual")).args(["demo", "--nodes", "3", "--dir", "demo"]).current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&demo.stdout);
    assert!(demo.status.success(), "{said}\n{}", String::from_utf8_lossy(&demo.stderr));
    assert!(said.contains("is killed (kill -9) at its work") && said.contains("The ledger is as it was written"), "{said}");
    // Of what was in doubt when it was killed nobody knows whether it left: that goes again later.
    let doubtful: usize = said.lines().find_map(|line| line.split_once(" are in doubt")?.0.parse().ok()).unwrap_or_default();
    let of = |name: &str| std::fs::read_dir(folder.path().join("demo").join(name).join("mail")).unwrap().count();
    let left: usize = ["a", "b", "c"].map(of).iter().sum();
    assert!((120 - doubtful..=120).contains(&left), "{left} copies\n{said}");
    assert!(said.contains("; 0 of them twice."), "{said}");
}
