//! What is done by cron expressions: polls, bounces, the letter to the practice, upkeep, the ping.
//!
//! The scheduler looks twice a second whether an expression's next moment has come, by the wall clock: once that is set back, none comes for as long.
//! So it is made anew, with moments of the right clock, whenever the clock was set, which [`clocks`](super::clocks) finds by clocks that nobody sets.
//! That it goes on shows by a beat each minute: [`Pulse`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_cron_scheduler::{Job, JobScheduler};

use super::Engine;
use crate::clock::Upset;
use crate::config::Source;
use crate::digest::Digest;
use crate::dispatch::Lane;
use crate::dispatch::looks::Looks;
use crate::outbox::StoreError;

/// Nothing is polled any more if the scheduler has not shown itself for so long.
const BEAT_MAX: Duration = Duration::from_secs(3 * 60);
/// A poll that takes longer hangs.
const POLL_MAX: Duration = Duration::from_secs(10 * 60);
/// The scheduler knows no zone whose clocks change, so the letter looks at the practice's clock itself.
const EVERY_MINUTE: &str = "0 * * * * *";

/// Whether the scheduler goes on, and which polls run since when: by the monotonic clock, which nobody sets.
#[derive(Default)]
pub(super) struct Pulse {
    beat: Mutex<Option<Instant>>,
    running: Mutex<HashMap<String, Instant>>,
}

/// A poll that runs; it has ended when this is dropped.
pub(super) struct Running<'a> {
    pulse: &'a Pulse,
    source: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        locked(&self.pulse.running).remove(&self.source);
    }
}

impl Pulse {
    /// A poll of this source begins.
    pub(super) fn runs(&self, source: &str) -> Running<'_> {
        locked(&self.running).insert(source.to_owned(), Instant::now());
        Running { pulse: self, source: source.to_owned() }
    }

    fn beat(&self) {
        *locked(&self.beat) = Some(Instant::now());
    }

    /// Why sources are not polled as they should be; empty: they are.
    pub(super) fn faults(&self, now: Instant) -> Vec<String> {
        let since = |then: Instant| now.saturating_duration_since(then);
        let minutes = |then: Instant| since(then).as_secs() / 60;
        let stands = locked(&self.beat).filter(|then| since(*then) > BEAT_MAX);
        let mut faults: Vec<String> =
            stands.map(|then| format!("nothing is polled: the scheduler stands still for {} minutes", minutes(then))).into_iter().collect();
        let running = locked(&self.running);
        let mut hang: Vec<_> = running.iter().filter(|(_, then)| since(**then) > POLL_MAX).collect();
        hang.sort();
        faults.extend(hang.into_iter().map(|(source, then)| format!("source {source} does not answer for {} minutes", minutes(*then))));
        faults
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Schedules all, anew after each set clock. Ends only if that cannot be done. Whoever ends it shuts the scheduler down.
    pub(super) async fn keep_polling(
        self: &Arc<Self>,
        scheduler: &mut Option<JobScheduler>,
        failed: &mpsc::Sender<StoreError>,
    ) -> anyhow::Error {
        let mut upsets = self.looks.upsets();
        loop {
            match self.schedule(failed).await {
                Ok(made) => *scheduler = Some(made),
                Err(error) => return error,
            }
            let upset = upsets.next().await;
            if let (Upset::Set(_), Some(mut old)) = (upset, scheduler.take()) {
                // Jobs that run end by themselves.
                old.shutdown().await.ok();
            }
            if let Err(error) = self.meet(upset, failed).await {
                return error.into();
            }
        }
    }

    /// Polls each source by its cron expression, and looks every minute whether a letter to the practice is due.
    async fn schedule(self: &Arc<Self>, failed: &mpsc::Sender<StoreError>) -> anyhow::Result<JobScheduler> {
        let scheduler = JobScheduler::new().await.context("the scheduler")?;
        for (source, expression) in self.sources.iter().zip(&self.polls) {
            let (engine, source, failed) = (Arc::clone(self), Arc::clone(source), failed.clone());
            let job = Job::new_async(expression.as_str(), move |_, _| {
                let (engine, source, failed) = (Arc::clone(&engine), Arc::clone(&source), failed.clone());
                Box::pin(async move { engine.poll(&source, &failed).await })
            });
            scheduler.add(job.context("a source's poll")?).await.context("a source's poll")?;
        }
        if let Some((_, poll)) = &self.bounces {
            let (engine, failed) = (Arc::clone(self), failed.clone());
            let job = Job::new_async(poll.as_str(), move |_, _| {
                let (engine, failed) = (Arc::clone(&engine), failed.clone());
                Box::pin(async move {
                    if let Err(error) = engine.read_bounces().await {
                        failed.try_send(error).ok();
                    }
                })
            });
            scheduler.add(job.context("the bounces' poll")?).await.context("the bounces' poll")?;
        }
        self.prune_by_cron(&scheduler, failed).await?;
        self.ping_by_cron(&scheduler).await?;
        let engine = Arc::clone(self);
        let beat = Job::new_async(EVERY_MINUTE, move |_, _| {
            let engine = Arc::clone(&engine);
            Box::pin(async move { engine.pulse.beat() })
        });
        scheduler.add(beat.context("the beat")?).await.context("the beat")?;
        if let Some(digest) = &self.digest {
            let letter = DigestJob {
                digest: Arc::clone(digest),
                turn: Arc::clone(&self.letter),
                looks: Arc::clone(&self.looks),
                failed: failed.clone(),
            };
            // What was missed while nothing ran is not missed for another minute.
            tokio::spawn(letter.clone().write());
            let job = Job::new_async(EVERY_MINUTE, move |_, _| Box::pin(letter.clone().write()));
            scheduler.add(job.context("the letter to the practice")?).await.context("the letter to the practice")?;
        }
        scheduler.start().await.context("the scheduler")?;
        self.pulse.beat();
        Ok(scheduler)
    }

    /// One poll of a source. A poll that is still running is not started twice.
    pub(super) async fn poll(&self, source: &tokio::sync::Mutex<Source>, failed: &mpsc::Sender<StoreError>) {
        let Ok(source) = source.try_lock() else { return };
        if let Err(error) = self.walk(&source).await {
            failed.try_send(error).ok();
        }
    }

    /// Polls all sources, beside each other: one that hangs holds up no other one. A poll that runs has read before: another one follows it.
    pub(super) fn poll_all(self: &Arc<Self>, failed: &mpsc::Sender<StoreError>) {
        for source in &self.sources {
            let (engine, source, failed) = (Arc::clone(self), Arc::clone(source), failed.clone());
            tokio::spawn(async move {
                if let Err(error) = engine.walk(&*source.lock().await).await {
                    failed.try_send(error).ok();
                }
            });
        }
    }

    /// Asks the sources when a notice waits for a fresh look at its own: beside each other, and none that is being asked. Never ends.
    pub(super) async fn ask_when_wanted(self: Arc<Self>, lane: Arc<Lane>, failed: mpsc::Sender<StoreError>) {
        loop {
            lane.look_wanted().await;
            for source in &self.sources {
                let (engine, source, failed) = (Arc::clone(&self), Arc::clone(source), failed.clone());
                tokio::spawn(async move { engine.poll(&source, &failed).await });
            }
        }
    }
}

/// The letter to the practice, and what it waits for.
#[derive(Clone)]
struct DigestJob {
    digest: Arc<Digest>,
    /// One that is still under way is not started twice.
    turn: Arc<tokio::sync::Mutex<()>>,
    looks: Arc<Looks>,
    failed: mpsc::Sender<StoreError>,
}

impl DigestJob {
    /// Sends it if it is due, and not before the sources were asked: until then nobody knows what it should tell.
    async fn write(self) {
        self.looks.done().await;
        let Ok(_turn) = self.turn.try_lock() else { return };
        if let Err(error) = self.digest.tick().await {
            self.failed.try_send(error).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_that_stands_still_and_a_poll_that_hangs_are_told() {
        let pulse = Pulse::default();
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(pulse.faults(after(1000)).is_empty(), "it has not begun");
        pulse.beat();
        let running = pulse.runs("a");
        assert!(pulse.faults(after(100)).is_empty());
        assert_eq!(pulse.faults(after(200)), ["nothing is polled: the scheduler stands still for 3 minutes"]);
        assert_eq!(pulse.faults(after(700)).len(), 2);
        drop(running);
        assert_eq!(pulse.faults(after(700)).len(), 1);
    }
}
