//! Start, walk, serve, stop: the engine put together from the configuration. This file and the command line alone know the configuration.
//!
//! Start: store (locked), templates, transports, recovery. [`serve`]: one walk at once, then by each source's cron expression ([`schedule`]), and of
//! what is pushed when it comes ([`intake`]); one lane for each channel; what a set clock makes of it ([`clocks`]). Stop: no more walks and claims,
//! what is in hand is finished within a limit, in that order. A store error ends the process: messages could go out that nobody would remember.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, Notify, Semaphore, SetOnce};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::raw::Mode;
use crate::config::{Config, Gateway, Keep, Relay, Source, SourceKind, StoreUrl};
use crate::contact::Channel;
use crate::deliver::Transport;
use crate::deliver::shadow::Shadow;
use crate::desk::Desk;
use crate::desk::records::Records;
use crate::digest::Digest;
use crate::dispatch::looks::Looks;
use crate::dispatch::{Dispatcher, Lane, Span, Tally};
use crate::entry::State;
use crate::known::by_session;
use crate::outbox::sqlite::{Access, SqliteOutbox};
use crate::outbox::{Filter, Outbox, Restored, StoreError};
use crate::plan::compare::{compare, dues};
use crate::plan::{Policy, Suppressions};
use crate::render::{self, Renderer};
use crate::session::live::{HOLDS_FOR, LiveCodes};
use crate::session::{Extent, Session, SessionId, Snapshot};
use crate::source::same::{Print, Said};
use crate::source::words::Dictionary;
use crate::source::{ambiguity, file, kept, meaning, push};
use crate::walk;
use crate::web;
use crate::zone::{ReleaseWatch, Zone};

mod alerts;
pub mod clocks;
mod faults;
mod health;
mod intake;
pub mod maildir;
pub mod notify;
mod ping;
pub mod receipts;
pub mod replies;
mod returned;
mod schedule;
mod serve;
mod together;
mod upkeep;

use self::alerts::Alerts;
use self::notify::Notifier;
use self::replies::Answers;
use self::returned::Returned;
use self::schedule::Pulse;
pub use self::serve::Ending;

/// How often the host's zone data is looked at; and how long it must have stayed the same, when it is another one.
const ZONE_DATA_LOOK: Duration = Duration::from_secs(60 * 60);
const ZONE_DATA_SETTLES: Duration = Duration::from_secs(60);
/// Sessions that are read at once, to recall their codes.
const RECALLED: usize = 1_000;

/// Opens the configured store. `lock`: as the one process that hands over.
pub fn open_store(config: &Config, lock: bool) -> anyhow::Result<Arc<dyn Outbox>> {
    match &config.store {
        None => bail!("no store is configured: set [store] url = \"sqlite://punctual.db\""),
        Some(StoreUrl::Sqlite(path)) => {
            let access = if lock { Access::Daemon } else { Access::Command };
            Ok(Arc::new(SqliteOutbox::open_with(&format!("sqlite://{}", path.display()), access, config.store_key.as_ref())?))
        }
    }
}

/// Whether the configured store was ever filled.
pub fn store_exists(config: &Config) -> bool {
    matches!(&config.store, Some(StoreUrl::Sqlite(path)) if path.exists())
}

/// What a source says now, its words taken for what the practice says that they mean. The error names the file or the address, and the place in it.
pub async fn read_source(source: &Source) -> Result<Snapshot, String> {
    let mut snapshot = match &source.kind {
        SourceKind::File(settings) => {
            let settings = settings.clone();
            tokio::task::spawn_blocking(move || file::read(&settings)).await.unwrap_or_else(|e| Err(e.to_string()))
        }
        SourceKind::Http(api) => api.read().await,
        SourceKind::Push(_) => Err("sessions are pushed to it: it cannot be asked".to_owned()),
    }?;
    meaning::apply(&mut snapshot, &source.words);
    Ok(snapshot)
}

/// The same, unless it is what it was.
async fn read_since(source: &Source, last: Option<Print>, now: DateTime<Utc>) -> Result<Said, String> {
    let said = match &source.kind {
        SourceKind::File(settings) => {
            let settings = settings.clone();
            let reading = tokio::task::spawn_blocking(move || file::read_since(&settings, last.as_ref(), now));
            reading.await.unwrap_or_else(|e| Err(e.to_string()))
        }
        SourceKind::Http(api) => api.read_since(last.as_ref()).await,
        SourceKind::Push(_) => Err("sessions are pushed to it: it cannot be asked".to_owned()),
    }?;
    Ok(match said {
        Said::Now(mut snapshot, print) => {
            meaning::apply(&mut snapshot, &source.words);
            Said::Now(snapshot, print)
        }
        Said::Same(print) => Said::Same(print),
    })
}

/// What was last pushed to a source, as the store holds it; nothing, if there is no store yet.
pub async fn pushed(config: &Config, source: &Source) -> anyhow::Result<Snapshot> {
    if !store_exists(config) {
        return Ok(Snapshot::default());
    }
    let mut last = push::last(&open_store(config, false)?.sessions(&source.name, None).await?);
    meaning::apply(&mut last, &source.words);
    Ok(last)
}

/// The running parts.
pub struct Engine {
    outbox: Arc<dyn Outbox>,
    policy: Arc<Policy>,
    clock: Arc<dyn Clock>,
    dispatcher: Arc<Dispatcher>,
    lanes: Vec<(Arc<Lane>, Arc<Notify>)>,
    answers: Arc<Answers>,
    returned: Returned,
    /// Where bounces are read, and when.
    bounces: Option<(PathBuf, String)>,
    /// Those that are asked.
    sources: Vec<Arc<Mutex<Source>>>,
    /// When: their cron expressions, in the same order. (A source is locked while it is read.)
    polls: Vec<String>,
    asked: Vec<String>,
    /// All of them, those that are pushed to as well.
    names: Vec<String>,
    /// What each of them says, for the walks of the others.
    elsewhere: Mutex<walk::Elsewhere>,
    /// What the practice says of their words.
    words: HashMap<String, Dictionary>,
    /// Nothing is sent.
    shadow: bool,
    /// The daily letter to the practice.
    digest: Option<Arc<Digest>>,
    /// Held while the letter is written; and by an end, so that no other one is.
    letter: Arc<Mutex<()>>,
    server: Option<web::Settings>,
    practice: String,
    zone: Zone,
    /// Where the server listens, once it does.
    address: SetOnce<SocketAddr>,
    keep: Keep,
    ping: Option<crate::alert::Ping>,
    /// By which ways staff are told at once.
    alerts: Option<Alerts>,
    notifier: Notifier,
    started: Instant,
    stop_within: Duration,
    /// Nothing leaves before the sources were asked.
    looks: Arc<Looks>,
    /// A permit for each source that may be asked at a time.
    asking: Semaphore,
    /// Whether the sources are polled.
    pulse: Pulse,
    zone_data: ReleaseWatch,
    /// What was told of records that cannot be used.
    told: faults::Told,
    /// Sources that cannot be read now.
    unread: faults::Unread,
    /// What stands in records at fault.
    records: Arc<Records>,
    /// It is a demonstration.
    stage: Option<Arc<dyn web::Stage>>,
}

/// What `run --once` did.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnceReport {
    /// What became of what was due.
    pub tally: Tally,
    /// Sources that could not be read.
    pub sources_failed: usize,
}

impl Engine {
    /// Puts the parts together and takes back what an earlier process left behind.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        for advice in &config.advice {
            tracing::warn!("{advice}");
        }
        let outbox = open_store(&config, true)?;
        let settings = render::Settings { reference_key: outbox.reference_key().await?, ..config.render.clone() };
        let renderer = Arc::new(Renderer::new(settings).map_err(|mistakes| anyhow::anyhow!("{}", mistakes.join("\n")))?);
        let shadow = config.raw.run.mode == Mode::Shadow;
        // In shadow mode these send nothing, and neither do the answers to replies.
        let [email, sms] = transports(&config)?;
        let alerts = config.alerts.clone().map(|settings| Alerts::new(settings, &sms)).transpose()?;
        let answers = Answers {
            outbox: Arc::clone(&outbox),
            clock: Arc::clone(&clock),
            renderer: Arc::clone(&renderer),
            gateways: sms.clone(),
            reference_key: outbox.reference_key().await?,
            wake: Notify::new(),
            turn: Mutex::default(),
        };
        let lanes = [
            Lane::new(Channel::Email, config.email_in_doubt, email).paced(&config.email_rates),
            Lane::new(Channel::Sms, config.sms_in_doubt, sms).paced(&config.sms_rates),
        ];
        let dispatcher = Dispatcher {
            outbox: Arc::clone(&outbox),
            renderer,
            policy: Arc::new(config.policy),
            clock: Arc::clone(&clock),
            owner: owner()?,
        };
        let (email_doubt, sms_doubt) = (config.email_in_doubt, config.sms_in_doubt);
        let returned = dispatcher.recover(|channel| if channel == Channel::Email { email_doubt } else { sms_doubt }).await?;
        if returned > 0 {
            tracing::info!(returned, "taken back from an earlier process: nothing of it was sent");
        }
        if shadow {
            tracing::warn!("shadow mode: everything is decided, rendered and recorded, and nothing is sent");
        }
        let names: Vec<String> = config.sources.iter().map(|s| s.name.clone()).collect();
        take_over(&*outbox, &config.sources, &names, clock.now()).await?;
        recall_codes(&*outbox, dispatcher.renderer.live_codes(), clock.now()).await?;
        if let Some(restored) = outbox.hold_restored(&names, clock.now()).await? {
            tell_restored(restored);
        }
        let lanes = lanes.map(Arc::new);
        let digest = config.digest.map(|settings| Digest {
            settings,
            outbox: Arc::clone(&outbox),
            sources: config.sources.iter().map(|s| s.name.clone()).collect(),
            policy: Arc::clone(&dispatcher.policy),
            renderer: Arc::clone(&dispatcher.renderer),
            lane: Arc::clone(&lanes[0]),
            clock: Arc::clone(&clock),
            done: std::sync::Mutex::default(),
        });
        let words = config.sources.iter().map(|s| (s.name.clone(), s.words.clone())).collect();
        let asked: Vec<Source> = config.sources.into_iter().filter(|s| !matches!(s.kind, SourceKind::Push(_))).collect();
        let looks = Looks::new(Arc::clone(&clock), asked.iter().map(|s| s.name.clone()).collect());
        let (polls, asked_names) = asked.iter().map(|s| (s.poll.clone(), s.name.clone())).unzip();
        Ok(Self {
            policy: Arc::clone(&dispatcher.policy),
            outbox,
            clock,
            dispatcher: Arc::new(dispatcher),
            lanes: lanes.into_iter().map(|lane| (lane, Arc::new(Notify::new()))).collect(),
            answers: Arc::new(answers),
            returned: Returned::default(),
            bounces: config.bounces,
            polls,
            asked: asked_names,
            sources: asked.into_iter().map(|s| Arc::new(Mutex::new(s))).collect(),
            names,
            elsewhere: Mutex::default(),
            words,
            shadow,
            digest: digest.map(Arc::new),
            letter: Arc::default(),
            server: config.server,
            practice: config.raw.practice.name,
            zone: config.time_zone,
            address: SetOnce::new(),
            keep: config.keep,
            ping: config.ping,
            alerts,
            notifier: Notifier::from_environment(),
            started: Instant::now(),
            stop_within: config.stop_within,
            looks: Arc::new(looks),
            asking: Semaphore::new(together::ASKED_AT_ONCE),
            pulse: Pulse::default(),
            zone_data: ReleaseWatch::start(),
            told: faults::Told::default(),
            unread: faults::Unread::default(),
            records: Arc::default(),
            stage: None,
        })
    }

    /// As a demonstration: its pages have these buttons.
    #[must_use]
    pub fn staged(mut self, stage: Arc<dyn web::Stage>) -> Self {
        self.stage = Some(stage);
        self
    }

    /// What a configuration would change of what is planned for the sessions that are known: how many messages, of how many.
    pub async fn would_change(&self, new: &Policy) -> Result<(usize, usize), StoreError> {
        let (now, suppressed) = (self.clock.now(), Suppressions(self.outbox.suppressions().await?));
        let (mut changes, mut planned) = (0, 0);
        for source in &self.names {
            let held = self.outbox.sessions(source, None).await?;
            let sessions: Vec<Session> = held.iter().filter_map(kept::session).filter(|s| s.start > now).collect();
            let ids: Vec<SessionId> = sessions.iter().map(|s| s.id).collect();
            let known = by_session(self.outbox.known(source, &ids).await?);
            let due = |policy: &Policy| dues(sessions.iter(), &known, policy, &suppressed, now);
            let before = due(&self.policy);
            changes += compare(&before, &due(new)).len();
            planned += before.len();
        }
        Ok((changes, planned))
    }

    /// Sources that a configuration takes out, neither there nor under another name, and how many notices of them wait.
    pub async fn would_lose(&self, new: &[Source]) -> Result<(Vec<String>, usize), StoreError> {
        let stays = |name: &&String| new.iter().any(|s| s.name == **name || s.was.as_ref() == Some(*name));
        let lost: Vec<String> = self.names.iter().filter(|name| !stays(name)).cloned().collect();
        let waiting = Filter { states: vec![State::Waiting, State::Unknown], ..Filter::default() };
        let pending = if lost.is_empty() { Vec::new() } else { self.outbox.list(&waiting).await? };
        let count = pending.iter().filter(|e| e.next_attempt_at.is_some() && lost.contains(&e.source)).count();
        Ok((lost, count))
    }

    /// The store, for what is asked after a run.
    pub fn outbox(&self) -> &Arc<dyn Outbox> {
        &self.outbox
    }

    /// What pages and API ask.
    fn office(&self) -> web::Office {
        web::Office {
            desk: Desk { outbox: Arc::clone(&self.outbox), policy: Arc::clone(&self.policy), sources: self.names.clone() },
            renderer: Arc::clone(&self.dispatcher.renderer),
            clock: Arc::clone(&self.clock),
            practice: self.practice.clone(),
            shadow: self.shadow,
            zone: self.zone.clone(),
            records: Arc::clone(&self.records),
            stage: self.stage.clone(),
        }
    }

    /// Walks each source once, hands over what is due (one attempt each), and ends.
    pub async fn once(&self) -> anyhow::Result<OnceReport> {
        let mut report = OnceReport::default();
        report.tally.lapsed += self.dispatcher.lapse().await?;
        report.sources_failed = self.ask_all().await?;
        self.read_bounces().await?;
        self.answers.send_all().await?;
        let span = Span::Once(self.clock.now());
        let mut running = JoinSet::new();
        for (lane, wake) in &self.lanes {
            running.spawn(Arc::clone(&self.dispatcher).run(Arc::clone(lane), span.clone(), Arc::clone(wake)));
        }
        while let Some(tally) = running.join_next().await {
            report.tally = report.tally.plus(tally.context("a lane")??);
        }
        self.tell_staff().await?;
        self.outbox.mark().await?;
        Ok(report)
    }

    /// Reads the bounces that have come.
    async fn read_bounces(&self) -> Result<(), StoreError> {
        let Some((maildir, _)) = &self.bounces else { return Ok(()) };
        let noted = maildir::poll(maildir, &*self.outbox, &*self.clock).await?;
        noted.into_iter().for_each(|fate| self.returned.receipt(Channel::Email, fate));
        Ok(())
    }

    /// Asks one source and walks what it says; asked is asked, whatever it answers.
    async fn walk(&self, source: &Source) -> Result<bool, StoreError> {
        // It is not closed while the engine lives.
        let _turn = self.asking.acquire().await;
        let begun = self.looks.begin();
        let _running = self.pulse.runs(&source.name);
        let walked = self.ask(source).await;
        self.looks.end_of(&source.name, begun);
        walked
    }

    /// Walks one source. A source that cannot be read is told and counts as unchanged: `false`.
    async fn ask(&self, source: &Source) -> Result<bool, StoreError> {
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
        let (mut snapshot, print) = match read_since(source, last, now).await {
            Ok(Said::Now(snapshot, print)) => {
                self.unread.note(&source.name, Ok(()), now);
                (snapshot, print)
            }
            Ok(Said::Same(print)) => {
                self.unread.note(&source.name, Ok(()), now);
                source.memory.walked(Some(print));
                walk::heard(&*self.outbox, &source.name, &self.policy, rests.unwrap_or(now), now).await?;
                return Ok(true);
            }
            Err(why) => {
                self.unread.note(&source.name, Err(&why), now);
                tracing::error!(source = %source.name, %why, "the source could not be read; the last good snapshot stays in force");
                self.plan_again(&source.name).await?;
                return Ok(false);
            }
        };
        ambiguity::mark(&mut snapshot);
        self.told.tell(&source.name, &snapshot.told().lines());
        self.records.note(&source.name, &snapshot, now);
        self.apply(&source.name, &snapshot).await?;
        source.memory.walked(print);
        Ok(snapshot.extent == Extent::Whole)
    }

    /// Walks a snapshot. Durable when it returns.
    async fn apply(&self, source: &str, snapshot: &Snapshot) -> Result<walk::Report, StoreError> {
        self.dispatcher.lapse().await?;
        self.dispatcher.renderer.live_codes().put(source, &snapshot.sessions, self.clock.now());
        // One after the other: what each source says is held against what the others say.
        let mut elsewhere = self.elsewhere.lock().await;
        let walk = walk::walk_beside(&*self.outbox, &mut elsewhere, (source, snapshot), &self.policy, self.clock.now());
        let report = walk.await?;
        drop(elsewhere);
        if report.waits {
            tracing::warn!(source, "no whole list with a session in it came yet: nothing is planned until one does");
        }
        self.tell_walk(source, &report);
        Ok(report)
    }

    /// Plans again what waits for it, of a source that cannot be asked.
    async fn plan_again(&self, source: &str) -> Result<(), StoreError> {
        if self.clock.is_plausible() {
            let report = walk::again(&*self.outbox, source, &self.policy, self.clock.now()).await?;
            self.tell_walk(source, &report);
        }
        Ok(())
    }

    fn tell_walk(&self, source: &str, report: &walk::Report) {
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
            self.lanes.iter().for_each(|(_, wake)| wake.notify_one());
        }
    }

    /// Where the server listens: waits until it does.
    pub async fn address(&self) -> SocketAddr {
        *self.address.wait().await
    }

    /// Waits until the host has other zone data than at the start. Its files come one by one: it has to say so twice.
    pub async fn zone_data_changed(&self) -> String {
        loop {
            tokio::time::sleep(ZONE_DATA_LOOK).await;
            let Some(release) = self.zone_data.changed() else { continue };
            tokio::time::sleep(ZONE_DATA_SETTLES).await;
            if self.zone_data.changed().as_ref() == Some(&release) {
                return release;
            }
        }
    }

    /// What the service manager is told.
    pub fn notifier(&self) -> &Notifier {
        &self.notifier
    }
}

/// Sources that have another name take over what was of the old one; what waits of those that are gone is held, and told.
async fn take_over(
    outbox: &dyn Outbox,
    sources: &[Source],
    names: &[String],
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    for source in sources {
        let Some(was) = source.was.as_ref().filter(|was| !names.contains(was)) else { continue };
        if outbox.rename_source(was, &source.name, now).await? {
            tracing::info!(source = %source.name, %was, "the source has another name: it takes over all that was of the old one");
        }
    }
    let held = outbox.configure(names, now).await?;
    if held > 0 {
        let gone: Vec<String> = outbox.sources().await?.into_iter().filter(|s| s.gone).map(|s| s.name).collect();
        tracing::error!(
            held,
            sources = gone.join(", "),
            "a source is not in the configuration any more: what waited of it is held (source_gone). If it has another name now, say `was`"
        );
    }
    Ok(())
}

/// What the sources said last of whoever may still join: no message leaves with a code of theirs, also before they are asked again.
async fn recall_codes(outbox: &dyn Outbox, codes: &LiveCodes, now: chrono::DateTime<chrono::Utc>) -> Result<(), StoreError> {
    for source in outbox.sources().await? {
        let Some(seen) = outbox.seen_from(&source.name, now - HOLDS_FOR).await? else { continue };
        let ids: Vec<SessionId> = seen.sessions.into_keys().collect();
        // Never all of them at once.
        for some in ids.chunks(RECALLED) {
            let sessions: Vec<Session> = outbox.sessions(&source.name, Some(some)).await?.iter().filter_map(kept::session).collect();
            codes.put(&source.name, &sessions, now);
        }
    }
    Ok(())
}

/// What hands over e-mail and texts. In shadow mode nothing that could send is made at all.
fn transports(config: &Config) -> anyhow::Result<[Vec<Arc<dyn Transport>>; 2]> {
    if config.raw.run.mode == Mode::Shadow {
        return Ok([vec![Arc::new(Shadow)], vec![Arc::new(Shadow)]]);
    }
    let email = config.relays.iter().map(Relay::transport).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    let sms = config.gateways.iter().map(Gateway::transport).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    Ok([email, sms])
}

/// The report of a restore: what is held, and what an operator does about it.
fn tell_restored(restored: Restored) {
    let since = restored.since.map_or_else(|| "nothing".to_owned(), |at| format!("what was told until {}", at.to_rfc3339()));
    tracing::error!(
        held = restored.held,
        "the store is an older copy: it knows {since}, and nothing after it. What was due since is held, and so are the invites and corrections \
         that the first walks find: look at `punctual outbox list --state held`, then `punctual outbox release` or `cancel`. Opt-outs and \
         bounces of that time are forgotten."
    );
}

/// A name that no other start has.
fn owner() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}
