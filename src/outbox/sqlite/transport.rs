//! Rows of the table `transport`.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{misread, opt_at, opt_ms, store_now, word};
use super::tx::Tx;
use crate::outbox::transports::Row;
use crate::outbox::{TransportAnswer, TransportAsk, TransportName, TransportState};

const COLUMNS: &str = "next_turn, faults, noted_at, paused_until, said_until, why, version, probed_by, probed_until";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        next_turn: row.get::<_, Option<i64>>(0)?.map(micros).transpose()?,
        faults: row.get(1)?,
        noted_at: opt_at(row, 2)?,
        paused_until: opt_at(row, 3)?,
        said_until: opt_at(row, 4)?,
        why: row.get(5)?,
        version: row.get(6)?,
        probed_by: row.get(7)?,
        probed_until: opt_at(row, 8)?,
    })
}

fn micros(at: i64) -> rusqlite::Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(at).ok_or_else(|| misread(0, Type::Integer, format!("{at} is no time")))
}

/// Does what is asked about one.
pub(super) fn ask(connection: &Tx<'_>, name: &TransportName, ask: &TransportAsk) -> rusqlite::Result<TransportAnswer> {
    let sql = format!("SELECT {COLUMNS} FROM transport WHERE channel = ?1 AND name = ?2");
    let before = connection.prepare_cached(&sql)?.query_row([name.channel.as_str(), &name.name], row).optional()?.unwrap_or_default();
    let mut after = before.clone();
    let answer = after.ask(ask, store_now(connection)?);
    if after != before {
        put(connection, name, &after)?;
    }
    Ok(answer)
}

fn put(connection: &Connection, name: &TransportName, row: &Row) -> rusqlite::Result<()> {
    let sql = format!("INSERT OR REPLACE INTO transport (channel, name, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
    connection.prepare_cached(&sql)?.execute(params![
        name.channel.as_str(),
        name.name,
        row.next_turn.map(|at| at.timestamp_micros()),
        row.faults,
        opt_ms(row.noted_at),
        opt_ms(row.paused_until),
        opt_ms(row.said_until),
        row.why,
        row.version,
        row.probed_by,
        opt_ms(row.probed_until),
    ])?;
    Ok(())
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<TransportState>> {
    let now = store_now(connection)?;
    let sql = format!("SELECT {COLUMNS}, channel, name FROM transport ORDER BY channel, name");
    let known = |read: &rusqlite::Row<'_>| Ok(row(read)?.known(TransportName { channel: word(read, 9)?, name: read.get(10)? }, now));
    connection.prepare_cached(&sql)?.query_map([], known)?.collect()
}
