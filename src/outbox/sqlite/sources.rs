//! Where sessions stand: under one source each. They move to another one with their history, and a source may get another name.
//!
//! What is sealed for its row (see [`super::sealed`]) is sealed anew for the row that it becomes.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, params};

use super::columns::{at, key, misread, ms, opt_at, opt_ms, opt_word};
use super::history;
use super::notices::{NoticeBefore, find, record};
use super::tx::Tx;
use crate::entry::{Change, State};
use crate::guard::Noted;
use crate::ledger::{Event, LedgerRow};
use crate::notice::{NoticeKey, Reason};
use crate::outbox::{NotedSession, SourcePart, SourceRow};
use crate::session::stored::Also;
use crate::session::{SessionId, SourceRecord, TakenFor};

/// Tables of which each row is of one session of a source; `session` itself is another matter.
const OF_A_SESSION: [&str; 4] = ["rsvp", "omission", "notice", "lately"];

/// Sources that were ever walked, and those that are configured.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<SourceRow>> {
    let sql = "SELECT name, gone_at IS NOT NULL, last_snapshot_at, whole_at, since FROM source LEFT JOIN expected USING (name)
               UNION ALL SELECT name, 0, NULL, NULL, since FROM expected WHERE name NOT IN (SELECT name FROM source) ORDER BY name";
    let one = |row: &rusqlite::Row<'_>| {
        let (heard_at, whole_at, since) = (opt_at(row, 2)?, opt_at(row, 3)?, opt_at(row, 4)?);
        Ok(SourceRow { name: row.get(0)?, gone: row.get(1)?, heard_at, whole_at, since })
    };
    connection.prepare_cached(sql)?.query_map([], one)?.collect()
}

/// What sources say of sessions that stand under another one.
pub(super) fn also(connection: &Connection) -> rusqlite::Result<Vec<(String, Also)>> {
    let sql = "SELECT source, session_id, start_at, unseal('also', source || '/' || session_id, record), taken_for FROM also_listed ORDER BY source, session_id";
    let one = |row: &rusqlite::Row<'_>| {
        let record = SourceRecord { text: row.get(3)?, taken_for: opt_word(row, 4)? };
        Ok((row.get(0)?, Also { id: SessionId(row.get(1)?), start: at(row, 2)?, record }))
    };
    connection.prepare_cached(sql)?.query_map([], one)?.collect()
}

/// Replaces what a source says so.
pub(super) fn put_also(connection: &Connection, source: &str, also: &[Also]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM also_listed WHERE source = ?1")?.execute([source])?;
    let sql = "INSERT INTO also_listed (source, session_id, start_at, record, taken_for) VALUES (?1, ?2, ?3, seal('also', ?1 || '/' || ?2, ?4), ?5)";
    let mut statement = connection.prepare_cached(sql)?;
    for Also { id, start, record } in also {
        statement.execute(params![source, id.0, ms(*start), record.text, record.taken_for.map(TakenFor::as_str)])?;
    }
    Ok(())
}

/// The parts of a source, as they were read last, by name.
pub(super) fn parts(connection: &Connection, source: &str) -> rusqlite::Result<Vec<SourcePart>> {
    let sql = "SELECT name, read_at, sessions FROM part WHERE source = ?1 ORDER BY name";
    let one = |row: &rusqlite::Row<'_>| Ok(SourcePart { name: row.get(0)?, read_at: opt_at(row, 1)?, sessions: session_ids(row, 2)? });
    connection.prepare_cached(sql)?.query_map([source], one)?.collect()
}

pub(super) fn put_parts(connection: &Connection, source: &str, parts: &[SourcePart]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM part WHERE source = ?1")?.execute([source])?;
    let mut statement = connection.prepare_cached("INSERT INTO part (source, name, read_at, sessions) VALUES (?1, ?2, ?3, ?4)")?;
    for SourcePart { name, read_at, sessions } in parts {
        let sessions = serde_json::to_string(sessions).expect("numbers are always JSON");
        statement.execute(params![source, name, opt_ms(*read_at), sessions])?;
    }
    Ok(())
}

/// What people had until lately, or got lately, by session.
pub(super) fn lately(connection: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Vec<NotedSession>> {
    let sql = "SELECT source, session_id, unseal('lately', session_id, items) FROM lately WHERE until > ?1 ORDER BY source, session_id";
    let one = |row: &rusqlite::Row<'_>| {
        let items = serde_json::from_str(row.get_ref(2)?.as_str()?).map_err(|e| misread(2, Type::Text, e.to_string()))?;
        Ok(NotedSession { source: row.get(0)?, session: SessionId(row.get(1)?), items })
    };
    connection.prepare_cached(sql)?.query_map([ms(now)], one)?.collect()
}

/// Forgets what counts no more.
pub(super) fn forget_lately(connection: &Connection, now: DateTime<Utc>) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM lately WHERE until <= ?1")?.execute([ms(now)])?;
    Ok(())
}

/// That of a session which has none.
pub(super) fn add_lately(connection: &Connection, source: &str, id: SessionId, items: &[Noted]) -> rusqlite::Result<()> {
    let Some(until) = items.iter().map(|one| one.until).max() else { return Ok(()) };
    let text = serde_json::to_string(items).expect("text and times are always JSON");
    let sql = "INSERT INTO lately (source, session_id, until, items) VALUES (?1, ?2, ?3, seal('lately', ?2, ?4))";
    connection.prepare_cached(sql)?.execute(params![source, id.0, ms(until), text])?;
    Ok(())
}

/// Whether it stands under that source.
pub(super) fn has(connection: &Connection, source: &str, id: SessionId) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM session WHERE source = ?1 AND id = ?2")?.exists(params![source, id.0])
}

/// Takes out the rows that a table has of a session. Mostly there are none: a look is cheaper than a deletion, for which SQLite makes a table of its own.
pub(super) fn clear(connection: &Connection, table: &str, source: &str, id: SessionId) -> rusqlite::Result<()> {
    let of_session = format!("FROM {table} WHERE source = ?1 AND session_id = ?2");
    if connection.prepare_cached(&format!("SELECT 1 {of_session}"))?.exists(params![source, id.0])? {
        connection.prepare_cached(&format!("DELETE {of_session}"))?.execute(params![source, id.0])?;
    }
    Ok(())
}

/// A session stands under another source from now on, with all that is known of it.
pub(super) fn move_session(connection: &Connection, id: SessionId, from: &str, to: &str) -> rusqlite::Result<()> {
    // Each table in turn refers to what is not there, until all of them have moved.
    connection.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    move_rows(connection, Some(id), from, to)?;
    for table in ["guard", "guard_passed"] {
        let sql = format!("DELETE FROM {table} WHERE source = ?1 AND session_id = ?2");
        connection.prepare_cached(&sql)?.execute(params![from, id.0])?;
    }
    connection.prepare_cached("DELETE FROM also_listed WHERE source = ?1 AND session_id = ?2")?.execute(params![to, id.0])?;
    Ok(())
}

/// The rows of one session, or of all.
fn move_rows(connection: &Connection, id: Option<SessionId>, from: &str, to: &str) -> rusqlite::Result<()> {
    let id = id.map(|id| id.0);
    let sql = "UPDATE session SET source = ?2, digest = seal('digest', ?2 || '/' || id, unseal('digest', source || '/' || id, digest)),
                   record = seal('record', ?2 || '/' || id, unseal('record', source || '/' || id, record))
               WHERE source = ?1 AND (?3 IS NULL OR id = ?3)";
    connection.prepare_cached(sql)?.execute(params![from, to, id])?;
    let sql = "UPDATE participant SET source = ?2,
                   facts = seal('facts', ?2 || '/' || session_id || '/' || participation_id,
                                unseal('facts', source || '/' || session_id || '/' || participation_id, facts)),
                   record = seal('person', ?2 || '/' || session_id || '/' || participation_id,
                                 unseal('person', source || '/' || session_id || '/' || participation_id, record))
               WHERE source = ?1 AND (?3 IS NULL OR session_id = ?3)";
    connection.prepare_cached(sql)?.execute(params![from, to, id])?;
    for table in OF_A_SESSION {
        let sql = format!("UPDATE {table} SET source = ?2 WHERE source = ?1 AND (?3 IS NULL OR session_id = ?3)");
        connection.prepare_cached(&sql)?.execute(params![from, to, id])?;
    }
    Ok(())
}

/// A source has another name. `false`: there is none of the old one, or there is one of the new one already.
pub(super) fn rename(connection: &Tx<'_>, from: &str, to: &str, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let there = |name: &str| connection.prepare_cached("SELECT 1 FROM source WHERE name = ?1")?.exists([name]);
    if !there(from)? || there(to)? {
        return Ok(false);
    }
    connection.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    connection.execute("UPDATE source SET name = ?2, gone_at = NULL WHERE name = ?1", [from, to])?;
    let sql = "UPDATE guard SET source = ?2, says = seal('guard', ?2 || '/' || session_id || '/' || kind,
                   unseal('guard', source || '/' || session_id || '/' || kind, says)) WHERE source = ?1";
    connection.execute(sql, [from, to])?;
    move_rows(connection, None, from, to)?;
    let sql = "UPDATE also_listed SET source = ?2, record = seal('also', ?2 || '/' || session_id, unseal('also', source || '/' || session_id, record))
               WHERE source = ?1";
    connection.execute(sql, [from, to])?;
    // Whatever else is of a source, in tables that are no business of this file.
    let sql = "SELECT t.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table' AND c.name = 'source'";
    let tables: Vec<String> = connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for table in tables {
        connection.execute(&format!("UPDATE {table} SET source = ?2 WHERE source = ?1"), [from, to])?;
    }
    history::append(connection, &LedgerRow::new(now, Event::SourceRenamed, &format!("{from} is {to} now")))?;
    Ok(true)
}

const PENDING_OF: &str = "SELECT key FROM notice WHERE source = ?1 AND state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL";

/// These are the sources from now on: what waits of others is held. Returns how many notices that are.
pub(super) fn configure(connection: &Tx<'_>, names: &[String], now: DateTime<Utc>) -> rusqlite::Result<usize> {
    for name in names {
        connection.execute("INSERT INTO expected (name, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![name, ms(now)])?;
    }
    let mut held = 0;
    for SourceRow { name, gone, .. } in all(connection)? {
        let configured = names.contains(&name);
        if configured && gone {
            connection.execute("UPDATE source SET gone_at = NULL WHERE name = ?1", [&name])?;
            connection.execute("UPDATE session SET replan = replan + 1 WHERE source = ?1", [&name])?;
        }
        if configured {
            continue;
        }
        connection.execute("DELETE FROM expected WHERE name = ?1", [&name])?;
        connection.execute("UPDATE source SET gone_at = coalesce(gone_at, ?2) WHERE name = ?1", params![name, ms(now)])?;
        let keys: Vec<NoticeKey> =
            connection.prepare(PENDING_OF)?.query_map([&name], |row| key(row, 0))?.collect::<rusqlite::Result<_>>()?;
        for key in keys {
            let Some(mut row) = find(connection, key)? else { continue };
            let before = NoticeBefore::of(&row);
            let change = Change::End { key, state: State::Held, reason: Reason::SourceGone };
            // One in doubt stays so; it is not sent again by itself.
            if if row.entry.state == State::Unknown { row.resolve(None) } else { row.change(&change, now) } {
                held += 1;
                record(connection, &row, before, (Event::SourceGone, None), now)?;
            }
        }
    }
    Ok(held)
}

/// Stores until schema 10 held a session once for each source that listed it: it stays under the one that was heard last, with all history.
pub(super) fn stand_once(connection: &Connection) -> rusqlite::Result<()> {
    let sql =
        "SELECT id, source FROM session JOIN source ON name = source WHERE id IN (SELECT id FROM session GROUP BY id HAVING count(*) > 1)
               ORDER BY id, (presence = 'listed') DESC, last_snapshot_at DESC, name";
    let rows: Vec<(i64, String)> =
        connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let mut stands: Option<(i64, String)> = None;
    for (id, source) in rows {
        let Some((_, to)) = stands.as_ref().filter(|(same, _)| *same == id) else {
            stands = Some((id, source));
            continue;
        };
        for table in ["rsvp", "participant"] {
            let columns = if table == "rsvp" {
                "says, over, at"
            } else {
                "first_seen, start_at, start_known_at, adopted, facts, facts_known_at, cancelled, absent_since, absences, presence, role, record"
            };
            let values = columns
                .replacen("facts,", "seal('facts', ?2 || '/' || session_id || '/' || participation_id, unseal('facts', source || '/' || session_id || '/' || participation_id, facts)),", 1)
                .replace("record", "seal('person', ?2 || '/' || session_id || '/' || participation_id, unseal('person', source || '/' || session_id || '/' || participation_id, record))");
            let sql = format!(
                "INSERT OR IGNORE INTO {table} (source, session_id, participation_id, {columns})
                 SELECT ?2, session_id, participation_id, {values} FROM {table} WHERE source = ?1 AND session_id = ?3"
            );
            connection.execute(&sql, params![source, to, id])?;
        }
        connection.execute("UPDATE notice SET source = ?2 WHERE source = ?1 AND session_id = ?3", params![source, to, id])?;
        for table in ["rsvp", "participant", "omission", "guard"] {
            connection.execute(&format!("DELETE FROM {table} WHERE source = ?1 AND session_id = ?2"), params![source, id])?;
        }
        connection.execute("DELETE FROM session WHERE source = ?1 AND id = ?2", params![source, id])?;
        connection.execute("UPDATE session SET replan = replan + 1 WHERE id = ?1", [id])?;
    }
    connection.execute_batch("CREATE UNIQUE INDEX session_id ON session (id)")
}

/// A list of SessionIds.
pub(super) fn session_ids(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Vec<SessionId>> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|e| super::columns::misread(column, rusqlite::types::Type::Text, e.to_string()))
}
