//! What need not be kept any longer: frozen messages and records, which hold codes, and after years the history.
//!
//! In: two times. Out: what was removed. Done in batches, each its own transaction, so that no attempt waits long for its commit.
//! The ledger goes from its beginning, up to a checkpoint that is noted first: a chain has no holes.
//! What may still be sent stays, and so does its session. What the server's own files and backups still hold of it is the server's matter.

use super::columns::{get, ms, session};
use super::db::Tx;
use super::error::Res;
use super::{guard, history};
use crate::outbox::{Purged, Retention};

/// Rows of each kind in one transaction.
const BATCH: i64 = 500;

// What a statement removes is found first, once (`MATERIALIZED`): of tables without statistics the planner believes that they hold a row, and would look for
// it all again for each row of them. Whether anything is open of a session is asked for each one (`OFFSET 0`), by the index on it, for the same reason.

const CONTENTS: &str = "WITH old AS MATERIALIZED (
     SELECT c.notice_id FROM content AS c JOIN notice AS n ON n.practice = $1 AND n.id = c.notice_id
     WHERE c.practice = $1 AND n.start_at < $2 AND n.owner IS NULL AND n.next_attempt_at IS NULL LIMIT $3)
     DELETE FROM content AS c USING old WHERE c.practice = $1 AND c.notice_id = old.notice_id";

const RECORDS: &str = "WITH old AS MATERIALIZED (
     SELECT o.source, o.id FROM session AS o WHERE o.practice = $1 AND o.record <> '' AND o.start_at < $2 AND NOT EXISTS (
         SELECT 1 FROM notice AS n WHERE n.practice = $1 AND n.session_id = o.id AND n.source = o.source
         AND (n.owner IS NOT NULL OR n.next_attempt_at IS NOT NULL) OFFSET 0)
     LIMIT $3)
     UPDATE session AS s SET record = '', ambiguous = '[]' FROM old WHERE s.practice = $1 AND s.source = old.source AND s.id = old.id";

/// Of those who departed from sessions whose records are gone.
const DEPARTED: &str = "UPDATE participant AS p SET record = NULL, role = NULL WHERE p.practice = $1 AND p.record IS NOT NULL AND EXISTS (
     SELECT 1 FROM session AS s WHERE s.practice = $1 AND s.source = p.source AND s.id = p.session_id AND s.record = '')";

/// Notices go with what hangs on them: their numbers, then the rows of each table.
const NOTICES: &str = "SELECT id FROM notice WHERE practice = $1 AND start_at < $2 AND owner IS NULL AND next_attempt_at IS NULL
     ORDER BY start_at, key LIMIT $3";

const SESSIONS: &str = "SELECT s.source, s.id, s.record <> '' FROM session AS s WHERE s.practice = $1 AND s.start_at < $2
     AND NOT EXISTS (SELECT 1 FROM notice AS n WHERE n.practice = $1 AND n.session_id = s.id AND n.source = s.source OFFSET 0) LIMIT $3";

/// Of each chain, up to its checkpoint.
const LEDGER: &str = "WITH old AS MATERIALIZED (
     SELECT c.id, l.seq FROM unnest($2::integer[], $3::bigint[]) AS c (id, until), LATERAL (
         SELECT seq FROM ledger WHERE practice = $1 AND chain = c.id AND seq <= c.until ORDER BY seq LIMIT $4) AS l
     LIMIT $4)
     DELETE FROM ledger AS l USING old WHERE l.practice = $1 AND l.chain = old.id AND l.seq = old.seq";

/// Answers go with the contents. What they answer stays for the history: a digest, by which a request that comes again is known, and a word.
const ANSWERS: &str =
    "WITH old AS MATERIALIZED (SELECT key FROM outgoing WHERE practice = $1 AND kind = 'answer' AND due_at < $2 ORDER BY due_at LIMIT $3)
     DELETE FROM outgoing AS a USING old WHERE a.practice = $1 AND a.key = old.key";
const REPLIES: &str = "WITH old AS MATERIALIZED (SELECT id FROM reply WHERE practice = $1 AND at < $2 ORDER BY at LIMIT $3)
     DELETE FROM reply AS r USING old WHERE r.practice = $1 AND r.id = old.id
     AND NOT EXISTS (SELECT 1 FROM outgoing AS a WHERE a.practice = $1 AND a.key = r.id)
     AND NOT EXISTS (SELECT 1 FROM said AS s WHERE s.practice = $1 AND s.reply_id = r.id)";
/// What people wrote goes with the contents too, read or not.
const SAID: &str = "WITH old AS MATERIALIZED (SELECT reply_id FROM said WHERE practice = $1 AND at < $2 ORDER BY at LIMIT $3)
     DELETE FROM said AS s USING old WHERE s.practice = $1 AND s.reply_id = old.reply_id";

/// One batch, and whether it removed sessions, answers or replies. Nothing removed: it is done.
pub(super) async fn batch(tx: &Tx<'_>, retention: Retention) -> Res<(Purged, bool)> {
    let practice = &tx.practice;
    let content = ms(retention.content_before.max(retention.history_before));
    let old = ms(retention.history_before);
    let (chains, closed) = history::checkpoints(tx).await?;
    tx.execute("DELETE FROM outgoing WHERE practice = $1 AND kind = 'letter' AND due_at < $2", &[practice, &old]).await?;
    let mut purged = Purged {
        contents: tx.execute(CONTENTS, &[practice, &content, &BATCH]).await?,
        records: tx.execute(RECORDS, &[practice, &content, &BATCH]).await?,
        notices: 0,
        ledger_rows: tx.execute(LEDGER, &[practice, &chains, &closed, &BATCH]).await?,
    };
    tx.execute(DEPARTED, &[practice]).await?;
    tx.execute("DELETE FROM heard WHERE practice = $1 AND at < $2", &[practice, &old]).await?;
    tx.execute(guard::PURGE, &[practice]).await?;
    let also = "DELETE FROM also_listed WHERE practice = $1 AND start_at < $2";
    tx.execute(also, &[practice, &ms(retention.content_before)]).await?;
    let answers = tx.execute(ANSWERS, &[practice, &content, &BATCH]).await? + tx.execute(SAID, &[practice, &content, &BATCH]).await?;
    let replies = tx.execute(REPLIES, &[practice, &old, &BATCH]).await?;
    purge_notices(tx, old, &mut purged).await?;
    let sessions = purge_sessions(tx, old, &mut purged).await?;
    Ok((purged, sessions || answers + replies > 0))
}

async fn purge_notices(tx: &Tx<'_>, old: i64, purged: &mut Purged) -> Res<()> {
    let rows = tx.query(NOTICES, &[&tx.practice, &old, &BATCH]).await?;
    let ids: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Res<_>>()?;
    purged.contents += tx.execute("DELETE FROM content WHERE practice = $1 AND notice_id = ANY($2)", &[&tx.practice, &ids]).await?;
    tx.execute("DELETE FROM delivery WHERE practice = $1 AND notice_id = ANY($2)", &[&tx.practice, &ids]).await?;
    purged.notices += tx.execute("DELETE FROM notice WHERE practice = $1 AND id = ANY($2)", &[&tx.practice, &ids]).await?;
    Ok(())
}

/// Says whether there were any.
async fn purge_sessions(tx: &Tx<'_>, old: i64, purged: &mut Purged) -> Res<bool> {
    let (mut sources, mut ids): (Vec<String>, Vec<i64>) = (Vec::new(), Vec::new());
    for row in &tx.query(SESSIONS, &[&tx.practice, &old, &BATCH]).await? {
        sources.push(get(row, 0)?);
        ids.push(session(row, 1)?.0);
        purged.records += u64::from(get::<bool>(row, 2)?);
    }
    if ids.is_empty() {
        return Ok(false);
    }
    for (table, id) in [("omission", "session_id"), ("lately", "session_id"), ("participant", "session_id"), ("session", "id")] {
        let these = "SELECT * FROM unnest($2::text[], $3::bigint[])";
        let sql = format!("DELETE FROM {table} WHERE practice = $1 AND (source, {id}) IN ({these})");
        tx.execute(&sql, &[&tx.practice, &sources, &ids]).await?;
    }
    Ok(true)
}
