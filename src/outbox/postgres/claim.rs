//! Claims: what is due, the most urgent first; what is past its use; and what a start takes back.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::attempt::{Close, close};
use super::columns::{at, get, limit, ms, opt_at};
use super::db::{Db, Tx};
use super::error::{Res, refused};
use super::notices::{COLUMNS, Numbered, Sheet, keys_of, row, save};
use super::{known, outgoing, query, receipt, suppression};
use crate::contact::Channel;
use crate::entry::{AttemptEnd, Entry, State};
use crate::known::{KnownNotice, Reminded};
use crate::ledger::Event;
use crate::notice::{NoticeKey, Occasion};
use crate::outbox::standing::{ClaimHolder, Recovery};
use crate::outbox::words::rfc3339;
use crate::outbox::{Claim, ClaimRequest, Recovered};
use crate::session::stored::StoredSession;
use crate::session::{ParticipantRef, SessionId};

/// Of what is due, so many of the longest due are looked at for the most urgent.
const WINDOW: i64 = 4096;
/// If more are due, every such claim looks at all of them.
const WIDE_EVERY: i64 = 16;

/// The numbers come from the index alone, of a window of it.
pub(super) const DUE: &str = "SELECT id FROM (
         SELECT id, useful_until, due_at FROM notice
         WHERE practice = $1 AND channel = $2 AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL AND next_attempt_at <= $3
         ORDER BY next_attempt_at LIMIT $5) AS ready
     ORDER BY useful_until, due_at, id LIMIT $4";

/// Their rows, by the numbers and nothing else: a planner without statistics takes the index of what is due for a short one, and reads it for each row.
fn rows_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM (SELECT $1::integer AS practice, * FROM unnest($2::bigint[]) AS u (id) OFFSET 0) AS w
             JOIN notice AS n ON n.practice = w.practice AND n.id = w.id
         ORDER BY n.useful_until, n.due_at, n.id FOR NO KEY UPDATE OF n SKIP LOCKED"
    )
}

/// A session, as it stands when a notice of it is claimed.
struct Latest {
    stored: StoredSession,
    revision: i64,
    snapshot_at: DateTime<Utc>,
}

/// Claims what is due, the most urgent first.
pub(super) async fn claim(tx: &Tx<'_>, request: &ClaimRequest) -> Res<Vec<Claim>> {
    let window = if tx.head().seq % WIDE_EVERY == 0 { i64::MAX } else { WINDOW };
    let channel = request.channel.as_str();
    let due = tx.query(DUE, &[&tx.practice, &channel, &ms(request.now), &limit(request.limit), &window]).await?;
    let numbers = due.iter().map(|row| get(row, 0)).collect::<Res<Vec<i64>>>()?;
    let due = tx.query(&rows_sql(), &[&tx.practice, &numbers]).await?;
    let before: Vec<Numbered> = due.iter().map(|r| row(&tx.sealer, r)).collect::<Res<_>>()?;
    if before.is_empty() {
        return Ok(Vec::new());
    }
    let lease_until = tx.now().await? + request.lease;
    let mut claimed = before.clone();
    for numbered in &mut claimed {
        let from = numbered.row.entry.state;
        numbered.row.claim(&request.owner, lease_until, request.now);
        tx.append(numbered.row.event(Event::Claimed, Some(from), request.now, None))?;
    }
    save(tx, &claimed.iter().collect::<Vec<_>>()).await?;
    decided_upon(tx, before, &claimed).await
}

/// With what to decide upon, as if one had been claimed after the other: who comes later in this batch waits yet.
async fn decided_upon(tx: &Tx<'_>, before: Vec<Numbered>, claimed: &[Numbered]) -> Res<Vec<Claim>> {
    let entries: Vec<&Entry> = before.iter().map(|n| &n.row.entry).collect();
    let places: BTreeSet<ParticipantRef> = entries.iter().map(|e| ParticipantRef::of(e)).collect();
    let places: Vec<ParticipantRef> = places.into_iter().collect();
    let people = known::of(tx, &places).await?;
    let sessions = latest(tx, &places).await?;
    let again: Vec<i64> = before.iter().filter(|n| n.row.doubt.is_some()).map(|n| n.id).collect();
    let frozen = query::contents(tx, &again).await?;
    let begun = last_begun(tx, &again).await?;
    let mut claims = Vec::with_capacity(before.len());
    for (number, one) in before.iter().enumerate() {
        let (later, place) = (&before[number + 1..], ParticipantRef::of(&one.row.entry));
        let mut known = people.get(&place).cloned().ok_or_else(|| refused("somebody of a notice is not known"))?;
        for notice in &mut known.notices {
            if let Some(waits) = later.iter().find(|n| n.row.entry.notice.key == notice.notice.key) {
                *notice = KnownNotice { undelivered: notice.undelivered, ..(&waits.row).into() };
            }
        }
        if known.reminded.iter().any(|r| r.underway) && !later.is_empty() {
            let theirs: Vec<i64> = later.iter().map(|n| n.id).collect();
            known.reminded = known::reminded(tx, &place, &known.notices, &theirs).await?;
            let person = |of: &ParticipantRef| people.get(of).and_then(|known| known.person.clone());
            known.reminded.extend(later.iter().filter_map(|n| in_doubt(&n.row.entry, &place, &known.notices, &person)));
            known.reminded.sort_unstable();
        }
        let latest = sessions.get(&(place.source.clone(), place.session)).ok_or_else(|| refused("a notice's session is gone"))?;
        let bytes = frozen.get(&one.id).cloned();
        claims.push(Claim {
            epoch: claimed[number].row.epoch,
            session: latest.stored.clone(),
            revision: latest.revision,
            snapshot_at: latest.snapshot_at,
            known,
            frozen_at: bytes.as_ref().and_then(|_| begun.get(&one.id).copied()),
            frozen: bytes,
            entry: one.row.entry.clone(),
        });
    }
    Ok(claims)
}

/// What went to one of these numbers, perhaps, and waits to go again: until it is claimed it is not under way.
fn in_doubt(
    entry: &Entry,
    place: &ParticipantRef,
    notices: &[KnownNotice],
    person: &dyn Fn(&ParticipantRef) -> Option<String>,
) -> Option<Reminded> {
    let n = &entry.notice;
    let counts = entry.state == State::Unknown && n.occasion == Occasion::Reminder && n.address.channel() == Channel::Sms;
    let elsewhere = (&entry.source, n.session) != (&place.source, place.session);
    let to_theirs = notices.iter().any(|other| other.notice.address == n.address);
    let at = entry.accepted_at.unwrap_or(entry.changed_at);
    (counts && elsewhere && to_theirs).then(|| Reminded { at, underway: false, person: person(&ParticipantRef::of(entry)) })
}

async fn latest(db: &Db, places: &[ParticipantRef]) -> Res<HashMap<(String, SessionId), Latest>> {
    let sources: BTreeSet<&str> = places.iter().map(|place| place.source.as_str()).collect();
    let mut found = HashMap::new();
    for source in sources {
        let ids: Vec<SessionId> = places.iter().filter(|p| p.source == source).map(|p| p.session).collect();
        let snapshot_at =
            at(&db.one("SELECT last_snapshot_at FROM source WHERE practice = $1 AND name = $2", &[&db.practice, &source]).await?, 0)?;
        for (stored, revision) in query::with_revisions(db, source, &ids).await? {
            found.insert((source.to_owned(), stored.id), Latest { stored, revision, snapshot_at });
        }
    }
    Ok(found)
}

/// When the last attempts were begun.
async fn last_begun(db: &Db, ids: &[i64]) -> Res<HashMap<i64, DateTime<Utc>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT w.id, (SELECT max(started_at) FROM delivery AS d WHERE d.practice = $1 AND d.notice_id = w.id) FROM unnest($2::bigint[]) AS w (id)";
    let rows = db.query(sql, &[&db.practice, &ids]).await?;
    let begun = rows.iter().map(|row| Ok((get(row, 0)?, opt_at(row, 1)?)));
    begun.filter_map(|one| one.map(|(id, at)| at.map(|at| (id, at))).transpose()).collect()
}

/// What ends past its time: due, or held, or in doubt and waiting for a person. Each is a search of an index.
pub(super) const PAST: [&str; 2] = [
    "SELECT key FROM notice WHERE practice = $1 AND channel IN ('email', 'sms') AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL
         AND next_attempt_at <= $2 AND useful_until <= $2",
    "SELECT key FROM notice WHERE practice = $1 AND state IN ('held', 'unknown') AND useful_until <= $2",
];

/// Ends what is past its useful time.
pub(super) async fn lapse(tx: &Tx<'_>, now: DateTime<Utc>) -> Res<Vec<Entry>> {
    let mut past: BTreeSet<NoticeKey> = BTreeSet::new();
    for sql in PAST {
        past.extend(keys_of(tx, sql, &[&tx.practice, &ms(now)]).await?);
    }
    let past: Vec<NoticeKey> = past.into_iter().collect();
    let mut sheet = Sheet::of(tx, &past).await?;
    let mut lapsed = Vec::new();
    for key in past {
        let Some(Numbered { row, .. }) = sheet.get_mut(key) else { continue };
        let from = row.entry.state;
        if row.lapse(now) {
            lapsed.push(row.entry.clone());
            let (source, session) = (row.entry.source.clone(), row.entry.notice.session);
            sheet.record(tx, key, from, (Event::Lapsed, None), now)?;
            suppression::plan_again(tx, &source, session, now).await?;
        }
    }
    sheet.save(tx).await?;
    Ok(lapsed)
}

const HELD: &str = "SELECT key FROM notice WHERE practice = $1 AND state = 'flying' ORDER BY key";
/// What no start has decided about.
const UNDECIDED: &str = "SELECT key FROM notice WHERE practice = $1 AND doubt = 'undecided' ORDER BY key";

/// Takes claims back whose owner is gone.
pub(super) async fn take_back(tx: &Tx<'_>, is_gone: impl Fn(&ClaimHolder) -> bool, now: DateTime<Utc>) -> Res<Recovered> {
    let held = keys_of(tx, HELD, &[&tx.practice]).await?;
    let mut sheet = Sheet::of(tx, &held).await?;
    let mut returned = 0;
    let mut closes = Vec::new();
    for key in held {
        let Some(Numbered { id, row }) = sheet.get_mut(key) else { continue };
        let (id, from, phase) = (*id, row.entry.state, row.entry.phase);
        let Some(recovery) = row.recover(&is_gone, now) else { continue };
        returned += usize::from(recovery == Recovery::Returned);
        if recovery == Recovery::InDoubt && receipt::came(tx, id).await? {
            row.receive(now);
        }
        closes.push(Close { id, epoch: row.epoch, at: now, outcome: AttemptEnd::Crashed, reply: None, phase });
        sheet.record(tx, key, from, (Event::Recovered, None), now)?;
    }
    sheet.save(tx).await?;
    close(tx, &closes).await?;
    returned += outgoing::recover(tx, is_gone, now).await?;
    Ok(Recovered { returned, in_doubt: keys_of(tx, UNDECIDED, &[&tx.practice]).await? })
}

pub(super) async fn resolve_doubt(tx: &Tx<'_>, now: DateTime<Utc>, resends: &[(NoticeKey, Option<DateTime<Utc>>)]) -> Res<()> {
    let mut sheet = Sheet::of(tx, &resends.iter().map(|(key, _)| *key).collect::<Vec<_>>()).await?;
    for (key, resend_at) in resends {
        let Some(Numbered { row, .. }) = sheet.get_mut(*key) else { continue };
        let from = row.entry.state;
        if row.resolve(*resend_at) {
            let detail = resend_at.map_or("a person decides".to_owned(), |at| format!("again at {}", rfc3339(at)));
            sheet.record(tx, *key, from, (Event::Resolved, Some(detail)), now)?;
        }
    }
    sheet.save(tx).await
}
