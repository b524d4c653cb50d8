//! From due to told: claim, revalidate, render, begin, deliver, settle.
//!
//! One lane for each channel, so that a slow or dead channel never delays another. A lane claims what is due, asks the planner about each notice
//! once more ([`revalidate`]), and hands what may go over on as many connections as its transports have ([`worker`]), the most urgent first
//! ([`queue`]). An attempt is made durable before anything leaves ([`attempt`]). Meanwhile the next batch is prepared, on all cores ([`prepare`]).
//!
//! Invariants: nothing is handed over that was not begun (bytes frozen, durable); nothing passes its point of no return without the store's
//! word, before the sources were asked ([`looks`]), or on a decision that is old; every claim is settled, or taken back by the next start or another node. A store
//! error ends the lane at once.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use chrono::{DateTime, TimeDelta, Utc};
use lane_run::LaneRun;
use looks::Looks;
use prepare::Prepared;
use ready::Ready;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::entry::State;
use crate::notice::Occasion;
use crate::outbox::{self, Claim, ClaimRequest, Lease, Outbox, Settlement, StoreError};
use crate::plan::{Policy, Suppressions};
use crate::rate::BURST_WINDOW;
use crate::render::Renderer;
use crate::source::just_read::JustRead;

mod again;
mod alone;
mod attempt;
mod bar;
mod breaker;
mod elsewhere;
mod lane;
mod lane_run;
pub mod looks;
mod meter;
mod places;
mod prepare;
mod queue;
mod ready;
mod record;
mod revalidate;
mod slot;
mod taken_back;
mod worker;

pub(crate) use alone::{claim, hand_over};
pub(crate) use attempt::AttemptContext;
pub use lane::Lane;
pub use meter::{Counted, LATENESS, Lateness, Meter};
pub(crate) use record::AloneRecord;

/// Claimed at once, at most: enough to keep the connections of a fast relay busy while the next batch is prepared.
const BATCH: usize = 512;
/// Prepared by one thread and begun together: small enough that a batch is spread over all cores, and that its first messages leave early.
const SHARE: usize = 64;
/// Rows of the ledger by which a lane knows at its start what its transports refused lately: those of some two hundred messages.
pub const RECALLED: usize = 1_000;
/// A claim that was neither settled nor taken back is free again after this long. Longer than the longest attempt (20 min).
const LEASE: TimeDelta = TimeDelta::minutes(30);
/// The longest sleep: the wall clock is looked at again at least this often (suspend, clock changes, other processes' commands).
const LONGEST_SLEEP: TimeDelta = TimeDelta::seconds(30);
/// From one look to the next whether the sources are asked.
const LOOK_AGAIN: TimeDelta = TimeDelta::milliseconds(500);
/// Lapses that are told one by one: after an outage there may be thousands at once.
const LAPSES_TOLD: usize = 50;
/// The shortest sleep between two looks at the store.
const SHORTEST_SLEEP: TimeDelta = TimeDelta::milliseconds(20);

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// A server has it.
    pub accepted: usize,
    /// A server refused it for good.
    pub rejected: usize,
    /// To be tried again.
    pub retried: usize,
    /// The channel was at fault.
    pub channel_faults: usize,
    /// In doubt.
    pub unknown: usize,
    /// Not sent after all: held, cancelled, superseded, lapsed, suppressed.
    pub ended: usize,
    /// Passed their useful time: they should have gone, and did not.
    pub lapsed: usize,
    /// Moved by the planner, fenced, or returned at a stop.
    pub returned: usize,
}

impl Tally {
    fn add(&mut self, end: &Settlement) {
        let counter = match Counted::from(end) {
            Counted::Accepted => &mut self.accepted,
            Counted::Rejected => &mut self.rejected,
            Counted::Retry => &mut self.retried,
            Counted::ChannelFault => &mut self.channel_faults,
            Counted::Unknown => &mut self.unknown,
            Counted::Ended => &mut self.ended,
            Counted::Returned => &mut self.returned,
        };
        *counter += 1;
        self.lapsed += usize::from(matches!(end, Settlement::Ended { state: State::Lapsed, .. }));
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            retried: self.retried + other.retried,
            channel_faults: self.channel_faults + other.channel_faults,
            unknown: self.unknown + other.unknown,
            ended: self.ended + other.ended,
            lapsed: self.lapsed + other.lapsed,
            returned: self.returned + other.returned,
        }
    }
}

/// Hands over what is due.
pub struct Dispatcher {
    pub outbox: Arc<dyn Outbox>,
    pub renderer: Arc<Renderer>,
    /// Is asked again before each message.
    pub policy: Arc<Policy>,
    pub clock: Arc<dyn Clock>,
    /// Random for each start.
    pub owner: String,
    /// What a walk has read, and need not be read once more.
    pub just_read: JustRead,
    /// Walks of which the codes are known here ([`outbox::Nodes::walks`]).
    pub walks: AtomicI64,
}

/// How long a lane goes on, and what it waits for.
#[derive(Clone)]
pub enum Span {
    /// Until nothing that is due at this moment is left: one attempt each.
    Once(DateTime<Utc>),
    /// Likewise, beside a walk: more of it may come as long as the flag is raised.
    Beside(DateTime<Utc>, watch::Receiver<bool>),
    /// Until the flag is raised; then what is in hand is finished.
    Until(watch::Receiver<bool>),
    /// Likewise; nothing leaves while the sources have to be asked first.
    Looking(watch::Receiver<bool>, Arc<Looks>),
}

impl Span {
    fn is_over(&self) -> bool {
        matches!(self, Self::Until(stop) | Self::Looking(stop, _) if *stop.borrow())
    }

    fn is_once(&self) -> bool {
        matches!(self, Self::Once(_) | Self::Beside(..))
    }

    /// What is due may not be there yet.
    fn more_comes(&self) -> bool {
        matches!(self, Self::Beside(_, walking) if *walking.borrow())
    }

    /// Whether something may leave at this moment.
    fn may_send(&self) -> bool {
        match self {
            Self::Looking(_, looks) => looks.are_done(),
            Self::Once(_) | Self::Beside(..) | Self::Until(_) => true,
        }
    }

    /// What is due by then is this span's.
    fn due_by(&self, clock: &dyn Clock) -> DateTime<Utc> {
        match self {
            Self::Once(at) | Self::Beside(at, _) => *at,
            Self::Until(_) | Self::Looking(..) => clock.now(),
        }
    }

    /// Until the flag is raised.
    async fn stopped(&self) {
        match self {
            Self::Until(stop) | Self::Looking(stop, _) => drop(stop.clone().wait_for(|stopped| *stopped).await),
            Self::Once(_) | Self::Beside(..) => std::future::pending().await,
        }
    }

    /// Until the pause is over, the wake is notified, or the flag is raised.
    async fn rest(&self, pause: TimeDelta, wake: Option<&Notify>) {
        let woken = async {
            match wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause.to_std().unwrap_or_default()) => {}
            () = woken => {}
            () = self.stopped() => {}
        }
    }
}

impl Dispatcher {
    /// Runs one lane. `wake` is notified when a walk has changed the outbox.
    pub async fn run(self: Arc<Self>, lane: Arc<Lane>, span: Span, wake: Arc<Notify>) -> outbox::Result<Tally> {
        lane.recall(&self.outbox.settled_lately(lane.channel, RECALLED).await?);
        let mut run = LaneRun::new(Arc::clone(&self), lane, span);
        run.tally.lapsed += self.lapse().await?;
        let mut swept_at = self.clock.now();
        let mut all_is_there = !run.span.more_comes();
        loop {
            run.looks_up(&*self.clock).await?;
            if !all_is_there && !run.span.more_comes() {
                // What came last is looked for.
                (all_is_there, run.nothing_before) = (true, None);
            }
            let now = self.clock.now();
            if (now - swept_at).abs() >= LONGEST_SLEEP {
                run.tally.lapsed += self.lapse().await?;
                swept_at = now;
            }
            if run.lane.is_closed(now)
                && let Some(useful_until) = self.outbox.most_urgent(run.lane.channel, now).await?
            {
                run.lane.waits_for(useful_until, now);
            }
            let room = run.room(now);
            if room > 0 {
                let claims = self.claim(&run, room).await?;
                if !claims.is_empty() {
                    self.begin(claims, &mut run).await?;
                    continue;
                }
                run.nothing_before = Some(self.next_due(&run).await?);
            }
            if run.span.is_over() {
                run.give_back().await?;
            }
            let is_done = run.span.is_once() && all_is_there && !self.has_a_turn_to_wait_for(&run);
            if run.in_flight == 0 && (run.span.is_over() || is_done) {
                run.tally.lapsed += self.lapse().await?;
                return Ok(run.tally);
            }
            self.wait(&mut run, &wake).await?;
        }
    }

    /// `run --once` waits for the next turn of its rate, and for nothing else.
    fn has_a_turn_to_wait_for(&self, run: &LaneRun) -> bool {
        let now = self.clock.now();
        let out_of_turns = run.lane.room(now).is_some_and(|(turns, _)| turns == 0);
        out_of_turns && !run.stands_still(now) && run.nothing_before.is_none()
    }

    /// Until one has ended, something may be due, or a walk changed something; at most half a minute.
    async fn wait(&self, run: &mut LaneRun, wake: &Notify) -> outbox::Result<()> {
        let now = self.clock.now();
        let until = match run.lane.room(now) {
            // Looked at twice a second: the clock may be set meanwhile, too.
            _ if !run.span.may_send() => Some(now + LOOK_AGAIN),
            _ if run.stands_still(now) => run.reopens_at(now),
            Some((0, turn)) if turn - BURST_WINDOW > now => Some(turn - BURST_WINDOW),
            // There is one, which is kept for somebody else.
            Some((0, _)) => Some(now + LOOK_AGAIN),
            _ => run.nothing_before,
        };
        let rest = until.map_or(LONGEST_SLEEP, |at| (at - now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP));
        let waits = run.in_flight == 0 || !run.span.is_over();
        let span = run.span.clone();
        tokio::select! {
            ended = run.ended() => ended,
            () = span.rest(rest, Some(wake)), if waits => {
                run.nothing_before = None;
                Ok(())
            }
        }
    }

    /// Ends what has passed its useful time, whatever kept it, and says so: a message that should have gone and did not is nobody's secret. How
    /// many there were. Whoever did not join a session that is over was missed by nobody.
    pub async fn lapse(&self) -> outbox::Result<usize> {
        if !self.clock.is_plausible() {
            return Ok(0);
        }
        let mut lapsed = self.outbox.lapse(self.clock.now()).await?;
        lapsed.retain(|e| e.notice.occasion != Occasion::NotJoined);
        for e in lapsed.iter().take(LAPSES_TOLD) {
            let (n, reason) = (&e.notice, e.reason.map_or("", crate::notice::Reason::as_str));
            tracing::warn!(key = %n.key, session = %n.session, participation = %n.participation, occasion = %n.occasion, reason, "lapsed: it was not sent in time");
        }
        if lapsed.len() > LAPSES_TOLD {
            tracing::warn!(lapsed = lapsed.len(), "so many were not sent in time: see punctual unreachable");
        }
        Ok(lapsed.len())
    }

    async fn claim(&self, run: &LaneRun, room: usize) -> outbox::Result<Vec<Claim>> {
        let (lane, now) = (&run.lane, run.span.due_by(&*self.clock));
        if !self.clock.is_plausible() {
            tracing::error!(%now, "the clock cannot be right: nothing is sent until it is");
            return Ok(Vec::new());
        }
        let limit = if lane.is_suspect() { 1 } else { room };
        let request = ClaimRequest { owner: self.owner.clone(), now, channel: lane.channel, lease: LEASE, limit };
        let claims = self.outbox.claim(request).await?;
        self.learn_codes(&claims).await?;
        if let Some(first) = claims.iter().map(|claim| claim.entry.notice.useful_until).min() {
            lane.waits_for(first, now);
        }
        Ok(claims)
    }

    /// Decides about each claim once more, on all cores, and hands over what may go.
    async fn begin(self: &Arc<Self>, mut claims: Vec<Claim>, run: &mut LaneRun) -> outbox::Result<()> {
        let now = self.clock.now();
        let suppressed = Arc::new(Suppressions(self.outbox.suppressions().await?));
        // More at once would all end late: the first share is to leave while the others are made.
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut preparing: VecDeque<JoinHandle<Vec<Prepared>>> = VecDeque::new();
        loop {
            while preparing.len() < cores && !claims.is_empty() {
                let rest = claims.split_off(SHARE.min(claims.len()));
                let share = std::mem::replace(&mut claims, rest);
                let (me, lane, suppressed) = (Arc::clone(self), Arc::clone(&run.lane), Arc::clone(&suppressed));
                preparing.push_back(tokio::task::spawn_blocking(move || me.prepare(share, &lane, &suppressed, now)));
            }
            // In their order: the most urgent leave first.
            let Some(first) = preparing.pop_front() else { return Ok(()) };
            let prepared = first.await.map_err(|e| defect("prepare", &e))?;
            for ready in self.settled_share(prepared, run, now).await? {
                run.start(ready);
            }
        }
    }

    /// One share of a batch: what is not sent is settled. Those that may go: their connections begin them.
    async fn settled_share(&self, prepared: Vec<Prepared>, run: &mut LaneRun, now: DateTime<Utc>) -> outbox::Result<Vec<Box<Ready>>> {
        let mut ends: Vec<(Lease, Settlement)> = Vec::new();
        let mut ready: Vec<Box<Ready>> = Vec::new();
        for one in prepared {
            match one {
                Prepared::Send(r) => {
                    let end = match &r.left {
                        Some(left) if r.notice.occasion == Occasion::Cancelled => self.stands_elsewhere(left, &r.notice, now).await?,
                        _ => None,
                    };
                    match end {
                        None => ready.push(r),
                        Some(end) => ends.push((r.lease, end)),
                    }
                }
                Prepared::Settle(lease, end) => ends.push((lease, end)),
            }
        }
        if !ends.is_empty() {
            ends.iter().for_each(|(_, end)| run.tally.add(end));
            self.outbox.settle(now, ends).await?;
        }
        Ok(ready)
    }

    /// Until when nothing more is due: at most half a minute, for other processes' commands and clocks that are set.
    async fn next_due(&self, run: &LaneRun) -> outbox::Result<DateTime<Utc>> {
        let now = self.clock.now();
        let latest = now + LONGEST_SLEEP;
        if run.span.is_once() || !self.clock.is_plausible() {
            return Ok(latest);
        }
        Ok(self.outbox.next_due(run.lane.channel).await?.map_or(latest, |at| at.clamp(now + SHORTEST_SLEEP, latest)))
    }
}

fn defect(action: &str, e: &tokio::task::JoinError) -> StoreError {
    StoreError { action: action.to_owned(), cause: format!("its task ended: {e}") }
}
