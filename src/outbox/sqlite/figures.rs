//! Counts for monitors and for the line of status: each from an index.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::columns::{ms, word};
use crate::entry::State;
use crate::notice::Reason;

pub(super) const DUE_BEFORE: &str = "SELECT count(*) FROM notice INDEXED BY notice_due
     WHERE channel IN ('email', 'sms') AND state IN ('waiting', 'unknown') AND next_attempt_at < ?1";

pub(super) const COUNT: &str = "SELECT count(*) FROM notice WHERE state = ?1";

pub(super) const HELD: &str = "SELECT coalesce(reason, 'operator'), count(*) FROM notice WHERE state = 'held' GROUP BY 1 ORDER BY 1";

pub(super) const BETWEEN: &str =
    "SELECT state, count(*) FROM notice INDEXED BY notice_listed WHERE due_at >= ?1 AND due_at < ?2 GROUP BY state";

/// Between each of these times and the next one.
pub(super) fn count_between(connection: &Connection, edges: &[DateTime<Utc>]) -> rusqlite::Result<Vec<HashMap<State, u64>>> {
    let mut statement = connection.prepare_cached(BETWEEN)?;
    let mut between = |pair: &[DateTime<Utc>]| {
        let rows = statement.query_map([ms(pair[0]), ms(pair[1])], |row| Ok((word(row, 0)?, row.get::<_, u32>(1)?.into())))?;
        rows.collect()
    };
    edges.windows(2).map(&mut between).collect()
}

pub(super) fn due_before(connection: &Connection, until: DateTime<Utc>) -> rusqlite::Result<u64> {
    connection.prepare_cached(DUE_BEFORE)?.query_row([ms(until)], |row| row.get::<_, u32>(0)).map(u64::from)
}

pub(super) fn count(connection: &Connection, state: State) -> rusqlite::Result<u64> {
    connection.prepare_cached(COUNT)?.query_row([state.as_str()], |row| row.get::<_, u32>(0)).map(u64::from)
}

pub(super) fn held_by_reason(connection: &Connection) -> rusqlite::Result<Vec<(Reason, u64)>> {
    let mut statement = connection.prepare_cached(HELD)?;
    statement.query_map([], |row| Ok((word(row, 0)?, row.get::<_, u32>(1)?.into())))?.collect()
}
