//! The lower line of the flow: claim, begin, doubt, settle.
//!
//! Invariants: a claim raises the epoch; begin and doubt pass only for the claim's epoch and the session's latest revision, doubt only with
//! enough of the lease left by this store's clock; a delivery that was begun is written down even when its claim was lost.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{ms, store_now};
use super::notices::{self, Before, COLUMNS, find, record};
use super::{history, query, receipt, suppression};
use crate::outbox::transition::Row;
use crate::outbox::{Begin, Claim, ClaimRequest, Lease, Settlement};

/// The keys come from the index alone; only the rows that are claimed are read.
pub(super) fn claim_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM notice WHERE id IN (
             SELECT id FROM notice INDEXED BY notice_due
             WHERE channel = ?1 AND state IN ('waiting', 'unknown') AND next_attempt_at <= ?2
             ORDER BY start_at, due_at, key LIMIT ?3)
         ORDER BY start_at, due_at, key"
    )
}

/// Claims what is due, the most urgent first.
pub(super) fn claim(connection: &Connection, request: &ClaimRequest) -> rusqlite::Result<Vec<Claim>> {
    let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&claim_sql())?;
    let due: Vec<Row> =
        statement.query_map(params![request.channel.as_str(), ms(request.now), limit], notices::row)?.collect::<rusqlite::Result<_>>()?;
    let lease_until = store_now(connection)? + request.lease;
    due.into_iter().map(|row| claim_one(connection, row, request, lease_until)).collect()
}

fn claim_one(connection: &Connection, mut row: Row, request: &ClaimRequest, lease_until: DateTime<Utc>) -> rusqlite::Result<Claim> {
    let (before, entry) = (Before::of(&row), row.entry.clone());
    row.claim(&request.owner, lease_until, request.now);
    record(connection, &row, before, ("claimed", None), request.now)?;
    let (session, revision) = query::session(connection, &entry.source, entry.notice.session)?;
    let known = query::participant(connection, &entry.source, entry.notice.session, entry.notice.participation)?;
    let frozen = if row.doubt.is_some() { query::content(connection, entry.notice.key)? } else { None };
    let snapshot_at = query::last_snapshot_at(connection, &entry.source)?;
    Ok(Claim { entry, epoch: row.epoch, record: session.record, revision, snapshot_at, ambiguous: session.ambiguous, known, frozen })
}

/// The revision that was rendered is still the session's latest.
fn is_latest(connection: &Connection, row: &Row, revision: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT revision FROM session WHERE source = ?1 AND id = ?2";
    let latest: Option<i64> =
        connection.prepare_cached(sql)?.query_row(params![row.entry.source, row.entry.notice.session.0], |r| r.get(0)).optional()?;
    Ok(latest == Some(revision))
}

/// Freezes the bytes and opens the delivery.
pub(super) fn begin(connection: &Connection, begin: &Begin) -> rusqlite::Result<bool> {
    let Some(mut row) = find(connection, begin.lease.key)? else { return Ok(false) };
    let before = Before::of(&row);
    if !is_latest(connection, &row, begin.revision)? || !row.begin(begin.lease, &begin.facts, begin.at) {
        return Ok(false);
    }
    record(connection, &row, before, ("begun", Some(begin.transport.clone())), begin.at)?;
    let sql = "INSERT INTO content (notice_key, bytes) VALUES (?1, ?2) ON CONFLICT (notice_key) DO UPDATE SET bytes = excluded.bytes";
    connection.prepare_cached(sql)?.execute(params![begin.lease.key.0, begin.bytes])?;
    let sql = "INSERT INTO delivery (notice_key, attempt, epoch, started_at, phase, transport)
               VALUES (?1, (SELECT coalesce(max(attempt), 0) + 1 FROM delivery WHERE notice_key = ?1), ?2, ?3, 'pre', ?4)";
    connection.prepare_cached(sql)?.execute(params![begin.lease.key.0, begin.lease.epoch, ms(begin.at), begin.transport])?;
    Ok(true)
}

/// The point of no return.
pub(super) fn doubt(connection: &Connection, lease: Lease, revision: i64, margin: TimeDelta) -> rusqlite::Result<bool> {
    let Some(mut row) = find(connection, lease.key)? else { return Ok(false) };
    let (before, now) = (Before::of(&row), store_now(connection)?);
    if !is_latest(connection, &row, revision)? || !row.cross(lease, now, margin) {
        return Ok(false);
    }
    record(connection, &row, before, ("doubted", None), now)?;
    let sql = "UPDATE delivery SET phase = 'doubt' WHERE notice_key = ?1 AND epoch = ?2";
    connection.prepare_cached(sql)?.execute(params![lease.key.0, lease.epoch])?;
    Ok(true)
}

/// The claim ends; the delivery's end is written in any case.
pub(super) fn settle(connection: &Connection, lease: Lease, end: &Settlement, at: DateTime<Utc>) -> rusqlite::Result<bool> {
    let by_receipt = Settlement::by_receipt();
    let early = matches!(end, Settlement::Unknown { .. }) && receipt::came_early(connection, lease.key, lease.epoch)?;
    let end = if early { &by_receipt } else { end };
    let (outcome, reply) = end.in_words();
    close_delivery(connection, lease, at, outcome, reply)?;
    let Some(mut row) = find(connection, lease.key)? else { return Ok(false) };
    let before = Before::of(&row);
    if !row.settle(lease, end, at) {
        return Ok(false);
    }
    record(connection, &row, before, ("settled", Some(end.detail())), at)?;
    remember(connection, &row, end, at)?;
    Ok(true)
}

/// What a recovery wrote of it (`crashed`) is replaced: its own word is the better one.
pub(super) fn close_delivery(
    connection: &Connection,
    lease: Lease,
    at: DateTime<Utc>,
    outcome: &str,
    reply: Option<&str>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE delivery SET ended_at = ?3, outcome = ?4, reply = ?5
               WHERE notice_key = ?1 AND epoch = ?2 AND (ended_at IS NULL OR outcome = 'crashed')";
    connection.prepare_cached(sql)?.execute(params![lease.key.0, lease.epoch, ms(at), outcome, reply])?;
    Ok(())
}

/// What a rejection says about the address, in the same transaction.
fn remember(connection: &Connection, row: &Row, end: &Settlement, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let Settlement::Rejected { remember: Some(kind), .. } = end else { return Ok(()) };
    let notice = &row.entry.notice;
    if suppression::put(connection, &notice.address, *kind, at, Some(notice.key))? {
        history::append(connection, &row.suppressed(*kind, at))?;
    }
    Ok(())
}
