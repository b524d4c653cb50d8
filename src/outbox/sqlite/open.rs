//! Opening the file: what must be true of it before a daemon trusts it, and errors that say what to do.
//!
//! In: a path and how it will be used. Out: the connection that will write, with the lock that keeps a second daemon out.
//! Order: folder, lock, file, SQLite's version, whose database, its schema's version, what in it acts by itself, integrity, migration, its key, whether it is an older copy.
//! Each failure names the file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::admit::{SealState, admit, seal_identity};
use super::beside::{beside, folder_of};
use super::key::StoreKey;
use super::migrate::{APPLICATION_ID, VERSION, migrate, version};
use super::restore::New;
use super::sealed::{KeyChecks, Sealer};
use super::{acting, restore, watermark};
use crate::outbox::origin::StoreOrigin;
use crate::outbox::{Access, Result, StoreError};

/// How long a write waits for another process that writes (a command, a backup). Longer is a fault.
pub(super) const BUSY: Duration = Duration::from_secs(10);
/// SQLite before this can lose a checkpoint's pages when two connections write and reset the log at once
/// (<https://www.sqlite.org/wal.html#walresetbug>).
const SQLITE_MIN: i32 = 3_051_003;
/// Up to this size, in bytes, a daemon checks every page at its start, at several hundred MB a second. A larger file gets no such check:
/// a start must not take minutes.
const CHECK_MAX: u64 = 512 * 1024 * 1024;
/// What to do when it cannot be written.
const WRITABLE: &str = "give the file and its folder to the user who runs punctual, and look whether the file system is mounted read-only";
/// Prepared statements kept per connection: all that this store has.
const STATEMENTS: usize = 128;
/// Pages that the writing connection keeps, in KiB: those of one transaction, or they would go to the log twice.
const CACHE: i64 = 16 * 1024;
/// Pages in the log after which they are copied into the file: 32 MiB. A page that changes often is copied once for all its changes.
const CHECKPOINT: i64 = 8192;

pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) lock: Option<File>,
    /// Whether it is the store that ran last.
    pub(super) origin: StoreOrigin,
}

/// The path in `sqlite://FILE`; relative ones are relative to the working directory.
pub fn path_of(url: &str) -> Result<PathBuf> {
    let refused = |cause: &str| Err(StoreError { action: format!("open {url:?}"), cause: cause.to_owned() });
    let Some(path) = url.strip_prefix("sqlite://") else {
        return refused("expected sqlite:// and the path of a file, as in sqlite:///var/lib/punctual/punctual.db");
    };
    match path {
        "" => refused("there is no path after sqlite://"),
        ":memory:" => refused("a store in memory would forget what was sent; give the path of a file"),
        _ if path.ends_with('/') => refused("the path is a folder; give the path of a file in it"),
        _ => Ok(PathBuf::from(path)),
    }
}

/// Opens the file for writing.
pub(super) fn open(path: &Path, access: Access, (sealer, key): (&Sealer, Option<&StoreKey>)) -> Result<Opened> {
    let fail = |cause: String| StoreError { action: action(path, "open"), cause };
    sqlite_is_new_enough(rusqlite::version_number()).map_err(fail)?;
    folder_exists(path).map_err(fail)?;
    let lock = match access {
        Access::Daemon => Some(lock(path).map_err(fail)?),
        Access::Command | Access::Look => None,
    };
    file_is_there(path, access).map_err(fail)?;
    let sql = |e: rusqlite::Error| explain(path, "open", &e);
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    // SQLite opens what it may not write for reading, and says nothing.
    if connection.is_readonly("main").map_err(sql)? {
        return Err(fail(format!("it cannot be written; {WRITABLE}")));
    }
    sealer.install(&connection).map_err(sql)?;
    let found = whose(&connection).map_err(sql)?;
    schema_is_ours(found, access).map_err(fail)?;
    // Before anything is written; `ledger verify` says by itself what it finds.
    if access != Access::Look && found.version > 0 {
        acting::is_ours(&connection, found.version).map_err(sql)?.map_err(fail)?;
    }
    configure(&connection).map_err(sql)?;
    let mut origin = StoreOrigin::Own;
    if access == Access::Daemon {
        check(&connection, path)?;
        let mut reference_key = [0; 32];
        getrandom::fill(&mut reference_key).map_err(|e| fail(format!("the system gives no random bytes: {e}")))?;
        migrate(&mut connection, reference_key).map_err(sql)?;
        let standing = admit(&connection, (sealer, key), true).map_err(sql)?.map_err(fail)?;
        let seal = |connection: &mut Connection| key.map_or(Ok(()), |key| seal_identity(connection, sealer, key));
        if standing == SealState::New {
            seal(&mut connection).map_err(sql)?;
        }
        let new = New::from_version(found.version);
        origin = restore::origin(&connection, path, (new, standing)).map_err(sql)?.map_err(fail)?;
        if origin == StoreOrigin::Own {
            watermark::write(path, &restore::current(&connection).map_err(sql)?).map_err(fail)?;
        }
        // Once the mark beside it is keyed: a start that ends in between leaves a store that the next one finishes.
        if standing == SealState::Earlier {
            seal(&mut connection).map_err(sql)?;
        }
    } else {
        admit(&connection, (sealer, key), false).map_err(sql)?.map_err(fail)?;
    }
    if access == Access::Daemon && KeyChecks::read(&connection).map_err(sql)?.next.is_some() {
        tracing::warn!("the store gets another key, and that is not done: say `punctual store rekey` until it is; either key opens it");
    }
    Ok(Opened { connection, lock, origin })
}

/// A connection that cannot write.
pub(super) fn open_reader(path: &Path, sealer: &Sealer) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    sealer.install(&connection)?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")?;
    Ok(connection)
}

fn sqlite_is_new_enough(version: i32) -> std::result::Result<(), String> {
    if version >= SQLITE_MIN {
        return Ok(());
    }
    Err(format!(
        "SQLite {} can damage the file; 3.51.3 or later is needed: build the program with the SQLite that it brings",
        rusqlite::version()
    ))
}

pub(super) fn folder_exists(path: &Path) -> std::result::Result<(), String> {
    let folder = folder_of(path);
    match folder.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(format!("{} is no folder", folder.display())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(format!("the folder {} does not exist: make it (mode 0700), owned by the user who runs punctual", folder.display()))
        }
        Err(e) => Err(format!("the folder {} cannot be used: {e}", folder.display())),
    }
}

/// A process that ended may have begun a program a moment before, which holds the lock until it runs: so often, and so long, it is waited for.
const LOCK_TRIES: u32 = 10;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// The advisory lock goes with the process, however it ends; the file stays.
pub(super) fn lock(path: &Path) -> std::result::Result<File, String> {
    let beside = beside(path, ".lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&beside);
    let file = opened.map_err(|e| in_folder(path, &beside, &e))?;
    let mut tried = file.try_lock();
    for _ in 0..LOCK_TRIES {
        if !matches!(tried, Err(TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(LOCK_WAIT);
        tried = file.try_lock();
    }
    match tried {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!("another punctual uses it (it holds {}): end that one first", beside.display())),
        Err(TryLockError::Error(e)) => Err(format!("{} cannot be locked: {e}; the store needs a local file system", beside.display())),
    }
}

/// A daemon has this store open.
pub fn is_served(path: &Path) -> bool {
    let opened = OpenOptions::new().write(true).open(beside(path, ".lock"));
    opened.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn in_folder(path: &Path, file: &Path, error: &io::Error) -> String {
    let folder = folder_of(path).display();
    format!("{} cannot be created: {error}; the user who runs punctual needs write permission in {folder}", file.display())
}

/// A daemon creates the file, mode 0600 whatever the umask, so that SQLite gives its log the same mode.
fn file_is_there(path: &Path, access: Access) -> std::result::Result<(), String> {
    let size = match path.metadata() {
        Ok(found) if found.is_dir() => return Err("it is a folder; give the path of a file in it".to_owned()),
        Ok(found) => Some(found.len()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(format!("it cannot be reached: {e}")),
    };
    let log = beside(path, "-wal");
    let log_holds_rows = log.metadata().is_ok_and(|m| m.len() > 0);
    match (size, access) {
        (None | Some(0), _) if log_holds_rows => Err(format!(
            "the file is {}, but its log {} is not: restore both from a backup, or the file alone and remove the log",
            if size.is_none() { "gone" } else { "empty" },
            log.display()
        )),
        (None | Some(0), Access::Command | Access::Look) => {
            Err("there is no store yet: the daemon creates it at its first start".to_owned())
        }
        (None, Access::Daemon) => create(path),
        (Some(_), Access::Daemon) => keep_private(path),
        (Some(_), Access::Command | Access::Look) => Ok(()),
    }
}

fn create(path: &Path) -> std::result::Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| in_folder(path, path, &e))?;
    file.set_permissions(PermissionsExt::from_mode(0o600)).map_err(|e| format!("its mode cannot be set to 0600: {e}"))?;
    // The name itself must survive a power cut, not only what is in the file.
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(|e| format!("its folder cannot be synced: {e}"))
}

/// An older file that others may read is closed to them.
fn keep_private(path: &Path) -> std::result::Result<(), String> {
    let mode = path.metadata().map_err(|e| e.to_string())?.permissions().mode() & 0o777;
    if mode == mode & 0o700 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "others could read the store; its mode is 0600 now");
    let set = std::fs::set_permissions(path, PermissionsExt::from_mode(mode & 0o700));
    set.map_err(|e| format!("others can read it (mode {mode:o}), and that cannot be changed: {e}; chmod 0600 it"))
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
struct FileHeader {
    application_id: i32,
    version: u32,
    tables: u32,
}

/// The first read: fails here if it is no database.
fn whose(connection: &Connection) -> rusqlite::Result<FileHeader> {
    Ok(FileHeader {
        tables: connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        application_id: connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
        version: version(connection)?,
    })
}

fn schema_is_ours(found: FileHeader, access: Access) -> std::result::Result<(), String> {
    match (found, access) {
        (FileHeader { tables: 0, application_id: 0, version: 0 }, Access::Daemon) => Ok(()),
        (FileHeader { tables: 0, .. }, Access::Command | Access::Look) => {
            Err("there is no store in it yet: the daemon creates it at its first start".to_owned())
        }
        (FileHeader { application_id, .. }, _) if application_id != APPLICATION_ID => {
            Err("it is the database of another program: give another path".to_owned())
        }
        (FileHeader { version, .. }, _) if version > VERSION => Err(format!(
            "its schema is version {version}, and this punctual knows {VERSION} at most: run the newer punctual that wrote it, or restore a backup"
        )),
        (FileHeader { version, .. }, Access::Command | Access::Look) if version < VERSION => Err(format!(
            "its schema is version {version}, and this punctual needs {VERSION}: start the daemon of this version once, which brings it up to date"
        )),
        _ => Ok(()),
    }
}

/// Durable first: what is answered is on the disk. The rest keeps deleted content out of the file and the file out of mapped memory.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let why = format!("journal mode is {mode}, not wal: the file must lie on a local file system that has shared memory");
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN), Some(why)));
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA foreign_keys = ON; PRAGMA mmap_size = 0;
         PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
         PRAGMA recursive_triggers = ON; PRAGMA journal_size_limit = 67108864;",
    )?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    keep_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// A statement is planned once, whatever values it gets. Without this, SQLite plans most of ours anew with each value: it looks whether the
/// value fits a partial index, and that took a quarter of the writer's time.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Every page, if that is quick; see [`CHECK_MAX`].
fn check(connection: &Connection, path: &Path) -> Result<()> {
    let size = path.metadata().map_or(0, |m| m.len());
    if size > CHECK_MAX {
        tracing::info!(path = %path.display(), bytes = size, "the store is large: its pages are not checked at this start");
        return Ok(());
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| explain(path, "open", &e))?;
    if found == "ok" {
        return Ok(());
    }
    let cause = format!("the file is damaged ({found}): stop, keep a copy of it, and restore the last backup");
    Err(StoreError { action: action(path, "open"), cause })
}

pub(super) fn action(path: &Path, action: &str) -> String {
    format!("{action} ({})", path.display())
}

/// An error of SQLite, with the file's name and what to do.
pub(super) fn explain(path: &Path, what: &str, error: &rusqlite::Error) -> StoreError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "the file is no SQLite database: give another path, or restore a backup",
        Some(ErrorCode::DatabaseCorrupt) => "the file is damaged: stop, keep a copy of it, and restore the last backup",
        Some(ErrorCode::DiskFull) => "the disk is full: make room, then start again",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => WRITABLE,
        Some(ErrorCode::CannotOpen) => {
            "the file or its log beside it cannot be opened: the user who runs punctual needs read and write permission in the folder"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program kept it locked for more than 10 s: end that one",
        Some(ErrorCode::SystemIoFailure) => "the disk failed to read or write: look at the system's log before the next start",
        _ => return StoreError { action: action(path, what), cause: error.to_string() },
    };
    StoreError { action: action(path, what), cause: format!("{error}; {advice}") }
}
