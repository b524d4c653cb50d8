//! Receipts: written beside the delivery that they speak of, and into the ledger, in one transaction.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{at, key, ms, opt_word, word};
use super::notices::{NoticeBefore, find, record};
use super::tx::Tx;
use super::{history, suppression};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::feedback::NewSuppression;
use crate::outbox::transition::{ARRIVED, Row};
use crate::receipt::{DeliveryStatus, Receipt, ReceiptTarget, Received, Undelivered};
use crate::session::{ParticipationId, SessionId};
use crate::suppression::SaidBy;

/// By the provider's id, the latest.
pub(super) const BY_REFERENCE: &str = "SELECT key FROM notice INDEXED BY notice_reference
     WHERE channel = 'sms' AND reference = ?1 AND due_at > ?2 ORDER BY due_at DESC LIMIT 1";

/// Of all notices in a span of due times, for whoever knows what our references are made of. The keys stand in the rows.
pub(super) const DUE_BETWEEN: &str =
    "SELECT key FROM notice INDEXED BY notice_listed WHERE due_at BETWEEN ?1 AND ?2 ORDER BY due_at DESC, id DESC";

/// What did not arrive, less what was mended since: by a later message that did, or by another address.
pub(super) const UNDELIVERED: &str =
    "SELECT n.key, n.session_id, n.participation_id, n.occasion, n.rule, n.start_at, d.receipt, d.receipt_detail, d.receipt_at
     FROM delivery d INDEXED BY delivery_undelivered CROSS JOIN notice n ON n.id = d.notice_id
     WHERE d.receipt IN ('undelivered', 'failed') AND n.start_at > ?1 AND NOT EXISTS (
         SELECT 1 FROM notice m LEFT JOIN delivery e ON e.notice_id = m.id
         WHERE m.session_id = n.session_id AND m.participation_id = n.participation_id AND m.source = n.source
         AND ((e.receipt = 'delivered' AND e.receipt_at >= d.receipt_at)
              OR (unseal('address', '', m.address) <> unseal('address', '', n.address) COLLATE NOCASE AND m.state = 'accepted' AND m.accepted_at >= d.receipt_at)))
     ORDER BY n.start_at, n.due_at, n.id";

/// The last attempt that passed its point of no return: while one runs, its phase is the notice's.
pub(super) const LAST: &str = "SELECT notice.id, attempt, receipt FROM notice JOIN delivery ON notice_id = notice.id
     WHERE key = ?1 AND CASE WHEN ended_at IS NULL AND delivery.epoch = notice.epoch AND notice.phase IS NOT NULL
         THEN notice.phase ELSE delivery.phase END = 'doubt'
     ORDER BY attempt DESC LIMIT 1";

pub(super) fn receive(connection: &Tx<'_>, now: DateTime<Utc>, receipt: &Receipt) -> rusqlite::Result<Received> {
    let Some(mut row) = about(connection, &receipt.about)? else { return Ok(Received::Unmatched) };
    let key = row.entry.notice.key;
    let receipt = receipt.about_address(&row.entry.notice.address);
    let last = |r: &rusqlite::Row<'_>| Ok((r.get::<_, i64>(0)?, r.get::<_, u32>(1)?, opt_word(r, 2)?));
    let last = connection.prepare_cached(LAST)?.query_row([key.0], last).optional()?;
    let Some((number, attempt, said)) = last else { return Ok(Received::Unmatched) };
    if !receipt.status.replaces(said) {
        return Ok(Received::Known(key));
    }
    let sql = "UPDATE delivery SET receipt = ?3, receipt_at = ?4, receipt_detail = ?5 WHERE notice_id = ?1 AND attempt = ?2";
    connection.prepare_cached(sql)?.execute(params![number, attempt, receipt.status.as_str(), ms(now), receipt.detail])?;
    let before = NoticeBefore::of(&row);
    row.receive(now);
    record(connection, &row, before, (Event::Receipt, Some(receipt.in_words())), now)?;
    if receipt.status.is_lost() || said.is_some_and(DeliveryStatus::is_lost) {
        // What was kept back because they had just been told goes now.
        let (source, session) = (&row.entry.source, row.entry.notice.session);
        connection.prepare_cached(suppression::PLAN_ONE_AGAIN)?.execute(params![source, session.0])?;
    }
    if receipt.status.refutes(said) && suppression::forget_refuted(connection, key, SaidBy::Receipt, now)? {
        history::append(connection, &row.unsuppressed(ARRIVED, now))?;
    }
    if let Some(kind) = receipt.remember
        && suppression::put(connection, &NewSuppression::of(&row.entry.notice, kind, SaidBy::Receipt, now))?
    {
        history::append(connection, &row.suppressed(kind, now))?;
    }
    Ok(Received::Noted(key))
}

pub(super) const LAST_ATTEMPTS: &str = "SELECT key, receipt FROM notice INDEXED BY notice_session JOIN delivery ON notice_id = notice.id
     WHERE session_id = ?2 AND participation_id = ?3 AND source = ?1 ORDER BY notice.id, attempt";

/// Notices of somebody whose last attempt did not arrive, by its receipt.
pub(super) fn lost(connection: &Connection, source: &str, session: SessionId, id: ParticipationId) -> rusqlite::Result<HashSet<NoticeKey>> {
    let mut lost = HashSet::new();
    let mut statement = connection.prepare_cached(LAST_ATTEMPTS)?;
    let mut rows = statement.query(params![source, session.0, id.0])?;
    while let Some(row) = rows.next()? {
        let (key, status) = (key(row, 0)?, opt_word::<DeliveryStatus>(row, 1)?);
        if status.is_some_and(DeliveryStatus::is_lost) {
            lost.insert(key)
        } else {
            lost.remove(&key)
        };
    }
    Ok(lost)
}

fn about(connection: &Connection, about: &ReceiptTarget) -> rusqlite::Result<Option<Row>> {
    match about {
        ReceiptTarget::Notice(key) => find(connection, *key),
        ReceiptTarget::Reference(reference, since) => {
            let values = params![reference, ms(*since)];
            let found = connection.prepare_cached(BY_REFERENCE)?.query_row(values, |r| key(r, 0)).optional()?;
            found.map_or(Ok(None), |key| find(connection, key))
        }
    }
}

/// The notice that it is about.
pub(super) fn whose(connection: &Connection, of: &ReceiptTarget) -> rusqlite::Result<Option<NoticeKey>> {
    Ok(about(connection, of)?.map(|row| row.entry.notice.key))
}

/// Whether a receipt came of any attempt, before its answer did or instead of it: the provider has the message.
pub(super) fn came(connection: &Connection, key: NoticeKey) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM delivery WHERE notice_id = (SELECT id FROM notice WHERE key = ?1) AND receipt IS NOT NULL";
    connection.prepare_cached(sql)?.exists([key.0])
}

/// See [`DUE_BETWEEN`].
pub(super) fn due_between(connection: &Connection, from: DateTime<Utc>, until: DateTime<Utc>) -> rusqlite::Result<Vec<NoticeKey>> {
    connection.prepare_cached(DUE_BETWEEN)?.query_map(params![ms(from), ms(until)], |r| key(r, 0))?.collect()
}

/// See [`UNDELIVERED`].
pub(super) fn undelivered(connection: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Vec<Undelivered>> {
    let row = |r: &rusqlite::Row<'_>| {
        Ok(Undelivered {
            key: key(r, 0)?,
            session_id: SessionId(r.get(1)?),
            participation_id: ParticipationId(r.get(2)?),
            occasion: word(r, 3)?,
            rule: r.get(4)?,
            start: at(r, 5)?,
            status: word::<DeliveryStatus>(r, 6)?,
            detail: r.get(7)?,
            at: at(r, 8)?,
        })
    };
    connection.prepare_cached(UNDELIVERED)?.query_map([ms(now)], row)?.collect()
}
