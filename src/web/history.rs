//! The end of the ledger: it is read from its beginning on, so where a moment begins is found by halves.

use chrono::{DateTime, Utc};

use crate::ledger::LedgerRow;
use crate::outbox::{Outbox, StoreError};

/// Rows that are read at once.
const PAGE: usize = 1_000;

/// The rows since a moment, oldest first.
pub(super) async fn since(outbox: &dyn Outbox, moment: DateTime<Utc>) -> Result<Vec<LedgerRow>, StoreError> {
    let (mut before, mut end) = (0, outbox.ledger_end().await?);
    while before < end {
        let middle = before + (end - before) / 2;
        match outbox.ledger(None, middle, 1).await?.pop() {
            Some(row) if row.at < moment => before = row.place,
            _ => end = middle,
        }
    }
    let mut rows: Vec<LedgerRow> = Vec::new();
    loop {
        let page = outbox.ledger(None, before, PAGE).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        before = last.place;
        rows.extend(page);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::ledger::Event;
    use crate::outbox::memory::MemoryOutbox;
    use crate::outbox::{Actions, Queries};

    #[tokio::test]
    async fn rows_are_found_from_the_end() {
        let minute = |n: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(n);
        for rows in [0_i64, 1, 2, 7, 64] {
            let outbox = MemoryOutbox::new([0; 32]);
            for n in 0..rows {
                outbox.record_event(minute(n), Event::LogIn, "jane").await.unwrap();
            }
            assert_eq!(outbox.ledger_end().await.unwrap(), rows);
            for from in [-1, 0, 1, 6, rows - 1, rows, rows + 9] {
                let found: Vec<_> = since(&outbox, minute(from)).await.unwrap().into_iter().map(|row| row.at).collect();
                assert_eq!(found, (from.max(0)..rows).map(minute).collect::<Vec<_>>(), "{rows} rows, from {from}");
            }
        }
    }
}
