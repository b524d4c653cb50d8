//! Puts the parts together, and takes back what an earlier process left behind.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use tokio::sync::{Mutex, Notify, Semaphore, SetOnce};

use super::alerts::StaffAlerts;
use super::anchor::Outside;
use super::early::Early;
use super::faults::{FaultLog, UnreadSources};
use super::feedback_metrics::FeedbackMetrics;
use super::looking::Asked;
use super::membership::Membership;
use super::notify::Notifier;
use super::replies::Answers;
use super::schedule::Pulse;
use super::{Engine, Feeds, Monitors, open_store};
use crate::clock::Clock;
use crate::config::raw::Mode;
use crate::config::{Config, Gateway, Relay};
use crate::contact::Channel;
use crate::deliver::shadow::Shadow;
use crate::deliver::{Route, Transport};
use crate::digest::{self, Digest};
use crate::dispatch::looks::Looks;
use crate::dispatch::{Dispatcher, Lane};
use crate::outbox::Restored;
use crate::render::Renderer;
use crate::source::just_read::JustRead;
use crate::source::{Source, SourceKind};
use crate::zone::ReleaseWatch;

impl Engine {
    /// Puts the parts together and takes back what an earlier process left behind.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        config.advice.iter().for_each(|advice| tracing::warn!("{advice}"));
        let early = Early::begin(config.sources.iter().filter(|source| is_surely_read(source, &config)), clock.now());
        let settings = config.render.clone();
        // While the store waits for its disk.
        let compiling = tokio::task::spawn_blocking(move || Renderer::new(settings));
        let outbox = open_store(&config, true)?;
        let key = outbox.reference_key().await?;
        let renderer = compiling.await?.map_err(|mistakes| anyhow::anyhow!("{}", mistakes.join("\n")))?;
        let renderer = Arc::new(renderer.with_reference_key(key));
        // In shadow mode these send nothing, and neither do the answers to replies.
        let [email, sms] = routes(&config)?;
        let alerts = config.alerts.clone().map(|settings| StaffAlerts::new(settings, &sms)).transpose()?;
        let owner = owner()?;
        let lanes = [Lane::new(Channel::Email, config.email_in_doubt, email), Lane::new(Channel::Sms, config.sms_in_doubt, sms)];
        let lanes = lanes.map(|lane| Arc::new(lane.kept_in(Arc::clone(&outbox), &owner)));
        let answers = Answers {
            outbox: Arc::clone(&outbox),
            clock: Arc::clone(&clock),
            renderer: Arc::clone(&renderer),
            lane: Arc::clone(&lanes[1]),
            reference_key: key,
            owner: owner.clone(),
            wake: Notify::new(),
            turn: Mutex::default(),
        };
        let (policy, just_read) = (Arc::new(config.policy.clone()), JustRead::default());
        let dispatcher = Dispatcher { outbox, renderer, policy, clock, owner, just_read, walks: AtomicI64::new(0) };
        let membership = Membership::of(&config, key);
        take_back(&dispatcher, &config, &membership, &lanes).await?;
        let digest = config.digest.clone().map(|settings| letter(settings, &config, &dispatcher, &lanes[0]));
        let monitors = Monitors::of(&config, alerts);
        let (bounces, server, keep, stop_within) = (config.bounces, config.server, config.keep, config.stop_within);
        let (shadow, practice, zone) = (config.raw.run.mode == Mode::Shadow, config.raw.practice.name, config.time_zone);
        Ok(Self {
            feeds: Feeds::of(config.sources, early, &dispatcher.clock, config.raw.node.name.as_deref()).halted(&membership),
            monitors,
            membership,
            policy: Arc::clone(&dispatcher.policy),
            outbox: Arc::clone(&dispatcher.outbox),
            clock: Arc::clone(&dispatcher.clock),
            dispatcher: Arc::new(dispatcher),
            lanes: lanes.into_iter().map(|lane| (lane, Arc::new(Notify::new()))).collect(),
            answers: Arc::new(answers),
            bounces,
            shadow,
            digest: digest.map(Arc::new),
            letter: Mutex::default(),
            server,
            practice,
            zone,
            address: SetOnce::new(),
            keep,
            stop_within,
            stage: None,
        })
    }
}

/// Whether this process reads it, whoever leads: of several nodes one reads what names none, and it is not known yet which one.
fn is_surely_read(source: &Source, config: &Config) -> bool {
    source.node == config.raw.node.name
}

impl Feeds {
    /// If the node may do nothing, nothing leaves, from the first moment on.
    fn halted(self, membership: &Membership) -> Self {
        self.looks.halt(membership.idle().is_some());
        self
    }

    fn of(sources: Vec<Source>, early: Early, clock: &Arc<dyn Clock>, node: Option<&str>) -> Self {
        let names = sources.iter().map(|s| s.name.clone()).collect();
        let words = sources.iter().map(|s| (s.name.clone(), s.words.clone())).collect();
        // Nobody asks those that are pushed to, and only its own node one that names it.
        let (here, elsewhere): (Vec<Source>, _) =
            sources.into_iter().filter(|s| !matches!(s.kind, SourceKind::Push(_))).partition(|s| s.is_read_by(node));
        Self {
            looks: Arc::new(Looks::new(Arc::clone(clock), here.iter().map(|s| s.name.clone()).collect())),
            sources: here.into_iter().map(|s| Arc::new(Asked::new(s))).collect(),
            read_elsewhere: elsewhere.into_iter().map(|s| s.name).collect(),
            names,
            awaited: std::sync::Mutex::default(),
            elsewhere: Mutex::default(),
            words,
            asking: Semaphore::new(super::together::ASKED_AT_ONCE),
            early,
            first_part: Notify::new(),
            told: FaultLog::default(),
            unread: UnreadSources::default(),
            records: Arc::default(),
        }
    }
}

impl Monitors {
    fn of(config: &Config, alerts: Option<StaffAlerts>) -> Self {
        Self {
            started: Instant::now(),
            notifier: Notifier::from_environment(),
            pulse: Pulse::default(),
            feedback: FeedbackMetrics::default(),
            alerts,
            ping: config.ping.clone(),
            anchors: Outside::new(config.anchor_command.clone()),
            zone_data: ReleaseWatch::start(),
        }
    }
}

/// All sources, those that are pushed to as well.
fn names(config: &Config) -> Vec<String> {
    config.sources.iter().map(|s| s.name.clone()).collect()
}

/// What an earlier process left behind: attempts, sources of another name, codes that may still be used, turns and pauses, and a store that is an older copy.
async fn take_back(dispatcher: &Dispatcher, config: &Config, membership: &Membership, lanes: &[Arc<Lane>]) -> anyhow::Result<()> {
    let (outbox, renderer, clock) = (&*dispatcher.outbox, &dispatcher.renderer, &*dispatcher.clock);
    let now = || clock.now();
    // (What a node whose clock is wrong does not take back, others do, or it does later.)
    let returned = if membership.is_in_time(outbox, clock).await? { dispatcher.recover(membership.doubt()).await? } else { 0 };
    if returned > 0 {
        tracing::info!(returned, "taken back from an earlier process: nothing of it was sent");
    }
    if config.raw.run.mode == Mode::Shadow {
        tracing::warn!("shadow mode: everything is decided, rendered and recorded, and nothing is sent");
    }
    let names = names(config);
    let nodes = membership.join(outbox, renderer, clock).await?;
    for lane in lanes {
        lane.share_among(nodes);
    }
    dispatcher.recall_codes().await?;
    for lane in lanes {
        lane.load_transports(now()).await?;
    }
    // What was due by the right clock may have been told: of a store that is elsewhere that is its own.
    let at = outbox.store_now().await?.unwrap_or_else(now);
    let letters = config.digest.as_ref().map_or_else(Vec::new, |digest| digest.lately(at));
    if let Some(restored) = outbox.hold_restored(&names, &letters, at).await? {
        tell_restored(restored);
    }
    Ok(())
}

/// The daily letter to the practice.
fn letter(settings: digest::Settings, config: &Config, dispatcher: &Dispatcher, lane: &Arc<Lane>) -> Digest {
    Digest {
        settings,
        outbox: Arc::clone(&dispatcher.outbox),
        sources: names(config),
        policy: Arc::clone(&dispatcher.policy),
        renderer: Arc::clone(&dispatcher.renderer),
        lane: Arc::clone(lane),
        clock: Arc::clone(&dispatcher.clock),
        owner: dispatcher.owner.clone(),
        done: std::sync::Mutex::default(),
    }
}

/// Whether what hands messages over can be made of a configuration, and its store be opened: what [`Engine::start`] needs besides the templates.
pub fn can_begin(config: &Config) -> anyhow::Result<()> {
    let [_, sms] = routes(config)?;
    config.alerts.clone().map(|settings| StaffAlerts::new(settings, &sms)).transpose()?;
    open_store(config, false).map(drop)
}

/// What hands over e-mail and texts. In shadow mode nothing that could send is made at all.
fn routes(config: &Config) -> anyhow::Result<[Vec<Route>; 2]> {
    if config.raw.run.mode == Mode::Shadow {
        let shadow = Route::from(Arc::new(Shadow) as Arc<dyn Transport>);
        return Ok([vec![shadow.clone()], vec![shadow]]);
    }
    let email = config.relays.iter().map(Relay::route).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    let sms = config.gateways.iter().map(Gateway::route).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    Ok([email, sms])
}

/// The report of a restore: what is held, and what an operator does about it.
fn tell_restored(restored: Restored) {
    let since = restored.since.map_or_else(|| "nothing".to_owned(), |at| format!("what was told until {}", at.to_rfc3339()));
    tracing::error!(
        held = restored.held,
        letters = restored.letters,
        "the store is an older copy: it knows {since}, and nothing after it. What was due since is held, and so are the invites and corrections \
         that the first walks find: look at `punctual outbox list --state held`, then `punctual outbox release` or `cancel`. Opt-outs and \
         bounces of that time are forgotten. Letters to the practice that may have gone since do not go again."
    );
}

/// A name that no other start has.
pub fn owner() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}
