//! What the store keeps of a transport's pauses: for other processes that hand over, and for those that come after this one.

use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Slot, SlotFault, Unsaved};
use crate::outbox::{TransportAsk, TransportState};

/// Whoever finds that another process asks it looks again after so long.
const ASIDE: TimeDelta = TimeDelta::seconds(1);

impl Slot {
    /// What the store is to be told. Asked once for each time. `owner`: this process.
    pub(in crate::dispatch) fn unsaved(&self, owner: &str, now: DateTime<Utc>) -> Option<TransportAsk> {
        let mut fault = self.fault();
        match std::mem::take(&mut fault.unsaved) {
            Unsaved::Pause => {
                (fault.is_known, fault.probes) = (true, false);
                let left = |until: Option<DateTime<Utc>>| until.map(|until| until - now);
                let lasts = left(fault.paused_until).unwrap_or_default();
                Some(TransportAsk::Pause { faults: fault.pauses, lasts, said: left(fault.said_until), why: fault.why.clone() })
            }
            Unsaved::Recovery => {
                (fault.is_known, fault.probes) = (false, false);
                Some(TransportAsk::Recovery)
            }
            Unsaved::Nothing if fault.probes && !fault.probing => {
                fault.probes = false;
                Some(TransportAsk::Leave { owner: owner.to_owned() })
            }
            Unsaved::Nothing => None,
        }
    }

    /// The store has that version of its pause now.
    pub(in crate::dispatch) fn saved(&self, version: i64) {
        self.version.fetch_max(version, Ordering::Relaxed);
    }

    /// All processes have it at fault: one of them asks.
    pub(in crate::dispatch) fn is_asked_for_all(&self) -> bool {
        let fault = self.fault();
        fault.suspect && fault.is_known
    }

    /// It is this process that asks.
    pub(in crate::dispatch) fn probes(&self) {
        self.fault().probes = true;
    }

    /// Another process asks it, and whoever would have asked here waits a little.
    pub(in crate::dispatch) fn step_aside(&self, now: DateTime<Utc>) {
        let mut fault = self.fault();
        fault.probing = false;
        fault.paused_until = fault.paused_until.max(Some(now + ASIDE));
        drop(fault);
        self.answered.notify_waiters();
    }

    /// What another process noted since, or found.
    pub(in crate::dispatch) fn learn(&self, known: &TransportState, owner: &str, now: DateTime<Utc>) {
        if let Some(limiter) = &self.limiter {
            limiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).set_next_turn(now, known.next_turn_in);
        }
        if self.version.fetch_max(known.version, Ordering::Relaxed) < known.version {
            self.takes_over(known, now);
        }
        let is_asked_elsewhere = known.probed_by.as_deref().is_some_and(|by| by != owner);
        if is_asked_elsewhere && self.is_asked_for_all() && !self.fault().probing {
            self.step_aside(now);
        }
    }

    fn takes_over(&self, known: &TransportState, now: DateTime<Utc>) {
        let mut fault = self.fault();
        if fault.unsaved != Unsaved::Nothing {
            return;
        }
        if known.faults == 0 {
            *fault = SlotFault::default();
        } else {
            let until = |left: Option<TimeDelta>| left.map(|left| now + left);
            (fault.suspect, fault.is_known, fault.pauses) = (true, true, known.faults);
            fault.paused_until = Some(until(known.pauses_for).unwrap_or(DateTime::UNIX_EPOCH));
            fault.said_until = until(known.said_for);
            fault.why.clone_from(&known.why);
        }
        drop(fault);
        self.answered.notify_waiters();
    }

    /// At a start: a pause that it asked for itself lasts. Any other one is over: whoever starts the service has often mended it.
    pub(in crate::dispatch) fn begins_with(&self, known: &TransportState, now: DateTime<Utc>) {
        let asked_for = TransportState { pauses_for: known.said_for, ..known.clone() };
        if known.said_for.is_some() {
            self.learn(&asked_for, "", now);
        } else {
            self.learn(&TransportState { version: 0, probed_by: None, ..asked_for }, "", now);
            self.saved(known.version);
            self.fault().is_known = known.faults > 0;
        }
    }
}
