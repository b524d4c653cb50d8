//! From due to told: claim, revalidate, render, begin, deliver, settle.
//!
//! One lane for each channel, so that a slow or dead channel never delays another. A lane claims a batch, asks the planner about each notice
//! once more ([`prepare`]), makes the begun attempts durable, a share of the batch in one commit, and hands them over on as many connections
//! as its transports have ([`attempt`]). While they are in flight it prepares the next batch, on all cores; a connection takes its next message
//! while the end of the last one is made durable.
//!
//! Invariants: nothing is handed over that was not begun (bytes frozen, durable); nothing passes its point of no return without the store's
//! word; every claim is settled, or taken back by the next start. A store error ends the lane at once.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::contact::Channel;
use crate::outbox::{self, Begin, Claim, ClaimRequest, Filter, Lease, Outbox, Settlement, StoreError};
use crate::pace::AHEAD;
use crate::plan::{Policy, Suppressions};
use crate::render::Renderer;
use crate::retry::{DoubtPolicy, after_doubt};

mod attempt;
mod breaker;
mod lane;
mod meter;
mod prepare;
mod slot;

pub use lane::Lane;
pub use meter::{LATENESS, Lateness, Meter, OUTCOMES};
use prepare::{Prepared, Ready};

/// Claimed at once, and ready beside what is on its way when the next claim is made: enough to keep every connection busy while the next batch
/// is prepared, few enough to be decided freshly.
const BATCH: usize = 256;
/// Prepared by one thread and begun together: small enough that a batch is spread over all cores, and that its first messages leave early.
const SHARE: usize = 64;
/// Rows of the ledger by which a lane knows at its start what its transports refused lately: those of some two hundred messages.
const RECALLED: usize = 1_000;
/// A claim that was neither settled nor taken back is free again after this long. Longer than the longest attempt (20 min).
const LEASE: TimeDelta = TimeDelta::minutes(30);
/// The longest sleep: the wall clock is looked at again at least this often (suspend, clock changes, other processes' commands).
const LONGEST_SLEEP: TimeDelta = TimeDelta::seconds(30);
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
    /// Moved by the planner, fenced, or returned at a stop.
    pub returned: usize,
}

impl Tally {
    fn add(&mut self, end: &Settlement) {
        let counter = match end {
            Settlement::Accepted { .. } => &mut self.accepted,
            Settlement::Rejected { .. } => &mut self.rejected,
            Settlement::Retry { .. } => &mut self.retried,
            Settlement::Unknown { .. } => &mut self.unknown,
            Settlement::Ended { .. } => &mut self.ended,
            Settlement::Return { outcome, .. } if *outcome == CHANNEL_FAULT => &mut self.channel_faults,
            Settlement::Return { .. } => &mut self.returned,
        };
        *counter += 1;
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
            returned: self.returned + other.returned,
        }
    }
}

/// The delivery outcome of a notice that its channel could not take.
const CHANNEL_FAULT: &str = "channel_fault";

/// Hands over what is due.
pub struct Dispatcher {
    /// Where notices live.
    pub outbox: Arc<dyn Outbox>,
    /// Makes messages.
    pub renderer: Arc<Renderer>,
    /// Is asked again before each message.
    pub policy: Arc<Policy>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Random for each start.
    pub owner: String,
}

/// How long a lane goes on.
#[derive(Clone)]
pub enum Span {
    /// Until nothing that is due at this moment is left: one attempt each.
    Once(DateTime<Utc>),
    /// Until the flag is raised; then what is in hand is finished.
    Until(watch::Receiver<bool>),
}

impl Span {
    fn is_over(&self) -> bool {
        matches!(self, Self::Until(stop) if *stop.borrow())
    }

    /// Until the pause is over, the wake is notified, or the flag is raised.
    async fn rest(&self, pause: TimeDelta, wake: Option<&Notify>) {
        let stopped = async {
            match self {
                Self::Until(stop) => drop(stop.clone().wait_for(|stopped| *stopped).await),
                Self::Once(_) => std::future::pending().await,
            }
        };
        let woken = async {
            match wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause.to_std().unwrap_or_default()) => {}
            () = woken => {}
            () = stopped => {}
        }
    }
}

/// What is in the air, and what came of it so far.
struct Flight<'a> {
    flying: &'a mut JoinSet<outbox::Result<Settlement>>,
    tally: &'a mut Tally,
    permits: &'a Arc<Semaphore>,
    span: &'a Span,
}

impl Flight<'_> {
    fn take_off(&mut self, dispatcher: &Arc<Dispatcher>, lane: &Arc<Lane>, ready: Ready) {
        let (me, lane, permits, span) = (Arc::clone(dispatcher), Arc::clone(lane), Arc::clone(self.permits), self.span.clone());
        self.flying.spawn(async move { me.hand_over(&lane, ready, &permits, &span).await });
    }
}

impl Dispatcher {
    /// Takes back what an earlier process left behind, and decides about what it left in doubt.
    /// Only when no other process can be alive (`run` holds the store's lock).
    pub async fn recover(&self, doubt: impl Fn(Channel) -> DoubtPolicy) -> outbox::Result<usize> {
        let now = self.clock.now();
        let found = self.outbox.recover(&self.owner, now, true).await?;
        if found.in_doubt.is_empty() {
            return Ok(found.returned);
        }
        let filter = Filter { keys: found.in_doubt.clone(), ..Filter::default() };
        let resends = self.outbox.list(&filter).await?.into_iter().map(|e| {
            let n = &e.notice;
            tracing::warn!(key = %n.key, session = %n.session, "in doubt: the process ended between the hand-over and the answer");
            let channel = n.address.channel();
            (n.key, after_doubt(doubt(channel), channel, n.occasion, e.attempts > 1, now, n.start, n.useful_until))
        });
        self.outbox.resolve_doubt(now, resends.collect()).await?;
        Ok(found.returned)
    }

    /// Runs one lane. `wake` is notified when a walk has changed the outbox.
    pub async fn run(self: Arc<Self>, lane: Arc<Lane>, span: Span, wake: Arc<Notify>) -> outbox::Result<Tally> {
        lane.recall(&self.outbox.settled_lately(lane.channel, RECALLED).await?);
        let permits = Arc::new(Semaphore::new(lane.concurrency()));
        let mut flying: JoinSet<outbox::Result<Settlement>> = JoinSet::new();
        let mut tally = Tally::default();
        loop {
            lane.meter().beat(flying.len());
            let now = self.clock.now();
            let room = lane.room(now).map_or(BATCH, |(turns, _)| turns.saturating_sub(flying.len()).min(BATCH));
            // After a fault one message asks for all: the others wait for its end.
            let probing = lane.is_on_probation() && !flying.is_empty();
            let stands_still = span.is_over() || lane.is_closed(now) || probing;
            let claims = if stands_still || room == 0 { Vec::new() } else { self.claim(&lane, &span, room).await? };
            if claims.is_empty() {
                if let Some(landed) = flying.join_next().await {
                    tally.add(&landing(landed)?);
                    continue;
                }
                if let Some((0, turn)) = lane.room(now).filter(|_| !stands_still) {
                    span.rest((turn - AHEAD - now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP), None).await;
                    continue;
                }
                if matches!(span, Span::Once(_)) || span.is_over() {
                    return Ok(tally);
                }
                self.sleep(&lane, &span, &wake).await?;
                continue;
            }
            self.begin(&lane, claims, &mut Flight { flying: &mut flying, tally: &mut tally, permits: &permits, span: &span }).await?;
            while flying.len() > lane.concurrency() + BATCH {
                lane.meter().beat(flying.len());
                let Some(landed) = flying.join_next().await else { break };
                tally.add(&landing(landed)?);
            }
        }
    }

    async fn claim(&self, lane: &Lane, span: &Span, room: usize) -> outbox::Result<Vec<Claim>> {
        let now = match span {
            Span::Once(at) => *at,
            Span::Until(_) => self.clock.now(),
        };
        if !self.clock.is_plausible() {
            tracing::error!(%now, "the clock cannot be right: nothing is sent until it is");
            return Ok(Vec::new());
        }
        let limit = if lane.is_on_probation() { 1 } else { room };
        self.outbox.claim(ClaimRequest { owner: self.owner.clone(), now, channel: lane.channel, lease: LEASE, limit }).await
    }

    /// Decides about each claim once more, on all cores, and makes the attempts that follow durable; those of one share in one commit.
    async fn begin(self: &Arc<Self>, lane: &Arc<Lane>, mut claims: Vec<Claim>, flight: &mut Flight<'_>) -> outbox::Result<()> {
        let now = self.clock.now();
        let suppressed = Arc::new(Suppressions(self.outbox.suppressions().await?));
        let mut preparing: Vec<JoinHandle<Vec<Prepared>>> = Vec::new();
        while !claims.is_empty() {
            let rest = claims.split_off(SHARE.min(claims.len()));
            let share = std::mem::replace(&mut claims, rest);
            let (me, lane, suppressed) = (Arc::clone(self), Arc::clone(lane), Arc::clone(&suppressed));
            preparing.push(tokio::task::spawn_blocking(move || me.prepare(share, &lane, &suppressed, now)));
        }
        // In their order: the most urgent leave first.
        for prepared in preparing {
            let prepared = prepared.await.map_err(|e| defect("prepare", &e))?;
            for ready in self.begin_share(prepared, flight.tally, now).await? {
                flight.take_off(self, lane, ready);
            }
        }
        Ok(())
    }

    /// One share of a batch: what is not sent is settled, the rest is begun. Those that the store let begin.
    async fn begin_share(&self, prepared: Vec<Prepared>, tally: &mut Tally, now: DateTime<Utc>) -> outbox::Result<Vec<Ready>> {
        let mut ends: Vec<(Lease, Settlement)> = Vec::new();
        let mut ready: Vec<Ready> = Vec::new();
        for one in prepared {
            match one {
                Prepared::Send(r) => ready.push(*r),
                Prepared::Settle(lease, end) => ends.push((lease, end)),
            }
        }
        if !ends.is_empty() {
            ends.iter().for_each(|(_, end)| tally.add(end));
            self.outbox.settle(now, ends).await?;
        }
        let begins: Vec<Begin> = ready
            .iter()
            .map(|r| Begin {
                lease: r.lease,
                revision: r.revision,
                facts: r.facts.clone(),
                at: now,
                transport: r.over.clone(),
                bytes: r.message.content.shared_bytes(),
            })
            .collect();
        if begins.is_empty() {
            return Ok(ready);
        }
        let held = self.outbox.begin(begins).await?;
        let (ready, fenced): (Vec<_>, Vec<_>) = ready.into_iter().zip(held).partition(|(_, held)| *held);
        let returned: Vec<(Lease, Settlement)> = fenced.into_iter().map(|(r, _)| (r.lease, prepare::fenced(now))).collect();
        if !returned.is_empty() {
            tally.returned += returned.len();
            self.outbox.settle(now, returned).await?;
        }
        Ok(ready.into_iter().map(|(r, _)| r).collect())
    }

    /// Sleeps until the next notice is due, a walk changed something, or the end; at most half a minute.
    async fn sleep(&self, lane: &Lane, span: &Span, wake: &Notify) -> outbox::Result<()> {
        let now = self.clock.now();
        let due = match lane.reopens_at() {
            Some(at) if at > now => Some(at),
            _ if !self.clock.is_plausible() => None,
            _ => self.outbox.next_due(lane.channel).await?,
        };
        span.rest(due.map_or(LONGEST_SLEEP, |at| (at - now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP)), Some(wake)).await;
        Ok(())
    }
}

/// A task's result; a panic in it is a defect of ours, and the claim stays for the next start to take back.
fn landing(landed: Result<outbox::Result<Settlement>, tokio::task::JoinError>) -> outbox::Result<Settlement> {
    landed.unwrap_or_else(|e| Err(defect("hand-over", &e)))
}

fn defect(action: &str, e: &tokio::task::JoinError) -> StoreError {
    StoreError { action: action.to_owned(), cause: format!("its task ended: {e}") }
}
