//! Servers that asked to be left alone: `check` does not ask them either.

use chrono::{DateTime, Utc};

use crate::config::Config;
use crate::daemon::{open_store, store_exists};
use crate::outbox::SourceLook;
use crate::source::{Source, SourceKind};

/// What the store holds of them; nothing, if it cannot be read: that is told where the store is looked at.
pub(super) async fn noted(config: &Config) -> Vec<SourceLook> {
    let has_server = config.sources.iter().any(|source| matches!(source.kind, SourceKind::Http(_)));
    if !has_server || config.store.is_none() || !store_exists(config) {
        return Vec::new();
    }
    match open_store(config, false) {
        Ok(store) => store.looks().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// Until when it is left alone. `None`: it may be asked.
pub(super) fn until(source: &Source, noted: &[SourceLook], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let look = noted.iter().find(|look| look.source == source.name)?;
    source.left_alone((look.quiet_until, look.refusals), now)
}
