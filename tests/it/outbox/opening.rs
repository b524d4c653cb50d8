//! What a file must be before it is trusted, and what the errors say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Filter, Outbox};
use rusqlite::Connection;

use super::fixture::{notice, walk, walked};

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// A store with some hundred notices, closed.
async fn filled(path: &Path) {
    let store = SqliteOutbox::open(&url(path), Access::Daemon).unwrap();
    let sessions = (1..300).map(|n| {
        let invite = notice(n, punctual::notice::Occasion::Invite, 0);
        walked(n, "first", vec![punctual::outbox::Change::Add(invite)])
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
        ("of a newer punctual", |path| pragma(path, "user_version = 99"), Access::Daemon, "at most: run the newer punctual that wrote it"),
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
    store.note(super::fixture::minute(0), "reveal", "nothing").await.unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
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
    daemon.apply(walk(vec![walked(1, "first", vec![punctual::outbox::Change::Add(invite.clone())])])).await.unwrap();
    assert_eq!(command.act(&[invite.key], punctual::outbox::Act::Hold, super::fixture::minute(1)).await.unwrap(), 1);
    assert_eq!(daemon.list(&Filter::default()).await.unwrap()[0].state, punctual::outbox::State::Held);
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
