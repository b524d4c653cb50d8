//! Tokens that show nothing of what they are made of.
//!
//! In: a key, and what one token is of. Out: 32 characters that nobody without the key can make or trace.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What makes them with one key, ready to begin.
#[derive(Clone)]
pub(super) struct Tokens(Hmac<Sha256>);

impl Tokens {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// Base32 (RFC 4648) of the first 160 bits of HMAC-SHA256 over the length-prefixed parts.
    pub(super) fn of(&self, parts: &[&[u8]]) -> String {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        data_encoding::BASE32_NOPAD.encode(&mac.finalize().into_bytes()[..20]).to_ascii_lowercase()
    }
}
