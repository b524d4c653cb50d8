//! Pages over several nodes of one practice: any node behind any balancer.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use punctual::access::totp;
use punctual::clock::{Clock, WallClock};
use punctual::entry::State;
use punctual::outbox::Nodes;
use punctual::outbox::postgres::PostgresOutbox;

use super::*;
use crate::outbox::cluster::cluster;

/// A node with its own copy of the users file.
async fn node(url: &str, name: &str) -> Office {
    Office { practice: Practice::of(tempfile::tempdir().unwrap(), &text(url, name)).await }
}

fn text(url: &str, name: &str) -> String {
    Practice::text("").replace("sqlite://punctual.db", url).replace("[practice]", &format!("[node]\nname = \"{name}\"\n[practice]"))
}

/// A node that has its users in the store.
async fn node_of_the_store(url: &str, name: &str) -> Office {
    let (folder, text) = (tempfile::tempdir().unwrap(), text(url, name).replace("users_file = \"users.toml\"", "users = \"store\""));
    // For commands.
    let file = folder.path().join("punctual.toml");
    std::fs::write(&file, &text).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    Office { practice: Practice::of(folder, &text).await }
}

/// The same browser, sent to another node.
fn at<'a>(browser: &Browser<'_>, office: &'a Office) -> Browser<'a> {
    Browser { office, client: browser.client.clone(), cookie: browser.cookie.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_is_at_any_node() {
    let Some(cluster) = cluster() else { return };
    cluster.create("pages");
    PostgresOutbox::migrate(&cluster.server("pages")).unwrap();
    let (a, b) = (node(&cluster.url("pages"), "a").await, node(&cluster.url("pages"), "b").await);
    let secret = totp::new_secret().unwrap();
    // The same file on both.
    let mut access = everybody();
    access.user[0].totp = Some(secret.clone());
    for office in [&a, &b] {
        file::write(&office.practice.folder.path().join("users.toml"), &access).unwrap();
    }
    // What is pushed to one is at the other; and the other way round.
    assert_eq!(a.practice.list(&[session(1, 111_111_111)]).await.0, 200);
    assert_eq!(b.practice.list(&[session(1, 111_111_111), session(2, 222_222_222)]).await.0, 200);
    assert_eq!(a.practice.list(&[session(1, 111_111_111), session(2, 222_222_222), session(3, 333_333_333)]).await.0, 200);
    // Logged in on one, at work on the other, logged out there.
    let victor = a.logged_in("victor").await;
    let mut elsewhere = at(&victor, &b);
    let (status, page) = elsewhere.page("/sessions/3").await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(elsewhere.submit("/", "/logout", &[]).await, 303);
    assert_eq!(at(&victor, &a).get("/").await.status(), 303, "out on all");
    // A one-time code is good once, over all.
    let code = totp::shown(&secret, totp::step(WallClock.now()) + 1).unwrap();
    let mut jane = a.browser();
    assert_eq!(jane.log_in_by_code("jane", PASSWORD, &code).await, 303);
    assert_eq!(b.browser().log_in_by_code("jane", PASSWORD, &code).await, 401, "it was used");
    // What she does on the other node is done.
    let key = a.hold().await;
    let mut jane_there = at(&jane, &b);
    assert_eq!(jane_there.submit(&format!("/notices/{key}"), &format!("/notices/{key}/release"), &[]).await, 303);
    assert_eq!(a.state(key).await, State::Waiting);
    // Ten tries over all, with those that went wrong before.
    for office in [&a, &b, &a, &b, &a, &b, &a, &b, &a] {
        let status = office.browser().log_in("victor", "guess").await.status();
        assert_eq!(status, 401);
    }
    for office in [&b, &a, &b] {
        office.browser().log_in("victor", "guess").await;
    }
    for office in [&a, &b] {
        assert_eq!(office.browser().log_in("victor", PASSWORD).await.status(), 429, "guessed too often");
    }
    a.close().await;
    b.close().await;
}

/// A node that does nothing is named on the pages of the others, with what to do, until it works.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_names_a_node_that_does_nothing() {
    let Some(cluster) = cluster() else { return };
    cluster.create("idle_pages");
    PostgresOutbox::migrate(&cluster.server("idle_pages")).unwrap();
    let url = cluster.url("idle_pages");
    let alerts = "[alerts]\nafter = \"0s\"\nto = [\"desk@example.org\"]\n[alerts.relay]\nkind = \"folder\"\npath = \"alerts\"\n";
    let access = everybody();
    let a = Office { practice: Practice::of(tempfile::tempdir().unwrap(), &(text(&url, "a") + alerts)).await };
    let knows = |office: &Office| file::write(&office.practice.folder.path().join("users.toml"), &access).unwrap();
    knows(&a);
    let mut victor = a.logged_in("victor").await;
    let (_, page) = victor.page("/servers").await;
    assert!(page.contains("Nodes that serve this practice") && !page.contains("does nothing"), "{page}");
    let others = text(&url, "b") + "[[reminder]]\nname = \"soon\"\nbefore = \"3h\"\n";
    let b = Office { practice: Practice::of(tempfile::tempdir().unwrap(), &others).await };
    let told = |says: &'static str| cluster.sql("idle_pages", "SELECT coalesce(idle_why, '') FROM node WHERE name = 'b'").contains(says);
    while !told("its rules are not those of node a") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for path in ["/", "/attention", "/servers"] {
        let (_, page) = victor.page(path).await;
        for says in [
            "<strong>Node b</strong> does nothing since ",
            ": its rules are not those of node a, which leads: give all nodes the same configuration, templates and zone data, and reload them. \
             What is due leaves from the nodes that work. Tell your administrator.",
        ] {
            assert!(page.contains(says), "{path} does not say {says:?}: {page}");
        }
    }
    // The API says so, and an alert, which comes once.
    let asked = a.browser().client.get(a.address("/api/v1/status")).bearer_auth(READ).send().await.unwrap();
    let status: Value = serde_json::from_str(&asked.text().await.unwrap()).unwrap();
    let named: Vec<_> = status["nodes"].as_array().unwrap().iter().map(|node| (node["name"].as_str(), node["idle"].is_string())).collect();
    assert_eq!(named, [(Some("a"), false), (Some("b"), true)], "{status}");
    let alerts = || -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(a.practice.folder.path().join("alerts")) else { return Vec::new() };
        let texts = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|text| text.contains("Node b ")).collect()
    };
    for _ in 0..2 {
        a.practice.engine.tell_staff().await.unwrap();
    }
    let told_by = alerts();
    assert!(told_by.len() == 1 && told_by[0].contains("a node does nothing") && told_by[0].contains("its rules are not"), "{told_by:?}");
    // On its own pages that stands once.
    knows(&b);
    let (_, page) = at(&victor, &b).page("/").await;
    assert_eq!(page.matches("its rules are not those of node a").count(), 1, "{page}");
    assert!(page.contains("This node does nothing since "), "{page}");
    b.close().await;
    let (_, page) = victor.page("/servers").await;
    assert!(!page.contains("does nothing") && !page.contains("At fault"), "{page}");
    a.close().await;
}

/// Of a list that was put to one node an operator decides by a command, wherever that is: it is done by the node that has the list.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_by_a_command_is_done_by_the_node_that_has_the_list() {
    let Some(cluster) = cluster() else { return };
    cluster.create("decides");
    PostgresOutbox::migrate(&cluster.server("decides")).unwrap();
    let url = cluster.url("decides");
    let (a, b) = (node_of_the_store(&url, "a").await, node_of_the_store(&url, "b").await);
    let all: Vec<Value> = (1..=5).map(|id| session(id, 111_111_110 + id)).collect();
    assert_eq!(b.practice.list(&all).await.0, 200);
    assert_eq!(b.practice.list(&[]).await.1["guarded"], 5);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punctual"));
    let done = command.args(["guard", "reject"]).current_dir(a.practice.folder.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let held = Filter { states: vec![State::Held], ..Filter::default() };
    let since = std::time::Instant::now();
    while !a.practice.engine.outbox().list(&held).await.unwrap().is_empty() {
        assert!(since.elapsed() < std::time::Duration::from_secs(60), "they stay held");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    a.close().await;
    b.close().await;
}

/// Users who stand in the store: whoever is removed, or has another password, at one node is so at all of them at once.
#[tokio::test(flavor = "multi_thread")]
async fn users_in_the_store_are_the_same_at_any_node() {
    let Some(cluster) = cluster() else { return };
    cluster.create("users");
    PostgresOutbox::migrate(&cluster.server("users")).unwrap();
    let url = cluster.url("users");
    let (a, b) = (node_of_the_store(&url, "a").await, node_of_the_store(&url, "b").await);
    assert_eq!(a.browser().log_in("victor", PASSWORD).await.status(), 401, "there is nobody yet");
    // The users of a file are taken over, once.
    let punctual = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punctual"));
        command.current_dir(a.practice.folder.path()).arg("--config").arg(a.practice.folder.path().join("punctual.toml")).args(args);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    file::write(&a.practice.folder.path().join("old.toml"), &everybody()).unwrap();
    let (code, _, said) = punctual(&["user", "import", "old.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, _, said) = punctual(&["user", "import", "old.toml"]);
    assert_eq!((code, said.contains("only while it has none")), (Some(1), true), "{said}");
    let (_, listed, _) = punctual(&["user", "list"]);
    assert!(listed.contains("victor"), "{listed}");
    let (mut victor, jane) = (b.logged_in("victor").await, a.logged_in("jane").await);
    assert_eq!(victor.get("/").await.status(), 200);
    // Jane removes him at the other node.
    let mut jane_there = at(&jane, &a);
    assert_eq!(jane_there.submit("/users", "/users", &[("act", "remove"), ("name", "victor"), ("own", PASSWORD)]).await, 200);
    assert_eq!(victor.get("/").await.status(), 303, "out at once");
    assert_eq!(b.browser().log_in("victor", PASSWORD).await.status(), 401);
    // A token, made and taken away by a command.
    let (code, token, said) = punctual(&["token", "add", "board", "--scope", "read"]);
    assert_eq!(code, Some(0), "{said}");
    let asked = async |office: &Office| {
        let request = office.browser().client.get(office.address("/api/v1/status")).bearer_auth(token.trim());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((asked(&a).await, asked(&b).await), (200, 200));
    assert_eq!(punctual(&["token", "remove", "board"]).0, Some(0));
    assert_eq!((asked(&a).await, asked(&b).await), (401, 401));
    // Nobody who reads the database learns a secret of theirs, if it is sealed; here at least no password stands in it.
    assert!(!cluster.dump("users").contains(PASSWORD));
    a.close().await;
    b.close().await;
}

/// The first of them may be added before a daemon ever ran. Whoever only looks makes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn users_stand_in_the_store_before_a_daemon_runs() {
    let Some(cluster) = cluster() else { return };
    cluster.create("users_first");
    let url = cluster.url("users_first");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("punctual.toml");
    std::fs::write(&file, text(&url, "a").replace("users_file = \"users.toml\"", "users = \"store\"")).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let punctual = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punctual"));
        command.current_dir(folder.path()).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        // (Who does not ask for it does not read it.)
        drop(writeln!(running.stdin.take().unwrap(), "{PASSWORD}"));
        let output = running.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = punctual(&["user", "add", "victor"]);
    assert!(code != Some(0) && said.contains("punctual store migrate"), "{said}");
    PostgresOutbox::migrate(&cluster.server("users_first")).unwrap();
    for looks in [&["user", "list"][..], &["token", "list"], &["user", "remove", "victor"], &["check", "--offline"]] {
        punctual(looks);
        assert_eq!(cluster.sql("users_first", "SELECT count(*) FROM practice"), "0", "{looks:?}");
    }
    let (code, said) = punctual(&["user", "add", "victor"]);
    assert!(code == Some(0) && said.contains("victor is viewer now; added"), "{said}");
    assert_eq!(punctual(&["token", "add", "board", "--scope", "read"]).0, Some(0));
    assert_eq!(cluster.sql("users_first", "SELECT name FROM practice"), "practice");
    let office = node_of_the_store(&url, "a").await;
    assert_eq!(office.logged_in("victor").await.get("/").await.status(), 200);
    let events: Vec<String> = office.ledger().await.iter().map(|row| row.event.as_str().to_owned()).collect();
    assert_eq!(events[..2], ["user_added", "token_added"], "{events:?}");
    office.close().await;
}

/// They go along into another database, and out into a file.
#[tokio::test(flavor = "multi_thread")]
async fn users_in_the_store_go_along_with_a_copy() {
    let Some(cluster) = cluster() else { return };
    for name in ["users_left", "users_moved"] {
        cluster.create(name);
        PostgresOutbox::migrate(&cluster.server(name)).unwrap();
    }
    let (left, moved) = (cluster.url("users_left"), cluster.url("users_moved"));
    let folder = tempfile::tempdir().unwrap();
    let (config, again) = (folder.path().join("punctual.toml"), format!("sqlite://{}", folder.path().join("again.db").display()));
    let store = PostgresOutbox::open(&cluster.server("users_left"), "practice", punctual::outbox::Access::Daemon, None).unwrap();
    assert!(store.put_users(0, &everybody().to_text().unwrap()).await.unwrap());
    drop(store);
    let run = |url: &str, args: &[&str]| {
        std::fs::write(&config, format!("[practice]\nid = \"practice\"\n[store]\nurl = \"{url}\"\n[server]\nusers = \"store\"\n")).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_punctual")).current_dir(folder.path()).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run(&moved, &["store", "copy", &left, &moved]);
    assert!(said.contains("Users and tokens went along"), "{said}");
    let said = run(&moved, &["user", "list"]);
    assert!(said.contains("jane") && said.contains("victor"), "{said}");
    let said = run(&moved, &["store", "copy", &moved, &again]);
    assert!(said.contains("users-of-the-database.toml"), "{said}");
    let written = file::read(&folder.path().join("users-of-the-database.toml")).unwrap();
    assert_eq!(written.user.iter().map(|user| user.name.to_string()).collect::<Vec<_>>(), ["jane", "victor"]);
    assert_eq!(written.token.len(), everybody().token.len());
}
