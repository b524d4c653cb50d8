//! What is asked often reads what it is about, however much is there: on PostgreSQL with a million notices, by what the server counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use punctual::contact::Channel;
use punctual::entry::Change;
use punctual::ledger::Event;
use punctual::notice::Occasion;
use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::{Access, ClaimRequest, Filter};
use punctual::session::{ParticipationId, SessionId};
use punctual::suppression::Suppression;
use tokio::task::JoinSet;

use super::cluster::{Cluster, cluster, store_on};
use super::fixture::{START, Store, accepted, begin, lease, mail, minute, notice, request, walk, walked};

/// Sessions that are over or far away, each with a person and four notices: told, waiting, held, cancelled.
const SESSIONS: i64 = 250_000;
/// Rows that all of it together may read: a claim looks at a window of 4,096.
const READS: i64 = 40_000;

/// Sessions from 1,000 on; half of them are over. Of one in a thousand a notice is held.
fn fill(cluster: &Cluster, name: &str) {
    let start = minute(START).timestamp_millis();
    let hour = 3_600_000;
    let sessions = format!("generate_series(1000::bigint, {}) AS n", SESSIONS + 999);
    let starts = format!("{start} + (n - {}) * {hour} / 100", SESSIONS / 2);
    cluster.sql(
        name,
        &format!(
            "BEGIN;
             INSERT INTO session SELECT 1, 'clinic', n, 1, 'digest', {starts}, '[]', '{{}}', 'listed', 0, NULL FROM {sessions};
             INSERT INTO participant SELECT 1, 'clinic', n, n * 10 + 1, 0, 0, {starts}, 0, false, 'facts', 0, false, NULL, 0 FROM {sessions};
             INSERT INTO notice (practice, key, source, session_id, participation_id, role, occasion, channel, address, start_at, due_at, useful_until, state,
                                 reason, next_attempt_at, attempts, changed_at, epoch)
             SELECT 1, decode(md5(n || ' ' || k), 'hex'), 'clinic', n, n * 10 + 1, 'participant', 'invite', CASE k WHEN 3 THEN 'sms' ELSE 'email' END,
                    'person' || n || '@example.com', {starts}, {starts} - {hour}, {starts},
                    CASE WHEN k = 0 AND n > {half} AND n % 1000 = 0 THEN 'held' WHEN k IN (1, 3) AND n > {half} THEN 'waiting' WHEN k = 2 THEN 'accepted' ELSE 'cancelled' END,
                    NULL, CASE WHEN k IN (1, 3) AND n > {half} THEN {starts} - {hour} + 40000000 END, 1, 0, 1
             FROM {sessions}, generate_series(0, 3) AS k;
             INSERT INTO delivery SELECT 1, id, 1, 1, due_at, 'doubt', due_at, 'accepted', 'relay', '250 Ok', NULL, NULL, NULL FROM notice WHERE state = 'accepted';
             INSERT INTO ledger SELECT 1, 1, 1000000 + n, {starts}, NULL, n, n * 10 + 1, 'added', NULL, 'waiting', NULL, NULL, decode(repeat('00', 32), 'hex')
             FROM {sessions};
             UPDATE chain SET seq = {last};
             COMMIT",
            half = SESSIONS / 2 + 2000,
            last = 1_000_000 + SESSIONS + 999,
        ),
    );
    cluster.sql(name, "VACUUM ANALYZE");
}

const BIG: [&str; 5] = ["session", "participant", "notice", "delivery", "ledger"];

/// A message's way, and what is asked beside it all day.
async fn a_day(store: &Store) {
    let outbox = &*store.outbox;
    let far = minute(START);
    store.add(1, &[notice(1, Occasion::Invite, 0)]).await;
    outbox.rest("clinic", minute(0), far).await.unwrap();
    outbox.known("clinic", &[SessionId(1), SessionId(200_000)]).await.unwrap();
    outbox.sessions("clinic", Some(&[SessionId(1)])).await.unwrap();
    outbox.next_due(Channel::Email).await.unwrap();
    let claim = store.begin_one(0).await;
    assert!(outbox.doubt(lease(&claim), claim.revision, TimeDelta::minutes(1)).await.unwrap());
    assert!(store.settle(1, &claim, accepted()).await);
    let key = claim.entry.notice.key;
    outbox.deliveries(key).await.unwrap();
    outbox.lapse(minute(-START)).await.unwrap();
    outbox.recover("one", minute(2), false).await.unwrap();
    outbox.tend("settings", None, minute(2)).await.unwrap();
    outbox.walked_since(outbox.walks().await.unwrap() - 1).await.unwrap();
    outbox.suppress(minute(2), &mail("person5"), Suppression::Bounced, None).await.unwrap();
    outbox.list(&Filter { session: Some(SessionId(2_000)), ..Filter::default() }).await.unwrap();
    outbox.list(&Filter { participation: Some(ParticipationId(20_001)), ..Filter::default() }).await.unwrap();
    outbox.list(&Filter { keys: vec![key], ..Filter::default() }).await.unwrap();
    outbox.ledger_of(&Event::Added, &[SessionId(2_000)]).await.unwrap();
    outbox.record_event(minute(3), Event::Reveal, "session 1").await.unwrap();
}

/// A database with our schema.
fn made(name: &str) -> Option<(&'static Cluster, Server)> {
    let cluster = cluster()?;
    cluster.create(name);
    let server = cluster.server(name);
    PostgresOutbox::migrate(&server).unwrap();
    Some((cluster, server))
}

/// Rows read since the counts were set back: of tables row by row, and by their indexes.
fn reads(cluster: &Cluster, name: &str) -> (i64, BTreeMap<String, String>) {
    let big = format!("('{}')", BIG.join("', '"));
    let sql = format!("SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables WHERE relname IN {big}");
    let whole = cluster.sql(name, &sql).parse().unwrap();
    let sql = format!("SELECT indexrelname || '=' || idx_tup_read FROM pg_stat_user_indexes WHERE relname IN {big} AND idx_tup_read > 0");
    let of = |line: &str| line.split_once('=').map(|(index, rows)| (index.to_owned(), rows.to_owned()));
    (whole, cluster.sql(name, &sql).lines().filter_map(of).collect())
}

#[tokio::test]
async fn what_is_asked_often_reads_no_more_with_a_million_notices() {
    let name = "million";
    let Some((cluster, server)) = made(name) else { return };
    let opened = || Store { outbox: Arc::new(PostgresOutbox::open(&server, "clinic", Access::Daemon, None).unwrap()), _folder: None };
    let store = opened();
    store.add(2, &[]).await;
    drop(store);
    fill(cluster, name);
    assert!(cluster.sql(name, "SELECT count(*) FROM notice").parse::<i64>().unwrap() >= 4 * SESSIONS);
    cluster.sql(name, "SELECT pg_stat_reset()");
    for setting in ["session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0"] {
        cluster.sql("postgres", &format!("ALTER DATABASE {name} SET {setting}"));
    }
    let store = opened();
    a_day(&store).await;
    // A connection tells what it read when it ends.
    drop(store);
    let (whole, by_index) = reads(cluster, name);
    let plans: Vec<String> = cluster
        .plans_with("Seq Scan on ")
        .into_iter()
        .filter(|plan| BIG.iter().any(|table| plan.contains(&format!("Scan on {table}"))))
        .collect();
    assert_eq!(whole, 0, "rows of large tables were read one after another; by index: {by_index:?}; {plans:#?}");
    let rows: i64 = by_index.values().map(|rows| rows.parse::<i64>().unwrap()).sum();
    assert!(rows < READS, "{rows} rows: {by_index:?}");
    cluster.sql("postgres", &format!("DROP DATABASE {name}"));
}

/// Of a list that fills a new practice, which nobody has counted yet.
const NEW: i64 = 4_000;
/// Rows that the way of one of its messages may read: its own, and its part of what its claim looked at.
const READS_OF_ONE: i64 = 120;

/// Claims and hands over what is due, 20 at once.
async fn hand_over(store: &Store) -> i64 {
    let outbox = &*store.outbox;
    let mut done = 0;
    loop {
        let claims = outbox.claim(ClaimRequest { limit: 100, ..request(0) }).await.unwrap();
        if claims.is_empty() {
            return done;
        }
        for some in claims.chunks(20) {
            let mut taken = JoinSet::new();
            for claim in some {
                let (outbox, begin) = (Arc::clone(&store.outbox), begin(claim, 0));
                taken.spawn(async move { outbox.take(begin, TimeDelta::minutes(1)).await.unwrap() });
            }
            assert!(taken.join_all().await.into_iter().all(|done| done));
            let ends = some.iter().map(|claim| (lease(claim), accepted())).collect();
            assert!(outbox.settle(minute(1), ends).await.unwrap().into_iter().all(|done| done));
            done += i64::try_from(some.len()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_new_practice_reads_no_more_the_more_it_has_told() {
    let name = "uncounted";
    let Some((cluster, server)) = made(name) else { return };
    for table in BIG {
        cluster.sql(name, &format!("ALTER TABLE {table} SET (autovacuum_enabled = false)"));
    }
    let store = store_on(&server, None);
    // Its statements are planned when there is next to nothing, and stay as they were planned.
    store.add(1, &[notice(1, Occasion::Invite, 0)]).await;
    assert_eq!(hand_over(&store).await, 1);
    let sessions = (2..NEW + 2).map(|n| walked(n, "digest", vec![Change::Add(notice(n, Occasion::Invite, 0))])).collect();
    store.outbox.apply(walk(sessions)).await.unwrap();
    cluster.sql(name, "SELECT pg_stat_reset()");
    assert_eq!(hand_over(&store).await, NEW);
    drop(store);
    let (whole, by_index) = reads(cluster, name);
    let rows = whole + by_index.values().map(|rows| rows.parse::<i64>().unwrap()).sum::<i64>();
    assert!(rows < NEW * READS_OF_ONE, "{rows} rows read for {NEW} messages, {whole} of them one after another: {by_index:?}");
    cluster.sql("postgres", &format!("DROP DATABASE {name}"));
}
