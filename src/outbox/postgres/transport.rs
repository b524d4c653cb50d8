//! Rows of the table `transport`.

use chrono::{DateTime, Utc};
use tokio_postgres::Row as Read;

use super::columns::{get, number, opt_at, opt_ms, word};
use super::db::{Db, Tx, Values};
use super::error::{Res, refused};
use crate::outbox::transports::Row;
use crate::outbox::{TransportAnswer, TransportAsk, TransportName, TransportState};

const COLUMNS: &str = "next_turn, faults, noted_at, paused_until, said_until, why, version, probed_by, probed_until";

fn row(read: &Read) -> Res<Row> {
    Ok(Row {
        next_turn: get::<Option<i64>>(read, 0)?.map(micros).transpose()?,
        faults: number(read, 1)?,
        noted_at: opt_at(read, 2)?,
        paused_until: opt_at(read, 3)?,
        said_until: opt_at(read, 4)?,
        why: get(read, 5)?,
        version: get(read, 6)?,
        probed_by: get(read, 7)?,
        probed_until: opt_at(read, 8)?,
    })
}

fn micros(at: i64) -> Res<DateTime<Utc>> {
    DateTime::from_timestamp_micros(at).ok_or_else(|| refused(format!("{at} is no time")))
}

/// Does what is asked about one. Whoever asks about it meanwhile waits.
pub(super) async fn ask(tx: &Tx<'_>, name: &TransportName, ask: &TransportAsk) -> Res<TransportAnswer> {
    let channel = name.channel.as_str();
    let sql = "INSERT INTO transport (practice, channel, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let which: Values<'_> = &[&tx.practice, &channel, &name.name];
    let select = format!("SELECT {COLUMNS} FROM transport WHERE practice = $1 AND channel = $2 AND name = $3 FOR UPDATE");
    let mut found = tx.first(&select, which).await?;
    if found.is_none() {
        tx.execute(sql, which).await?;
        found = Some(tx.one(&select, which).await?);
    }
    let before = found.as_ref().map(row).transpose()?.unwrap_or_default();
    let mut after = before.clone();
    // Read once it is locked: others took their turns before.
    let answer = after.ask(ask, tx.now().await?);
    if after != before {
        put(tx, name, &after).await?;
    }
    Ok(answer)
}

async fn put(tx: &Tx<'_>, name: &TransportName, row: &Row) -> Res<()> {
    let sql =
        "UPDATE transport SET next_turn = $4, faults = $5, noted_at = $6, paused_until = $7, said_until = $8, why = $9, version = $10,
                   probed_by = $11, probed_until = $12 WHERE practice = $1 AND channel = $2 AND name = $3";
    let values: Values<'_> = &[
        &tx.practice,
        &name.channel.as_str(),
        &name.name,
        &row.next_turn.map(|at| at.timestamp_micros()),
        &i64::from(row.faults),
        &opt_ms(row.noted_at),
        &opt_ms(row.paused_until),
        &opt_ms(row.said_until),
        &row.why,
        &row.version,
        &row.probed_by,
        &opt_ms(row.probed_until),
    ];
    tx.execute(sql, values).await.map(drop)
}

pub(super) async fn all(db: &Db) -> Res<Vec<TransportState>> {
    let sql = format!("SELECT {COLUMNS}, channel, name FROM transport WHERE practice = $1 ORDER BY channel, name");
    let rows = db.query(&sql, &[&db.practice]).await?;
    let now = db.now().await?;
    rows.iter().map(|read| Ok(row(read)?.known(TransportName { channel: word(read, 9)?, name: get(read, 10)? }, now))).collect()
}
