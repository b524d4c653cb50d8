//! Start, walk, serve, stop: the engine put together from the configuration. This file and the command line alone know the configuration.
//!
//! Start: store (locked), templates, transports, recovery. [`serve`]: one walk at once, then by each source's cron expression ([`schedule`]), and of
//! what is pushed when it comes ([`intake`]); one lane for each channel; what a set clock makes of it ([`clocks`]). Stop: no more walks and claims,
//! what is in hand is finished within a limit, in that order. A store error ends the process: messages could go out that nobody would remember.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{Mutex, Notify, Semaphore, SetOnce, watch};
use tokio::task::JoinSet;

use self::alerts::StaffAlerts;
use self::early::Early;
use self::feedback_metrics::FeedbackMetrics;
use self::looking::{Asked, Awaited};
use self::membership::Membership;
use self::replies::Answers;
use self::schedule::Pulse;
use crate::clock::Clock;
use crate::config::{Config, Keep};
use crate::contact::Channel;
use crate::desk::Desk;
use crate::desk::records::Records;
use crate::digest::Digest;
use crate::dispatch::looks::Looks;
use crate::dispatch::{Dispatcher, Lane, Span, Tally};
use crate::entry::{Entry, State};
use crate::known::by_session;
use crate::outbox::{Filter, Outbox, StoreError};
use crate::plan::compare::{Dues, compare, dues};
use crate::plan::{Policy, Suppressions};
use crate::session::{Session, SessionId};
use crate::source::words::Dictionary;
use crate::source::{Source, stored};
use crate::zone::{ReleaseWatch, Zone};
use crate::{walk, web};

mod alerts;
mod anchor;
pub mod clocks;
mod cron;
mod early;
mod faults;
mod feedback_metrics;
mod health;
mod intake;
mod likeness;
mod looking;
pub mod maildir;
mod maintenance;
mod membership;
mod metrics;
pub mod notify;
mod older;
mod ping;
pub mod receipts;
pub mod replies;
mod schedule;
mod serve;
mod sources;
mod start;
mod store;
mod together;
mod turn;

pub use self::notify::Notifier;
pub use self::serve::Ending;
pub use self::sources::pushed;
pub use self::start::{can_begin, owner};
pub use self::store::{begin_store, is_served, look_at_store, open_store, store_exists, store_faults, take_over_suppressions};

/// How often the host's zone data is looked at; and how long it must have stayed the same, when it is another one.
const ZONE_DATA_LOOK: Duration = Duration::from_secs(60 * 60);
const ZONE_DATA_SETTLES: Duration = Duration::from_secs(60);

pub struct Engine {
    outbox: Arc<dyn Outbox>,
    policy: Arc<Policy>,
    clock: Arc<dyn Clock>,
    dispatcher: Arc<Dispatcher>,
    lanes: Vec<(Arc<Lane>, Arc<Notify>)>,
    answers: Arc<Answers>,
    feeds: Feeds,
    monitors: Monitors,
    membership: Membership,
    /// Where bounces are read, and when.
    bounces: Option<(PathBuf, String)>,
    /// Shadow mode: nothing is sent.
    shadow: bool,
    /// The daily letter to the practice.
    digest: Option<Arc<Digest>>,
    /// Held while the letter is written; and by an end, so that no other one is.
    letter: Mutex<()>,
    server: Option<web::Settings>,
    practice: String,
    zone: Zone,
    /// Where the server listens, once it does.
    address: SetOnce<SocketAddr>,
    keep: Keep,
    stop_within: Duration,
    /// It is a demonstration.
    stage: Option<Arc<dyn web::Stage>>,
}

/// The sources, and what is known of each.
struct Feeds {
    /// Those that are asked, and that this node may read.
    sources: Vec<Arc<Asked>>,
    /// Those that another node reads.
    read_elsewhere: Vec<String>,
    /// All of them, those that are pushed to as well.
    names: Vec<String>,
    /// Looks that other nodes take for this one.
    awaited: std::sync::Mutex<HashMap<String, Awaited>>,
    /// What each of them says, for the walks of the others.
    elsewhere: Mutex<walk::Elsewhere>,
    /// What the practice says of their words.
    words: HashMap<String, Dictionary>,
    /// Nothing leaves before the sources were asked.
    looks: Arc<Looks>,
    /// A permit for each source that may be asked at a time.
    asking: Semaphore,
    /// What files said when the start read them.
    early: Early,
    /// Notified when a part of a walk is in, and more of it comes.
    first_part: Notify,
    /// What was told of records that cannot be used.
    told: faults::FaultLog,
    /// Sources that cannot be read now.
    unread: faults::UnreadSources,
    /// What stands in records at fault.
    records: Arc<Records>,
}

impl Feeds {
    fn awaited(&self) -> MutexGuard<'_, HashMap<String, Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody asks it.
    fn is_pushed(&self, source: &String) -> bool {
        self.names.contains(source) && !self.read_elsewhere.contains(source) && !self.sources.iter().any(|asked| asked.name == *source)
    }
}

/// What watches over the engine, and whom it tells.
struct Monitors {
    started: Instant,
    notifier: Notifier,
    /// Whether the sources are polled.
    pulse: Pulse,
    /// What came back of messages.
    feedback: FeedbackMetrics,
    /// By which ways staff are told at once.
    alerts: Option<StaffAlerts>,
    ping: Option<crate::alert::Ping>,
    /// Where the ledger's anchor goes.
    anchors: anchor::Outside,
    zone_data: ReleaseWatch,
}

/// What `run --once` did.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnceReport {
    /// What became of what was due.
    pub tally: Tally,
    /// Sources that could not be read.
    pub sources_failed: usize,
}

/// What is planned, and not told.
fn pending() -> Filter {
    Filter { states: vec![State::Waiting, State::Claimed, State::Held], ..Filter::default() }
}

fn planned_of(pending: &[Entry], source: &str) -> Dues {
    let theirs = pending.iter().filter(|entry| entry.source == source).map(|entry| &entry.notice);
    theirs.map(|n| ((n.session, n.participation, n.occasion, n.rule.clone()), n.due_at)).collect()
}

impl Engine {
    /// As a demonstration: its pages have these buttons.
    #[must_use]
    pub fn staged(mut self, stage: Arc<dyn web::Stage>) -> Self {
        self.stage = Some(stage);
        self
    }

    /// This node stands idle, and that configuration decides what is due as the practice's others do: it changes nothing.
    pub fn would_join(&self, config: &Config) -> bool {
        self.membership.would_join(config)
    }

    /// What a configuration would change of what is planned for the sessions that are known: how many messages, of how many. What is planned is what this
    /// node decides; if it stands idle, what the others wrote into the store.
    pub async fn would_change(&self, new: &Policy) -> Result<(usize, usize), StoreError> {
        let pending = if self.membership.idle().is_some() { Some(self.outbox.list(&pending()).await?) } else { None };
        let (now, suppressed) = (self.clock.now(), Suppressions(self.outbox.suppressions().await?));
        let (mut changes, mut planned) = (0, 0);
        for source in &self.feeds.names {
            let held = self.outbox.sessions(source, None).await?;
            let sessions: Vec<Session> = held.iter().filter_map(stored::session).filter(|s| s.start > now).collect();
            let ids: Vec<SessionId> = sessions.iter().map(|s| s.id).collect();
            let known = by_session(self.outbox.known(source, &ids).await?);
            let due = |policy: &Policy| dues(sessions.iter(), &known, policy, &suppressed, now);
            let before = pending.as_ref().map_or_else(|| due(&self.policy), |pending| planned_of(pending, source));
            changes += compare(&before, &due(new)).len();
            planned += before.len();
        }
        Ok((changes, planned))
    }

    /// Sources that a configuration takes out, neither there nor under another name, and how many notices of them wait.
    pub async fn would_lose(&self, new: &[Source]) -> Result<(Vec<String>, usize), StoreError> {
        let stays = |name: &&String| new.iter().any(|s| s.name == **name || s.was.as_ref() == Some(*name));
        let walked = if self.membership.idle().is_some() { Some(self.outbox.sources().await?) } else { None };
        let walked = walked.map(|sources| sources.into_iter().filter(|source| !source.gone).map(|source| source.name).collect());
        let lost: Vec<String> = walked.unwrap_or_else(|| self.feeds.names.clone()).into_iter().filter(|name| !stays(&name)).collect();
        let waiting = Filter { states: vec![State::Waiting, State::Unknown], ..Filter::default() };
        let pending = if lost.is_empty() { Vec::new() } else { self.outbox.list(&waiting).await? };
        let count = pending.iter().filter(|e| e.next_attempt_at.is_some() && lost.contains(&e.source)).count();
        Ok((lost, count))
    }

    /// The store, for what is asked after a run.
    pub fn outbox(&self) -> &Arc<dyn Outbox> {
        &self.outbox
    }

    /// Where staff ask.
    pub fn desk(&self) -> Desk {
        Desk { outbox: Arc::clone(&self.outbox), policy: Arc::clone(&self.policy), sources: self.feeds.names.clone() }
    }

    /// What pages and API ask.
    fn office(&self) -> web::AppState {
        web::AppState {
            desk: self.desk(),
            renderer: Arc::clone(&self.dispatcher.renderer),
            clock: Arc::clone(&self.clock),
            practice: self.practice.clone(),
            shadow: self.shadow,
            zone: self.zone.clone(),
            records: Arc::clone(&self.feeds.records),
            stage: self.stage.clone(),
        }
    }

    /// Walks each source once, hands over what is due (one attempt each), and ends.
    pub async fn once(&self) -> anyhow::Result<OnceReport> {
        let mut report = OnceReport::default();
        report.tally.lapsed += self.dispatcher.lapse().await?;
        let (walking, walked) = watch::channel(true);
        let mut running = JoinSet::new();
        // What one source says first may be said otherwise by another one, and what came back may be an address of this list.
        let alone = self.feeds.names.len() == 1 && self.bounces.is_none();
        let mut asking = pin!(self.ask_all());
        let asked = tokio::select! {
            biased;
            asked = &mut asking => asked,
            () = self.feeds.first_part.notified(), if alone => {
                self.run_once(&mut running, &Span::Beside(self.clock.now(), walked));
                asking.await
            }
        };
        report.sources_failed = asked?;
        if self.feeds.names.len() > 1 && !self.outbox.guards().await?.is_empty() {
            // What one source has lost may stand in one that was read after it: that is one question to an operator, and not two.
            self.ask_all().await?;
        }
        walking.send_replace(false);
        self.wake_lanes();
        self.read_bounces().await?;
        self.answers.send_all().await?;
        if running.is_empty() {
            self.run_once(&mut running, &Span::Once(self.clock.now()));
        }
        while let Some(tally) = running.join_next().await {
            report.tally = report.tally.plus(tally.context("a lane")??);
        }
        self.tell_staff().await?;
        self.outbox.mark().await?;
        Ok(report)
    }

    fn run_once(&self, running: &mut JoinSet<Result<Tally, StoreError>>, span: &Span) {
        for (lane, wake) in &self.lanes {
            running.spawn(Arc::clone(&self.dispatcher).run(Arc::clone(lane), span.clone(), Arc::clone(wake)));
        }
    }

    /// Reads the bounces that have come.
    async fn read_bounces(&self) -> Result<(), StoreError> {
        let Some((maildir, _)) = &self.bounces else { return Ok(()) };
        let noted = maildir::poll(maildir, &*self.outbox, &*self.clock).await?;
        noted.into_iter().for_each(|status| self.monitors.feedback.receipt(Channel::Email, status));
        Ok(())
    }

    /// Where the server listens: waits until it does.
    pub async fn address(&self) -> SocketAddr {
        *self.address.wait().await
    }

    /// Waits until the host has other zone data than at the start. Its files come one by one: it has to say so twice.
    pub async fn zone_data_changed(&self) -> String {
        loop {
            tokio::time::sleep(ZONE_DATA_LOOK).await;
            let Some(release) = self.monitors.zone_data.changed() else { continue };
            tokio::time::sleep(ZONE_DATA_SETTLES).await;
            if self.monitors.zone_data.changed().as_ref() == Some(&release) {
                return release;
            }
        }
    }

    /// What the service manager is told.
    pub fn notifier(&self) -> &Notifier {
        &self.monitors.notifier
    }
}
