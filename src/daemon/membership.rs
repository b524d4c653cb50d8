//! This daemon among the nodes of a practice: whether it leads, and whether it may do anything at all.
//!
//! In: how the store says that it stands ([`crate::outbox::Nodes::tend`]), every two seconds. Out: the one that leads walks the sources by the clock, and
//! does what is done once; each hands over what it claims. A node that decides by other settings than the one that leads, or by a clock that is wrong,
//! walks nothing and sends nothing until that is over. The only daemon of a practice leads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;

use super::Engine;
use super::cron::watched;
use super::likeness::{Likeness, differing};
use crate::clock::Clock;
use crate::config::Config;
use crate::contact::Channel;
use crate::outbox::{Leader, Outbox, StoreError, Tended};
use crate::render::Renderer;
use crate::retry::DoubtPolicy;

/// From one look at the other nodes to the next.
const LOOK: Duration = Duration::from_secs(2);
/// A clock that is this far from the store's is wrong.
pub(super) const SKEW_MAX: TimeDelta = TimeDelta::seconds(30);

/// What the store said of who leads is believed for so long: a node that says nothing for 20 seconds is gone for the others.
const BELIEVED_FOR: TimeDelta = TimeDelta::seconds(15);

/// Said at the beginning of each term.
const LEADS: &str = "this node leads: it walks the sources, and does what is done once";

pub(super) struct Membership {
    /// `[node] name`.
    node: Option<String>,
    /// What it decides by, and what its messages say.
    likeness: Likeness,
    /// The sources, and the names that they had before.
    sources: Vec<(String, Option<String>)>,
    in_doubt: [(Channel, DoubtPolicy); 2],
    leads: AtomicBool,
    /// When other nodes could lead and the store last said who does: how long the machine had run.
    heard_at: Mutex<Option<TimeDelta>>,
    idle: Mutex<Option<IdleNode>>,
    /// The one that leads, if it is unlike this one.
    leader: Mutex<Option<Leader>>,
}

/// Why a node does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdleNode {
    /// What it has otherwise than the one that leads, or that its clock is wrong.
    what: String,
    /// In words, of this node.
    pub(super) why: String,
    pub(super) since: DateTime<Utc>,
}

impl IdleNode {
    /// `its messages are not those of node a, which leads: ...`
    fn by_likeness(ours: &str, leader: &Leader, since: DateTime<Utc>) -> Self {
        let parts = differing(ours, &leader.settings);
        let (what, of) = (parts.join(" and its "), &leader.name);
        let why = if parts.is_empty() {
            format!(
                "node {of}, which leads, runs another version of Punctual, whose settings cannot be compared: give all nodes the same version"
            )
        } else {
            format!(
                "its {what} are not those of node {of}, which leads: give all nodes the same configuration, templates and zone data, and reload them"
            )
        };
        Self { what: format!("{what} {of}"), why, since }
    }

    fn by_clock(skew: TimeDelta, since: DateTime<Utc>) -> Self {
        let why = format!("its clock is {} seconds from the database's: set one of them right", skew.num_seconds());
        Self { what: "clock".to_owned(), why, since }
    }
}

impl Membership {
    /// `key`: the store's own.
    pub(super) fn of(config: &Config, key: [u8; 32]) -> Self {
        Self {
            node: config.raw.node.name.clone(),
            likeness: Likeness::of(config, key),
            sources: config.sources.iter().map(|s| (s.name.clone(), s.was.clone())).collect(),
            in_doubt: [(Channel::Email, config.email_in_doubt), (Channel::Sms, config.sms_in_doubt)],
            leads: AtomicBool::new(false),
            heard_at: Mutex::default(),
            idle: Mutex::default(),
            leader: Mutex::default(),
        }
    }

    /// `[node] name`; `None`: it serves alone.
    pub(super) fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Whether this node does what is done once.
    pub(super) fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed) && self.idle().is_none()
    }

    /// The machine slept, or the store did not answer: another node may lead by now. `uptime`: how long the machine has run.
    pub(super) fn is_out_of_date(&self, uptime: Option<TimeDelta>) -> bool {
        let heard_at = *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner);
        heard_at.zip(uptime).is_some_and(|(heard_at, now)| now - heard_at > BELIEVED_FOR)
    }

    /// The store said who leads; it was asked then.
    fn hears(&self, tended: &Tended, uptime: Option<TimeDelta>) {
        *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = uptime.filter(|_| tended.store_now.is_some());
    }

    /// Why it walks nothing and sends nothing; `None`: it does.
    pub(super) fn idle(&self) -> Option<IdleNode> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This node stands idle, and with that configuration it would decide as the one that leads does.
    pub(super) fn would_join(&self, config: &Config) -> bool {
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone();
        leader.is_some_and(|leader| self.likeness.would_decide_as(config, &leader.settings))
    }

    /// What becomes of what was taken back in doubt.
    pub(super) fn doubt(&self) -> impl Fn(Channel) -> DoubtPolicy + use<> {
        let [(channel, first), (_, other)] = self.in_doubt;
        move |of| if of == channel { first } else { other }
    }

    /// At a start, before anything is changed: whether this node's clock is right. If not, it stands idle from here on.
    pub(super) async fn is_in_time(&self, outbox: &dyn Outbox, clock: &dyn Clock) -> Result<bool, StoreError> {
        let now = clock.now();
        let tended = Tended { leads: false, store_now: outbox.store_now().await?, ..Tended::alone() };
        self.stands("", &tended, (now, clock.now()));
        Ok(self.idle().is_none())
    }

    /// The first look, at a start. How many nodes hand over.
    pub(super) async fn join(&self, outbox: &dyn Outbox, renderer: &Renderer, clock: &dyn Clock) -> Result<usize, StoreError> {
        let (ours, now, idle) = (self.likeness.line(renderer), clock.now(), self.idle());
        let tended = outbox.tend(&ours, idle.as_ref().map(|idle| idle.why.as_str()), now).await?;
        if self.stands(&ours, &tended, (now, clock.now())) {
            tracing::info!("{LEADS}");
            self.settle_sources(outbox, now).await?;
        }
        Ok(tended.nodes)
    }

    /// Notes how it stands. Whether it leads from now on. `asked`: when the store was asked, and when it had answered: its clock was read in between.
    fn stands(&self, ours: &str, tended: &Tended, asked: (DateTime<Utc>, DateTime<Utc>)) -> bool {
        let skew = tended.store_now.and_then(|store_now| skew(store_now, asked));
        let mut known = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let since = known.as_ref().map_or(asked.0, |idle| idle.since);
        let idle = match (skew, &tended.other) {
            (Some(skew), _) => Some(IdleNode::by_clock(skew, since)),
            (None, Some(leader)) => Some(IdleNode::by_likeness(ours, leader, since)),
            (None, None) => None,
        };
        match (&mut *known, idle) {
            // (How far a clock is off, in seconds, is no news.)
            (Some(before), Some(idle)) if before.what == idle.what => {}
            (known, Some(idle)) => {
                tracing::error!(why = idle.why, "this node walks nothing and sends nothing");
                *known = Some(idle);
            }
            (known, None) => {
                if known.take().is_some() {
                    tracing::info!("this node takes part again");
                }
            }
        }
        drop(known);
        self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&tended.other);
        let led = self.leads.swap(tended.leads, Ordering::Relaxed);
        if led && !tended.leads {
            tracing::warn!("another node leads now");
        }
        tended.leads && !led
    }

    /// Sources that have another name take over what was of the old one; what waits of those that are gone is held, and told.
    async fn settle_sources(&self, outbox: &dyn Outbox, now: DateTime<Utc>) -> Result<(), StoreError> {
        let names: Vec<String> = self.sources.iter().map(|(name, _)| name.clone()).collect();
        for (name, was) in &self.sources {
            let Some(was) = was.as_ref().filter(|was| !names.contains(was)) else { continue };
            if outbox.rename_source(was, name, now).await? {
                tracing::info!(source = %name, %was, "the source has another name: it takes over all that was of the old one");
            }
        }
        let held = outbox.configure(&names, now).await?;
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
}

/// How far this machine's clock is from the store's, if that is too far, however long the answer took.
fn skew(store_now: DateTime<Utc>, (asked, answered): (DateTime<Utc>, DateTime<Utc>)) -> Option<TimeDelta> {
    let ahead = Some(asked - store_now).filter(|ahead| *ahead > SKEW_MAX);
    ahead.or_else(|| Some(answered - store_now).filter(|behind| *behind < -SKEW_MAX))
}

impl Engine {
    /// Looks at the other nodes. Never ends.
    pub(super) async fn keep_tending(self: Arc<Self>, failed: mpsc::Sender<StoreError>) {
        loop {
            tokio::time::sleep(LOOK).await;
            watched(failed.clone(), self.tend(&failed)).await;
        }
    }

    async fn tend(self: &Arc<Self>, failed: &mpsc::Sender<StoreError>) -> Result<(), StoreError> {
        let (now, uptime, idle) = (self.clock.now(), self.clock.uptime(), self.membership.idle());
        // (Somebody may have changed a template.)
        let ours = self.membership.likeness.line(&self.dispatcher.renderer);
        let tended = self.outbox.tend(&ours, idle.as_ref().map(|idle| idle.why.as_str()), now).await?;
        let was_idle = idle.is_some();
        let leads_now = self.membership.stands(&ours, &tended, (now, self.clock.now()));
        self.membership.hears(&tended, uptime);
        let is_idle = self.membership.idle().is_some();
        self.feeds.looks.halt(is_idle);
        let shares = self.lanes.iter().filter(|(lane, _)| lane.share_among(tended.nodes)).count();
        let taken = tended.recovered;
        if taken.returned > 0 || !taken.in_doubt.is_empty() {
            tracing::warn!(returned = taken.returned, in_doubt = taken.in_doubt.len(), "taken back from a node that is gone");
        }
        let something = taken.returned > 0 || !taken.in_doubt.is_empty() || was_idle != is_idle || shares > 0;
        self.dispatcher.resolve(taken.in_doubt, self.membership.doubt()).await?;
        if leads_now {
            tracing::info!("{LEADS}");
            self.membership.settle_sources(&*self.outbox, now).await?;
            self.poll_all(failed);
        }
        if something {
            self.wake_lanes();
        }
        self.take_looks(failed).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that slept takes itself for the one that leads, until the store has said who does.
    #[test]
    fn who_leads_is_believed_for_a_while() {
        let config = crate::config::parse("[practice]\nname = \"Lakeside\"\n", None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let ran = |seconds| Some(TimeDelta::seconds(seconds));
        let membership = Membership::of(&config, [0; 32]);
        assert!(!membership.is_out_of_date(ran(1000)), "it starts");
        membership.hears(&Tended { store_now: Some(DateTime::UNIX_EPOCH), ..Tended::alone() }, ran(1000));
        assert_eq!([1015, 1016].map(|seconds| membership.is_out_of_date(ran(seconds))), [false, true]);
        membership.hears(&Tended::alone(), ran(2000));
        assert!(!membership.is_out_of_date(ran(9000)), "nobody else could lead");
    }

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let skew = |store_now, asked, answered| skew(at(store_now), (at(asked), at(answered))).map(|skew| skew.num_seconds());
        for (store_now, asked, answered, expected) in [
            (100, 100, 100, None),
            (145, 100, 150, None),
            (100, 129, 131, None),
            (100, 131, 132, Some(31)),
            (100, 20, 69, Some(-31)),
            (100, 20, 71, None),
        ] {
            assert_eq!(skew(store_now, asked, answered), expected, "{store_now} {asked} {answered}");
        }
    }
}
