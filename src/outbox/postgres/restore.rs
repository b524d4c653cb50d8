//! After a restore, or a promotion of another server: what was told last may be gone, so what may have been told is held, and not sent again.
//!
//! The database says which one it is ([`super::open`]). If that is not the one that the last start found, all that was due since is held, and the first
//! walks find again what was told already: [`crate::walk`] holds new invites and corrections of the sources that are named in the table `restored`.

use chrono::{DateTime, Utc};

use super::columns::{get, ms, opt_at, time};
use super::db::{Db, Tx};
use super::error::Res;
use super::hold::hold;
use super::notices::keys_of;
use super::outgoing;
use crate::ledger::Event;
use crate::notice::Reason;
use crate::outbox::words::rfc3339;
use crate::outbox::{ReplaysAfterRestore, Restored, Scheduled};

/// Holds what was due, and notes which sources find again what was told; from then on this is the database.
pub(super) async fn restored(
    tx: &Tx<'_>,
    (since, lineage): (Option<DateTime<Utc>>, &str),
    (sources, letters): (&[String], &[Scheduled]),
    now: DateTime<Utc>,
) -> Res<Restored> {
    let last_at = tx.first("SELECT at FROM ledger WHERE practice = $1 ORDER BY place DESC LIMIT 1", &[&tx.practice]).await?;
    let last_at = last_at.map(|row| get(&row, 0).and_then(time)).transpose()?;
    let was_set_back = Restored::was_set_back(last_at, since, now);
    let sql = "SELECT key FROM notice WHERE practice = $1 AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL
               AND (next_attempt_at <= $2 OR due_at <= $2 OR doubt IS NOT NULL OR ($3 AND occasion <> 'reminder')) ORDER BY id";
    let keys = keys_of(tx, sql, &[&tx.practice, &ms(now), &was_set_back]).await?;
    let held = hold(tx, &keys, (Reason::Restored, Event::Restored), now).await?;
    // What waits there may have been answered since.
    let sql = "UPDATE outgoing SET state = 'cancelled', outcome = 'restored', next_attempt_at = NULL, address = ''
               WHERE practice = $1 AND kind = 'answer' AND state = 'waiting'";
    tx.execute(sql, &[&tx.practice]).await?;
    let letters = outgoing::forgo(tx, &Scheduled::after(letters, since, now), now).await?;
    for source in sources {
        let sql =
            "INSERT INTO restored (practice, source) VALUES ($1, $2) ON CONFLICT (practice, source) DO UPDATE SET first_walk_at = NULL";
        tx.execute(sql, &[&tx.practice, source]).await?;
    }
    tx.execute("UPDATE practice SET lineage = $2 WHERE id = $1", &[&tx.practice, &lineage]).await?;
    let from = since.map_or_else(|| "its beginning".to_owned(), rfc3339);
    let restored = Restored { since, held, letters };
    tx.note(now, Event::Restored, &format!("another database than the last one, complete until {from}: {}", restored.in_words()))?;
    Ok(restored)
}

/// Of whom the walks of a source still find again what was told.
pub(super) async fn replays_after_restore(db: &Db, source: &str, now: DateTime<Utc>) -> Res<ReplaysAfterRestore> {
    let sql = "SELECT first_walk_at FROM restored WHERE practice = $1 AND source = $2";
    match db.first(sql, &[&db.practice, &source]).await?.map(|row| opt_at(&row, 0)).transpose()? {
        None => Ok(ReplaysAfterRestore::Nobody),
        Some(Some(at)) if now > at + ReplaysAfterRestore::FOR && !is_undecided(db, source, now).await? => {
            Ok(ReplaysAfterRestore::WhoeverWaited(at))
        }
        Some(_) => Ok(ReplaysAfterRestore::Everybody),
    }
}

/// Something that its walks found waits for an operator, or somebody is missed and does not count as absent yet: what comes of it may have been told.
async fn is_undecided(db: &Db, source: &str, now: DateTime<Utc>) -> Res<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM guard WHERE practice = $1 AND source = $2 AND standing <> 'rejected')
        OR EXISTS (SELECT 1 FROM participant AS p JOIN session AS s ON s.practice = $1 AND s.source = p.source AND s.id = p.session_id
            WHERE p.practice = $1 AND p.source = $2 AND p.absences > 0 AND NOT p.cancelled AND s.start_at > $3)";
    get(&db.one(sql, &[&db.practice, &source, &ms(now)]).await?, 0)
}

/// Somebody is held as ambiguous in a session that is to come, or cannot be read: what is found of them is yet to be found.
async fn somebody_waits(tx: &Tx<'_>, source: &str, now: DateTime<Utc>) -> Res<bool> {
    let sql = "SELECT 1 FROM session AS s LEFT JOIN participant AS p ON p.practice = $1 AND p.source = s.source AND p.session_id = s.id
        WHERE s.practice = $1 AND s.source = $2 AND s.start_at > $3 AND (s.ambiguous <> '[]'
            OR s.presence IN ('unheard', 'unreadable') OR p.presence IN ('unheard', 'unreadable'))";
    tx.exists(sql, &[&tx.practice, &source, &ms(now)]).await
}

/// In a walk's transaction, before its change of what waits for an operator. People of one source may wait for those of another, so all sources find
/// again what was told until some time after the last thing is decided.
pub(super) async fn walking(tx: &Tx<'_>, now: DateTime<Utc>) -> Res<()> {
    let sql = "UPDATE restored SET first_walk_at = $2 WHERE practice = $1 AND first_walk_at IS NOT NULL
               AND EXISTS (SELECT 1 FROM guard WHERE practice = $1 AND standing <> 'rejected')";
    tx.execute(sql, &[&tx.practice, &ms(now)]).await?;
    Ok(())
}

pub(super) async fn walked(tx: &Tx<'_>, source: &str, now: DateTime<Utc>) -> Res<()> {
    let sql = "UPDATE restored SET first_walk_at = $3 WHERE practice = $1 AND source = $2 AND first_walk_at IS NULL";
    if tx.execute(sql, &[&tx.practice, &source, &ms(now)]).await? > 0 {
        return Ok(());
    }
    let sql = "SELECT 1 FROM restored WHERE practice = $1 AND source = $2 AND first_walk_at < $3";
    let is_over = tx.exists(sql, &[&tx.practice, &source, &ms(now - ReplaysAfterRestore::FOR)]).await?;
    if is_over && !is_undecided(tx, source, now).await? && !somebody_waits(tx, source, now).await? {
        tx.execute("DELETE FROM restored WHERE practice = $1 AND source = $2", &[&tx.practice, &source]).await?;
    }
    Ok(())
}
