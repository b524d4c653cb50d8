//! The files that sources name are read and parsed while the rest of a start goes on: on another core, and while the store waits for its disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio::task::JoinHandle;

use crate::session::Snapshot;
use crate::source::same::{Print, SourceRead};
use crate::source::{Source, SourceKind, file};

/// What a file said at the start, and what it is known by; `None`: it could not be read whole.
type Read = Option<(Snapshot, Print)>;

/// The readings, by source.
#[derive(Default)]
pub(super) struct Early(Mutex<HashMap<String, JoinHandle<Read>>>);

impl Early {
    pub(super) fn begin<'a>(sources: impl Iterator<Item = &'a Source>, now: DateTime<Utc>) -> Self {
        let files = sources.filter_map(|source| match &source.kind {
            SourceKind::File(settings) => Some((source.name.clone(), settings.clone())),
            SourceKind::Http(_) | SourceKind::Push(_) => None,
        });
        let read = move |settings: &file::Settings| match file::read_since(settings, None, now) {
            Ok(SourceRead::Now(snapshot, Some(print))) if print.is_whole() => Some((snapshot, print)),
            Ok(_) | Err(_) => None,
        };
        Self(Mutex::new(files.map(|(name, settings)| (name, tokio::task::spawn_blocking(move || read(&settings)))).collect()))
    }

    /// What it said, for its first look: that counts only if it is still the same.
    pub(super) async fn take(&self, source: &str) -> Read {
        let reading = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(source)?;
        reading.await.ok().flatten()
    }
}
