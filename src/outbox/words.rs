//! What the ledger and the deliveries say of a change: one word each, and a detail without a contact, a name or a code.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Act, Change, LedgerRow, Purged, Settlement};

impl Change {
    /// What the ledger calls it, and its detail.
    pub(crate) fn in_words(&self) -> (&'static str, Option<String>) {
        match self {
            Self::Add(notice) => ("added", Some(format!("due {}", rfc3339(notice.due_at)))),
            Self::Move { due_at, .. } => ("moved", Some(format!("due {}", rfc3339(*due_at)))),
            Self::End { .. } => ("ended", None),
        }
    }
}

impl Settlement {
    /// The outcome word of the delivery's row, and the server's text.
    pub(crate) fn in_words(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Accepted { reply, .. } => ("accepted", Some(reply)),
            Self::Rejected { reply, .. } => ("rejected", Some(reply)),
            Self::Retry { why, .. } => ("retry", Some(why)),
            Self::Return { outcome, why, .. } => (outcome, why.as_deref()),
            Self::Unknown { why, .. } => ("unknown", Some(why)),
            Self::Ended { state, .. } => (state.as_str(), None),
        }
    }

    /// The ledger's detail: `retry: 451 4.3.0 try again`.
    pub(crate) fn detail(&self) -> String {
        match self.in_words() {
            (word, Some(text)) if !text.is_empty() => format!("{word}: {text}"),
            (word, _) => word.to_owned(),
        }
    }
}

impl Act {
    /// The ledger's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

impl LedgerRow {
    /// An operator's deed that is about no notice.
    pub(crate) fn note(at: DateTime<Utc>, event: &str, detail: &str) -> Self {
        Self {
            seq: 0,
            at,
            key: None,
            session_id: None,
            participation_id: None,
            event: event.to_owned(),
            from_state: None,
            to_state: None,
            reason: None,
            detail: Some(detail.to_owned()),
        }
    }
}

impl Purged {
    /// Nothing was removed.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The ledger's detail.
    pub(crate) fn in_words(&self) -> String {
        let Self { contents, records, notices, ledger_rows } = self;
        format!("{contents} messages, {records} session records, {notices} notices, {ledger_rows} ledger rows")
    }
}

/// A time in a detail.
pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
