//! Receipts: written beside the delivery that they speak of, and into the ledger, in one transaction.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::columns::{at, get, key, ms, opt_at, opt_word, person, session, word};
use super::db::{Db, Tx, Values};
use super::error::Res;
use super::notices::{Numbered, Sheet, keys_of};
use super::suppression;
use crate::contact::{Address, Channel};
use crate::entry::AttemptEnd;
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::RecentEnd;
use crate::outbox::feedback::NewSuppression;
use crate::outbox::transition::ARRIVED;
use crate::receipt::{DeliveryStatus, Receipt, ReceiptTarget, Received, Undelivered};
use crate::session::ParticipantRef;
use crate::suppression::SaidBy;

/// By the provider's id, the latest.
pub(super) const BY_REFERENCE: &str = "SELECT key FROM notice WHERE practice = $1 AND channel = 'sms' AND reference = $2 AND due_at > $3
     ORDER BY due_at DESC LIMIT 1";

/// Of all notices in a span of due times, for whoever knows what our references are made of.
pub(super) const DUE_BETWEEN: &str =
    "SELECT key FROM notice WHERE practice = $1 AND due_at BETWEEN $2 AND $3 ORDER BY due_at DESC, id DESC";

/// The last attempt that passed its point of no return: while one runs, its phase is the notice's.
const LAST: &str = "SELECT d.attempt, d.receipt FROM notice AS n JOIN delivery AS d ON d.practice = $1 AND d.notice_id = n.id
     WHERE n.practice = $1 AND n.id = $2 AND CASE WHEN d.ended_at IS NULL AND d.epoch = n.epoch AND n.phase IS NOT NULL THEN n.phase ELSE d.phase END = 'doubt'
     ORDER BY d.attempt DESC LIMIT 1";

pub(super) async fn receive(tx: &Tx<'_>, now: DateTime<Utc>, receipt: &Receipt) -> Res<Received> {
    let Some(of) = whose(tx, &receipt.about).await? else { return Ok(Received::Unmatched) };
    let mut sheet = Sheet::of(tx, &[of]).await?;
    let Some(Numbered { id, row }) = sheet.get_mut(of) else { return Ok(Received::Unmatched) };
    let (id, from) = (*id, row.entry.state);
    let receipt = receipt.about_address(&row.entry.notice.address);
    let Some(last) = tx.first(LAST, &[&tx.practice, &id]).await? else { return Ok(Received::Unmatched) };
    let (attempt, said): (i64, Option<DeliveryStatus>) = (get(&last, 0)?, opt_word(&last, 1)?);
    if !receipt.status.replaces(said) {
        return Ok(Received::Known(of));
    }
    let sql =
        "UPDATE delivery SET receipt = $4, receipt_at = $5, receipt_detail = $6 WHERE practice = $1 AND notice_id = $2 AND attempt = $3";
    let values: Values<'_> = &[&tx.practice, &id, &attempt, &receipt.status.as_str(), &ms(now), &receipt.detail];
    tx.execute(sql, values).await?;
    row.receive(now);
    let row = row.clone();
    sheet.record(tx, of, from, (Event::Receipt, Some(receipt.in_words())), now)?;
    sheet.save(tx).await?;
    if receipt.status.is_lost() || said.is_some_and(DeliveryStatus::is_lost) {
        // What was kept back because they had just been told goes now.
        let session = row.entry.notice.session.0;
        tx.execute(suppression::PLAN_ONE_AGAIN, &[&tx.practice, &row.entry.source, &session]).await?;
    }
    if receipt.status.refutes(said) && suppression::forget_refuted(tx, of, SaidBy::Receipt, now).await? {
        tx.append(row.unsuppressed(ARRIVED, now))?;
    }
    if let Some(kind) = receipt.remember
        && suppression::put(tx, &NewSuppression::of(&row.entry.notice, kind, SaidBy::Receipt, now)).await?
    {
        tx.append(row.suppressed(kind, now))?;
    }
    Ok(Received::Noted(of))
}

const LAST_ATTEMPTS: &str = "SELECT n.key, d.receipt FROM notice AS n JOIN delivery AS d ON d.practice = $1 AND d.notice_id = n.id
     WHERE n.practice = $1 AND n.source = $2 AND n.session_id = $3 AND n.participation_id = $4 ORDER BY n.id, d.attempt";

/// Notices of somebody whose last attempt did not arrive, by its receipt.
pub(super) async fn lost(db: &Db, place: &ParticipantRef) -> Res<HashSet<NoticeKey>> {
    let mut lost = HashSet::new();
    let values: Values<'_> = &[&db.practice, &place.source, &place.session.0, &place.participation.0];
    for row in db.query(LAST_ATTEMPTS, values).await? {
        let (key, status) = (key(&row, 0)?, opt_word::<DeliveryStatus>(&row, 1)?);
        if status.is_some_and(DeliveryStatus::is_lost) {
            lost.insert(key);
        } else {
            lost.remove(&key);
        }
    }
    Ok(lost)
}

/// The notice that it is about.
pub(super) async fn whose(db: &Db, about: &ReceiptTarget) -> Res<Option<NoticeKey>> {
    let found = match about {
        ReceiptTarget::Notice(key) => {
            keys_of(db, "SELECT key FROM notice WHERE practice = $1 AND key = $2", &[&db.practice, &&key.0[..]]).await?
        }
        ReceiptTarget::Reference(reference, since) => keys_of(db, BY_REFERENCE, &[&db.practice, reference, &ms(*since)]).await?,
    };
    Ok(found.into_iter().next())
}

/// Whether a receipt came of any attempt, before its answer did or instead of it: the provider has the message.
pub(super) async fn came(db: &Db, id: i64) -> Res<bool> {
    db.exists("SELECT 1 FROM delivery WHERE practice = $1 AND notice_id = $2 AND receipt IS NOT NULL LIMIT 1", &[&db.practice, &id]).await
}

/// See [`DUE_BETWEEN`].
pub(super) async fn due_between(db: &Db, from: DateTime<Utc>, until: DateTime<Utc>) -> Res<Vec<NoticeKey>> {
    keys_of(db, DUE_BETWEEN, &[&db.practice, &ms(from), &ms(until)]).await
}

/// What did not arrive, of sessions to come.
pub(super) const LOST: &str =
    "SELECT n.key, n.session_id, n.participation_id, n.occasion, n.rule, n.start_at, d.receipt, d.receipt_detail, d.receipt_at, n.source,
         n.channel, n.address
     FROM delivery AS d JOIN notice AS n ON n.practice = $1 AND n.id = d.notice_id
     WHERE d.practice = $1 AND d.receipt IN ('undelivered', 'failed') AND n.start_at > $2 ORDER BY n.start_at, n.due_at, n.id, d.attempt";

/// What else was sent to those people: whether it was accepted when, and how it fared.
const SINCE: &str =
    "SELECT n.source, n.session_id, n.participation_id, n.channel, n.address, CASE WHEN n.state = 'accepted' THEN n.accepted_at END,
         CASE WHEN d.receipt = 'delivered' THEN d.receipt_at END
     FROM notice AS n LEFT JOIN delivery AS d ON d.practice = $1 AND d.notice_id = n.id
     WHERE n.practice = $1 AND n.session_id = ANY($2)";

/// What may mend what was lost.
struct LostDelivery {
    address: Address,
    accepted_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
}

/// What did not arrive, less what was mended since: by a later message that did, or by another address.
pub(super) async fn undelivered(db: &Db, now: DateTime<Utc>) -> Res<Vec<Undelivered>> {
    let rows = db.query(LOST, &[&db.practice, &ms(now)]).await?;
    let sessions = rows.iter().map(|row| get(row, 1)).collect::<Res<Vec<i64>>>()?;
    let address = |row: &Row, channel: usize| -> Res<Address> {
        let channel_word: Channel = word(row, channel)?;
        Ok(Address::restore(channel_word, &db.sealer.open("address", "", get(row, channel + 1)?)?))
    };
    let mut since: HashMap<ParticipantRef, Vec<LostDelivery>> = HashMap::new();
    for row in &db.query(SINCE, &[&db.practice, &sessions]).await? {
        let place = ParticipantRef { source: get(row, 0)?, session: session(row, 1)?, participation: person(row, 2)? };
        let one = LostDelivery { address: address(row, 3)?, accepted_at: opt_at(row, 5)?, delivered_at: opt_at(row, 6)? };
        since.entry(place).or_default().push(one);
    }
    let mut found = Vec::new();
    for row in &rows {
        let place = ParticipantRef { source: get(row, 9)?, session: session(row, 1)?, participation: person(row, 2)? };
        let (at, to) = (at(row, 8)?, address(row, 10)?);
        let mends = |one: &LostDelivery| {
            let elsewhere = !one.address.expose().eq_ignore_ascii_case(to.expose());
            one.delivered_at.is_some_and(|then| then >= at) || (elsewhere && one.accepted_at.is_some_and(|then| then >= at))
        };
        if since.get(&place).is_some_and(|all| all.iter().any(mends)) {
            continue;
        }
        found.push(Undelivered {
            key: key(row, 0)?,
            session_id: place.session,
            participation_id: place.participation,
            occasion: word(row, 3)?,
            rule: get(row, 4)?,
            start: super::columns::at(row, 5)?,
            status: word(row, 6)?,
            detail: get(row, 7)?,
            at,
        });
    }
    Ok(found)
}

/// How hand-overs of this channel ended, within the last rows of the ledger, in order.
pub(super) async fn settled_lately(db: &Db, channel: Channel, rows: usize) -> Res<Vec<RecentEnd>> {
    let sql = "SELECT n.key, n.channel, n.address, d.transport, l.detail
               FROM ledger AS l JOIN notice AS n ON n.practice = $1 AND n.key = l.notice_key
               JOIN delivery AS d ON d.practice = $1 AND d.notice_id = n.id AND d.ended_at = l.at
               WHERE l.practice = $1 AND l.place > coalesce((SELECT place FROM ledger WHERE practice = $1 ORDER BY place DESC OFFSET $2 LIMIT 1), 0)
                   AND l.event = 'settled' AND n.channel = $3 AND d.transport IS NOT NULL AND l.detail IS NOT NULL ORDER BY l.place";
    let most = i64::from(u32::try_from(rows).unwrap_or(u32::MAX));
    let rows = db.query(sql, &[&db.practice, &most, &channel.as_str()]).await?;
    let lately = |row| {
        let address = Address::restore(word(row, 1)?, &db.sealer.open("address", "", get(row, 2)?)?);
        let who = crate::suppression::suppression_key(&address);
        let (end, said) = AttemptEnd::of_detail(get(row, 4)?);
        Ok(RecentEnd { key: key(row, 0)?, who, transport: get(row, 3)?, end, said: said.to_owned() })
    };
    rows.iter().map(lately).collect()
}
