//! What is private in the file, sealed by the practice's key: records, addresses, messages, and digests that could be tried with candidates.
//!
//! In: a key, or none. Out: three functions of SQL on every connection, so that a statement says which columns are sealed, and no value passes
//! it in the clear by mistake. Without a key they give back what they are given.
//!
//! | function | gives |
//! |---|---|
//! | `seal(place, row, value)` | the value sealed, for this row alone: moved to another row or column it does not open |
//! | `seal_alike(place, value)` | likewise for a column that is searched: the same value is the same each time. It shows that two are equal, and no more |
//! | `unseal(place, row, value)` | the value; with an empty row for what `seal_alike` gave |
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), under keys that HKDF-Expand (RFC 5869 2.3) makes of the practice's. A nonce is drawn; for
//! `seal_alike` it is a MAC of place and value (as in SIV, RFC 5297). Sealed text is base64 of nonce, ciphertext and tag. NULL and the empty text,
//! which say that there is nothing, stay as they are.
//!
//! Failures: a value that does not open is an error of the statement, never a value. Another key is refused when the store is opened.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

/// Bytes of a nonce.
const NONCE: usize = 24;
/// What is sealed in a store that has a key, to know the key by.
const CHECK: &str = "seal('identity', 'key', 'punctual')";

/// The key of a practice's store: 32 random bytes.
#[derive(Clone)]
pub struct StoreKey(Arc<SecretBox<[u8; 32]>>);

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(********)")
    }
}

impl StoreKey {
    /// From 64 hexadecimal digits, or from base64.
    ///
    /// # Errors
    /// Says what was expected, and nothing of what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().as_bytes();
        let bytes = HEXLOWER_PERMISSIVE.decode(text).or_else(|_| BASE64.decode(text)).ok();
        let key: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        let key = key
            .ok_or("it holds no key; expected 32 random bytes as 64 hexadecimal digits, or in base64: `openssl rand -hex 32` makes one")?;
        Ok(Self(Arc::new(SecretBox::new(Box::new(key)))))
    }

    /// A practice's id, in which nobody without the key can try addresses: it goes into each notice's key.
    pub fn keyed(&self, practice: &str) -> String {
        format!("{practice}/{}", HEXLOWER.encode(&*self.expand("notices")))
    }

    /// HKDF-Expand, one block: the key is random as it is.
    fn expand(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(mac(self.0.expose_secret(), &[b"punctual store 1: ", purpose.as_bytes(), &[1]]))
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Seals and opens. Without a key it does neither.
#[derive(Clone)]
pub(super) struct Sealer(Option<Arc<Keys>>);

struct Keys {
    /// Wipes itself.
    cipher: XChaCha20Poly1305,
    /// Of nonces that are not drawn.
    nonces: Zeroizing<[u8; 32]>,
}

impl Sealer {
    pub(super) fn new(key: Option<&StoreKey>) -> Self {
        let keys = |key: &StoreKey| Keys { cipher: KeyInit::new(&(*key.expand("values")).into()), nonces: key.expand("nonces") };
        Self(key.map(|key| Arc::new(keys(key))))
    }

    /// Gives a connection its functions.
    pub(super) fn install(&self, connection: &Connection) -> rusqlite::Result<()> {
        let drawn = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let same = drawn | FunctionFlags::SQLITE_DETERMINISTIC;
        let (seal, alike, unseal) = (self.clone(), self.clone(), self.clone());
        connection.create_scalar_function("seal", 3, drawn, move |c| seal.seal(c))?;
        connection.create_scalar_function("seal_alike", 2, same, move |c| alike.seal_alike(c))?;
        connection.create_scalar_function("unseal", 3, same, move |c| unseal.unseal(c))
    }

    fn seal(&self, c: &Context<'_>) -> rusqlite::Result<Value> {
        let (Some(keys), Some(plain)) = (&self.0, something(c.get_raw(2))) else { return c.get(2) };
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| refused(format!("the system gives no random bytes: {e}")))?;
        keys.sealed(nonce, &plain, &bound(c.get_raw(0), c.get_raw(1)))
    }

    fn seal_alike(&self, c: &Context<'_>) -> rusqlite::Result<Value> {
        let (Some(keys), Some(plain)) = (&self.0, something(c.get_raw(1))) else { return c.get(1) };
        let bound = bound(c.get_raw(0), ValueRef::Text(b""));
        let derived = mac(&keys.nonces, &[&(bound.len() as u64).to_be_bytes(), &bound, plain.bytes()]);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&derived[..NONCE]);
        keys.sealed(nonce, &plain, &bound)
    }

    fn unseal(&self, c: &Context<'_>) -> rusqlite::Result<Value> {
        let (Some(keys), Some(sealed)) = (&self.0, something(c.get_raw(2))) else { return c.get(2) };
        let wrong = || refused("a value of the store does not open: it is damaged, or was put there by somebody else".to_owned());
        let decoded = match sealed {
            Plain::Text(text) => BASE64.decode(text).map_err(|_| wrong())?,
            Plain::Blob(bytes) => bytes.to_vec(),
        };
        let (nonce, ciphertext) = decoded.split_at_checked(NONCE).ok_or_else(wrong)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| wrong())?;
        let payload = Payload { msg: ciphertext, aad: &bound(c.get_raw(0), c.get_raw(1)) };
        let plain = keys.cipher.decrypt(&nonce, payload).map_err(|_| wrong())?;
        match sealed {
            Plain::Text(_) => String::from_utf8(plain).map(Value::Text).map_err(|_| wrong()),
            Plain::Blob(_) => Ok(Value::Blob(plain)),
        }
    }
}

impl Keys {
    /// Text stays text, and bytes stay bytes.
    fn sealed(&self, nonce: [u8; NONCE], plain: &Plain<'_>, bound: &[u8]) -> rusqlite::Result<Value> {
        let payload = Payload { msg: plain.bytes(), aad: bound };
        let ciphertext = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| refused("a value is too long".to_owned()))?;
        let whole = [&nonce[..], &ciphertext].concat();
        Ok(if let Plain::Text(_) = plain { Value::Text(BASE64.encode(&whole)) } else { Value::Blob(whole) })
    }
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
}

/// `None`: there is nothing to seal. Numbers are no secrets here.
fn something(value: ValueRef<'_>) -> Option<Plain<'_>> {
    match value {
        ValueRef::Text(text) if !text.is_empty() => Some(Plain::Text(text)),
        ValueRef::Blob(bytes) => Some(Plain::Blob(bytes)),
        ValueRef::Text(_) | ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}

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

fn refused(why: String) -> Error {
    Error::UserFunctionError(why.into())
}

/// Whether the key, or none, is the store's. `new`: a store that holds nothing yet may get one.
pub(super) fn admit(connection: &Connection, sealer: &Sealer, new: bool) -> rusqlite::Result<Result<(), String>> {
    let check: Option<String> = connection.query_row("SELECT key_check FROM identity", [], |row| row.get(0))?;
    Ok(match (&sealer.0, check) {
        (None, None) => Ok(()),
        (Some(_), Some(_)) => {
            let opens = connection.query_row("SELECT unseal('identity', 'key', key_check) FROM identity", [], |row| row.get::<_, String>(0));
            if opens.is_ok() { Ok(()) } else { Err("it is sealed with another key than that of [store] key_file: give it the key that it was made with".to_owned()) }
        }
        (None, Some(_)) => Err("it is sealed: set [store] key_file to the key that it was made with".to_owned()),
        (Some(_), None) if new && is_empty(connection)? => {
            connection.execute(&format!("UPDATE identity SET key_check = {CHECK}"), [])?;
            Ok(())
        }
        (Some(_), None) => Err(
            "it was made without a key, and [store] key_file names one: take that out, or begin a new store (see docs/security.md, Encryption)".to_owned(),
        ),
    })
}

/// It has never told, nor heard of, anything.
fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM source) AND NOT EXISTS (SELECT 1 FROM ledger)", [], |row| row.get(0))
}
