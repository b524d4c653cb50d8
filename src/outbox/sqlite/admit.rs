//! Whether the key, or none, is the store's; and what a store of an earlier release gets when it is opened: its own key sealed, its ledger's chain
//! keyed.
//!
//! What is sealed in `identity.key_check` says which release sealed the store, so that nobody without the key can make a store look older than it is,
//! and have its chain taken for one without a key.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, TransactionBehavior, params};

use super::columns::store_now;
use super::history;
use super::key::{Keys, StoreKey};
use super::sealed::{KeyChecks, Sealer, open_text, seal_text};
use super::tx::Tx;
use crate::ledger::Event;

/// What an earlier release sealed, to know the key by.
const FIRST: &str = "punctual";
/// What this one seals: the name of what notices' keys are made with follows.
const SECOND: &str = "punctual 2 ";

/// What an opened store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SealState {
    /// Nothing in it is sealed.
    Plain,
    Sealed,
    /// It is to be sealed: it holds nothing yet.
    New,
    /// An earlier release sealed it: [`seal_identity`] does the rest.
    Earlier,
}

/// Whether the key, or none, is the store's. From then on the sealer knows the keys that hold. `daemon`: it may be the first start.
pub(super) fn admit(
    connection: &Connection,
    (sealer, key): (&Sealer, Option<&StoreKey>),
    daemon: bool,
) -> rusqlite::Result<Result<SealState, String>> {
    let said = KeyChecks::read(connection)?;
    let (key, sealed) = match (key, &said.check) {
        (None, None) => return Ok(Ok(SealState::Plain)),
        (None, Some(_)) => return Ok(Err("it is sealed: set [store] key_file to the key that it was made with".to_owned())),
        (Some(_), None) if daemon && is_empty(connection)? => return Ok(Ok(SealState::New)),
        (Some(_), None) => {
            return Ok(Err(
                "it was made without a key, and [store] key_file names one: take that out, or begin a new store (see docs/security.md, Encryption)"
                    .to_owned(),
            ));
        }
        (Some(key), Some(sealed)) => (key, sealed),
    };
    if sealer.refresh(connection).is_err() {
        return Ok(Err("it is sealed with another key than that of [store] key_file: give it the key that it was made with".to_owned()));
    }
    let ring = sealer.ring().expect("there is a key");
    let said = [Some(&ring.now), ring.before.as_ref()].into_iter().flatten().find_map(|keys| open_text(keys, sealed, "identity", "key"));
    let Some(said) = said else { return Ok(Err("what its key is known by is damaged: restore a backup".to_owned())) };
    Ok(match said.strip_prefix(SECOND) {
        Some(name) if name == key.notices_name() => is_whole(connection)?.map(|()| SealState::Sealed),
        Some(_) => Err(format!("the key is its own, but {NOT_ITS_NOTICES}")),
        None if said != FIRST => Err("a newer punctual sealed it: run that one".to_owned()),
        None if !daemon => Err("an earlier punctual sealed it: start the daemon of this version once".to_owned()),
        None if ring.now.key.notices_name() != key.notices_name() => Err(format!("the key is its own, but {NOT_ITS_NOTICES}")),
        None => Ok(SealState::Earlier),
    })
}

/// Else everybody would be told everything again.
const NOT_ITS_NOTICES: &str = "the second line of [store] key_file is not: take the file as `punctual store rekey` wrote it, both lines";

/// It has never told, nor heard of, anything.
fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM source) AND NOT EXISTS (SELECT 1 FROM ledger)", [], |row| row.get(0))
}

/// What no store loses by itself.
fn is_whole(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    let sql = "SELECT length(reference_key) > 32, EXISTS (SELECT 1 FROM ledger_key) FROM identity";
    let whole: (bool, bool) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(if whole == (true, true) {
        Ok(())
    } else {
        Err("the keys of its ledger's chain, or its own key, were taken out or replaced: somebody changed the file. Keep it as it is, find out who \
             did, and go on with a backup (docs/operations.md)"
            .to_owned())
    })
}

/// Seals what an earlier release left open, and begins the keyed part of the ledger: with its first row, or with a row that says so.
pub(super) fn seal_identity(connection: &mut Connection, sealer: &Sealer, key: &StoreKey) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (keys, at) = (Keys::new(key.clone()), store_now(&transaction)?);
    transaction
        .execute("UPDATE identity SET reference_key = seal('identity', 'reference', reference_key) WHERE length(reference_key) = 32", [])?;
    let check = seal_text(&keys, &check_of(key), "identity", "key")?;
    transaction.execute("UPDATE identity SET key_check = ?1", [check])?;
    begin_part(&Tx::new(&transaction), key, "with the key of the store from here on", at)?;
    transaction.commit()?;
    sealer.refresh(connection)
}

/// What is sealed in a store that has this key.
pub(super) fn check_of(key: &StoreKey) -> String {
    format!("{SECOND}{}", key.notices_name())
}

/// From the next row on, the ledger's rows are chained by this key. (The sealer seals by it, too.)
pub(super) fn begin_part(tx: &Tx<'_>, key: &StoreKey, says: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let next = tx.head()?.seq + 1;
    let sql = "INSERT OR REPLACE INTO ledger_key (from_seq, key) VALUES (?1, seal('ledger_key', ?1, ?2))";
    tx.execute(sql, params![next, key.chain().as_slice()])?;
    if next == 1 { Ok(()) } else { history::note(tx, at, Event::Keyed, &format!("HMAC-SHA-256, {says}")) }
}

/// The key that the store drew when it was made: messages are known by what it makes.
pub(super) fn reference_key(connection: &Connection) -> rusqlite::Result<[u8; 32]> {
    let sql = "SELECT CASE WHEN length(reference_key) = 32 THEN reference_key ELSE unseal('identity', 'reference', reference_key) END FROM identity";
    connection.query_row(sql, [], |row| row.get(0))
}
