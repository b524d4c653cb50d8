//! `store copy`: a practice moves to another store, whole, and the one that it left is used no more.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use punctual::entry::State;
use punctual::ledger::{Event, LedgerRow};
use punctual::notice::Occasion;
use punctual::outbox::copy::{Copied, StoreLocation, copy};
use punctual::outbox::postgres::PostgresOutbox;
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Outbox, StoreKey};
use rusqlite::Connection;

use super::cluster::{Cluster, cluster};
use super::fixture::{Store, accepted, addressed, begin, mail, minute, notice};
use super::sealed::{fill, key, recompute};

/// A folder, and the places that a practice moves between.
struct Moves {
    folder: tempfile::TempDir,
    key: Option<StoreKey>,
}

impl Moves {
    fn with(key: Option<StoreKey>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), key }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str) -> StoreLocation {
        StoreLocation::File(self.at(name))
    }

    fn open(&self, place: &StoreLocation, access: Access) -> Result<Arc<dyn Outbox>, String> {
        let key = self.key.as_ref();
        match place {
            StoreLocation::File(path) => SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), access, key)
                .map(|store| Arc::new(store) as Arc<dyn Outbox>)
                .map_err(|e| e.to_string()),
            StoreLocation::Database(server, practice) => PostgresOutbox::open(server, practice, access, key)
                .map(|store| Arc::new(store) as Arc<dyn Outbox>)
                .map_err(|e| e.to_string()),
        }
    }

    fn daemon(&self, place: &StoreLocation) -> Store {
        Store { outbox: self.open(place, Access::Daemon).unwrap(), _folder: None }
    }

    fn copy(&self, from: &StoreLocation, to: &StoreLocation) -> Result<Copied, String> {
        copy((from, to), self.key.as_ref(), minute(900), |_| {}).map_err(|e| e.to_string())
    }
}

fn database(cluster: &Cluster, name: &str) -> StoreLocation {
    cluster.create(name);
    PostgresOutbox::migrate(&cluster.server(name)).unwrap();
    StoreLocation::Database(Box::new(cluster.server(name)), "clinic".to_owned())
}

/// A file that knows much, with one hand-over whose answer nobody knows.
async fn filled(moves: &Moves) -> StoreLocation {
    let place = moves.file("first.db");
    let StoreLocation::File(path) = &place else { unreachable!() };
    fill(SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), Access::Daemon, moves.key.as_ref()).unwrap()).await;
    let store = moves.daemon(&place);
    store.add(3, &[notice(3, Occasion::Invite, 0)]).await;
    store.doubt_one(5).await;
    store.add(4, &[notice(4, Occasion::Reminder, 100)]).await;
    store.outbox.record_event(minute(6), Event::Reveal, "session 4").await.unwrap();
    place
}

/// All tables of a file but its own row, without what the moves themselves noted.
fn dump(path: &Path) -> String {
    let file = Connection::open(path).unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'identity' ORDER BY name";
    let tables: Vec<String> = file.prepare(tables).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = String::new();
    for table in tables {
        let of = if table == "ledger" { "WHERE event NOT LIKE 'copied_%'" } else { "" };
        let mut rows = file
            .prepare(&format!("SELECT * FROM {table} {of} ORDER BY 1, 2, 3"))
            .or_else(|_| file.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")))
            .unwrap();
        let width = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let row: Vec<_> = (0..width).map(|place| row.get_unwrap::<_, rusqlite::types::Value>(place)).collect();
            writeln!(all, "{table} {row:?}").unwrap();
        }
    }
    all
}

/// From a file to a database, and to a file again: sealed or not, each row is what it was.
#[tokio::test]
async fn a_practice_moves_whole_to_a_database_and_back() {
    let Some(cluster) = cluster() else { return };
    for (name, key) in [("moved_plain", None), ("moved_sealed", Some(key(7)))] {
        let moves = Moves::with(key);
        let first = filled(&moves).await;
        let (there, back) = (database(cluster, name), moves.file("back.db"));
        let before = dump(&moves.at("first.db"));
        let copied = moves.copy(&first, &there).unwrap();
        assert!(copied.rows > 20 && copied.ledger > 5 && !copied.held, "{copied:?}");
        let again = moves.copy(&there, &back).unwrap();
        assert_eq!((again.rows, again.ledger), (copied.rows + 2, copied.ledger + 2), "and both ends of the first move");
        assert_eq!(dump(&moves.at("back.db")), before);
        let store = moves.daemon(&back);
        assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
        let events: Vec<Event> =
            store.ledger().await.into_iter().map(|row| row.event).filter(|event| event.as_str().starts_with("copied")).collect();
        assert_eq!(events, ["copied_to", "copied_from", "copied_to", "copied_from"]);
        // It works there: numbers, keys and chains go on.
        store.add(5, &[notice(5, Occasion::Invite, 700)]).await;
        assert!(moves.open(&first, Access::Daemon).is_err() && moves.open(&there, Access::Command).is_err());
    }
}

/// A database keeps a chain for each program that hands over; a file keeps one. Its rows are those of all, and what was cut shows as before.
#[tokio::test]
async fn a_ledger_of_several_chains_moves_into_one() {
    let Some(cluster) = cluster() else { return };
    for (name, key) in [("merged_plain", None), ("merged_sealed", Some(key(7)))] {
        let moves = Moves::with(key);
        let (first, there, back) = (filled(&moves).await, database(cluster, name), moves.file("back.db"));
        moves.copy(&first, &there).unwrap();
        for session in 20..22 {
            let store = moves.daemon(&there);
            store.add(session, &[addressed(session, Occasion::Invite, 0, mail("zoe"))]).await;
            for claim in store.claim(7).await {
                assert_eq!(store.outbox.begin(vec![begin(&claim, 7)]).await.unwrap(), [true]);
                assert!(store.settle(8, &claim, accepted()).await);
            }
        }
        let look = moves.open(&there, Access::Look).unwrap();
        let (before, head) = (look.ledger(None, 0, 1000).await.unwrap(), look.verify_ledger(None).await.unwrap().head);
        assert_eq!(before.iter().filter(|row| row.event == "chain").count(), 2);
        drop(look);
        let copied = moves.copy(&there, &back).unwrap();
        assert_eq!(copied.ledger, before.len() as u64 + 2, "`copied_to`, and `merged`");
        let store = moves.daemon(&back);
        assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
        let after = store.outbox.ledger(None, 0, 1000).await.unwrap();
        let merged = after.iter().position(|row| row.event == "merged").unwrap();
        let links = |rows: &[LedgerRow]| rows.iter().map(|row| (row.seq, row.chain)).collect::<Vec<_>>();
        assert_eq!(links(&after[..merged]), links(&before[..merged]), "as they were");
        let left = moves.open(&there, Access::Look).unwrap().verify_ledger(None).await.unwrap().head;
        assert_eq!(left.seq, head.seq + 1, "`copied_to`");
        let says = after[merged].detail.clone().unwrap();
        assert!(says.contains("3 chains") && says.ends_with(&left.to_string()), "{says}");
        let told = |rows: &[LedgerRow]| rows.iter().map(|row| (row.at, row.key.clone(), row.detail.clone())).collect::<Vec<_>>();
        assert_eq!(told(&after[merged + 1..after.len() - 2]), told(&before[merged..]), "in the order of writing");
        // Nothing of the old chains is taken for one of a new store.
        drop(store);
        let again = database(cluster, &format!("{name}_again"));
        moves.copy(&back, &again).unwrap();
        let store = moves.daemon(&again);
        store.add(30, &[addressed(30, Occasion::Invite, 0, mail("zoe"))]).await;
        let claims = store.claim(9).await;
        assert_eq!(store.outbox.begin(vec![begin(&claims[0], 9)]).await.unwrap(), [true]);
        assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
        let texts: Vec<String> = moves.key.iter().map(|key| key.text().to_string()).collect();
        assert!(recompute(&store.outbox.ledger(None, 0, 1000).await.unwrap(), &texts), "{name}");
    }
}

/// What was in doubt is in doubt there, what waits is sent there, and what was told is told nobody again.
#[tokio::test]
async fn nothing_is_lost_and_nothing_told_twice_in_a_database() {
    let Some(cluster) = cluster() else { return };
    let moves = Moves::with(Some(key(7)));
    let first = filled(&moves).await;
    let there = database(cluster, "moved_on");
    moves.copy(&first, &there).unwrap();
    let store = moves.daemon(&there);
    assert_eq!(store.outbox.hold_restored(&["clinic".to_owned()], &[], minute(7)).await.unwrap(), None, "it is no older copy");
    let recovered = store.outbox.recover("two", minute(7), true).await.unwrap();
    assert_eq!(recovered.in_doubt.len(), 1, "{recovered:?}");
    assert_eq!(store.add(1, &[addressed(1, Occasion::Invite, 0, mail("zebulon"))]).await.added, 0, "a key is held once, for ever");
    assert_eq!(store.entry(addressed(1, Occasion::Invite, 0, mail("zebulon")).key).await.state, State::Accepted);
    assert_eq!(store.add(6, &[notice(6, Occasion::Invite, 100)]).await.added, 1);
    let due: Vec<i64> = store.claim(100).await.iter().map(|claim| claim.entry.notice.session.0).collect();
    assert_eq!(due.len(), 2, "of sessions 4 and 6: {due:?}");
    assert!(store.outbox.suppressions().await.unwrap().len() >= 2);
    assert_eq!(store.outbox.verify_ledger(None).await.unwrap().findings, []);
}

#[tokio::test]
async fn the_store_that_was_left_is_used_no_more() {
    let moves = Moves::with(None);
    let first = filled(&moves).await;
    let second = moves.file("second.db");
    // A command that opened it before writes nothing behind its end.
    let before = moves.open(&first, Access::Command).unwrap();
    moves.copy(&first, &second).unwrap();
    let why = before.record_event(minute(9), Event::Reveal, "session 4").await.unwrap_err().to_string();
    assert!(why.contains("was copied to"), "{why}");
    drop(before);
    for access in [Access::Daemon, Access::Command] {
        let why = moves.open(&first, access).err().unwrap();
        assert!(why.contains("was copied to") && why.contains("second.db") && why.contains("[store] url"), "{why}");
    }
    let looked = moves.open(&first, Access::Look).unwrap().verify_ledger(None).await.unwrap();
    assert_eq!(looked.findings, []);
    let elsewhere = moves.copy(&first, &moves.file("third.db")).unwrap_err();
    assert!(elsewhere.contains("second.db"), "{elsewhere}");
    assert!(!moves.at("third.db").exists());
}

/// It ended between the two commits: neither store is used, and the copy goes once more, with a hold.
#[tokio::test]
async fn a_copy_that_ended_in_the_middle_goes_once_more() {
    let Some(cluster) = cluster() else { return };
    let moves = Moves::with(Some(key(7)));
    let first = filled(&moves).await;
    let (second, there) = (moves.file("second.db"), database(cluster, "moved_twice"));
    moves.copy(&first, &second).unwrap();
    for name in ["second.db", "second.db.mark", "second.db.lock"] {
        fs::remove_file(moves.at(name)).unwrap();
    }
    assert!(moves.copy(&first, &second).unwrap().held);
    // (From there to a database, likewise.)
    let refused = moves.copy(&second, &there).unwrap_err();
    assert!(refused.contains("start the daemon on it once"), "{refused}");
    let store = moves.daemon(&second);
    let restored = store.outbox.hold_restored(&["clinic".to_owned()], &[], minute(200)).await.unwrap().unwrap();
    assert_eq!(restored.held, 2, "sessions 2 and 4");
    drop(store);
    moves.copy(&second, &there).unwrap();
    cluster.sql("moved_twice", "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    let StoreLocation::Database(server, _) = &there else { unreachable!() };
    PostgresOutbox::migrate(server).unwrap();
    assert!(moves.copy(&second, &there).unwrap().held);
    let store = moves.daemon(&there);
    assert!(store.outbox.hold_restored(&["clinic".to_owned()], &[], minute(200)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_and_left_as_it_is() {
    let Some(cluster) = cluster() else { return };
    let moves = Moves::with(Some(key(7)));
    let first = filled(&moves).await;
    let there = database(cluster, "moved_not");
    let served = moves.daemon(&first);
    let why = moves.copy(&first, &there).unwrap_err();
    assert!(why.contains("another punctual uses it"), "{why}");
    drop(served);
    for (to, says) in [(&first, "the same place"), (&moves.file("none/there.db"), "does not exist")] {
        let why = moves.copy(&first, to).unwrap_err();
        assert!(why.contains(says), "{why}");
    }
    fs::write(moves.at("taken.db"), "").unwrap();
    assert!(moves.copy(&first, &moves.file("taken.db")).unwrap_err().contains("something is there already"));
    assert!(moves.copy(&moves.file("missing.db"), &there).unwrap_err().contains("there is no store"));
    let other = Moves { folder: tempfile::tempdir().unwrap(), key: Some(key(8)) };
    assert!(other.copy(&first, &there).unwrap_err().contains("another key"));
    // Not empty: somebody was told something there.
    let store = moves.daemon(&there);
    store.add(9, &[notice(9, Occasion::Invite, 0)]).await;
    drop(store);
    assert!(moves.copy(&first, &there).unwrap_err().contains("is not empty"));
    // A row was changed: nobody goes on with it unseen.
    let StoreLocation::File(path) = &first else { unreachable!() };
    let deed = "UPDATE session SET record = digest WHERE id = 1";
    let (kept, undo, cut) = (fs::read(path).unwrap(), moves.file("new.db"), database(cluster, "moved_cut"));
    Connection::open(path).unwrap().execute(deed, []).unwrap();
    for to in [&undo, &cut] {
        assert!(moves.copy(&first, to).unwrap_err().contains("its table session does not open"));
    }
    fs::write(path, kept).unwrap();
    let left: Vec<String> =
        fs::read_dir(moves.folder.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.contains(".part") && name != "new.db"), "{left:?}");
    assert!(moves.open(&first, Access::Daemon).is_ok(), "it is as it was");
    // A database into which a copy was begun is no new practice's.
    let why = moves.open(&cut, Access::Daemon).err().unwrap();
    assert!(why.contains("did not end"), "{why}");
    moves.copy(&first, &cut).unwrap();
    assert!(moves.open(&cut, Access::Daemon).is_ok());
}
