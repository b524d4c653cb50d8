//! The one connection of a process that writes. What arrives while a commit runs goes into the next one, and is answered when that is durable.
//!
//! A transaction that decides over many rows holds the practice alone from its first statement to its end, so that one of them follows another, whichever
//! process asks: a write sees all that was written before it, as in SQLite. Steps of attempts to hand notices over, which are most of what is written, lock
//! their notices, and are taken beside those of other writers, in a transaction of their own. They still see whatever was written alone before.
//!
//! When the connection is lost, another one is tried for a while, and the transaction is done again, unless the ledger has the last row of it, in the chain
//! that it wrote: then only the answer was lost. What collides with another transaction is done again, too. Of a group that fails for any other reason each write is done by itself,
//! so that one which cannot be done harms no other.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::ask::{Ask, Run};
use super::attempt::{self, AttemptStep};
use super::chains;
use super::columns::link;
use super::db::{CHAIN, Db, Tx};
use super::error::{Failure, Res};
use super::open::Home;
use crate::ledger::Anchor;
use crate::outbox::{Result, StoreError};

/// Writes in one transaction, so that the first of a long queue is answered before the last has run.
const GROUP: usize = 256;
/// So long a database that went away is waited for: a restart, a switch-over. One of several nodes waits until it is back.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// So often it is told.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// So long an end waits for its seal.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// Collisions in a row: then somebody else is at fault.
const COLLISIONS: u32 = 5;

/// Steps of attempts: those of a group are done together.
struct Steps {
    steps: Vec<AttemptStep>,
    answer: oneshot::Sender<Result<Vec<bool>>>,
}

enum Job {
    Steps(Steps),
    Op(&'static str, Box<dyn Run>),
}

impl Job {
    /// Steps that only lock the notices that they are about.
    fn is_beside(&self) -> bool {
        matches!(self, Self::Steps(Steps { steps, .. }) if steps.iter().all(AttemptStep::is_of_a_notice))
    }

    /// A step of an attempt is taken in any case.
    fn give_up(&self) {
        if let Self::Op(_, op) = self {
            op.give_up();
        }
    }

    fn is_given_up(&self) -> bool {
        matches!(self, Self::Op(_, op) if op.is_given_up())
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Steps(steps) => steps.steps.first().map_or("step", AttemptStep::action),
            Self::Op(action, _) => action,
        }
    }
}

/// The handle of the writer's thread. Dropping it ends the thread after what it runs, and waits for that.
pub(super) struct Writer {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(home: Home) -> Result<Self> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let desk = WriterThread {
            name: chains::writer().map_err(|failure| home.explain("open", &failure))?,
            home,
            db: None,
            chain: None,
            was_cut_off: false,
        };
        let thread = super::thread::thread("outbox-writer", async move || serve(desk, queue).await)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `op` in the next transaction, and answers when that is durable.
    pub(super) async fn write<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Tx<'_>) -> Res<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Op(action, Box::new(Ask::new(op, answer))));
        answered.await.unwrap_or_else(|_| Err(ended(action)))
    }

    /// Takes steps of attempts in the next transaction. For each: whether it was possible.
    pub(super) async fn take(&self, steps: Vec<AttemptStep>) -> Result<Vec<bool>> {
        let action = steps.first().map_or("step", AttemptStep::action);
        let (answer, answered) = oneshot::channel();
        self.send(Job::Steps(Steps { steps, answer }));
        answered.await.unwrap_or_else(|_| Err(ended(action)))
    }

    fn send(&self, job: Job) {
        // If the thread is gone, the answer's other end is dropped with the job, which tells the caller.
        drop(self.jobs.as_ref().expect("the sender is there until the drop").send(job));
    }
}

fn ended(action: &str) -> StoreError {
    StoreError { action: action.to_owned(), cause: "its writer thread ended in a panic".to_owned() }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(mut desk: WriterThread, mut queue: mpsc::UnboundedReceiver<Job>) {
    while let Some(first) = queue.recv().await {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        if desk.was_cut_off {
            group.iter().for_each(Job::give_up);
            group.retain(|job| !job.is_given_up());
        }
        // Steps first: what passes a point of no return waits for nothing else.
        let (steps, others): (Vec<Job>, Vec<Job>) = group.into_iter().partition(Job::is_beside);
        for part in [steps, others] {
            if !part.is_empty() {
                desk.commit(part).await;
            }
        }
        // What comes from here on was not asked while it was away.
        desk.was_cut_off &= !queue.is_empty();
    }
    desk.close().await;
}

/// The connection, and what is done on it.
struct WriterThread {
    home: Home,
    db: Option<Db>,
    /// What its chain is known by.
    name: String,
    /// Its chain, once it is opened: at the first step.
    chain: Option<i32>,
    /// What waits was asked while the database was away, or before: somebody may have given it up.
    was_cut_off: bool,
}

/// What a commit would have left that was never answered: the last row of a chain, and what the group would have been told.
type Unanswered = (i32, Anchor, Vec<bool>);

impl WriterThread {
    /// Seals its chain, if it can at once: else a daemon does.
    async fn close(&mut self) {
        if self.chain.is_some()
            && let Some(db) = self.db.take().filter(|db| !db.is_closed())
        {
            drop(tokio::time::timeout(CLOSE_WITHIN, sealed(&self.home, &db)).await);
        }
    }

    async fn commit(&mut self, group: Vec<Job>) {
        match self.done(&group).await {
            Ok(answers) => tell(group, answers),
            Err(failure) if group.len() > 1 && !failure.is_lost() && !matches!(failure, Failure::Unconfirmed) => {
                for job in group {
                    let outcome = self.done(std::slice::from_ref(&job)).await;
                    self.settle(job, outcome);
                }
            }
            Err(failure) => {
                for job in group {
                    refuse(job, &self.home, &failure);
                }
            }
        }
    }

    fn settle(&self, job: Job, outcome: Res<Vec<bool>>) {
        match outcome {
            Ok(answers) => tell(vec![job], answers),
            Err(failure) => refuse(job, &self.home, &failure),
        }
    }

    /// Does it until it is done, or cannot be.
    async fn done(&mut self, group: &[Job]) -> Res<Vec<bool>> {
        let (since, mut told) = (Instant::now(), Duration::ZERO);
        let mut collisions = 0;
        let mut last: Option<Unanswered> = None;
        loop {
            let failure = match self.once(group, &mut last).await {
                Ok(answers) => return Ok(answers),
                Err(Failure::Apart) if collisions < COLLISIONS => match self.take_part().await {
                    Ok(()) => {
                        collisions += 1;
                        continue;
                    }
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            if failure.is_a_collision() && collisions < COLLISIONS {
                collisions += 1;
                tokio::time::sleep(PAUSE / 10 * collisions).await;
            } else if failure.is_lost() && (self.home.waits() || since.elapsed() < PATIENCE) {
                (self.db, self.was_cut_off) = (None, true);
                self.home.reach.lost(Instant::now());
                group.iter().for_each(Job::give_up);
                if since.elapsed() >= told {
                    tracing::warn!(why = failure.in_words(), store = self.home.shown(), "the store is tried again");
                    told = since.elapsed() + TELL_EVERY;
                }
                tokio::time::sleep(PAUSE).await;
            } else {
                self.db = None;
                return Err(failure);
            }
        }
    }

    /// Again, after it was taken for gone.
    async fn take_part(&mut self) -> Res<()> {
        let db = match self.db.take().filter(|db| !db.is_closed()) {
            Some(db) => db,
            None => self.home.writer().await?,
        };
        let tx = Tx::begin(&db).await?;
        if let Err(failure) = self.home.is_ours(&tx).await {
            tx.undo().await;
            return Err(failure);
        }
        db.commit().await?;
        self.db = Some(db);
        Ok(())
    }

    async fn once(&mut self, group: &[Job], last: &mut Option<Unanswered>) -> Res<Vec<bool>> {
        let db = match self.db.take().filter(|db| !db.is_closed()) {
            Some(db) => db,
            None => self.home.writer().await?,
        };
        self.home.reach.found();
        let db = self.db.insert(db);
        if let Some((chain, wanted, answers)) = last.take() {
            let there = is_there(db, chain, wanted).await;
            match there {
                Ok(true) => return Ok(answers),
                Ok(false) => {}
                Err(failure) => {
                    *last = Some((chain, wanted, answers));
                    return Err(failure);
                }
            }
        }
        let chain = match self.chain {
            _ if !group.iter().all(Job::is_beside) => CHAIN,
            Some(chain) => chain,
            None => *self.chain.insert(chains::open(&self.home, db, &self.name).await?),
        };
        let (mut answers, mut wanted) = (Vec::new(), None);
        let run = transact(&self.home, (db, chain), group, (&mut answers, &mut wanted));
        let failure = match run.await {
            Ok(()) => return Ok(answers),
            Err(failure) => failure,
        };
        *last = wanted.map(|wanted| (chain, wanted, answers));
        Err(failure)
    }
}

async fn begin(db: &Db, chain: i32) -> Res<Tx<'_>> {
    if chain == CHAIN { Tx::begin(db).await } else { Tx::beside(db, chain).await }
}

/// Whether the ledger has that row: whoever else is about to commit is waited for.
async fn is_there(db: &Db, chain: i32, wanted: Anchor) -> Res<bool> {
    let tx = begin(db, chain).await?;
    let sql = "SELECT link FROM ledger WHERE practice = $1 AND chain = $2 AND seq = $3";
    let found = db.first(sql, &[&db.practice, &chain, &wanted.seq]).await?.map(|row| link(&row, 0)).transpose()?;
    tx.undo().await;
    Ok(found == Some(wanted.link))
}

/// `wanted`: the chain's last row, once its commit is on its way. Without one nothing was changed that may not be done again.
async fn transact(
    home: &Home,
    (db, chain): (&Db, i32),
    group: &[Job],
    (answers, wanted): (&mut Vec<bool>, &mut Option<Anchor>),
) -> Res<()> {
    let tx = begin(db, chain).await?;
    if let Err(failure) = run(home, &tx, group, answers).await {
        tx.undo().await;
        return Err(failure);
    }
    *wanted = tx.written();
    db.commit().await
}

async fn sealed(home: &Home, db: &Db) -> Res<()> {
    let tx = Tx::begin(db).await?;
    home.is_ours(&tx).await?;
    chains::seal(&tx, chains::NEWER).await?;
    db.commit().await
}

async fn run(home: &Home, tx: &Tx<'_>, group: &[Job], answers: &mut Vec<bool>) -> Res<()> {
    home.is_ours(tx).await?;
    let steps: Vec<&AttemptStep> =
        group.iter().filter_map(|job| if let Job::Steps(job) = job { Some(&job.steps) } else { None }).flatten().collect();
    if !steps.is_empty() {
        *answers = attempt::take(tx, &steps).await?;
    }
    for job in group {
        if let Job::Op(_, op) = job {
            op.run(tx).await?;
        }
    }
    tx.flush().await
}

/// Tells each caller of a group what it asked.
fn tell(group: Vec<Job>, answers: Vec<bool>) {
    let mut answers = answers.into_iter();
    for job in group {
        match job {
            Job::Steps(Steps { steps, answer }) => drop(answer.send(Ok(answers.by_ref().take(steps.len()).collect()))),
            Job::Op(_, op) => op.answer(Ok(())),
        }
    }
}

fn refuse(job: Job, home: &Home, failure: &Failure) {
    let error = home.explain(job.action(), failure);
    match job {
        Job::Steps(Steps { answer, .. }) => drop(answer.send(Err(error))),
        Job::Op(_, op) => op.answer(Err(error)),
    }
}
