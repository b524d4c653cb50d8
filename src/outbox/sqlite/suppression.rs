//! The suppression list: addresses that get no messages, by digest.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::columns::{at, misread, ms};
use super::history;
use crate::contact::Address;
use crate::notice::NoticeKey;
use crate::outbox::{SuppressedAddress, suppression_key};
use crate::outcome::Suppression;

/// Puts an address on the list. `false`: it is there already. An opt-out replaces a bounce, and is never weakened to one.
pub(super) fn put(
    connection: &Connection,
    address: &Address,
    kind: Suppression,
    since: DateTime<Utc>,
    notice: Option<NoticeKey>,
) -> rusqlite::Result<bool> {
    insert(connection, &suppression_key(address), (kind, since), &address.to_string(), notice)
}

fn insert(
    connection: &Connection,
    key: &str,
    (kind, since): (Suppression, DateTime<Utc>),
    shown: &str,
    notice: Option<NoticeKey>,
) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO suppression (address_key, kind, since, shown, notice_key) VALUES (seal_alike('suppression', ?1), ?2, ?3, ?4, ?5)
               ON CONFLICT (address_key) DO UPDATE SET kind = excluded.kind, since = excluded.since, notice_key = excluded.notice_key
               WHERE kind = 'bounced' AND excluded.kind = 'opted_out'";
    let values = params![key, kind.as_str(), ms(since), shown, notice.map(|k| k.0)];
    Ok(connection.prepare_cached(sql)?.execute(values)? == 1)
}

/// Takes over those of another store: how many of them are new here. Their notices are that store's.
pub(super) fn import(connection: &Connection, now: DateTime<Utc>, from: &[SuppressedAddress]) -> rusqlite::Result<usize> {
    let mut added = 0;
    for one in from {
        added += usize::from(insert(connection, &one.key, (one.kind, one.since), &one.shown, None)?);
    }
    history::note(connection, now, "suppressed", &format!("{added} taken over from another store"))?;
    Ok(added)
}

/// A person puts one on it.
pub(super) fn suppress(connection: &Connection, now: DateTime<Utc>, address: &Address, kind: Suppression) -> rusqlite::Result<bool> {
    let put = put(connection, address, kind, now, None)?;
    if put {
        history::note(connection, now, "suppressed", &format!("{}: {}", kind.as_str(), named(connection, &suppression_key(address))?))?;
    }
    Ok(put)
}

/// A person takes one off.
pub(super) fn unsuppress(connection: &Connection, now: DateTime<Utc>, key: &str) -> rusqlite::Result<bool> {
    let removed =
        connection.prepare_cached("DELETE FROM suppression WHERE address_key = seal_alike('suppression', ?1)")?.execute([key])? == 1;
    if removed {
        history::note(connection, now, "unsuppressed", &named(connection, key)?)?;
    }
    Ok(removed)
}

/// All of it, the newest first.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<SuppressedAddress>> {
    let sql = "SELECT unseal('suppression', '', address_key) AS address_key, kind, since, shown, notice_key FROM suppression
               ORDER BY since DESC, address_key";
    connection.prepare_cached(sql)?.query_map([], row)?.collect()
}

/// How the ledger, which is not sealed, names an address: by its key; in a sealed store by what nobody without the store's key can try.
fn named(connection: &Connection, key: &str) -> rusqlite::Result<String> {
    connection.prepare_cached("SELECT substr(seal_alike('suppression', ?1), 1, 32)")?.query_row([key], |row| row.get(0))
}

fn row(row: &Row<'_>) -> rusqlite::Result<SuppressedAddress> {
    Ok(SuppressedAddress {
        key: row.get(0)?,
        kind: kind(row, 1)?,
        since: at(row, 2)?,
        shown: row.get(3)?,
        notice: row.get::<_, Option<[u8; 16]>>(4)?.map(|key| NoticeKey(key).to_string()),
    })
}

/// The word of a suppression.
pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Suppression> {
    let text = row.get_ref(column)?.as_str()?;
    let all = [Suppression::Bounced, Suppression::OptedOut];
    all.into_iter().find(|s| s.as_str() == text).ok_or_else(|| misread(column, Type::Text, format!("{text:?} is no suppression")))
}
