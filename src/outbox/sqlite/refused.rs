//! What relays refused lately, and what is taken back of it.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};

use super::columns::{key, word};
use super::notices::{NoticeBefore, find, record};
use super::tx::Tx;
use super::{history, suppression};
use crate::contact::{Address, Channel};
use crate::entry::AttemptEnd;
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::RecentEnd;
use crate::outbox::transition::REFUSED_US;
use crate::suppression::{SaidBy, suppression_key};

/// By the ledger, whose end is at hand: no index is needed for it.
const LATELY: &str = "SELECT notice.key, notice.channel, unseal('address', '', notice.address), delivery.transport, ledger.detail
    FROM ledger JOIN notice ON notice.key = ledger.notice_key
    JOIN delivery ON delivery.notice_id = notice.id AND delivery.ended_at = ledger.at
    WHERE ledger.seq > (SELECT coalesce(max(seq), 0) FROM ledger) - ?1 AND ledger.event = 'settled' AND notice.channel = ?2
    AND delivery.transport IS NOT NULL AND ledger.detail IS NOT NULL ORDER BY ledger.seq";

/// How hand-overs of this channel ended, within the last rows of the ledger, in order.
pub(super) fn settled_lately(connection: &Connection, channel: Channel, rows: usize) -> rusqlite::Result<Vec<RecentEnd>> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    connection.prepare_cached(LATELY)?.query_map(params![rows, channel.as_str()], lately)?.collect()
}

fn lately(row: &Row<'_>) -> rusqlite::Result<RecentEnd> {
    let channel: Channel = word(row, 1)?;
    let who = suppression_key(&Address::restore(channel, row.get_ref(2)?.as_str()?));
    let (end, said) = AttemptEnd::of_detail(row.get_ref(4)?.as_str()?);
    Ok(RecentEnd { key: key(row, 0)?, who, transport: row.get(3)?, end, said: said.to_owned() })
}

/// What was rejected waits again, and what its rejection put on the suppression list leaves it.
pub(super) fn take_back(
    connection: &Tx<'_>,
    rejected: &[(NoticeKey, Option<DateTime<Utc>>)],
    now: DateTime<Utc>,
) -> rusqlite::Result<usize> {
    let mut back = 0;
    for (key, next_attempt_at) in rejected {
        let Some(mut row) = find(connection, *key)? else { continue };
        let before = NoticeBefore::of(&row);
        if row.take_back(*next_attempt_at, now) {
            back += 1;
            record(connection, &row, before, (Event::TakenBack, Some(REFUSED_US.to_owned())), now)?;
        }
        if suppression::forget_refuted(connection, *key, SaidBy::Refusal, now)? {
            history::append(connection, &row.unsuppressed(REFUSED_US, now))?;
        }
    }
    Ok(back)
}
