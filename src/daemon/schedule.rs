//! What is done by cron expressions: polls, bounces, the letter to the practice, upkeep, the ping.
//!
//! The scheduler looks twice a second whether an expression's next moment has come, by the wall clock: once that is set back, none comes for as long.
//! So it is made anew, with moments of the right clock, whenever the clock was set, which [`clocks`](super::clocks) finds by clocks that nobody sets.
//! That it goes on shows by a beat each minute: [`Pulse`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_cron_scheduler::JobScheduler;

use super::Engine;
use super::cron::{Cron, watched};
use crate::clock::Upset;
use crate::dispatch::Lane;
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
        let mut upsets = self.feeds.looks.upsets();
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
        let cron = Cron::new(failed).await?;
        for asked in &self.feeds.sources {
            let source = Arc::clone(asked);
            let poll = self.job(move |engine| {
                let source = Arc::clone(&source);
                async move { engine.poll(&source).await }
            });
            cron.every(&asked.poll, "a source's poll", poll).await?;
        }
        if let Some((_, expression)) = &self.bounces {
            let read = |engine: Arc<Self>| async move { if engine.membership.leads() { engine.read_bounces().await } else { Ok(()) } };
            cron.every(expression, "the bounces' poll", self.job(read)).await?;
        }
        cron.every(&self.keep.prune, "[retention] prune", self.job(|engine| async move { engine.prune().await })).await?;
        if let Some(ping) = self.pings()? {
            let expression = ping.cron().to_owned();
            cron.every(&expression, "[server] ping", self.job(move |engine| ping.clone().send(engine))).await?;
        }
        let beat = self.job(|engine| async move {
            engine.monitors.pulse.beat();
            Ok(())
        });
        cron.every(EVERY_MINUTE, "the beat", beat).await?;
        if self.digest.is_some() {
            // What was missed while nothing ran is not missed for another minute.
            let letter = self.job(|engine| async move { engine.write_letter().await });
            tokio::spawn(watched(failed.clone(), letter()));
            cron.every(EVERY_MINUTE, "the letter to the practice", letter).await?;
        }
        let scheduler = cron.start().await?;
        self.monitors.pulse.beat();
        Ok(scheduler)
    }

    /// A job of this engine's.
    fn job<D, F: Fn(Arc<Self>) -> D>(self: &Arc<Self>, job: F) -> impl Fn() -> D + use<D, F> {
        let engine = Arc::clone(self);
        move || job(Arc::clone(&engine))
    }

    /// Sends the letter to the practice if it is due, and not before the sources were asked: until then nobody knows what it should tell. One that is
    /// still under way is not started twice.
    async fn write_letter(&self) -> Result<(), StoreError> {
        let Some(digest) = &self.digest else { return Ok(()) };
        self.feeds.looks.done().await;
        if !self.membership.leads() {
            return Ok(());
        }
        let Ok(_turn) = self.letter.try_lock() else { return Ok(()) };
        digest.tick().await.map(drop)
    }

    /// Asks all sources, beside each other: one that hangs holds up no other one. A poll that runs has read before: another one follows it.
    pub(super) fn poll_all(self: &Arc<Self>, failed: &mpsc::Sender<StoreError>) {
        for asked in &self.feeds.sources {
            let (engine, asked) = (Arc::clone(self), Arc::clone(asked));
            tokio::spawn(watched(failed.clone(), async move { engine.look_at(&asked, false).await.map(drop) }));
        }
    }

    /// Asks the sources when a notice waits for a fresh look at its own: beside each other, and none that is being asked. Never ends.
    pub(super) async fn ask_when_wanted(self: Arc<Self>, lane: Arc<Lane>, failed: mpsc::Sender<StoreError>) {
        loop {
            lane.refresh_requested().await;
            watched(failed.clone(), self.want_elsewhere()).await;
            for asked in &self.feeds.sources {
                let (engine, asked) = (Arc::clone(&self), Arc::clone(asked));
                tokio::spawn(watched(failed.clone(), async move { engine.refresh(&asked).await }));
            }
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
