//! Where sessions stand: under one source each. They move to another one with their history, and a source may get another name.
//!
//! What is sealed for its row is sealed anew for the row that it becomes.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::columns::{at, get, json, ms, opt_at, opt_ms, opt_word, person, session, session_ids, word};
use super::db::{Db, Tx, Values};
use super::error::Res;
use super::hold::hold;
use super::notices::keys_of;
use super::place::name;
use crate::ledger::{Event, LedgerRow};
use crate::notice::Reason;
use crate::outbox::{NotedSession, SourcePart, SourceRow};
use crate::session::stored::Also;
use crate::session::{ParticipantRef, SessionId, SourceRecord, TakenFor};

/// Sources that were ever walked, and those that are configured.
pub(super) async fn all(db: &Db) -> Res<Vec<SourceRow>> {
    let sql = "SELECT s.name, gone_at IS NOT NULL, last_snapshot_at, whole_at, since
               FROM source AS s LEFT JOIN expected AS e ON e.practice = $1 AND e.name = s.name WHERE s.practice = $1
               UNION ALL SELECT name, false, NULL, NULL, since FROM expected
               WHERE practice = $1 AND name NOT IN (SELECT name FROM source WHERE practice = $1) ORDER BY 1";
    let rows = db.query(sql, &[&db.practice]).await?;
    let one = |row| {
        let (heard_at, whole_at, since) = (opt_at(row, 2)?, opt_at(row, 3)?, opt_at(row, 4)?);
        Ok(SourceRow { name: get(row, 0)?, gone: get(row, 1)?, heard_at, whole_at, since })
    };
    rows.iter().map(one).collect()
}

/// What sources say of sessions that stand under another one.
pub(super) async fn also(db: &Db) -> Res<Vec<(String, Also)>> {
    let sql = "SELECT source, session_id, start_at, record, taken_for FROM also_listed WHERE practice = $1 ORDER BY source, session_id";
    let rows = db.query(sql, &[&db.practice]).await?;
    let one = |row: &Row| {
        let (source, id): (String, _) = (get(row, 0)?, session(row, 1)?);
        let text = db.sealer.open("also", name(&source, id), get(row, 3)?)?;
        Ok((source, Also { id, start: at(row, 2)?, record: SourceRecord { text, taken_for: opt_word(row, 4)? } }))
    };
    rows.iter().map(one).collect()
}

/// Replaces what a source says so.
pub(super) async fn put_also(tx: &Tx<'_>, source: &str, also: &[Also]) -> Res<()> {
    tx.execute("DELETE FROM also_listed WHERE practice = $1 AND source = $2", &[&tx.practice, &source]).await?;
    for Also { id, start, record } in also {
        let sealed = tx.sealer.seal("also", name(source, *id), &record.text)?;
        let sql = "INSERT INTO also_listed (practice, source, session_id, start_at, record, taken_for) VALUES ($1, $2, $3, $4, $5, $6)";
        let values: Values<'_> = &[&tx.practice, &source, &id.0, &ms(*start), &sealed, &record.taken_for.map(TakenFor::as_str)];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// The parts of a source, as they were read last, by name.
pub(super) async fn parts(db: &Db, source: &str) -> Res<Vec<SourcePart>> {
    let sql = "SELECT name, read_at, sessions FROM part WHERE practice = $1 AND source = $2 ORDER BY name";
    let rows = db.query(sql, &[&db.practice, &source]).await?;
    rows.iter().map(|row| Ok(SourcePart { name: get(row, 0)?, read_at: opt_at(row, 1)?, sessions: session_ids(row, 2)? })).collect()
}

pub(super) async fn put_parts(tx: &Tx<'_>, source: &str, parts: &[SourcePart]) -> Res<()> {
    tx.execute("DELETE FROM part WHERE practice = $1 AND source = $2", &[&tx.practice, &source]).await?;
    for SourcePart { name, read_at, sessions } in parts {
        let sessions = serde_json::to_string(sessions).expect("numbers are always JSON");
        let sql = "INSERT INTO part (practice, source, name, read_at, sessions) VALUES ($1, $2, $3, $4, $5)";
        tx.execute(sql, &[&tx.practice, &source, name, &opt_ms(*read_at), &sessions]).await?;
    }
    Ok(())
}

/// What people had until lately, or got lately, by session.
pub(super) async fn lately(db: &Db, now: DateTime<Utc>) -> Res<Vec<NotedSession>> {
    let sql = "SELECT source, session_id, items FROM lately WHERE practice = $1 AND until > $2 ORDER BY source, session_id";
    let rows = db.query(sql, &[&db.practice, &ms(now)]).await?;
    let one = |row: &Row| {
        let session = session(row, 1)?;
        let items = json(&db.sealer.open("lately", session.to_string(), get(row, 2)?)?)?;
        Ok(NotedSession { source: get(row, 0)?, session, items })
    };
    rows.iter().map(one).collect()
}

/// Forgets what counts no more.
pub(super) async fn forget_lately(tx: &Tx<'_>, now: DateTime<Utc>) -> Res<()> {
    tx.execute("DELETE FROM lately WHERE practice = $1 AND until <= $2", &[&tx.practice, &ms(now)]).await?;
    Ok(())
}

/// A session stands under another source from now on, with all that is known of it.
pub(super) async fn move_session(tx: &Tx<'_>, id: SessionId, from: &str, to: &str) -> Res<()> {
    // Each table in turn refers to what is not there, until all of them have moved.
    tx.say("SET CONSTRAINTS ALL DEFERRED").await?;
    move_rows(tx, Some(id), from, to).await?;
    for table in ["guard", "guard_passed"] {
        let sql = format!("DELETE FROM {table} WHERE practice = $1 AND source = $2 AND session_id = $3");
        tx.execute(&sql, &[&tx.practice, &from, &id.0]).await?;
    }
    tx.execute("DELETE FROM also_listed WHERE practice = $1 AND source = $2 AND session_id = $3", &[&tx.practice, &to, &id.0]).await?;
    tx.say("SET CONSTRAINTS ALL IMMEDIATE").await
}

/// The rows of one session, or of all.
async fn move_rows(tx: &Tx<'_>, id: Option<SessionId>, from: &str, to: &str) -> Res<()> {
    let one = id.map(|id| id.0);
    let sql = "SELECT id, digest, record FROM session WHERE practice = $1 AND source = $2 AND ($3::bigint IS NULL OR id = $3)";
    for row in tx.query(sql, &[&tx.practice, &from, &one]).await? {
        let id = session(&row, 0)?;
        let anew = |place, column| {
            let plain = tx.sealer.open(place, name(from, id), get(&row, column)?)?;
            tx.sealer.seal(place, name(to, id), &plain)
        };
        let (digest, record) = (anew("digest", 1)?, anew("record", 2)?);
        let sql = "UPDATE session SET source = $3, digest = $5, record = $6 WHERE practice = $1 AND source = $2 AND id = $4";
        tx.execute(sql, &[&tx.practice, &from, &to, &id.0, &digest, &record]).await?;
    }
    let sql = "SELECT session_id, participation_id, facts, record FROM participant
               WHERE practice = $1 AND source = $2 AND ($3::bigint IS NULL OR session_id = $3)";
    for row in tx.query(sql, &[&tx.practice, &from, &one]).await? {
        let old = ParticipantRef { source: from.to_owned(), session: session(&row, 0)?, participation: person(&row, 1)? };
        let new = ParticipantRef { source: to.to_owned(), ..old.clone() };
        let anew = |place, text: Option<&str>| {
            let plain = tx.sealer.open_some(place, old.name(), text)?;
            plain.map(|plain| tx.sealer.seal(place, new.name(), &plain)).transpose()
        };
        let (facts, record) = (anew("facts", get(&row, 2)?)?, anew("person", get(&row, 3)?)?);
        let sql = "UPDATE participant SET source = $3, facts = $6, record = $7
                   WHERE practice = $1 AND source = $2 AND session_id = $4 AND participation_id = $5";
        tx.execute(sql, &[&tx.practice, &from, &to, &old.session.0, &old.participation.0, &facts, &record]).await?;
    }
    for table in ["rsvp", "omission", "notice", "lately"] {
        let sql = format!("UPDATE {table} SET source = $3 WHERE practice = $1 AND source = $2 AND ($4::bigint IS NULL OR session_id = $4)");
        tx.execute(&sql, &[&tx.practice, &from, &to, &one]).await?;
    }
    Ok(())
}

/// A source has another name. `false`: there is none of the old one, or there is one of the new one already.
pub(super) async fn rename(tx: &Tx<'_>, from: &str, to: &str, now: DateTime<Utc>) -> Res<bool> {
    let there = "SELECT 1 FROM source WHERE practice = $1 AND name = $2";
    if !tx.exists(there, &[&tx.practice, &from]).await? || tx.exists(there, &[&tx.practice, &to]).await? {
        return Ok(false);
    }
    tx.say("SET CONSTRAINTS ALL DEFERRED").await?;
    tx.execute("UPDATE source SET name = $3, gone_at = NULL WHERE practice = $1 AND name = $2", &[&tx.practice, &from, &to]).await?;
    for row in tx.query("SELECT session_id, kind, says FROM guard WHERE practice = $1 AND source = $2", &[&tx.practice, &from]).await? {
        let (session, kind) = (session(&row, 0)?, word(&row, 1)?);
        let plain = tx.sealer.open("guard", super::guard::name(from, session, kind), get(&row, 2)?)?;
        let sealed = tx.sealer.seal("guard", super::guard::name(to, session, kind), &plain)?;
        let sql = "UPDATE guard SET source = $3, says = $6 WHERE practice = $1 AND source = $2 AND session_id = $4 AND kind = $5";
        tx.execute(sql, &[&tx.practice, &from, &to, &session.0, &kind.as_str(), &sealed]).await?;
    }
    move_rows(tx, None, from, to).await?;
    for row in tx.query("SELECT session_id, record FROM also_listed WHERE practice = $1 AND source = $2", &[&tx.practice, &from]).await? {
        let id = session(&row, 0)?;
        let plain = tx.sealer.open("also", name(from, id), get(&row, 1)?)?;
        let sealed = tx.sealer.seal("also", name(to, id), &plain)?;
        let sql = "UPDATE also_listed SET source = $3, record = $5 WHERE practice = $1 AND source = $2 AND session_id = $4";
        tx.execute(sql, &[&tx.practice, &from, &to, &id.0, &sealed]).await?;
    }
    for table in ["part", "fault", "guard_passed", "restored"] {
        let sql = format!("UPDATE {table} SET source = $3 WHERE practice = $1 AND source = $2");
        tx.execute(&sql, &[&tx.practice, &from, &to]).await?;
    }
    tx.say("SET CONSTRAINTS ALL IMMEDIATE").await?;
    tx.append(LedgerRow::new(now, Event::SourceRenamed, &format!("{from} is {to} now")))?;
    Ok(true)
}

const PENDING_OF: &str = "SELECT key FROM notice WHERE practice = $1 AND source = $2 AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL ORDER BY id";

/// These are the sources from now on: what waits of others is held. Returns how many notices that are.
pub(super) async fn configure(tx: &Tx<'_>, names: &[String], now: DateTime<Utc>) -> Res<usize> {
    for name in names {
        let sql = "INSERT INTO expected (practice, name, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[&tx.practice, name, &ms(now)]).await?;
    }
    let mut held = 0;
    for SourceRow { name, gone, .. } in all(tx).await? {
        let configured = names.contains(&name);
        if configured && gone {
            tx.execute("UPDATE source SET gone_at = NULL WHERE practice = $1 AND name = $2", &[&tx.practice, &name]).await?;
            tx.execute("UPDATE session SET replan = replan + 1 WHERE practice = $1 AND source = $2", &[&tx.practice, &name]).await?;
        }
        if configured {
            continue;
        }
        tx.execute("DELETE FROM expected WHERE practice = $1 AND name = $2", &[&tx.practice, &name]).await?;
        let sql = "UPDATE source SET gone_at = coalesce(gone_at, $3) WHERE practice = $1 AND name = $2";
        tx.execute(sql, &[&tx.practice, &name, &ms(now)]).await?;
        let keys = keys_of(tx, PENDING_OF, &[&tx.practice, &name]).await?;
        held += hold(tx, &keys, (Reason::SourceGone, Event::SourceGone), now).await?;
    }
    Ok(held)
}
