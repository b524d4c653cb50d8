//! Who is logged in to the pages, as the store keeps it.

use chrono::{DateTime, Utc};

/// A visit of a member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVisit {
    /// SHA-256 of its id.
    pub digest: [u8; 32],
    /// The user's name.
    pub name: String,
    /// Of the password and the one-time codes that they logged in with.
    pub mark: [u8; 32],
    /// When they logged in.
    pub began: DateTime<Utc>,
    /// When they asked last, or up to two minutes earlier.
    pub seen: DateTime<Utc>,
}
