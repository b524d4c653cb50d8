//! The mark beside the file: how far the store that ran last had got, noted where a restored file does not bring its own.
//!
//! In: the ledger's head. Out: at a start, whether this is the store that ran last. A file that was put back from an older copy has not got
//! as far, or has gone another way; what it believes to be due may have been sent. The mark is behind the store after a crash, never ahead
//! of it: each write of it follows the commit that it tells of.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::beside::{beside, folder_of};
use crate::ledger::Anchor;

/// Beside the store: `FILE.mark`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watermark {
    /// Which store: a digest of the key that it drew when it was made.
    store: String,
    /// The ledger's head, as [`Anchor`] prints it.
    ledger: String,
    /// In a sealed store: that its own key wrote this. Nobody who can write files makes one for a ledger that was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

impl Watermark {
    /// Of the store with this key.
    pub(super) fn new(reference_key: &[u8; 32], head: Anchor, sealed: bool) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"punctual store mark\n");
        hash.update(reference_key);
        let mark = Self { store: data_encoding::HEXLOWER.encode(&hash.finalize()[..8]), ledger: head.to_string(), mac: None };
        Self { mac: sealed.then(|| mark.keyed(reference_key)), ..mark }
    }

    /// Its own key wrote it.
    pub(super) fn is_keyed(&self, reference_key: &[u8; 32]) -> bool {
        self.mac.as_ref() == Some(&self.keyed(reference_key))
    }

    fn keyed(&self, reference_key: &[u8; 32]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(reference_key).expect("HMAC takes keys of any length");
        mac.update(format!("punctual store mark\n{}\n{}", self.store, self.ledger).as_bytes());
        data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
    }

    /// The head that it names.
    pub(super) fn head(&self) -> Option<Anchor> {
        self.ledger.parse().ok()
    }

    /// It is of the same store as the other.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.store == other.store
    }
}

fn path_of(store: &Path) -> PathBuf {
    beside(store, ".mark")
}

/// The mark, if there is one. One that cannot be understood is an error: nobody may guess what it said.
pub(super) fn read(store: &Path) -> Result<Option<Watermark>, String> {
    let path = path_of(store);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{} cannot be read: {e}", path.display())),
    };
    let mark: Option<Watermark> = serde_json::from_str(&text).ok();
    let mark = mark.filter(|m| m.head().is_some());
    mark.map(Some)
        .ok_or_else(|| format!("{} is damaged: remove it; the next start then holds what is due, as after a restore", path.display()))
}

/// Writes it: durable, and whole or not at all.
pub(super) fn write(store: &Path, mark: &Watermark) -> Result<(), String> {
    let path = path_of(store);
    let part = beside(store, ".mark.part");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(serde_json::to_string(mark).map_err(io::Error::other)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        File::open(folder_of(store))?.sync_all()
    };
    written().map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Link;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("outbox.db");
        assert_eq!(read(&store), Ok(None));
        for seq in [1, 2] {
            let mark = Watermark::new(&[7; 32], Anchor { seq, link: Link([seq as u8; 32]) }, seq == 2);
            write(&store, &mark).unwrap();
            assert_eq!(read(&store), Ok(Some(mark)));
        }
        for damage in ["", "{}", "{\"store\":\"a\",\"ledger\":\"b\"}"] {
            fs::write(path_of(&store), damage).unwrap();
            assert!(read(&store).unwrap_err().contains("is damaged"), "{damage:?}");
        }
    }

    #[test]
    fn it_tells_nothing_of_the_key_and_differs_by_it() {
        let [one, other] = [[7; 32], [8; 32]].map(|key| Watermark::new(&key, Anchor::default(), true));
        assert!(!one.is_of(&other) && !one.store.contains("0707"));
    }

    #[test]
    fn nobody_without_the_key_moves_a_keyed_one() {
        let mark = Watermark::new(&[7; 32], Anchor { seq: 9, link: Link([1; 32]) }, true);
        assert!(mark.is_keyed(&[7; 32]) && !mark.is_keyed(&[8; 32]));
        let back = Watermark { ledger: Anchor { seq: 5, link: Link([2; 32]) }.to_string(), ..mark.clone() };
        assert!(!back.is_keyed(&[7; 32]) && !Watermark { mac: None, ..mark }.is_keyed(&[7; 32]));
    }
}
