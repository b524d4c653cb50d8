//! A copy of the store, made while it is in use: complete as of one moment, checked, and private.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::open::explain;
use crate::outbox::{Result, StoreError};

/// Pages copied at a time.
const PAGES: i32 = 4096;

/// Copies what `source` sees to a new file. A copy that failed is removed.
pub(super) fn copy(source: &Connection, to: &Path) -> Result<()> {
    let fail = |cause: String| StoreError { action: format!("backup ({})", to.display()), cause };
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let file = created.map_err(|e| fail(format!("it cannot be created: {e}; give the name of a new file in a folder that exists")))?;
    let copied = copy_pages(source, to).map_err(|e| explain(to, "backup", &e)).and_then(|found| match found.as_str() {
        "ok" => Ok(()),
        damage => Err(fail(format!("the copy is damaged ({damage}): check the disk, and the store itself with a restart"))),
    });
    let synced = copied.and_then(|()| file.sync_all().map_err(|e| fail(format!("it cannot be synced: {e}"))));
    synced.inspect_err(|_| drop(fs::remove_file(to)))
}

fn copy_pages(source: &Connection, to: &Path) -> rusqlite::Result<String> {
    let mut copy = Connection::open(to)?;
    Backup::new(source, &mut copy)?.run_to_completion(PAGES, Duration::ZERO, None)?;
    // Without its own log, the copy is one file.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
}
