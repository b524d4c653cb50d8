//! A ledger of several chains that leaves for a store which keeps one: the rows of all in the order of their places, in one chain.
//!
//! Before the first chain was opened beside the first one, its rows are what they were. From there on rows have other numbers and other links, and so the
//! part begins with a row `merged`, which says how many chains there were, and where the first one, which has a seal of the others, had got: whoever kept the
//! old store, or an export of it, can hold one against the other. What spoke of chains is called otherwise there: nobody takes it for the new chain's.

use chrono::{DateTime, Utc};
use secrecy::zeroize::Zeroizing;

use super::carry;
use super::columns::{get, ms};
use super::db::{CHAIN, Db};
use super::error::{Res, refused};
use super::history;
use crate::entry::State;
use crate::ledger::{Anchor, Event, LedgerRow};
use crate::notice::{NoticeKey, Reason};
use crate::outbox::rows::{Cells, SqlValue, TABLES};

/// Rows at a time.
const ROWS: usize = 1000;

/// What was merged, so far.
pub(super) struct Merge {
    key: Option<Zeroizing<[u8; 32]>>,
    /// The place of the first row that is chained anew.
    anew: i64,
    /// Where the chain has got.
    head: Anchor,
    /// The last row that was read.
    place: i64,
    /// Said before the first row that is chained anew.
    says: Option<LedgerRow>,
    /// The key of the part that is chained anew, behind the others.
    last_key: Option<Cells>,
}

impl Merge {
    /// `None`: there is one chain, which leaves as it is.
    pub(super) async fn of(db: &Db) -> Res<Option<Self>> {
        let count: i64 = get(&db.one("SELECT count(*) FROM chain WHERE practice = $1 AND id <> $2", &[&db.practice, &CHAIN]).await?, 0)?;
        if count == 0 {
            return Ok(None);
        }
        let pruned = history::checkpoint(db, CHAIN).await?.is_some();
        let sql = "SELECT coalesce(min(place), 0) FROM ledger WHERE practice = $1 AND (chain <> $2 OR event = $3)";
        let first: i64 = get(&db.one(sql, &[&db.practice, &CHAIN, &Event::Chain.as_str()]).await?, 0)?;
        // What was pruned is no beginning: then all are chained anew.
        let anew = if pruned { 0 } else { first };
        let before = "SELECT coalesce(max(seq), 0) FROM ledger WHERE practice = $1 AND chain = $2 AND place < $3";
        let from = 1 + get::<i64>(&db.one(before, &[&db.practice, &CHAIN, &anew]).await?, 0)?;
        let was = history::head(db).await?;
        let now: DateTime<Utc> = db.now().await?;
        let says =
            format!("from here on the rows of {} chains, in the order of writing, chained anew; the first one was at {was}", count + 1);
        let key = db.sealer.chain();
        let sealed = key.as_ref().map(|key| db.sealer.seal_bytes("ledger_key", from.to_string(), &**key)).transpose()?;
        Ok(Some(Self {
            last_key: sealed.map(|sealed| vec![SqlValue::Int(from), SqlValue::Bytes(sealed)]),
            key,
            anew,
            head: Anchor::default(),
            place: 0,
            says: Some(LedgerRow::new(now, Event::Merged, &says)),
        }))
    }

    pub(super) fn head(&self) -> Anchor {
        self.head
    }

    /// The next rows.
    pub(super) async fn rows(&mut self, db: &Db) -> Res<Vec<Cells>> {
        let rows = history::behind(db, self.place, ROWS).await?;
        let mut all = Vec::with_capacity(rows.len() + 1);
        for row in rows {
            self.place = row.place;
            if row.place < self.anew {
                self.head = Anchor { seq: row.seq, link: row.chain.unwrap_or_default() };
                all.push(cells(&row)?);
                continue;
            }
            if let Some(says) = self.says.take() {
                all.push(self.follow(says)?);
            }
            all.push(self.follow(LedgerRow { event: row.event.merged(), chain_id: None, chain: None, ..row })?);
        }
        Ok(all)
    }

    fn follow(&mut self, mut row: LedgerRow) -> Res<Cells> {
        row.at = DateTime::from_timestamp_millis(ms(row.at)).unwrap_or(row.at);
        row.seq = self.head.seq + 1;
        self.head = Anchor { seq: row.seq, link: self.head.link.follow(self.key.as_deref(), &row) };
        row.chain = Some(self.head.link);
        cells(&row)
    }

    /// The keys of the rows that stay as they are, and of those that are chained anew.
    pub(super) async fn keys(&mut self, db: &Db, after: Cells) -> Res<Vec<Cells>> {
        let Some(last) = self.last_key.take() else { return Ok(Vec::new()) };
        let table = TABLES.iter().find(|table| table.name == "ledger_key").ok_or_else(|| refused("there is no such table"))?;
        let stays = |row: &Cells| matches!((&row[0], &last[0]), (SqlValue::Int(from), SqlValue::Int(anew)) if from < anew);
        let mut keys: Vec<Cells> = carry::rows(db, table, after).await?.into_iter().filter(stays).collect();
        keys.push(last);
        Ok(keys)
    }
}

/// In the order of the table's columns.
fn cells(row: &LedgerRow) -> Res<Cells> {
    let int = |number: Option<i64>| number.map_or(SqlValue::None, SqlValue::Int);
    let text = |text: Option<&str>| text.map_or(SqlValue::None, |text| SqlValue::Text(text.to_owned()));
    let key = row.key.as_deref().map(|key| key.parse::<NoticeKey>().map_err(refused)).transpose()?;
    Ok(vec![
        SqlValue::Int(row.seq),
        SqlValue::Int(ms(row.at)),
        key.map_or(SqlValue::None, |key| SqlValue::Bytes(key.0.to_vec())),
        int(row.session_id.map(|id| id.0)),
        int(row.participation_id.map(|id| id.0)),
        SqlValue::Text(row.event.to_string()),
        text(row.from_state.map(State::as_str)),
        text(row.to_state.map(State::as_str)),
        text(row.reason.map(Reason::as_str)),
        text(row.detail.as_deref()),
        row.chain.map_or(SqlValue::None, |link| SqlValue::Bytes(link.0.to_vec())),
    ])
}
