//! Several nodes of one practice: real processes on one database, and a relay that counts what it gets. All hand over, and one of them leads.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use punctual::outbox::postgres::PostgresOutbox;
use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};
use crate::servers::Gate;
use crate::servers::smtp::{Server, Step};

/// What the node says that leads.
const LEADS: &str = "this node leads";
/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// A practice with one list, one relay, and a folder for each node.
pub(super) struct Practice {
    pub(super) folder: tempfile::TempDir,
    relay: Server,
    /// The relay answers DATA when the gate is opened.
    waits: Arc<AtomicBool>,
    gate: Arc<Gate>,
    url: String,
    /// Of all sessions, also when the hour is over.
    start: Value,
}

impl Practice {
    pub(super) async fn open(cluster: &Cluster, database: &str) -> Self {
        cluster.create(database);
        PostgresOutbox::migrate(&cluster.server(database)).unwrap();
        let (waits, gate) = (Arc::<AtomicBool>::default(), Gate::shut());
        let (asked, held) = (Arc::clone(&waits), Arc::clone(&gate));
        let relay = Server::start(move |at| match at.verb.as_str() {
            "DATA" if asked.load(Ordering::SeqCst) => Some(Step::Gate(Arc::clone(&held), "354 go")),
            _ => None,
        })
        .await;
        let start = crate::push::session(1, 111_111_111)["ScheduleTs"].clone();
        let practice = Self { folder: tempfile::tempdir().unwrap(), relay, waits, gate, url: cluster.url(database), start };
        practice.lists(1);
        practice
    }

    /// So many sessions.
    pub(super) fn lists(&self, sessions: i64) {
        let one = |id| {
            let mut session = crate::push::session(id, 111_111_110 + id);
            session["ScheduleTs"] = self.start.clone();
            session
        };
        let all: Vec<Value> = (1..=sessions).map(one).collect();
        fs::write(self.folder.path().join("part"), json!(all).to_string()).unwrap();
        fs::rename(self.folder.path().join("part"), self.folder.path().join("list")).unwrap();
    }

    pub(super) fn node(&self, name: &'static str) -> Node {
        self.node_with(name, "")
    }

    pub(super) fn node_with(&self, name: &'static str, more: &str) -> Node {
        self.write(name, more);
        let mut node = self.written(name);
        node.start();
        node
    }

    /// Of which there is a configuration, and no process yet.
    pub(super) fn written(&self, name: &str) -> Node {
        Node::of(self.folder.path().join(name))
    }

    /// Its configuration.
    pub(super) fn write(&self, name: &'static str, more: &str) {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "[practice]\nid = \"lakeside\"\nname = \"Lakeside\"\ntime_zone = \"UTC\"\n[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n[node]\nname = \"{name}\"\n\
             [store]\nurl = \"{}\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"../list\"\npoll = \"* * * * * *\"\n\
             [email]\nfrom = \"desk@example.org\"\nin_doubt = \"hold\"\n[[email.relay]]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n{more}",
            self.url, self.relay.port
        );
        fs::write(folder.join("punctual.toml"), text).unwrap();
    }

    /// Until the relay has so many messages: how often each of them came, by its Message-ID.
    pub(super) async fn told(&self, messages: usize) -> Vec<usize> {
        let since = Instant::now();
        while self.relay.bodies().len() < messages && since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut copies = BTreeMap::<String, usize>::new();
        for body in self.relay.bodies() {
            let id = body.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:")).unwrap().to_owned();
            *copies.entry(id).or_default() += 1;
        }
        copies.into_values().collect()
    }
}

/// A process, which ends with the test.
pub(super) struct Node {
    pub(super) folder: PathBuf,
    pub(super) process: Option<Child>,
    /// Where the service manager listens, for its environment.
    pub(super) manager: Option<PathBuf>,
}

impl Node {
    pub(super) fn of(folder: PathBuf) -> Self {
        Self { folder, process: None, manager: None }
    }

    pub(super) fn start(&mut self) {
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
        command.arg("run").current_dir(&self.folder).stdout(Stdio::null()).stderr(log);
        if let Some(manager) = &self.manager {
            command.env("NOTIFY_SOCKET", manager);
        }
        self.process = Some(command.spawn().unwrap());
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Until it says that so often.
    pub(super) async fn says(&self, what: &str, times: usize) {
        let since = Instant::now();
        while self.log().matches(what).count() < times {
            assert!(since.elapsed() < PATIENCE, "{what}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Its exit code; `None`: a signal ended it.
    pub(super) fn ends(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.process.take().unwrap().wait().unwrap().code()
    }

    pub(super) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let done = Command::new(env!("CARGO_BIN_EXE_punctual")).args(arguments).current_dir(&self.folder).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8_lossy(&done.stderr))
    }

    /// Likewise; `None`: it does not end in that time.
    pub(super) fn run_within(&self, arguments: &[&str], within: Duration) -> Option<(i32, String)> {
        let file = tempfile::NamedTempFile::new_in(&self.folder).unwrap();
        let [out, error] = [(); 2].map(|()| file.as_file().try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
        let mut process = command.args(arguments).current_dir(&self.folder).stdout(out).stderr(error).spawn().unwrap();
        let since = Instant::now();
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                return Some((status.code().unwrap(), fs::read_to_string(file.path()).unwrap()));
            }
            if since.elapsed() > within {
                process.kill().unwrap();
                process.wait().unwrap();
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Each message arrives once, whatever becomes of one node; what becomes of one touches nothing of another's.
#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_hand_over_and_one_of_them_walks() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "nodes").await;
    let mut a = practice.node("a");
    assert_eq!(practice.told(1).await, [1]);
    let (b, mut c) = (practice.node("b"), practice.node("c"));
    for node in [&b, &c] {
        node.says(" ready", 1).await;
    }
    assert_eq!([&a, &b, &c].map(|node| node.log().matches(LEADS).count()), [1, 0, 0], "one of them");
    let (_, said) = b.run(&["status"]);
    assert!(said.contains("Nodes: a (leads), b, c"), "{said}");
    // A reload of one, a stop and a start of another, with messages of all of them under way.
    practice.waits.store(true, Ordering::SeqCst);
    practice.lists(4);
    practice.gate.is_reached().await;
    b.signal("HUP");
    assert_eq!(c.ends("TERM"), Some(0));
    c.start();
    b.says(" ready", 2).await;
    practice.waits.store(false, Ordering::SeqCst);
    (0..9).for_each(|_| practice.gate.open());
    assert_eq!(practice.told(4).await, [1; 4], "{}\n{}\n{}", a.log(), b.log(), c.log());
    c.says(" ready", 1).await;
    // Killed with messages before their point of no return.
    practice.waits.store(true, Ordering::SeqCst);
    practice.lists(12);
    practice.gate.is_reached().await;
    assert_eq!(a.ends("KILL"), None);
    practice.waits.store(false, Ordering::SeqCst);
    (0..20).for_each(|_| practice.gate.open());
    let killed = Instant::now();
    assert_eq!(practice.told(12).await, [1; 12], "b: {}\nc: {}", b.log(), c.log());
    eprintln!("killed: all that it had begun was told by another node {:.1} s later", killed.elapsed().as_secs_f64());
    let leads = |node: &Node| node.log().contains(LEADS);
    while !leads(&b) && !leads(&c) {
        assert!(killed.elapsed() < PATIENCE, "nobody leads: {}\n{}", b.log(), c.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It comes back. A stop of the one that leads hands that on at once.
    a.start();
    a.says(" ready", 1).await;
    let (mut first, mut rest) = if leads(&b) { (b, [a, c]) } else { (c, [a, b]) };
    assert_eq!(first.ends("TERM"), Some(0));
    practice.lists(13);
    assert_eq!(practice.told(13).await, [1; 13]);
    let verified = rest[0].run(&["ledger", "verify"]);
    assert_eq!(verified.0, 0, "{}", verified.1);
    let unknown = rest[0].run(&["--json", "outbox", "list", "--state", "unknown"]).1;
    assert!(!unknown.contains("session_id"), "nothing was in doubt: {unknown}");
    for node in &mut rest {
        assert!(node.log().contains(LEADS) || !node.log().contains("anchor"), "one tells the anchor: {}", node.log());
        assert_eq!(node.ends("TERM"), Some(0), "{}", node.log());
    }
    assert_eq!(cluster.sql("nodes", "SELECT count(*) FROM node WHERE alive_until > clock_timestamp()"), "0");
}

/// One that ends has no row any more. One that is killed is shown as gone for an hour, which is no fault of those that work, and then no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_shown_for_an_hour() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "went").await;
    let (a, mut b, mut c) = (practice.node("a"), practice.node("b"), practice.node("c"));
    assert_eq!(practice.told(1).await, [1]);
    for node in [&a, &b, &c] {
        node.says(" ready", 1).await;
    }
    let nodes = || {
        let (code, said) = a.run(&["status"]);
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        (code, line)
    };
    let until = async |what: &str| {
        let since = Instant::now();
        while !nodes().1.contains(what) {
            assert!(since.elapsed() < PATIENCE, "{what}: {:?}: {}", nodes(), a.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    assert_eq!(c.ends("TERM"), Some(0));
    assert_eq!(cluster.sql("went", "SELECT string_agg(name, ' ' ORDER BY name) FROM node"), "a b", "it said so itself");
    assert_eq!(b.ends("KILL"), None);
    until("b (gone since ").await;
    until("a (leads)").await;
    let (code, said) = nodes();
    assert!(said.contains(": it ended without a word, or cannot reach the database)"), "{said}");
    assert_eq!(code, 0, "what it had is another one's by now: {said}");
    cluster.sql(
        "went",
        "BEGIN; UPDATE node SET alive_until = clock_timestamp() - interval '61 minutes' WHERE name = 'b';
         INSERT INTO node (practice, boot, name, process, says, alive_until)
         VALUES (1, 'theirs', 'd', 'theirs', 'node d, process 7 on m2', clock_timestamp() - interval '59 minutes'); COMMIT",
    );
    until("Nodes: a (leads), d (gone since ").await;
}

/// A relay that allows four connections gets four from all nodes together.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_the_connections_of_a_relay() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "shares").await;
    // Nothing was handed over yet: each claims no more than it has connections.
    practice.lists(0);
    practice.waits.store(true, Ordering::SeqCst);
    let a = practice.node("a");
    a.says(" ready", 1).await;
    let b = practice.node("b");
    b.says(" ready", 1).await;
    practice.lists(40);
    let since = Instant::now();
    let both = "SELECT count(DISTINCT split_part(owner, ' ', 1)) FROM notice WHERE state = 'flying'";
    while practice.relay.verbs().iter().filter(|verb| *verb == "DATA").count() < 4 || cluster.sql("shares", both) != "2" {
        assert!(since.elapsed() < PATIENCE, "{}\n{}", a.log(), b.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    practice.waits.store(false, Ordering::SeqCst);
    (0..40).for_each(|_| practice.gate.open());
    assert_eq!(practice.told(40).await, [1; 40], "{}\n{}", a.log(), b.log());
    assert!(practice.relay.most_at_once() <= 4, "{}", practice.relay.most_at_once());
}

/// It slept with a message before its point of no return; the others found it gone. When it wakes up, the answer that it waited for is there, and it sends
/// nothing of what was theirs by then; it takes part again.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_slept_takes_part_again() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "slept").await;
    let a = practice.node("a");
    assert_eq!(practice.told(1).await, [1]);
    practice.waits.store(true, Ordering::SeqCst);
    // One alone: others would pass their point of no return beside it, and be in doubt.
    practice.lists(2);
    practice.gate.is_reached().await;
    practice.waits.store(false, Ordering::SeqCst);
    a.signal("STOP");
    let mut b = practice.node("b");
    assert_eq!(practice.told(2).await, [1; 2], "{}", b.log());
    practice.gate.open();
    a.signal("CONT");
    practice.lists(3);
    assert_eq!(practice.told(3).await, [1; 3], "each once");
    // The other one alone again.
    assert_eq!(b.ends("TERM"), Some(0), "{}", b.log());
    practice.lists(4);
    assert_eq!(practice.told(4).await, [1; 4], "{}", a.log());
    assert_eq!(a.run(&["ledger", "verify"]).0, 0);
}

/// A node with another configuration than the one that leads walks nothing and sends nothing, and says why, until it has the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_other_rules_does_nothing() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "rules").await;
    let mut a = practice.node("a");
    assert_eq!(practice.told(1).await, [1]);
    // It finds messages that wait, and nobody else to send them.
    practice.waits.store(true, Ordering::SeqCst);
    practice.lists(6);
    practice.gate.is_reached().await;
    let mut b = practice.node_with("b", "[[reminder]]\nname = \"soon\"\nbefore = \"3h\"\n");
    b.says("this node walks nothing and sends nothing", 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    practice.waits.store(false, Ordering::SeqCst);
    (0..20).for_each(|_| practice.gate.open());
    assert_eq!(practice.told(6).await, [1; 6]);
    assert!(!b.log().contains("walked") && !b.log().contains("accepted"), "{}", b.log());
    practice.write("b", "");
    assert_eq!(b.ends("TERM"), Some(0), "{}", b.log());
    b.start();
    b.says(" ready", 1).await;
    // It is the only one, and so its rules are the practice's.
    assert_eq!(a.ends("TERM"), Some(0));
    practice.lists(7);
    assert_eq!(practice.told(7).await, [1; 7], "{}", b.log());
}

/// What participants would see is compared, too: a node with other templates sends nothing of them. `status` shows it anywhere; once its file is mended
/// a reload suffices, whatever its own rules were.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_other_messages_does_nothing_until_it_is_mended_and_reloaded() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "messages").await;
    let a = practice.node("a");
    assert_eq!(practice.told(1).await, [1]);
    practice.waits.store(true, Ordering::SeqCst);
    practice.lists(8);
    practice.gate.is_reached().await;
    let subject = practice.folder.path().join("b/own/en-US/invite/subject.txt");
    fs::create_dir_all(subject.parent().unwrap()).unwrap();
    fs::write(&subject, "Your session, as node b writes it").unwrap();
    let own = "[templates]\ndir = \"own\"\n";
    let b = practice.node_with("b", own);
    b.says("its messages are not those of node a, which leads", 1).await;
    let said_of_b = || cluster.sql("messages", "SELECT coalesce(idle_why, '') FROM node WHERE name = 'b'");
    while said_of_b().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (code, said) = a.run(&["status"]);
    let line = said.lines().collect::<Vec<_>>().join(" ");
    assert!(line.contains("Nodes: a (leads), b (does nothing since "), "{said}");
    assert!(line.contains("its messages are not those of node a"), "{said}");
    assert_eq!(code, 3, "somebody has to look");
    let told: Value = serde_json::from_str(a.run(&["--json", "status"]).1.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
    assert!(told["nodes"][1]["idle"].is_string() && told["nodes"][1]["since"].is_string() && told["nodes"][0]["idle"].is_null(), "{told}");
    // Its rules as well, by which nothing was ever planned.
    practice
        .write("b", &format!("[[reminder]]\nname = \"soon\"\nbefore = \"3h\"\n[[reminder]]\nname = \"sooner\"\nbefore = \"2h\"\n{own}"));
    let mut b = b;
    assert_eq!(b.ends("TERM"), Some(0));
    b.start();
    b.says("its rules and its messages are not those of node a", 1).await;
    practice.write("b", "");
    b.signal("HUP");
    b.says("the new configuration is taken", 1).await;
    practice.waits.store(false, Ordering::SeqCst);
    (0..20).for_each(|_| practice.gate.open());
    assert_eq!(practice.told(8).await, [1; 8], "{}", b.log());
    assert!(practice.relay.bodies().iter().all(|body| !body.contains("as node b writes it")));
    b.says(" ready", 1).await;
    while !said_of_b().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(a.run(&["status"]).1.contains("Nodes: a (leads), b\n"));
}

/// A list that lies on another machine: whoever looks by hand is told that it is left out. A database that `store migrate` made is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_another_node_is_left_out_by_hand() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "left_out").await;
    practice.write("a", "[[source]]\nname = \"front\"\nkind = \"file\"\npath = \"/nowhere/front\"\nnode = \"b\"\n");
    let a = practice.written("a");
    for arguments in [&["check"][..], &["preview"], &["preview", "--format=json"], &["diff", "punctual.toml", "punctual.toml"]] {
        let (code, said) = a.run(arguments);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!([0, 3].contains(&code) && !said.contains("error source front"), "{arguments:?}: {code}: {said}");
        let left_out = "front: node b reads it, and this machine does not: it is left out here";
        assert_eq!(said.matches(left_out).count(), 1, "{arguments:?}: {said}");
        if arguments == ["check"] {
            assert!(said.contains("store: its schema is there, and holds nothing of this practice yet"), "{said}");
        }
        if arguments[0] == "diff" {
            assert!(said.contains("0 gained, 0 lost, 0 moved Not compared: what is told for sessions of front"), "{said}");
            assert_eq!(code, 3, "not all of it was compared: {said}");
        }
    }
    let once = |left_out: bool| {
        let (code, said) = a.run(&["run", "--once"]);
        let says = said.contains("node b reads it, and this machine does not: it is left out here source=front");
        assert_eq!((code, says), (if left_out { 3 } else { 0 }, left_out), "{said}");
    };
    once(true);
    practice.write("a", "");
    once(false);
}

/// A script that reads the objects of `diff`, or of `preview`, learns from its exit code that they are not all.
#[test]
fn a_difference_that_leaves_something_out_is_no_clean_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, more: &str| {
        let text = format!("[practice]\nname = \"Lakeside\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"list\"\n{more}");
        fs::write(folder.path().join(name), text).unwrap();
    };
    let source = |more: &str| format!("[[source]]\nname = \"front\"\nkind = \"file\"\npath = \"list\"\n{more}");
    fs::write(folder.path().join("list"), "[]").unwrap();
    write("one.toml", "");
    write("both.toml", &source(""));
    write("renamed.toml", "[[source]]\nname = \"back\"\nwas = \"front\"\nkind = \"file\"\npath = \"list\"\n");
    write("theirs.toml", &(source("node = \"b\"\n") + "[node]\nname = \"a\"\n"));
    let gone = "Source front: it is not in the new configuration, and what waits of it would be held. If it has another name there, say was = \"front\".";
    let theirs = "Source front: node b reads it, and this machine does not: it is left out here.";
    for (old, new, code, says) in [
        ("both", "both", 0, ""),
        ("one", "both", 0, ""),
        ("both", "renamed", 0, ""),
        ("both", "one", 3, gone),
        ("both", "theirs", 3, theirs),
    ] {
        for json in [false, true] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
            command
                .current_dir(folder.path())
                .args(["diff", &format!("{old}.toml"), &format!("{new}.toml")])
                .args(json.then_some("--json"));
            let done = command.output().unwrap();
            let (said, why) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
            assert_eq!(done.status.code(), Some(code), "{old} {new}: {said}{why}");
            assert!(why.contains(says), "{old} {new}: {why}");
            assert_eq!(said.contains("Not compared: what is told for sessions of front"), code == 3 && !json, "{old} {new}: {said}");
        }
    }
    for (config, code) in [("both", 0), ("theirs", 3)] {
        for format in ["table", "json"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
            let file = format!("{config}.toml");
            let done = command.current_dir(folder.path()).args(["--config", &file, "preview", "--format", format]).output().unwrap();
            let why = String::from_utf8(done.stderr).unwrap();
            assert_eq!((done.status.code(), why.contains(theirs)), (Some(code), code == 3), "{config}: {why}");
        }
    }
}

/// Likewise from what cannot be read: a record, one of somebody in it, a file of a folder. A word that nobody knows is compared.
#[test]
fn a_difference_without_what_cannot_be_read_is_no_clean_one() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[practice]\nname = \"Lakeside\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"lists\"\n";
    fs::write(folder.path().join("punctual.toml"), text).unwrap();
    fs::create_dir(folder.path().join("lists")).unwrap();
    let of = |key: &str, value: Value| {
        let mut session = crate::push::session(1, 111_111_111);
        if key.starts_with("Participant") || key == "RSVP" {
            session["Participants"][0][key] = value;
        } else {
            session[key] = value;
        }
        json!([session]).to_string()
    };
    for (list, unread) in [
        (of("Subject", json!("a")), ""),
        (of("RSVP", json!("Perhaps")), ""),
        (of("ScheduleTs", json!("soon")), "Cannot be read: list.json:[0].ScheduleTs: "),
        (of("ParticipantEmailAddress", json!(7)), "Cannot be read: list.json:[0].Participants[0].ParticipantEmailAddress: "),
        ("[{".to_owned(), "Cannot be read: list.json: "),
    ] {
        fs::write(folder.path().join("lists/list.json"), list).unwrap();
        for json in [false, true] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
            command.current_dir(folder.path()).args(["diff", "punctual.toml", "punctual.toml"]).args(json.then_some("--json"));
            let done = command.output().unwrap();
            let (said, why) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
            let missing = !unread.is_empty();
            assert_eq!((done.status.code(), why.is_empty()), (Some(if missing { 3 } else { 0 }), !missing), "{unread}: {said}{why}");
            assert!(why.starts_with(unread), "{why}");
            assert_eq!(said.contains("Not compared: 1 records or files that cannot be read"), missing && !json, "{unread}: {said}");
        }
    }
}

/// Another machine got its name while it was silent: it ends, and systemd does not start it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_name_another_machine_has_ends_for_good() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "displaced").await;
    let mut a = practice.node("a");
    assert_eq!(practice.told(1).await, [1]);
    cluster.sql(
        "displaced",
        "BEGIN; DELETE FROM node;
         INSERT INTO node (practice, boot, name, process, says, alive_until)
         VALUES (1, 'theirs', 'a', 'theirs', 'node a, process 7 on m2', clock_timestamp() + interval '10 minutes'); COMMIT",
    );
    let ended = a.process.take().unwrap().wait().unwrap();
    let said = a.log().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(ended.code(), Some(78), "{said}");
    assert!(said.contains("another machine is this node now (node a, process 7 on m2)"), "{said}");
}

/// A node's name is of a database.
#[test]
fn a_file_has_no_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[practice]\nname = \"Lakeside\"\n[node]\nname = \"a\"\n[store]\nurl = \"sqlite://punctual.db\"\n[[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"list\"\n";
    fs::write(folder.path().join("punctual.toml"), text).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_punctual")).arg("check").arg("--offline").current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("node.name") && said.contains("names a file"), "{said}");
}
