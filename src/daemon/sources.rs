//! What the sources say: read, walked, and told.

use chrono::{DateTime, Utc};

use super::{Engine, open_store, store_exists};
use crate::config::Config;
use crate::contact::Channel;
use crate::outbox::StoreError;
use crate::session::{AutoDeliver, Extent, Snapshot};
use crate::source::same::Said;
use crate::source::{Source, SourceKind, ambiguity, meaning, push};
use crate::walk;

/// What was last pushed to a source, as the store holds it; nothing, if there is no store yet.
pub async fn pushed(config: &Config, source: &Source, now: DateTime<Utc>) -> anyhow::Result<Snapshot> {
    if !store_exists(config) {
        return Ok(Snapshot::default());
    }
    let mut last = push::last(&open_store(config, false)?.sessions(&source.name, None).await?, now);
    meaning::apply(&mut last, &source.words);
    Ok(last)
}

impl Engine {
    /// The configured sources.
    pub fn names(&self) -> &[String] {
        &self.feeds.names
    }

    /// Asks one source and walks what it says; asked is asked, whatever it answers.
    pub(super) async fn walk(&self, source: &Source) -> Result<bool, StoreError> {
        // It is not closed while the engine lives.
        let _turn = self.feeds.asking.acquire().await;
        let begun = self.feeds.looks.begin();
        let _running = self.monitors.pulse.runs(&source.name);
        let walked = self.ask(source).await;
        self.feeds.looks.end_of(&source.name, begun);
        walked
    }

    fn is_read(&self, source: &str, now: DateTime<Utc>) {
        if self.feeds.unread.note(source, Ok(()), now) {
            tracing::info!(source, "the source can be read again");
        }
    }

    /// Walks one source. A source that cannot be read is told and counts as unchanged: `false`.
    pub(super) async fn ask(&self, source: &Source) -> Result<bool, StoreError> {
        if matches!(&source.kind, SourceKind::Http(api) if api.rests()) {
            // Its refusal was told: not again with every poll that it asked to be spared.
            tracing::debug!(source = %source.name, "not asked: it wants to be left alone for a while");
            return Ok(false);
        }
        if !self.clock.is_plausible() {
            tracing::error!(source = %source.name, now = %self.clock.now(), "the clock cannot be right: nothing is planned until it is");
            return Ok(false);
        }
        let now = self.clock.now();
        let rests = walk::rests(&*self.outbox, &source.name, &self.policy, now).await?;
        let last = rests.and_then(|_| source.memory.last());
        let early = self.feeds.early.take(&source.name).await;
        let (mut snapshot, print) = match source.read_since(last, early, now).await {
            Ok(Said::Now(snapshot, print)) => {
                self.is_read(&source.name, now);
                (snapshot, print)
            }
            Ok(Said::Same(print)) => {
                self.is_read(&source.name, now);
                source.memory.walked(Some(print));
                walk::heard(&*self.outbox, &source.name, &self.policy, rests.unwrap_or(now), now).await?;
                return Ok(true);
            }
            Err(why) => {
                if self.feeds.unread.note(&source.name, Err(&why), now) {
                    tracing::error!(source = %source.name, %why, "the source could not be read; the last good snapshot stays in force");
                }
                self.plan_again(&source.name).await?;
                return Ok(false);
            }
        };
        ambiguity::mark(&mut snapshot, now);
        self.feeds.told.tell(&source.name, &snapshot.told().lines());
        self.feeds.records.note(&source.name, &snapshot, now);
        self.apply(&source.name, &snapshot).await?;
        source.memory.walked(print);
        Ok(snapshot.extent == Extent::Whole)
    }

    /// Walks a snapshot. Durable when it returns.
    pub(super) async fn apply(&self, source: &str, snapshot: &Snapshot) -> Result<walk::WalkSummary, StoreError> {
        self.dispatcher.lapse().await?;
        self.dispatcher.renderer.live_codes().put(source, &snapshot.sessions, self.clock.now());
        // One after the other: what each source says is held against what the others say.
        let mut elsewhere = self.feeds.elsewhere.lock().await;
        let just_read = &self.dispatcher.just_read;
        just_read.forget();
        let told = |what: walk::Told<'_>| match what {
            walk::Told::Listed(session) => just_read.put(session),
            walk::Told::Part => {
                self.wake_lanes();
                self.feeds.first_part.notify_one();
            }
        };
        let walk = walk::walk_telling(&*self.outbox, &mut elsewhere, (source, snapshot), (&self.policy, self.clock.now()), &told);
        let report = walk.await?;
        drop(elsewhere);
        self.feeds.told.tell_waiting(source, report.waits);
        self.tell_no_way(source, snapshot);
        self.tell_walk(source, &report);
        Ok(report)
    }

    /// Of a channel that nothing is configured for.
    fn tell_no_way(&self, source: &str, snapshot: &Snapshot) {
        let without = self.lanes.iter().map(|(lane, _)| lane).filter(|lane| lane.pauses(self.clock.now()).next().is_none());
        for channel in without.map(|lane| lane.channel) {
            let wanted = if channel == Channel::Sms { AutoDeliver::Sms } else { AutoDeliver::Email };
            let people = snapshot.sessions.iter().filter(|s| s.is_active()).flat_map(|s| &s.participants);
            self.feeds.told.tell_no_way(source, channel, people.filter(|person| person.auto_deliver == wanted).count());
        }
    }

    /// Plans again what waits for it, of a source that cannot be asked.
    pub(super) async fn plan_again(&self, source: &str) -> Result<(), StoreError> {
        if self.clock.is_plausible() {
            let report = walk::again(&*self.outbox, source, &self.policy, self.clock.now()).await?;
            self.tell_walk(source, &report);
        }
        Ok(())
    }

    pub(super) fn tell_walk(&self, source: &str, report: &walk::WalkSummary) {
        if report.guarded > 0 {
            tracing::error!(
                source,
                sessions = report.guarded,
                "guard: too much changed at once; nothing is sent for it until somebody accepts it"
            );
        }
        if report.planned > 0 {
            let a = &report.applied;
            tracing::info!(
                source,
                sessions = report.sessions,
                planned = report.planned,
                added = a.added,
                moved = a.moved,
                ended = a.ended,
                "walked"
            );
            self.wake_lanes();
        }
    }
}
