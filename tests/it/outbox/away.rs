//! The database of a node goes away, and comes back: what starts meanwhile waits, and whoever asks something is answered.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};
use super::nodes::{Node, Practice};
use super::wire::Wire;
use crate::push::no_trust;

const TOKEN: &str = "front-desk-0123456789abcdef";
/// Longer than a request waits.
const PATIENCE: Duration = Duration::from_secs(25);

/// Who asks a node.
struct Asker {
    client: Client,
    at: String,
}

impl Asker {
    async fn ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Option<String>, String) {
        let request = self.client.request(method, format!("{}{path}", self.at)).bearer_auth(TOKEN);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let later = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status(), later, answer.text().await.unwrap())
    }

    async fn push(&self, ids: &[i64]) -> (StatusCode, Option<String>, String) {
        let list: Vec<Value> = ids.iter().map(|id| crate::push::session(*id, 222_222_000 + id)).collect();
        self.ask(Method::PUT, "/api/v1/sources/pushed/sessions", json!(list)).await
    }
}

/// Its database is at the other end of that wire.
fn through(wire: &Wire, database: &str, node: &Node) {
    let text = fs::read_to_string(node.folder.join("punctual.toml")).unwrap();
    let lines =
        text.lines().map(|line| if line.starts_with("url = ") { format!("url = \"{}\"", wire.url(database)) } else { line.to_owned() });
    fs::write(node.folder.join("punctual.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
}

/// A node that is pushed to; by a wire to that database, or as the others.
async fn pushed_to(practice: &Practice, name: &'static str, wire: Option<(&Wire, &str)>) -> (Node, Asker) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for name in ["token", "hook"] {
        let file = practice.folder.path().join(name);
        fs::write(&file, TOKEN).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let more = format!(
        "[[source]]\nname = \"pushed\"\nkind = \"push\"\ntoken_file = \"../token\"\n[server]\nlisten = \"127.0.0.1:{port}\"\nwebhook_token_file = \"../hook\"\n"
    );
    practice.write(name, &more);
    let mut node = practice.written(name);
    if let Some((wire, database)) = wire {
        through(wire, database, &node);
    }
    node.start();
    node.says(" ready", 1).await;
    (
        node,
        Asker {
            client: Client::builder().no_proxy().timeout(PATIENCE).tls_backend_preconfigured(no_trust()).build().unwrap(),
            at: format!("http://127.0.0.1:{port}"),
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_while_it_is_away_is_answered_and_nothing_of_it_is_done_later() {
    let Some(cluster) = Cluster::another() else { return };
    let practice = Practice::open(&cluster, "away").await;
    let (mut a, asker) = pushed_to(&practice, "a", None).await;
    let first = asker.push(&[21]).await;
    assert_eq!(first.0, StatusCode::OK, "{}", first.2);
    cluster.crash();
    // One list is refused, and a newer one is taken later: the older one never is.
    let event = json!({ "WebhookType": "SESSION_STATUS", "ID": 77, "Status": "STARTED" });
    let hook = format!("/hooks/securevideo/{TOKEN}");
    let (push, event) = tokio::join!(asker.push(&[21, 22]), asker.ask(Method::POST, &hook, event));
    for (what, (status, later, said)) in [("a push", push), ("an event", event)] {
        assert_eq!((status, later.as_deref()), (StatusCode::SERVICE_UNAVAILABLE, Some("10")), "{what}: {said}");
    }
    let (alive, _, said) = asker.ask(Method::GET, "/healthz", json!(null)).await;
    assert!(alive == StatusCode::OK && said.contains("the database is away for"), "it lives, and waits: {said}");
    let (ready, _, said) = asker.ask(Method::GET, "/readyz", json!(null)).await;
    assert!(ready == StatusCode::SERVICE_UNAVAILABLE && said.contains("the database is away for"), "{said}");
    cluster.start_again();
    let since = Instant::now();
    loop {
        let (status, _, said) = asker.push(&[21, 23]).await;
        if status == StatusCode::OK {
            break;
        }
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && since.elapsed() < PATIENCE, "{status}: {said}");
    }
    let again: Value = serde_json::from_str(&asker.push(&[21, 23]).await.2).unwrap();
    assert_eq!((&again["sessions"], &again["added"]), (&json!(2), &json!(0)), "once");
    let rows = |what: &str| cluster.sql("away", &format!("SELECT count(*) FROM ledger WHERE {what}"));
    assert_eq!(rows("session_id = 22"), "0", "{}", a.log());
    assert_eq!(rows("session_id = 23 AND event = 'added'"), rows("session_id = 21 AND event = 'added'"));
    // An event that nobody may say again was kept.
    while rows("event = 'webhook'") == "0" {
        assert!(since.elapsed() < PATIENCE, "{}", a.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows("event = 'webhook'"), "1");
    // An end does not wait for it.
    let heard = a.log().matches("the database did not hear").count();
    cluster.crash();
    a.says("the database did not hear", heard + 1).await;
    assert_eq!(a.ends("TERM"), Some(0), "{}", a.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_while_it_is_away_waits_until_it_is_there() {
    let Some(cluster) = Cluster::another() else { return };
    let practice = Practice::open(&cluster, "later").await;
    cluster.crash();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    practice.write("a", &format!("[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    let manager = practice.folder.path().join("manager");
    let socket = UnixDatagram::bind(&manager).unwrap();
    let mut a = Node { folder: practice.folder.path().join("a"), process: None, manager: Some(manager) };
    // All is read at once: a manager that does not read hears nothing more.
    let (hears, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 400];
        while let Ok(length) = socket.recv(&mut buffer)
            && hears.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_ok()
        {}
    });
    let heard = || heard.recv_timeout(PATIENCE).unwrap();
    a.start();
    let said = heard();
    assert!(said.starts_with("EXTEND_TIMEOUT_USEC=") && said.contains("STATUS=waits for the database: "), "{said}");
    assert_eq!(a.ends("TERM"), Some(0), "{}", a.log());
    a.start();
    a.says("the database is away: this node waits", 1).await;
    // (What the unit asks before a start.)
    assert_eq!(a.run(&["check", "--offline"]).0, 0);
    // Nobody ends it for that, and nobody sends it anything.
    assert_eq!(a.run(&["health", "--alive"]).0, 0);
    assert_ne!(a.run(&["health"]).0, 0);
    let push = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(crate::push::no_trust()).build().unwrap();
    let refused = push.put(format!("http://127.0.0.1:{port}/api/v1/sources/x/sessions")).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "10"));
    cluster.start_again();
    assert_eq!(practice.told(1).await, [1], "{}", a.log());
    assert_eq!(a.log().matches("the database is away").count(), 1, "said once");
    while heard() != "READY=1" {}
    // Waiting mends no address of a database that is not there.
    let file = a.folder.join("punctual.toml");
    let text = fs::read_to_string(&file).unwrap().replace("/later\"", "/nowhere\"").replace("name = \"a\"", "name = \"b\"");
    fs::write(&file, text).unwrap();
    let (code, said) = a.run(&["run"]);
    assert_eq!(code, 74, "{said}");
}

/// What each of them says of a database that takes the connection and says nothing.
fn said_of_silence(node: &Node, arguments: &[&str]) -> (i32, String) {
    let done = Node::of(node.folder.clone()).run_within(arguments, Duration::from_secs(110));
    done.unwrap_or_else(|| panic!("{arguments:?} waits for ever"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gives_up_on_a_database_that_takes_the_connection_and_says_nothing() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "mute").await;
    practice.write("a", "");
    let node = practice.written("a");
    let file = node.folder.join("punctual.toml");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap();
    let text = fs::read_to_string(&file).unwrap().replace(&cluster.url("mute"), &format!("postgres://punctual@{at}/mute?sslmode=require"));
    fs::write(&file, text).unwrap();
    let commands: [(&[&str], i32); 7] = [
        (&["status"], 74),
        (&["guard", "show"], 74),
        (&["outbox", "list"], 74),
        (&["why", "1"], 74),
        (&["suppress", "add", "a@example.org"], 74),
        (&["run", "--once"], 74),
        (&["check"], 3),
    ];
    std::thread::scope(|scope| {
        for (arguments, code) in commands {
            let node = &node;
            scope.spawn(move || {
                let (ended, said) = said_of_silence(node, arguments);
                assert_eq!(ended, code, "{arguments:?}: {said}");
                let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(words.contains("the database is away: the database gave no answer within 10 seconds"), "{arguments:?}: {said}");
            });
        }
    });
}

/// Its first host takes the connection and says nothing, as one does whose machine hangs while a standby was promoted.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_first_host_says_nothing_is_found_at_the_second() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "second_host").await;
    practice.write("a", "");
    let hangs = tempfile::tempdir().unwrap();
    let _takes = std::os::unix::net::UnixListener::bind(hangs.path().join(cluster.socket())).unwrap();
    let first = format!("postgres://punctual@{}:{},", hangs.path().to_str().unwrap().replace('/', "%2F"), cluster.port);
    let file = practice.folder.path().join("a/punctual.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("postgres://punctual@", &first, 1)).unwrap();
    let mut a = practice.written("a");
    a.start();
    assert_eq!(practice.told(1).await, [1], "{}", a.log());
    assert_eq!(a.ends("TERM"), Some(0), "{}", a.log());
    let (code, said) = said_of_silence(&a, &["status"]);
    assert!(code != 74 && said.contains("accepted"), "{code}: {said}");
}

/// Likewise where that host falls silent while a node serves: its statements are not waited for until nobody could answer them any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_to_the_second_host_when_the_first_one_falls_silent() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "falls_silent").await;
    practice.write("a", "");
    let (wire, mut a) = (Wire::before(cluster), practice.written("a"));
    let (file, there) = (a.folder.join("punctual.toml"), cluster.url("falls_silent"));
    let first = wire.url("falls_silent").replace("/falls_silent", ",");
    let text = fs::read_to_string(&file).unwrap().replace(&there, &there.replace("postgres://punctual@", &first));
    fs::write(&file, text).unwrap();
    a.start();
    assert_eq!(practice.told(1).await, [1], "{}", a.log());
    wire.holds();
    practice.lists(2);
    assert_eq!(practice.told(2).await, [1; 2], "{}", a.log());
    let away: Vec<u64> =
        a.log().split("away_seconds=").skip(1).map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(!away.is_empty() && away.iter().all(|seconds| *seconds < 60), "{away:?}: {}", a.log());
    assert_eq!(a.ends("TERM"), Some(0), "{}", a.log());
    wire.mend();
}

/// Likewise where it falls silent in the middle: of what is read, of what is written, and of a node that would wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_gives_up_on_a_database_that_falls_silent_while_it_is_asked() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "hush").await;
    let mut a = practice.node("a");
    assert_eq!(practice.told(1).await, [1]);
    assert_eq!(a.ends("TERM"), Some(0), "{}", a.log());
    let commands: [(&[&str], &'static str); 4] = [
        (&["status"], "FROM notice"),
        (&["ledger", "export"], "FROM ledger_place_seq"),
        (&["suppress", "add", "b@example.org"], "INSERT INTO suppression"),
        (&["run", "--once"], "reference_key"),
    ];
    std::thread::scope(|scope| {
        for (number, (arguments, at)) in commands.into_iter().enumerate() {
            let name: &'static str = ["b", "c", "d", "e"][number];
            practice.write(name, "");
            let node = practice.written(name);
            let wire = Wire::before(cluster);
            through(&wire, "hush", &node);
            wire.falls_silent_at(at);
            scope.spawn(move || {
                let (ended, said) = said_of_silence(&node, arguments);
                assert!(wire.is_silent(), "{arguments:?}: nobody said {at}: {said}");
                assert!(
                    ended == 74 && said.contains("the database is away: the database gave no answer"),
                    "{arguments:?}: {ended}: {said}"
                );
                wire.mend();
            });
        }
    });
}

/// The connection breaks in the middle of a start, wherever that is: it waits, and starts once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loses_the_database_while_it_starts_waits_and_starts_once_more() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "begun").await;
    let wire = Wire::before(cluster);
    practice.write("a", "");
    let mut a = practice.written("a");
    through(&wire, "begun", &a);
    wire.breaks_at(&["to_regclass('punctual_schema')", "FROM practice WHERE name", "moved_to", "INSERT INTO node", "lineage = $2"]);
    a.start();
    assert_eq!(practice.told(1).await, [1], "{}", a.log());
    assert_eq!(wire.to_break(), 0, "{}", a.log());
    assert!(a.log().contains("the database is away: this node waits until it is there"), "{}", a.log());
    assert_eq!(a.ends("TERM"), Some(0), "{}", a.log());
}

/// A list waits at a node that cannot reach the database, and a newer one is taken by another node meanwhile: the older one is refused, and takes nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_waited_behind_a_newer_one_is_refused() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "older").await;
    let (a, first) = pushed_to(&practice, "a", None).await;
    let wire = Wire::before(cluster);
    let (b, second) = pushed_to(&practice, "b", Some((&wire, "older"))).await;
    assert_eq!(first.push(&[21]).await.0, StatusCode::OK);
    wire.holds();
    let older = second.push(&[21, 22, 23]);
    let newer = async {
        // By then it has come to its node, and waits for the database there.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let taken = first.push(&[21, 24]).await;
        wire.mend();
        taken
    };
    let (older, newer) = tokio::join!(older, newer);
    assert_eq!(newer.0, StatusCode::OK, "{}", newer.2);
    assert_eq!(older.0, StatusCode::SERVICE_UNAVAILABLE, "{}", older.2);
    // Or, if that took longer than a push waits for its database, that one is away.
    assert!(
        ["another node took something newer of this source", "the database is away"].iter().any(|why| older.2.contains(why)),
        "{}",
        older.2
    );
    let sessions =
        || cluster.sql("older", "SELECT string_agg(id || ' ' || presence, ', ' ORDER BY id) FROM session WHERE source = 'pushed'");
    assert_eq!(sessions(), "21 listed, 24 listed", "{}\n{}", a.log(), b.log());
    // Said again it is the newest.
    assert_eq!(second.push(&[21, 22, 23]).await.0, StatusCode::OK);
    assert_eq!(sessions(), "21 listed, 22 listed, 23 listed, 24 absent", "{}", b.log());
}
