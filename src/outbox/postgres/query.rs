//! Reads of sources and sessions, and of what was sent.
//!
//! Every list is in an order that is total, so that two stores, or two reads, agree.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::columns::{
    at, get, ids, json, limit, ms, number, opt_at, opt_phase, opt_role, opt_word, person, required, session, session_ids, word,
};
use super::db::Db;
use super::error::{Res, refused};
use super::place::name;
use super::{guard, sources};
use crate::entry::{AttemptEnd, Delivery};
use crate::notice::NoticeKey;
use crate::outbox::frozen::Packed;
use crate::outbox::{Rest, Seen, SeenSession};
use crate::session::stored::{Departed, StoredSession, Touch};
use crate::session::{ParticipantRef, ParticipationId, SessionId, SourceRecord};

pub(super) const SEEN: &str =
    "SELECT id, digest, presence, replan > 0, start_at FROM session WHERE practice = $1 AND source = $2 AND start_at >= $3";

pub(super) async fn seen(db: &Db, source: &str, from: DateTime<Utc>) -> Res<Option<Seen>> {
    let sql = "SELECT policy_digest, last_snapshot_at, filled, adopting, whole_at FROM source WHERE practice = $1 AND name = $2";
    let Some(row) = db.first(sql, &[&db.practice, &source]).await? else { return Ok(None) };
    let sessions = db.query(SEEN, &[&db.practice, &source, &ms(from)]).await?;
    Ok(Some(Seen {
        policy_digest: get(&row, 0)?,
        last_snapshot_at: at(&row, 1)?,
        guard: guard::set(db, source).await?,
        filled: get(&row, 2)?,
        adopting: session_ids(&row, 3)?,
        whole_at: opt_at(&row, 4)?,
        parts: sources::parts(db, source).await?,
        sessions: sessions.iter().map(|row| seen_session(db, source, row)).collect::<Res<_>>()?,
    }))
}

/// Rows of one of the tables that hold sessions and their people, as `t`: of these sessions of a source, or of all.
pub(super) async fn of_sessions(
    db: &Db,
    (columns, table, id): (&str, &str, &str),
    and: &str,
    (source, of): (&str, Option<&[SessionId]>),
) -> Res<Vec<Row>> {
    let Some(of) = of else {
        let sql = format!("SELECT {columns} FROM {table} AS t WHERE t.practice = $1 AND t.source = $2 {and}");
        return db.query(&sql, &[&db.practice, &source]).await;
    };
    let sql = format!(
        "SELECT {columns} FROM (SELECT $1::integer AS practice, $2::text AS source, * FROM unnest($3::bigint[]) AS u (session) OFFSET 0) AS w
         JOIN {table} AS t ON t.practice = w.practice AND t.source = w.source AND t.{id} = w.session {and}"
    );
    // Of each once, who may be asked for by several of its people.
    let mut of = ids(of);
    of.sort_unstable();
    of.dedup();
    db.query(&sql, &[&db.practice, &source, &of]).await
}

/// Of these sessions alone.
pub(super) async fn seen_among(db: &Db, source: &str, of: &[SessionId]) -> Res<HashMap<SessionId, SeenSession>> {
    let rows = of_sessions(db, ("id, digest, presence, replan > 0, start_at", "session", "id"), "", (source, Some(of))).await?;
    rows.iter().map(|row| seen_session(db, source, row)).collect()
}

fn seen_session(db: &Db, source: &str, row: &Row) -> Res<(SessionId, SeenSession)> {
    let id = session(row, 0)?;
    let digest = db.sealer.open("digest", name(source, id), get(row, 1)?)?;
    Ok((id, SeenSession { digest, presence: word(row, 2)?, replan: get(row, 3)?, start: at(row, 4)? }))
}

/// `$2` the source, `$3` now, `$4` when what is over started.
pub(super) const UNSETTLED: &str = "SELECT EXISTS (SELECT 1 FROM session
         WHERE practice = $1 AND source = $2 AND start_at > $4 AND (replan > 0 OR presence = 'absent') AND (replan > 0 OR start_at > $3))
     OR EXISTS (SELECT 1 FROM guard AS g JOIN session AS s ON s.practice = $1 AND s.source = g.source AND s.id = g.session_id
         WHERE g.practice = $1 AND g.source = $2 AND standing <> 'waiting' AND replan > 0 AND (kind <> 'removed' OR start_at > $3))
     OR EXISTS (SELECT 1 FROM restored WHERE practice = $1 AND source = $2)";

/// How the last walk left a source.
pub(super) async fn rest(db: &Db, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> Res<Option<Rest>> {
    let sql = "SELECT policy_digest, last_snapshot_at, walks FROM source WHERE practice = $1 AND name = $2";
    let Some(row) = db.first(sql, &[&db.practice, &source]).await? else { return Ok(None) };
    let unsettled = get(&db.one(UNSETTLED, &[&db.practice, &source, &ms(now), &ms(since)]).await?, 0)?;
    Ok(Some(Rest { policy_digest: get(&row, 0)?, last_snapshot_at: at(&row, 1)?, walks: get(&row, 2)?, unsettled }))
}

pub(super) async fn listed(db: &Db, source: &str) -> Res<usize> {
    let sql = "SELECT count(*) FROM session WHERE practice = $1 AND source = $2 AND presence = 'listed' AND record <> ''";
    number(&db.one(sql, &[&db.practice, &source]).await?, 0)
}

pub(super) const PEOPLE: &str =
    "SELECT count(*) FROM session AS s JOIN participant AS p ON p.practice = $1 AND p.source = s.source AND p.session_id = s.id
     WHERE s.practice = $1 AND s.source = $2 AND s.start_at > $3 AND s.presence <> 'gone' AND p.presence <> 'gone' AND NOT cancelled";

pub(super) async fn people(db: &Db, source: &str, now: DateTime<Utc>) -> Res<usize> {
    number(&db.one(PEOPLE, &[&db.practice, &source, &ms(now)]).await?, 0)
}

const SESSION: &str = "id, digest, record, ambiguous, revision, presence, replan, taken_for";

/// Without those who departed, and the ledger's part of its touch.
fn stored_session(db: &Db, source: &str, row: &Row) -> Res<StoredSession> {
    let id = session(row, 0)?;
    let ambiguous: Vec<(ParticipationId, String)> = json(get(row, 3)?)?;
    let text = db.sealer.open("record", name(source, id), get(row, 2)?)?;
    Ok(StoredSession {
        id,
        digest: db.sealer.open("digest", name(source, id), get(row, 1)?)?,
        presence: word(row, 5)?,
        touch: Touch { last: 0, again: number(row, 6)? },
        record: SourceRecord { text, taken_for: opt_word(row, 7)? },
        departed: Vec::new(),
        ambiguous,
    })
}

/// Whom the source lists no more, by session: of these, or of all.
pub(super) async fn departed(db: &Db, source: &str, of: Option<&[SessionId]>) -> Res<HashMap<SessionId, Vec<Departed>>> {
    let these = ("session_id, participation_id, role, presence, record", "participant", "session_id");
    let mut found: HashMap<SessionId, Vec<Departed>> = HashMap::new();
    for row in of_sessions(db, these, "AND record IS NOT NULL ORDER BY participation_id", (source, of)).await? {
        let place = ParticipantRef { source: source.to_owned(), session: session(&row, 0)?, participation: person(&row, 1)? };
        let record = db.sealer.open("person", place.name(), get(&row, 4)?)?;
        let (role, presence) = (required(opt_role(&row, 2)?, "a role of whoever departed")?, word(&row, 3)?);
        found.entry(place.session).or_default().push(Departed { id: place.participation, role, presence, record });
    }
    Ok(found)
}

/// The places of the ledger's last rows about sessions, up to the last one that is settled: what comes to stand before that, or behind it, touches them. (None:
/// 0.)
pub(super) async fn last_touches(db: &Db, of: &[SessionId]) -> Res<HashMap<SessionId, i64>> {
    let sql = "SELECT w.id, (SELECT max(place) FROM ledger WHERE practice = $1 AND session_id = w.id AND place <= $3) FROM unnest($2::bigint[]) AS w (id)";
    let rows = db.query(sql, &[&db.practice, &ids(of), &db.settled()]).await?;
    rows.iter().map(|row| Ok((session(row, 0)?, get::<Option<i64>>(row, 1)?.unwrap_or(0)))).collect()
}

/// With who departed from each, and its touch.
pub(super) async fn sessions(db: &Db, source: &str, of: Option<&[SessionId]>) -> Res<Vec<StoredSession>> {
    let rows = of_sessions(db, (SESSION, "session", "id"), "AND record <> '' ORDER BY id", (source, of)).await?;
    let mut found: Vec<StoredSession> = rows.iter().map(|row| stored_session(db, source, row)).collect::<Res<_>>()?;
    let touches = last_touches(db, &found.iter().map(|s| s.id).collect::<Vec<_>>()).await?;
    let mut departed = departed(db, source, of).await?;
    for session in &mut found {
        session.touch.last = touches.get(&session.id).copied().unwrap_or(0);
        session.departed = departed.remove(&session.id).unwrap_or_default();
    }
    Ok(found)
}

/// These, with their revisions.
pub(super) async fn with_revisions(db: &Db, source: &str, of: &[SessionId]) -> Res<Vec<(StoredSession, i64)>> {
    let mut departed = departed(db, source, Some(of)).await?;
    let rows = of_sessions(db, (SESSION, "session", "id"), "", (source, Some(of))).await?;
    let one = |row: &Row| {
        let stored = stored_session(db, source, row)?;
        Ok((StoredSession { departed: departed.remove(&stored.id).unwrap_or_default(), ..stored }, get(row, 4)?))
    };
    rows.iter().map(one).collect()
}

const STARTING: &str = "SELECT source, id FROM session WHERE practice = $1 AND start_at >= $2 AND start_at < $3 AND record <> ''
     ORDER BY start_at, id, source LIMIT $4";

pub(super) async fn starting(db: &Db, from: DateTime<Utc>, until: DateTime<Utc>, most: usize) -> Res<Vec<(String, SessionId)>> {
    let rows = db.query(STARTING, &[&db.practice, &ms(from), &ms(until), &limit(most)]).await?;
    rows.iter().map(|row| Ok((get(row, 0)?, session(row, 1)?))).collect()
}

/// The attempts of one notice, and its frozen bytes, while they are kept.
pub(super) async fn deliveries(db: &Db, key: NoticeKey) -> Res<(Vec<Delivery>, Option<Vec<u8>>)> {
    // While it runs, its phase is the notice's.
    let sql = "SELECT d.attempt, d.started_at, CASE WHEN d.ended_at IS NULL AND d.epoch = n.epoch AND n.phase IS NOT NULL THEN n.phase ELSE d.phase END,
                      d.ended_at, d.outcome, d.transport, d.reply, d.receipt, d.receipt_at, d.receipt_detail, n.id
               FROM notice AS n LEFT JOIN delivery AS d ON d.practice = $1 AND d.notice_id = n.id WHERE n.practice = $1 AND n.key = $2 ORDER BY d.attempt";
    let rows = db.query(sql, &[&db.practice, &&key.0[..]]).await?;
    let Some(id) = rows.first().map(|row| get::<i64>(row, 10)).transpose()? else { return Ok((Vec::new(), None)) };
    let begun = rows.iter().filter(|row| row.try_get::<_, Option<i64>>(0).is_ok_and(|attempt| attempt.is_some()));
    let all = begun.map(delivery).collect::<Res<_>>()?;
    Ok((all, contents(db, &[id]).await?.remove(&id)))
}

fn delivery(row: &Row) -> Res<Delivery> {
    Ok(Delivery {
        attempt: number(row, 0)?,
        started_at: at(row, 1)?,
        phase: required(opt_phase(row, 2)?, "a phase of each attempt")?,
        ended_at: opt_at(row, 3)?,
        outcome: get::<Option<&str>>(row, 4)?.map(AttemptEnd::from),
        transport: get(row, 5)?,
        reply: get(row, 6)?,
        receipt: opt_word(row, 7)?,
        receipt_at: opt_at(row, 8)?,
        receipt_detail: get(row, 9)?,
    })
}

/// Frozen bytes by the notices' numbers, as far as they are kept.
pub(super) async fn contents(db: &Db, of: &[i64]) -> Res<HashMap<i64, Vec<u8>>> {
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT c.notice_id, packed, size, sample FROM (SELECT $1::integer AS practice, * FROM unnest($2::bigint[]) AS u (id) OFFSET 0) AS w
               JOIN content AS c ON c.practice = w.practice AND c.notice_id = w.id";
    let rows = db.query(sql, &[&db.practice, &of]).await?;
    let one = |row: &Row| {
        let id: i64 = get(row, 0)?;
        let bytes = db.sealer.open_bytes("message", id.to_string(), get(row, 1)?)?;
        let packed = Packed { bytes: bytes.into(), size: get(row, 2)?, sample: get(row, 3)? };
        Ok((id, packed.unpacked().map_err(refused)?))
    };
    rows.iter().map(one).collect()
}
