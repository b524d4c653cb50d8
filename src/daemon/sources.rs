//! What the sources say: read, walked, and told.

use chrono::{DateTime, SecondsFormat, Utc};

use super::faults::NotRead;
use super::{Engine, open_store, store_exists};
use crate::config::Config;
use crate::contact::Channel;
use crate::outbox::{SourceLook, StoreError, UnreadSource};
use crate::session::{AutoDeliver, Snapshot, SnapshotKind};
use crate::source::same::SourceRead;
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

/// Each of them is another node's progress.
const OVERTAKEN_MAX: usize = 10;

/// How much was walked when what a source says was read; it is refused if more is by then.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upon {
    /// The source's last walk.
    Source(i64),
    /// All walks: what it was read beside counts, too.
    All(i64),
}

impl Engine {
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

    async fn is_read(&self, known: &SourceLook, now: DateTime<Utc>) -> Result<(), StoreError> {
        if self.feeds.unread.note(&known.source, Ok(()), now) {
            tracing::info!(source = known.source, "the source can be read again");
        }
        if known.unread.is_some() { self.outbox.not_read(&known.source, None).await } else { Ok(()) }
    }

    /// Noted for whoever asks for the status, at any node, and told in the log. What waits of it is planned by the last good list.
    async fn is_not_read(&self, known: &SourceLook, NotRead { why, stays }: NotRead, now: DateTime<Utc>) -> Result<(), StoreError> {
        let source = &known.source;
        let since = known.unread.as_ref().map_or(now, |unread| unread.since.min(now));
        let unread = Some(UnreadSource { since, why: why.clone(), stays });
        if known.unread != unread {
            self.outbox.not_read(source, unread).await?;
        }
        if self.feeds.unread.note(source, Err(&why), now) {
            tracing::error!(source, %why, "the source could not be read; the last good snapshot stays in force");
        }
        self.plan_again(source).await
    }

    /// Walks one source. A source that cannot be read is told and counts as unchanged: `false`. What another node walked meanwhile is newer than what was
    /// read here: then it is asked again.
    async fn ask(&self, source: &Source) -> Result<bool, StoreError> {
        for _ in 0..OVERTAKEN_MAX {
            if let Some(whole) = self.ask_once(source).await? {
                return Ok(whole);
            }
        }
        tracing::warn!(source = %source.name, "other nodes walk all the time: left to the next look");
        Ok(false)
    }

    /// `None`: another node walked meanwhile.
    async fn ask_once(&self, source: &Source) -> Result<Option<bool>, StoreError> {
        if let Some(idle) = self.membership.idle() {
            tracing::debug!(source = %source.name, idle.why, "not asked");
            return Ok(Some(false));
        }
        let known = self.look_of(source).await?;
        if let Some(until) = source.left_alone((known.quiet_until, known.refusals), self.clock.now()) {
            self.tell_left_alone(&source.name, until);
            return Ok(Some(false));
        }
        if !self.clock.is_plausible() {
            tracing::error!(source = %source.name, now = %self.clock.now(), "the clock cannot be right: nothing is planned until it is");
            return Ok(Some(false));
        }
        let (now, walked) = (self.clock.now(), self.outbox.walks_of(&source.name).await?);
        let rests = walk::rests(&*self.outbox, &source.name, &self.policy, now).await?;
        let last = rests.as_ref().and_then(|rest| source.memory.last(rest.walks));
        let early = self.feeds.early.take(&source.name).await;
        let read = source.read_since(last, early, now).await;
        self.note_rest(source, &known).await?;
        let read = match read {
            Ok(read) => self.unless_older(source, read).await?,
            Err(why) => Err(NotRead::now(why)),
        };
        let (mut snapshot, print) = match read {
            Ok(SourceRead::Now(snapshot, print)) => (snapshot, print),
            Ok(SourceRead::Same(print)) => {
                self.is_read(&known, now).await?;
                let (at, walks) = rests.map_or((now, 0), |rest| (rest.last_snapshot_at, rest.walks));
                self.note_read(source, Some(&print)).await?;
                source.memory.walked(Some(print), walks);
                walk::heard(&*self.outbox, &source.name, &self.policy, at, now).await?;
                return Ok(Some(true));
            }
            Err(why) => {
                self.is_not_read(&known, why, now).await?;
                return Ok(Some(false));
            }
        };
        self.is_read(&known, now).await?;
        ambiguity::mark(&mut snapshot, now);
        self.feeds.told.tell(&source.name, &snapshot.told().lines());
        self.feeds.records.note(&source.name, &snapshot, now);
        let report = self.apply(&source.name, &snapshot, Upon::Source(walked)).await?;
        if report.applied.overtaken {
            return Ok(None);
        }
        self.note_read(source, print.as_ref()).await?;
        source.memory.walked(print, report.walks);
        Ok(Some(snapshot.kind == SnapshotKind::Full))
    }

    /// Its refusal was told by the process that met it: not again with every poll that it asked to be spared. The one that is responsible for it since has
    /// not told of it yet.
    fn tell_left_alone(&self, source: &str, until: DateTime<Utc>) {
        tracing::debug!(source, "not asked: it wants to be left alone for a while");
        if self.membership.leads() && !self.feeds.unread.has(source) {
            let why = format!("it asked to be left alone until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true));
            self.feeds.unread.note(source, Err(&why), self.clock.now());
            tracing::error!(source, why, "the source is not asked; the last good snapshot stays in force");
        }
    }

    /// For whoever asks it next: after a restart, or at another node.
    async fn note_rest(&self, source: &Source, known: &SourceLook) -> Result<(), StoreError> {
        let SourceKind::Http(api) = &source.kind else { return Ok(()) };
        let (until, refusals) = api.left_alone(self.clock.now());
        if (until, refusals) != (known.quiet_until, known.refusals) {
            self.outbox.leave_alone(&source.name, until, refusals).await?;
        }
        Ok(())
    }

    /// What the store holds of it, whichever process was told that.
    async fn look_of(&self, source: &Source) -> Result<SourceLook, StoreError> {
        let look = self.outbox.looks().await?.into_iter().find(|look| look.source == source.name);
        Ok(look.unwrap_or_else(|| SourceLook { source: source.name.clone(), ..SourceLook::default() }))
    }

    /// Walks a snapshot. Durable when it returns, unless another node walked meanwhile.
    pub(super) async fn apply(&self, source: &str, snapshot: &Snapshot, upon: Upon) -> Result<walk::WalkSummary, StoreError> {
        self.dispatcher.lapse().await?;
        self.dispatcher.renderer.live_codes().put(source, &snapshot.sessions, self.clock.now());
        // One after the other: what each source says is held against what the others say.
        let mut known = self.feeds.elsewhere.lock().await;
        // What ends early leaves nothing there.
        let mut elsewhere = std::mem::take(&mut *known);
        let walks = match upon {
            Upon::All(walks) => walks,
            Upon::Source(_) => self.outbox.walks().await?,
        };
        if let Upon::Source(walked) = upon
            && self.outbox.walks_of(source).await? != walked
        {
            *known = elsewhere;
            return Ok(walk::WalkSummary::overtaken());
        }
        elsewhere.expects(walks);
        let just_read = &self.dispatcher.just_read;
        just_read.forget();
        let told = |what: walk::WalkProgress<'_>| match what {
            walk::WalkProgress::Listed(session) => just_read.put(session),
            walk::WalkProgress::Part => {
                self.wake_lanes();
                self.feeds.first_part.notify_one();
            }
        };
        let walk = walk::walk_with_progress(&*self.outbox, &mut elsewhere, (source, snapshot), (&self.policy, self.clock.now()), &told);
        let report = walk.await?;
        *known = elsewhere;
        drop(known);
        if report.applied.overtaken {
            return Ok(report);
        }
        self.dispatcher.has_walked((report.after, report.applied.walks));
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
        while self.clock.is_plausible() && self.membership.idle().is_none() {
            let report = walk::again(&*self.outbox, source, &self.policy, self.clock.now()).await?;
            if !report.applied.overtaken {
                self.tell_walk(source, &report);
                break;
            }
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
