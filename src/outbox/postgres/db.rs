//! One connection, and one transaction of the writer.
//!
//! A transaction holds the practice: alone, or, for steps of attempts, beside those of other writers. The ledger is written at its end, in one statement,
//! behind the head of a chain that it holds, too: what is decided over many rows goes into the first chain, whichever process writes it; steps go into the
//! chain of their writer ([`super::chains`]).
//!
//! Rows get their places, which give them one order over all chains, under a lock that is shared until the commit: whoever has held it alone for a moment
//! knows that no row comes to stand before those that it sees ([`Db::settle`]).

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use super::columns::{get, key_of, link, ms};
use super::connect::{PgConnection, Server};
use super::error::{Failure, Res, refused};
use super::lineage::{self, Lineage};
use super::plans::{COST, Plans, REPLAN};
use super::sealed::Sealer;
use super::silence::Silence;
use super::statements::Statements;
pub(super) use super::statements::Values;
use crate::entry::State;
use crate::ledger::{Anchor, Event, LedgerRow};
use crate::notice::{NoticeKey, Reason};

/// The first chain of this store's ledger, which opens and seals the others.
pub(super) const CHAIN: i32 = 1;

/// Of a practice, in two numbers: held alone by what decides over many rows, beside others by steps of attempts.
const PRACTICE: i32 = 0x5075_6e01;
/// Held beside others from the drawing of places to the commit.
const PLACES: i32 = 0x5075_6e02;
/// Nobody is so long between the two, but who copies a whole practice, or hangs.
const SETTLED_WITHIN: &str = "SET LOCAL lock_timeout = '3s'";

/// How long the server bears a transaction that says nothing, and a statement: others wait for what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Usual,
    /// Of what writes: of a process that stopped in the middle of one it is given up soon.
    Short,
    /// All of a practice is read in one transaction: a long one is no connection that hangs.
    Endless,
}

impl Patience {
    /// `set`: for the connection (`SET`), or for a transaction (`SET LOCAL`).
    pub(super) fn says(self, set: &str) -> String {
        let (idle, statement) = match self {
            Self::Usual => ("30s", "150s"),
            Self::Short => ("10s", "150s"),
            Self::Endless => ("0", "0"),
        };
        format!("{set} idle_in_transaction_session_timeout = '{idle}'; {set} statement_timeout = '{statement}'")
    }
}

/// Said of each connection that is ours alone.
const SETTINGS: &str = "SET timezone = 'UTC'; SET client_encoding = 'UTF8'";
/// Likewise of a commit, which waits for a standby at most.
const COMMIT_WITHIN: Duration = Duration::from_secs(15);

/// A connection, of one practice.
pub(super) struct Db {
    client: Client,
    statements: Statements,
    silence: Silence,
    /// The server said of a commit that it is not where it should be.
    warned: Arc<AtomicBool>,
    patience: Cell<Patience>,
    /// Behind a pooler each transaction looks where it is: in this database, or, without one, in any that is no standby.
    lineage: RefCell<Option<Lineage>>,
    pub(super) plans: Plans,
    /// The last place that nobody comes to stand before any more, as far as this connection knows.
    settled: Cell<i64>,
    pub(super) practice: i32,
    pub(super) sealer: Sealer,
}

impl Db {
    /// A new connection to that server.
    pub(super) async fn connect(server: &Server, practice: i32, sealer: Sealer) -> Res<Self> {
        let PgConnection { client, warned, statements, host } = server.connect().await?;
        let (patience, plans, settled) = (Cell::new(Patience::Usual), Plans::new(), Cell::new(i64::MAX));
        let silence = Silence::of(server, host);
        let db = Self { client, statements, silence, warned, patience, lineage: RefCell::default(), plans, settled, practice, sealer };
        if !db.is_pooled() {
            db.say(&format!("{SETTINGS}; SET {COST}")).await?;
        }
        db.endures(Patience::Usual).await?;
        Ok(db)
    }

    /// Whether its transactions may be at different servers.
    fn is_pooled(&self) -> bool {
        matches!(self.statements, Statements::Typed(_))
    }

    /// So much patience the server has with this connection from here on.
    pub(super) async fn endures(&self, patience: Patience) -> Res<()> {
        self.patience.set(patience);
        // A pooler gives what is said of a connection to whoever has it next.
        if self.is_pooled() { Ok(()) } else { self.say(&patience.says("SET")).await }
    }

    /// Which database this is.
    pub(super) async fn ask_lineage(&self) -> Res<Lineage> {
        get(&self.one(lineage::SQL, &[]).await?, 0).map(Lineage)
    }

    /// Transactions elsewhere are refused from here on.
    pub(super) fn stays_in(&self, lineage: &Lineage) {
        self.lineage.replace(Some(lineage.clone()));
    }

    /// Begins a transaction: `sql` begins with `BEGIN`, and may say what it holds.
    pub(super) async fn begin(&self, sql: &str) -> Res<()> {
        let (begin, holds) = sql.split_once(';').unwrap_or((sql, ""));
        if !self.is_pooled() {
            // In one message: the caller's next statement may be on its way already.
            return if self.plans.are_old() { self.say(&format!("{begin}; {REPLAN}; {holds}")).await } else { self.say(sql).await };
        }
        let sql = format!("{begin}; SET LOCAL {COST}; {}; {}; {holds}", self.patience.get().says("SET LOCAL"), lineage::SQL);
        let said = self.silence.broken_by(pin!(async { Ok(self.client.simple_query(&sql).await?) })).await?;
        let there = said.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None });
        let there = there.map(|text| Lineage(text.to_owned())).ok_or_else(|| refused("the database does not say which one it is"))?;
        let is_there = self.lineage.borrow().as_ref().map_or(!there.is_of_a_standby(), |expected| *expected == there);
        if is_there { Ok(()) } else { Err(Failure::Elsewhere) }
    }

    /// The rows that a statement gives.
    pub(super) async fn query(&self, sql: &str, values: Values<'_>) -> Res<Vec<Row>> {
        self.silence.broken_by(pin!(self.statements.query(&self.client, sql, values))).await
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
        self.silence.broken_by(pin!(self.statements.execute(&self.client, sql, values))).await
    }

    /// Statements without values: `BEGIN`, `COMMIT`.
    pub(super) async fn say(&self, sql: &str) -> Res<()> {
        self.silence.broken_by(pin!(async { Ok(self.client.batch_execute(sql).await?) })).await
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

    /// Waits for who has drawn places and has not committed: what is read next has every row up to [`Db::settled`].
    pub(super) async fn settle(&self) -> Res<()> {
        self.unsettled();
        let last = async {
            self.begin(&format!("BEGIN; {SETTLED_WITHIN}")).await?;
            self.query("SELECT pg_advisory_xact_lock($1, $2)", &[&PLACES, &self.practice]).await?;
            let last = self.one("SELECT last_value FROM ledger_place_seq", &[]).await?;
            self.say("COMMIT").await?;
            get::<i64>(&last, 0)
        };
        match last.await {
            Ok(last) => {
                self.settled.set(last);
                Ok(())
            }
            Err(failure) => {
                drop(self.say("ROLLBACK").await);
                Err(failure)
            }
        }
    }

    /// What is read next may have been written in any order.
    pub(super) fn never_settled(&self) {
        self.settled.set(0);
    }

    /// What is read next is all that was committed.
    pub(super) fn unsettled(&self) {
        self.settled.set(i64::MAX);
    }

    /// The last place that was settled; without that, the last of all: in a transaction that holds the practice alone it is.
    pub(super) fn settled(&self) -> i64 {
        self.settled.get()
    }

    /// Nobody hears this connection any more.
    pub(super) fn is_closed(&self) -> bool {
        self.silence.fell() || self.client.is_closed()
    }

    /// The clock that leases are measured by.
    pub(super) async fn now(&self) -> Res<DateTime<Utc>> {
        get(&self.one("SELECT clock_timestamp()", &[]).await?, 0)
    }
}

/// One transaction of the writer.
pub(super) struct Tx<'c> {
    db: &'c Db,
    /// The chain that it writes.
    chain: i32,
    /// Where that one's head was at its beginning.
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
    /// Begins one that decides over many rows: it waits for whoever writes of this practice now, and nobody writes beside it.
    pub(super) async fn begin(db: &'c Db) -> Res<Self> {
        Self::holding(db, "pg_advisory_xact_lock", CHAIN).await
    }

    /// Begins one that takes steps of attempts, beside those of other writers, in the chain of this one.
    pub(super) async fn beside(db: &'c Db, chain: i32) -> Res<Self> {
        Self::holding(db, "pg_advisory_xact_lock_shared", chain).await
    }

    async fn holding(db: &'c Db, lock: &str, chain: i32) -> Res<Self> {
        let sql = format!("BEGIN; SELECT {lock}({PRACTICE}, {})", db.practice);
        // Said at once, done one after the other: the head is read when the lock is there.
        let (begun, tx) = tokio::join!(db.begin(&sql), Self::on(db, chain));
        let begun = begun.and(tx);
        if begun.is_err() {
            drop(db.say("ROLLBACK").await);
        }
        begun
    }

    /// Another chain, in a transaction that holds the practice: flushed before its commit.
    pub(super) async fn on(db: &'c Db, chain: i32) -> Res<Self> {
        let sql = "SELECT seq, link FROM chain WHERE practice = $1 AND id = $2 FOR UPDATE";
        let row = db.one(sql, &[&db.practice, &chain]).await?;
        let head = Anchor { seq: get(&row, 0)?, link: link(&row, 1)? };
        Ok(Self { db, chain, before: head, head: Cell::new(head), rows: RefCell::default() })
    }

    /// Others write of the practice at the same time.
    pub(super) fn is_beside(&self) -> bool {
        self.chain != CHAIN
    }

    /// Adds a row to the ledger.
    pub(super) fn append(&self, row: LedgerRow) -> Res<()> {
        let key = row.key.as_deref().map(|key| key.parse::<NoticeKey>().map_err(refused)).transpose()?;
        self.rows.borrow_mut().push((key, row));
        Ok(())
    }

    /// An operator's deed that is about no notice.
    pub(super) fn note(&self, at: DateTime<Utc>, event: Event, detail: &str) -> Res<()> {
        self.append(LedgerRow::new(at, event, detail))
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
            row.chain_id = Some(self.chain).filter(|chain| *chain != CHAIN);
            head = Anchor { seq: row.seq, link: head.link.follow(key.as_deref(), row) };
            row.chain = Some(head.link);
        }
        // The head first: from here to the commit, others wait who ask for all rows up to a place.
        let sql =
            "UPDATE chain SET seq = $4, link = $5, unsealed_since = CASE WHEN id <> $7 THEN coalesce(unsealed_since, clock_timestamp()) END
                   WHERE practice = $1 AND id = $2 AND seq = $3 AND link = $6 RETURNING pg_advisory_xact_lock_shared($8, $1)";
        let values: Values<'_> =
            &[&self.practice, &self.chain, &before.seq, &head.seq, &&head.link.0[..], &&before.link.0[..], &CHAIN, &PLACES];
        let (moved, inserted) = tokio::join!(self.exists(sql, values), self.insert(&rows));
        if !moved? {
            return Err(refused("the ledger's head is not where this transaction found it"));
        }
        inserted?;
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
                    &self.chain,
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

    /// Rolls it back.
    pub(super) async fn undo(self) {
        drop(self.db.say("ROLLBACK").await);
    }
}

/// A key in a row of the ledger.
pub(super) fn opt_key(row: &Row, column: usize) -> Res<Option<NoticeKey>> {
    get::<Option<&[u8]>>(row, column)?.map(key_of).transpose()
}
