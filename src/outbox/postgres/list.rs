//! Lists and counts of notices, omissions and faults: what commands, monitors and the dashboard ask.

use std::collections::HashMap;
use std::hash::Hash;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::columns::{get, keys, limit, ms, number, opt_at, opt_phase, opt_role, opt_word, session, word};
use super::db::Db;
use super::error::Res;
use super::notices::{self, COLUMNS, state_of};
use crate::contact::Channel;
use crate::entry::{Entry, State};
use crate::notice::{Omission, Reason};
use crate::outbox::{Filter, SourceStatus, Status};
use crate::session::{Fault, ParticipationId, SessionId};

/// The conditions of a filter, and their values.
struct Conditions {
    terms: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync>>,
}

impl Conditions {
    fn and(&mut self, term: &str, value: impl ToSql + Sync + 'static) {
        self.values.push(Box::new(value));
        self.terms.push(term.replace('?', &format!("${}", self.values.len())));
    }

    /// What notices and omissions have in common.
    fn of(db: &Db, filter: &Filter) -> Self {
        let mut this = Self { terms: Vec::new(), values: Vec::new() };
        this.and("n.practice = ?", db.practice);
        if let Some(session) = filter.session {
            this.and("n.session_id = ?", session.0);
        }
        if let Some(participation) = filter.participation {
            this.and("n.participation_id = ?", participation.0);
        }
        if let Some(occasion) = filter.occasion {
            this.and("n.occasion = ?", occasion.as_str());
        }
        this
    }

    async fn rows(mut self, db: &Db, select: &str, order: &str, most: Option<usize>) -> Res<Vec<Row>> {
        let terms = self.terms.join(" AND ");
        self.values.push(Box::new(most.map(limit)));
        let sql = format!("{select} WHERE {terms} ORDER BY {order} LIMIT ${}", self.values.len());
        let values: Vec<&(dyn ToSql + Sync)> = self.values.iter().map(|value| &**value).collect();
        db.query(&sql, &values).await
    }
}

/// Claimed and sending are one word in the table, with and without a phase.
fn states(of: &[State]) -> String {
    let one = |state: &State| match state {
        State::Claimed => "n.state = 'flying' AND n.phase IS NULL".to_owned(),
        State::Sending => "n.state = 'flying' AND n.phase IS NOT NULL".to_owned(),
        other => format!("n.state = '{}'", other.as_str()),
    };
    format!("({})", of.iter().map(one).collect::<Vec<_>>().join(" OR "))
}

pub(super) async fn list(db: &Db, filter: &Filter) -> Res<Vec<Entry>> {
    let mut conditions = Conditions::of(db, filter);
    if !filter.states.is_empty() {
        conditions.terms.push(states(&filter.states));
    }
    if !filter.keys.is_empty() {
        let of: Vec<Vec<u8>> = keys(&filter.keys).into_iter().map(<[u8]>::to_vec).collect();
        conditions.and("n.key = ANY(?)", of);
    }
    if let Some((due_at, key)) = filter.after {
        conditions.and("n.due_at >= ?", ms(due_at));
        let due = conditions.values.len();
        let behind = format!("(n.due_at, n.id) > (${due}, (SELECT p.id FROM notice AS p WHERE p.practice = $1 AND p.key = ?))");
        conditions.and(&behind, key.0.to_vec());
    }
    let select = format!("SELECT {COLUMNS} FROM notice AS n");
    let rows = conditions.rows(db, &select, "n.due_at, n.id", filter.limit).await?;
    rows.iter().map(|row| notices::row(&db.sealer, row).map(|n| n.row.entry)).collect()
}

pub(super) async fn omissions(db: &Db, filter: &Filter) -> Res<Vec<Omission>> {
    let select = "SELECT session_id, participation_id, role, occasion, rule, channel, due_at, reason, detail FROM omission AS n";
    // What is due at no time stands first, as in SQLite.
    let order = "n.due_at NULLS FIRST, n.source, n.session_id, n.position";
    let rows = Conditions::of(db, filter).rows(db, select, order, filter.limit).await?;
    rows.iter().map(omission).collect()
}

fn omission(row: &Row) -> Res<Omission> {
    Ok(Omission {
        session: Some(session(row, 0)?),
        participation: get::<Option<i64>>(row, 1)?.map(ParticipationId),
        role: opt_role(row, 2)?,
        occasion: opt_word(row, 3)?,
        rule: get(row, 4)?,
        channel: opt_word(row, 5)?,
        due_at: opt_at(row, 6)?,
        reason: word(row, 7)?,
        detail: get(row, 8)?,
    })
}

pub(super) const NEXT_DUE: &str = "SELECT min(next_attempt_at) FROM notice
     WHERE practice = $1 AND channel = $2 AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL";

pub(super) async fn next_due(db: &Db, channel: Channel) -> Res<Option<DateTime<Utc>>> {
    opt_at(&db.one(NEXT_DUE, &[&db.practice, &channel.as_str()]).await?, 0)
}

pub(super) const MOST_URGENT: &str = "SELECT min(useful_until) FROM notice
     WHERE practice = $1 AND channel = $2 AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL AND next_attempt_at <= $3";

pub(super) async fn most_urgent(db: &Db, channel: Channel, now: DateTime<Utc>) -> Res<Option<DateTime<Utc>>> {
    opt_at(&db.one(MOST_URGENT, &[&db.practice, &channel.as_str(), &ms(now)]).await?, 0)
}

/// What has lapsed since then.
pub(super) async fn lapsed(db: &Db, since: DateTime<Utc>) -> Res<Vec<Entry>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM notice AS n WHERE n.practice = $1 AND n.state = 'lapsed' AND n.changed_at >= $2 ORDER BY n.changed_at, n.id"
    );
    let rows = db.query(&sql, &[&db.practice, &ms(since)]).await?;
    rows.iter().map(|row| notices::row(&db.sealer, row).map(|n| n.row.entry)).collect()
}

/// Of a statement that gives a state's word, its phase and a count.
async fn by_state(db: &Db, sql: &str, values: super::db::Values<'_>) -> Res<HashMap<State, u64>> {
    let mut all = HashMap::new();
    for row in db.query(sql, values).await? {
        *all.entry(state_of(get(&row, 0)?, opt_phase(&row, 1)?)?).or_default() += number::<u64>(&row, 2)?;
    }
    Ok(all)
}

pub(super) async fn status(db: &Db) -> Res<Status> {
    let mut next = Vec::new();
    for channel in [Channel::Email, Channel::Sms] {
        next.extend(next_due(db, channel).await?);
    }
    let suppressed = db.one("SELECT count(*) FROM suppression WHERE practice = $1", &[&db.practice]).await?;
    Ok(Status {
        by_state: by_state(db, "SELECT state, phase, count(*) FROM notice WHERE practice = $1 GROUP BY state, phase", &[&db.practice])
            .await?,
        by_reason: counts(db, "SELECT reason, count(*) FROM omission WHERE practice = $1 GROUP BY reason").await?,
        next_due: next.into_iter().min(),
        sources: sources(db).await?,
        faults: faults(db).await?,
        suppressed: number(&suppressed, 0)?,
    })
}

async fn counts<T: FromStr<Err = String> + Hash + Eq>(db: &Db, sql: &str) -> Res<HashMap<T, u64>> {
    let rows = db.query(sql, &[&db.practice]).await?;
    rows.iter().map(|row| Ok((word(row, 0)?, number(row, 1)?))).collect()
}

async fn sources(db: &Db) -> Res<Vec<SourceStatus>> {
    let sql = "SELECT name, last_snapshot_at, (SELECT count(*) FROM session WHERE practice = $1 AND source = name) FROM source
               WHERE practice = $1 ORDER BY name";
    let rows = db.query(sql, &[&db.practice]).await?;
    rows.iter().map(|row| Ok(SourceStatus { name: get(row, 0)?, last_snapshot_at: opt_at(row, 1)?, sessions: number(row, 2)? })).collect()
}

pub(super) async fn faults(db: &Db) -> Res<Vec<(String, Fault)>> {
    let sql = "SELECT path, reason, session_id, participation_id, source FROM fault WHERE practice = $1 ORDER BY source, position";
    db.query(sql, &[&db.practice]).await?.iter().map(|row| Ok((get(row, 4)?, fault(row)?))).collect()
}

pub(super) async fn faults_of(db: &Db, source: &str) -> Res<Vec<Fault>> {
    let sql = "SELECT path, reason, session_id, participation_id FROM fault WHERE practice = $1 AND source = $2 ORDER BY position";
    db.query(sql, &[&db.practice, &source]).await?.iter().map(fault).collect()
}

fn fault(row: &Row) -> Res<Fault> {
    let (session, participation) = (get::<Option<i64>>(row, 2)?, get::<Option<i64>>(row, 3)?);
    Ok(Fault {
        path: get(row, 0)?,
        reason: get(row, 1)?,
        session: session.map(SessionId),
        participation: participation.map(ParticipationId),
    })
}

pub(super) const DUE_BEFORE: &str = "SELECT count(*) FROM notice
     WHERE practice = $1 AND channel IN ('email', 'sms') AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL AND next_attempt_at < $2";

pub(super) async fn due_before(db: &Db, until: DateTime<Utc>) -> Res<u64> {
    number(&db.one(DUE_BEFORE, &[&db.practice, &ms(until)]).await?, 0)
}

/// Between each of these times and the next one.
pub(super) async fn count_between(db: &Db, edges: &[DateTime<Utc>]) -> Res<Vec<HashMap<State, u64>>> {
    let sql = "SELECT state, phase, count(*) FROM notice WHERE practice = $1 AND due_at >= $2 AND due_at < $3 GROUP BY state, phase";
    let mut all = Vec::new();
    for pair in edges.windows(2) {
        all.push(by_state(db, sql, &[&db.practice, &ms(pair[0]), &ms(pair[1])]).await?);
    }
    Ok(all)
}

pub(super) async fn count(db: &Db, state: State) -> Res<u64> {
    let sql = format!("SELECT count(*) FROM notice AS n WHERE n.practice = $1 AND {}", states(&[state]));
    number(&db.one(&sql, &[&db.practice]).await?, 0)
}

pub(super) async fn held_by_reason(db: &Db) -> Res<Vec<(Reason, u64)>> {
    let sql = "SELECT coalesce(reason, 'operator') COLLATE \"C\" AS why, count(*) FROM notice WHERE practice = $1 AND state = 'held' GROUP BY why ORDER BY why";
    db.query(sql, &[&db.practice]).await?.iter().map(|row| Ok((word(row, 0)?, number(row, 1)?))).collect()
}
