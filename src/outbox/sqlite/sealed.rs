//! What is private in the file, sealed by the practice's key: records, addresses, messages, and digests that could be tried with candidates.
//!
//! In: a key, or none. Out: functions of SQL on every connection, so that a statement says which columns are sealed, and no value passes
//! it in the clear by mistake. Without a key they give back what they are given.
//!
//! | function | gives |
//! |---|---|
//! | `seal(place, row, value)` | the value sealed, for this row alone: moved to another row or column it does not open |
//! | `seal_alike(place, value)` | likewise for a column that is searched: the same value is the same each time. It shows that two are equal, and no more |
//! | `seal_alike_before(place, value)` | likewise by the key before, while the store gets another one; else NULL |
//! | `unseal(place, row, value)` | the value; with an empty row for what `seal_alike` gave |
//! | `reseal(place, row, value)`, `reseal_alike(place, value)` | what is sealed by the key before, sealed by the new one; else the value as it is |
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), under keys that HKDF-Expand (RFC 5869 2.3) makes of the practice's ([`super::key`]). A nonce is
//! drawn; for `seal_alike` it is a MAC of place and value. Sealed text is base64 of nonce, ciphertext and tag. NULL and the empty text, which say
//! that there is nothing, stay as they are.
//!
//! While the store gets another key ([`super::rekey`]), what is written is sealed by the new one, and either opens what is read: each transaction
//! looks first which keys hold ([`Sealer::refresh`]), so that a daemon that runs meanwhile learns of it.
//!
//! Failures: a value that does not open is an error of the statement, never a value. Another key is refused when the store is opened.

use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::BASE64;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error};

use super::key::{Keys, StoreKey};

/// Seals and opens. Without a key it does neither.
#[derive(Clone)]
pub(super) struct Sealer(Option<Arc<RwLock<Arc<Ring>>>>);

/// The keys that hold.
pub(super) struct Ring {
    /// Seals what is written.
    pub(super) now: Arc<Keys>,
    /// The one before, as long as not all is sealed anew.
    pub(super) before: Option<Arc<Keys>>,
    /// By what the store said.
    said: Option<KeyChecks>,
}

/// What a store says of its keys: `identity.key_check`, `key_next` and `key_before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyChecks {
    pub(super) check: Option<String>,
    pub(super) next: Option<String>,
    pub(super) before: Option<String>,
}

impl KeyChecks {
    /// `None`: the store has none yet.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached("SELECT key_check, key_next, key_before FROM identity")?;
        statement.query_row([], |row| Ok(Self { check: row.get(0)?, next: row.get(1)?, before: row.get(2)? }))
    }
}

impl Sealer {
    pub(super) fn new(key: Option<&StoreKey>) -> Self {
        Self(key.map(|key| Arc::new(RwLock::new(Arc::new(Ring { now: Arc::new(Keys::new(key.clone())), before: None, said: None })))))
    }

    /// The keys that hold; `None`: nothing is sealed.
    pub(super) fn ring(&self) -> Option<Arc<Ring>> {
        self.0.as_ref().map(|ring| Arc::clone(&ring.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// At the beginning of a transaction: which keys hold in it. An error: this process knows none of them.
    pub(super) fn refresh(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(ring) = self.ring() else { return Ok(()) };
        let said = KeyChecks::read(connection)?;
        // A store that is not sealed yet, or as before.
        if said.check.is_none() || ring.said.as_ref() == Some(&said) {
            return Ok(());
        }
        let known = [Some(&ring.now), ring.before.as_ref()].into_iter().flatten();
        let found = known.map(|keys| in_force(keys, &said)).find_map(Result::transpose).transpose()?;
        self.set(found.ok_or_else(|| refused(UNKNOWN.to_owned()))?);
        Ok(())
    }

    pub(super) fn set(&self, ring: Ring) {
        if let Some(held) = &self.0 {
            *held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        }
    }

    /// Gives a connection its functions.
    pub(super) fn install(&self, connection: &Connection) -> rusqlite::Result<()> {
        let drawn = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let same = drawn | FunctionFlags::SQLITE_DETERMINISTIC;
        let function = |name, arguments, flags, f: fn(&Ring, &Context<'_>) -> rusqlite::Result<Value>, value: usize, none: bool| {
            let sealer = self.clone();
            connection.create_scalar_function(name, arguments, flags, move |c| match sealer.ring() {
                Some(ring) => f(&ring, c),
                None if none => Ok(Value::Null),
                None => c.get(value),
            })
        };
        function("seal", 3, drawn, seal, 2, false)?;
        function("seal_alike", 2, same, |ring, c| seal_alike(&ring.now, c), 1, false)?;
        function("seal_alike_before", 2, same, seal_alike_before, 1, true)?;
        function("unseal", 3, same, unseal, 2, false)?;
        function("reseal", 3, drawn, reseal, 2, false)?;
        function("reseal_alike", 2, same, reseal_alike, 1, false)
    }
}

/// Why a process that was opened with a key that holds no more writes nothing.
const UNKNOWN: &str =
    "the store was sealed anew with a key that this process does not know: put that key in place of the old one, and start again";

/// What holds, if these keys open it.
fn in_force(keys: &Arc<Keys>, said: &KeyChecks) -> rusqlite::Result<Option<Ring>> {
    let ring = |now: Arc<Keys>, before| Ring { now, before, said: Some(said.clone()) };
    let opened = |column: &Option<String>, what: &str| column.as_deref().and_then(|sealed| open_text(keys, sealed, "identity", what));
    let other = |text: String| StoreKey::parse(&text).map(|key| Arc::new(Keys::new(key))).map_err(refused);
    if opened(&said.check, "key").is_some() {
        let next = opened(&said.next, "next").map(other).transpose()?;
        return Ok(Some(match next {
            Some(next) => ring(next, Some(Arc::clone(keys))),
            None => ring(Arc::clone(keys), None),
        }));
    }
    let before = opened(&said.before, "before").map(other).transpose()?;
    Ok(before.map(|before| ring(Arc::clone(keys), Some(before))))
}

/// Sealed text, as `seal` gives it.
pub(super) fn seal_text(keys: &Keys, plain: &str, place: &str, row: &str) -> rusqlite::Result<String> {
    let bound = bound(ValueRef::Text(place.as_bytes()), ValueRef::Text(row.as_bytes()));
    keys.seal(plain.as_bytes(), &bound).map(|sealed| BASE64.encode(&sealed)).map_err(refused)
}

pub(super) fn open_text(keys: &Keys, sealed: &str, place: &str, row: &str) -> Option<String> {
    let bound = bound(ValueRef::Text(place.as_bytes()), ValueRef::Text(row.as_bytes()));
    String::from_utf8(keys.open(&BASE64.decode(sealed.as_bytes()).ok()?, &bound)?).ok()
}

fn seal(ring: &Ring, c: &Context<'_>) -> rusqlite::Result<Value> {
    let Some(plain) = something(c.get_raw(2)) else { return c.get(2) };
    plain.like(ring.now.seal(plain.bytes(), &bound(c.get_raw(0), c.get_raw(1))).map_err(refused)?)
}

fn seal_alike(keys: &Keys, c: &Context<'_>) -> rusqlite::Result<Value> {
    let Some(plain) = something(c.get_raw(1)) else { return c.get(1) };
    plain.like(keys.seal_alike(plain.bytes(), &bound(c.get_raw(0), NO_ROW)).map_err(refused)?)
}

fn seal_alike_before(ring: &Ring, c: &Context<'_>) -> rusqlite::Result<Value> {
    ring.before.as_ref().map_or(Ok(Value::Null), |before| seal_alike(before, c))
}

fn unseal(ring: &Ring, c: &Context<'_>) -> rusqlite::Result<Value> {
    let Some(sealed) = something(c.get_raw(2)) else { return c.get(2) };
    let (plain, _) = opened(ring, sealed, &bound(c.get_raw(0), c.get_raw(1)))?;
    match sealed {
        Plain::Text(_) => String::from_utf8(plain).map(Value::Text).map_err(|_| wrong()),
        Plain::Blob(_) => Ok(Value::Blob(plain)),
    }
}

fn reseal(ring: &Ring, c: &Context<'_>) -> rusqlite::Result<Value> {
    let Some(sealed) = something(c.get_raw(2)) else { return c.get(2) };
    let bound = bound(c.get_raw(0), c.get_raw(1));
    match opened(ring, sealed, &bound)? {
        (_, true) => c.get(2),
        (plain, false) => sealed.like(ring.now.seal(&plain, &bound).map_err(refused)?),
    }
}

fn reseal_alike(ring: &Ring, c: &Context<'_>) -> rusqlite::Result<Value> {
    let Some(sealed) = something(c.get_raw(1)) else { return c.get(1) };
    let bound = bound(c.get_raw(0), NO_ROW);
    match opened(ring, sealed, &bound)? {
        (_, true) => c.get(1),
        (plain, false) => sealed.like(ring.now.seal_alike(&plain, &bound).map_err(refused)?),
    }
}

/// The value, and whether it is sealed by the key that holds now.
fn opened(ring: &Ring, sealed: Plain<'_>, bound: &[u8]) -> rusqlite::Result<(Vec<u8>, bool)> {
    let decoded = match sealed {
        Plain::Text(text) => BASE64.decode(text).map_err(|_| wrong())?,
        Plain::Blob(bytes) => bytes.to_vec(),
    };
    if let Some(plain) = ring.now.open(&decoded, bound) {
        return Ok((plain, true));
    }
    let before = ring.before.as_ref().and_then(|before| before.open(&decoded, bound));
    before.map(|plain| (plain, false)).ok_or_else(wrong)
}

/// A value that says something.
#[derive(Clone, Copy)]
enum Plain<'a> {
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

impl<'a> Plain<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => bytes,
        }
    }

    /// Text stays text, and bytes stay bytes.
    #[expect(clippy::unnecessary_wraps, reason = "each function of SQL answers a result")]
    fn like(&self, sealed: Vec<u8>) -> rusqlite::Result<Value> {
        Ok(if let Self::Text(_) = self { Value::Text(BASE64.encode(&sealed)) } else { Value::Blob(sealed) })
    }
}

/// `None`: there is nothing to seal. Numbers are no secrets here.
fn something(value: ValueRef<'_>) -> Option<Plain<'_>> {
    match value {
        ValueRef::Text(text) if !text.is_empty() => Some(Plain::Text(text)),
        ValueRef::Blob(bytes) => Some(Plain::Blob(bytes)),
        ValueRef::Text(_) | ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}

const NO_ROW: ValueRef<'static> = ValueRef::Text(b"");

/// What a sealed value is bound to: its column, and its row.
fn bound(place: ValueRef<'_>, row: ValueRef<'_>) -> Vec<u8> {
    let bytes = |value: ValueRef<'_>| match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Null | ValueRef::Real(_) => Vec::new(),
    };
    let place = bytes(place);
    [&(place.len() as u64).to_be_bytes()[..], &place, &bytes(row)].concat()
}

fn wrong() -> Error {
    refused("a value of the store does not open: it is damaged, or was put there by somebody else".to_owned())
}

pub(super) fn refused(why: String) -> Error {
    Error::UserFunctionError(why.into())
}

/// Both answers to a question about an address: by the key that holds, and by the one before, which answers nothing unless the store gets another
/// key.
pub(super) fn by_either_key(sql: &str) -> [String; 2] {
    [sql.to_owned(), sql.replace("seal_alike(", "seal_alike_before(")]
}
