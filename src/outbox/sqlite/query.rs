//! Reads: what the planner, the dispatcher, the commands and the dashboard ask.
//!
//! Every list is in an order that is total, so that two stores, or two reads, agree. Each is a search or a walk of an index.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::columns::{OF_THESE, at, json_ids, misread, ms, opt_at, opt_phase, opt_role, opt_word, required, word};
use super::notices::{self, COLUMNS};
use super::{frozen, guard, sources};
use crate::contact::Channel;
use crate::entry::{AttemptEnd, Delivery, Entry};
use crate::notice::{NoticeKey, Omission};
use crate::outbox::{Filter, Rest, Seen, SeenSession, SourceStatus, Status};
use crate::session::stored::{Departed, StoredSession, Touch};
use crate::session::{Fault, ParticipationId, SessionId, SourceRecord};
use crate::suppression::Suppression;

pub(super) const SEEN: &str = "SELECT id, unseal('digest', source || '/' || id, digest), presence, replan > 0, start_at
     FROM session INDEXED BY session_start WHERE start_at >= ?2 AND source = ?1";

pub(super) fn seen(connection: &Connection, source: &str, from: DateTime<Utc>) -> rusqlite::Result<Option<Seen>> {
    let sql = "SELECT policy_digest, last_snapshot_at, filled, adopting, whole_at FROM source WHERE name = ?1";
    let of_source = |row: &Row<'_>| Ok((row.get(0)?, at(row, 1)?, row.get(2)?, sources::session_ids(row, 3)?, opt_at(row, 4)?));
    let of_source = connection.prepare_cached(sql)?.query_row([source], of_source).optional()?;
    let Some((policy_digest, last_snapshot_at, filled, adopting, whole_at)) = of_source else { return Ok(None) };
    let mut statement = connection.prepare_cached(SEEN)?;
    let sessions = statement.query_map(params![source, ms(from)], seen_session)?.collect::<rusqlite::Result<_>>()?;
    let (guard, parts) = (guard::set(connection, source)?, sources::parts(connection, source)?);
    Ok(Some(Seen { policy_digest, last_snapshot_at, guard, filled, adopting, whole_at, parts, sessions }))
}

/// Of these sessions alone.
pub(super) fn seen_among(connection: &Connection, source: &str, ids: &[SessionId]) -> rusqlite::Result<HashMap<SessionId, SeenSession>> {
    let sql = "SELECT id, unseal('digest', source || '/' || id, digest), presence, replan > 0, start_at FROM session
               WHERE source = ?1 AND id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let found = ids.iter().filter_map(|id| statement.query_row(params![source, id.0], seen_session).optional().transpose());
    found.collect()
}

fn seen_session(row: &Row<'_>) -> rusqlite::Result<(SessionId, SeenSession)> {
    let session = SeenSession { digest: row.get(1)?, presence: word(row, 2)?, replan: row.get(3)?, start: at(row, 4)? };
    Ok((SessionId(row.get(0)?), session))
}

/// `?1` the source, `?2` now, `?3` when what is over started.
pub(super) const UNSETTLED: &str = "SELECT EXISTS (SELECT 1 FROM session INDEXED BY session_unsettled
         WHERE source = ?1 AND start_at > ?3 AND (replan > 0 OR presence = 'absent') AND (replan > 0 OR start_at > ?2))
     OR EXISTS (SELECT 1 FROM guard CROSS JOIN session ON session.source = guard.source AND id = session_id
         WHERE guard.source = ?1 AND standing <> 'waiting' AND replan > 0 AND (kind <> 'removed' OR start_at > ?2))
     OR EXISTS (SELECT 1 FROM restored WHERE source = ?1)";

/// How the last walk left a source.
pub(super) fn rest(connection: &Connection, source: &str, now: DateTime<Utc>, since: DateTime<Utc>) -> rusqlite::Result<Option<Rest>> {
    let sql = "SELECT policy_digest, last_snapshot_at FROM source WHERE name = ?1";
    let of_source = connection.prepare_cached(sql)?.query_row([source], |row| Ok((row.get(0)?, at(row, 1)?))).optional()?;
    let Some((policy_digest, last_snapshot_at)) = of_source else { return Ok(None) };
    let unsettled = connection.prepare_cached(UNSETTLED)?.query_row(params![source, ms(now), ms(since)], |row| row.get(0))?;
    Ok(Some(Rest { policy_digest, last_snapshot_at, walks: 0, unsettled }))
}

/// When a source was last read.
pub(super) fn last_snapshot_at(connection: &Connection, source: &str) -> rusqlite::Result<DateTime<Utc>> {
    connection.prepare_cached("SELECT last_snapshot_at FROM source WHERE name = ?1")?.query_row([source], |row| at(row, 0))
}

/// CROSS: the sessions first. (SQLite takes all people of the source else, and looks through all sessions for each.)
pub(super) const PEOPLE: &str = "SELECT count(*) FROM session INDEXED BY session_start
     CROSS JOIN participant ON participant.source = session.source AND session_id = id
     WHERE session.start_at > ?2 AND session.source = ?1 AND session.presence <> 'gone' AND participant.presence <> 'gone' AND NOT cancelled";

pub(super) fn listed(connection: &Connection, source: &str) -> rusqlite::Result<usize> {
    let sql = "SELECT count(*) FROM session WHERE source = ?1 AND presence = 'listed' AND record <> ''";
    connection.prepare_cached(sql)?.query_row([source], |row| count(row, 0)).map(|n| n as usize)
}

pub(super) fn people(connection: &Connection, source: &str, now: DateTime<Utc>) -> rusqlite::Result<usize> {
    let people: u32 = connection.prepare_cached(PEOPLE)?.query_row(params![source, ms(now)], |row| row.get(0))?;
    Ok(people as usize)
}

const SESSION: &str = "id, unseal('digest', source || '/' || id, digest), unseal('record', source || '/' || id, record), ambiguous, revision, \
         presence, replan, taken_for";

/// Without those who departed, and the ledger's part of its touch.
fn stored_session(row: &Row<'_>) -> rusqlite::Result<StoredSession> {
    let ambiguous = serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(|e| misread(3, Type::Text, e.to_string()))?;
    Ok(StoredSession {
        id: SessionId(row.get(0)?),
        digest: row.get(1)?,
        presence: word(row, 5)?,
        touch: Touch { last: 0, again: row.get(6)? },
        record: SourceRecord { text: row.get(2)?, taken_for: opt_word(row, 7)? },
        departed: Vec::new(),
        ambiguous,
    })
}

const DEPARTED: &str = "participation_id, role, presence, unseal('person', source || '/' || session_id || '/' || participation_id, record)";

/// Reads [`DEPARTED`].
fn departed_row(row: &Row<'_>) -> rusqlite::Result<Departed> {
    let (role, presence) = (required(opt_role(row, 1)?, 1)?, word(row, 2)?);
    Ok(Departed { id: ParticipationId(row.get(0)?), role, presence, record: row.get(3)? })
}

/// Whom the source lists no more in a session.
pub(super) fn departed(connection: &Connection, source: &str, id: SessionId) -> rusqlite::Result<Vec<Departed>> {
    let sql = format!(
        "SELECT {DEPARTED} FROM participant WHERE source = ?1 AND session_id = ?2 AND record IS NOT NULL ORDER BY participation_id"
    );
    connection.prepare_cached(&sql)?.query_map(params![source, id.0], departed_row)?.collect()
}

pub(super) const LAST_TOUCH: &str = "SELECT coalesce(max(seq), 0) FROM ledger WHERE session_id = ?1";

/// The number of the ledger's last row about a session.
pub(super) fn last_touch(connection: &Connection, id: SessionId) -> rusqlite::Result<i64> {
    connection.prepare_cached(LAST_TOUCH)?.query_row([id.0], |row| row.get(0))
}

/// How the ambiguous participations of a session are written down.
pub(super) fn ambiguous_text(ambiguous: &[(ParticipationId, String)]) -> String {
    serde_json::to_string(ambiguous).expect("numbers and strings are always JSON")
}

/// With who departed from each, and its touch.
pub(super) fn sessions(connection: &Connection, source: &str, ids: Option<&[SessionId]>) -> rusqlite::Result<Vec<StoredSession>> {
    let which = if ids.is_some() { "id IN (SELECT value FROM json_each(?2))" } else { "?2 IS NULL" };
    let touch = "(SELECT coalesce(max(seq), 0) FROM ledger WHERE ledger.session_id = session.id)";
    let sql = format!("SELECT {SESSION}, {touch} FROM session WHERE source = ?1 AND record <> '' AND {which} ORDER BY id");
    let of_these = ids.map(json_ids);
    let one = |row: &Row<'_>| {
        let stored = stored_session(row)?;
        Ok(StoredSession { touch: Touch { last: row.get(8)?, ..stored.touch }, ..stored })
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found: Vec<StoredSession> = statement.query_map(params![source, of_these], one)?.collect::<rusqlite::Result<_>>()?;
    let mut departed = departed_of(connection, source, of_these)?;
    for session in &mut found {
        session.departed = departed.remove(&session.id).unwrap_or_default();
    }
    Ok(found)
}

/// Whom the source lists no more, by session: of these, or of all.
fn departed_of(connection: &Connection, source: &str, ids: Option<String>) -> rusqlite::Result<HashMap<SessionId, Vec<Departed>>> {
    let which = if ids.is_some() { OF_THESE } else { "?2 IS NULL" };
    let of_source = "FROM participant WHERE source = ?1 AND record IS NOT NULL";
    let sql = format!("SELECT {DEPARTED}, session_id {of_source} AND {which} ORDER BY participation_id");
    let mut found: HashMap<SessionId, Vec<Departed>> = HashMap::new();
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![source, ids])?;
    while let Some(row) = rows.next()? {
        found.entry(SessionId(row.get(4)?)).or_default().push(departed_row(row)?);
    }
    Ok(found)
}

const STARTING: &str =
    "SELECT source, id FROM session WHERE start_at >= ?1 AND start_at < ?2 AND record <> '' ORDER BY start_at, id, source LIMIT ?3";

pub(super) fn starting(
    connection: &Connection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: usize,
) -> rusqlite::Result<Vec<(String, SessionId)>> {
    let values = params![ms(from), ms(until), i64::try_from(limit).unwrap_or(i64::MAX)];
    connection.prepare_cached(STARTING)?.query_map(values, |row| Ok((row.get(0)?, SessionId(row.get(1)?))))?.collect()
}

/// One session, with its revision.
pub(super) fn session(connection: &Connection, source: &str, id: SessionId) -> rusqlite::Result<(StoredSession, i64)> {
    let mut statement = connection.prepare_cached(&format!("SELECT {SESSION} FROM session WHERE source = ?1 AND id = ?2"))?;
    let (session, revision) = statement.query_row(params![source, id.0], |row| Ok((stored_session(row)?, row.get(4)?)))?;
    Ok((StoredSession { departed: departed(connection, source, id)?, ..session }, revision))
}

pub(super) fn suppressions(connection: &Connection) -> rusqlite::Result<HashMap<String, Suppression>> {
    let mut statement = connection.prepare_cached("SELECT unseal('suppression', '', address_key), kind FROM suppression")?;
    let all = statement.query_map([], |row| Ok((row.get(0)?, super::suppression::kind(row, 1)?)))?;
    all.collect()
}

pub(super) const NEXT_DUE: &str = "SELECT min(next_attempt_at) FROM notice INDEXED BY notice_due
     WHERE channel = ?1 AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL";

pub(super) fn next_due(connection: &Connection, channel: Channel) -> rusqlite::Result<Option<DateTime<Utc>>> {
    connection.prepare_cached(NEXT_DUE)?.query_row([channel.as_str()], |row| opt_at(row, 0))
}

pub(super) const MOST_URGENT: &str = "SELECT min(useful_until) FROM notice INDEXED BY notice_due
     WHERE channel = ?1 AND state IN ('waiting', 'unknown') AND next_attempt_at <= ?2";

pub(super) fn most_urgent(connection: &Connection, channel: Channel, now: DateTime<Utc>) -> rusqlite::Result<Option<DateTime<Utc>>> {
    connection.prepare_cached(MOST_URGENT)?.query_row(params![channel.as_str(), ms(now)], |row| opt_at(row, 0))
}

/// The conditions of a filter, and their values.
#[derive(Default)]
struct Conditions {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn equals(&mut self, column: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.terms.push(format!("{column} = ?"));
            self.values.push(value);
        }
    }

    fn one_of(&mut self, column: &str, values: Vec<Value>) {
        if !values.is_empty() {
            self.terms.push(format!("{column} IN ({})", vec!["?"; values.len()].join(", ")));
            self.values.extend(values);
        }
    }

    /// What notices and omissions have in common.
    fn of(filter: &Filter) -> Self {
        let mut this = Self::default();
        this.equals("session_id", filter.session.map(|s| s.0.into()));
        this.equals("participation_id", filter.participation.map(|p| p.0.into()));
        if let (Some(of), None) = (filter.participation, filter.session) {
            this.terms.push("session_id IN (SELECT session_id FROM participant WHERE participation_id = ?)".to_owned());
            this.values.push(of.0.into());
        }
        this.equals("occasion", filter.occasion.map(|o| o.as_str().to_owned().into()));
        this
    }

    fn sql(&self, select: &str, order: &str) -> String {
        let terms = if self.terms.is_empty() { String::new() } else { format!(" WHERE {}", self.terms.join(" AND ")) };
        format!("{select}{terms} ORDER BY {order} LIMIT ?")
    }

    fn values(mut self, limit: Option<usize>) -> Vec<Value> {
        // SQLite reads a negative limit as none.
        self.values.push(limit.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)).into());
        self.values
    }
}

/// The statement of a list, and its values.
pub(super) fn list_sql(filter: &Filter) -> (String, Vec<Value>) {
    let mut conditions = Conditions::of(filter);
    // The plus keeps SQLite from the index of states, where a session or keys lead to few rows and a state may have a million.
    let few = filter.session.is_some() || filter.participation.is_some() || !filter.keys.is_empty();
    let state = if few { "+state" } else { "state" };
    conditions.one_of(state, filter.states.iter().map(|s| s.as_str().to_owned().into()).collect());
    // As one value: a command may name more keys than a statement can have values.
    if !filter.keys.is_empty() {
        let keys: Vec<String> = filter.keys.iter().map(ToString::to_string).collect();
        conditions.terms.push("key IN (SELECT unhex(value) FROM json_each(?))".to_owned());
        conditions.values.push(serde_json::to_string(&keys).expect("strings are always JSON").into());
    }
    if let Some((due_at, key)) = filter.after {
        conditions.terms.push("(due_at, id) > (?, (SELECT place.id FROM notice AS place WHERE place.key = ?))".to_owned());
        conditions.values.extend([ms(due_at).into(), key.0.to_vec().into()]);
    }
    let sql = conditions.sql(&format!("SELECT {COLUMNS} FROM notice"), "due_at, id");
    (sql, conditions.values(filter.limit))
}

pub(super) fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Entry>> {
    let (sql, values) = list_sql(filter);
    connection.prepare_cached(&sql)?.query_map(params_from_iter(values), |row| notices::row(row).map(|r| r.entry))?.collect()
}

pub(super) fn omissions(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Omission>> {
    let mut conditions = Conditions::of(filter);
    if filter.session.is_some() || filter.participation.is_some() {
        // Its order begins with the source.
        conditions.terms.push("source IN (SELECT name FROM source)".to_owned());
    }
    let select = "SELECT session_id, participation_id, role, occasion, rule, channel, due_at, reason, detail FROM omission";
    let sql = conditions.sql(select, "due_at, source, session_id, position");
    connection.prepare_cached(&sql)?.query_map(params_from_iter(conditions.values(filter.limit)), omission)?.collect()
}

fn omission(row: &Row<'_>) -> rusqlite::Result<Omission> {
    Ok(Omission {
        session: Some(SessionId(row.get(0)?)),
        participation: row.get::<_, Option<i64>>(1)?.map(ParticipationId),
        role: opt_role(row, 2)?,
        occasion: opt_word(row, 3)?,
        rule: row.get(4)?,
        channel: opt_word(row, 5)?,
        due_at: opt_at(row, 6)?,
        reason: word(row, 7)?,
        detail: row.get(8)?,
    })
}

pub(super) fn deliveries(connection: &Connection, key: NoticeKey) -> rusqlite::Result<(Vec<Delivery>, Option<Vec<u8>>)> {
    // While it runs, its phase is the notice's.
    let sql = "SELECT attempt, started_at, CASE WHEN ended_at IS NULL AND delivery.epoch = notice.epoch AND notice.phase IS NOT NULL
                      THEN notice.phase ELSE delivery.phase END, ended_at, outcome, transport, reply, receipt, receipt_at, receipt_detail
               FROM notice JOIN delivery ON notice_id = notice.id WHERE key = ?1 ORDER BY attempt";
    let all = connection.prepare_cached(sql)?.query_map([key.0], delivery)?.collect::<rusqlite::Result<_>>()?;
    Ok((all, content(connection, key)?))
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        attempt: row.get(0)?,
        started_at: at(row, 1)?,
        phase: required(opt_phase(row, 2)?, 2)?,
        ended_at: opt_at(row, 3)?,
        outcome: row.get_ref(4)?.as_str_or_null()?.map(AttemptEnd::from),
        transport: row.get(5)?,
        reply: row.get(6)?,
        receipt: opt_word(row, 7)?,
        receipt_at: opt_at(row, 8)?,
        receipt_detail: row.get(9)?,
    })
}

/// The frozen bytes, while they are kept.
pub(super) fn content(connection: &Connection, key: NoticeKey) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT unseal('message', notice_id, packed), size, sample FROM notice JOIN content ON notice_id = notice.id WHERE key = ?1";
    connection.prepare_cached(sql)?.query_row([key.0], frozen::unpacked).optional()
}

/// When the last attempt was begun.
pub(super) fn last_begun(connection: &Connection, number: i64) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let sql = "SELECT max(started_at) FROM delivery WHERE notice_id = ?1";
    connection.prepare_cached(sql)?.query_row([number], |row| opt_at(row, 0))
}

/// What has lapsed since then.
pub(super) fn lapsed_sql() -> String {
    format!("SELECT {COLUMNS} FROM notice INDEXED BY notice_state WHERE state = 'lapsed' AND changed_at >= ?1 ORDER BY changed_at, id")
}

pub(super) fn lapsed(connection: &Connection, since: DateTime<Utc>) -> rusqlite::Result<Vec<Entry>> {
    connection.prepare_cached(&lapsed_sql())?.query_map([ms(since)], |row| notices::row(row).map(|r| r.entry))?.collect()
}

const COUNTS: &str = "SELECT state, count(*) FROM notice GROUP BY state";

pub(super) fn status(connection: &Connection) -> rusqlite::Result<Status> {
    let next_due =
        [Channel::Email, Channel::Sms].into_iter().map(|channel| next_due(connection, channel)).collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Status {
        by_state: counts(connection, COUNTS)?,
        by_reason: counts(connection, "SELECT reason, count(*) FROM omission GROUP BY reason")?,
        next_due: next_due.into_iter().flatten().min(),
        sources: sources(connection)?,
        faults: faults(connection)?,
        suppressed: connection.query_row("SELECT count(*) FROM suppression", [], |row| count(row, 0))?,
    })
}

fn counts<T>(connection: &Connection, sql: &str) -> rusqlite::Result<HashMap<T, u64>>
where
    T: std::str::FromStr<Err = String> + std::hash::Hash + Eq,
{
    connection.prepare_cached(sql)?.query_map([], |row| Ok((word(row, 0)?, count(row, 1)?)))?.collect()
}

/// SQLite has no unsigned integers; a count is none the less one.
fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, u32>(column).map(u64::from)
}

fn sources(connection: &Connection) -> rusqlite::Result<Vec<SourceStatus>> {
    let sql = "SELECT name, last_snapshot_at, (SELECT count(*) FROM session WHERE source = name) FROM source ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let all = statement
        .query_map([], |row| Ok(SourceStatus { name: row.get(0)?, last_snapshot_at: opt_at(row, 1)?, sessions: count(row, 2)? }))?;
    all.collect()
}

pub(super) fn faults(connection: &Connection) -> rusqlite::Result<Vec<(String, Fault)>> {
    let sql = "SELECT path, reason, session_id, participation_id, source FROM fault ORDER BY source, position";
    connection.prepare_cached(sql)?.query_map([], |row| Ok((row.get(4)?, fault(row)?)))?.collect()
}

pub(super) fn faults_of(connection: &Connection, source: &str) -> rusqlite::Result<Vec<Fault>> {
    let sql = "SELECT path, reason, session_id, participation_id FROM fault WHERE source = ?1 ORDER BY position";
    connection.prepare_cached(sql)?.query_map([source], fault)?.collect()
}

fn fault(row: &Row<'_>) -> rusqlite::Result<Fault> {
    let (session, participation) = (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<i64>>(3)?);
    let (session, participation) = (session.map(SessionId), participation.map(ParticipationId));
    Ok(Fault { path: row.get(0)?, reason: row.get(1)?, session, participation })
}

#[cfg(test)]
mod tests {
    use super::super::known::{EXPECTED, HEARD, REMINDED, SHARED};
    use super::*;
    use crate::entry::State;
    use crate::outbox::sqlite::attempt::{DUE, PAST, claim_sql};
    use crate::outbox::sqlite::known::{people_sql, told_sql};
    use crate::outbox::sqlite::migrate::migrate;
    use crate::outbox::sqlite::sealed::Sealer;
    use crate::outbox::sqlite::upkeep::{HELD, UNDECIDED};
    use crate::outbox::sqlite::{figures, history, outgoing, receipt, reply, retention, suppression};

    fn plan(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = statement.parameter_count();
        let nulls = params_from_iter(vec![Value::Null; count]);
        statement.query_map(nulls, |row| row.get(3)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    /// SQLite looks a value up in a list of more than two words by a table that it makes for that: at each row that is written.
    #[test]
    fn a_row_is_written_without_a_table_for_its_checks() {
        let mut connection = Connection::open_in_memory().unwrap();
        Sealer::new(None).install(&connection).unwrap();
        migrate(&mut connection, [0; 32]).unwrap();
        for sql in [
            "UPDATE notice SET state = ?, phase = ?, owner = ?, lease_until = ?, claimed_from = ?, doubt = ? WHERE id = ?",
            "INSERT INTO notice (key, source, session_id, participation_id, role, occasion, channel, address, start_at, due_at, useful_until,
                                 state, attempts, changed_at, epoch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "INSERT INTO delivery (notice_id, attempt, epoch, started_at, phase, transport) VALUES (?, ?, ?, ?, ?, ?)",
            "UPDATE delivery SET ended_at = ?, outcome = ?, reply = ?, phase = ? WHERE notice_id = ? AND attempt = ?",
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
            let nulls = params_from_iter(vec![Value::Null; statement.parameter_count()]);
            let steps: Vec<String> = statement.query_map(nulls, |row| row.get(1)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
            assert!(steps.iter().any(|step| step.starts_with("Halt")), "{sql}: {steps:?}");
            assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}: {steps:?}");
        }
    }

    /// A million rows must be neither walked nor sorted for what is asked often.
    #[test]
    fn every_question_has_its_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        Sealer::new(None).install(&connection).unwrap();
        migrate(&mut connection, [0; 32]).unwrap();
        let list = |filter: Filter| list_sql(&filter).0;
        let held = vec![State::Held];
        let sorted = "USE TEMP B-TREE FOR ORDER BY";
        // statement; what its plan says; what it must not say
        let cases = [
            (DUE.to_owned(), "SEARCH notice USING COVERING INDEX notice_due (channel=? AND next_attempt_at<?)", "SCAN notice"),
            (claim_sql(), "SEARCH notice USING INTEGER PRIMARY KEY (rowid=?)", "SCAN notice"),
            (NEXT_DUE.to_owned(), "SEARCH notice USING COVERING INDEX notice_due (channel=? AND next_attempt_at>?)", "SCAN notice"),
            (MOST_URGENT.to_owned(), "SEARCH notice USING COVERING INDEX notice_due (channel=? AND next_attempt_at<?)", "SCAN notice"),
            (list(Filter::default()), "SCAN notice USING INDEX notice_listed", sorted),
            (list(Filter { states: held.clone(), ..Filter::default() }), "SEARCH notice USING INDEX notice_state (state=?)", sorted),
            (
                list(Filter { states: vec![State::Held, State::Unknown], ..Filter::default() }),
                "SEARCH notice USING INDEX notice_state (state=?)",
                "SCAN",
            ),
            (list(Filter { session: Some(SessionId(1)), ..Filter::default() }), "INDEX notice_session (session_id=?)", "SCAN"),
            (
                list(Filter { session: Some(SessionId(1)), states: held, ..Filter::default() }),
                "INDEX notice_session (session_id=?)",
                "SCAN",
            ),
            (
                list(Filter { participation: Some(ParticipationId(1)), ..Filter::default() }),
                "notice_session (session_id=? AND participation_id=?)",
                "SCAN",
            ),
            (list(Filter { keys: vec![NoticeKey([0; 16]); 3], ..Filter::default() }), "(key=?)", "SCAN notice"),
            (HELD.to_owned(), "SEARCH notice USING INDEX notice_state (state=?)", "SCAN"),
            (UNDECIDED.to_owned(), "USING COVERING INDEX notice_undecided", sorted),
            (retention::RECORDS.to_owned(), "SEARCH session USING INDEX session_recorded (start_at<?)", "SCAN"),
            (retention::DEPARTED.to_owned(), "SCAN participant USING INDEX participant_departed", "SCAN session"),
            (retention::NOTICES.to_owned(), "SEARCH notice USING INDEX notice_start (start_at<?)", "SCAN"),
            (retention::SESSIONS.to_owned(), "SEARCH session USING INDEX session_start (start_at<?)", "SCAN"),
            (retention::LEDGER.to_owned(), "SEARCH ledger USING INTEGER PRIMARY KEY (rowid<?)", "SCAN"),
            (history::FIRST_KEPT.to_owned(), "SCAN ledger", "TEMP B-TREE"),
            (
                figures::DUE_BEFORE.to_owned(),
                "SEARCH notice USING COVERING INDEX notice_due (channel=? AND next_attempt_at<?)",
                "SCAN notice",
            ),
            (figures::BETWEEN.to_owned(), "SEARCH notice USING INDEX notice_listed (due_at>? AND due_at<?)", "SCAN notice"),
            (figures::COUNT.to_owned(), "SEARCH notice USING COVERING INDEX notice_state (state=?)", "SCAN notice"),
            (lapsed_sql(), "SEARCH notice USING INDEX notice_state (state=?)", "SCAN"),
            (PAST[0].to_owned(), "SEARCH notice USING INDEX notice_due (channel=? AND next_attempt_at<?)", "SCAN"),
            (PAST[1].to_owned(), "SEARCH notice USING INDEX notice_state (state=?)", "SCAN"),
            (figures::HELD.to_owned(), "SEARCH notice USING INDEX notice_state (state=?)", "SCAN notice"),
            (
                list(Filter { after: Some((DateTime::UNIX_EPOCH, NoticeKey([0; 16]))), ..Filter::default() }),
                "SEARCH notice USING INDEX notice_listed (",
                sorted,
            ),
            (STARTING.to_owned(), "SEARCH session USING INDEX session_", "SCAN"),
            (SEEN.to_owned(), "SEARCH session USING INDEX session_start (start_at>?)", "SCAN"),
            (UNSETTLED.to_owned(), "SEARCH session USING INDEX session_unsettled (source=? AND start_at>?)", "SCAN session"),
            (PEOPLE.to_owned(), "SEARCH session USING INDEX session_start (start_at>?)", "SCAN"),
            (PEOPLE.to_owned(), "SEARCH participant USING PRIMARY KEY (source=? AND session_id=?)", "SCAN"),
            (suppression::PLAN_LEFT_OUT.to_owned(), "SEARCH omission USING COVERING INDEX omission_reason (reason=?)", "SCAN session"),
            (suppression::PLAN_LEFT_OUT.to_owned(), "SEARCH notice USING INDEX notice_state (state=?)", "SCAN"),
            (receipt::BY_REFERENCE.to_owned(), "USING INDEX notice_reference (reference=?)", "SCAN"),
            (receipt::LAST_ATTEMPTS.to_owned(), "SEARCH notice USING INDEX notice_session (session_id=? AND participation_id=?)", "SCAN"),
            (receipt::LAST.to_owned(), "SEARCH delivery USING PRIMARY KEY (notice_id=?)", sorted),
            (receipt::DUE_BETWEEN.to_owned(), "SEARCH notice USING INDEX notice_listed (due_at>? AND due_at<?)", sorted),
            (receipt::UNDELIVERED.to_owned(), "SCAN d USING INDEX delivery_undelivered", "SCAN n"),
            (reply::OPEN.to_owned(), "USING INDEX notice_number (address=? AND start_at>?)", "SCAN notice"),
            (outgoing::sql(outgoing::WAITING), "SEARCH outgoing USING INDEX outgoing_open (kind=?)", sorted),
            (REMINDED.to_owned(), "USING INDEX notice_number (address=?)", "TEMP B-TREE"),
            (EXPECTED.to_owned(), "USING INDEX notice_start (start_at=?)", "SCAN theirs"),
            (SHARED.to_owned(), "USING INDEX notice_number (address=?)", "TEMP B-TREE"),
            (HEARD.to_owned(), "SEARCH heard USING PRIMARY KEY", "SCAN heard"),
            (COUNTS.to_owned(), "USING COVERING INDEX notice_state", "TEMP B-TREE"),
            (told_sql(OF_THESE), "SEARCH notice USING INDEX notice_session (session_id=?)", "SCAN notice"),
            (told_sql(OF_THESE), "SEARCH delivery USING INDEX delivery_undelivered (notice_id=?)", "SCAN delivery"),
            (people_sql(OF_THESE), "SEARCH participant USING PRIMARY KEY (source=? AND session_id=?)", "SCAN participant"),
            (LAST_TOUCH.to_owned(), "SEARCH ledger USING COVERING INDEX ledger_session (session_id=?)", "SCAN"),
        ];
        for (sql, says, never) in cases {
            let plan = plan(&connection, &sql);
            assert!(plan.iter().any(|line| line.contains(says)), "{sql}\n{plan:#?}");
            assert!(!plan.iter().any(|line| line.contains(never)), "{sql}\n{plan:#?}");
        }
    }
}
