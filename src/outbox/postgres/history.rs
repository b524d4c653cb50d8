//! The ledger, read: its rows, its checkpoints, and whether all of it is as it was written.

use secrecy::zeroize::Zeroizing;
use tokio_postgres::Row;

use chrono::{DateTime, Utc};

use super::chains;
use super::columns::{at, get, ids, limit, link, ms, opt_word};
use super::db::{CHAIN, Db, Tx, Values, opt_key};
use super::error::Res;
use crate::ledger::chains::{Chains, StoredChain};
use crate::ledger::{Anchor, Event, Finding, KeyedPart, LedgerRow, Verified};
use crate::session::{ParticipationId, SessionId};

/// In the order in which [`row`] reads them.
const COLUMNS: &str = "seq, at, notice_key, session_id, participation_id, event, from_state, to_state, reason, detail, link, chain, place";

fn row(row: &Row) -> Res<LedgerRow> {
    Ok(LedgerRow {
        seq: get(row, 0)?,
        chain_id: Some(get(row, 11)?).filter(|chain| *chain != CHAIN),
        place: get(row, 12)?,
        at: at(row, 1)?,
        key: opt_key(row, 2)?.map(|key| key.to_string()),
        session_id: get::<Option<i64>>(row, 3)?.map(SessionId),
        participation_id: get::<Option<i64>>(row, 4)?.map(ParticipationId),
        event: Event::from(get::<&str>(row, 5)?),
        from_state: opt_word(row, 6)?,
        to_state: opt_word(row, 7)?,
        reason: opt_word(row, 8)?,
        detail: get(row, 9)?,
        chain: Some(link(row, 10)?),
    })
}

/// Rows of all chains behind that place, oldest first, up to the last one that is settled.
pub(super) async fn rows(db: &Db, session: Option<SessionId>, after: i64, most: usize) -> Res<Vec<LedgerRow>> {
    let of_session = if session.is_some() { "session_id = $5" } else { "$5::bigint IS NULL" };
    let sql =
        format!("SELECT {COLUMNS} FROM ledger WHERE practice = $1 AND {of_session} AND place > $2 AND place <= $3 ORDER BY place LIMIT $4");
    let values: Values<'_> = &[&db.practice, &after, &db.settled(), &limit(most), &session.map(|s| s.0)];
    db.query(&sql, values).await?.iter().map(row).collect()
}

/// Likewise, all that this transaction sees.
pub(super) async fn behind(db: &Db, after: i64, most: usize) -> Res<Vec<LedgerRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ledger WHERE practice = $1 AND place > $2 ORDER BY place LIMIT $3");
    db.query(&sql, &[&db.practice, &after, &limit(most)]).await?.iter().map(row).collect()
}

/// The place of the last of them.
pub(super) async fn end(db: &Db) -> Res<i64> {
    let sql = "SELECT coalesce(max(place), 0) FROM ledger WHERE practice = $1 AND place <= $2";
    get(&db.one(sql, &[&db.practice, &db.settled()]).await?, 0)
}

/// Rows of that event about these sessions, oldest first.
pub(super) async fn of(db: &Db, event: &Event, sessions: &[SessionId]) -> Res<Vec<LedgerRow>> {
    let sql = format!("SELECT {COLUMNS} FROM ledger WHERE practice = $1 AND session_id = ANY($2) AND event = $3 ORDER BY place");
    db.query(&sql, &[&db.practice, &ids(sessions), &event.as_str()]).await?.iter().map(row).collect()
}

/// The last row of a chain that a purge took, or is about to take.
pub(super) async fn checkpoint(db: &Db, chain: i32) -> Res<Option<Anchor>> {
    let sql = "SELECT detail FROM ledger WHERE practice = $1 AND chain = $2 AND event = 'checkpoint' ORDER BY seq DESC LIMIT 1";
    db.first(sql, &[&db.practice, &chain]).await?.map(|row| super::columns::word(&row, 0)).transpose()
}

/// Likewise, of each chain that has one.
pub(super) async fn checkpoints(db: &Db) -> Res<(Vec<i32>, Vec<i64>)> {
    let sql =
        "SELECT DISTINCT ON (chain) chain, split_part(detail, ':', 1)::bigint FROM ledger WHERE practice = $1 AND event = 'checkpoint'
               ORDER BY chain, seq DESC";
    let rows = db.query(sql, &[&db.practice]).await?;
    rows.iter().map(|row| Ok((get::<i32>(row, 0)?, get::<i64>(row, 1)?))).collect()
}

/// How far the first chain has got, which has sealed the others.
pub(super) async fn head(db: &Db) -> Res<Anchor> {
    let row = db.one("SELECT seq, link FROM chain WHERE practice = $1 AND id = $2", &[&db.practice, &CHAIN]).await?;
    Ok(Anchor { seq: get(&row, 0)?, link: link(&row, 1)? })
}

pub(super) const FIRST_KEPT: &str = "SELECT seq FROM ledger WHERE practice = $1 AND chain = $2 AND at + 0 >= $3 ORDER BY seq LIMIT 1";

/// Notes up to where each chain goes: all before its first row that is not older than that. What named a chain and goes is said again, by a seal.
pub(super) async fn close_until(tx: &Tx<'_>, before: DateTime<Utc>, now: DateTime<Utc>) -> Res<()> {
    tx.flush().await?;
    for chain in chains::all(tx).await?.into_iter().filter(|chain| *chain != CHAIN) {
        if let Some(last) = goes_until(tx, chain, before).await? {
            let other = Tx::on(tx, chain).await?;
            other.note(now, Event::Checkpoint, &last.to_string())?;
            other.flush().await?;
        }
    }
    let last = goes_until(tx, CHAIN, before).await?;
    if let Some(last) = last {
        tx.note(now, Event::Checkpoint, &last.to_string())?;
    }
    chains::seal(tx, last.map_or(chains::NEWER, |last| last.seq)).await
}

/// The last row of a chain that goes, if that is further than it went.
async fn goes_until(tx: &Tx<'_>, chain: i32, before: DateTime<Utc>) -> Res<Option<Anchor>> {
    let first_kept = tx.first(FIRST_KEPT, &[&tx.practice, &chain, &ms(before)]).await?;
    let first_kept: i64 = first_kept.map_or(Ok(i64::MAX), |row| get(&row, 0))?;
    let sql = "SELECT seq, link FROM ledger WHERE practice = $1 AND chain = $2 AND seq < $3 ORDER BY seq DESC LIMIT 1";
    let last = tx.first(sql, &[&tx.practice, &chain, &first_kept]).await?;
    let last = last.map(|row| Ok::<_, super::error::Failure>(Anchor { seq: get(&row, 0)?, link: link(&row, 1)? })).transpose()?;
    let reached = checkpoint(tx, chain).await?.map_or(0, |anchor| anchor.seq);
    Ok(last.filter(|anchor| anchor.seq > reached))
}

/// Walks all of it, and looks whether what keeps its rows is there.
pub(super) async fn verify(db: &Db, anchor: Option<Anchor>) -> Res<Verified> {
    let mut walk = Chains::new(kept(db).await?, anchor);
    let mut after = 0;
    loop {
        let rows = behind(db, after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = last.place;
        rows.iter().for_each(|row| walk.step(row));
    }
    let mut verified = walk.end();
    verified.findings.extend(acting(db).await?);
    Ok(verified)
}

/// Rows that are read together.
const PAGE: usize = 10_000;

/// The chains, and whether one has waited for a seal for a minute, although a daemon lives.
async fn kept(db: &Db) -> Res<Vec<StoredChain>> {
    let sql = "SELECT id, start, seq, link, coalesce(unsealed_since < clock_timestamp() - interval '1 minute', false)
                   AND EXISTS (SELECT 1 FROM node WHERE practice = $1 AND alive_until > clock_timestamp())
               FROM chain WHERE practice = $1 ORDER BY id";
    let mut all = Vec::new();
    for row in db.query(sql, &[&db.practice]).await? {
        let id = get(&row, 0)?;
        all.push(StoredChain {
            id,
            start: link(&row, 1)?,
            head: Anchor { seq: get(&row, 2)?, link: link(&row, 3)? },
            checkpoint: checkpoint(db, id).await?,
            parts: parts(db, id).await?,
            overdue: get(&row, 4)?,
        });
    }
    Ok(all)
}

/// What the rows of a chain are chained with, from which one on.
pub(super) async fn parts(db: &Db, chain: i32) -> Res<Vec<KeyedPart>> {
    let sql = "SELECT from_seq, key FROM ledger_key WHERE practice = $1 AND chain = $2 ORDER BY from_seq";
    let part = |row: &Row| {
        let from: i64 = get(row, 0)?;
        let key = Zeroizing::new(db.sealer.open_bytes("ledger_key", from.to_string(), get(row, 1)?)?);
        let key = <[u8; 32]>::try_from(&key[..]).map_err(|_| super::error::refused("a key of the ledger's chain is not of 32 bytes"))?;
        Ok(KeyedPart { from, key: Zeroizing::new(key) })
    };
    db.query(sql, &[&db.practice, &chain]).await?.iter().map(part).collect()
}

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
