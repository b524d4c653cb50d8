//! Whether a start finds the store that ran last.

use chrono::{DateTime, Utc};

/// What a start finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreOrigin {
    /// The store that ran last, or a new one.
    Own,
    /// An older copy, or another database: complete until that time at the earliest. `None`: it holds nothing at all.
    Copy(Option<DateTime<Utc>>),
}
