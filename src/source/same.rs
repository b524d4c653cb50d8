//! Whether a source says what it said when it was last walked: then its bytes need not be read at all, or not be parsed.
//!
//! A file is the same by its size, times and inode; where those cannot be trusted (it was written a moment ago, or in the future by its own
//! word), and for what comes over the network, by a digest of the bytes. What was not walked to its end, or not read whole, is never the same.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::session::Snapshot;

/// A file that was written so lately may be written again without another time: some file systems tell two seconds apart.
const SETTLES: TimeDelta = TimeDelta::seconds(5);

/// What a source says.
pub enum SourceRead {
    /// What it said when it was last walked; with what it is known by now.
    Same(Print),
    /// This; with what it is known by. `None`: it came over the network, and not whole.
    Now(Snapshot, Option<Print>),
}

/// What the bytes of a source are known by, part by part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Print {
    pub(super) parts: Vec<Part>,
    /// When a file came to the folder or left it last, in seconds since 1970; `None`: the source is no folder.
    pub(super) folder: Option<i64>,
}

impl Print {
    /// Each part of it could be read.
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.digest.is_some())
    }
}

/// A file, or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name in the folder, or its path.
    pub(super) name: String,
    /// `None`: it is no file, or cannot be looked at.
    pub(super) mark: Option<FileStamp>,
    /// `None`: it could not be used.
    pub(super) digest: Option<[u8; 32]>,
}

/// What a file is known by without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub(super) file: (u64, u64),
    pub(super) size: u64,
    /// Seconds since 1970, and nanoseconds.
    pub(super) written: (i64, i64),
    /// Likewise: written, renamed or given other times or rights. No copy keeps it.
    pub(super) changed: (i64, i64),
    /// Whoever writes it again changes the mark.
    pub(super) settled: bool,
}

impl FileStamp {
    pub(super) fn of(meta: &Metadata, now: DateTime<Utc>) -> Self {
        let written = (meta.mtime(), meta.mtime_nsec());
        let at = DateTime::from_timestamp(written.0, 0);
        Self {
            file: (meta.dev(), meta.ino()),
            size: meta.size(),
            written,
            changed: (meta.ctime(), meta.ctime_nsec()),
            settled: at.is_some_and(|at| now - at > SETTLES),
        }
    }

    /// It need not be read to know that it is the same.
    pub(super) fn is_same(self, before: Self) -> bool {
        before.settled && Self { settled: true, ..self } == before
    }
}

pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What a source was when this process last walked it.
#[derive(Debug, Default)]
pub struct LastWalked(Mutex<Option<(Print, i64)>>);

impl LastWalked {
    /// `None`: it was not walked, or it cannot be known again, or that walk was not the source's last one ([`crate::outbox::Rest::walks`]).
    pub fn last(&self, walks: i64) -> Option<Print> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(_, walked)| *walked == walks).map(|(print, _)| print.clone())
    }

    /// It was walked to its end, by that walk. What could not be read whole is read again.
    pub fn walked(&self, print: Option<Print>, walks: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = print.filter(Print::is_whole).map(|print| (print, walks));
    }

    /// Whatever it says, the next look reads all of it.
    pub fn forget(&self) {
        self.walked(None, 0);
    }
}
