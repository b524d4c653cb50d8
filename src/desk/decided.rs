//! Who decided about a message, when, and why: by its rows of the ledger.

use chrono::{DateTime, Utc};

use super::Desk;
use crate::entry::Entry;
use crate::notice::Reason;
use crate::outbox::{Action, StoreError};

/// Rows of a session that are looked through.
const ROWS: usize = 10_000;

/// When somebody here decided that this message stays where it is, and the note: `by jane: the host is ill`. `None`: nobody did.
pub async fn of(desk: &Desk, entry: &Entry) -> Result<Option<(DateTime<Utc>, String)>, StoreError> {
    if !entry.reason.is_some_and(|why| matches!(why, Reason::Operator | Reason::Told)) {
        return Ok(None);
    }
    let key = entry.notice.key.to_string();
    let rows = desk.outbox.ledger(Some(entry.notice.session), 0, ROWS).await?;
    let last = rows.into_iter().rev().find(|row| row.key.as_ref() == Some(&key) && Action::of(&row.event).is_some());
    Ok(last.and_then(|row| Some((row.at, row.detail?))))
}
