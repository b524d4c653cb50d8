//! What all processes that hand over know of a transport, and those that come after them: which turns of its rate are taken, until when it pauses, and
//! who asks it after a fault.
//!
//! Every time here is by the store's own clock, and told as a time from now: the processes' clocks need not agree. The rules stand here; a store keeps one
//! row for each transport, reads it, asks them, and writes it back, in one transaction.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::Result;
use crate::contact::Channel;
use crate::rate::{Turns, give};

/// A clock may stand so much behind the one that wrote a row. One that stands further behind was set back, and what it wrote counts no more.
const BEHIND: TimeDelta = TimeDelta::minutes(1);

/// Names a transport of a practice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportName {
    pub channel: Channel,
    /// As the configuration names it.
    pub name: String,
}

/// What is asked about a transport, or told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportAsk {
    /// So many turns of its rate, at most, and none further ahead than [`crate::rate::BURST_WINDOW`].
    Turns {
        /// From one to the next.
        spacing: TimeDelta,
        /// Turns that are asked for.
        count: usize,
    },
    /// It is at fault, and pauses. Of two pauses the longer one counts.
    Pause {
        /// How many pauses there were in a row.
        faults: u32,
        /// From now on.
        lasts: TimeDelta,
        /// So long a pause it asked for itself.
        said: Option<TimeDelta>,
        /// What is wrong with it; no contact stands in it.
        why: String,
    },
    Recovery,
    /// Its pause is over: somebody has it tried now.
    TryNow,
    /// To be the one who asks it after a fault, for all.
    Probe {
        /// Who: random for each start.
        owner: String,
        /// So long at most; then another one may.
        lasts: TimeDelta,
    },
    /// It was not asked after all.
    Leave {
        /// The process, by the name of its start.
        owner: String,
    },
}

/// What a store answers to an [`TransportAsk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportAnswer {
    /// Of its pause, as it is now.
    pub version: i64,
    /// The turns that were asked for.
    pub turns: Option<Turns>,
    /// A probe is the asker's.
    pub won: bool,
}

/// What is known of a transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportState {
    pub name: TransportName,
    /// Another one after each change of its pause.
    pub version: i64,
    /// Pauses in a row; 0: it is well.
    pub faults: u32,
    /// So long it still pauses.
    pub pauses_for: Option<TimeDelta>,
    /// So long it still pauses because it asked for that itself.
    pub said_for: Option<TimeDelta>,
    /// What is wrong with it.
    pub why: String,
    /// Who asks it now.
    pub probed_by: Option<String>,
    /// The next turn that nobody has is so long from now.
    pub next_turn_in: TimeDelta,
}

/// What all processes that hand over know of the transports.
#[async_trait]
pub trait Transports: Send + Sync {
    /// Asks about one, or tells of it.
    async fn ask_transport(&self, name: &TransportName, ask: TransportAsk) -> Result<TransportAnswer>;

    /// All that were asked about or told of.
    async fn transports(&self) -> Result<Vec<TransportState>>;
}

/// A row of the table `transport`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Kept to the microsecond.
    pub(crate) next_turn: Option<DateTime<Utc>>,
    pub(crate) faults: u32,
    pub(crate) noted_at: Option<DateTime<Utc>>,
    pub(crate) paused_until: Option<DateTime<Utc>>,
    pub(crate) said_until: Option<DateTime<Utc>>,
    pub(crate) why: String,
    pub(crate) version: i64,
    pub(crate) probed_by: Option<String>,
    pub(crate) probed_until: Option<DateTime<Utc>>,
}

impl Row {
    /// Does what is asked.
    pub(crate) fn ask(&mut self, ask: &TransportAsk, now: DateTime<Utc>) -> TransportAnswer {
        let (mut turns, mut won) = (None, false);
        match ask {
            TransportAsk::Turns { spacing, count } => {
                // Rounded up: no turn is earlier than its spacing says.
                let spacing = TimeDelta::microseconds(spacing.num_nanoseconds().map_or(i64::MAX / 1000, |nanos| (nanos + 999) / 1000));
                let given = give(self.next_turn, now, spacing, *count);
                self.next_turn = Some(given.end(spacing));
                turns = Some(given);
            }
            TransportAsk::Pause { faults, lasts, said, why } => self.pause(*faults, (*lasts, *said), why, now),
            TransportAsk::Recovery if self.faults > 0 => {
                *self = Self { next_turn: self.next_turn, version: self.version + 1, ..Self::default() }
            }
            TransportAsk::TryNow if self.faults > 0 => {
                (self.paused_until, self.said_until) = (None, None);
                self.version += 1;
            }
            TransportAsk::Recovery | TransportAsk::TryNow => {}
            TransportAsk::Probe { owner, lasts } => {
                won = self.probed_by(now, *lasts).is_none_or(|by| by == owner);
                if won && self.faults > 0 {
                    (self.probed_by, self.probed_until) = (Some(owner.clone()), Some(now + *lasts));
                }
            }
            TransportAsk::Leave { owner } if self.probed_by.as_ref() == Some(owner) => (self.probed_by, self.probed_until) = (None, None),
            TransportAsk::Leave { .. } => {}
        }
        TransportAnswer { version: self.version, turns, won }
    }

    fn pause(&mut self, faults: u32, (lasts, said): (TimeDelta, Option<TimeDelta>), why: &str, now: DateTime<Utc>) {
        let longer = |before: Option<TimeDelta>, new: Option<TimeDelta>| before.max(new).map(|lasts| now + lasts);
        self.paused_until = longer(self.left(self.paused_until, now), Some(lasts));
        self.said_until = longer(self.left(self.said_until, now), said.filter(|said| *said > TimeDelta::zero()));
        self.faults = self.faults.max(faults).max(1);
        self.noted_at = Some(now);
        self.version += 1;
        (self.probed_by, self.probed_until) = (None, None);
        why.clone_into(&mut self.why);
    }

    /// What is left of a pause.
    fn left(&self, until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<TimeDelta> {
        let was_set_back = self.noted_at.is_some_and(|noted_at| now < noted_at - BEHIND);
        until.map(|until| until - now).filter(|left| *left > TimeDelta::zero() && !was_set_back)
    }

    /// Who asks it now. `lasts`: nobody does so for longer.
    fn probed_by(&self, now: DateTime<Utc>, lasts: TimeDelta) -> Option<&String> {
        self.probed_by.as_ref().filter(|_| self.probed_until.is_some_and(|until| now < until && until <= now + lasts + BEHIND))
    }

    pub(crate) fn known(&self, name: TransportName, now: DateTime<Utc>) -> TransportState {
        TransportState {
            name,
            version: self.version,
            faults: self.faults,
            pauses_for: self.left(self.paused_until, now),
            said_for: self.left(self.said_until, now),
            why: self.why.clone(),
            probed_by: self.probed_by(now, TimeDelta::days(1)).cloned(),
            next_turn_in: self.next_turn.map_or(TimeDelta::zero(), |next| (next - now).max(TimeDelta::zero())),
        }
    }
}
