//! What is only of PostgreSQL: its schema, its guard against a second daemon, connections that are lost, what somebody does to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use punctual::access::logins::KeptLogin;
use punctual::entry::{Change, State};
use punctual::ledger::{Event, Finding};
use punctual::notice::{Occasion, Reason};
use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::{Access, Action, Actions, Feedback, Queries, StoreKey, Upkeep, Walks, digest_key};

use super::cluster::{Cluster, Proxy, cluster};
use super::fixture::{Store, accepted, addressed, lease, mail, minute, notice, request, text, walk, walked};
use super::sealed::key;

/// A database of its own, with the schema; `None`: there is no server.
fn database(name: &str) -> Option<&'static Cluster> {
    let cluster = cluster()?;
    cluster.create(name);
    PostgresOutbox::migrate(&cluster.server(name)).unwrap();
    Some(cluster)
}

fn open(server: &Server, access: Access, key: Option<&StoreKey>) -> Result<PostgresOutbox, String> {
    PostgresOutbox::open(server, "clinic", access, key).map_err(|e| e.to_string())
}

fn why(server: &Server, access: Access, key: Option<&StoreKey>) -> String {
    open(server, access, key).err().expect("it is refused")
}

/// A store with one invite that was accepted, and one reminder that is due at minute 100.
async fn worked(server: &Server) -> Store {
    let store = Store { outbox: Arc::new(open(server, Access::Daemon, None).unwrap()), _folder: None };
    store.add(1, &[notice(1, Occasion::Invite, 0), notice(1, Occasion::Reminder, 100)]).await;
    let claim = store.doubt_one(0).await;
    assert!(store.settle(1, &claim, accepted()).await);
    store
}

#[test]
fn addresses() {
    for (url, expected) in [
        ("postgres://punctual@db.example.com/punctual", "database punctual at db.example.com"),
        ("postgres://punctual@a.example.com,b.example.com:5433/punctual", "database punctual at a.example.com, b.example.com"),
        ("postgresql://punctual@%2Frun%2Fpostgresql/punctual", "database punctual at /run/postgresql"),
    ] {
        assert_eq!(Server::parse(url, None, None).map(|s| s.shown().to_owned()), Ok(expected.to_owned()));
    }
    for (url, expected) in [
        ("postgres://punctual:secret@db.example.com/punctual", "[store] password_file"),
        ("postgres://punctual@db.example.com/punctual?sslmode=prefer", "requires TLS"),
        ("postgres://punctual@db.example.com", "no database"),
        ("postgres:///punctual?user=punctual", "names no host"),
        ("postgres://punctual@db.example.com/punctual?sslmode=maybe", "no address of a database"),
    ] {
        let why = Server::parse(url, None, None).err().unwrap();
        assert!(why.contains(expected) && !why.contains("secret"), "{url}: {why}");
    }
}

/// Over a network: by TLS, whose certificate and name are verified, with a password.
#[test]
fn a_database_elsewhere_is_spoken_to_by_tls() {
    let Some(cluster) = database("remote") else { return };
    cluster.sql("remote", "CREATE ROLE remote LOGIN PASSWORD 'a b:c@d'; GRANT ALL ON ALL TABLES IN SCHEMA public TO remote");
    let (url, certificate) = cluster.remote("remote");
    let server = |password: &str, ca: Option<&std::path::Path>| Server::parse(&url, Some(&password.into()), ca).unwrap();
    drop(open(&server("a b:c@d", Some(&certificate)), Access::Daemon, None).unwrap());
    let wrong = why(&server("another", Some(&certificate)), Access::Daemon, None);
    assert!(wrong.contains("password authentication failed") && !wrong.contains("another\""), "{wrong}");
    let stranger = why(&server("a b:c@d", None), Access::Daemon, None);
    assert!(stranger.contains("certificate"), "{stranger}");
    let open_wire = Server::parse(&url.replace("require", "disable"), Some(&"a b:c@d".into()), None).unwrap();
    let refused = why(&open_wire, Access::Daemon, None);
    assert!(refused.contains("no encryption"), "{refused}");
}

#[test]
fn a_schema_is_made_by_hand_and_only_there() {
    let Some(cluster) = cluster() else { return };
    cluster.create("bare");
    let server = cluster.server("bare");
    let unmade = why(&server, Access::Daemon, None);
    assert!(unmade.contains("there is no store in it yet: say `punctual store migrate` once"), "{unmade}");
    assert_eq!(PostgresOutbox::look(&server).unwrap().len(), 1);
    let missing = why(&cluster.server("missing"), Access::Daemon, None);
    assert!(missing.contains("does not exist") && missing.contains("database missing at"), "{missing}");
    // Several at once wait for each other.
    let made: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..3).map(|_| scope.spawn(|| PostgresOutbox::migrate(&server).unwrap())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|(from, to)| from < to).count(), 1, "{made:?}");
    assert_eq!(PostgresOutbox::look(&server).unwrap(), [] as [String; 0]);
    let early = why(&server, Access::Command, None);
    assert!(early.contains("the daemon makes it at its first start"), "{early}");
    drop(open(&server, Access::Daemon, None).unwrap());
    drop(open(&server, Access::Command, None).unwrap());
    cluster.sql("bare", "INSERT INTO punctual_schema VALUES (99, now())");
    let newer = why(&server, Access::Daemon, None);
    assert!(newer.contains("version 99") && newer.contains("run the newer punctual"), "{newer}");
    cluster.create("theirs");
    cluster.sql("theirs", "CREATE TABLE invoices ()");
    let theirs = PostgresOutbox::migrate(&cluster.server("theirs")).unwrap_err().to_string();
    assert!(theirs.contains("tables of something else (invoices)"), "{theirs}");
}

/// Until the second version letters and answers stood in tables of their own, in states of their own.
#[tokio::test]
async fn letters_and_answers_of_the_second_version_stand_in_one_table() {
    let Some(cluster) = cluster() else { return };
    cluster.create("before");
    let of_version = [
        "CREATE TABLE punctual_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL)",
        include_str!("../../../src/outbox/postgres/schema/0001_outbox.sql"),
        include_str!("../../../src/outbox/postgres/schema/0002_moved.sql"),
        "INSERT INTO punctual_schema VALUES (1, now()), (2, now())",
    ];
    of_version.iter().for_each(|sql| drop(cluster.sql("before", sql)));
    // The daemon's first start numbers its practice 1.
    let answers = ["waiting,", "sending,", "accepted,accepted", "ended,rejected", "ended,not taken", "ended,unknown", "ended,lapsed"];
    let more = ["ended,suppressed", "ended,restored", "ended,not sent: shadow mode"];
    for (n, answer) in answers.into_iter().chain(more).enumerate() {
        let (state, outcome) = answer.split_once(',').unwrap();
        let to = if state == "waiting" { "+14045550100" } else { "" };
        let key = format!("{n:032x}");
        let reply = format!("INSERT INTO reply (practice, id, at, word) VALUES (1, '{key}', 5, 'help')");
        cluster.sql("before", &reply);
        let values = format!("1, '{key}', '{to}', 'them', 'help', 'en', 5, 6, '{state}', nullif('{outcome}', '')");
        cluster.sql("before", &format!("INSERT INTO answer VALUES ({values})"));
    }
    for (recipient, state) in ["open", "doubt", "accepted", "rejected", "empty"].into_iter().enumerate() {
        cluster.sql("before", &format!("INSERT INTO staff_letter VALUES (1, 1000, '{recipient}', '{state}', 2, 2000)"));
    }
    let server = cluster.server("before");
    let old = why(&server, Access::Daemon, None);
    assert!(old.contains("its schema is version 2"), "{old}");
    assert_eq!(PostgresOutbox::migrate(&server).unwrap().0, 2);
    let store = open(&server, Access::Daemon, None).unwrap();
    let states = "SELECT string_agg(concat_ws(' ', state, attempts, outcome), ', ' ORDER BY key) FROM outgoing WHERE kind = 'answer'";
    assert_eq!(
        cluster.sql("before", states).trim(),
        "waiting 0, unknown 1, accepted 1 accepted, rejected 1 rejected, rejected 1 not taken, unknown 1 unknown, lapsed 0 lapsed, \
         suppressed 0 suppressed, cancelled 0 restored, accepted 0 not sent: shadow mode"
    );
    let waiting = store.waiting_answers().await.unwrap();
    assert_eq!(waiting.iter().map(|w| (w.key.to_string(), w.to.expose())).collect::<Vec<_>>(), [("0".repeat(32), "+14045550100")]);
    let scheduled_at = chrono::DateTime::from_timestamp_millis(1000).unwrap();
    let letters = store.staff_letters(scheduled_at).await.unwrap();
    let found: Vec<_> = letters.iter().map(|letter| (letter.state, letter.attempts)).collect();
    let (unknown, cancelled) = ((State::Unknown, 3), (State::Cancelled, 2));
    assert_eq!(found, [(State::Waiting, 2), unknown, (State::Accepted, 3), (State::Rejected, 3), cancelled]);
    assert!(letters.iter().all(|letter| letter.key == digest_key(scheduled_at, &letter.recipient)));
}

#[test]
fn what_is_not_durable_is_refused() {
    let Some(cluster) = database("lax") else { return };
    for (setting, expected) in [
        ("synchronous_commit = off", "synchronous_commit is off"),
        ("default_transaction_read_only = on", "no server of it takes writes: it is a standby, or default_transaction_read_only is on"),
    ] {
        cluster.sql("postgres", &format!("ALTER DATABASE lax SET {setting}"));
        let found = PostgresOutbox::look(&cluster.server("lax")).map_or_else(|e| e.to_string(), |found| found.join("\n"));
        assert!(found.contains(expected), "{setting}: {found}");
        assert!(open(&cluster.server("lax"), Access::Daemon, None).is_err(), "{setting}");
        cluster.sql("postgres", "ALTER DATABASE lax RESET ALL");
    }
    drop(open(&cluster.server("lax"), Access::Daemon, None).unwrap());
}

#[test]
fn a_second_daemon_is_refused_and_one_that_is_gone_is_replaced() {
    let Some(cluster) = database("one") else { return };
    let server = cluster.server("one");
    drop(open(&server, Access::Daemon, None).unwrap());
    assert_eq!(cluster.sql("one", "SELECT count(*) FROM node"), "0", "a clean end says so");
    let lives = "INSERT INTO node VALUES (1, 'theirs', 'theirs', 'process 7 on b', clock_timestamp() + interval '20 s')
                 ON CONFLICT (practice, boot) DO UPDATE SET alive_until = excluded.alive_until";
    cluster.sql("one", lives);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                cluster.sql("one", lives);
            }
        });
        let refused = why(&server, Access::Daemon, None);
        stop.store(true, Ordering::Relaxed);
        assert!(refused.contains("another punctual serves this practice (process 7 on b): end that one first"), "{refused}");
    });
    drop(open(&server, Access::Command, None).expect("commands stand beside it"));
    cluster.sql("one", "UPDATE node SET alive_until = clock_timestamp() - interval '1 s'");
    drop(open(&server, Access::Daemon, None).expect("it is gone"));
}

/// However long it slept: nothing that it begins is written.
#[tokio::test]
async fn a_daemon_that_was_replaced_writes_nothing_any_more() {
    let Some(cluster) = database("replaced") else { return };
    let store = worked(&cluster.server("replaced")).await;
    let claims = store.outbox.claim(request(100)).await.unwrap();
    cluster.sql("replaced", "UPDATE node SET boot = 'theirs', process = 'theirs'");
    let refused = store.outbox.doubt(lease(&claims[0]), claims[0].revision, chrono::TimeDelta::zero()).await.unwrap_err().to_string();
    assert!(refused.contains("another punctual serves this practice now"), "{refused}");
    store.outbox.record_event(minute(1), "late".into(), "").await.unwrap_err();
    let rows = store.outbox.ledger(None, 0, 100).await.unwrap();
    assert!(rows.iter().all(|row| row.event != "late"), "reads go on");
}

/// Commands write beside the daemon: their rows and its rows are one chain.
#[tokio::test]
async fn writers_follow_one_another() {
    let Some(cluster) = database("beside") else { return };
    let server = cluster.server("beside");
    let store = worked(&server).await;
    let command = open(&server, Access::Command, None).unwrap();
    let both = async |number: i64| {
        let (of_daemon, of_command) = (Event::from(format!("daemon {number}").as_str()), Event::from(format!("command {number}").as_str()));
        tokio::try_join!(
            store.outbox.record_event(minute(number), of_daemon.clone(), ""),
            command.record_event(minute(number), of_command.clone(), "")
        )
        .unwrap();
    };
    futures_of((0..40).map(both)).await;
    let verified = store.outbox.verify_ledger(None).await.unwrap();
    assert_eq!((verified.rows, verified.findings), (7 + 80, Vec::new()));
    let held = store.all().await.into_iter().find(|e| e.state == State::Waiting).unwrap().notice.key;
    let both = [held; 1];
    let acted = tokio::try_join!(store.outbox.act(&both, Action::Hold, minute(1)), command.act(&both, Action::Cancel, minute(1))).unwrap();
    assert!(acted == (1, 1) || acted == (0, 1), "each saw what the other had done: {acted:?}");
}

async fn futures_of<F: Future<Output = ()>>(all: impl Iterator<Item = F>) {
    for one in all {
        one.await;
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let Some(cluster) = database("lost") else { return };
    let store = worked(&cluster.server("lost")).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'lost'";
    for number in 0..3 {
        assert_ne!(cluster.sql("postgres", end), "0");
        store.outbox.record_event(minute(number), "after".into(), "").await.unwrap();
        assert_eq!(store.outbox.ledger_of(&"after".into(), &[]).await.unwrap().len(), 0);
        assert_eq!(store.all().await.len(), 2);
    }
    let rows = store.ledger().await;
    assert_eq!(rows.iter().filter(|row| row.event == "after").count(), 3, "each once");
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
}

/// A restart, or another machine, logs nobody out.
#[tokio::test]
async fn who_is_logged_in_stays_so() {
    let Some(cluster) = database("visits") else { return };
    let server = cluster.server("visits");
    let visit =
        |digest: u8, seen| KeptLogin { digest: [digest; 32], name: "jane".to_owned(), mark: [9; 32], began: minute(0), seen: minute(seen) };
    let store = open(&server, Access::Daemon, None).unwrap();
    for (digest, seen) in [(1, 0), (2, 1), (1, 5)] {
        store.put_login(visit(digest, seen)).await.unwrap();
    }
    drop(store);
    let store = open(&server, Access::Daemon, None).unwrap();
    let mut kept = store.logins().await.unwrap();
    kept.sort_by_key(|visit| visit.digest);
    assert_eq!(kept, [visit(1, 5), visit(2, 1)]);
    store.end_logins(vec![[1; 32], [3; 32]]).await.unwrap();
    assert_eq!(store.logins().await.unwrap(), [visit(2, 1)]);
}

/// The commit got there, and its answer did not come: it is done once, and said to be done.
#[tokio::test]
async fn an_answer_that_is_lost_is_found_in_the_ledger() {
    let Some(cluster) = database("swallowed") else { return };
    let proxy = Proxy::before(cluster);
    let server = Server::parse(&proxy.url("swallowed"), None, None).unwrap();
    let store = worked(&server).await;
    let key = store.all().await.into_iter().find(|e| e.state == State::Waiting).unwrap().notice.key;
    for (number, act) in [Action::Hold, Action::Release, Action::Cancel].into_iter().enumerate() {
        proxy.swallow();
        assert_eq!(store.outbox.act(&[key], act, minute(1)).await.unwrap(), 1, "{act:?}");
        assert_eq!(proxy.swallowed(), number + 1);
    }
    // A step of an attempt, too.
    store.add(2, &[notice(2, Occasion::Invite, 0)]).await;
    let claim = store.begin_one(5).await;
    proxy.swallow();
    assert!(store.outbox.doubt(lease(&claim), claim.revision, chrono::TimeDelta::zero()).await.unwrap());
    proxy.swallow();
    assert!(store.settle(6, &claim, accepted()).await);
    assert_eq!(proxy.swallowed(), 5);
    let events: Vec<Event> = store.ledger().await.into_iter().skip(6).map(|row| row.event).collect();
    assert_eq!(events, ["hold", "release", "cancel", "added", "claimed", "begun", "doubted", "settled"], "each once");
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
}

/// A dump that was put back, another server's copy: what was told since is not known.
#[tokio::test]
async fn another_database_holds_what_may_have_been_told() {
    let Some(cluster) = database("first") else { return };
    let server = cluster.server("first");
    drop(worked(&server).await);
    let again = open(&server, Access::Daemon, None).unwrap();
    assert_eq!(again.hold_restored(&[], &[], minute(500)).await.unwrap(), None, "the same one holds nothing");
    drop(again);
    cluster.sql("postgres", "CREATE DATABASE second TEMPLATE first");
    let store = open(&cluster.server("second"), Access::Daemon, None).unwrap();
    let restored = store.hold_restored(&["clinic".to_owned()], &[], minute(500)).await.unwrap().unwrap();
    assert_eq!(restored.held, 1);
    let held = store.list(&punctual::outbox::Filter { states: vec![State::Held], ..Default::default() }).await.unwrap();
    assert_eq!(held.iter().map(|e| e.reason).collect::<Vec<_>>(), [Some(Reason::Restored)]);
    let found = store.replays_after_restore("clinic", minute(501)).await.unwrap();
    assert_eq!(found, punctual::outbox::ReplaysAfterRestore::Everybody);
    drop(store);
    let next = open(&cluster.server("second"), Access::Daemon, None).unwrap();
    assert_eq!(next.hold_restored(&[], &[], minute(600)).await.unwrap(), None, "once");
}

/// Whoever owns the database can do this: it is found, not prevented.
#[tokio::test]
async fn what_somebody_does_to_the_ledger_is_found() {
    let Some(cluster) = database("tampered") else { return };
    let server = cluster.server("tampered");
    drop(worked(&server).await);
    for sql in ["UPDATE ledger SET detail = 'x'", "DELETE FROM ledger WHERE seq = 1", "TRUNCATE ledger"] {
        let refused = cluster.refused("tampered", sql);
        assert!(refused.contains("the ledger is append-only"), "{refused}");
    }
    assert_eq!(cluster.sql("tampered", "SELECT string_agg(seq::text, ' ' ORDER BY id) FROM chain"), "5 3");
    let inside = |finding| Finding::InChain { chain_id: 2, finding: Box::new(finding) };
    let put_in = |chain_id| Finding::PutIn { chain_id };
    let put_in = vec![Finding::InChain { chain_id: 7, finding: Box::new(Finding::Missing { from: 1, to: 3 }) }, put_in(7), put_in(9)];
    let deeds = [
        ("UPDATE ledger SET detail = 'accepted: 250 no' WHERE chain = 1 AND seq = 3", vec![Finding::Altered { seq: 3 }]),
        ("DELETE FROM ledger WHERE chain = 1 AND seq = 3", vec![Finding::Missing { from: 3, to: 3 }]),
        ("DELETE FROM ledger WHERE chain = 1 AND seq >= 5", vec![Finding::Missing { from: 5, to: 5 }]),
        ("UPDATE ledger SET detail = 'accepted: 250 no' WHERE chain = 2 AND seq = 3", vec![inside(Finding::Altered { seq: 3 })]),
        ("DELETE FROM ledger WHERE chain = 2 AND seq = 2", vec![inside(Finding::Missing { from: 2, to: 2 })]),
        ("DELETE FROM ledger WHERE chain = 2 AND seq = 3", vec![inside(Finding::Missing { from: 3, to: 3 })]),
        // Likewise, covered up.
        (
            "DELETE FROM ledger WHERE chain = 2 AND seq = 3; UPDATE chain SET seq = 2, link = (SELECT link FROM ledger WHERE chain = 2 AND seq = 2) WHERE id = 2",
            vec![inside(Finding::Missing { from: 3, to: 3 })],
        ),
        ("DELETE FROM ledger WHERE chain = 2; DELETE FROM chain WHERE id = 2", vec![Finding::Gone { chain_id: 2 }]),
        (
            "INSERT INTO chain (practice, id, seq, link) SELECT practice, 7, seq, link FROM chain WHERE id = 2;
             INSERT INTO chain (practice, id, seq, link) VALUES (1, 9, 0, decode(repeat('00', 32), 'hex'))",
            put_in,
        ),
        (
            "UPDATE chain SET unsealed_since = now() - interval '2 minutes' WHERE id = 2;
             INSERT INTO node (practice, boot, process, says, alive_until) VALUES (1, 'a', 'a', 'a', now() + interval '9 s')",
            vec![Finding::Unsealed { chain_id: 2 }],
        ),
        ("DROP FUNCTION ledger_is_never_emptied CASCADE", vec![Finding::Unguarded]),
        (
            "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER quiet BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION quiet()",
            vec![Finding::Planted { name: "quiet".to_owned() }],
        ),
    ];
    for (number, (deed, findings)) in deeds.into_iter().enumerate() {
        let name = format!("tampered_{number}");
        cluster.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE tampered"));
        let off = "ALTER TABLE ledger DISABLE TRIGGER USER";
        let on = "ALTER TABLE ledger ENABLE TRIGGER USER";
        cluster.sql(&name, &format!("{off}; {deed}; {on}"));
        let looked = open(&cluster.server(&name), Access::Look, None).unwrap().verify_ledger(None).await.unwrap();
        assert_eq!(looked.findings, findings, "{deed}");
    }
}

/// What is in the database, and in all that is made of it, is nobody's name, address, code or message.
#[tokio::test]
async fn nothing_of_a_sealed_store_is_read_in_its_dump() {
    let Some(cluster) = database("sealed") else { return };
    let server = cluster.server("sealed");
    let outbox = open(&server, Access::Daemon, Some(&key(7))).unwrap();
    let store = Store { outbox: Arc::new(outbox), _folder: None };
    let notices = [addressed(1, Occasion::Invite, 0, mail("zebulon")), addressed(1, Occasion::Reminder, 0, text(77))];
    let mut session = walked(1, "first", notices.iter().cloned().map(Change::Add).collect());
    session.record = r#"{"SessionId":1,"Name":"Zebulon","ConnectCode":"701678455"}"#.into();
    store.outbox.apply(walk(vec![session])).await.unwrap();
    let claim = store.doubt_one(0).await;
    store.settle(1, &claim, accepted()).await;
    store.outbox.suppress(minute(2), &mail("zebulon"), punctual::suppression::Suppression::OptedOut, None).await.unwrap();
    let bytes = store.outbox.deliveries(claim.entry.notice.key).await.unwrap().1.unwrap();
    assert!(String::from_utf8(bytes).unwrap().contains("the bytes of"));
    drop(store);
    let dump = cluster.dump("sealed");
    assert!(dump.contains("settled") && dump.contains("COPY public.notice"), "it is whole");
    for secret in ["zebulon", "Zebulon", "701678455", "5550177", "the bytes of"] {
        assert!(!dump.contains(secret), "{secret}");
    }
    let (none, other) = (why(&server, Access::Daemon, None), why(&server, Access::Daemon, Some(&key(8))));
    assert!(none.contains("it is sealed: set [store] key_file"), "{none}");
    assert!(other.contains("sealed with another key"), "{other}");
    drop(open(&server, Access::Daemon, Some(&key(7))).unwrap());
}
