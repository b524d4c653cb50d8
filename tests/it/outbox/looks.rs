//! Who looks at which source: what the store keeps of it, and several nodes whose lists are not the same.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use punctual::outbox::{ReadFile, UnreadSource};
use serde_json::{Value, json};

use super::cluster::cluster;
use super::fixture::{Store, minute};
use super::nodes::{Node, Practice};
use crate::push::no_trust;
use crate::servers::http::{Server, answer};

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Not while a test runs.
const SELDOM: &str = "0 0 0 1 1 *";

/// A look is wanted until it was had; of a source that rests that is known besides.
pub(super) async fn looks_are_wanted_until_they_are_had(store: Store) {
    let outbox = &store.outbox;
    assert_eq!(outbox.looks().await.unwrap(), []);
    assert_eq!(
        (outbox.want_look("b").await.unwrap(), outbox.want_look("a").await.unwrap(), outbox.want_look("b").await.unwrap()),
        (1, 1, 2)
    );
    let known = async || -> Vec<(String, i64, i64)> {
        outbox.looks().await.unwrap().into_iter().map(|look| (look.source, look.wanted, look.had)).collect()
    };
    let of = |source: &str, wanted, had| (source.to_owned(), wanted, had);
    assert_eq!(known().await, [of("a", 1, 0), of("b", 2, 0)]);
    // It was begun before the second wish.
    outbox.had_look("b", 1).await.unwrap();
    outbox.had_look("nowhere", 1).await.unwrap();
    assert_eq!(known().await, [of("a", 1, 0), of("b", 2, 1)]);
    outbox.had_look("b", 2).await.unwrap();
    outbox.had_look("b", 1).await.unwrap();
    assert_eq!(known().await, [of("a", 1, 0), of("b", 2, 2)]);
    outbox.leave_alone("b", Some(minute(5)), 3).await.unwrap();
    outbox.leave_alone("c", Some(minute(6)), 1).await.unwrap();
    let rest = async || -> Vec<_> {
        outbox.looks().await.unwrap().into_iter().map(|look| (look.wanted, look.quiet_until, look.refusals)).collect()
    };
    assert_eq!(rest().await, [(1, None, 0), (2, Some(minute(5)), 3), (0, Some(minute(6)), 1)]);
    outbox.leave_alone("b", None, 0).await.unwrap();
    assert_eq!(rest().await[1], (2, None, 0));
    // What a node read of it stands beside all that.
    let file = |by: &str, at| ReadFile { by: by.to_owned(), written: minute(at), said: format!("said at {at}") };
    for read in [file("node a", 7), file("node b", 8)] {
        outbox.was_read("b", read).await.unwrap();
    }
    outbox.was_read("d", file("node a", 9)).await.unwrap();
    let read = async |source: &str| outbox.last_read(source).await.unwrap();
    assert_eq!([read("a").await, read("b").await, read("d").await], [None, Some(file("node b", 8)), Some(file("node a", 9))]);
    // And so does why it cannot be read.
    let unread = |at, stays| Some(UnreadSource { since: minute(at), why: format!("at {at}"), stays });
    for (source, unread) in [("b", unread(3, true)), ("e", unread(4, false)), ("e", unread(5, true)), ("d", unread(6, false)), ("d", None)]
    {
        outbox.not_read(source, unread).await.unwrap();
    }
    let looks = outbox.looks().await.unwrap().into_iter().map(|look| (look.source, look.wanted, look.unread)).collect::<Vec<_>>();
    let of = |source: &str, wanted, unread| (source.to_owned(), wanted, unread);
    assert_eq!(looks, [of("a", 1, None), of("b", 2, unread(3, true)), of("c", 0, None), of("d", 0, None), of("e", 0, unread(5, true))]);
    assert_eq!(read("b").await, Some(file("node b", 8)));
}

/// A node with a list of its own behind the same path, which it looks at by that expression.
fn with_own_list(practice: &Practice, name: &'static str, poll: &str, more: &str) -> Node {
    practice.write(name, more);
    let folder = practice.folder.path().join(name);
    let text = fs::read_to_string(folder.join("punctual.toml")).unwrap();
    fs::write(folder.join("punctual.toml"), text.replace("../list", "list").replace("* * * * * *", poll)).unwrap();
    Node::of(folder)
}

/// What its file says from now on.
fn lists(node: &Node, sessions: &[i64]) {
    let all: Vec<Value> = sessions.iter().map(|id| crate::push::session(*id, 111_111_110 + id)).collect();
    fs::write(node.folder.join("part"), json!(all).to_string()).unwrap();
    fs::rename(node.folder.join("part"), node.folder.join("list")).unwrap();
}

/// A node with an older copy of the list reads it neither at its start nor at a reload, and an event that comes to it makes the node look that leads. It
/// reads its own at once when it leads itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_by_the_node_that_leads_and_by_no_other() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "lists").await;
    let mut a = with_own_list(&practice, "a", SELDOM, "");
    lists(&a, &[1, 2]);
    a.start();
    assert_eq!(practice.told(2).await, [1; 2], "{}", a.log());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let token = practice.folder.path().join("hook");
    fs::write(&token, "front-desk-0123456789abcdef").unwrap();
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let server = format!("[server]\nlisten = \"127.0.0.1:{port}\"\nwebhook_token_file = \"../hook\"\n");
    let mut b = with_own_list(&practice, "b", SELDOM, &server);
    lists(&b, &[1, 9]);
    b.start();
    b.says(" ready", 1).await;
    b.signal("HUP");
    b.says(" ready", 2).await;
    let older = || cluster.sql("lists", "SELECT count(*) FROM session WHERE id = 9 OR presence <> 'listed'");
    assert_eq!(older(), "0", "{}", b.log());
    // Something happened, the provider says.
    lists(&a, &[1, 2, 3]);
    let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(no_trust()).build().unwrap();
    let event = json!({ "WebhookType": "SESSION_STATUS", "ID": 77, "Status": "STARTED" });
    let hook = format!("http://127.0.0.1:{port}/hooks/securevideo/front-desk-0123456789abcdef");
    let told = client.post(hook).header("content-type", "application/json").body(event.to_string()).send().await.unwrap();
    assert!(told.status().is_success(), "{}", told.status());
    assert_eq!(practice.told(3).await, [1; 3], "a: {}\nb: {}", a.log(), b.log());
    assert_eq!(older(), "0", "{}", b.log());
    lists(&b, &[1, 2, 3, 4]);
    assert_eq!(a.ends("KILL"), None);
    assert_eq!(practice.told(4).await, [1; 4], "it leads, and reads its own at once: {}", b.log());
    assert_eq!(b.ends("TERM"), Some(0), "{}", b.log());
}

/// The node that takes over has an older copy of the list: it says so, and takes nothing back. Of its own lists it believes each, also one that was put back.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_list_of_the_node_that_takes_over_is_not_believed() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "copies").await;
    let often = "* * * * * *";
    let mut a = with_own_list(&practice, "a", often, "");
    let mut b = with_own_list(&practice, "b", often, "");
    let an_hour_older = |node: &Node, sessions: &[i64]| {
        lists(node, sessions);
        let file = fs::File::options().write(true).open(node.folder.join("list")).unwrap();
        file.set_modified((WallClock.now() - TimeDelta::hours(1)).into()).unwrap();
    };
    lists(&a, &[1, 2]);
    an_hour_older(&b, &[1, 9]);
    a.start();
    assert_eq!(practice.told(2).await, [1; 2], "{}", a.log());
    b.start();
    b.says(" ready", 1).await;
    assert_eq!(a.ends("TERM"), Some(0));
    b.says("what lies on this node (b) is older than what node a read last", 1).await;
    // It is said at once, on any machine, though no node listens anywhere.
    for node in [&a, &b] {
        let (code, said) = node.run(&["status"]);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let why = "what lies on this node (b) is older than what node a read last";
        assert!(
            code == 3 && said.contains("The sessions of \u{201c}desk\u{201d} could not be read since ") && said.contains(why),
            "{code}: {said}"
        );
    }
    let sessions = || cluster.sql("copies", "SELECT string_agg(id || ' ' || presence, ', ' ORDER BY id) FROM session");
    assert_eq!(sessions(), "1 listed, 2 listed", "{}", b.log());
    // Somebody copies the newer one.
    lists(&b, &[1, 2, 3]);
    assert_eq!(practice.told(3).await, [1; 3], "{}", b.log());
    assert!(!a.run(&["status"]).1.contains("could not be read"), "{}", b.log());
    // Somebody puts an older one back, on the same node.
    an_hour_older(&b, &[1, 2, 3, 4]);
    assert_eq!(practice.told(4).await, [1; 4], "{}", b.log());
    assert_eq!(sessions(), "1 listed, 2 listed, 3 listed, 4 listed", "{}", b.log());
    assert!(b.log().contains("the source can be read again"), "{}", b.log());
    assert_eq!(b.ends("TERM"), Some(0), "{}", b.log());
}

/// Likewise of a folder: neither a new file in it nor one that is at fault hides an old one.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_file_of_a_folder_is_not_believed_for_a_new_one_beside_it() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "folders").await;
    let often = "* * * * * *";
    let mut a = with_own_list(&practice, "a", often, "");
    let mut b = with_own_list(&practice, "b", often, "");
    let now = WallClock.now();
    let dated = |path: &Path, minutes| fs::File::open(path).unwrap().set_modified((now - TimeDelta::minutes(minutes)).into()).unwrap();
    let writes = |node: &Node, name: &str, (session, code): (i64, i64), minutes| {
        let file = node.folder.join("list").join(name);
        fs::write(&file, json!([crate::push::session(session, code)]).to_string()).unwrap();
        dated(&file, minutes);
    };
    for node in [&a, &b] {
        fs::create_dir(node.folder.join("list")).unwrap();
    }
    // Session 2 has a new code there, and session 3 came since.
    writes(&a, "1.json", (1, 111_111_111), 90);
    writes(&a, "2.json", (2, 222_222_222), 30);
    writes(&a, "3.json", (3, 333_333_333), 30);
    writes(&b, "1.json", (1, 111_111_111), 90);
    writes(&b, "2.json", (2, 999_999_999), 60);
    writes(&b, "4.json", (4, 444_444_444), 0);
    fs::write(b.folder.join("list/5.json"), "[{").unwrap();
    a.start();
    assert_eq!(practice.told(3).await, [1; 3], "{}", a.log());
    b.start();
    b.says(" ready", 1).await;
    assert_eq!(a.ends("TERM"), Some(0));
    let why = "what lies on this node (b) is older than what node a read last (files older than there: 2.json; files missing here: 1)";
    b.says(why, 1).await;
    let sessions = || cluster.sql("folders", "SELECT string_agg(id || ' ' || presence, ', ' ORDER BY id) FROM session");
    assert_eq!(sessions(), "1 listed, 2 listed, 3 listed", "{}", b.log());
    // Somebody copies the folder.
    for name in ["2.json", "3.json"] {
        assert!(Command::new("cp").arg("-p").args([a.folder.join("list").join(name), b.folder.join("list")]).status().unwrap().success());
    }
    assert_eq!(practice.told(4).await, [1; 4], "{}", b.log());
    assert_eq!(sessions(), "1 listed, 2 listed, 3 listed, 4 listed", "{}", b.log());
    assert_eq!(b.ends("TERM"), Some(0), "{}", b.log());
}

/// A server asked one node to leave it alone: so does the node that takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_left_alone_by_the_next_node_too() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "rests").await;
    let server = Server::start(answer(503, "Retry-After: 3000\r\n", "")).await;
    let secret = practice.folder.path().join("secret");
    fs::write(&secret, "s3cret").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let api = format!(
        "[[source]]\nname = \"api\"\nkind = \"http\"\nurl = \"http://127.0.0.1:{}\"\nidentifier = \"id\"\nsecret_file = \"../secret\"\npoll = \"{SELDOM}\"\n",
        server.port
    );
    let mut a = practice.node_with("a", &api);
    a.says("answered 503", 1).await;
    let b = practice.node_with("b", &api);
    b.says(" ready", 1).await;
    assert_eq!(a.ends("KILL"), None);
    b.says("this node leads", 1).await;
    // Whatever it asked as it began to lead is over when it has looked once more.
    cluster.sql("rests", "INSERT INTO look (practice, source, wanted) VALUES (1, 'api', 1) ON CONFLICT (practice, source) DO UPDATE SET wanted = look.wanted + 1");
    let since = Instant::now();
    while cluster.sql("rests", "SELECT wanted = had FROM look WHERE source = 'api'") != "t" {
        assert!(since.elapsed() < PATIENCE, "{}", b.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.requests().len(), 1, "{}", b.log());
}

/// What a command wants looked at is, within seconds, by the node that leads.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_decides_by_a_command_is_done_at_once() {
    let Some(cluster) = cluster() else { return };
    let practice = Practice::open(cluster, "decided").await;
    let mut a = with_own_list(&practice, "a", SELDOM, "");
    lists(&a, &[1, 2, 3, 4, 5, 6]);
    a.start();
    assert_eq!(practice.told(6).await, [1; 6], "{}", a.log());
    lists(&a, &[]);
    a.signal("HUP");
    let since = Instant::now();
    let guarded = || cluster.sql("decided", "SELECT count(*) FROM guard");
    while guarded() != "6" {
        assert!(since.elapsed() < PATIENCE, "{}", a.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // By a configuration in which a node reads it that does not run.
    let c = with_own_list(&practice, "c", SELDOM, "");
    let text = fs::read_to_string(c.folder.join("punctual.toml")).unwrap();
    fs::write(c.folder.join("punctual.toml"), text.replace("path = \"list\"", "path = \"list\"\nnode = \"b\"")).unwrap();
    let (code, said) = c.run(&["guard", "accept"]);
    assert!(
        code == 0
            && said.contains("6 sessions accepted\ndesk: node b reads it, and does not run. This is done within seconds once it does"),
        "{said}"
    );
    let (_, said) = a.run(&["guard", "accept"]);
    assert!(said.contains("within seconds") || said.contains("Nothing waits"), "{said}");
    while guarded() != "0" {
        assert!(since.elapsed() < PATIENCE, "{}", a.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(a.ends("TERM"), Some(0), "{}", a.log());
}
