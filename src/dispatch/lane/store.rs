//! A lane whose turns and pauses a store keeps: they hold over all processes that hand over, and over restarts.
//!
//! Without a rate and without a fault nothing is asked and nothing is written.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Arc, Lane, Slot};
use crate::clock::Clock;
use crate::outbox::{self, Outbox, TransportAnswer, TransportAsk, TransportName};

/// From one look at what other processes noted to the next.
const REFRESH_AFTER: Duration = Duration::from_secs(1);

/// So long one process asks a transport for all, at most: longer than a server takes to answer, when it does.
const PROBE_LASTS: TimeDelta = TimeDelta::minutes(1);

/// Where turns and pauses are kept.
pub(super) struct LaneStore {
    outbox: Arc<dyn Outbox>,
    /// The process, by the name of its start.
    owner: String,
    refreshed_at: Mutex<Option<Instant>>,
}

impl Lane {
    /// Its turns and pauses are kept in that store. `owner`: random for each start.
    #[must_use]
    pub fn kept_in(mut self, outbox: Arc<dyn Outbox>, owner: &str) -> Self {
        self.kept = Some(LaneStore { outbox, owner: owner.to_owned(), refreshed_at: Mutex::default() });
        self
    }

    fn name_of(&self, slot: &Slot) -> TransportName {
        TransportName { channel: self.channel, name: slot.transport.name().to_owned() }
    }

    async fn ask(&self, kept: &LaneStore, slot: &Slot, ask: TransportAsk) -> Option<TransportAnswer> {
        match kept.outbox.ask_transport(&self.name_of(slot), ask).await {
            Ok(answer) => Some(answer),
            Err(e) => {
                tracing::error!(transport = slot.transport.name(), "what is known of it could not be kept: {e}");
                None
            }
        }
    }

    /// At a start: the turns that were taken, and the pauses that transports asked for themselves.
    pub async fn load_transports(&self, now: DateTime<Utc>) -> outbox::Result<()> {
        let Some(kept) = &self.kept else { return Ok(()) };
        for known in kept.outbox.transports().await? {
            self.transports.iter().filter(|slot| self.name_of(slot) == known.name).for_each(|slot| slot.begins_with(&known, now));
        }
        Ok(())
    }

    /// What other processes noted since: once a second at most.
    pub(in crate::dispatch) async fn refresh_transports(&self, clock: &dyn Clock) -> outbox::Result<()> {
        let Some(kept) = self.kept.as_ref().filter(|kept| kept.outbox.is_shared()) else { return Ok(()) };
        {
            let mut refreshed_at = kept.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
            if refreshed_at.is_some_and(|at| at.elapsed() < REFRESH_AFTER) {
                return Ok(());
            }
            *refreshed_at = Some(Instant::now());
        }
        let all = kept.outbox.transports().await?;
        let now = clock.now();
        for known in all {
            let theirs = self.transports.iter().filter(|slot| self.name_of(slot) == known.name);
            theirs.for_each(|slot| slot.learn(&known, &kept.owner, now));
        }
        Ok(())
    }

    /// Other processes may hand over beside this one.
    pub(in crate::dispatch) fn is_shared(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.outbox.is_shared())
    }

    /// Somebody has something tried now: no process keeps a pause any more.
    pub async fn try_now(&self) {
        self.forget_pauses();
        let Some(kept) = &self.kept else { return };
        for slot in &self.transports {
            if let Some(answer) = self.ask(kept, slot, TransportAsk::TryNow).await {
                slot.saved(answer.version);
            }
        }
    }

    /// Takes a transport's next turn: how long to wait for it; `None`: it is too far ahead.
    pub(super) async fn turn(&self, slot: &Slot, clock: &dyn Clock) -> Option<Duration> {
        let (Some(kept), Some(limiter)) = (&self.kept, &slot.limiter) else { return slot.turn(clock.now()) };
        let limiter = || limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let _one_asks = slot.asks.lock().await;
        let mut now = clock.now();
        let mut turn = limiter().take_given(now);
        if turn.is_none() {
            let (spacing, count) = limiter().wanted(now);
            let given = self.ask(kept, slot, TransportAsk::Turns { spacing, count }).await?.turns?;
            now = clock.now();
            limiter().given(now, given);
            turn = limiter().take_given(now);
        }
        Some((turn? - now).to_std().unwrap_or_default())
    }

    /// After a fault one process asks, for all. `false`: another one does.
    pub(super) async fn may_ask(&self, slot: &Slot) -> bool {
        let Some(kept) = self.kept.as_ref().filter(|kept| kept.outbox.is_shared() && slot.is_asked_for_all()) else { return true };
        let won = self
            .ask(kept, slot, TransportAsk::Probe { owner: kept.owner.clone(), lasts: PROBE_LASTS })
            .await
            .is_some_and(|answer| answer.won);
        if won {
            slot.probes();
        }
        won
    }

    /// Tells the store what it does not know of a transport yet.
    pub(super) async fn save(&self, slot: &Slot, now: DateTime<Utc>) {
        let Some(kept) = &self.kept else { return };
        let Some(untold) = slot.unsaved(&kept.owner, now) else { return };
        if let Some(answer) = self.ask(kept, slot, untold).await {
            slot.saved(answer.version);
        }
    }
}
