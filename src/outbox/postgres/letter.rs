//! Letters to the practice, and incidents that staff were told of.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::columns::{at, get, ms, number};
use super::db::{Db, Tx, Values};
use super::error::{Res, refused};
use crate::outbox::{Alert, LetterState, StaffLetter};

const COLUMNS: &str =
    "SELECT scheduled_at, recipient, state, attempts, changed_at FROM staff_letter WHERE practice = $1 AND scheduled_at = $2";

/// Those of a scheduled time, by recipient.
pub(super) async fn list(db: &Db, scheduled_at: DateTime<Utc>) -> Res<Vec<StaffLetter>> {
    let rows = db.query(&format!("{COLUMNS} ORDER BY recipient"), &[&db.practice, &ms(scheduled_at)]).await?;
    rows.iter().map(letter).collect()
}

/// Writes one down, and in the ledger. `false`: it may not get there, and stays as it is.
pub(super) async fn put(tx: &Tx<'_>, new: &StaffLetter) -> Res<bool> {
    let sql = format!("{COLUMNS} AND recipient = $3 FOR UPDATE");
    let before = tx.first(&sql, &[&tx.practice, &ms(new.scheduled_at), &new.recipient]).await?.as_ref().map(letter).transpose()?;
    if !new.state.may_follow(before.map(|b| b.state)) {
        return Ok(false);
    }
    let sql = "INSERT INTO staff_letter (practice, scheduled_at, recipient, state, attempts, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (practice, scheduled_at, recipient) DO UPDATE
               SET state = excluded.state, attempts = excluded.attempts, changed_at = excluded.changed_at";
    let (attempts, changed_at) = (i64::from(new.attempts), ms(new.changed_at));
    let values: Values<'_> = &[&tx.practice, &ms(new.scheduled_at), &new.recipient, &new.state.as_str(), &attempts, &changed_at];
    tx.execute(sql, values).await?;
    tx.note(new.changed_at, "staff_letter", &new.in_words())?;
    Ok(true)
}

fn letter(row: &Row) -> Res<StaffLetter> {
    let word: &str = get(row, 2)?;
    let state = LetterState::ALL.into_iter().find(|s| s.as_str() == word);
    Ok(StaffLetter {
        scheduled_at: at(row, 0)?,
        recipient: get(row, 1)?,
        state: state.ok_or_else(|| refused(format!("{word:?} is no state of a letter")))?,
        attempts: number(row, 3)?,
        changed_at: at(row, 4)?,
    })
}

/// Incidents that last, by key.
pub(super) async fn alerts(db: &Db) -> Res<Vec<Alert>> {
    let rows = db.query("SELECT key, since, text FROM alert WHERE practice = $1 ORDER BY key", &[&db.practice]).await?;
    rows.iter().map(|row| Ok(Alert { key: get(row, 0)?, since: at(row, 1)?, text: get(row, 2)? })).collect()
}

/// One was told.
pub(super) async fn begin_alert(tx: &Tx<'_>, alert: &Alert) -> Res<()> {
    let sql = "INSERT INTO alert (practice, key, since, text) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    match tx.execute(sql, &[&tx.practice, &alert.key, &ms(alert.since), &alert.text]).await? {
        0 => Ok(()),
        _ => tx.note(alert.since, "alert", &alert.key),
    }
}

/// It is over.
pub(super) async fn end_alert(tx: &Tx<'_>, key: &str, now: DateTime<Utc>) -> Res<()> {
    match tx.execute("DELETE FROM alert WHERE practice = $1 AND key = $2", &[&tx.practice, &key]).await? {
        0 => Ok(()),
        _ => tx.note(now, "alert_over", key),
    }
}
