//! The guard's set: what waits for an operator, what was decided, and what was let pass lately.

use chrono::{DateTime, Utc};

use super::columns::{at, get, ms, number, session, word};
use super::db::{Db, Tx, Values};
use super::error::Res;
use crate::guard::{GuardChange, GuardKind, GuardRow, GuardSet, GuardStanding, Member, Passed, Verdict};
use crate::outbox::words::decided;
use crate::session::SessionId;

/// What waits, by source, session and kind.
pub(super) async fn rows(db: &Db) -> Res<Vec<GuardRow>> {
    let standing = all(db).await?.into_iter().filter(|(_, standing)| *standing == GuardStanding::Waiting);
    Ok(standing.map(|(row, _)| row).collect())
}

async fn all(db: &Db) -> Res<Vec<(GuardRow, GuardStanding)>> {
    let sql = "SELECT source, session_id, kind, since, says, standing FROM guard WHERE practice = $1 ORDER BY source, session_id, kind";
    let rows = db.query(sql, &[&db.practice]).await?;
    let one = |row| {
        let (source, session_id, kind): (String, _, _) = (get(row, 0)?, session(row, 1)?, word(row, 2)?);
        let says = db.sealer.open("guard", name(&source, session_id, kind), get(row, 4)?)?;
        Ok((GuardRow { source, session_id, kind, since: at(row, 3)?, says }, word(row, 5)?))
    };
    rows.iter().map(one).collect()
}

/// What is sealed for a row is bound to this.
pub(super) fn name(source: &str, session: SessionId, kind: GuardKind) -> String {
    format!("{source}/{session}/{}", kind.as_str())
}

/// The set of one source.
pub(super) async fn set(db: &Db, source: &str) -> Res<GuardSet> {
    let sql =
        "SELECT session_id, kind, people, says, since, standing FROM guard WHERE practice = $1 AND source = $2 ORDER BY session_id, kind";
    let rows = db.query(sql, &[&db.practice, &source]).await?;
    let member = |row| {
        let (session, kind) = (session(row, 0)?, word(row, 1)?);
        Ok(Member {
            session,
            kind,
            people: number(row, 2)?,
            says: db.sealer.open("guard", name(source, session, kind), get(row, 3)?)?,
            since: at(row, 4)?,
            standing: word(row, 5)?,
        })
    };
    let members = rows.iter().map(member).collect::<Res<_>>()?;
    let sql = "SELECT session_id, kind, at FROM guard_passed WHERE practice = $1 AND source = $2 ORDER BY session_id, kind";
    let rows = db.query(sql, &[&db.practice, &source]).await?;
    let passed = rows.iter().map(|row| Ok(Passed { session: session(row, 0)?, kind: word(row, 1)?, at: at(row, 2)? }));
    Ok(GuardSet { members, passed: passed.collect::<Res<_>>()? })
}

/// In a walk's transaction.
pub(super) async fn change(tx: &Tx<'_>, source: &str, change: &GuardChange) -> Res<()> {
    let practice = &tx.practice;
    for (session, kind) in &change.leaves {
        let sql = "DELETE FROM guard WHERE practice = $1 AND source = $2 AND session_id = $3 AND kind = $4";
        tx.execute(sql, &[practice, &source, &session.0, &kind.as_str()]).await?;
    }
    join(tx, source, &change.joins).await?;
    for (session, kind) in &change.reopens {
        let sql = "UPDATE guard SET standing = 'waiting' WHERE practice = $1 AND source = $2 AND session_id = $3 AND kind = $4 AND standing = 'rejected'";
        tx.execute(sql, &[practice, &source, &session.0, &kind.as_str()]).await?;
    }
    if let Some(before) = change.forgets {
        tx.execute("DELETE FROM guard_passed WHERE practice = $1 AND source = $2 AND at < $3", &[practice, &source, &ms(before)]).await?;
    }
    for p in &change.passes {
        let sql = "INSERT INTO guard_passed (practice, source, session_id, kind, at) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (practice, source, session_id, kind) DO UPDATE SET at = excluded.at";
        tx.execute(sql, &[practice, &source, &p.session.0, &p.kind.as_str(), &ms(p.at)]).await?;
    }
    Ok(())
}

/// What was decided while the walk was under way was decided about what the source said before.
async fn join(tx: &Tx<'_>, source: &str, joins: &[Member]) -> Res<()> {
    for m in joins {
        let sql = "SELECT says, standing FROM guard WHERE practice = $1 AND source = $2 AND session_id = $3 AND kind = $4";
        let before = tx.first(sql, &[&tx.practice, &source, &m.session.0, &m.kind.as_str()]).await?;
        let of_this = name(source, m.session, m.kind);
        let standing = match &before {
            Some(row) if tx.sealer.open("guard", &of_this, get(row, 0)?)? == m.says => word(row, 1)?,
            _ => m.standing,
        };
        let sql =
            "INSERT INTO guard (practice, source, session_id, kind, people, says, since, standing) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                   ON CONFLICT (practice, source, session_id, kind) DO UPDATE
                   SET people = excluded.people, says = excluded.says, since = excluded.since, standing = excluded.standing";
        let says = tx.sealer.seal("guard", &of_this, &m.says)?;
        let values: Values<'_> =
            &[&tx.practice, &source, &m.session.0, &m.kind.as_str(), &(m.people as i64), &says, &ms(m.since), &standing.as_str()];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// An operator decides about all that waits. How many sessions that are; the next walk looks at them again.
pub(super) async fn decide(tx: &Tx<'_>, verdict: Verdict, who: Option<&str>, source: Option<&str>, now: DateTime<Utc>) -> Res<usize> {
    let open = all(tx).await?.into_iter().filter(|(row, standing)| verdict.decides(*standing) && source.is_none_or(|of| of == row.source));
    let open: Vec<GuardRow> = open.map(|(row, _)| row).collect();
    let mut sessions = 0;
    let mut last = None;
    for row in &open {
        let Some(standing) = verdict.of(row.kind) else { continue };
        let sql = "UPDATE guard SET standing = $5 WHERE practice = $1 AND source = $2 AND session_id = $3 AND kind = $4";
        tx.execute(sql, &[&tx.practice, &row.source, &row.session_id.0, &row.kind.as_str(), &standing.as_str()]).await?;
        if last != Some((&row.source, row.session_id)) {
            sessions += 1;
            last = Some((&row.source, row.session_id));
            tx.execute(super::suppression::PLAN_ONE_AGAIN, &[&tx.practice, &row.source, &row.session_id.0]).await?;
        }
    }
    tx.note(now, verdict.into(), &decided(sessions, source, who))?;
    Ok(sessions)
}

/// Of sessions whose record was purged nothing can be decided any more.
pub(super) const PURGE: &str = "DELETE FROM guard AS g WHERE g.practice = $1 AND NOT EXISTS (
     SELECT 1 FROM session AS s WHERE s.practice = $1 AND s.source = g.source AND s.id = g.session_id AND s.record <> '')";
