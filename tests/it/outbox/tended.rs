//! Several nodes on one store, asked at their own interface: who leads, whose claims are taken back, and which walk is refused.

use chrono::{DateTime, TimeDelta, Utc};
use punctual::clock::{Clock, WallClock};
use punctual::config;
use punctual::daemon::Engine;
use punctual::entry::State;
use punctual::notice::{Occasion, Reason};
use punctual::outbox::postgres::PostgresOutbox;
use punctual::outbox::{Access, Leader, Recovered, Tended, Walk};
use std::sync::Arc;

use super::cluster::{Cluster, cluster};
use super::fixture::{Store, accepted, minute, notice, walk, walked};

/// A database of its own, with the schema.
fn database(name: &str) -> Option<&'static Cluster> {
    let cluster = cluster()?;
    cluster.create(name);
    PostgresOutbox::migrate(&cluster.server(name)).unwrap();
    Some(cluster)
}

fn node(cluster: &Cluster, database: &str, name: &str) -> Store {
    let server = cluster.server(database).as_node(Some(name));
    Store { outbox: Arc::new(PostgresOutbox::open(&server, "clinic", Access::Daemon, None).unwrap()), _folder: None }
}

async fn tend(store: &Store, settings: &str) -> Tended {
    store.outbox.tend(settings, None, minute(0)).await.unwrap()
}

#[tokio::test]
async fn one_of_them_leads() {
    let Some(cluster) = database("leads") else { return };
    let (a, b) = (node(cluster, "leads", "a"), node(cluster, "leads", "b"));
    assert!(tend(&a, "same").await.leads);
    let other = tend(&b, "same").await;
    assert_eq!((other.leads, other.other, other.nodes), (false, None, 2));
    assert_eq!(tend(&a, "same").await.nodes, 2);
    let other = tend(&b, "others").await;
    let leader = Leader { name: "a".to_owned(), settings: "same".to_owned() };
    assert_eq!((other.leads, other.other), (false, Some(leader)), "by other settings");
    let first = tend(&a, "others").await;
    assert_eq!((first.leads, first.other), (true, None), "a reload of the one that leads says what counts");
    assert!(tend(&b, "same").await.other.is_some());
    // Gone without a word.
    cluster.sql("leads", "UPDATE node SET alive_until = clock_timestamp() - interval '1 s' WHERE name = 'a'");
    let other = tend(&b, "same").await;
    assert_eq!((other.leads, other.nodes), (true, 1), "the other one is gone");
    assert!(!tend(&a, "same").await.leads, "it slept");
    drop(b);
    assert!(tend(&a, "same").await.leads, "an end hands it on");
}

/// Of the same name, or beside one without a name, nobody takes part.
#[test]
fn a_name_is_of_one_node() {
    let Some(cluster) = database("named") else { return };
    let theirs = "INSERT INTO node (practice, boot, name, process, says, alive_until)
        VALUES (1, 'theirs', 'a', 'theirs', 'node a, process 7 on b', clock_timestamp() + interval '20 s')
        ON CONFLICT (practice, boot) DO UPDATE SET alive_until = excluded.alive_until + interval '1 s'";
    drop(node(cluster, "named", "a"));
    let refused = |name: Option<&str>| {
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    cluster.sql("named", theirs);
                }
            });
            std::thread::sleep(std::time::Duration::from_millis(300));
            let server = cluster.server("named").as_node(name);
            let why = PostgresOutbox::open(&server, "clinic", Access::Daemon, None).err().map(|e| e.to_string());
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            why.expect("it is refused")
        })
    };
    for name in [Some("a"), None] {
        let why = refused(name);
        assert!(why.contains("another punctual serves this practice (node a, process 7 on b)"), "{name:?}: {why}");
    }
    drop(node(cluster, "named", "b"));
}

/// Of a node that lives nothing is taken back, at a start neither; of one that is gone all of it is, by any other.
#[tokio::test]
async fn claims_are_taken_back_of_those_who_are_gone() {
    let Some(cluster) = database("gone") else { return };
    let (a, b) = (node(cluster, "gone", "a"), node(cluster, "gone", "b"));
    assert!(tend(&a, "same").await.leads);
    for session in 1..=3 {
        a.add(session, &[notice(session, Occasion::Invite, 0)]).await;
    }
    let claims = a.claim(0).await;
    assert_eq!(claims.len(), 3);
    assert!(
        a.outbox.begin(vec![super::fixture::begin(&claims[1], 0), super::fixture::begin(&claims[2], 0)]).await.unwrap() == [true, true]
    );
    let margin = chrono::TimeDelta::minutes(1);
    assert!(a.outbox.doubt(claims[2].lease(), claims[2].revision, margin).await.unwrap());
    assert_eq!(tend(&b, "same").await.recovered, Recovered::default(), "it lives");
    assert_eq!(b.outbox.recover("start", minute(1), true).await.unwrap(), Recovered::default(), "a start asks no more");
    assert!(b.claim(1).await.is_empty());
    // It slept, and claims before it has said that it lives.
    cluster.sql("gone", "UPDATE node SET alive_until = clock_timestamp() - interval '1 s' WHERE name = 'a'");
    a.add(4, &[notice(4, Occasion::Invite, 1)]).await;
    let fourth = a.claim_one(1).await;
    assert_eq!(tend(&b, "same").await.recovered, Recovered::default(), "it lives");
    assert!(a.settle(1, &fourth, accepted()).await);
    // Its row is gone, and it does not know.
    cluster.sql("gone", "DELETE FROM node WHERE name = 'a'");
    let idle = b.outbox.tend("same", Some("its clock is wrong"), minute(600)).await.unwrap();
    assert_eq!(idle.recovered, Recovered::default(), "whoever stands idle takes nothing back");
    let taken = tend(&b, "same").await.recovered;
    assert_eq!((taken.returned, taken.in_doubt), (2, vec![claims[2].entry.notice.key]));
    let theirs = b.claim(1).await;
    assert_eq!(theirs.len(), 2);
    assert!(!a.outbox.doubt(claims[1].lease(), claims[1].revision, margin).await.unwrap(), "its claim is another one's");
    assert!(!a.settle(2, &claims[0], accepted()).await);
    // What may have left is in doubt, until the one that sent it comes back with the answer.
    assert_eq!(b.entry(claims[2].entry.notice.key).await.state, State::Unknown);
    assert!(a.settle(2, &claims[2], accepted()).await);
    assert_eq!(b.entry(claims[2].entry.notice.key).await.state, State::Accepted);
    assert_eq!(cluster.sql("gone", "SELECT count(*) FROM node"), "2", "and takes part again");
    // An end without a word of what it holds.
    drop(b);
    let taken = tend(&a, "same").await.recovered;
    assert_eq!((taken.returned, taken.in_doubt.len()), (2, 0));
    assert_eq!(a.outbox.verify_ledger(None).await.unwrap().findings, []);
}

/// Five minutes behind the database's.
struct Behind;

impl Clock for Behind {
    fn now(&self) -> DateTime<Utc> {
        WallClock.now() - TimeDelta::minutes(5)
    }
}

/// What was due by the database's clock may have been told since the copy was made, whatever this machine's clock says.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_wrong_clock_holds_what_was_due_before_a_restore() {
    let Some(cluster) = database("behind") else { return };
    let (a, now) = (node(cluster, "behind", "a"), WallClock.now());
    let mut due = notice(1, Occasion::Reminder, 5);
    (due.due_at, due.start, due.useful_until) = (now - TimeDelta::minutes(2), now + TimeDelta::hours(1), now + TimeDelta::hours(1));
    a.add(1, std::slice::from_ref(&due)).await;
    assert!(a.outbox.hold_restored(&["clinic".to_owned()], &[], now - TimeDelta::minutes(9)).await.unwrap().is_none(), "the first start");
    drop(a);
    cluster.sql("behind", "UPDATE practice SET lineage = 'another'");
    let text =
        format!("[practice]\nid = \"clinic\"\nname = \"Lakeside\"\n[node]\nname = \"a\"\n[store]\nurl = \"{}\"\n", cluster.url("behind"));
    let config = config::parse(&text, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    drop(Engine::start(config, Arc::new(Behind)).await.unwrap());
    let entry = node(cluster, "behind", "a").entry(due.key).await;
    assert_eq!((entry.state, entry.reason), (State::Held, Some(Reason::Restored)));
}

/// Two plan upon the same state: the second walk changes nothing, and is planned anew.
#[tokio::test]
async fn a_walk_that_was_overtaken_changes_nothing() {
    let Some(cluster) = database("overtaken") else { return };
    let (a, b) = (node(cluster, "overtaken", "a"), node(cluster, "overtaken", "b"));
    let upon = |after, session: i64| {
        let add = punctual::entry::Change::Add(notice(session, Occasion::Invite, 0));
        Walk { after: Some(after), ..walk(vec![walked(session, "first", vec![add])]) }
    };
    assert_eq!((a.outbox.walks().await.unwrap(), b.outbox.walks().await.unwrap()), (0, 0));
    let first = a.outbox.apply(upon(0, 1)).await.unwrap();
    assert_eq!((first.added, first.overtaken, first.walks), (1, false, 1));
    let second = b.outbox.apply(upon(0, 2)).await.unwrap();
    assert_eq!((second.added, second.overtaken), (0, true));
    assert_eq!(b.all().await.len(), 1);
    assert_eq!(b.outbox.walked_since(0).await.unwrap().len(), 1);
    let again = b.outbox.apply(upon(1, 2)).await.unwrap();
    assert_eq!((again.added, again.walks), (1, 2));
    let since = a.outbox.walked_since(1).await.unwrap();
    assert_eq!(since, [("clinic".to_owned(), punctual::session::SessionId(2))]);
    assert_eq!(a.outbox.walks_of("clinic").await.unwrap(), 2);
}

/// The next version's schema only adds: nodes of today's go on with it, beside those of the next, and start on it. One that takes something away is refused.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_brought_up_to_date_one_after_the_other() {
    let Some(cluster) = database("rolling") else { return };
    let server = cluster.server("rolling");
    let a = node(cluster, "rolling", "a");
    a.add(1, &[notice(1, Occasion::Invite, 100)]).await;
    let today: i32 = cluster.sql("rolling", "SELECT max(version) FROM punctual_schema").parse().unwrap();
    let next = format!("ALTER TABLE notice ADD COLUMN later text; INSERT INTO punctual_schema VALUES ({}, now(), {today})", today + 1);
    cluster.sql("rolling", &next);
    let b = node(cluster, "rolling", "b");
    for (node, session) in [(&a, 2), (&b, 3)] {
        node.add(session, &[notice(session, Occasion::Invite, 0)]).await;
        let claim = node.doubt_one(0).await;
        assert!(node.settle(1, &claim, accepted()).await);
    }
    assert_eq!(PostgresOutbox::migrate(&server).unwrap(), (today + 1, today + 1), "it stays as it is");
    assert_eq!(PostgresOutbox::look(&server).unwrap(), [] as [String; 0]);
    cluster.sql("rolling", &format!("INSERT INTO punctual_schema VALUES ({}, now(), {})", today + 2, today + 1));
    let refused = PostgresOutbox::open(&server.clone().as_node(Some("c")), "clinic", Access::Daemon, None).err().unwrap().to_string();
    assert!(refused.contains("run the newer punctual"), "{refused}");
    assert!(PostgresOutbox::migrate(&server).unwrap_err().to_string().contains("run the newer punctual"));
}
