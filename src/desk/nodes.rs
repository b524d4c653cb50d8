//! The nodes of a practice, in words: the same for `status`, the pages and the service manager.

use chrono::{DateTime, Utc};

use crate::outbox::NodeRow;

/// What becomes of messages while a node does nothing.
pub const MEANWHILE: &str = "What is due leaves from the nodes that work. Tell your administrator.";

/// `does nothing since 2:02 PM: its clock is 40 seconds from the database's: set one of them right`
pub fn idle(since: &str, why: &str) -> String {
    format!("does nothing since {since}: {why}")
}

/// How a node stands: `leads`; `gone since 2:01 PM: ...`; or what [`idle`] says. `None`: it works.
pub fn standing(node: &NodeRow, time: &dyn Fn(DateTime<Utc>) -> String) -> Option<String> {
    let since = node.since.map(time).unwrap_or_default();
    match &node.idle {
        _ if !node.lives => Some(format!("gone since {since}: it ended without a word, or cannot reach the database")),
        Some(why) => Some(idle(&since, why)),
        None => node.leads.then(|| "leads".to_owned()),
    }
}
