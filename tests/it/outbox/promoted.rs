//! Servers that would lose what was told are refused; and a standby that is promoted: on clusters of the test's own.

use std::sync::Arc;

use punctual::entry::State;
use punctual::notice::Occasion;
use punctual::outbox::Access;
use punctual::outbox::postgres::{PostgresOutbox, Server};

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

/// The primary is gone, and its synchronous standby takes its place: the daemon ends, and its next start holds what may have been told. Nothing of what was
/// told is forgotten, and nothing is told twice.
#[tokio::test]
async fn a_promoted_standby_knows_what_was_told_and_holds_what_is_due() {
    let Some(cluster) = Cluster::another() else { return };
    let standby = cluster.standby();
    cluster.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    while cluster.sql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1" {
        std::thread::yield_now();
    }
    let both = cluster.or(&standby, "conformance");
    let store = opened(&both).unwrap();
    store.add(1, &[notice(1, Occasion::Invite, 0), notice(1, Occasion::Reminder, 100)]).await;
    let told = store.doubt_one(0).await;
    assert!(store.settle(1, &told, accepted()).await);
    store.add(2, &[notice(2, Occasion::Invite, 0)]).await;
    store.doubt_one(5).await;
    cluster.crash();
    standby.promote();
    let ended = store.outbox.note(minute(6), "after", "").await.unwrap_err().to_string();
    assert!(ended.contains("switched over to another server"), "{ended}");
    drop(store);
    // (As after twenty seconds.)
    standby.sql("conformance", "UPDATE node SET alive_until = clock_timestamp()");
    let store = opened(&both).unwrap();
    let recovered = store.outbox.recover("two", minute(7), true).await.unwrap();
    assert_eq!(recovered.in_doubt.len(), 1, "{recovered:?}");
    let restored = store.outbox.hold_restored(&["clinic".to_owned()], minute(200)).await.unwrap().unwrap();
    assert_eq!(restored.held, 1, "what is due; what is in doubt stays so");
    assert_eq!(store.entry(told.entry.notice.key).await.state, State::Accepted, "what was told is known");
    assert!(store.claim(300).await.is_empty(), "nothing goes by itself");
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
}
