//! The suppression list: addresses that get no messages, by digest.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::admit::reference_key;
use super::columns::{at, misread, ms, word};
use super::history;
use super::tx::Tx;
use crate::contact::Address;
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::feedback::NewSuppression;
use crate::session::SessionId;
use crate::suppression::{SaidBy, SuppressedAddress, Suppression, keyed_name, suppression_key};

/// Puts an address on the list. `false`: it is there already. An opt-out replaces a bounce, and is never weakened to one.
pub(super) fn put(connection: &Connection, new: &NewSuppression<'_>) -> rusqlite::Result<bool> {
    let listed = new.listed();
    let put = insert(connection, &listed, new.notice)?;
    if put {
        fence(connection, &listed.key, new.notice)?;
    }
    Ok(put)
}

/// What a session's notices were decided upon has changed: it is planned again at the next walk, and attempts that were decided before are fenced.
pub(super) const UNSETTLE: &str = "UPDATE session SET revision = revision + 1, replan = replan + 1 WHERE source = ?1 AND id = ?2";

/// Notices on their way: few, for they are as many as connections.
pub(super) const LEAVING: &str = "SELECT key, source, session_id, channel, unseal('address', '', address)
     FROM notice INDEXED BY notice_state WHERE state IN ('claimed', 'sending')";

/// What is on its way to a suppressed address, and has not passed the point of no return, was decided before. `notice`: whose rejection says so.
fn fence(connection: &Connection, suppressed: &str, notice: Option<NoticeKey>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(LEAVING)?;
    let leaving = statement.query_map([], |row| {
        let address = Address::restore(word(row, 3)?, row.get_ref(4)?.as_str()?);
        Ok((NoticeKey(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, i64>(2)?, suppression_key(&address)))
    })?;
    for (key, source, session, to) in leaving.collect::<rusqlite::Result<Vec<_>>>()? {
        if to == suppressed && Some(key) != notice {
            connection.prepare_cached(UNSETTLE)?.execute(params![source, session])?;
        }
    }
    Ok(())
}

/// `notice`: whose rejection or receipt says so, if it is of this store.
fn insert(connection: &Connection, one: &SuppressedAddress, notice: Option<NoticeKey>) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO suppression (address_key, kind, since, shown, notice_key, said_by)
               VALUES (seal_alike('suppression', ?1), ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (address_key) DO UPDATE
               SET kind = excluded.kind, since = excluded.since, notice_key = excluded.notice_key, said_by = excluded.said_by
               WHERE kind = 'bounced' AND excluded.kind = 'opted_out'";
    let values = params![one.key, one.kind.as_str(), ms(one.since), one.shown, notice.map(|k| k.0), one.said_by.as_str()];
    Ok(connection.prepare_cached(sql)?.execute(values)? == 1)
}

/// Takes over those of another store: how many of them are new here. Their notices are that store's.
pub(super) fn import(connection: &Tx<'_>, now: DateTime<Utc>, from: &[SuppressedAddress]) -> rusqlite::Result<usize> {
    let mut added = 0;
    for one in from {
        added += usize::from(insert(connection, one, None)?);
    }
    history::note(connection, now, Event::Suppressed, &format!("{added} taken over from another store"))?;
    Ok(added)
}

/// A person puts one on it: somebody at the practice, or its owner.
pub(super) fn suppress(
    connection: &Tx<'_>,
    now: DateTime<Utc>,
    address: &Address,
    kind: Suppression,
    said_by: SaidBy,
) -> rusqlite::Result<bool> {
    let put = put(connection, &NewSuppression { address, kind, since: now, said_by, notice: None })?;
    if put {
        history::note(
            connection,
            now,
            Event::Suppressed,
            &format!("{}: {}", kind.as_str(), named(connection, &suppression_key(address))?),
        )?;
    }
    Ok(put)
}

/// One session is planned again at the next walk.
pub(super) const PLAN_ONE_AGAIN: &str = "UPDATE session SET replan = replan + 1 WHERE source = ?1 AND id = ?2";

/// A coming session is planned again at the next walk, although its source says nothing new.
pub(super) fn plan_again(connection: &Connection, source: &str, session: SessionId, now: DateTime<Utc>) -> rusqlite::Result<()> {
    connection.prepare_cached(&format!("{PLAN_ONE_AGAIN} AND start_at > ?3"))?.execute(params![source, session.0, ms(now)])?;
    Ok(())
}

/// Likewise, coming sessions that left somebody out because of the list. Whose address it was is not known: the list holds digests.
pub(super) const PLAN_LEFT_OUT: &str = "UPDATE session SET replan = replan + 1 WHERE start_at > ?1 AND (source, id) IN (
     SELECT source, session_id FROM omission WHERE reason IN ('bounced', 'opted_out')
     UNION SELECT source, session_id FROM notice WHERE state = 'suppressed' AND reason IN ('bounced', 'opted_out'))";

/// A person takes one off. Sessions that left somebody out are planned again at the next walk, although their source says nothing new.
pub(super) fn unsuppress(connection: &Tx<'_>, now: DateTime<Utc>, key: &str) -> rusqlite::Result<bool> {
    let removed =
        connection.prepare_cached("DELETE FROM suppression WHERE address_key = seal_alike('suppression', ?1)")?.execute([key])? == 1;
    if removed {
        connection.prepare_cached(PLAN_LEFT_OUT)?.execute([ms(now)])?;
        history::note(connection, now, Event::Unsuppressed, &named(connection, key)?)?;
    }
    Ok(removed)
}

/// Takes off the list what this message put there by that word, which was wrong. Whether that was anything.
pub(super) fn forget_refuted(connection: &Connection, key: NoticeKey, said_by: SaidBy, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM suppression WHERE notice_key = ?1 AND kind = 'bounced' AND said_by = ?2";
    let removed = connection.prepare_cached(sql)?.execute(params![key.0, said_by.as_str()])? > 0;
    if removed {
        connection.prepare_cached(PLAN_LEFT_OUT)?.execute([ms(now)])?;
    }
    Ok(removed)
}

/// All of it, the newest first.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<SuppressedAddress>> {
    let sql = "SELECT unseal('suppression', '', address_key) AS address_key, kind, since, shown, notice_key, said_by FROM suppression
               ORDER BY since DESC, address_key";
    connection.prepare_cached(sql)?.query_map([], row)?.collect()
}

/// How the ledger, which is not sealed and leaves the store by itself, names an address: by what nobody without a key of the store can try; the same also
/// once the store has another key.
fn named(connection: &Connection, key: &str) -> rusqlite::Result<String> {
    Ok(keyed_name(&reference_key(connection)?, key))
}

fn row(row: &Row<'_>) -> rusqlite::Result<SuppressedAddress> {
    Ok(SuppressedAddress {
        key: row.get(0)?,
        kind: kind(row, 1)?,
        since: at(row, 2)?,
        shown: row.get(3)?,
        notice: row.get::<_, Option<[u8; 16]>>(4)?.map(|key| NoticeKey(key).to_string()),
        said_by: word(row, 5)?,
    })
}

/// The word of a suppression.
pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Suppression> {
    let text = row.get_ref(column)?.as_str()?;
    let all = [Suppression::Bounced, Suppression::OptedOut];
    all.into_iter().find(|s| s.as_str() == text).ok_or_else(|| misread(column, Type::Text, format!("{text:?} is no suppression")))
}
