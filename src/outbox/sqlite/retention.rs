//! What need not be kept any longer: frozen messages and records, which hold codes, and after years the history.
//!
//! In: two times. Out: what was removed. Done in batches, each its own transaction, so that no attempt waits long for its commit.
//! The ledger goes from its beginning, up to a checkpoint that is noted first: a chain has no holes.
//! What may still be sent stays, and so does its session. Deleted bytes are overwritten in the file (`secure_delete`); the log beside it
//! forgets them when it is next written over, or when the store is closed.

use rusqlite::{Connection, params};

use super::columns::ms;
use super::{guard, history};
use crate::outbox::{Purged, Retention};

/// Rows of each kind in one transaction.
const BATCH: i64 = 500;

const CONTENTS: &str = "DELETE FROM content WHERE notice_id IN (
     SELECT content.notice_id FROM content JOIN notice ON notice.id = content.notice_id
     WHERE notice.start_at < ?1 AND notice.owner IS NULL AND notice.next_attempt_at IS NULL LIMIT ?2)";

pub(super) const RECORDS: &str = "UPDATE session SET record = '', ambiguous = '[]' WHERE rowid IN (
     SELECT session.rowid FROM session INDEXED BY session_recorded WHERE record <> '' AND start_at < ?1 AND NOT EXISTS (
         SELECT 1 FROM notice WHERE notice.session_id = session.id AND notice.source = session.source
         AND (notice.owner IS NOT NULL OR notice.next_attempt_at IS NOT NULL))
     LIMIT ?2)";

/// Of those who departed from sessions whose records are gone.
pub(super) const DEPARTED: &str = "UPDATE participant SET record = NULL, role = NULL WHERE record IS NOT NULL AND EXISTS (
     SELECT 1 FROM session WHERE session.source = participant.source AND session.id = session_id AND session.record = '')";

/// Notices go with what hangs on them: their numbers, then the rows of each table.
pub(super) const NOTICES: &str =
    "SELECT id FROM notice WHERE start_at < ?1 AND owner IS NULL AND next_attempt_at IS NULL ORDER BY start_at, key LIMIT ?2";

pub(super) const SESSIONS: &str = "SELECT source, id, record <> '' FROM session WHERE start_at < ?1
     AND NOT EXISTS (SELECT 1 FROM notice WHERE notice.session_id = session.id AND notice.source = session.source) LIMIT ?2";

pub(super) const LEDGER: &str = "DELETE FROM ledger WHERE seq IN (SELECT seq FROM ledger WHERE seq <= ?1 ORDER BY seq LIMIT ?2)";

/// Answers go with the contents. What they answer stays for the history: a digest, by which a request that comes again is known, and a word.
const ANSWERS: &str =
    "DELETE FROM outgoing WHERE key IN (SELECT key FROM outgoing WHERE kind = 'answer' AND due_at < ?1 ORDER BY due_at LIMIT ?2)";
const REPLIES: &str = "DELETE FROM reply WHERE id IN (SELECT id FROM reply WHERE at < ?1 ORDER BY at LIMIT ?2)
     AND NOT EXISTS (SELECT 1 FROM outgoing WHERE key = id) AND NOT EXISTS (SELECT 1 FROM said WHERE reply_id = id)";
/// What people wrote goes with the contents too, read or not.
const SAID: &str = "DELETE FROM said WHERE reply_id IN (SELECT reply_id FROM said WHERE at < ?1 ORDER BY at LIMIT ?2)";

/// One batch, and whether it removed sessions, answers or replies. Nothing removed: it is done.
pub(super) fn batch(connection: &Connection, retention: Retention) -> rusqlite::Result<(Purged, bool)> {
    let content = params![ms(retention.content_before.max(retention.history_before)), BATCH];
    let old = params![ms(retention.history_before), BATCH];
    let closed = history::checkpoint(connection)?.map_or(0, |anchor| anchor.seq);
    connection.prepare_cached("DELETE FROM outgoing WHERE kind = 'letter' AND due_at < ?1")?.execute([ms(retention.history_before)])?;
    let mut purged = Purged {
        contents: connection.prepare_cached(CONTENTS)?.execute(content)? as u64,
        records: connection.prepare_cached(RECORDS)?.execute(content)? as u64,
        notices: 0,
        ledger_rows: connection.prepare_cached(LEDGER)?.execute(params![closed, BATCH])? as u64,
    };
    connection.prepare_cached(DEPARTED)?.execute([])?;
    connection.prepare_cached("DELETE FROM heard WHERE at < ?1")?.execute([ms(retention.history_before)])?;
    connection.prepare_cached(guard::PURGE)?.execute([])?;
    connection.prepare_cached("DELETE FROM also_listed WHERE start_at < ?1")?.execute([ms(retention.content_before)])?;
    let answers = connection.prepare_cached(ANSWERS)?.execute(content)? + connection.prepare_cached(SAID)?.execute(content)?;
    let replies = connection.prepare_cached(REPLIES)?.execute(old)?;
    purge_notices(connection, old, &mut purged)?;
    let sessions = purge_sessions(connection, old, &mut purged)?;
    Ok((purged, sessions || answers + replies > 0))
}

fn purge_notices(connection: &Connection, old: &[&dyn rusqlite::ToSql], purged: &mut Purged) -> rusqlite::Result<()> {
    let ids: Vec<i64> = connection.prepare_cached(NOTICES)?.query_map(old, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for id in ids {
        purged.contents += connection.prepare_cached("DELETE FROM content WHERE notice_id = ?1")?.execute([id])? as u64;
        connection.prepare_cached("DELETE FROM delivery WHERE notice_id = ?1")?.execute([id])?;
        purged.notices += connection.prepare_cached("DELETE FROM notice WHERE id = ?1")?.execute([id])? as u64;
    }
    Ok(())
}

/// Says whether there were any.
fn purge_sessions(connection: &Connection, old: &[&dyn rusqlite::ToSql], purged: &mut Purged) -> rusqlite::Result<bool> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let sessions: Vec<(String, i64, bool)> = connection.prepare_cached(SESSIONS)?.query_map(old, row)?.collect::<rusqlite::Result<_>>()?;
    for (source, id, has_record) in &sessions {
        purged.records += u64::from(*has_record);
        let tables = [
            "omission WHERE source = ?1 AND session_id",
            "lately WHERE source = ?1 AND session_id",
            "participant WHERE source = ?1 AND session_id",
            "session WHERE source = ?1 AND id",
        ];
        for table in tables {
            connection.prepare_cached(&format!("DELETE FROM {table} = ?2"))?.execute(params![source, id])?;
        }
    }
    Ok(!sessions.is_empty())
}
