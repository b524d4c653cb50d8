//! The key of a practice's store, and what is made of it.
//!
//! A key file has one line or two: 32 random bytes, and, once a store was given another key, what the keys of its notices are made with. That stays
//! as it was with the first key: a notice whose key changes would be told again.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

/// Bytes of a nonce.
const NONCE: usize = 24;
/// What the second line of a key file begins with.
const NOTICES: &str = "notices ";

/// The key of a practice's store: 32 random bytes, and what its notices' keys are made with.
#[derive(Clone)]
pub struct StoreKey(Arc<SecretBox<[u8; 64]>>);

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(********)")
    }
}

impl StoreKey {
    /// From 64 hexadecimal digits, or from base64; and a second line that [`StoreKey::successor`] wrote.
    ///
    /// # Errors
    /// Says what was expected, and nothing of what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.trim().lines().map(str::trim);
        let key = lines.next().and_then(bytes_of);
        let key = key
            .ok_or("it holds no key; expected 32 random bytes as 64 hexadecimal digits, or in base64: `openssl rand -hex 32` makes one")?;
        let notices = match lines.next() {
            None => None,
            Some(line) => Some(line.strip_prefix(NOTICES).and_then(bytes_of).ok_or(
                "its second line is not as `punctual store rekey` wrote it; expected `notices ` and 64 hexadecimal digits, or one line alone",
            )?),
        };
        if lines.next().is_some() {
            return Err("it has more than two lines; expected the key, and what `punctual store rekey` wrote below it".to_owned());
        }
        Ok(Self::of(&key, notices.as_deref()))
    }

    fn of(key: &[u8; 32], notices: Option<&[u8; 32]>) -> Self {
        let mut both = Box::new([0; 64]);
        both[..32].copy_from_slice(key);
        let own = expand(key, "notices");
        both[32..].copy_from_slice(notices.unwrap_or(&own));
        Self(Arc::new(SecretBox::new(both)))
    }

    /// A new key for the store that has this one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn successor(&self) -> Result<Self, String> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|e| format!("the system gives no random bytes: {e}"))?;
        Ok(Self::of(&key, Some(self.part(32))))
    }

    /// What stands in its file.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n{NOTICES}{}\n", HEXLOWER.encode(self.part(0)), HEXLOWER.encode(self.part(32))))
    }

    /// The same key, whatever its notices are made with.
    pub fn is(&self, other: &Self) -> bool {
        self.part(0) == other.part(0)
    }

    /// A practice's id, in which nobody without the key can try addresses: it goes into each notice's key.
    pub fn keyed(&self, practice: &str) -> String {
        format!("{practice}/{}", HEXLOWER.encode(self.part(32)))
    }

    /// Tells two keys apart by what notices' keys are made with; tells nothing of it.
    pub(super) fn notices_name(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.part(32))[..16])
    }

    /// What the ledger's rows are chained with.
    pub(super) fn chain(&self) -> Zeroizing<[u8; 32]> {
        self.expand("ledger")
    }

    fn part(&self, from: usize) -> &[u8; 32] {
        self.0.expose_secret()[from..from + 32].try_into().expect("it has two parts of 32 bytes")
    }

    fn expand(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        expand(self.part(0), purpose)
    }
}

fn bytes_of(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).or_else(|_| BASE64.decode(text.as_bytes())).ok().map(Zeroizing::new)?;
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

/// HKDF-Expand (RFC 5869 2.3), one block: the key is random as it is.
fn expand(key: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(mac(key, &[b"punctual store 1: ", purpose.as_bytes(), &[1]]))
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// What one key seals and opens with.
pub(super) struct Keys {
    /// The key itself, to know it by.
    pub(super) key: StoreKey,
    /// Wipes itself.
    cipher: XChaCha20Poly1305,
    /// Of nonces that are not drawn.
    nonces: Zeroizing<[u8; 32]>,
}

impl Keys {
    pub(super) fn new(key: StoreKey) -> Self {
        Self { cipher: KeyInit::new(&(*key.expand("values")).into()), nonces: key.expand("nonces"), key }
    }

    /// Another value each time.
    pub(super) fn seal(&self, plain: &[u8], bound: &[u8]) -> Result<Vec<u8>, String> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| format!("the system gives no random bytes: {e}"))?;
        self.sealed(nonce, plain, bound)
    }

    /// The same value is the same each time: its nonce is a MAC of place and value (as in SIV, RFC 5297).
    pub(super) fn seal_alike(&self, plain: &[u8], bound: &[u8]) -> Result<Vec<u8>, String> {
        let derived = mac(&self.nonces, &[&(bound.len() as u64).to_be_bytes(), bound, plain]);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&derived[..NONCE]);
        self.sealed(nonce, plain, bound)
    }

    fn sealed(&self, nonce: [u8; NONCE], plain: &[u8], bound: &[u8]) -> Result<Vec<u8>, String> {
        let payload = Payload { msg: plain, aad: bound };
        let ciphertext = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| "a value is too long".to_owned())?;
        Ok([&nonce[..], &ciphertext].concat())
    }

    /// `None`: it was not sealed with this key for this place, or is damaged.
    pub(super) fn open(&self, sealed: &[u8], bound: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        self.cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: bound }).ok()
    }
}
