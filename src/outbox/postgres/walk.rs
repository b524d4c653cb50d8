//! A walk of a source, applied whole or not at all: it is one write, so it is inside one transaction.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::columns::{get, ids, ms, number, opt_ms, role_word, session};
use super::db::{Tx, Values};
use super::error::Res;
use super::notices::{Sheet, insert};
use super::place::{Place, name};
use super::{guard, list, query, restore, sources, suppression};
use crate::contact::Channel;
use crate::entry::Change;
use crate::feedback::reply::rsvp_word;
use crate::known::Known;
use crate::notice::{NoticeKey, Occasion};
use crate::outbox::transition::Row;
use crate::outbox::{Applied, Walk, WalkedSession};
use crate::session::stored::{Departed, Touch};
use crate::session::{Fault, ParticipationId, SessionId, TakenFor};

/// Whether it can be applied: asked before the first write, so that a refusal leaves nothing to undo.
pub(super) async fn check(tx: &Tx<'_>, walk: &Walk) -> Res<Result<(), String>> {
    let mut known: HashMap<String, Vec<(SessionId, ParticipationId)>> = HashMap::new();
    let stands = |session: &WalkedSession| session.from.clone().or_else(|| session.of.clone()).unwrap_or_else(|| walk.source.clone());
    let mut of: HashMap<String, Vec<SessionId>> = HashMap::new();
    for session in &walk.sessions {
        of.entry(stands(session)).or_default().push(session.id);
    }
    for (source, sessions) in of {
        let sql = "SELECT session_id, participation_id FROM participant WHERE practice = $1 AND source = $2 AND session_id = ANY($3)";
        let rows = tx.query(sql, &[&tx.practice, &source, &ids(&sessions)]).await?;
        let people = rows.iter().map(|row| Ok((session(row, 0)?, super::columns::person(row, 1)?))).collect::<Res<_>>()?;
        known.insert(source, people);
    }
    for session in &walk.sessions {
        let people = known.get(&stands(session)).map_or(&[][..], Vec::as_slice);
        let checked = session.check(|id| Ok::<_, super::error::Failure>(people.contains(&(session.id, id))))?;
        if checked.is_err() {
            return Ok(checked);
        }
    }
    Ok(Ok(()))
}

/// Applies it.
pub(super) async fn apply(tx: &Tx<'_>, walk: &Walk) -> Res<Applied> {
    // What others of this group wrote down is part of what a session was touched by.
    tx.flush().await?;
    if walk.heard {
        put_source(tx, walk).await?;
    }
    let mut applied = Applied::default();
    if let Some(also) = &walk.also {
        sources::put_also(tx, &walk.source, also).await?;
    }
    if let Some(parts) = &walk.parts {
        sources::put_parts(tx, &walk.source, parts).await?;
    }
    sources::forget_lately(tx, walk.at).await?;
    let mut touches = query::last_touches(tx, &walk.sessions.iter().map(|s| s.id).collect::<Vec<_>>()).await?;
    for session in &walk.sessions {
        let source = session.of.as_deref().unwrap_or(&walk.source);
        let stands = session.from.as_deref().unwrap_or(source);
        if was_touched(tx, stands, session, touches.remove(&session.id)).await? {
            tx.execute(suppression::PLAN_ONE_AGAIN, &[&tx.practice, &stands, &session.id.0]).await?;
            applied.touched.push(session.id);
            continue;
        }
        if stands != source {
            sources::move_session(tx, session.id, stands, source).await?;
        }
        put_whole(tx, source, session).await?;
        change(tx, source, session, walk.at, &mut applied).await?;
        replace_omissions(tx, source, session).await?;
    }
    if walk.heard {
        replace_faults(tx, &walk.source, &walk.faults).await?;
        restore::walking(tx, walk.at).await?;
        guard::change(tx, &walk.source, &walk.guard).await?;
        restore::walked(tx, &walk.source, walk.at).await?;
    }
    Ok(applied)
}

async fn put_source(tx: &Tx<'_>, walk: &Walk) -> Res<()> {
    let sql = "INSERT INTO source AS s (practice, name, last_snapshot_at, policy_digest, filled, adopting, whole_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (practice, name) DO UPDATE SET last_snapshot_at = excluded.last_snapshot_at, policy_digest = excluded.policy_digest,
                   filled = excluded.filled, adopting = excluded.adopting, gone_at = NULL, whole_at = coalesce(excluded.whole_at, s.whole_at)";
    let adopting = serde_json::to_string(&walk.adopting).expect("numbers are always JSON");
    let whole_at = walk.whole.then(|| ms(walk.at));
    let values: Values<'_> = &[&tx.practice, &walk.source, &ms(walk.at), &walk.policy_digest, &walk.filled, &adopting, &whole_at];
    tx.execute(sql, values).await?;
    Ok(())
}

/// A policy that no walk is made with.
pub(super) async fn plan_anew(tx: &Tx<'_>) -> Res<()> {
    tx.execute("UPDATE source SET policy_digest = '' WHERE practice = $1", &[&tx.practice]).await?;
    Ok(())
}

/// Whoever is off a list, and does not count as gone, is so since the next one.
pub(super) async fn absences_anew(tx: &Tx<'_>) -> Res<()> {
    let sql = "UPDATE participant SET absent_since = NULL, absences = 0 WHERE practice = $1 AND absences > 0 AND NOT cancelled";
    tx.execute(sql, &[&tx.practice]).await?;
    Ok(())
}

/// The source said nothing new.
pub(super) async fn heard(tx: &Tx<'_>, source: &str, at: DateTime<Utc>) -> Res<()> {
    // It was whole if the last one was.
    let sql = "UPDATE source SET whole_at = CASE WHEN whole_at = last_snapshot_at THEN $3 ELSE whole_at END, last_snapshot_at = $3
               WHERE practice = $1 AND name = $2";
    tx.execute(sql, &[&tx.practice, &source, &ms(at)]).await?;
    Ok(())
}

/// Something happened to the session since it was read.
async fn was_touched(tx: &Tx<'_>, source: &str, session: &WalkedSession, last: Option<i64>) -> Res<bool> {
    let Some(was) = session.was else { return Ok(false) };
    let sql = "SELECT replan FROM session WHERE practice = $1 AND source = $2 AND id = $3";
    let again = tx.first(sql, &[&tx.practice, &source, &session.id.0]).await?.map(|row| number(&row, 0)).transpose()?;
    Ok(was != Touch { last: last.unwrap_or(0), again: again.unwrap_or_default() })
}

/// The session, and its people.
async fn put_whole(tx: &Tx<'_>, source: &str, session: &WalkedSession) -> Res<()> {
    let departed = query::departed(tx, source, Some(&[session.id])).await?.remove(&session.id).unwrap_or_default();
    let departs = departed != session.departed;
    put_session(tx, source, session, departs).await?;
    put_participants(tx, source, session).await?;
    if departs {
        put_departed(tx, source, session).await?;
    }
    Ok(())
}

/// Another digest or presence raises the revision, which fences the attempts that were rendered from the one before; so does somebody's departure.
async fn put_session(tx: &Tx<'_>, source: &str, session: &WalkedSession, departs: bool) -> Res<()> {
    let of_this = name(source, session.id);
    let sql = "SELECT digest, presence FROM session WHERE practice = $1 AND source = $2 AND id = $3";
    let raises = match tx.first(sql, &[&tx.practice, &source, &session.id.0]).await? {
        Some(row) => {
            let digest = tx.sealer.open("digest", &of_this, get(&row, 0)?)?;
            departs || digest != session.digest || get::<&str>(&row, 1)? != session.presence.as_str()
        }
        None => false,
    };
    let sql = "INSERT INTO session AS s (practice, source, id, revision, digest, start_at, ambiguous, record, presence, replan, taken_for)
               VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10)
               ON CONFLICT (practice, source, id) DO UPDATE SET revision = s.revision + $11, digest = excluded.digest, start_at = excluded.start_at,
                   ambiguous = excluded.ambiguous, record = excluded.record, presence = excluded.presence, replan = excluded.replan,
                   taken_for = excluded.taken_for";
    let ambiguous = serde_json::to_string(&session.ambiguous).expect("numbers and strings are always JSON");
    let values: Values<'_> = &[
        &tx.practice,
        &source,
        &session.id.0,
        &tx.sealer.seal("digest", &of_this, &session.digest)?,
        &ms(session.start),
        &ambiguous,
        &tx.sealer.seal("record", &of_this, &session.record.text)?,
        &session.presence.as_str(),
        &i64::from(session.replan),
        &session.record.taken_for.map(TakenFor::as_str),
        &i64::from(raises),
    ];
    tx.execute(sql, values).await?;
    sources::put_lately(tx, source, session.id, &session.lately).await
}

/// Whom the source lists no more, in place of the last ones.
async fn put_departed(tx: &Tx<'_>, source: &str, session: &WalkedSession) -> Res<()> {
    let sql = "UPDATE participant SET presence = 'listed', role = NULL, record = NULL
               WHERE practice = $1 AND source = $2 AND session_id = $3 AND record IS NOT NULL";
    tx.execute(sql, &[&tx.practice, &source, &session.id.0]).await?;
    for Departed { id, role, presence, record } in &session.departed {
        let place = Place { source: source.to_owned(), session: session.id, participation: *id };
        let sealed = tx.sealer.seal("person", place.name(), record)?;
        let sql = "UPDATE participant SET presence = $5, role = $6, record = $7
                   WHERE practice = $1 AND source = $2 AND session_id = $3 AND participation_id = $4";
        let values: Values<'_> = &[&tx.practice, &source, &session.id.0, &id.0, &presence.as_str(), &role_word(*role), &sealed];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

async fn put_participants(tx: &Tx<'_>, source: &str, session: &WalkedSession) -> Res<()> {
    if session.known.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO participant (practice, source, session_id, participation_id, first_seen, start_at, start_known_at, adopted, facts, facts_known_at,
                                        cancelled, absent_since, absences, said, said_of, person, session_seen)
               SELECT $1, $2, $3, d.* FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::text[], $10::bigint[],
                   $11::boolean[], $12::bigint[], $13::bigint[], $14::text[], $15::bigint[], $16::text[], $17::bigint[]) AS d
               ON CONFLICT (practice, source, session_id, participation_id) DO UPDATE SET first_seen = excluded.first_seen,
                   start_at = excluded.start_at, start_known_at = excluded.start_known_at, adopted = excluded.adopted,
                   facts = excluded.facts, facts_known_at = excluded.facts_known_at, cancelled = excluded.cancelled,
                   absent_since = excluded.absent_since, absences = excluded.absences, said = excluded.said, said_of = excluded.said_of,
                   person = excluded.person, session_seen = excluded.session_seen";
    let all: Vec<&Known> = session.known.iter().map(|(_, known)| known).collect();
    let sealed = |(id, known): &(ParticipationId, Known)| {
        let place = Place { source: source.to_owned(), session: session.id, participation: *id };
        tx.sealer.seal("facts", place.name(), &known.facts)
    };
    let who = |known: &&Known| known.person.as_deref().map(|person| tx.sealer.seal_alike("who", person)).transpose();
    let values: Values<'_> = &[
        &tx.practice,
        &source,
        &session.id.0,
        &session.known.iter().map(|(id, _)| id.0).collect::<Vec<_>>(),
        &all.iter().map(|k| ms(k.first_seen)).collect::<Vec<_>>(),
        &all.iter().map(|k| ms(k.start)).collect::<Vec<_>>(),
        &all.iter().map(|k| ms(k.start_known_at)).collect::<Vec<_>>(),
        &all.iter().map(|k| k.adopted).collect::<Vec<_>>(),
        &session.known.iter().map(sealed).collect::<Res<Vec<_>>>()?,
        &all.iter().map(|k| ms(k.facts_known_at)).collect::<Vec<_>>(),
        &all.iter().map(|k| k.cancelled).collect::<Vec<_>>(),
        &all.iter().map(|k| opt_ms(k.absent_since)).collect::<Vec<_>>(),
        &all.iter().map(|k| i64::from(k.absences)).collect::<Vec<_>>(),
        &all.iter().map(|k| k.said.map(|said| rsvp_word(said.rsvp))).collect::<Vec<_>>(),
        &all.iter().map(|k| opt_ms(k.said.map(|said| said.start))).collect::<Vec<_>>(),
        &all.iter().map(who).collect::<Res<Vec<_>>>()?,
        &all.iter().map(|k| ms(k.session_seen)).collect::<Vec<_>>(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// What changes in the outbox: what is new, and what the others become.
async fn change(tx: &Tx<'_>, source: &str, session: &WalkedSession, at: DateTime<Utc>, applied: &mut Applied) -> Res<()> {
    for (key, then) in &session.ahead {
        // What a clock noted that was ahead.
        let sql = "UPDATE notice SET changed_at = $3, accepted_at = CASE WHEN accepted_at > $3 THEN $3 ELSE accepted_at END WHERE practice = $1 AND key = $2";
        tx.execute(sql, &[&tx.practice, &&key.0[..], &ms(*then)]).await?;
    }
    let mut sheet: Option<Sheet> = None;
    for change in &session.changes {
        let (event, detail) = change.in_words();
        let key = match change {
            Change::Add(notice) => {
                let row = Row::added(notice.clone(), source, at);
                if !insert(tx, &[&row]).await?.is_empty() {
                    applied.added += 1;
                    tx.append(row.event(event, None, at, detail))?;
                }
                continue;
            }
            Change::Move { key, .. } | Change::End { key, .. } => *key,
        };
        let sheet = match &mut sheet {
            Some(sheet) => sheet,
            None => sheet.insert(Sheet::of(tx, &named(&session.changes)).await?),
        };
        if !sheet.has(key) {
            // Added just now.
            sheet.read(tx, key).await?;
        }
        let Some(numbered) = sheet.get_mut(key) else { continue };
        let from = numbered.row.entry.state;
        if numbered.row.change(change, at) {
            let count = if matches!(change, Change::Move { .. }) { &mut applied.moved } else { &mut applied.ended };
            *count += 1;
            sheet.record(tx, key, from, (event, detail), at)?;
        }
    }
    if let Some(sheet) = &sheet {
        sheet.save(tx).await?;
    }
    for (key, facts) in &session.announced {
        let sealed = tx.sealer.seal("told", key.0, facts)?;
        tx.execute("UPDATE notice SET facts = $3 WHERE practice = $1 AND key = $2", &[&tx.practice, &&key.0[..], &sealed]).await?;
    }
    Ok(())
}

/// The notices that changes name.
fn named(changes: &[Change]) -> Vec<NoticeKey> {
    let key = |change: &Change| match change {
        Change::Move { key, .. } | Change::End { key, .. } => Some(*key),
        Change::Add(_) => None,
    };
    changes.iter().filter_map(key).collect()
}

async fn replace_omissions(tx: &Tx<'_>, source: &str, session: &WalkedSession) -> Res<()> {
    let sql = "DELETE FROM omission WHERE practice = $1 AND source = $2 AND session_id = $3";
    tx.execute(sql, &[&tx.practice, &source, &session.id.0]).await?;
    let all = &session.omissions;
    if all.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO omission (practice, source, session_id, position, participation_id, role, occasion, rule, channel, due_at, reason, detail)
               SELECT $1, $2, $3, d.* FROM unnest($4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[],
                   $12::text[]) AS d";
    let values: Values<'_> = &[
        &tx.practice,
        &source,
        &session.id.0,
        &(0..all.len() as i64).collect::<Vec<_>>(),
        &all.iter().map(|o| o.participation.map(|p| p.0)).collect::<Vec<_>>(),
        &all.iter().map(|o| o.role.map(role_word)).collect::<Vec<_>>(),
        &all.iter().map(|o| o.occasion.map(Occasion::as_str)).collect::<Vec<_>>(),
        &all.iter().map(|o| o.rule.as_deref()).collect::<Vec<_>>(),
        &all.iter().map(|o| o.channel.map(Channel::as_str)).collect::<Vec<_>>(),
        &all.iter().map(|o| opt_ms(o.due_at)).collect::<Vec<_>>(),
        &all.iter().map(|o| o.reason.as_str()).collect::<Vec<_>>(),
        &all.iter().map(|o| o.detail.as_deref()).collect::<Vec<_>>(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// What is as it was is not written again.
async fn replace_faults(tx: &Tx<'_>, source: &str, faults: &[Fault]) -> Res<()> {
    if list::faults_of(tx, source).await? == faults {
        return Ok(());
    }
    tx.execute("DELETE FROM fault WHERE practice = $1 AND source = $2", &[&tx.practice, &source]).await?;
    for (position, fault) in faults.iter().enumerate() {
        let (session, participation) = (fault.session.map(|s| s.0), fault.participation.map(|p| p.0));
        let sql = "INSERT INTO fault (practice, source, position, path, reason, session_id, participation_id) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values: Values<'_> = &[&tx.practice, &source, &(position as i64), &fault.path, &fault.reason, &session, &participation];
        tx.execute(sql, values).await?;
    }
    Ok(())
}
