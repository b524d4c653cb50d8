//! Serving, and its end: what runs beside what, and in which order it stops.
//!
//! A stop takes as long as `stop_within` at the most. A reload hurries nobody: the lanes begin nothing new, and what is past its point of no return
//! keeps its time-outs, the letter to the practice and an answer to a reply as well, while the sources are polled and the server answers as before.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{MutexGuard, mpsc, watch};
use tokio::task::JoinSet;
use tokio_cron_scheduler::JobScheduler;

use super::intake::Intake;
use super::{Engine, OnceReport};
use crate::dispatch::{Lane, RECALLED, Span};
use crate::entry::{AttemptEnd, State};
use crate::outbox::{self, Action, Filter, StoreError};
use crate::web;

/// From one look to the next whether what a reload waits for has ended.
const REST: Duration = Duration::from_millis(100);

/// So long an end waits for its mark.
const MARK_WITHIN: Duration = Duration::from_secs(5);

/// What an end says that would wait for a database, and for nothing else.
const AWAY: &str = "the database is away, and nothing is in hand: the end does not wait for it";
/// A database that is away for so long is no restart of it.
const AWAY_FOR: Duration = Duration::from_secs(3);
/// Said of what is left at an end.
const LATE: &str = "some attempts did not end in time: the next start takes them back, or reports them as in doubt";

/// How serving ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// It goes on.
    #[default]
    NotYet,
    /// For another configuration: whoever waits for an answer still gets it.
    Reload,
    /// The service stops, within its limit.
    Stop,
}

impl From<bool> for Ending {
    fn from(stop: bool) -> Self {
        if stop { Self::Stop } else { Self::NotYet }
    }
}

/// The lanes as they run.
type Lanes = JoinSet<outbox::Result<crate::dispatch::Tally>>;

impl Engine {
    /// Serves until it is told to end (then `Ok`) or the store fails.
    pub async fn serve<E>(self: Arc<Self>, mut told: watch::Receiver<E>) -> anyhow::Result<()>
    where
        E: Into<Ending> + Copy + Send + Sync + 'static,
    {
        let (failed, mut failure) = mpsc::channel::<StoreError>(1);
        let (no_claims, claims_end) = watch::channel(false);
        let (ending, end) = watch::channel(false);
        let mut watch = JoinSet::new();
        watch.spawn(Arc::clone(&self).keep_watch());
        // Ends when this does.
        let mut asking = JoinSet::new();
        let mut server = JoinSet::new();
        self.open(&mut server, &mut asking, &failed, end).await?;
        let mut lanes = self.run_lanes(&claims_end).await?;
        self.beside(&mut asking, &failed);
        // By itself: what is under way is waited for.
        let mut answering = JoinSet::new();
        let (engine, answered) = (Arc::clone(&self), failed.clone());
        answering.spawn(async move {
            answered.try_send(engine.answers.run(|| engine.membership.idle().is_none()).await).ok();
        });
        let mut scheduler = None;
        let outcome = tokio::select! {
            told = told.wait_for(|told| (*told).into() != Ending::NotYet) => Ok(told.map_or(Ending::Stop, |told| (*told).into())),
            error = self.poll_and_tell(&mut scheduler, &failed) => Err(error),
            Some(error) = failure.recv() => Err(error.into()),
            Some(ended) = lanes.join_next() => match ended { Ok(Err(error)) => Err(error.into()), _ => Ok(Ending::Stop) },
        };
        tracing::info!("stopping: what is in hand is finished");
        no_claims.send_replace(true);
        let mut letters = None;
        let (no_claims_meanwhile, _) = watch::channel(false);
        if let Ok(Ending::Reload) = outcome {
            let calm = async { tokio::join!(self.answers_come(&mut lanes, &no_claims_meanwhile), self.letters_end()).1 };
            tokio::select! {
                ended = calm => letters = Some(ended),
                _ = told.wait_for(|told| (*told).into() == Ending::Stop) => {}
                _ = failure.recv() => {}
            }
            no_claims_meanwhile.send_replace(true);
        }
        if let Some(scheduler) = &mut scheduler {
            scheduler.shutdown().await.ok();
        }
        ending.send_replace(true);
        drop(asking);
        let finish = async {
            if letters.is_none() {
                letters = Some(self.letters_end().await);
            }
            while server.join_next().await.is_some() {}
            while lanes.join_next().await.is_some() {}
        };
        self.waits_for(finish).await;
        outcome?;
        self.mark_at_last().await
    }

    /// [`Engine::once`], unless it is told to end: then nothing new leaves, and what may have been taken has as long for its answer as in any stop. `None`:
    /// it was told.
    pub async fn once_until(&self, told: impl Future<Output = ()>) -> anyhow::Result<Option<OnceReport>> {
        let mut once = pin!(self.once());
        tokio::select! {
            report = &mut once => return report.map(Some),
            () = told => {}
        }
        tracing::info!("stopping: what is in hand is finished");
        self.lanes.iter().for_each(|(lane, _)| lane.shut());
        let lanes: Vec<&Lane> = self.lanes.iter().map(|(lane, _)| &**lane).collect();
        let rest = async {
            tokio::select! {
                report = once => report.map(drop),
                () = answered(&lanes) => Ok(()),
            }
        };
        if let Ok(ended) = tokio::time::timeout(self.stop_within, rest).await {
            ended?;
        } else {
            tracing::warn!("{LATE}");
        }
        self.mark_at_last().await.map(|()| None)
    }

    /// Until all is finished, or it is known that it will not be.
    async fn waits_for(&self, finish: impl Future<Output = ()>) {
        tokio::select! {
            finished = tokio::time::timeout(self.stop_within, finish) => if finished.is_err() {
                tracing::warn!("{LATE}");
            },
            () = self.has_nothing_but_a_database_to_wait_for() => tracing::warn!("{AWAY}"),
        }
    }

    /// The database is away, and nothing is in hand whose end it must be told of.
    async fn has_nothing_but_a_database_to_wait_for(&self) {
        let in_hand = || self.lanes.iter().any(|(lane, _)| lane.beyond() > 0 || lane.meter().in_flight() > 0);
        while in_hand() || self.outbox.cut_off_since().is_none_or(|since| since.elapsed() < AWAY_FOR) {
            tokio::time::sleep(REST).await;
        }
    }

    /// Of a database that is away nothing is marked: the next start finds what there is.
    async fn mark_at_last(&self) -> anyhow::Result<()> {
        if let Ok(marked) = tokio::time::timeout(MARK_WITHIN, self.outbox.mark()).await {
            marked?;
        } else {
            tracing::warn!("the store does not answer: it is not marked how far it has got");
        }
        Ok(())
    }

    /// Whoever starts the service, or reloads it, has often mended a server: what waits because its channel was at fault is tried at once.
    async fn try_again(&self) -> outbox::Result<()> {
        for (lane, _) in &self.lanes {
            let lately = self.outbox().settled_lately(lane.channel, RECALLED).await?;
            let last: HashMap<_, _> = lately.iter().map(|ended| (ended.key, ended.end == AttemptEnd::ChannelFault)).collect();
            let keys: Vec<_> = last.into_iter().filter_map(|(key, at_fault)| at_fault.then_some(key)).collect();
            let filter = Filter { keys, states: vec![State::Waiting], ..Filter::default() };
            if filter.keys.is_empty() {
                continue;
            }
            let waiting: Vec<_> = self.outbox().list(&filter).await?.into_iter().map(|entry| entry.notice.key).collect();
            self.outbox().act_by(Some("the start"), &waiting, Action::Retry, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Each lane, by itself, until claims end.
    async fn run_lanes(&self, claims_end: &watch::Receiver<bool>) -> outbox::Result<Lanes> {
        self.try_again().await?;
        let mut lanes = JoinSet::new();
        self.run_those(&mut lanes, claims_end, |_| true);
        Ok(lanes)
    }

    fn run_those(&self, lanes: &mut Lanes, claims_end: &watch::Receiver<bool>, which: impl Fn(&Lane) -> bool) {
        for (lane, wake) in self.lanes.iter().filter(|(lane, _)| which(lane)) {
            let span = Span::Looking(claims_end.clone(), Arc::clone(&self.feeds.looks));
            lanes.spawn(Arc::clone(&self.dispatcher).run(Arc::clone(lane), span, Arc::clone(wake)));
        }
    }

    /// The server, and what comes in by it.
    async fn open(
        self: &Arc<Self>,
        server: &mut JoinSet<()>,
        asking: &mut JoinSet<()>,
        failed: &mpsc::Sender<StoreError>,
        end: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let Some(settings) = &self.server else { return Ok(()) };
        let listener = TcpListener::bind(settings.listen).await.with_context(|| format!("[server] listen = \"{}\"", settings.listen))?;
        self.address.set(listener.local_addr()?).ok();
        let engine = Arc::new(Intake::new(Arc::clone(self), settings, failed.clone()));
        asking.spawn(Arc::clone(&engine).ask_when_nudged());
        asking.spawn(Arc::clone(&engine).keep_taking_decided());
        server.spawn(web::serve(listener, settings.clone(), engine, self.office(), end));
        Ok(())
    }

    /// What runs beside the lanes, of itself.
    fn beside(self: &Arc<Self>, asking: &mut JoinSet<()>, failed: &mpsc::Sender<StoreError>) {
        for (lane, _) in &self.lanes {
            asking.spawn(Arc::clone(self).ask_when_wanted(Arc::clone(lane), failed.clone()));
        }
        self.poll_all(failed);
        asking.spawn(Arc::clone(self).watch_the_clocks());
        asking.spawn(Arc::clone(self).keep_marking());
        asking.spawn(Arc::clone(self).keep_telling(failed.clone()));
        asking.spawn(Arc::clone(self).keep_tending(failed.clone()));
    }

    /// Once the sources are asked: ready, and polled from then on. Never ends, but with an error.
    async fn poll_and_tell(self: &Arc<Self>, scheduler: &mut Option<JobScheduler>, failed: &mpsc::Sender<StoreError>) -> anyhow::Error {
        let ready = async {
            if self.membership.idle().is_some() {
                // Nothing is asked, and another start would change nothing of that.
                self.show_status().await;
                self.monitors.notifier.ready();
            }
            self.feeds.looks.done().await;
            self.wake_lanes();
            tracing::info!(sources = self.feeds.sources.len(), "ready");
            self.show_status().await;
            self.monitors.notifier.ready();
            Arc::clone(self).keep_status().await;
        };
        tokio::select! {
            error = self.keep_polling(scheduler, failed) => error,
            () = ready => anyhow::anyhow!("the line of status ended"),
        }
    }

    /// What is under way of the letter to the practice, and of the answers to replies, ends; and no other one begins while this is held.
    async fn letters_end(&self) -> [MutexGuard<'_, ()>; 2] {
        let (letter, answer) = tokio::join!(self.letter.lock(), self.answers.turn.lock());
        [letter, answer]
    }

    /// The lanes end, or those of their attempts that may have been taken do. The others have `stop_within` to get there; after that they are not
    /// begun again here. `no_claims` ends what is begun meanwhile.
    async fn answers_come(&self, lanes: &mut Lanes, no_claims: &watch::Sender<bool>) {
        if self.end_soon(lanes).await {
            return;
        }
        let (owed, others): (Vec<&Lane>, Vec<&Lane>) = self.lanes.iter().map(|(lane, _)| &**lane).partition(|lane| lane.beyond() > 0);
        owed.iter().for_each(|lane| lane.shut());
        if !owed.is_empty() && !others.is_empty() {
            // No channel waits for another one's server: its messages go on as before meanwhile.
            self.run_those(lanes, &no_claims.subscribe(), |lane| others.iter().any(|other| other.channel == lane.channel));
            answered(&owed).await;
            no_claims.send_replace(true);
            self.end_soon(lanes).await;
        }
        others.iter().for_each(|lane| lane.shut());
        answered(&[owed, others].concat()).await;
    }

    /// Whether they end within `stop_within`. If not, it is told what is waited for.
    async fn end_soon(&self, lanes: &mut Lanes) -> bool {
        let ended = async { while lanes.join_next().await.is_some() {} };
        if tokio::time::timeout(self.stop_within, ended).await.is_ok() {
            return true;
        }
        for (lane, _) in self.lanes.iter().filter(|(lane, _)| lane.beyond() > 0) {
            tracing::warn!(
                channel = %lane.channel,
                messages = lane.beyond(),
                "the reload waits for a server that owes an answer; until it comes, or is not waited for any longer, nothing else of this channel leaves: a restart does not wait"
            );
        }
        false
    }
}

/// Nothing that may have been taken waits for its answer any more.
async fn answered(lanes: &[&Lane]) {
    while lanes.iter().any(|lane| lane.beyond() > 0) {
        tokio::time::sleep(REST).await;
    }
}
