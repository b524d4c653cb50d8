//! What a file must be before it is trusted, and what the errors say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use punctual::entry::AttemptEnd;
use punctual::ledger::Event;
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Actions, Attempts, Filter, Queries, Upkeep, Walks};
use rusqlite::Connection;

use super::fixture::{minute, notice, walk, walked};

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// A store with some hundred notices, closed.
async fn filled(path: &Path) {
    let store = SqliteOutbox::open(&url(path), Access::Daemon).unwrap();
    let sessions = (1..300).map(|n| {
        let invite = notice(n, punctual::notice::Occasion::Invite, 0);
        walked(n, "first", vec![punctual::entry::Change::Add(invite)])
    });
    store.apply(walk(sessions.collect())).await.unwrap();
}

/// What opening says, and that it names the file.
fn refusal(path: &Path, access: Access) -> String {
    let error = SqliteOutbox::open(&url(path), access).err().expect("it is refused").to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    error
}

#[test]
fn urls() {
    for (url, says) in [
        ("postgres://localhost/punctual", "expected sqlite:// and the path of a file"),
        ("/var/lib/punctual.db", "expected sqlite:// and the path of a file"),
        ("sqlite://", "there is no path after sqlite://"),
        ("sqlite://:memory:", "would forget what was sent"),
        ("sqlite:///var/lib/punctual/", "the path is a folder"),
    ] {
        let error = punctual::outbox::sqlite::path_of(url).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(url), "{error}");
    }
    let path = |url| punctual::outbox::sqlite::path_of(url).unwrap();
    assert_eq!(path("sqlite:///var/lib/punctual.db"), Path::new("/var/lib/punctual.db"));
    assert_eq!(path("sqlite://state/punctual.db"), Path::new("state/punctual.db"));
}

/// Makes the file what it should not be; who opens it; what the error says.
type Case = (&'static str, fn(&Path), Access, &'static str);

#[tokio::test]
async fn what_is_no_sound_store_is_refused() {
    let cases: [Case; 13] = [
        ("no folder", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap(), Access::Daemon, "does not exist: make it (mode 0700)"),
        (
            "a folder",
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            Access::Daemon,
            "it is a folder",
        ),
        ("a text", |path| fs::write(path, "Dear Trevor, ".repeat(100)).unwrap(), Access::Daemon, "the file is no SQLite database"),
        (
            "a text, for a command",
            |path| fs::write(path, "Dear Trevor, ".repeat(100)).unwrap(),
            Access::Command,
            "the file is no SQLite database",
        ),
        ("cut short", |path| cut(path, 2), Access::Daemon, "is damaged"),
        ("cut within its first page", |path| fs::write(path, &fs::read(path).unwrap()[..512]).unwrap(), Access::Daemon, "is damaged"),
        ("overwritten", overwrite, Access::Daemon, "restore the last backup"),
        (
            "empty beside its log",
            |path| {
                fs::write(beside(path, "-wal"), [7; 64]).unwrap();
                fs::write(path, "").unwrap();
            },
            Access::Daemon,
            "the file is empty, but its log",
        ),
        (
            "gone beside its log",
            |path| {
                fs::write(beside(path, "-wal"), [7; 64]).unwrap();
                fs::remove_file(path).unwrap();
            },
            Access::Daemon,
            "the file is gone, but its log",
        ),
        (
            "of a newer punctual",
            |path| pragma(path, "user_version = 99"),
            Access::Daemon,
            "its schema is version 99, and this punctual knows",
        ),
        ("of a newer punctual, for a command", |path| pragma(path, "user_version = 99"), Access::Command, "its schema is version 99"),
        ("of another program", |path| pragma(path, "application_id = 7"), Access::Daemon, "it is the database of another program"),
        ("not there, for a command", |path| fs::remove_file(path).unwrap(), Access::Command, "there is no store yet"),
    ];
    for (name, spoil, access, says) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state").join("outbox.db");
        fs::create_dir(path.parent().unwrap()).unwrap();
        filled(&path).await;
        spoil(&path);
        let error = refusal(&path, access);
        assert!(error.contains(says), "{name}: {error}");
    }
}

fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    path.with_file_name(format!("{}{suffix}", path.file_name().unwrap().to_str().unwrap()))
}

fn cut(path: &Path, by: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / by / 4096 * 4096).unwrap();
}

/// Every page after the first.
fn overwrite(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[4096..].fill(0xA5);
    fs::write(path, bytes).unwrap();
}

fn pragma(path: &Path, pragma: &str) {
    Connection::open(path).unwrap().execute_batch(&format!("PRAGMA {pragma}")).unwrap();
}

/// As a released version left it: the first schema file, and nothing after.
#[tokio::test]
async fn an_older_file_is_brought_up_to_date_and_keeps_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../../src/outbox/schema/0001_outbox.sql")).unwrap();
    old.execute("INSERT INTO identity (id, reference_key) VALUES (1, ?1)", [[9_u8; 32]]).unwrap();
    old.execute_batch("INSERT INTO ledger (at, event) VALUES (0, 'reveal'); PRAGMA application_id = 1347306324; PRAGMA user_version = 1")
        .unwrap();
    drop(old);
    assert!(refusal(&path, Access::Command).contains("start the daemon of this version once"));
    let store = SqliteOutbox::open(&url(&path), Access::Daemon).unwrap();
    assert_eq!(store.reference_key().await.unwrap(), [9; 32]);
    assert_eq!(store.ledger(None, 0, 10).await.unwrap()[0].event, "reveal");
    assert!(store.staff_letters(chrono::DateTime::UNIX_EPOCH).await.unwrap().is_empty());
    drop(store);
    SqliteOutbox::open(&url(&path), Access::Command).unwrap();
}

#[tokio::test]
async fn an_empty_file_is_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    fs::write(&path, "").unwrap();
    assert!(refusal(&path, Access::Command).contains("there is no store yet"));
    let store = SqliteOutbox::open(&url(&path), Access::Daemon).unwrap();
    assert!(store.seen("clinic").await.unwrap().is_none());
}

#[tokio::test]
async fn the_file_and_what_is_beside_it_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    filled(&path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = SqliteOutbox::open(&url(&path), Access::Daemon).unwrap();
    store.record_event(minute(0), Event::Reveal, "nothing").await.unwrap();
    for suffix in ["", "-wal", "-shm", ".lock", ".mark"] {
        let mode = beside(&path, suffix).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix:?} has mode {mode:o}");
    }
}

#[tokio::test]
async fn one_daemon_and_any_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let daemon = SqliteOutbox::open(&url(&path), Access::Daemon).unwrap();
    assert!(refusal(&path, Access::Daemon).contains("another punctual uses it"));
    let command = SqliteOutbox::open(&url(&path), Access::Command).unwrap();
    assert_eq!(command.reference_key().await.unwrap(), daemon.reference_key().await.unwrap());
    let invite = notice(1, punctual::notice::Occasion::Invite, 0);
    daemon.apply(walk(vec![walked(1, "first", vec![punctual::entry::Change::Add(invite.clone())])])).await.unwrap();
    assert_eq!(command.act(&[invite.key], punctual::outbox::Action::Hold, super::fixture::minute(1)).await.unwrap(), 1);
    assert_eq!(daemon.list(&Filter::default()).await.unwrap()[0].state, punctual::entry::State::Held);
    let key = daemon.reference_key().await.unwrap();
    drop(daemon);
    let next = SqliteOutbox::open(&url(&path), Access::Daemon).unwrap();
    assert_eq!(next.reference_key().await.unwrap(), key, "it is drawn once");
}

/// The variable that tells this binary to be the child of [`who_may_not_write_is_told_so`].
const CHILD: &str = "PUNCTUAL_TEST_OPEN";

/// In the child: opens the store, and says what happened.
#[test]
#[ignore = "the child of another test"]
fn child_opens() {
    let Ok(path) = std::env::var(CHILD) else { return };
    match SqliteOutbox::open(&url(Path::new(&path)), Access::Daemon) {
        Ok(_) => println!("opened"),
        Err(e) => println!("refused: {e}"),
    }
}

/// Permission bits do not bind the superuser, so that the child runs as nobody if this test runs as root.
#[tokio::test]
async fn who_may_not_write_is_told_so() {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("it");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let root = made_by_root(folder.path());
    for (name, file_mode, folder_mode, says) in
        [("file", 0o400, 0o777, "cannot be written"), ("folder", 0o600, 0o555, "needs write permission in")]
    {
        let state = folder.path().join(name);
        fs::create_dir(&state).unwrap();
        let path = state.join("outbox.db");
        filled(&path).await;
        if name == "folder" {
            fs::remove_file(beside(&path, ".lock")).unwrap();
        } else {
            fs::set_permissions(beside(&path, ".lock"), fs::Permissions::from_mode(0o666)).unwrap();
        }
        if root {
            std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(folder_mode)).unwrap();
        let mut child = Command::new(&binary);
        child.args(["--exact", "outbox::opening::child_opens", "--ignored", "--nocapture"]).env(CHILD, &path);
        if root {
            child.uid(NOBODY).gid(NOBODY);
        }
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        let line = output.lines().find(|l| l.contains("refused: ")).unwrap_or_else(|| panic!("{name}: {output}"));
        assert!(line.contains(says) && line.contains(&path.display().to_string()), "{name}: {line}");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn made_by_root(own: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    own.metadata().unwrap().uid() == 0
}

/// One notice of an older file, in doubt when its process ended.
const IN_DOUBT: &str = "
    INSERT INTO identity (id, reference_key) VALUES (1, zeroblob(32));
    INSERT INTO source (name, last_snapshot_at, policy_digest) VALUES ('clinic', 0, 'policy');
    INSERT INTO session (source, id, revision, digest, start_at, ambiguous, record) VALUES ('clinic', 1, 3, 'first', 9000, '[]', '{}');
    INSERT INTO participant (source, session_id, participation_id, first_seen, start_at, start_known_at, adopted, facts, facts_known_at,
                             cancelled, absences) VALUES ('clinic', 1, 11, 0, 9000, 0, 0, 'facts', 0, 0, 0);
    INSERT INTO notice (key, source, session_id, participation_id, role, occasion, channel, address, start_at, due_at, useful_until, state,
                        phase, next_attempt_at, attempts, changed_at, epoch, owner, lease_until, claimed_from, facts)
        VALUES (x'00112233445566778899aabbccddeeff', 'clinic', 1, 11, 'participant', 'invite', 'email', 'trevor@example.com', 9000, 5, 9000,
                'sending', 'doubt', 5, 1, 6, 4, 'old', 7, 'waiting', 'told');
    INSERT INTO content (notice_key, bytes) VALUES (x'00112233445566778899aabbccddeeff', CAST('Your code is 701-678-455.' AS BLOB));
    INSERT INTO delivery (notice_key, attempt, epoch, started_at, phase, transport)
        VALUES (x'00112233445566778899aabbccddeeff', 1, 4, 6, 'doubt', 'folder');";

#[tokio::test]
async fn an_older_file_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../../src/outbox/schema/0001_outbox.sql")).unwrap();
    old.execute_batch(IN_DOUBT).unwrap();
    old.execute_batch("PRAGMA application_id = 0x504E4354; PRAGMA user_version = 1").unwrap();
    drop(old);
    assert!(refusal(&path, Access::Command).contains("its schema is version 1, and this punctual needs"));
    let store = SqliteOutbox::open(&url(&path), Access::Daemon).unwrap();
    let found = store.recover("new", minute(1), true).await.unwrap();
    let [key] = found.in_doubt[..] else { panic!("{found:?}") };
    store.resolve_doubt(minute(1), vec![(key, Some(minute(2)))]).await.unwrap();
    let claims = store.claim(super::fixture::request(3)).await.unwrap();
    let [claim] = &claims[..] else { panic!("{claims:?}") };
    assert_eq!((claim.epoch, claim.revision, claim.entry.attempts), (5, 3, 1));
    assert_eq!(claim.frozen.as_deref(), Some(&b"Your code is 701-678-455."[..]), "what is sent again is what may have been sent");
    let (deliveries, _) = store.deliveries(key).await.unwrap();
    assert_eq!(
        deliveries.iter().map(|d| (d.attempt, d.outcome.as_ref().map(AttemptEnd::as_str))).collect::<Vec<_>>(),
        [(1, Some("crashed"))]
    );
}

/// Who takes the triggers out can change rows unseen, and who puts one in can keep rows out: no process goes on with such a file, and
/// `ledger verify` says what is wrong with it.
#[tokio::test]
async fn without_the_ledgers_triggers_it_does_not_open() {
    let (gone, planted) = ("the triggers that keep the ledger's rows", "a trigger or a view that punctual did not make");
    for (harm, says) in [
        ("DROP TRIGGER ledger_keeps_its_rows", gone),
        ("DROP TRIGGER ledger_loses_no_row", gone),
        ("DROP TRIGGER ledger_loses_no_row; CREATE TRIGGER ledger_loses_no_row BEFORE DELETE ON ledger BEGIN SELECT 1; END", gone),
        ("CREATE TRIGGER quiet BEFORE INSERT ON ledger BEGIN SELECT raise(ignore); END", planted),
        ("CREATE TRIGGER quiet AFTER UPDATE ON notice BEGIN UPDATE notice SET state = 'held'; END", planted),
        ("CREATE VIEW quiet AS SELECT 1", planted),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        drop(SqliteOutbox::open(&url(&path), Access::Daemon).unwrap());
        Connection::open(&path).unwrap().execute_batch(harm).unwrap();
        for access in [Access::Daemon, Access::Command] {
            let said = refusal(&path, access);
            assert!(said.contains(says), "{harm}: {said}");
        }
        let look = SqliteOutbox::open(&url(&path), Access::Look).unwrap();
        let findings = look.verify_ledger(None).await.unwrap().findings;
        assert!(findings.iter().any(|f| f.to_string().contains(says)), "{harm}: {findings:?}");
    }
}

/// Whatever the file calls it.
#[tokio::test]
async fn a_trigger_in_disguise_is_refused() {
    for called in ["table", "index", "view", "Trigger", ""] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        drop(SqliteOutbox::open(&url(&path), Access::Daemon).unwrap());
        let harm = format!(
            "CREATE TRIGGER quiet BEFORE INSERT ON ledger BEGIN SELECT raise(ignore); END; PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET type = '{called}' WHERE name = 'quiet'"
        );
        Connection::open(&path).unwrap().execute_batch(&harm).unwrap();
        for access in [Access::Daemon, Access::Command] {
            assert!(refusal(&path, access).contains("quiet"), "{called}");
        }
    }
}

/// A file of an earlier version is looked at before it is brought up to date.
#[tokio::test]
async fn an_older_file_with_a_planted_trigger_is_not_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../../src/outbox/schema/0001_outbox.sql")).unwrap();
    old.execute_batch("CREATE TRIGGER quiet BEFORE INSERT ON ledger BEGIN SELECT raise(ignore); END").unwrap();
    old.execute_batch(IN_DOUBT).unwrap();
    old.execute_batch("PRAGMA application_id = 0x504E4354; PRAGMA user_version = 1").unwrap();
    assert!(refusal(&path, Access::Daemon).contains("\"quiet\""));
    assert_eq!(old.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
}

/// What is put in while it is open ends the next write, before anything is written.
#[tokio::test]
async fn a_trigger_that_is_planted_meanwhile_ends_the_next_write() {
    for harm in ["CREATE TRIGGER quiet BEFORE INSERT ON ledger BEGIN SELECT raise(ignore); END", "DROP TRIGGER ledger_keeps_its_rows"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let store = SqliteOutbox::open(&url(&path), Access::Daemon).unwrap();
        store.record_event(minute(0), Event::Reveal, "session 1").await.unwrap();
        Connection::open(&path).unwrap().execute_batch(harm).unwrap();
        let error = store.record_event(minute(1), Event::Reveal, "session 2").await.unwrap_err().to_string();
        assert!(error.contains("somebody changed the file"), "{harm}: {error}");
        assert_eq!(store.ledger(None, 0, 10).await.unwrap().len(), 1);
    }
}

/// A table that takes no row, and says nothing.
#[tokio::test]
async fn a_row_that_the_ledger_does_not_take_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    drop(SqliteOutbox::open(&url(&path), Access::Daemon).unwrap());
    let deaf = "PRAGMA writable_schema = ON; UPDATE sqlite_schema
        SET sql = replace(sql, 'reason           TEXT', 'reason TEXT NOT NULL ON CONFLICT IGNORE') WHERE name = 'ledger'";
    Connection::open(&path).unwrap().execute_batch(deaf).unwrap();
    let store = SqliteOutbox::open(&url(&path), Access::Command).unwrap();
    let error = store.record_event(minute(0), Event::Reveal, "session 1").await.unwrap_err().to_string();
    assert!(error.contains("the ledger did not take a row"), "{error}");
}
