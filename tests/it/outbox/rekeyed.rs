//! Another key for a sealed practice on PostgreSQL: whole or not at all, while no daemon serves it.

use std::sync::Arc;

use punctual::ledger::Event;
use punctual::outbox::Access;
use punctual::outbox::postgres::{PostgresOutbox, Server};

use super::cluster::{Cluster, cluster};
use super::fixture::{Store, minute};
use super::sealed::{fill, key};

fn server(cluster: &Cluster, name: &str) -> Server {
    cluster.create(name);
    PostgresOutbox::migrate(&cluster.server(name)).unwrap();
    cluster.server(name)
}

fn opened(server: &Server, key: &punctual::outbox::StoreKey) -> Result<Store, String> {
    let outbox = PostgresOutbox::open(server, "clinic", Access::Daemon, Some(key)).map_err(|e| e.to_string())?;
    Ok(Store { outbox: Arc::new(outbox), _folder: None })
}

/// All that the store says, as far as the key may matter.
async fn says(store: &Store) -> String {
    let mut suppressed: Vec<_> = store.outbox.suppressions().await.unwrap().into_iter().map(|one| format!("{one:?}")).collect();
    suppressed.sort();
    let mut deliveries = Vec::new();
    for entry in store.all().await {
        deliveries.push(format!("{:?}", store.outbox.deliveries(entry.notice.key).await.unwrap()));
    }
    format!(
        "{:?} {:?} {suppressed:?} {deliveries:?} {:?} {:?} {:?} {:?}",
        store.outbox.sessions("clinic", None).await.unwrap(),
        store.all().await,
        store.outbox.unread(9).await.unwrap(),
        store.outbox.waiting_answers().await.unwrap(),
        store.outbox.reference_key().await.unwrap(),
        store.outbox.users(-1).await.unwrap(),
    )
}

#[tokio::test]
async fn a_database_gets_another_key() {
    let Some(cluster) = cluster() else { return };
    let server = server(cluster, "rekeyed");
    fill(PostgresOutbox::open(&server, "clinic", Access::Daemon, Some(&key(7))).unwrap()).await;
    let (store, users) = (opened(&server, &key(7)).unwrap(), "users, with the secrets of their one-time codes");
    assert!(store.outbox.put_users(0, users).await.unwrap());
    assert!(!store.outbox.put_users(0, "of somebody who was slower").await.unwrap());
    drop(store);
    assert!(!cluster.dump("rekeyed").contains(users), "they are sealed");
    let before = says(&opened(&server, &key(7)).unwrap()).await;
    assert!(before.contains(users));
    let sealed = "SELECT string_agg(digest || record, ' ') FROM session";
    let of_old = cluster.sql("rekeyed", sealed);
    let new = key(7).successor().unwrap();
    // One that was not made for it would tell everybody everything again.
    let stranger = PostgresOutbox::rekey((&server, "clinic"), (&key(7), &key(8)), minute(8), |_| {}).unwrap_err().to_string();
    assert!(stranger.contains("was not made for this store"), "{stranger}");
    // What does not open is nobody's: nothing was changed.
    cluster.sql("rekeyed", "CREATE TABLE kept AS SELECT id, record FROM session; UPDATE session SET record = digest WHERE id = 2");
    let damaged = PostgresOutbox::rekey((&server, "clinic"), (&key(7), &new), minute(8), |_| {}).unwrap_err().to_string();
    assert!(damaged.contains("its table session does not open"), "{damaged}");
    cluster.sql("rekeyed", "UPDATE session SET record = kept.record FROM kept WHERE kept.id = session.id; DROP TABLE kept");
    assert_eq!(says(&opened(&server, &key(7)).unwrap()).await, before);
    assert!(PostgresOutbox::rekey((&server, "clinic"), (&key(7), &new), minute(9), |_| {}).unwrap() > 10);
    assert!(opened(&server, &key(7)).err().unwrap().contains("sealed with another key"));
    let store = opened(&server, &new).unwrap();
    assert_eq!(says(&store).await, before);
    let verified = store.outbox.verify_ledger(None).await.unwrap();
    assert_eq!((verified.keyed_from, verified.findings), (Some(1), Vec::new()), "old rows and new ones");
    let last: Vec<Event> = store.ledger().await.into_iter().rev().take(2).map(|row| row.event).collect();
    assert_eq!(last, ["rekeyed", "keyed"]);
    assert_ne!(cluster.sql("rekeyed", sealed), of_old);
    // It goes on with it.
    store.add(8, &[super::fixture::notice(8, punctual::notice::Occasion::Invite, 0)]).await;
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
}
