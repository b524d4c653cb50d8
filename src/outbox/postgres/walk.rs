//! A walk of a source, applied whole or not at all: it is one write, so it is inside one transaction.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::columns::{get, ms, session};
use super::db::{Tx, Values};
use super::error::Res;
use super::notices::{Sheet, insert};
use super::plans::{COUNT, IS_COUNTED};
use super::walked::{self, Before, Placed};
use super::{guard, list, query, restore, sources, suppression};
use crate::entry::Change;
use crate::notice::NoticeKey;
use crate::outbox::transition::Row;
use crate::outbox::{Applied, Walk, WalkedSession};
use crate::session::{Fault, ParticipationId, SessionId};

/// Whether it can be applied: asked before the first write, so that a refusal leaves nothing to undo.
pub(super) async fn check(tx: &Tx<'_>, walk: &Walk) -> Res<Result<(), String>> {
    let mut known: HashMap<String, Vec<(SessionId, ParticipationId)>> = HashMap::new();
    let stands = |session: &WalkedSession| session.from.clone().or_else(|| session.of.clone()).unwrap_or_else(|| walk.source.clone());
    let mut of: HashMap<String, Vec<SessionId>> = HashMap::new();
    for session in &walk.sessions {
        of.entry(stands(session)).or_default().push(session.id);
    }
    for (source, sessions) in of {
        let these = ("session_id, participation_id", "participant", "session_id");
        let rows = query::of_sessions(tx, these, "", (&source, Some(&sessions))).await?;
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

/// Sessions that are written together.
const TOGETHER: usize = 500;

pub(super) async fn apply(tx: &Tx<'_>, walk: &Walk) -> Res<Applied> {
    // What others of this group wrote down is part of what a session was touched by.
    tx.flush().await?;
    let sql = "UPDATE practice SET walks = walks + 1 WHERE id = $1 AND ($2::bigint IS NULL OR walks = $2) RETURNING walks";
    let Some(walks) = tx.first(sql, &[&tx.practice, &walk.after]).await?.map(|row| get(&row, 0)).transpose()? else {
        return Ok(Applied { overtaken: true, ..Applied::default() });
    };
    if walk.heard {
        put_source(tx, walk, walks).await?;
    }
    let mut applied = Applied { walks, ..Applied::default() };
    if let Some(also) = &walk.also {
        sources::put_also(tx, &walk.source, also).await?;
    }
    if let Some(parts) = &walk.parts {
        sources::put_parts(tx, &walk.source, parts).await?;
    }
    sources::forget_lately(tx, walk.at).await?;
    let mut rest: &[WalkedSession] = &walk.sessions;
    while !rest.is_empty() {
        let mut seen = BTreeSet::new();
        let some = rest.iter().take(TOGETHER).take_while(|session| seen.insert(session.id)).count();
        let (these, others) = rest.split_at(some);
        apply_some(tx, walk, these, &mut applied).await?;
        rest = others;
    }
    if walk.heard {
        replace_faults(tx, &walk.source, &walk.faults).await?;
        restore::walking(tx, walk.at).await?;
        guard::change(tx, &walk.source, &walk.guard).await?;
        restore::walked(tx, &walk.source, walk.at).await?;
    }
    if tx.plans.want_counts(applied.added) && !get(&tx.one(IS_COUNTED, &[]).await?, 0)? {
        tx.say(COUNT).await?;
    }
    Ok(applied)
}

/// Each of them once.
async fn apply_some(tx: &Tx<'_>, walk: &Walk, sessions: &[WalkedSession], applied: &mut Applied) -> Res<()> {
    let before = Before::of(tx, sessions).await?;
    let mut fresh = Vec::with_capacity(sessions.len());
    for session in sessions {
        let source = session.of.as_deref().unwrap_or(&walk.source);
        let stands = session.from.as_deref().unwrap_or(source);
        if before.was_touched(session) {
            tx.execute(suppression::PLAN_ONE_AGAIN, &[&tx.practice, &stands, &session.id.0]).await?;
            applied.touched.push(session.id);
            continue;
        }
        if stands != source {
            sources::move_session(tx, session.id, stands, source).await?;
        }
        fresh.push(Placed { source, session });
    }
    walked::put(tx, &fresh, &before).await?;
    change(tx, &fresh, walk.at, applied).await
}

async fn put_source(tx: &Tx<'_>, walk: &Walk, walks: i64) -> Res<()> {
    let sql = "INSERT INTO source AS s (practice, name, last_snapshot_at, policy_digest, filled, adopting, whole_at, walks)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
               ON CONFLICT (practice, name) DO UPDATE SET last_snapshot_at = excluded.last_snapshot_at, policy_digest = excluded.policy_digest,
                   filled = excluded.filled, adopting = excluded.adopting, gone_at = NULL, whole_at = coalesce(excluded.whole_at, s.whole_at), walks = excluded.walks";
    let adopting = serde_json::to_string(&walk.adopting).expect("numbers are always JSON");
    let whole_at = walk.whole.then(|| ms(walk.at));
    let values: Values<'_> = &[&tx.practice, &walk.source, &ms(walk.at), &walk.policy_digest, &walk.filled, &adopting, &whole_at, &walks];
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

/// What changes in the outbox: what is new, and what the others become, in the order of the plan.
async fn change(tx: &Tx<'_>, sessions: &[Placed<'_>], at: DateTime<Utc>, applied: &mut Applied) -> Res<()> {
    for (key, then) in sessions.iter().flat_map(|placed| &placed.session.ahead) {
        // What a clock noted that was ahead.
        let sql = "UPDATE notice SET changed_at = $3, accepted_at = CASE WHEN accepted_at > $3 THEN $3 ELSE accepted_at END WHERE practice = $1 AND key = $2";
        tx.execute(sql, &[&tx.practice, &&key.0[..], &ms(*then)]).await?;
    }
    let changes: Vec<(&str, &Change)> =
        sessions.iter().flat_map(|placed| placed.session.changes.iter().map(|change| (placed.source, change))).collect();
    let added = |(source, change): &(&str, &Change)| match change {
        Change::Add(notice) => Some(Row::added(notice.clone(), source, at)),
        Change::Move { .. } | Change::End { .. } => None,
    };
    let rows: Vec<Row> = changes.iter().filter_map(added).collect();
    let mut to_come: BTreeSet<NoticeKey> = insert(tx, &rows.iter().collect::<Vec<_>>()).await?.into_iter().collect();
    let mut rows = rows.iter();
    let mut sheet = Sheet::of(tx, &named(&changes)).await?;
    for (_, change) in &changes {
        let (event, detail) = change.in_words();
        let key = match change {
            Change::Add(notice) => {
                let row = rows.next().filter(|_| to_come.remove(&notice.key));
                if let Some(row) = row {
                    applied.added += 1;
                    tx.append(row.event(event, None, at, detail))?;
                }
                continue;
            }
            Change::Move { key, .. } | Change::End { key, .. } => *key,
        };
        // One that is added behind this change was not there yet.
        let Some(numbered) = sheet.get_mut(key).filter(|_| !to_come.contains(&key)) else { continue };
        let from = numbered.row.entry.state;
        if numbered.row.change(change, at) {
            let count = if matches!(change, Change::Move { .. }) { &mut applied.moved } else { &mut applied.ended };
            *count += 1;
            sheet.record(tx, key, from, (event, detail), at)?;
        }
    }
    sheet.save(tx).await?;
    for (key, facts) in sessions.iter().flat_map(|placed| &placed.session.announced) {
        let sealed = tx.sealer.seal("told", key.0, facts)?;
        tx.execute("UPDATE notice SET facts = $3 WHERE practice = $1 AND key = $2", &[&tx.practice, &&key.0[..], &sealed]).await?;
    }
    Ok(())
}

/// The notices that changes name.
fn named(changes: &[(&str, &Change)]) -> Vec<NoticeKey> {
    let key = |(_, change): &(&str, &Change)| match change {
        Change::Move { key, .. } | Change::End { key, .. } => Some(*key),
        Change::Add(_) => None,
    };
    changes.iter().filter_map(key).collect()
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
