//! The parts of the real engine, put together as the daemon does: whatever it is called by changes here alone.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use chrono::{DateTime, Utc};
use punctual::clock::Clock;
use punctual::contact::Channel;
use punctual::daemon::clocks;
use punctual::deliver::Transport;
use punctual::dispatch::{Dispatcher, Lane};
use punctual::outbox::{self, Outbox};
use punctual::outcome::Outcome;
use punctual::plan::Policy;
use punctual::render::{Renderer, Settings};
use punctual::retry::DoubtPolicy;
use punctual::session::{Snapshot, SnapshotKind};
use punctual::source::just_read::JustRead;
use punctual::source::{ambiguity, json};
use punctual::walk::Elsewhere;
use punctual::{config, walk};
use serde_json::Value;

use super::oracle::Terms;
use super::servers::Server;
use super::world::List;

/// A configuration, compiled once.
pub(super) struct Configured {
    pub(super) policy: Arc<Policy>,
    pub(super) doubt: DoubtPolicy,
    pub(super) terms: Terms,
}

fn configured(invites: bool, quiet: bool, rules: &[&str], doubt: DoubtPolicy, stale: &str) -> Configured {
    let reminders: Vec<String> = rules.iter().map(|rule| format!("[[reminder]]\n{rule}\n")).collect();
    let reminders = reminders.concat();
    let channels = if quiet { "[\"sms\"]" } else { "[]" };
    let text = format!(
        "[practice]\nname = \"Lakeside\"\n{reminders}[adopt]\ninvites = {invites}\n[quiet_hours]\nchannels = {channels}\n[daemon]\nmax_stale = \"{stale}\"\n"
    );
    let config = config::parse(&text, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Configured {
        policy: Arc::new(config.policy),
        doubt,
        terms: Terms { adopt_invites: invites, quiet, rules: rules.len(), at_once: rules.len() },
    }
}

/// The configurations between which practices choose.
pub(super) static CONFIGURED: LazyLock<Vec<Configured>> = LazyLock::new(|| {
    let (day, hour) = ("name = \"24h\"\nbefore = \"24h\"", "name = \"1h\"\nbefore = \"1h\"");
    let evening = "name = \"evening\"\ndays_before = 1\nat = \"18:00\"";
    vec![
        configured(true, true, &[day, hour], DoubtPolicy::Resend, "26h"),
        configured(true, false, &[day, hour], DoubtPolicy::Resend, "26h"),
        configured(false, true, &[day, hour], DoubtPolicy::Resend, "26h"),
        configured(true, true, &[evening, hour], DoubtPolicy::Hold, "6h"),
        configured(true, true, &[hour], DoubtPolicy::Resend, "26h"),
    ]
});

/// One for all lives: it knows nothing of them.
pub(super) static RENDERER: LazyLock<Arc<Renderer>> = LazyLock::new(|| {
    let config = config::parse("[practice]\nname = \"Lakeside\"\n", None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Arc::new(Renderer::new(Settings { reference_key: [7; 32], ..config.render }).unwrap())
});

/// A process: it lives from a start to a kill.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) lanes: [Arc<Lane>; 2],
    /// What the sources say of each other's sessions.
    elsewhere: Arc<tokio::sync::Mutex<Elsewhere>>,
    /// The list of each source that was walked last.
    walked: Arc<Mutex<BTreeMap<usize, Arc<List>>>>,
}

/// What a source that is asked says.
pub(super) enum Says {
    /// It cannot be read.
    Nothing,
    List(Arc<List>, SnapshotKind),
}

impl Process {
    pub(super) async fn start(
        store: &Arc<dyn Outbox>,
        clock: &Arc<dyn Clock>,
        servers: &[Arc<Server>],
        configured: &Configured,
        n: usize,
    ) -> Self {
        let lane = |channel| {
            let theirs = servers.iter().filter(|s| s.channel == channel);
            Arc::new(Lane::new(channel, configured.doubt, theirs.map(|s| (Arc::clone(s) as Arc<dyn Transport>).into()).collect()))
        };
        let dispatcher = Arc::new(Dispatcher {
            outbox: Arc::clone(store),
            renderer: Arc::clone(&RENDERER),
            policy: Arc::clone(&configured.policy),
            clock: Arc::clone(clock),
            owner: format!("start {n}"),
            just_read: JustRead::default(),
            walks: std::sync::atomic::AtomicI64::new(0),
        });
        let doubt = configured.doubt;
        dispatcher.recover(|_| doubt).await.unwrap();
        let lanes = [lane(Channel::Email), lane(Channel::Sms)];
        Self { dispatcher, lanes, elsewhere: Arc::default(), walked: Arc::default() }
    }

    /// The clock was set.
    pub(super) async fn meets_a_set_clock(&self, now: DateTime<Utc>) -> outbox::Result<()> {
        self.dispatcher.outbox.plan_anew().await?;
        self.lanes.iter().for_each(|lane| lane.forget_pauses());
        clocks::forget_waits(&*self.dispatcher.outbox, now).await
    }

    /// A source was asked. The same bytes as before are not walked again, if nothing waits for that.
    pub(super) async fn hears(&self, source: usize, says: Says, now: DateTime<Utc>) -> outbox::Result<walk::WalkSummary> {
        let (store, policy) = (&*self.dispatcher.outbox, &self.dispatcher.policy);
        // Before each walk, and by the lanes twice a minute.
        self.dispatcher.lapse().await?;
        let rests = walk::rests(store, name(source), policy, now).await?;
        let (list, extent) = match says {
            Says::List(list, extent) => (list, extent),
            Says::Nothing => return walk::again(store, name(source), policy, now).await,
        };
        let is_same = self.walked.lock().unwrap().get(&source).is_some_and(|walked| Arc::ptr_eq(walked, &list));
        if let Some(last) = rests.filter(|_| is_same && extent == SnapshotKind::Full) {
            walk::heard(store, name(source), policy, last.last_snapshot_at, now).await?;
            return Ok(walk::WalkSummary { sessions: list.snapshot.sessions.len(), ..walk::WalkSummary::default() });
        }
        let mut snapshot = list.snapshot.clone();
        ambiguity::mark(&mut snapshot, now);
        snapshot.kind = extent;
        let mut elsewhere = self.elsewhere.lock().await;
        let report = walk::walk_beside(store, &mut elsewhere, (name(source), &snapshot), policy, now).await?;
        let mut walked = self.walked.lock().unwrap();
        if extent == SnapshotKind::Full {
            walked.insert(source, list)
        } else {
            walked.remove(&source)
        };
        Ok(report)
    }
}

pub(super) fn name(source: usize) -> &'static str {
    ["front", "clinic", "annex"][source]
}

/// What the program reads in a list.
pub(super) fn parse(records: &[Value]) -> Snapshot {
    json::parse(Value::Array(records.to_vec()).to_string().as_bytes()).unwrap()
}

/// Plans again what somebody's answer changed.
pub(super) async fn plan_again(store: &dyn Outbox, sources: usize, policy: &Policy, now: DateTime<Utc>) {
    for source in 0..sources {
        walk::again(store, name(source), policy, now).await.unwrap();
    }
}

/// What the program makes of a relay's reply to RCPT, or to the final dot.
pub(super) fn relay_says(said: &str, after_the_dot: bool) -> Outcome {
    punctual::deliver::smtp::means(said, after_the_dot)
}
