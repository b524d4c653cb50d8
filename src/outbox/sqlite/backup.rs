//! A copy of the store, made while it is in use: complete as of one moment, checked, private, and marked as a copy.
//!
//! The mark makes a store that was restored from it hold what the one that ran last may have sent ([`super::restore`]).

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::columns::{ms, store_now};
use super::history;
use super::open::explain;
use super::sealed::Sealer;
use crate::ledger::Verified;
use crate::outbox::{Result, StoreError};

/// Pages copied at a time.
const PAGES: i32 = 4096;
/// Before the next try, when somebody keeps a lock on the file.
const PAUSE: Duration = Duration::from_millis(50);

/// Copies what `source` sees to a new file. A copy that failed is removed. `progress` is told pages: done, and all.
pub(super) fn copy((source, sealer): (&Connection, &Sealer), to: &Path, progress: &dyn Fn(u64, u64)) -> Result<Verified> {
    let fail = |cause: String| StoreError { action: format!("backup ({})", to.display()), cause };
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let file = created.map_err(|e| fail(format!("it cannot be created: {e}; give the name of a new file in a folder that exists")))?;
    let copied = copy_pages(source, to, progress).and_then(|copy| check(&copy, sealer)).map_err(|e| explain(to, "backup", &e));
    let sound = copied.and_then(|(found, verified)| match (found.as_str(), verified.findings.first()) {
        ("ok", None) => Ok(verified),
        ("ok", Some(finding)) => Err(fail(format!("the ledger is not as it was written: {finding}; see punctual ledger verify"))),
        (damage, _) => Err(fail(format!("the copy is damaged ({damage}): check the disk, and the store itself with a restart"))),
    });
    let synced = sound.and_then(|verified| match file.sync_all() {
        Ok(()) => Ok(verified),
        Err(e) => Err(fail(format!("it cannot be synced: {e}"))),
    });
    synced.inspect_err(|_| drop(fs::remove_file(to)))
}

fn copy_pages(source: &Connection, to: &Path, progress: &dyn Fn(u64, u64)) -> rusqlite::Result<Connection> {
    let mut copy = Connection::open(to)?;
    let backup = Backup::new(source, &mut copy)?;
    loop {
        let step = backup.step(PAGES)?;
        let pages = backup.progress();
        progress((pages.pagecount - pages.remaining).max(0) as u64, pages.pagecount.max(0) as u64);
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => std::thread::sleep(PAUSE),
        }
    }
    drop(backup);
    // Without its own log, the copy is one file.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    copy.execute("UPDATE identity SET copied_at = ?1", [ms(store_now(source)?)])?;
    Ok(copy)
}

/// What the pages say, and the ledger.
fn check(copy: &Connection, sealer: &Sealer) -> rusqlite::Result<(String, Verified)> {
    sealer.install(copy)?;
    let found: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let verified = if found == "ok" { history::verify(copy, None)? } else { Verified::default() };
    Ok((found, verified))
}
