//! What is private, sealed by the practice's key before it is bound to a statement: the same columns as in SQLite, the same places, the same bytes.
//! Nobody who reads the database, its log or its backups reads a record, an address or a message.

use data_encoding::BASE64;
use secrecy::zeroize::Zeroizing;
use std::sync::Arc;

use super::error::{Failure, Res, refused};
use crate::outbox::key::{Keys, StoreKey};

/// Seals and opens. Without a key it does neither.
#[derive(Clone)]
pub(super) struct Sealer(Option<Arc<Keys>>);

impl Sealer {
    pub(super) fn new(key: Option<&StoreKey>) -> Self {
        Self(key.map(|key| Arc::new(Keys::new(key.clone()))))
    }

    /// What the ledger's rows are chained with; `None`: nothing is sealed.
    pub(super) fn chain(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.0.as_ref().map(|keys| keys.key.chain())
    }

    /// For this row alone: moved to another row or column it does not open. The empty text, which says that there is nothing, stays as it is.
    pub(super) fn seal(&self, place: &str, row: impl AsRef<[u8]>, plain: &str) -> Res<String> {
        match &self.0 {
            Some(keys) if !plain.is_empty() => Ok(BASE64.encode(&keys.seal(plain.as_bytes(), &bound(place, row)).map_err(refused)?)),
            _ => Ok(plain.to_owned()),
        }
    }

    /// Likewise for a column that is searched: the same value is the same each time.
    pub(super) fn seal_alike(&self, place: &str, plain: &str) -> Res<String> {
        match &self.0 {
            Some(keys) if !plain.is_empty() => Ok(BASE64.encode(&keys.seal_alike(plain.as_bytes(), &bound(place, "")).map_err(refused)?)),
            _ => Ok(plain.to_owned()),
        }
    }

    pub(super) fn seal_bytes(&self, place: &str, row: impl AsRef<[u8]>, plain: &[u8]) -> Res<Vec<u8>> {
        match &self.0 {
            Some(keys) => keys.seal(plain, &bound(place, row)).map_err(refused),
            None => Ok(plain.to_vec()),
        }
    }

    /// What was sealed; with an empty row for what is sealed alike.
    pub(super) fn open(&self, place: &str, row: impl AsRef<[u8]>, sealed: &str) -> Res<String> {
        match &self.0 {
            Some(keys) if !sealed.is_empty() => {
                let plain = BASE64.decode(sealed.as_bytes()).ok().and_then(|bytes| keys.open(&bytes, &bound(place, row)));
                plain.and_then(|plain| String::from_utf8(plain).ok()).ok_or_else(wrong)
            }
            _ => Ok(sealed.to_owned()),
        }
    }

    /// Likewise, of what may not be there.
    pub(super) fn open_some(&self, place: &str, row: impl AsRef<[u8]>, sealed: Option<&str>) -> Res<Option<String>> {
        sealed.map(|sealed| self.open(place, row, sealed)).transpose()
    }

    pub(super) fn open_bytes(&self, place: &str, row: impl AsRef<[u8]>, sealed: &[u8]) -> Res<Vec<u8>> {
        match &self.0 {
            Some(keys) => keys.open(sealed, &bound(place, row)).ok_or_else(wrong),
            None => Ok(sealed.to_vec()),
        }
    }
}

/// What a sealed value is bound to: its column, and its row.
fn bound(place: &str, row: impl AsRef<[u8]>) -> Vec<u8> {
    [&(place.len() as u64).to_be_bytes()[..], place.as_bytes(), row.as_ref()].concat()
}

fn wrong() -> Failure {
    refused("a value of the store does not open: it is damaged, or was put there by somebody else")
}
