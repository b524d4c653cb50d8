//! Incidents that staff were told of.

use chrono::{DateTime, Utc};

use super::columns::{at, get, ms};
use super::db::{Db, Tx};
use super::error::Res;
use crate::ledger::Event;
use crate::outbox::Alert;

/// Incidents that last, by key.
pub(super) async fn list(db: &Db) -> Res<Vec<Alert>> {
    let rows = db.query("SELECT key, since, text FROM alert WHERE practice = $1 ORDER BY key", &[&db.practice]).await?;
    rows.iter().map(|row| Ok(Alert { key: get(row, 0)?, since: at(row, 1)?, text: get(row, 2)? })).collect()
}

pub(super) async fn begin(tx: &Tx<'_>, alert: &Alert) -> Res<()> {
    let sql = "INSERT INTO alert (practice, key, since, text) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    match tx.execute(sql, &[&tx.practice, &alert.key, &ms(alert.since), &alert.text]).await? {
        0 => Ok(()),
        _ => tx.note(alert.since, Event::Alert, &alert.key),
    }
}

pub(super) async fn end(tx: &Tx<'_>, key: &str, now: DateTime<Utc>) -> Res<()> {
    match tx.execute("DELETE FROM alert WHERE practice = $1 AND key = $2", &[&tx.practice, &key]).await? {
        0 => Ok(()),
        _ => tx.note(now, Event::AlertOver, key),
    }
}
