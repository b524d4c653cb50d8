//! The chains of the ledger, one for each writer, and the first one, which holds them together: see [`crate::ledger::chains`].
//!
//! A writer opens its own at its first step of an attempt, and seals it when it ends; a daemon's mark seals all that moved, every few seconds. None is ever
//! removed: a prune takes rows, and leaves where they ended.

use data_encoding::HEXLOWER;
use tokio_postgres::Row;

use super::columns::{get, link};
use super::db::{CHAIN, Db, Tx};
use super::error::{Res, refused};
use super::node::process;
use super::open::Home;
use crate::ledger::chains::{opening, seal as sealing};
use crate::ledger::{Anchor, Event};

/// Which writer this is: drawn once.
pub(super) fn writer() -> Res<String> {
    let mut drawn = [0; 16];
    getrandom::fill(&mut drawn).map_err(|e| refused(format!("the system gives no random bytes: {e}")))?;
    Ok(HEXLOWER.encode(&drawn))
}

/// The chain of a writer, opened if it is not: a commit whose answer was lost opened it.
pub(super) async fn open(home: &Home, db: &Db, writer: &str) -> Res<i32> {
    let tx = Tx::begin(db).await?;
    match opened(home, &tx, writer).await {
        Ok((id, true)) => db.commit().await.map(|()| id),
        Ok((id, false)) => {
            tx.undo().await;
            Ok(id)
        }
        Err(failure) => {
            tx.undo().await;
            Err(failure)
        }
    }
}

/// Its number, and whether it is new.
async fn opened(home: &Home, tx: &Tx<'_>, writer: &str) -> Res<(i32, bool)> {
    home.is_ours(tx).await?;
    let sql = "SELECT id FROM chain WHERE practice = $1 AND opened_by = $2";
    if let Some(row) = tx.first(sql, &[&tx.practice, &writer]).await? {
        return Ok((get(&row, 0)?, false));
    }
    let id: i32 = get(&tx.one("SELECT max(id) + 1 FROM chain WHERE practice = $1", &[&tx.practice]).await?, 0)?;
    tx.note(tx.now().await?, Event::Chain, &opening(id, &says(home)))?;
    tx.flush().await?;
    let Anchor { seq, link } = tx.head();
    let sql = "INSERT INTO chain (practice, id, seq, link, start, opened_by, process, named) VALUES ($1, $2, 0, $3, $3, $4, $5, $6)";
    tx.execute(sql, &[&tx.practice, &id, &&link.0[..], &writer, &process(), &seq]).await?;
    if let Some(key) = tx.sealer.chain() {
        put_key(tx, id, 1, &key).await?;
    }
    Ok((id, true))
}

/// From that row on a chain is keyed with that key.
pub(super) async fn put_key(tx: &Tx<'_>, chain: i32, from: i64, key: &[u8; 32]) -> Res<()> {
    let sealed = tx.sealer.seal_bytes("ledger_key", from.to_string(), key)?;
    let sql = "INSERT INTO ledger_key (practice, chain, from_seq, key) VALUES ($1, $2, $3, $4)
               ON CONFLICT (practice, chain, from_seq) DO UPDATE SET key = excluded.key";
    tx.execute(sql, &[&tx.practice, &chain, &from, &sealed]).await.map(drop)
}

/// What a person knows the writer by.
fn says(home: &Home) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let process = format!("process {} on {}", std::process::id(), host.trim());
    home.server.node().map_or(process.clone(), |name| format!("node {name}, {process}"))
}

/// For [`seal`]: only those that moved.
pub(super) const NEWER: i64 = -1;

/// Whether some have waited for a seal for some seconds.
pub(super) async fn wait(db: &Db) -> Res<bool> {
    let sql = "SELECT 1 FROM chain WHERE practice = $1 AND unsealed_since < clock_timestamp() - interval '4 s' LIMIT 1";
    db.exists(sql, &[&db.practice]).await
}

/// Seals those that moved since the last time. `passed`: also those that no row of the first chain behind this one names.
pub(super) async fn seal(tx: &Tx<'_>, passed: i64) -> Res<()> {
    let sql = "SELECT id, seq, link FROM chain WHERE practice = $1 AND id <> $2 AND (seq > sealed OR named <= $3) ORDER BY id FOR UPDATE";
    let rows = tx.query(sql, &[&tx.practice, &CHAIN, &passed]).await?;
    let head = |row: &Row| Ok((get(row, 0)?, Anchor { seq: get(row, 1)?, link: link(row, 2)? }));
    let heads = rows.iter().map(head).collect::<Res<Vec<(i32, Anchor)>>>()?;
    if heads.is_empty() {
        return Ok(());
    }
    tx.note(tx.now().await?, Event::Seal, &sealing(&heads))?;
    tx.flush().await?;
    let ids: Vec<i32> = heads.iter().map(|(id, _)| *id).collect();
    let sql = "UPDATE chain SET sealed = seq, named = $2, unsealed_since = NULL WHERE practice = $1 AND id = ANY($3)";
    tx.execute(sql, &[&tx.practice, &tx.head().seq, &ids]).await.map(drop)
}

/// The numbers of all of them.
pub(super) async fn all(db: &Db) -> Res<Vec<i32>> {
    let rows = db.query("SELECT id FROM chain WHERE practice = $1 ORDER BY id", &[&db.practice]).await?;
    rows.iter().map(|row| get(row, 0)).collect()
}
