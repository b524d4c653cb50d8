//! Whether the engine is well, and the line that the service manager shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::Engine;
use crate::clock::JUMP;
use crate::contact::Channel;
use crate::desk::nodes;
use crate::desk::outage::{self, Outage, What};
use crate::entry::State;
use crate::zone::Zone;
use crate::zone::rfc3339;

/// A store that takes longer is not well.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Between two lines of status.
const STATUS_EVERY: Duration = Duration::from_secs(30);
/// For the figures of a store with millions of rows.
pub(super) const FIGURES_WITHIN: Duration = Duration::from_secs(8);

impl Engine {
    /// The store takes a write, and answers a read, in time.
    pub(super) async fn answers(&self, within: Duration) -> bool {
        matches!(tokio::time::timeout(within, self.outbox.probe()).await, Ok(Ok(())))
    }

    /// Likewise, within a second.
    pub(super) async fn answers_at_once(&self) -> bool {
        self.answers(ANSWERS_WITHIN).await
    }

    /// Tells the service manager that all is well, as long as it is: the store answers, and each lane goes round. A timer alone would do so
    /// for an engine that hangs.
    pub(super) async fn keep_watch(self: Arc<Self>) {
        let Some(limit) = self.monitors.notifier.watchdog() else { return };
        let every = limit / 3;
        loop {
            let lanes_move = self.lanes.iter().all(|(lane, _)| lane.meter().is_alive(Instant::now()));
            // (A database that is away is waited for: a restart would not bring it back.)
            if self.outbox.is_cut_off() || (lanes_move && self.answers(every).await) {
                self.monitors.notifier.well();
            } else {
                tracing::error!(lanes_move, "the engine is not well: the service manager is not told that it is");
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Keeps the line of status as things are.
    pub(super) async fn keep_status(self: Arc<Self>) {
        loop {
            self.show_status().await;
            tokio::time::sleep(STATUS_EVERY).await;
        }
    }

    /// `42 due today, next 14:00 EST; 2 held`
    pub(super) async fn show_status(&self) {
        let now = self.clock.now();
        if let Some(idle) = self.membership.idle() {
            let since = clock_time(&self.zone, idle.since, now);
            return self.monitors.notifier.status(&nodes::idle(&since, &idle.why));
        }
        let tomorrow = midnight_after(&self.zone, now);
        let (Ok(due), Ok(held), Ok(next)) =
            (self.outbox.due_before(tomorrow).await, self.outbox.count(State::Held).await, self.next_due().await)
        else {
            return;
        };
        let next = next.map_or_else(|| "nothing waits".to_owned(), |at| format!("next {}", clock_time(&self.zone, at.max(now), now)));
        let held = if held > 0 { format!("; {held} held: see punctual status") } else { String::new() };
        self.monitors.notifier.status(&format!("{due} due today, {next}{held}"));
    }

    async fn next_due(&self) -> crate::outbox::Result<Option<DateTime<Utc>>> {
        let mut next: Option<DateTime<Utc>> = None;
        for (lane, _) in &self.lanes {
            let due = self.outbox.next_due(lane.channel).await?;
            next = [next, due].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// Why what is due could not go out now; empty: it can.
    pub(super) async fn unready(&self) -> Vec<String> {
        if let Some(why) = self.cut_off_in_words() {
            return vec![why];
        }
        if !self.answers_at_once().await {
            return vec!["the store does not answer within a second".to_owned()];
        }
        let Ok(Ok(status)) = tokio::time::timeout(FIGURES_WITHIN, self.outbox.status()).await else {
            return vec!["the store does not answer".to_owned()];
        };
        let now = self.clock.now();
        let mut reasons = Vec::new();
        for name in &self.feeds.names {
            let at = status.sources.iter().find(|s| s.name == *name).and_then(|s| s.last_snapshot_at);
            match at {
                None => reasons.push(format!("source {name} has never been read")),
                Some(at) if at - now > JUMP => {
                    reasons.push(format!("source {name} was last read in {} minutes: by a clock that was wrong", (at - now).num_minutes()));
                }
                Some(at) if now - at > self.policy.max_stale => {
                    reasons.push(format!("source {name} was last read {} minutes ago", (now - at).num_minutes()));
                }
                Some(_) => {}
            }
        }
        if !self.clock.is_plausible() {
            reasons.push(format!("the clock cannot be right: it says {}", rfc3339(now)));
        }
        reasons.extend(self.membership.idle().map(|idle| format!("this node {}", nodes::idle(&rfc3339(idle.since), &idle.why))));
        if !self.feeds.looks.are_done() {
            reasons.push("the sources are asked first".to_owned());
        }
        reasons.extend(self.monitors.pulse.faults(tokio::time::Instant::now()));
        for (lane, _) in &self.lanes {
            if lane.is_closed(now) {
                reasons.push(format!("every transport of {} is at fault and pauses", lane.channel));
            }
            if !lane.meter().is_alive(Instant::now()) {
                reasons.push(format!("the lane of {} does not move", lane.channel));
            }
        }
        reasons
    }

    /// What keeps messages from going out, for people: what the store tells, and what this process knows besides. The facts of
    /// [`Engine::unready`], with what waits for them.
    pub(super) async fn outages(&self) -> crate::outbox::Result<Vec<Outage>> {
        let now = self.clock.now();
        let mut found = outage::find(&self.desk(), &self.outbox.status().await?.sources, now).await?;
        for (lane, _) in &self.lanes {
            let stands = !lane.meter().is_alive(Instant::now());
            if found.iter().any(|o| o.is_of(lane.channel)) || !(stands || lane.is_closed(now)) {
                continue;
            }
            let what = if lane.channel == Channel::Email { What::Email } else { What::Sms };
            let why = if stands { "nothing moves any more" } else { "every server for it is at fault" };
            found.push(Outage::of(what, None, Some(why.to_owned())));
        }
        for (source, (since, why)) in self.feeds.unread.all() {
            let what = What::Source(source);
            if found.iter().any(|o| o.what == what && o.why.is_some()) {
                continue;
            }
            found.retain(|o| o.what != what);
            if now - since >= outage::OVERDUE_AFTER {
                found.push(Outage::of(what, Some(since), Some(why)));
            }
        }
        let engine = |why: String| Outage::of(What::Engine, None, Some(why));
        if !self.clock.is_plausible() {
            found.push(engine(format!("the clock cannot be right, it says {}", rfc3339(now))));
        }
        found.extend(self.monitors.pulse.faults(tokio::time::Instant::now()).into_iter().map(engine));
        found.extend(self.membership.idle().map(|idle| Outage::of(What::Node, Some(idle.since), Some(idle.why))));
        Ok(found)
    }

    /// The database is away.
    pub(super) fn cut_off_in_words(&self) -> Option<String> {
        let since = self.outbox.cut_off_since()?;
        Some(format!("the database is away for {} seconds: it is waited for", since.elapsed().as_secs()))
    }

    /// Sources that cannot be read now, whatever the last good list is still believed for.
    pub(super) fn unread_in_words(&self) -> Vec<String> {
        let now = self.clock.now();
        let of_a_while = self.feeds.unread.all().into_iter().filter(|(_, (since, _))| now - *since >= outage::OVERDUE_AFTER);
        of_a_while.map(|(source, (since, why))| format!("source {source} cannot be read since {}: {why}", rfc3339(since))).collect()
    }
}

/// The practice's midnight; without a time zone of the practice, UTC's.
fn midnight_after(zone: &Zone, now: DateTime<Utc>) -> DateTime<Utc> {
    let tomorrow = zone.local(now).civil.date() + TimeDelta::days(1);
    zone.instant(tomorrow.and_time(NaiveTime::MIN))
}

/// `14:00 EST`, or with the date when it is another day.
fn clock_time(zone: &Zone, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let (civil, name) = (|t: DateTime<Utc>| zone.local(t).civil, zone.abbreviation(at));
    let pattern = if civil(at).date() == civil(now).date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    format!("{} {name}", civil(at).format(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Settings, Zones};

    #[test]
    fn today_ends_at_the_practices_midnight() {
        let zones = Zones::load(&Settings { fallback: Some("America/New_York".to_owned()), ..Settings::default() }).unwrap();
        let (zone, utc) = (zones.resolve("").unwrap().zone, zones.resolve("UTC").unwrap().zone);
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-24T03:00:00Z");
        assert_eq!(midnight_after(&zone, now), at("2026-11-24T05:00:00Z"));
        assert_eq!(midnight_after(&utc, now), at("2026-11-25T00:00:00Z"));
        assert_eq!(clock_time(&zone, at("2026-11-24T04:30:00Z"), now), "23:30 EST");
        assert_eq!(clock_time(&zone, at("2026-11-24T19:00:00Z"), now), "2026-11-24 14:00 EST");
        assert_eq!(clock_time(&utc, at("2026-11-24T19:00:00Z"), now), "19:00 UTC");
    }
}
