//! The guard's set: what waits for an operator, what was decided, and what was let pass lately.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};

use super::columns::{at, ms, word};
use super::history;
use super::tx::Tx;
use crate::guard::{GuardChange, GuardRow, GuardSet, GuardStanding, Member, Passed, Verdict};
use crate::ledger::LedgerRow;
use crate::outbox::words::decided;
use crate::session::SessionId;

/// What waits, by source, session and kind.
pub(super) fn rows(connection: &Connection) -> rusqlite::Result<Vec<GuardRow>> {
    let standing = all(connection)?.into_iter().filter(|(_, standing)| *standing == GuardStanding::Waiting);
    Ok(standing.map(|(row, _)| row).collect())
}

fn all(connection: &Connection) -> rusqlite::Result<Vec<(GuardRow, GuardStanding)>> {
    let sql = "SELECT source, session_id, kind, since, unseal('guard', source || '/' || session_id || '/' || kind, says), standing
               FROM guard ORDER BY source, session_id, kind";
    let row = |row: &Row<'_>| {
        let (session_id, kind, says) = (SessionId(row.get(1)?), word(row, 2)?, row.get(4)?);
        Ok((GuardRow { source: row.get(0)?, session_id, kind, since: at(row, 3)?, says }, word(row, 5)?))
    };
    connection.prepare_cached(sql)?.query_map([], row)?.collect()
}

/// The set of one source.
pub(super) fn set(connection: &Connection, source: &str) -> rusqlite::Result<GuardSet> {
    let sql =
        "SELECT session_id, kind, people, unseal('guard', source || '/' || session_id || '/' || kind, says), since, standing FROM guard
               WHERE source = ?1 ORDER BY session_id, kind";
    let member = |row: &Row<'_>| {
        Ok(Member {
            session: SessionId(row.get(0)?),
            kind: word(row, 1)?,
            people: row.get::<_, u32>(2)? as usize,
            says: row.get(3)?,
            since: at(row, 4)?,
            standing: word(row, 5)?,
        })
    };
    let members = connection.prepare_cached(sql)?.query_map([source], member)?.collect::<rusqlite::Result<_>>()?;
    let sql = "SELECT session_id, kind, at FROM guard_passed WHERE source = ?1 ORDER BY session_id, kind";
    let passed = |row: &Row<'_>| Ok(Passed { session: SessionId(row.get(0)?), kind: word(row, 1)?, at: at(row, 2)? });
    let passed = connection.prepare_cached(sql)?.query_map([source], passed)?.collect::<rusqlite::Result<_>>()?;
    Ok(GuardSet { members, passed })
}

/// In a walk's transaction.
pub(super) fn change(connection: &Connection, source: &str, change: &GuardChange) -> rusqlite::Result<()> {
    let sql = "DELETE FROM guard WHERE source = ?1 AND session_id = ?2 AND kind = ?3";
    for (session, kind) in &change.leaves {
        connection.prepare_cached(sql)?.execute(params![source, session.0, kind.as_str()])?;
    }
    // What was decided while the walk was under way was decided about what the source said before.
    let sql = "INSERT INTO guard (source, session_id, kind, people, says, since, standing)
               VALUES (?1, ?2, ?3, ?4, seal('guard', ?1 || '/' || ?2 || '/' || ?3, ?5), ?6, ?7)
               ON CONFLICT (source, session_id, kind) DO UPDATE SET people = excluded.people, says = excluded.says, since = excluded.since,
                   standing = CASE WHEN unseal('guard', source || '/' || session_id || '/' || kind, says) = ?5 THEN standing
                       ELSE excluded.standing END";
    for m in &change.joins {
        let values = params![source, m.session.0, m.kind.as_str(), m.people as i64, m.says, ms(m.since), m.standing.as_str()];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    let sql = "UPDATE guard SET standing = 'waiting' WHERE source = ?1 AND session_id = ?2 AND kind = ?3 AND standing = 'rejected'";
    for (session, kind) in &change.reopens {
        connection.prepare_cached(sql)?.execute(params![source, session.0, kind.as_str()])?;
    }
    if let Some(before) = change.forgets {
        connection.prepare_cached("DELETE FROM guard_passed WHERE source = ?1 AND at < ?2")?.execute(params![source, ms(before)])?;
    }
    let sql = "INSERT INTO guard_passed (source, session_id, kind, at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (source, session_id, kind) DO UPDATE SET at = excluded.at";
    for p in &change.passes {
        connection.prepare_cached(sql)?.execute(params![source, p.session.0, p.kind.as_str(), ms(p.at)])?;
    }
    Ok(())
}

/// An operator decides about all that waits. How many sessions that are; the next walk looks at them again.
pub(super) fn decide(
    connection: &Tx<'_>,
    verdict: Verdict,
    who: Option<&str>,
    source: Option<&str>,
    now: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    let open =
        all(connection)?.into_iter().filter(|(row, standing)| verdict.decides(*standing) && source.is_none_or(|of| of == row.source));
    let open: Vec<GuardRow> = open.map(|(row, _)| row).collect();
    let mut sessions = 0;
    let mut last = None;
    for row in &open {
        let Some(standing) = verdict.of(row.kind) else { continue };
        let sql = "UPDATE guard SET standing = ?4 WHERE source = ?1 AND session_id = ?2 AND kind = ?3";
        let values = params![row.source, row.session_id.0, row.kind.as_str(), standing.as_str()];
        connection.prepare_cached(sql)?.execute(values)?;
        if last != Some((&row.source, row.session_id)) {
            sessions += 1;
            last = Some((&row.source, row.session_id));
            let sql = "UPDATE session SET replan = replan + 1 WHERE source = ?1 AND id = ?2";
            connection.prepare_cached(sql)?.execute(params![row.source, row.session_id.0])?;
        }
    }
    history::append(connection, &LedgerRow::new(now, verdict.into(), &decided(sessions, source, who)))?;
    Ok(sessions)
}

/// Of sessions whose record was purged nothing can be decided any more.
pub(super) const PURGE: &str = "DELETE FROM guard WHERE (source, session_id) IN (
     SELECT guard.source, guard.session_id FROM guard LEFT JOIN session ON session.source = guard.source AND id = session_id
     WHERE coalesce(record, '') = '')";
