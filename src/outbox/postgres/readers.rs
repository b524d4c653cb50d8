//! Connections that read, beside the one that writes: a long list never delays a commit.
//!
//! In: what to ask. Out: answers from one moment (REPEATABLE READ), which has every write that was answered before. A read whose connection is lost is
//! asked again on another one.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::db::Db;
use super::error::{Failure, Res};
use super::open::Home;
use crate::outbox::{Result, StoreError};

/// Reads at once: a dashboard, a command of the daemon, the planner and the dispatcher.
const READERS: usize = 4;
/// A read that takes longer is given up.
const READ_WITHIN: Duration = Duration::from_secs(120);
/// So long a database that went away is waited for, but by one of several nodes.
const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(250);
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

trait Read: Send {
    fn run<'a>(&'a self, db: &'a Db) -> Pin<Box<dyn Future<Output = Res<()>> + 'a>>;
    fn answer(self: Box<Self>, outcome: std::result::Result<(), StoreError>);
    /// Nobody waits for it any more.
    fn is_given_up(&self) -> bool;
}

struct ReadRequest<F, T> {
    op: F,
    value: RefCell<Option<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<F, T> Read for ReadRequest<F, T>
where
    F: AsyncFn(&Db) -> Res<T> + Send,
    T: Send,
{
    fn run<'a>(&'a self, db: &'a Db) -> Pin<Box<dyn Future<Output = Res<()>> + 'a>> {
        Box::pin(async move {
            let value = (self.op)(db).await?;
            self.value.replace(Some(value));
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: std::result::Result<(), StoreError>) {
        let Self { value, answer, .. } = *self;
        drop(answer.send(outcome.map(|()| value.into_inner().expect("it ran"))));
    }

    fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }
}

/// How far a read waits for who is about to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settles {
    /// Not at all: it sees what was committed.
    Not,
    /// Until no row of the ledger comes to stand before those that it sees; for seconds at most, then it sees what was committed.
    Lately,
    /// Likewise; then all that it sees counts as touched.
    Surely,
}

type Job = (&'static str, Settles, Box<dyn Read>);

/// The handle of the thread that reads. Dropping it ends the thread, and waits for that.
pub(super) struct Readers {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(home: Home) -> Result<Self> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let thread = super::thread::thread("outbox-reader", async move || serve(home, queue).await)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `op` in a transaction that only reads.
    pub(super) async fn read<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Db) -> Res<T> + Send + 'static,
    {
        self.ask((action, Settles::Not), op).await
    }

    /// Likewise, of the ledger's rows in their order.
    pub(super) async fn read_in_order<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Db) -> Res<T> + Send + 'static,
    {
        self.ask((action, Settles::Lately), op).await
    }

    /// Likewise, of what shows later whether anything came between.
    pub(super) async fn read_settled<T, F>(&self, action: &'static str, op: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Db) -> Res<T> + Send + 'static,
    {
        self.ask((action, Settles::Surely), op).await
    }

    async fn ask<T, F>(&self, (action, settles): (&'static str, Settles), op: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFn(&Db) -> Res<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(ReadRequest { op, value: RefCell::new(None), answer });
        drop(self.jobs.as_ref().expect("the sender is there until the drop").send((action, settles, job)));
        let ended = || StoreError { action: action.to_owned(), cause: "the read did not end".to_owned() };
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(home: Home, mut queue: mpsc::UnboundedReceiver<Job>) {
    let (home, permits, idle) = (Rc::new(home), Rc::new(Semaphore::new(READERS)), Rc::<RefCell<Vec<Db>>>::default());
    let mut running = tokio::task::JoinSet::new();
    while let Some((action, settles, job)) = queue.recv().await {
        while running.try_join_next().is_some() {}
        let (home, permits, idle) = (Rc::clone(&home), Rc::clone(&permits), Rc::clone(&idle));
        running.spawn_local(async move {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            let outcome = done(&home, &idle, (settles, &*job)).await;
            job.answer(outcome.map_err(|failure| home.explain(action, &failure)));
        });
    }
    // Whoever asked waits for an answer.
    while running.join_next().await.is_some() {}
}

async fn done(home: &Home, idle: &RefCell<Vec<Db>>, job: (Settles, &dyn Read)) -> Res<()> {
    let since = Instant::now();
    loop {
        let failure = match once(home, idle, job).await {
            Ok(()) => {
                home.reach.found();
                return Ok(());
            }
            Err(failure) => failure,
        };
        if failure.is_lost() {
            home.reach.lost(Instant::now());
        }
        let is_told = home.only_asks() && matches!(failure, Failure::Silent(_));
        if job.1.is_given_up() || !failure.is_lost() || is_told || (!home.waits() && since.elapsed() > PATIENCE) {
            return Err(failure);
        }
        idle.borrow_mut().clear();
        tokio::time::sleep(PAUSE).await;
    }
}

/// A connection whose read failed is closed, its transaction with it.
async fn once(home: &Home, idle: &RefCell<Vec<Db>>, (settles, job): (Settles, &dyn Read)) -> Res<()> {
    let free = idle.borrow_mut().pop().filter(|db| !db.is_closed());
    let db = match free {
        Some(db) => db,
        None => home.connection().await?,
    };
    let read = async {
        match settles {
            Settles::Not => db.unsettled(),
            Settles::Surely | Settles::Lately => match db.settle().await {
                // Somebody hangs there: what shows whether anything came between says so, and reads go on.
                Err(failure) if failure.is_a_collision() && settles == Settles::Surely => db.never_settled(),
                Err(failure) if !failure.is_a_collision() => return Err(failure),
                _ => {}
            },
        }
        db.begin(BEGIN).await?;
        job.run(&db).await?;
        db.say("COMMIT").await
    };
    tokio::time::timeout(READ_WITHIN, read).await.map_err(|_| Failure::Silent(READ_WITHIN.as_secs()))??;
    idle.borrow_mut().push(db);
    Ok(())
}
