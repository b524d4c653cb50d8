//! Another key for a sealed store: all that is sealed is sealed anew, while the daemon runs.
//!
//! | step | what it does | what an end in the middle leaves |
//! |---|---|---|
//! | [`begin`] | in one transaction: each of the two keys is noted, sealed by the other; the ledger's chain goes on with the new one; what is searched by equality and is small is sealed anew | nothing, or a store that either key opens |
//! | [`batch`] | some rows of a table in each transaction; all that is written meanwhile is sealed by the new key | rows of either; the next call begins at the first table, and passes over what is done |
//! | [`finish`] | in one transaction: the old key opens it no more | either key opens it, or the new one alone |
//!
//! Who has the store open learns of it with the next transaction ([`super::sealed::Sealer::refresh`]). The store's own key ([`super::query`]) and what
//! notices' keys are made with stay as they were: with others, everything would be told again, and no bounce would name its message.

use crate::ledger::Event;
use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::admit::{begin_part, check_of};
use super::columns::opt_at;
use super::history;
use super::key::{Keys, StoreKey};
use super::sealed::{KeyChecks, Sealer, refused, seal_text};
use super::tx::Tx;

/// Rows in one transaction: the daemon waits for no longer than a few hundredths of a second.
const BATCH: usize = 500;

/// A sealed column: its place, and what row it is bound to; without one it is sealed so that the same value is the same.
struct SealedColumn {
    name: &'static str,
    place: &'static str,
    row: Option<&'static str>,
}

/// A table with sealed columns, and what its rows are known by.
struct SealedTable {
    name: &'static str,
    key: &'static [&'static str],
    columns: &'static [SealedColumn],
}

const fn of(name: &'static str, place: &'static str, row: &'static str) -> SealedColumn {
    SealedColumn { name, place, row: Some(row) }
}

const fn alike(name: &'static str, place: &'static str) -> SealedColumn {
    SealedColumn { name, place, row: None }
}

const SESSION: &str = "source || '/' || id";
const PERSON: &str = "source || '/' || session_id || '/' || participation_id";

/// Sealed anew row by row.
const LARGE: [SealedTable; 9] = [
    SealedTable { name: "session", key: &["source", "id"], columns: &[of("digest", "digest", SESSION), of("record", "record", SESSION)] },
    SealedTable {
        name: "participant",
        key: &["source", "session_id", "participation_id"],
        columns: &[of("facts", "facts", PERSON), of("record", "person", PERSON), alike("person", "who")],
    },
    SealedTable { name: "also_listed", key: &["source", "session_id"], columns: &[of("record", "also", "source || '/' || session_id")] },
    SealedTable { name: "lately", key: &["source", "session_id"], columns: &[of("items", "lately", "session_id")] },
    SealedTable { name: "notice", key: &["id"], columns: &[alike("address", "address"), of("facts", "told", "key")] },
    SealedTable { name: "content", key: &["notice_id"], columns: &[of("packed", "message", "notice_id")] },
    SealedTable { name: "said", key: &["reply_id"], columns: &[of("text", "said", "reply_id")] },
    SealedTable { name: "outgoing", key: &["key"], columns: &[of("address", "answer", "key")] },
    SealedTable {
        name: "guard",
        key: &["source", "session_id", "kind"],
        columns: &[of("says", "guard", "source || '/' || session_id || '/' || kind")],
    },
];

/// Sealed anew at once: small, and what is searched by equality must not be of two keys.
const AT_ONCE: [SealedTable; 5] = [
    SealedTable { name: "suppression", key: &[], columns: &[alike("address_key", "suppression")] },
    SealedTable { name: "heard", key: &[], columns: &[alike("address_key", "suppression")] },
    SealedTable { name: "outgoing", key: &[], columns: &[alike("address_key", "suppression")] },
    SealedTable { name: "ledger_key", key: &[], columns: &[of("key", "ledger_key", "from_seq")] },
    SealedTable { name: "identity", key: &[], columns: &[of("reference_key", "identity", "'reference'")] },
];

impl SealedTable {
    /// `SET digest = reseal('digest', source || '/' || id, digest), ...`
    fn set(&self) -> String {
        let set = |c: &SealedColumn| match c.row {
            Some(row) => format!("{0} = reseal('{1}', {row}, {0})", c.name, c.place),
            None => format!("{0} = reseal_alike('{1}', {0})", c.name, c.place),
        };
        format!("UPDATE {} SET {}", self.name, self.columns.iter().map(set).collect::<Vec<_>>().join(", "))
    }
}

/// Every column that is sealed anew: table and name.
#[cfg(test)]
fn columns() -> Vec<(&'static str, &'static str)> {
    LARGE.iter().chain(&AT_ONCE).flat_map(|t| t.columns.iter().map(move |c| (t.name, c.name))).collect()
}

/// How far sealing anew has got: a table, and what its last row is known by.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    table: usize,
    row: Vec<Value>,
}

/// Where a store stands between two keys.
#[derive(Debug, Clone)]
pub enum Rekeying {
    /// It has one key.
    No,
    /// Either key opens it.
    Begun { new: StoreKey, since: Option<DateTime<Utc>> },
}

pub(super) fn state(connection: &Connection, sealer: &Sealer) -> rusqlite::Result<Rekeying> {
    let said = KeyChecks::read(connection)?;
    let Some(ring) = sealer.ring().filter(|_| said.next.is_some()) else { return Ok(Rekeying::No) };
    let sql = "SELECT max(ledger.at) FROM ledger JOIN ledger_key ON ledger_key.from_seq = ledger.seq";
    let since = connection.query_row(sql, [], |row| opt_at(row, 0))?;
    Ok(Rekeying::Begun { new: ring.now.key.clone(), since })
}

/// From here on the new key seals, and either opens it.
pub(super) fn begin(tx: &Tx<'_>, sealer: &Sealer, new: &StoreKey, now: DateTime<Utc>) -> rusqlite::Result<Result<(), String>> {
    let Some(ring) = sealer.ring() else { return Ok(Err("nothing in it is sealed: there is no key to replace".to_owned())) };
    if KeyChecks::read(tx)?.next.is_some() {
        return Ok(Err("it gets another key already".to_owned()));
    }
    let (old, key) = (&ring.now, Keys::new(new.clone()));
    if new.notices_name() != old.key.notices_name() {
        return Ok(Err("the new key was not made for this store: let `punctual store rekey` write its file".to_owned()));
    }
    if new.is(&old.key) {
        return Ok(Err("it is the key that it has".to_owned()));
    }
    let next = seal_text(old, &new.text(), "identity", "next")?;
    let before = seal_text(&key, &old.key.text(), "identity", "before")?;
    tx.execute("UPDATE identity SET key_next = ?1, key_before = ?2", [next, before])?;
    sealer.refresh(tx)?;
    for table in &AT_ONCE {
        tx.execute(&table.set(), [])?;
    }
    tx.forget_chain();
    begin_part(tx, new, "with another key of the store from here on", now)?;
    Ok(Ok(()))
}

/// Seals some rows anew. `None`: that was all.
pub(super) fn batch(connection: &Connection, after: &Reached) -> rusqlite::Result<Option<Reached>> {
    let Some(table) = LARGE.get(after.table) else { return Ok(None) };
    let (columns, width) = (table.key.join(", "), table.key.len());
    let places = |from: usize| (from..from + width).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let beyond = if after.row.is_empty() { "TRUE".to_owned() } else { format!("({columns}) > ({})", places(1)) };
    let last = format!("SELECT {columns} FROM {} WHERE {beyond} ORDER BY {columns} LIMIT 1 OFFSET {}", table.name, BATCH - 1);
    let mut statement = connection.prepare_cached(&last)?;
    let row = |row: &rusqlite::Row<'_>| (0..width).map(|n| row.get::<_, Value>(n)).collect::<rusqlite::Result<Vec<_>>>();
    let last = statement.query_map(params_from_iter(&after.row), row)?.next().transpose()?;
    let Some(last) = last else {
        connection.execute(&format!("{} WHERE {beyond}", table.set()), params_from_iter(&after.row))?;
        return Ok(Some(Reached { table: after.table + 1, row: Vec::new() }));
    };
    let until = format!("{} WHERE {beyond} AND ({columns}) <= ({})", table.set(), places(after.row.len() + 1));
    connection.execute(&until, params_from_iter(after.row.iter().chain(&last)))?;
    Ok(Some(Reached { row: last, ..after.clone() }))
}

/// The old key opens it no more. Once a pass of [`batch`] has got to its end: what is written since is sealed by the new one.
pub(super) fn finish(tx: &Tx<'_>, sealer: &Sealer, now: DateTime<Utc>) -> rusqlite::Result<()> {
    if KeyChecks::read(tx)?.next.is_none() {
        return Ok(());
    }
    let ring = sealer.ring().ok_or_else(|| refused("nothing in it is sealed".to_owned()))?;
    let check = seal_text(&ring.now, &check_of(&ring.now.key), "identity", "key")?;
    tx.execute("UPDATE identity SET key_check = ?1, key_next = NULL, key_before = NULL", [check])?;
    sealer.refresh(tx)?;
    history::note(tx, now, Event::Rekeyed, "the key before opens the store no more")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::outbox::sqlite::migrate::migrate;

    /// Whatever a statement seals is sealed anew: found in the statements of this store.
    #[test]
    fn every_sealed_column_is_sealed_anew() {
        let sealer = Sealer::new(None);
        let mut connection = Connection::open_in_memory().unwrap();
        sealer.install(&connection).unwrap();
        migrate(&mut connection, [0; 32]).unwrap();
        for table in LARGE.iter().chain(&AT_ONCE) {
            connection.prepare(&table.set()).unwrap();
        }
        let known: BTreeSet<(&str, &str)> = columns().into_iter().collect();
        assert_eq!(known.len(), columns().len(), "none twice");
        // The table of tests/it/outbox/sealed.rs, each_column_is_sealed_or_harmless, as a test of the whole store reads it.
        let listed = include_str!("../../../tests/it/outbox/sealed.rs");
        let listed = listed.split("let sealed: BTreeMap").nth(1).unwrap().split("]);").next().unwrap();
        let mut expected = BTreeSet::new();
        for line in listed.lines().filter(|line| line.trim_start().starts_with("(\"")) {
            let mut words = line.split('"').skip(1).step_by(2);
            let table = words.next().unwrap();
            expected.extend(words.map(|column| (table, column)));
        }
        assert!(expected.len() > 10, "{expected:?}");
        assert_eq!(known, expected);
    }
}
