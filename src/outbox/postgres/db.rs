//! One connection, and one transaction of the writer.
//!
//! The ledger is written at the end of a transaction, in one statement, behind the head that the transaction holds: the rows of a practice follow one
//! another, whichever process writes them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::columns::{get, key_of, link, ms};
use super::error::{Failure, Res, refused};
use super::sealed::Sealer;
use crate::entry::State;
use crate::ledger::{Anchor, LedgerRow};
use crate::notice::{NoticeKey, Reason};

/// The chain of this store's ledger. Others come with other writers.
pub(super) const CHAIN: i32 = 1;

/// A statement's values.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Said before all of a practice is read in one transaction: a long one is no connection that hangs.
pub(super) const PATIENT: &str = "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0";
/// A statement that takes longer gets no answer any more: whoever asked has given up by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Likewise of a commit, which waits for a standby at most.
const COMMIT_WITHIN: Duration = Duration::from_secs(15);

async fn answered<T>(statement: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Res<T> {
    let outcome = tokio::time::timeout(ANSWER_WITHIN, statement).await;
    outcome.map_err(|_| Failure::Silent(ANSWER_WITHIN.as_secs()))?.map_err(Failure::from)
}

/// A connection, of one practice.
pub(super) struct Db {
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    /// The server said of a commit that it is not where it should be.
    warned: Arc<AtomicBool>,
    pub(super) practice: i32,
    pub(super) sealer: Sealer,
}

impl Db {
    pub(super) fn new(client: Client, warned: Arc<AtomicBool>, practice: i32, sealer: Sealer) -> Self {
        Self { client, statements: RefCell::default(), warned, practice, sealer }
    }

    async fn prepared(&self, sql: &str) -> Res<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = answered(self.client.prepare(sql)).await?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The rows that a statement gives.
    pub(super) async fn query(&self, sql: &str, values: Values<'_>) -> Res<Vec<Row>> {
        let statement = self.prepared(sql).await?;
        answered(self.client.query(&statement, values)).await
    }

    /// The first row, if there is one.
    pub(super) async fn first(&self, sql: &str, values: Values<'_>) -> Res<Option<Row>> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// The one row that there must be.
    pub(super) async fn one(&self, sql: &str, values: Values<'_>) -> Res<Row> {
        self.first(sql, values).await?.ok_or_else(|| refused("a row is missing that must be there"))
    }

    /// Whether there is a row.
    pub(super) async fn exists(&self, sql: &str, values: Values<'_>) -> Res<bool> {
        Ok(self.first(sql, values).await?.is_some())
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, sql: &str, values: Values<'_>) -> Res<u64> {
        let statement = self.prepared(sql).await?;
        answered(self.client.execute(&statement, values)).await
    }

    /// Statements without values: `BEGIN`, `COMMIT`.
    pub(super) async fn say(&self, sql: &str) -> Res<()> {
        answered(self.client.batch_execute(sql)).await
    }

    /// Makes what was done durable. A standby that did not confirm it is no answer to build upon.
    pub(super) async fn commit(&self) -> Res<()> {
        self.warned.store(false, Ordering::Relaxed);
        let commit = tokio::time::timeout(COMMIT_WITHIN, self.say("COMMIT")).await;
        commit.map_err(|_| Failure::Silent(COMMIT_WITHIN.as_secs()))??;
        if self.warned.load(Ordering::Relaxed) {
            return Err(Failure::Unconfirmed);
        }
        Ok(())
    }

    /// Nobody hears this connection any more.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The clock that leases are measured by.
    pub(super) async fn now(&self) -> Res<DateTime<Utc>> {
        get(&self.one("SELECT clock_timestamp()", &[]).await?, 0)
    }
}

/// One transaction of the writer.
pub(super) struct Tx<'c> {
    db: &'c Db,
    /// Where the ledger's head was at its beginning.
    before: Anchor,
    head: Cell<Anchor>,
    rows: RefCell<Vec<(Option<NoticeKey>, LedgerRow)>>,
}

impl Deref for Tx<'_> {
    type Target = Db;

    fn deref(&self) -> &Db {
        self.db
    }
}

impl<'c> Tx<'c> {
    /// Begins one: it waits for whoever writes of this practice now.
    pub(super) async fn begin(db: &'c Db) -> Res<Self> {
        db.say("BEGIN").await?;
        let sql = "SELECT seq, link FROM chain WHERE practice = $1 AND id = $2 FOR UPDATE";
        let row = db.one(sql, &[&db.practice, &CHAIN]).await?;
        let head = Anchor { seq: get(&row, 0)?, link: link(&row, 1)? };
        Ok(Self { db, before: head, head: Cell::new(head), rows: RefCell::default() })
    }

    /// Adds a row to the ledger.
    pub(super) fn append(&self, row: LedgerRow) -> Res<()> {
        let key = row.key.as_deref().map(|key| key.parse::<NoticeKey>().map_err(refused)).transpose()?;
        self.rows.borrow_mut().push((key, row));
        Ok(())
    }

    /// An operator's deed that is about no notice.
    pub(super) fn note(&self, at: DateTime<Utc>, event: &str, detail: &str) -> Res<()> {
        self.append(LedgerRow::note(at, event, detail))
    }

    /// Writes the rows that were added since the last time.
    pub(super) async fn flush(&self) -> Res<()> {
        let mut rows = self.rows.take();
        if rows.is_empty() {
            return Ok(());
        }
        let before = self.head.get();
        let key = self.sealer.chain();
        let mut head = before;
        for (_, row) in &mut rows {
            // As it will be read: times are kept to the millisecond.
            row.at = DateTime::from_timestamp_millis(ms(row.at)).unwrap_or(row.at);
            row.seq = head.seq + 1;
            head = Anchor { seq: row.seq, link: head.link.follow(key.as_deref(), row) };
            row.chain = Some(head.link);
        }
        self.insert(&rows).await?;
        let sql = "UPDATE chain SET seq = $4, link = $5 WHERE practice = $1 AND id = $2 AND seq = $3 AND link = $6";
        let values: Values<'_> = &[&self.practice, &CHAIN, &before.seq, &head.seq, &&head.link.0[..], &&before.link.0[..]];
        if self.execute(sql, values).await? != 1 {
            return Err(refused("the ledger's head is not where this transaction found it"));
        }
        self.head.set(head);
        Ok(())
    }

    async fn insert(&self, rows: &[(Option<NoticeKey>, LedgerRow)]) -> Res<()> {
        let each = |f: &dyn Fn(&LedgerRow) -> i64| rows.iter().map(|(_, row)| f(row)).collect::<Vec<_>>();
        let some = |f: &dyn Fn(&LedgerRow) -> Option<i64>| rows.iter().map(|(_, row)| f(row)).collect::<Vec<_>>();
        let words = |f: &dyn Fn(&LedgerRow) -> Option<&'static str>| rows.iter().map(|(_, row)| f(row)).collect::<Vec<_>>();
        let keys: Vec<Option<&[u8]>> = rows.iter().map(|(key, _)| key.as_ref().map(|key| &key.0[..])).collect();
        let links: Vec<&[u8]> = rows.iter().map(|(_, row)| row.chain.as_ref().map_or(&[][..], |link| &link.0[..])).collect();
        let events: Vec<&str> = rows.iter().map(|(_, row)| row.event.as_str()).collect();
        let details: Vec<Option<&str>> = rows.iter().map(|(_, row)| row.detail.as_deref()).collect();
        let sql = "INSERT INTO ledger (practice, chain, seq, at, notice_key, session_id, participation_id, event, from_state, to_state, reason, detail, link)
                   SELECT $1, $2, * FROM unnest($3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[],
                                                $11::text[], $12::text[], $13::bytea[])";
        let added = self
            .execute(
                sql,
                &[
                    &self.practice,
                    &CHAIN,
                    &each(&|row| row.seq),
                    &each(&|row| ms(row.at)),
                    &keys,
                    &some(&|row| row.session_id.map(|id| id.0)),
                    &some(&|row| row.participation_id.map(|id| id.0)),
                    &events,
                    &words(&|row| row.from_state.map(State::as_str)),
                    &words(&|row| row.to_state.map(State::as_str)),
                    &words(&|row| row.reason.map(Reason::as_str)),
                    &details,
                    &links,
                ],
            )
            .await?;
        if added == rows.len() as u64 { Ok(()) } else { Err(refused("the ledger did not take a row: somebody changed the database")) }
    }

    /// How far the ledger has got, in this transaction.
    pub(super) fn head(&self) -> Anchor {
        self.head.get()
    }

    /// Its rows follow that one, as if it had begun there.
    pub(super) fn goes_on_from(&self, head: Anchor) {
        self.head.set(head);
    }

    /// The ledger's last row, if this transaction has written one.
    pub(super) fn written(&self) -> Option<Anchor> {
        Some(self.head.get()).filter(|head| *head != self.before)
    }

    /// Gives it up.
    pub(super) async fn undo(self) {
        drop(self.db.say("ROLLBACK").await);
    }
}

/// A key in a row of the ledger.
pub(super) fn opt_key(row: &Row, column: usize) -> Res<Option<NoticeKey>> {
    get::<Option<&[u8]>>(row, column)?.map(key_of).transpose()
}
