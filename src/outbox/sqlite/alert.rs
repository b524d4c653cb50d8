//! Incidents that staff were told of.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};

use super::columns::{at, ms};
use super::history;
use super::tx::Tx;
use crate::ledger::Event;
use crate::outbox::Alert;

/// Those that last, by key.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Alert>> {
    let one = |row: &Row<'_>| Ok(Alert { key: row.get(0)?, since: at(row, 1)?, text: row.get(2)? });
    connection.prepare_cached("SELECT key, since, text FROM alert ORDER BY key")?.query_map([], one)?.collect()
}

pub(super) fn begin(connection: &Tx<'_>, alert: &Alert) -> rusqlite::Result<()> {
    let sql = "INSERT INTO alert (key, since, text) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    if connection.prepare_cached(sql)?.execute(params![alert.key, ms(alert.since), alert.text])? > 0 {
        history::note(connection, alert.since, Event::Alert, &alert.key)?;
    }
    Ok(())
}

pub(super) fn end(connection: &Tx<'_>, key: &str, now: DateTime<Utc>) -> rusqlite::Result<()> {
    if connection.prepare_cached("DELETE FROM alert WHERE key = ?1")?.execute([key])? > 0 {
        history::note(connection, now, Event::AlertOver, key)?;
    }
    Ok(())
}
