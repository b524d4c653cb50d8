//! The ledger, read: its rows, its checkpoints, and whether all of it is as it was written.

use secrecy::zeroize::Zeroizing;
use tokio_postgres::Row;

use chrono::{DateTime, Utc};

use super::columns::{at, get, ids, limit, link, ms, opt_word};
use super::db::{CHAIN, Db, Tx, Values, opt_key};
use super::error::Res;
use crate::ledger::{Anchor, CHECKPOINT, Finding, LedgerRow, Part, Verified, Walker};
use crate::session::{ParticipationId, SessionId};

/// In the order in which [`row`] reads them.
const COLUMNS: &str = "seq, at, notice_key, session_id, participation_id, event, from_state, to_state, reason, detail, link";

fn row(row: &Row) -> Res<LedgerRow> {
    Ok(LedgerRow {
        seq: get(row, 0)?,
        at: at(row, 1)?,
        key: opt_key(row, 2)?.map(|key| key.to_string()),
        session_id: get::<Option<i64>>(row, 3)?.map(SessionId),
        participation_id: get::<Option<i64>>(row, 4)?.map(ParticipationId),
        event: get(row, 5)?,
        from_state: opt_word(row, 6)?,
        to_state: opt_word(row, 7)?,
        reason: opt_word(row, 8)?,
        detail: get(row, 9)?,
        chain: Some(link(row, 10)?),
    })
}

/// Rows after `after`, oldest first.
pub(super) async fn rows(db: &Db, session: Option<SessionId>, after: i64, most: usize) -> Res<Vec<LedgerRow>> {
    let of_session = if session.is_some() { "session_id = $5" } else { "$5::bigint IS NULL" };
    let sql =
        format!("SELECT {COLUMNS} FROM ledger WHERE practice = $1 AND chain = $2 AND {of_session} AND seq > $3 ORDER BY seq LIMIT $4");
    let values: Values<'_> = &[&db.practice, &CHAIN, &after, &limit(most), &session.map(|s| s.0)];
    db.query(&sql, values).await?.iter().map(row).collect()
}

/// Rows of that event about these sessions, oldest first.
pub(super) async fn of(db: &Db, event: &str, sessions: &[SessionId]) -> Res<Vec<LedgerRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM ledger WHERE practice = $1 AND chain = $2 AND session_id = ANY($3) AND event = $4 ORDER BY seq");
    db.query(&sql, &[&db.practice, &CHAIN, &ids(sessions), &event]).await?.iter().map(row).collect()
}

/// The last row that a purge took, or is about to take.
pub(super) async fn checkpoint(db: &Db) -> Res<Option<Anchor>> {
    let sql = "SELECT detail FROM ledger WHERE practice = $1 AND chain = $2 AND event = 'checkpoint' ORDER BY seq DESC LIMIT 1";
    db.first(sql, &[&db.practice, &CHAIN]).await?.map(|row| super::columns::word(&row, 0)).transpose()
}

/// How far it has got.
pub(super) async fn head(db: &Db) -> Res<Anchor> {
    let row = db.one("SELECT seq, link FROM chain WHERE practice = $1 AND id = $2", &[&db.practice, &CHAIN]).await?;
    Ok(Anchor { seq: get(&row, 0)?, link: link(&row, 1)? })
}

pub(super) const FIRST_KEPT: &str = "SELECT seq FROM ledger WHERE practice = $1 AND chain = $2 AND at + 0 >= $3 ORDER BY seq LIMIT 1";

/// Notes up to where the ledger goes: all before the first row that is not older than that.
pub(super) async fn close_until(tx: &Tx<'_>, before: DateTime<Utc>, now: DateTime<Utc>) -> Res<()> {
    tx.flush().await?;
    let first_kept = tx.first(FIRST_KEPT, &[&tx.practice, &CHAIN, &ms(before)]).await?;
    let first_kept: i64 = first_kept.map_or(Ok(i64::MAX), |row| get(&row, 0))?;
    let sql = "SELECT seq, link FROM ledger WHERE practice = $1 AND chain = $2 AND seq < $3 ORDER BY seq DESC LIMIT 1";
    let last = tx.first(sql, &[&tx.practice, &CHAIN, &first_kept]).await?;
    let last = last.map(|row| Ok::<_, super::error::Failure>(Anchor { seq: get(&row, 0)?, link: link(&row, 1)? })).transpose()?;
    let reached = checkpoint(tx).await?.map_or(0, |anchor| anchor.seq);
    match last.filter(|anchor| anchor.seq > reached) {
        Some(last) => tx.note(now, CHECKPOINT, &last.to_string()),
        None => Ok(()),
    }
}

/// Walks all of it, and looks whether what keeps its rows is there.
pub(super) async fn verify(db: &Db, anchor: Option<Anchor>) -> Res<Verified> {
    let sql = "SELECT from_seq, key FROM ledger_key WHERE practice = $1 AND chain = $2 ORDER BY from_seq";
    let parts = db.query(sql, &[&db.practice, &CHAIN]).await?;
    let part = |row: &Row| {
        let from: i64 = get(row, 0)?;
        let key = Zeroizing::new(db.sealer.open_bytes("ledger_key", from.to_string(), get(row, 1)?)?);
        let key = <[u8; 32]>::try_from(&key[..]).map_err(|_| super::error::refused("a key of the ledger's chain is not of 32 bytes"))?;
        Ok(Part { from, key: Zeroizing::new(key) })
    };
    let parts = parts.iter().map(part).collect::<Res<Vec<_>>>()?;
    let head = head(db).await?;
    let mut walker = Walker::new(checkpoint(db).await?, anchor).keyed(parts);
    let mut after = 0;
    loop {
        let rows = rows(db, None, after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        rows.iter().for_each(|row| walker.step(row));
    }
    let mut verified = walker.end(head.seq);
    if verified.head.seq == head.seq && verified.head.link != head.link {
        verified.findings.push(Finding::NotAnchored { seq: head.seq });
    }
    verified.findings.extend(acting(db).await?);
    Ok(verified)
}

/// Rows that are read together.
const PAGE: usize = 10_000;

/// What acts by itself on our tables: its name, its table, when it runs, and what.
const ACTING: &str = "SELECT t.tgname::text, concat_ws(' ', c.relname, t.tgtype, t.tgenabled, p.prosrc)
         FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_class AS c ON c.oid = t.tgrelid
         WHERE NOT t.tgisinternal AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'ledger'::regclass)
     UNION ALL SELECT r.rulename::text, c.relname::text FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
         WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'ledger'::regclass)";
/// Ours, in the same words: `tgtype` says before, each row or statement, and of what.
const OURS: [(&str, &str); 2] = [("ledger_keeps_its_rows", "ledger 27 O "), ("ledger_is_never_emptied", "ledger 34 O ")];
/// Letters of a name that are told: somebody else chose it.
const NAME: usize = 60;

/// What differs from what the migrations make, what is missing first.
async fn acting(db: &Db) -> Res<Vec<Finding>> {
    let rows = db.query(ACTING, &[]).await?;
    let found = rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect::<Res<Vec<(String, String)>>>()?;
    let is_ours = |(name, says): &(String, String)| {
        let body = |start: &str| says.strip_prefix(start).is_some_and(super::migrate::has_body);
        OURS.iter().any(|(ours, start)| ours == name && body(start))
    };
    let missing = found.iter().filter(|one| is_ours(one)).count() < OURS.len();
    let planted = found.iter().filter(|one| !is_ours(one)).map(|(name, _)| Finding::Planted { name: name.chars().take(NAME).collect() });
    Ok(missing.then_some(Finding::Unguarded).into_iter().chain(planted).collect())
}
