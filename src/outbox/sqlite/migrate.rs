//! The schema's versions: numbered files, each applied once and whole.
//!
//! `user_version` counts those applied; `application_id` marks the file as ours.

use rusqlite::{Connection, params};

use super::history;

/// What a file of SQL cannot do, after it and in its transaction.
type Then = Option<fn(&Connection) -> rusqlite::Result<()>>;

/// The files, in order; file n leads from version n to n + 1. A released one is never edited: the next change is a new file.
const MIGRATIONS: [(&str, Then); 5] = [
    (include_str!("../schema/0001_outbox.sql"), None),
    (include_str!("../schema/0002_ledger.sql"), Some(history::link_all)),
    (include_str!("../schema/0003_by_number.sql"), None),
    (include_str!("../schema/0004_staff_letter.sql"), None),
    (include_str!("../schema/0005_key.sql"), None),
];

/// "PNCT", in the file's header: another program's database is not taken for ours.
pub(super) const APPLICATION_ID: i32 = 0x504E_4354;

/// The version that this program knows.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The version of the file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies what is missing. Each file and its version number are one transaction: a crash leaves the one before.
pub(super) fn migrate(connection: &mut Connection, reference_key: [u8; 32]) -> rusqlite::Result<()> {
    for (done, (sql, then)) in (0..VERSION).zip(MIGRATIONS).skip(version(connection)? as usize) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        then.map_or(Ok(()), |then| then(&transaction))?;
        if done == 0 {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.execute("INSERT INTO identity (id, reference_key) VALUES (1, ?1)", params![reference_key])?;
        }
        transaction.pragma_update(None, "user_version", done + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
