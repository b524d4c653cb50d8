//! Behind a pooler that gives each transaction another connection: what the conformance suite cannot see. (It runs there, too: `pooled_postgres`.)

use std::sync::Arc;

use punctual::notice::Occasion;
use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::{Access, Claim};

use super::cluster::Cluster;
use super::fixture::{Store, accepted, minute, notice};
use super::pooler::Pooler;
use super::promoted::{with_standby, works};

fn opened(server: &Server) -> Result<Store, String> {
    let outbox = PostgresOutbox::open(server, "clinic", Access::Daemon, None).map_err(|e| e.to_string())?;
    Ok(Store { outbox: Arc::new(outbox), _folder: None })
}

/// Who has the connection next finds nothing of ours on it: no setting, no statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_connection_is_left_as_it_was() {
    let Some(cluster) = Cluster::another() else { return };
    let Some(pooler) = Pooler::before(&cluster, 1) else { return };
    let left = |what: &str| cluster.sql(&pooler.url("conformance"), what);
    let before = [
        left("SHOW statement_timeout"),
        left("SHOW idle_in_transaction_session_timeout"),
        left("SHOW lock_timeout"),
        left("SHOW timezone"),
    ];
    let store = opened(&pooler.server("conformance")).unwrap();
    works(&store).await;
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
    let after = [
        left("SHOW statement_timeout"),
        left("SHOW idle_in_transaction_session_timeout"),
        left("SHOW lock_timeout"),
        left("SHOW timezone"),
    ];
    assert_eq!(before, after);
    assert_eq!(left("SELECT count(*) FROM pg_prepared_statements"), "0");
    assert_eq!(
        left("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = 'conformance'"),
        "1",
        "all went over one"
    );
}

/// Whoever forgot to say that a pooler is there is told so, before anything is done.
#[test]
fn a_pooler_that_nobody_named_is_recognised() {
    let Some(cluster) = Cluster::another() else { return };
    for connections in [1, 2, 6] {
        let Some(pooler) = Pooler::before(&cluster, connections) else { return };
        // Others are at work there, too.
        let busy = opened(&pooler.server("conformance")).unwrap();
        let server = pooler.unnamed("conformance");
        for _ in 0..20 {
            let why = opened(&server).err().unwrap();
            assert!(why.contains("[store] pooler = \"transaction\""), "{why}");
        }
        assert!(PostgresOutbox::look(&server).unwrap()[0].contains("[store] pooler"));
        assert!(PostgresOutbox::migrate(&server).unwrap_err().to_string().contains("[store] pooler"));
        drop(busy);
    }
    drop(opened(&cluster.server("conformance")).unwrap());
}

/// One that allows no transactions is refused, with the same words by each command, whether it is named or not.
#[test]
fn a_pooler_in_statement_mode_is_refused_with_one_word() {
    let Some(cluster) = Cluster::another() else { return };
    let Some(pooler) = Pooler::in_mode("statement", &cluster, 4) else { return };
    let folder = tempfile::tempdir().unwrap();
    cluster.create("empty");
    for (database, named) in [("conformance", true), ("conformance", false), ("empty", true), ("empty", false)] {
        let named = if named { "pooler = \"transaction\"\n" } else { "" };
        let text = format!("[practice]\nname = \"Lakeside\"\n[store]\nurl = \"{}\"\n{named}", pooler.url(database));
        std::fs::write(folder.path().join("punctual.toml"), text).unwrap();
        for arguments in [&["check"][..], &["check", "--offline"], &["store", "migrate"]] {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punctual"));
            let done = command.args(arguments).current_dir(folder.path()).output().unwrap();
            let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            let refused = "the pooler before it takes no transactions, as PgBouncer in statement mode does it: set pool_mode = transaction there, \
                           and [store] pooler = \"transaction\" here";
            assert!(!done.status.success() && said.contains(refused), "{database} {named} {arguments:?}: {said}");
        }
    }
}

/// The pooler leads to the standby that was promoted: whoever is connected to the pooler notices nothing of it but by looking.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_behind_a_pooler_is_gone_on_with() {
    let Some((cluster, standby)) = with_standby(true) else { return };
    let Some(pooler) = Pooler::before(&cluster, 8) else { return };
    let node = |name| opened(&pooler.server("conformance").as_node(Some(name))).unwrap();
    let (a, b) = (node("a"), node("b"));
    let claims: Vec<Claim> = works(&a).await;
    cluster.crash();
    standby.promote();
    pooler.leads_to(&standby, 8);
    assert!(a.settle(6, &claims[1], accepted()).await, "the answer came meanwhile");
    b.outbox.record_event(minute(6), "after".into(), "").await.unwrap();
    for store in [&a, &b] {
        assert!(store.outbox.hold_restored(&["clinic".to_owned()], &[], minute(200)).await.unwrap().is_none());
    }
    a.add(4, &[notice(4, Occasion::Invite, 0)]).await;
    assert!(!b.claim(100).await.is_empty(), "what is due goes by itself");
    assert_eq!(a.outbox.verify_ledger(None).await.unwrap().findings, []);
}

/// Likewise, of one that nobody waited for: connections to the pooler stay, and what was told may be gone.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_behind_a_pooler_is_not_written_to() {
    let Some((cluster, standby)) = with_standby(false) else { return };
    let Some(pooler) = Pooler::before(&cluster, 8) else { return };
    let store = opened(&pooler.server("conformance")).unwrap();
    works(&store).await;
    let rows = || standby.sql("conformance", "SELECT count(*) FROM ledger");
    // The old primary lives on: nothing is cut off but by the pooler.
    standby.promote();
    let there = rows();
    pooler.leads_to(&standby, 8);
    let ended = store.outbox.record_event(minute(6), "after".into(), "").await.unwrap_err().to_string();
    assert!(ended.contains("switched over to another server"), "{ended}");
    assert_eq!(rows(), there);
}

/// A standby is read by nobody: it may be behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_behind_a_pooler_is_not_read() {
    let Some((cluster, standby)) = with_standby(false) else { return };
    let Some(pooler) = Pooler::before(&cluster, 8) else { return };
    let store = opened(&pooler.server("conformance")).unwrap();
    works(&store).await;
    pooler.leads_to(&standby, 8);
    let asked = tokio::spawn({
        let outbox = Arc::clone(&store.outbox);
        async move { outbox.status().await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert!(!asked.is_finished(), "it waits for a primary");
    pooler.leads_to(&cluster, 8);
    asked.await.unwrap().unwrap();
}
