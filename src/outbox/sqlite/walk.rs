//! A walk of a source, applied whole or not at all: it is one write, so it is inside one transaction.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{ms, opt_ms, role_word};
use super::notices::{NoticeBefore, find, insert, record};
use super::tx::Tx;
use super::{guard, history, query, restore, sources, suppression};
use crate::contact::Channel;
use crate::entry::Change;
use crate::feedback::reply::rsvp_word;
use crate::known::Known;
use crate::notice::{NoticeKey, Occasion};
use crate::outbox::transition::Row;
use crate::outbox::{Applied, Walk, WalkedSession};
use crate::session::stored::{Departed, Touch};
use crate::session::{Fault, ParticipationId, TakenFor};

/// Whether it can be applied: asked before the first write, so that a refusal leaves nothing to undo.
pub(super) fn check(connection: &Connection, walk: &Walk) -> rusqlite::Result<Result<(), String>> {
    let sql = "SELECT 1 FROM participant WHERE source = ?1 AND session_id = ?2 AND participation_id = ?3";
    let mut participant = connection.prepare_cached(sql)?;
    for session in &walk.sessions {
        let source = session.from.as_deref().or(session.of.as_deref()).unwrap_or(&walk.source);
        let checked = session.check(|id| participant.exists(params![source, session.id.0, id.0]))?;
        if checked.is_err() {
            return Ok(checked);
        }
    }
    Ok(Ok(()))
}

pub(super) fn apply(connection: &Tx<'_>, walk: &Walk) -> rusqlite::Result<Applied> {
    if walk.heard {
        let sql = "INSERT INTO source (name, last_snapshot_at, policy_digest, filled, adopting, whole_at)
                       VALUES (?1, ?2, ?3, ?4, ?5, iif(?6, ?2, NULL))
                   ON CONFLICT (name) DO UPDATE SET last_snapshot_at = excluded.last_snapshot_at, policy_digest = excluded.policy_digest,
                       filled = excluded.filled, adopting = excluded.adopting, gone_at = NULL,
                       whole_at = coalesce(excluded.whole_at, whole_at)";
        let adopting = serde_json::to_string(&walk.adopting).expect("numbers are always JSON");
        connection.prepare_cached(sql)?.execute(params![
            walk.source,
            ms(walk.at),
            walk.policy_digest,
            walk.filled,
            adopting,
            walk.whole
        ])?;
    }
    let mut applied = Applied::default();
    if let Some(also) = &walk.also {
        sources::put_also(connection, &walk.source, also)?;
    }
    if let Some(parts) = &walk.parts {
        sources::put_parts(connection, &walk.source, parts)?;
    }
    sources::forget_lately(connection, walk.at)?;
    for session in &walk.sessions {
        let source = session.of.as_deref().unwrap_or(&walk.source);
        let stands = session.from.as_deref().unwrap_or(source);
        if was_touched(connection, stands, session)? {
            connection.prepare_cached(suppression::PLAN_ONE_AGAIN)?.execute(params![stands, session.id.0])?;
            applied.touched.push(session.id);
            continue;
        }
        if stands != source {
            sources::move_session(connection, session.id, stands, source)?;
        }
        put(connection, source, session, walk.at, &mut applied)?;
    }
    if walk.heard {
        replace_faults(connection, &walk.source, &walk.faults)?;
        restore::walked(connection, (&walk.source, walk.at), || guard::change(connection, &walk.source, &walk.guard))?;
    }
    Ok(applied)
}

/// One session, and all that belongs to it.
fn put(connection: &Tx<'_>, source: &str, session: &WalkedSession, at: DateTime<Utc>, applied: &mut Applied) -> rusqlite::Result<()> {
    // Of a new one nothing need be taken out.
    let is_new = session.was.is_none() && !sources::has(connection, source, session.id)?;
    let departed = if is_new { Vec::new() } else { query::departed(connection, source, session.id)? };
    put_session(connection, source, session, departed != session.departed)?;
    for (id, known) in &session.known {
        put_participant(connection, source, session, *id, known)?;
    }
    if departed != session.departed {
        put_departed(connection, source, session)?;
    }
    put_back(connection, session)?;
    apply_changes(connection, source, session, at, applied)?;
    if !is_new {
        sources::clear(connection, "lately", source, session.id)?;
        sources::clear(connection, "omission", source, session.id)?;
    }
    sources::add_lately(connection, source, session.id, &session.lately)?;
    add_omissions(connection, source, session)
}

/// What a clock noted that was ahead.
fn put_back(connection: &Connection, session: &WalkedSession) -> rusqlite::Result<()> {
    for (key, then) in &session.ahead {
        let sql = "UPDATE notice SET changed_at = ?2, accepted_at = min(accepted_at, ?2) WHERE key = ?1";
        connection.prepare_cached(sql)?.execute(params![key.0, ms(*then)])?;
    }
    Ok(())
}

/// A policy that no walk is made with.
pub(super) fn plan_anew(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE source SET policy_digest = ''", [])?;
    Ok(())
}

/// Whoever is off a list, and does not count as gone, is so since the next one.
pub(super) fn absences_anew(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE participant SET absent_since = NULL, absences = 0 WHERE absences > 0 AND NOT cancelled", [])?;
    Ok(())
}

/// Something happened to the session since it was read.
fn was_touched(connection: &Connection, source: &str, session: &WalkedSession) -> rusqlite::Result<bool> {
    let Some(was) = session.was else { return Ok(false) };
    let again = "SELECT replan FROM session WHERE source = ?1 AND id = ?2";
    let again = connection.prepare_cached(again)?.query_row(params![source, session.id.0], |row| row.get(0)).optional()?;
    Ok(was != Touch { last: query::last_touch(connection, session.id)?, again: again.unwrap_or_default() })
}

/// The source said nothing new.
pub(super) fn heard(connection: &Connection, source: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    // It was whole if the last one was.
    let sql = "UPDATE source SET whole_at = iif(whole_at = last_snapshot_at, ?2, whole_at), last_snapshot_at = ?2 WHERE name = ?1";
    connection.prepare_cached(sql)?.execute(params![source, ms(at)])?;
    Ok(())
}

/// Another digest or presence raises the revision, which fences the attempts that were rendered from the one before; so does somebody's departure.
fn put_session(connection: &Connection, source: &str, session: &WalkedSession, departs: bool) -> rusqlite::Result<()> {
    let sql = "INSERT INTO session (source, id, revision, digest, start_at, ambiguous, record, presence, replan, taken_for)
               VALUES (?1, ?2, 1, seal('digest', ?1 || '/' || ?2, ?3), ?4, ?5, seal('record', ?1 || '/' || ?2, ?6), ?7, ?8, ?10)
               ON CONFLICT (source, id) DO UPDATE SET
                   revision = revision + (?9 OR presence <> excluded.presence OR unseal('digest', source || '/' || id, digest) <> ?3),
                   digest = excluded.digest, start_at = excluded.start_at, ambiguous = excluded.ambiguous, record = excluded.record,
                   presence = excluded.presence, replan = excluded.replan, taken_for = excluded.taken_for";
    let ambiguous = query::ambiguous_text(&session.ambiguous);
    connection.prepare_cached(sql)?.execute(params![
        source,
        session.id.0,
        session.digest,
        ms(session.start),
        ambiguous,
        session.record.text,
        session.presence.as_str(),
        session.replan,
        departs,
        session.record.taken_for.map(TakenFor::as_str),
    ])?;
    Ok(())
}

/// Whom the source lists no more, in place of the last ones.
fn put_departed(connection: &Connection, source: &str, session: &WalkedSession) -> rusqlite::Result<()> {
    let sql = "UPDATE participant SET presence = 'listed', role = NULL, record = NULL
               WHERE source = ?1 AND session_id = ?2 AND record IS NOT NULL";
    connection.prepare_cached(sql)?.execute(params![source, session.id.0])?;
    for Departed { id, role, presence, record } in &session.departed {
        let sql = "UPDATE participant SET presence = ?4, role = ?5,
                       record = seal('person', source || '/' || session_id || '/' || participation_id, ?6)
                   WHERE source = ?1 AND session_id = ?2 AND participation_id = ?3";
        let values = params![source, session.id.0, id.0, presence.as_str(), role_word(*role), record];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

fn put_participant(
    connection: &Connection,
    source: &str,
    session: &WalkedSession,
    id: ParticipationId,
    known: &Known,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO participant (source, session_id, participation_id, first_seen, start_at, start_known_at, adopted, facts, facts_known_at,
                                        cancelled, absent_since, absences, said, said_of, person, session_seen)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, seal('facts', ?1 || '/' || ?2 || '/' || ?3, ?8), ?9, ?10, ?11, ?12, ?13, ?14,
                       seal_alike('who', ?15), ?16)
               ON CONFLICT (source, session_id, participation_id) DO UPDATE SET first_seen = excluded.first_seen,
                   start_at = excluded.start_at, start_known_at = excluded.start_known_at, adopted = excluded.adopted,
                   facts = excluded.facts, facts_known_at = excluded.facts_known_at, cancelled = excluded.cancelled,
                   absent_since = excluded.absent_since, absences = excluded.absences, said = excluded.said, said_of = excluded.said_of,
                   person = excluded.person, session_seen = excluded.session_seen";
    connection.prepare_cached(sql)?.execute(params![
        source,
        session.id.0,
        id.0,
        ms(known.first_seen),
        ms(known.start),
        ms(known.start_known_at),
        known.adopted,
        known.facts,
        ms(known.facts_known_at),
        known.cancelled,
        opt_ms(known.absent_since),
        known.absences,
        known.said.map(|said| rsvp_word(said.rsvp)),
        opt_ms(known.said.map(|said| said.start)),
        known.person,
        ms(known.session_seen),
    ])?;
    Ok(())
}

/// What changes in a session's notices. One that is added and ends at once, as an adopted invite does, is written as it ends.
fn apply_changes(
    connection: &Tx<'_>,
    source: &str,
    session: &WalkedSession,
    at: DateTime<Utc>,
    applied: &mut Applied,
) -> rusqlite::Result<()> {
    let mut announced: Vec<&(NoticeKey, String)> = session.announced.iter().collect();
    let mut changes = session.changes.iter().peekable();
    while let Some(change) = changes.next() {
        let notice = match change {
            Change::Add(notice) => notice,
            Change::Move { key, .. } | Change::End { key, .. } => {
                change_held(connection, *key, change, at, applied)?;
                continue;
            }
        };
        let end = changes.next_if(|next| matches!(next, Change::End { key, .. } if *key == notice.key));
        let mut row = Row::added(notice.clone(), source, at);
        row.entry.facts = announced.iter().find(|(key, _)| *key == notice.key).map(|(_, facts)| facts.clone());
        if add(connection, row, (change, end), at, applied)? {
            announced.retain(|(key, _)| *key != notice.key);
        } else if let Some(end) = end {
            change_held(connection, notice.key, end, at, applied)?;
        }
    }
    for (key, facts) in announced {
        connection.prepare_cached("UPDATE notice SET facts = seal('told', key, ?2) WHERE key = ?1")?.execute(params![key.0, facts])?;
    }
    Ok(())
}

/// A new notice, and its end if it has one at once. `false`: the key is there already, and nothing was done.
fn add(
    connection: &Tx<'_>,
    mut row: Row,
    (added, end): (&Change, Option<&Change>),
    at: DateTime<Utc>,
    applied: &mut Applied,
) -> rusqlite::Result<bool> {
    let (event, detail) = added.in_words();
    let mut told = vec![row.event(event, None, at, detail)];
    let state = row.entry.state;
    if let Some(end) = end.filter(|end| row.change(end, at)) {
        let (event, detail) = end.in_words();
        told.push(row.event(event, Some(state), at, detail));
    }
    if !insert(connection, &row)? {
        return Ok(false);
    }
    applied.added += 1;
    applied.ended += told.len() - 1;
    told.iter().try_for_each(|row| history::append(connection, row))?;
    Ok(true)
}

/// A change of a notice that the store holds.
fn change_held(connection: &Tx<'_>, key: NoticeKey, change: &Change, at: DateTime<Utc>, applied: &mut Applied) -> rusqlite::Result<()> {
    let Some(mut row) = find(connection, key)? else { return Ok(()) };
    let before = NoticeBefore::of(&row);
    if row.change(change, at) {
        let count = if matches!(change, Change::Move { .. }) { &mut applied.moved } else { &mut applied.ended };
        *count += 1;
        record(connection, &row, before, change.in_words(), at)?;
    }
    Ok(())
}

fn add_omissions(connection: &Connection, source: &str, session: &WalkedSession) -> rusqlite::Result<()> {
    let sql = "INSERT INTO omission (source, session_id, position, participation_id, role, occasion, rule, channel, due_at, reason, detail)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let mut put = connection.prepare_cached(sql)?;
    for (position, omission) in (0_i64..).zip(&session.omissions) {
        put.execute(params![
            source,
            session.id.0,
            position,
            omission.participation.map(|p| p.0),
            omission.role.map(role_word),
            omission.occasion.map(Occasion::as_str),
            omission.rule,
            omission.channel.map(Channel::as_str),
            opt_ms(omission.due_at),
            omission.reason.as_str(),
            omission.detail,
        ])?;
    }
    Ok(())
}

/// What is as it was is not written again.
fn replace_faults(connection: &Connection, source: &str, faults: &[Fault]) -> rusqlite::Result<()> {
    if query::faults_of(connection, source)? == faults {
        return Ok(());
    }
    connection.prepare_cached("DELETE FROM fault WHERE source = ?1")?.execute([source])?;
    let sql = "INSERT INTO fault (source, position, path, reason, session_id, participation_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut statement = connection.prepare_cached(sql)?;
    for (position, fault) in faults.iter().enumerate() {
        let (session, participation) = (fault.session.map(|s| s.0), fault.participation.map(|p| p.0));
        statement.execute(params![source, position as i64, fault.path, fault.reason, session, participation])?;
    }
    Ok(())
}
