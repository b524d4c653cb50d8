//! Quiet hours, on the participant's clock. The start is inclusive, the end exclusive; 21:00 to 08:00 spans midnight.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::Recipient;
use crate::contact::Channel;
use crate::session::ParticipationId;
use crate::zone::Zone;

/// Reminders that go before quiet hours begin are spread over so long, so that a relay that takes its time has handed them over by then.
const EVE: TimeDelta = TimeDelta::minutes(30);

/// When no automatic message may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    /// Inclusive.
    pub from: NaiveTime,
    /// Exclusive. Equal to `from`: no quiet hours at all.
    pub to: NaiveTime,
    /// The channels that keep them.
    pub channels: Vec<Channel>,
    /// What a message that waits for their end must leave before the start.
    pub min_lead: TimeDelta,
}

/// The quiet period that an instant falls into: `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietPeriod {
    /// First quiet instant.
    pub from: DateTime<Utc>,
    /// First instant after.
    pub to: DateTime<Utc>,
}

impl QuietHours {
    /// The quiet period around `at` for this channel, if there is one.
    pub fn around(&self, at: DateTime<Utc>, channel: Channel, zone: &Zone) -> Option<QuietPeriod> {
        if self.from == self.to || !self.channels.contains(&channel) {
            return None;
        }
        let local = zone.local(at).civil;
        let (date, time) = (local.date(), local.time());
        let spans_midnight = self.from > self.to;
        let began = match (spans_midnight, time >= self.from, time < self.to) {
            (false, true, true) | (true, true, _) => date,
            (true, false, true) => date.pred_opt()?,
            _ => return None,
        };
        let ended = if spans_midnight { began.succ_opt()? } else { began };
        let (from, to) = (zone.instant(began.and_time(self.from)), zone.instant(ended.and_time(self.to)));
        // Where the clocks repeat or skip an hour at an edge, the wall clock says "quiet" and the period must hold the instant.
        Some(QuietPeriod { from: from.min(at), to: to.max(at + TimeDelta::seconds(1)) })
    }

    /// When the next quiet period of this channel begins, after that instant.
    pub fn begin_after(&self, at: DateTime<Utc>, channel: Channel, zone: &Zone) -> Option<DateTime<Utc>> {
        if self.from == self.to || !self.channels.contains(&channel) {
            return None;
        }
        let today = zone.local(at).civil.date();
        let days = [Some(today), today.succ_opt()];
        days.into_iter().flatten().map(|day| zone.instant(day.and_time(self.from))).find(|begin| *begin > at)
    }

    /// When a reminder that would go at `at` may go: at the end of the quiet period if that leaves `min_lead` before `start`, else in the half hour
    /// before its beginning, each participant at a time of their own, as far as that is after `floor`; else not at all.
    pub fn reminder(
        &self,
        at: DateTime<Utc>,
        start: DateTime<Utc>,
        floor: DateTime<Utc>,
        to: &Recipient<'_>,
        who: ParticipationId,
    ) -> Option<DateTime<Utc>> {
        let Some(period) = self.around(at, to.address.channel(), &to.zone.zone) else { return Some(at) };
        if period.to + self.min_lead <= start {
            return Some(period.to);
        }
        let width = (period.from - floor.max(period.from - EVE)).num_seconds();
        // From a second before the quiet hours back to a second after the floor.
        (width > 1).then(|| period.from - TimeDelta::seconds(1 + share(who, width - 1)))
    }

    /// When any other notice that would go at `at` may go: at the end of the quiet period under the same condition, else at once.
    pub fn other(&self, at: DateTime<Utc>, start: DateTime<Utc>, channel: Channel, zone: &Zone) -> DateTime<Utc> {
        match self.around(at, channel, zone) {
            Some(period) if period.to + self.min_lead <= start => period.to,
            _ => at,
        }
    }
}

/// Somebody's share of so many seconds, always the same one: the golden ratio spreads ids that follow each other evenly.
fn share(who: ParticipationId, seconds: i64) -> i64 {
    let part = (who.0 as u32).wrapping_mul(2_654_435_769);
    (seconds * i64::from(part)) >> 32
}

#[cfg(test)]
mod tests;
