//! A practice that is left for another store, and one that is filled from another: see [`crate::outbox::copy`].
//!
//! Either is one transaction, which holds the practice alone: nobody else writes of it meanwhile. It runs on a thread of its own, and is
//! asked what to do next; whoever asks no more gives it up.

use std::sync::mpsc;
use std::thread::JoinHandle;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::carry;
use super::columns::get;
use super::connect::Server;
use super::db::{CHAIN, Patience, Tx};
use super::error::{Res, refused};
use super::heart::Heart;
use super::history;
use super::merge::Merge;
use super::open::{self, Home};
use crate::ledger::Event;
use crate::outbox::origin::StoreOrigin;
use crate::outbox::rows::{Cells, CopyFrom, CopyTo, StoreIdentity, Table};
use crate::outbox::words::{FILLING, refusal};
use crate::outbox::{Result, StoreError, StoreKey};

/// What is asked of the thread.
enum CopyRequest {
    Own,
    Rows(&'static Table, Cells),
    Put(&'static Table, Vec<Cells>),
    Ready(StoreIdentity, String, DateTime<Utc>),
    Left(String),
    Commit,
}

enum Say {
    Done,
    StoreIdentity(StoreIdentity),
    Rows(Vec<Cells>),
}

type Answer = Res<Say>;

/// Either of the two.
pub(in crate::outbox) struct Side {
    asks: Option<UnboundedSender<CopyRequest>>,
    answers: mpsc::Receiver<Result<Say>>,
    thread: Option<JoinHandle<()>>,
    to: String,
    /// Dropped last: until then nobody else may serve the practice.
    _heart: Option<Heart>,
}

impl Side {
    /// Of a practice that is left for that place.
    pub(in crate::outbox) fn leave(
        (server, practice): (&Server, &str),
        key: Option<&StoreKey>,
        (to, now): (&str, DateTime<Utc>),
    ) -> Result<Self> {
        let standing = open::stands(server, practice)?;
        if !standing.made {
            return Err(StoreError {
                action: format!("copy ({})", server.shown()),
                cause: "there is no store of this practice".to_owned(),
            });
        }
        let (home, origin) = open::open_moved(server, practice, key)?;
        let place = to.to_owned();
        Self::start(home, to, false, async move |tx| begin_to_leave(tx, origin, (&place, now)).await)
    }

    /// Of a practice that must be empty yet. It is marked first: until it is filled no start takes it for a new practice's.
    pub(in crate::outbox) fn arrive((server, practice): (&Server, &str), key: Option<&StoreKey>) -> Result<Self> {
        let (home, _) = open::open_moved(server, practice, key)?;
        let lineage = home.lineage.0.clone();
        Self::start(home, "", true, async move |tx| begin_to_arrive(tx, &lineage).await)
    }

    fn start<F>(home: Home, to: &str, fills: bool, begin: F) -> Result<Self>
    where
        F: AsyncFnOnce(&Tx<'_>) -> Res<bool> + Send + 'static,
    {
        let heart = Heart::start(&home)?;
        let ((asks, asked), (answer, answers)) = (unbounded_channel(), mpsc::channel());
        let thread = super::thread::thread("outbox-copy", async move || {
            let explained = answer.clone();
            if let Err(failure) = serve(&home, (fills, begin), asked, &answer).await {
                drop(explained.send(Err(home.explain("copy", &failure))));
            }
        })?;
        let side = Self { asks: Some(asks), answers, thread: Some(thread), to: to.to_owned(), _heart: heart };
        side.answer()?;
        Ok(side)
    }

    fn ask(&self, ask: CopyRequest) -> Result<Say> {
        drop(self.asks.as_ref().map(|asks| asks.send(ask)));
        self.answer()
    }

    fn answer(&self) -> Result<Say> {
        let ended = || StoreError { action: "copy".to_owned(), cause: "its thread ended in a panic".to_owned() };
        self.answers.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.asks.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl CopyFrom for Side {
    fn own(&mut self) -> Result<StoreIdentity> {
        match self.ask(CopyRequest::Own)? {
            Say::StoreIdentity(own) => Ok(own),
            Say::Done | Say::Rows(_) => unreachable!("it was asked for itself"),
        }
    }

    fn rows(&mut self, table: &'static Table, after: Cells) -> Result<Vec<Cells>> {
        match self.ask(CopyRequest::Rows(table, after))? {
            Say::Rows(rows) => Ok(rows),
            Say::Done | Say::StoreIdentity(_) => unreachable!("it was asked for rows"),
        }
    }

    fn left(self: Box<Self>) -> Result<()> {
        self.ask(CopyRequest::Left(self.to.clone()))?;
        self.ask(CopyRequest::Commit).map(drop)
    }
}

impl CopyTo for Side {
    fn put(&mut self, table: &'static Table, rows: Vec<Cells>) -> Result<()> {
        self.ask(CopyRequest::Put(table, rows)).map(drop)
    }

    fn ready(&mut self, own: &StoreIdentity, from: &str, now: DateTime<Utc>) -> Result<()> {
        let own = StoreIdentity { reference_key: own.reference_key.clone(), ..*own };
        self.ask(CopyRequest::Ready(own, from.to_owned(), now)).map(drop)
    }

    fn settle(self: Box<Self>) -> Result<()> {
        self.ask(CopyRequest::Commit).map(drop)
    }
}

/// What is empty is filled.
const MARK: &str =
    "UPDATE practice SET moved_to = $2 WHERE id = $1 AND moved_to IS NULL AND NOT EXISTS (SELECT 1 FROM source WHERE practice = $1)
     AND NOT EXISTS (SELECT 1 FROM ledger WHERE practice = $1) AND NOT EXISTS (SELECT 1 FROM suppression WHERE practice = $1) RETURNING id";

async fn serve<F>(
    home: &Home,
    (fills, begin): (bool, F),
    mut asked: UnboundedReceiver<CopyRequest>,
    answer: &mpsc::Sender<Result<Say>>,
) -> Res<()>
where
    F: AsyncFnOnce(&Tx<'_>) -> Res<bool>,
{
    let db = home.connection().await?;
    db.stays_in(&home.lineage);
    db.endures(Patience::Endless).await?;
    if fills {
        db.query(MARK, &[&home.practice, &FILLING]).await?;
    }
    let tx = Tx::begin(&db).await?;
    home.is_ours(&tx).await?;
    let was_left = begin(&tx).await?;
    let mut merge = if fills { None } else { Merge::of(&tx).await? };
    drop(answer.send(Ok(Say::Done)));
    while let Some(ask) = asked.recv().await {
        let said = done(&tx, home, ask, (was_left, &mut merge)).await?;
        drop(answer.send(Ok(said)));
    }
    Ok(())
}

/// `merge`: if several chains leave.
async fn done(tx: &Tx<'_>, home: &Home, ask: CopyRequest, (was_left, merge): (bool, &mut Option<Merge>)) -> Answer {
    match ask {
        CopyRequest::Own => {
            let row = tx.one("SELECT reference_key FROM practice WHERE id = $1", &[&tx.practice]).await?;
            Ok(Say::StoreIdentity(StoreIdentity {
                reference_key: get(&row, 0)?,
                head: merge.as_ref().map_or(tx.head(), Merge::head),
                was_left,
            }))
        }
        CopyRequest::Rows(table, after) => match (merge, table.name) {
            (Some(merge), "ledger") => merge.rows(tx).await.map(Say::Rows),
            (Some(merge), "ledger_key") => merge.keys(tx, after).await.map(Say::Rows),
            _ => carry::rows(tx, table, after).await.map(Say::Rows),
        },
        CopyRequest::Put(table, rows) => carry::put(tx, table, rows).await.map(|()| Say::Done),
        CopyRequest::Ready(own, from, now) => ready(tx, &home.lineage.0, &own, (&from, now)).await.map(|()| Say::Done),
        CopyRequest::Left(to) => {
            tx.execute("UPDATE practice SET moved_to = $2 WHERE id = $1", &[&tx.practice, &to]).await?;
            Ok(Say::Done)
        }
        CopyRequest::Commit => tx.commit().await.map(|()| Say::Done),
    }
}

/// Whether it was left for that place before.
async fn begin_to_leave(tx: &Tx<'_>, origin: StoreOrigin, (to, now): (&str, DateTime<Utc>)) -> Res<bool> {
    if origin != StoreOrigin::Own {
        return Err(refused(
            "it is another database than the one that ran last: start the daemon on it once, which holds what may have been told",
        ));
    }
    let row = tx.one("SELECT moved_to FROM practice WHERE id = $1", &[&tx.practice]).await?;
    match get::<Option<&str>>(&row, 0)? {
        Some(place) if place != to => Err(refused(refusal(place))),
        Some(_) => Ok(true),
        None => {
            tx.note(now, Event::CopiedTo, to)?;
            tx.flush().await?;
            Ok(false)
        }
    }
}

async fn begin_to_arrive(tx: &Tx<'_>, lineage: &str) -> Res<bool> {
    let sql = "SELECT moved_to IS DISTINCT FROM $2 OR EXISTS (SELECT 1 FROM source WHERE practice = $1) OR EXISTS (SELECT 1 FROM ledger WHERE practice = $1)
                   OR EXISTS (SELECT 1 FROM suppression WHERE practice = $1) FROM practice WHERE id = $1";
    if get(&tx.one(sql, &[&tx.practice, &FILLING]).await?, 0)? {
        return Err(refused("the practice has a store there already, which is not empty: give another database"));
    }
    tx.execute("UPDATE practice SET lineage = $2 WHERE id = $1", &[&tx.practice, &lineage]).await?;
    tx.execute("DELETE FROM visit WHERE practice = $1", &[&tx.practice]).await?;
    tx.execute("DELETE FROM ledger_key WHERE practice = $1", &[&tx.practice]).await?;
    Ok(false)
}

async fn ready(tx: &Tx<'_>, lineage: &str, own: &StoreIdentity, (from, now): (&str, DateTime<Utc>)) -> Res<()> {
    tx.execute(
        "UPDATE practice SET reference_key = $2, lineage = $3, moved_to = NULL WHERE id = $1",
        &[
            &tx.practice,
            &own.reference_key,
            // Of no database: the next start holds what is due.
            &if own.was_left { "" } else { lineage },
        ],
    )
    .await?;
    let sql = "UPDATE chain SET seq = $3, link = $4 WHERE practice = $1 AND id = $2";
    tx.execute(sql, &[&tx.practice, &CHAIN, &own.head.seq, &&own.head.link.0[..]]).await?;
    tx.goes_on_from(own.head);
    carry::numbers_go_on(tx).await?;
    if let Some(finding) = history::verify(tx, Some(own.head)).await?.findings.first() {
        return Err(refused(format!("the ledger is not as it was written: {finding}; see punctual ledger verify")));
    }
    tx.note(now, Event::CopiedFrom, from)?;
    tx.flush().await
}
