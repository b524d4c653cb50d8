//! Whether the engine is well, what it would tell a monitor, and the line that the service manager shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::Engine;
use crate::clock::JUMP;
use crate::contact::Channel;
use crate::desk::outage::{self, Outage, What};
use crate::dispatch::LATENESS;
use crate::entry::State;
use crate::guard::sessions_of;
use crate::outbox::Status;
use crate::web::{Figures, Kind};
use crate::zone::Zone;
use crate::zone::rfc3339;

/// A store that takes longer is not well.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Between two lines of status.
const STATUS_EVERY: Duration = Duration::from_secs(30);
/// For the figures of a store with millions of rows.
const FIGURES_WITHIN: Duration = Duration::from_secs(8);

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
        let Some(limit) = self.notifier.watchdog() else { return };
        let every = limit / 3;
        loop {
            let lanes_move = self.lanes.iter().all(|(lane, _)| lane.meter().moves(Instant::now()));
            if lanes_move && self.answers(every).await {
                self.notifier.well();
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
        let tomorrow = midnight_after(&self.zone, now);
        let (Ok(due), Ok(held), Ok(next)) =
            (self.outbox.due_before(tomorrow).await, self.outbox.count(State::Held).await, self.next_due().await)
        else {
            return;
        };
        let next = next.map_or_else(|| "nothing waits".to_owned(), |at| format!("next {}", clock_time(&self.zone, at.max(now), now)));
        let held = if held > 0 { format!("; {held} held: see punctual status") } else { String::new() };
        self.notifier.status(&format!("{due} due today, {next}{held}"));
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
        if !self.answers_at_once().await {
            return vec!["the store does not answer within a second".to_owned()];
        }
        let Ok(Ok(status)) = tokio::time::timeout(FIGURES_WITHIN, self.outbox.status()).await else {
            return vec!["the store does not answer".to_owned()];
        };
        let now = self.clock.now();
        let mut reasons = Vec::new();
        for name in &self.names {
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
        if !self.looks.are_done() {
            reasons.push("the sources are asked first".to_owned());
        }
        reasons.extend(self.pulse.faults(tokio::time::Instant::now()));
        for (lane, _) in &self.lanes {
            if lane.is_closed(now) {
                reasons.push(format!("every transport of {} is at fault and pauses", lane.channel));
            }
            if !lane.meter().moves(Instant::now()) {
                reasons.push(format!("the lane of {} does not move", lane.channel));
            }
        }
        reasons
    }

    /// What keeps messages from going out, for people: what the store tells, and what this process knows besides. The facts of
    /// [`Engine::unready`], with what waits for them.
    pub(super) async fn outages(&self) -> crate::outbox::Result<Vec<Outage>> {
        let now = self.clock.now();
        let mut found = outage::find(&self.office().desk, &self.outbox.status().await?.sources, now).await?;
        for (lane, _) in &self.lanes {
            let stands = !lane.meter().moves(Instant::now());
            if found.iter().any(|o| o.is_of(lane.channel)) || !(stands || lane.is_closed(now)) {
                continue;
            }
            let what = if lane.channel == Channel::Email { What::Email } else { What::Sms };
            let why = if stands { "nothing moves any more" } else { "every server for it is at fault" };
            found.push(Outage::of(what, None, Some(why.to_owned())));
        }
        for (source, (since, why)) in self.unread.all() {
            let what = What::Source(source);
            found.retain(|o| o.what != what);
            if now - since >= outage::OVERDUE_AFTER {
                found.push(Outage::of(what, Some(since), Some(why)));
            }
        }
        let engine = |why: String| Outage::of(What::Engine, None, Some(why));
        if !self.clock.is_plausible() {
            found.push(engine(format!("the clock cannot be right, it says {}", rfc3339(now))));
        }
        found.extend(self.pulse.faults(tokio::time::Instant::now()).into_iter().map(engine));
        Ok(found)
    }

    /// Sources that cannot be read now, whatever the last good list is still believed for.
    pub(super) fn unread_in_words(&self) -> Vec<String> {
        let now = self.clock.now();
        let of_a_while = self.unread.all().into_iter().filter(|(_, (since, _))| now - *since >= outage::OVERDUE_AFTER);
        of_a_while.map(|(source, (since, why))| format!("source {source} cannot be read since {}: {why}", rfc3339(since))).collect()
    }

    /// For `/metrics`. `None`: the store does not answer.
    pub(super) async fn figures(&self) -> Option<Figures> {
        let now = self.clock.now();
        let asked = async {
            let (status, guards) = (self.outbox.status().await?, self.outbox.guards().await?);
            let (undelivered, unread) = (self.outbox.undelivered(now).await?.len(), self.outbox.unread(1000).await?.len());
            let lapsed = self.office().desk.lapsed(now).await?.len();
            anyhow::Ok((status, guards, self.outbox.held_by_reason().await?, undelivered, unread, lapsed))
        };
        let (status, guards, held, undelivered, unread, lapsed) = tokio::time::timeout(FIGURES_WITHIN, asked).await.ok()?.ok()?;
        let mut f = Figures::default();
        let tz = self.policy.zones.data();
        let build = [("version", env!("CARGO_PKG_VERSION")), ("tzdata", tz.version.as_str()), ("tzdata_origin", tz.origin.as_str())];
        f.several("punctual_build_info", Kind::Gauge, "The program and its time zone data; always 1.", [(&build[..], 1.0)]);
        f.one("punctual_uptime_seconds", Kind::Gauge, "Since the engine was started.", self.started.elapsed().as_secs_f64());
        f.one("punctual_shadow", Kind::Gauge, "1: shadow mode, nothing is sent.", f64::from(u8::from(self.shadow)));
        notices(&mut f, &status, now);
        f.family("punctual_notices_held", Kind::Gauge, "Notices that wait for a person, by reason.");
        for (reason, n) in &held {
            f.sample("punctual_notices_held", &[("reason", reason.as_str())], *n as f64);
        }
        let help = "Messages that passed their time in the last day: they should have gone, and did not.";
        f.one("punctual_notices_lapsed", Kind::Gauge, help, lapsed as f64);
        let help = "1: [ledger] anchor_command failed last; what is cut off the ledger's end would not show outside.";
        f.one("punctual_anchor_fault", Kind::Gauge, help, f64::from(u8::from(self.anchors.fault().is_some())));
        self.sources(&mut f, &status, now);
        f.family("punctual_guarded_sessions", Kind::Gauge, "Sessions that wait for an operator because too much changed at once.");
        for name in &self.names {
            let n = sessions_of(guards.iter().filter(|g| g.source == *name));
            f.sample("punctual_guarded_sessions", &[("source", name)], n as f64);
        }
        self.channels(&mut f, now);
        self.returned.figures(&mut f, undelivered, unread);
        Some(f)
    }

    fn sources(&self, f: &mut Figures, status: &Status, now: DateTime<Utc>) {
        f.family("punctual_source_age_seconds", Kind::Gauge, "Since the last snapshot of a source was applied; +Inf: never.");
        for name in &self.names {
            let at = status.sources.iter().find(|s| s.name == *name).and_then(|s| s.last_snapshot_at);
            f.sample("punctual_source_age_seconds", &[("source", name)], at.map_or(f64::INFINITY, |at| seconds(now - at)));
        }
        let stale = self.policy.max_stale.num_seconds() as f64;
        f.one("punctual_source_max_stale_seconds", Kind::Gauge, "A source that is older is not believed ([daemon] max_stale).", stale);
        f.family("punctual_source_sessions", Kind::Gauge, "Sessions held of a source.");
        for source in &status.sources {
            f.sample("punctual_source_sessions", &[("source", &source.name)], source.sessions as f64);
        }
        f.family("punctual_quarantined_records", Kind::Gauge, "Records of a source's last snapshot that cannot be used.");
        for name in &self.names {
            let n = status.faults.iter().filter(|(source, _)| source == name).count();
            f.sample("punctual_quarantined_records", &[("source", name)], n as f64);
        }
    }

    fn channels(&self, f: &mut Figures, now: DateTime<Utc>) {
        f.family("punctual_transport_paused", Kind::Gauge, "1: the transport is at fault and pauses.");
        for (lane, _) in &self.lanes {
            for (transport, paused) in lane.pauses(now) {
                let labels = [("channel", lane.channel.as_str()), ("transport", transport)];
                f.sample("punctual_transport_paused", &labels, f64::from(u8::from(paused.is_some())));
            }
        }
        f.family("punctual_attempts_total", Kind::Counter, "Claims that ended, by how: each attempt counts.");
        for (lane, _) in &self.lanes {
            for (outcome, n) in lane.meter().outcomes() {
                f.sample("punctual_attempts_total", &[("channel", lane.channel.as_str()), ("outcome", outcome)], n as f64);
            }
        }
        f.family("punctual_lateness_seconds", Kind::Histogram, "From a message's due time to its acceptance.");
        for (lane, _) in &self.lanes {
            let late = lane.meter().lateness();
            f.histogram("punctual_lateness_seconds", ("channel", lane.channel.as_str()), &LATENESS, &late.at_most, late.sum);
        }
    }
}

fn notices(f: &mut Figures, status: &Status, now: DateTime<Utc>) {
    f.family(
        "punctual_notices",
        Kind::Gauge,
        "Notices in the store, by state; unknown: in doubt, nobody can know whether they were accepted.",
    );
    for state in State::ALL {
        let n = status.by_state.get(&state).copied().unwrap_or(0);
        f.sample("punctual_notices", &[("state", state.as_str())], n as f64);
    }
    f.family("punctual_omissions", Kind::Gauge, "What the last plans do not send, by reason.");
    let mut omissions: Vec<_> = status.by_reason.iter().collect();
    omissions.sort_unstable();
    for (reason, n) in omissions {
        f.sample("punctual_omissions", &[("reason", reason.as_str())], *n as f64);
    }
    f.one("punctual_suppressed_addresses", Kind::Gauge, "Addresses that get no messages.", status.suppressed as f64);
    let overdue = status.next_due.map_or(0.0, |due| seconds((now - due).max(TimeDelta::zero())));
    f.one("punctual_overdue_seconds", Kind::Gauge, "How long the most overdue notice has waited; 0: none is overdue.", overdue);
    if let Some(next) = status.next_due {
        f.one("punctual_next_due_timestamp_seconds", Kind::Gauge, "When the next notice is due.", next.timestamp() as f64);
    }
}

fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1_000.0
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
