//! What a start or a change of the configuration holds.

use chrono::{DateTime, Utc};

use super::db::Tx;
use super::error::Res;
use super::notices::{Numbered, Sheet};
use crate::entry::{Change, State};
use crate::ledger::Event;
use crate::notice::{NoticeKey, Reason};
use crate::outbox::transition::Row;

/// Holds what would go by itself, for a reason of the planner's. One in doubt stays so; it is not sent again by itself. Returns how many were held.
pub(super) async fn hold(tx: &Tx<'_>, keys: &[NoticeKey], (reason, event): (Reason, Event), now: DateTime<Utc>) -> Res<usize> {
    let mut sheet = Sheet::of(tx, keys).await?;
    let mut held = 0;
    for key in keys {
        let Some(Numbered { row, .. }) = sheet.get_mut(*key) else { continue };
        let from = row.entry.state;
        if is_held(row, reason, now) {
            held += 1;
            sheet.record(tx, *key, from, (event.clone(), None), now)?;
        }
    }
    sheet.save(tx).await?;
    Ok(held)
}

fn is_held(row: &mut Row, reason: Reason, now: DateTime<Utc>) -> bool {
    let change = Change::End { key: row.entry.notice.key, state: State::Held, reason };
    if row.entry.state == State::Unknown { row.resolve(None) } else { row.change(&change, now) }
}
