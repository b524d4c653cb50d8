//! Servers that would lose what was told are refused; and a standby that is promoted: on clusters of the test's own.

use std::sync::Arc;

use punctual::entry::State;
use punctual::notice::Occasion;
use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::{Access, Claim};

use super::cluster::Cluster;
use super::fixture::{Store, accepted, minute, notice};

fn opened(server: &Server) -> Result<Store, String> {
    let outbox = PostgresOutbox::open(server, "clinic", Access::Daemon, None).map_err(|e| e.to_string())?;
    Ok(Store { outbox: Arc::new(outbox), _folder: None })
}

#[test]
fn a_server_that_could_lose_what_was_told_is_refused() {
    let Some(cluster) = Cluster::another() else { return };
    let server = cluster.server("conformance");
    for (setting, expected) in [("fsync", "Set fsync = on"), ("full_page_writes", "Set full_page_writes = on")] {
        let reload = |to: &str| {
            cluster.sql("postgres", &format!("ALTER SYSTEM SET {setting} = {to}"));
            cluster.sql("postgres", "SELECT pg_reload_conf()");
            while cluster.sql("postgres", &format!("SHOW {setting}")) != to {
                std::thread::yield_now();
            }
        };
        reload("off");
        let why = opened(&server).err().unwrap();
        assert!(why.contains(expected), "{why}");
        assert!(PostgresOutbox::look(&server).unwrap().iter().any(|found| found.contains(expected)));
        reload("on");
    }
    drop(opened(&server).unwrap());
    let standby = cluster.standby();
    let why = opened(&standby.server("conformance")).err().unwrap();
    assert!(why.contains("it is a standby"), "{why}");
    // Of both, whichever takes writes.
    for both in [cluster.or(&standby, "conformance"), standby.or(&cluster, "conformance")] {
        drop(opened(&both).unwrap());
    }
}

/// Its standby runs, and each commit waits for it, or does not.
pub(super) fn with_standby(waits: bool) -> Option<(Cluster, Cluster)> {
    let cluster = Cluster::another()?;
    let standby = cluster.standby();
    if waits {
        cluster.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        cluster.sql("postgres", "SELECT pg_reload_conf()");
    }
    let (count, wanted) = if waits { ("sync_state = 'sync'", "1") } else { ("state = 'streaming'", "1") };
    while cluster.sql("postgres", &format!("SELECT count(*) FROM pg_stat_replication WHERE {count}")) != wanted {
        std::thread::yield_now();
    }
    Some((cluster, standby))
}

/// One invite that was told, one past its point of no return, one before it, and one that waits.
pub(super) async fn works(store: &Store) -> Vec<Claim> {
    store.add(1, &[notice(1, Occasion::Invite, 0), notice(1, Occasion::Reminder, 100)]).await;
    let told = store.doubt_one(0).await;
    assert!(store.settle(1, &told, accepted()).await);
    store.add(2, &[notice(2, Occasion::Invite, 0)]).await;
    let doubtful = store.doubt_one(5).await;
    store.add(3, &[notice(3, Occasion::Invite, 0)]).await;
    let begun = store.begin_one(5).await;
    vec![told, doubtful, begun]
}

/// The primary is gone, and its synchronous standby takes its place: whoever works with it goes on there. Nothing of what was told is forgotten, nothing is
/// told twice, and nothing waits for a person.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_that_has_all_is_gone_on_with() {
    let Some((cluster, standby)) = with_standby(true) else { return };
    let both = cluster.or(&standby, "conformance");
    let node = |name| opened(&both.clone().as_node(Some(name))).unwrap();
    let (a, b) = (node("a"), node("b"));
    let claims = works(&a).await;
    cluster.crash();
    standby.promote();
    assert!(a.settle(6, &claims[1], accepted()).await, "the answer came meanwhile");
    assert!(a.outbox.doubt(claims[2].lease(), claims[2].revision, chrono::TimeDelta::minutes(1)).await.unwrap());
    assert!(a.settle(6, &claims[2], accepted()).await);
    b.outbox.record_event(minute(6), "after".into(), "").await.unwrap();
    for store in [&a, &b] {
        assert!(store.outbox.hold_restored(&["clinic".to_owned()], &[], minute(200)).await.unwrap().is_none());
    }
    assert_eq!(b.claim(100).await.len(), 1, "what is due goes by itself");
    drop((a, b));
    let again = opened(&both.as_node(Some("a"))).unwrap();
    assert!(again.outbox.hold_restored(&["clinic".to_owned()], &[], minute(200)).await.unwrap().is_none(), "a start finds its own");
    assert_eq!(again.outbox.verify_ledger(None).await.unwrap().findings, []);
}

/// Its standby was behind, for all that anybody knows: the daemon ends, and its next start holds what may have been told.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_that_nobody_waited_for_holds_what_is_due() {
    let Some((cluster, standby)) = with_standby(false) else { return };
    let both = cluster.or(&standby, "conformance");
    let store = opened(&both).unwrap();
    let claims = works(&store).await;
    let flushed = cluster.sql("postgres", "SELECT pg_current_wal_flush_lsn()");
    while cluster.sql("postgres", &format!("SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '{flushed}'")) != "1" {
        std::thread::yield_now();
    }
    cluster.crash();
    standby.promote();
    let ended = store.outbox.record_event(minute(6), "after".into(), "").await.unwrap_err().to_string();
    assert!(ended.contains("switched over to another server"), "{ended}");
    drop(store);
    // (As after twenty seconds.)
    standby.sql("conformance", "UPDATE node SET alive_until = clock_timestamp()");
    let store = opened(&both).unwrap();
    let recovered = store.outbox.recover("two", minute(7), true).await.unwrap();
    assert_eq!(recovered.in_doubt.len(), 1, "{recovered:?}");
    let restored = store.outbox.hold_restored(&["clinic".to_owned()], &[], minute(200)).await.unwrap().unwrap();
    assert_eq!(restored.held, 2, "what is due; what is in doubt stays so");
    assert_eq!(store.entry(claims[0].entry.notice.key).await.state, State::Accepted, "what was told is known");
    assert!(store.claim(300).await.is_empty(), "nothing goes by itself");
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
}
