//! What was answered is on the disk: processes killed at random moments, and many writers in one commit.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use chrono::TimeDelta;
use punctual::entry::{Change, State};
use punctual::notice::{NoticeKey, Occasion};
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Actions, Attempts, Claim, ClaimRequest, Filter, Queries, Returned, Upkeep, Walks};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::outbox::fixture::{accepted, begin, lease, minute, notice, request, retry, returned, unknown, walk, walked};

/// Processes that are killed.
const KILLS: u32 = 60;
/// Attempts at once in each.
const ATTEMPTS: u32 = 8;
/// Acknowledgements read, at most, before the kill.
const ACKS: u32 = 160;
/// The variable that tells this binary to be the child: the path of the store.
const CHILD: &str = "PUNCTUAL_TEST_KILLED";

fn open(path: &Path) -> SqliteOutbox {
    SqliteOutbox::open(&format!("sqlite://{}", path.display()), Access::Daemon).unwrap()
}

fn random(below: u32) -> u32 {
    getrandom::u32().unwrap() % below
}

/// Tells the parent what the store answered. One write a line: a kill cannot cut it in the middle of another's.
fn tell(event: &str, key: NoticeKey) {
    println!("ack {event} {key}");
}

/// In the child: works until it is killed.
#[test]
#[ignore = "the child of another test"]
fn child_works() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(Path::new(&path)));
        let me = std::process::id();
        let found = store.recover(&me.to_string(), minute(0), true).await.unwrap();
        store.resolve_doubt(minute(0), found.in_doubt.iter().map(|key| (*key, Some(minute(0)))).collect()).await.unwrap();
        let mut work = JoinSet::new();
        work.spawn(plan(store.clone(), i64::from(me)));
        for _ in 0..ATTEMPTS {
            work.spawn(attempt(store.clone(), me));
        }
        work.join_all().await;
    });
}

/// New sessions, for ever.
async fn plan(store: Arc<SqliteOutbox>, process: i64) {
    for number in 0.. {
        let invite = notice(process * 100_000 + number, Occasion::Invite, 0);
        let key = invite.key;
        store.apply(walk(vec![walked(invite.session.0, "first", vec![Change::Add(invite)])])).await.unwrap();
        tell("added", key);
    }
}

/// Attempts, for ever, with every kind of end.
async fn attempt(store: Arc<SqliteOutbox>, process: u32) {
    loop {
        let request = ClaimRequest { owner: process.to_string(), limit: 3, ..request(0) };
        for claim in store.claim(request).await.unwrap() {
            hand_over(&store, &claim).await;
        }
    }
}

async fn hand_over(store: &SqliteOutbox, claim: &Claim) {
    let key = claim.entry.notice.key;
    tell("claimed", key);
    if random(2) == 0 {
        assert!(store.take(begin(claim, 0), TimeDelta::minutes(1)).await.unwrap());
    } else {
        assert_eq!(store.begin(vec![begin(claim, 0)]).await.unwrap(), [true]);
        tell("begun", key);
        assert!(store.doubt(lease(claim), claim.revision, TimeDelta::minutes(1)).await.unwrap());
    }
    tell("doubted", key);
    let (word, end) = match random(8) {
        0 => ("retry", retry(0)),
        1 => ("returned", returned(Returned::Stopped, 0)),
        2 => ("unknown", unknown(Some(0))),
        _ => ("accepted", accepted()),
    };
    assert_eq!(store.settle(minute(0), vec![(lease(claim), end)]).await.unwrap(), [true]);
    tell(word, key);
}

/// Starts a child, reads some acknowledgements, kills it, and reads what it had still said.
fn kill_one(path: &Path, acked: &mut HashMap<String, Vec<String>>) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::child_works", "--ignored", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
    let last = 1 + random(ACKS);
    let mut seen = 0;
    for line in lines {
        let line = String::from_utf8(line.unwrap()).unwrap();
        let Some((event, key)) = line.strip_prefix("ack ").and_then(|l| l.split_once(' ')) else { continue };
        if key.len() == 32 {
            acked.entry(key.to_owned()).or_default().push(event.to_owned());
            seen += 1;
        }
        if seen == last {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it works until it is killed");
    assert!(seen >= last, "it said {seen} of {last}");
    seen as usize
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let mut acked = HashMap::new();
    let mut count = 0;
    for kill in 0..KILLS {
        count += kill_one(&path, &mut acked);
        is_whole(&path);
        let told = ledger(&path);
        for (key, events) in &acked {
            assert!(
                is_told(events, told.get(key).map_or(&[][..], Vec::as_slice)),
                "kill {kill}: {key}: {events:?} is not in {:?}",
                told.get(key)
            );
        }
    }
    assert!(count > KILLS as usize * 10, "{count} acknowledgements are too few to mean anything");
    ends_agree(&path, &acked);
}

/// SQLite's own check, with the log that the killed process left.
fn is_whole(path: &Path) {
    let copy = tempfile::tempdir().unwrap();
    let to = |suffix: &str| -> PathBuf { copy.path().join(format!("outbox.db{suffix}")) };
    std::fs::copy(path, to("")).unwrap();
    std::fs::copy(format!("{}-wal", path.display()), to("-wal")).unwrap();
    let connection = Connection::open(to("")).unwrap();
    let found: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
    let orphans = connection.prepare("PRAGMA foreign_key_check").unwrap().query_map([], |_| Ok(())).unwrap().count();
    assert_eq!(orphans, 0);
    let (rows, last): (i64, i64) =
        connection.query_row("SELECT count(*), coalesce(max(seq), 0) FROM ledger", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    assert_eq!(rows, last, "no row of the ledger is missing");
}

/// What the ledger tells of each notice, in the children's words.
fn ledger(path: &Path) -> HashMap<String, Vec<String>> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT lower(hex(notice_key)), event, coalesce(detail, '') FROM ledger ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))).unwrap();
    let mut told: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        let (key, event, detail) = row.unwrap();
        let word = match (event.as_str(), detail.split(':').next()) {
            ("settled", Some("stopped")) => "returned",
            ("settled", Some(outcome)) => outcome,
            (event, _) => event,
        };
        told.entry(key).or_default().push(word.to_owned());
    }
    told
}

/// Each acknowledged event is in the ledger, as often as it was acknowledged. (Not in that order: the child's tasks tell side by side.)
fn is_told(acked: &[String], told: &[String]) -> bool {
    let count = |of: &[String], event: &String| of.iter().filter(|e| *e == event).count();
    acked.iter().all(|event| count(acked, event) <= count(told, event))
}

/// A last start: nothing is lost, and an acknowledged acceptance is one.
fn ends_agree(path: &Path, acked: &HashMap<String, Vec<String>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = open(path);
        store.recover("last", minute(0), true).await.unwrap();
        let entries = store.list(&Filter::default()).await.unwrap();
        let states: HashMap<String, State> = entries.iter().map(|e| (e.notice.key.to_string(), e.state)).collect();
        for (key, events) in acked {
            let state = states.get(key).copied().unwrap_or_else(|| panic!("{key} is lost: {events:?}"));
            assert!(!matches!(state, State::Claimed | State::Sending), "{key} is {state} after a recovery");
            if events.iter().any(|e| e == "accepted") {
                assert_eq!(state, State::Accepted, "{key}: {events:?}");
                assert_eq!(events.iter().filter(|e| *e == "accepted").count(), 1, "{key} was accepted twice");
            }
        }
    });
}

#[tokio::test]
async fn many_doubts_share_a_commit() {
    const MANY: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("outbox.db")));
    let sessions = (1..=MANY as i64).map(|n| walked(n, "first", vec![Change::Add(notice(n, Occasion::Invite, 0))]));
    store.apply(walk(sessions.collect())).await.unwrap();
    let claims = store.claim(ClaimRequest { limit: MANY, ..request(0) }).await.unwrap();
    assert_eq!(store.begin(claims.iter().map(|c| begin(c, 0)).collect()).await.unwrap(), [true; MANY]);

    let before = store.commits();
    let mut doubts = JoinSet::new();
    for claim in claims {
        let store = store.clone();
        doubts.spawn(async move { store.doubt(lease(&claim), claim.revision, TimeDelta::minutes(1)).await.unwrap() });
    }
    assert!(doubts.join_all().await.into_iter().all(|held| held));
    let commits = store.commits() - before;
    assert!((1..=MANY as u64 / 8).contains(&commits), "{MANY} doubts took {commits} commits");
}

/// One connection: the end of each message is written with the beginning of the next one, though they are asked for one after the other.
#[tokio::test]
async fn an_end_and_the_next_beginning_share_a_commit() {
    const MANY: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("outbox.db"));
    let sessions = (1..=MANY as i64).map(|n| walked(n, "first", vec![Change::Add(notice(n, Occasion::Invite, 0))]));
    store.apply(walk(sessions.collect())).await.unwrap();
    let claims = store.claim(ClaimRequest { limit: MANY, ..request(0) }).await.unwrap();
    assert_eq!(claims.len(), MANY, "however many are claimed in one write");
    assert!(claims.is_sorted_by_key(|c| (c.entry.notice.useful_until, c.entry.notice.due_at)), "the most urgent first");

    let margin = TimeDelta::minutes(1);
    assert!(store.take(begin(&claims[0], 0), margin).await.unwrap());
    let before = store.commits();
    for (this, next) in claims.iter().zip(&claims[1..]) {
        let (ended, taken) =
            tokio::join!(biased; store.settle_with_next(minute(1), lease(this), accepted()), store.take(begin(next, 1), margin));
        assert!(ended.unwrap() && taken.unwrap());
    }
    // A thread may be kept from its core for longer than the first one waits.
    let commits = store.commits() - before;
    assert!((MANY as u64 - 1..=MANY as u64 * 3 / 2).contains(&commits), "{MANY} messages took {commits} commits");
}

/// A daemon and a command write side by side: each waits for the other, and neither loses anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_in_turn() {
    const EACH: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let daemon = Arc::new(open(&path));
    let command = Arc::new(SqliteOutbox::open(&format!("sqlite://{}", path.display()), Access::Command).unwrap());
    let mut work = JoinSet::new();
    for (store, event) in [(&daemon, "walk"), (&command, "reveal")] {
        let store = store.clone();
        work.spawn(async move {
            for _ in 0..EACH {
                store.record_event(minute(0), event.into(), "").await.unwrap();
            }
        });
    }
    work.join_all().await;
    let rows = daemon.ledger(None, 0, usize::MAX).await.unwrap();
    assert_eq!(rows.len(), 2 * EACH);
    assert_eq!(rows.iter().filter(|r| r.event == "reveal").count(), EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_while_the_store_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("outbox.db")));
    let invite = notice(1, Occasion::Invite, 0);
    store.apply(walk(vec![walked(1, "first", vec![Change::Add(invite.clone())])])).await.unwrap();
    let copy = folder.path().join("copy.db");
    let busy = tokio::spawn(plan(store.clone(), 7));
    store.backup(&copy, |_, _| {}).await.unwrap();
    busy.abort();
    assert!(store.backup(&copy, |_, _| {}).await.unwrap_err().to_string().contains("cannot be created"), "no file is overwritten");
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!folder.path().join("copy.db-wal").exists(), "the copy is one file");

    let restored = open(&copy);
    let entries = restored.list(&Filter { keys: vec![invite.key], ..Filter::default() }).await.unwrap();
    assert_eq!((entries.len(), entries[0].state), (1, State::Waiting));
    assert_eq!(restored.reference_key().await.unwrap(), store.reference_key().await.unwrap(), "resends keep their Message-IDs");
}

/// What was purged is not in the file either: the bytes of a message, and the record, hold a code.
#[tokio::test]
async fn what_is_purged_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let found = |needle: &[u8]| {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|f| std::fs::read(f.unwrap().path()).unwrap());
        files.map(|bytes| bytes.windows(needle.len()).filter(|w| *w == needle).count()).sum::<usize>()
    };
    let store = open(&path);
    let mut session = walked(1, "first", vec![Change::Add(notice(1, Occasion::Invite, 0))]);
    session.record = r#"{"ConnectCode":701678455}"#.into();
    store.apply(walk(vec![session])).await.unwrap();
    let claim = store.claim(request(0)).await.unwrap().remove(0);
    let begin = punctual::outbox::Begin { bytes: b"Your code is 701-678-455".as_slice().into(), ..begin(&claim, 0) };
    assert_eq!(store.begin(vec![begin]).await.unwrap(), [true]);
    assert_eq!(store.settle(minute(1), vec![(lease(&claim), accepted())]).await.unwrap(), [true]);
    assert!(found(b"701678455") > 0 && found(b"701-678-455") > 0, "they were there");
    let retention = punctual::outbox::Retention { content_before: minute(100_000), history_before: minute(-100_000) };
    let purged = store.purge(minute(100_000), retention).await.unwrap();
    assert_eq!((purged.contents, purged.records), (1, 1));
    drop(store);
    assert_eq!((found(b"701678455"), found(b"701-678-455")), (0, 0));
}
