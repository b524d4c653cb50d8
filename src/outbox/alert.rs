//! Incidents that staff were told of at once: what a store remembers of them, so that each is told once.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// An incident that lasts, and was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What is at fault: `email`, `source:calendar`.
    pub key: String,
    /// When it was told.
    pub since: DateTime<Utc>,
    /// What was told; no name, contact or code.
    pub text: String,
}
