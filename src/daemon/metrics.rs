//! What `/metrics` shows: every figure, in one place. Names carry their unit; labels are words of ours and names out of the configuration, never
//! anything of a person.

use std::fmt::{self, Debug};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::Engine;
use super::health::FIGURES_WITHIN;
use crate::dispatch::{LATENESS, Lateness};
use crate::entry::State;
use crate::guard::sessions_of;
use crate::outbox::Status;

impl Engine {
    /// `None`: the store does not answer.
    pub(super) async fn metrics(&self) -> Option<Registry> {
        let now = self.clock.now();
        let asked = async {
            let (status, guards) = (self.outbox.status().await?, self.outbox.guards().await?);
            let (undelivered, unread) = (self.outbox.undelivered(now).await?.len(), self.outbox.unread(1000).await?.len());
            let lapsed = self.desk().lapsed(now).await?.len();
            anyhow::Ok((status, guards, self.outbox.held_by_reason().await?, undelivered, unread, lapsed))
        };
        let (status, guards, held, undelivered, unread, lapsed) = tokio::time::timeout(FIGURES_WITHIN, asked).await.ok()?.ok()?;
        let mut r = Registry::default();
        let tz = self.policy.zones.data();
        let build = [("version", env!("CARGO_PKG_VERSION")), ("tzdata", tz.version.as_str()), ("tzdata_origin", tz.origin.as_str())];
        let build = build.map(|(label, value)| (label, value.to_owned()));
        gauges(&mut r, "punctual_build_info", "The program and its time zone data; always 1.", [(build.into(), 1_u64)]);
        gauge(&mut r, "punctual_uptime_seconds", "Since the engine was started.", self.monitors.started.elapsed().as_secs_f64());
        gauge(&mut r, "punctual_shadow", "1: shadow mode, nothing is sent.", u64::from(self.shadow));
        notices(&mut r, &status, now);
        let by_reason = held.iter().map(|(reason, n)| (label("reason", reason.as_str()), *n));
        gauges(&mut r, "punctual_notices_held", "Notices that wait for a person, by reason.", by_reason);
        let help = "Messages that passed their time in the last day: they should have gone, and did not.";
        gauge(&mut r, "punctual_notices_lapsed", help, lapsed as u64);
        let help = "1: [ledger] anchor_command failed last; what is cut off the ledger's end would not show outside.";
        gauge(&mut r, "punctual_anchor_fault", help, u64::from(self.monitors.anchors.fault().is_some()));
        self.sources(&mut r, &status, now);
        let of_source = |name: &String| sessions_of(guards.iter().filter(|g| g.source == *name)) as u64;
        let help = "Sessions that wait for an operator because too much changed at once.";
        gauges(&mut r, "punctual_guarded_sessions", help, self.feeds.names.iter().map(|name| (label("source", name), of_source(name))));
        self.channels(&mut r, now);
        let help = "Messages of coming sessions that a provider or a mail server says did not arrive, and nothing mended since.";
        gauge(&mut r, "punctual_undelivered_messages", help, undelivered as u64);
        gauge(&mut r, "punctual_unread_replies", "Texts that people wrote, and nobody at the practice has read.", unread as u64);
        self.monitors.feedback.register(&mut r);
        Some(r)
    }

    fn sources(&self, r: &mut Registry, status: &Status, now: DateTime<Utc>) {
        let age = |name: &String| {
            let at = status.sources.iter().find(|s| s.name == *name).and_then(|s| s.last_snapshot_at);
            at.map_or(f64::INFINITY, |at| seconds(now - at))
        };
        let of_each =
            |value: &dyn Fn(&String) -> f64| self.feeds.names.iter().map(|name| (label("source", name), value(name))).collect::<Vec<_>>();
        gauges(r, "punctual_source_age_seconds", "Since the last snapshot of a source was applied; +Inf: never.", of_each(&age));
        let stale = self.policy.max_stale.num_seconds() as u64;
        gauge(r, "punctual_source_max_stale_seconds", "A source that is older is not believed ([daemon] max_stale).", stale);
        let sessions = status.sources.iter().map(|source| (label("source", &source.name), source.sessions));
        gauges(r, "punctual_source_sessions", "Sessions held of a source.", sessions);
        let faults = |name: &String| status.faults.iter().filter(|(source, _)| source == name).count() as u64;
        let faults = self.feeds.names.iter().map(|name| (label("source", name), faults(name)));
        gauges(r, "punctual_quarantined_records", "Records of a source's last snapshot that cannot be used.", faults);
    }

    fn channels(&self, r: &mut Registry, now: DateTime<Utc>) {
        let lanes = || self.lanes.iter().map(|(lane, _)| (("channel", lane.channel.as_str().to_owned()), lane));
        let paused = lanes().flat_map(|(channel, lane)| {
            let of_transport =
                move |(name, until): (&str, Option<_>)| (vec![channel.clone(), ("transport", name.to_owned())], u64::from(until.is_some()));
            lane.pauses(now).map(of_transport)
        });
        gauges(r, "punctual_transport_paused", "1: the transport is at fault and pauses.", paused);
        let attempts = lanes().flat_map(|(channel, lane)| {
            let of_outcome = move |(word, n): (&str, u64)| (vec![channel.clone(), ("outcome", word.to_owned())], ConstCounter::new(n));
            lane.meter().outcomes().map(of_outcome)
        });
        family(
            r,
            "punctual_attempts",
            "Attempts that ended, by how: of notices, of the letter to the practice, of answers to texts.",
            attempts,
        );
        let late = lanes().map(|(channel, lane)| (vec![channel], lane.meter().lateness()));
        family(r, "punctual_lateness_seconds", "From a message's due time to its acceptance.", late);
    }
}

fn notices(r: &mut Registry, status: &Status, now: DateTime<Utc>) {
    let of_state = |state: State| status.by_state.get(&state).copied().unwrap_or(0);
    let help = "Notices in the store, by state; unknown: in doubt, nobody can know whether they were accepted.";
    gauges(r, "punctual_notices", help, State::ALL.into_iter().map(|state| (label("state", state.as_str()), of_state(state))));
    let mut omissions: Vec<_> = status.by_reason.iter().collect();
    omissions.sort_unstable();
    let omissions = omissions.into_iter().map(|(reason, n)| (label("reason", reason.as_str()), *n));
    gauges(r, "punctual_omissions", "What the last plans do not send, by reason.", omissions);
    gauge(r, "punctual_suppressed_addresses", "Addresses that get no messages.", status.suppressed);
    let overdue = status.next_due.map_or(0.0, |due| seconds((now - due).max(TimeDelta::zero())));
    gauge(r, "punctual_overdue_seconds", "How long the most overdue notice has waited; 0: none is overdue.", overdue);
    if let Some(next) = status.next_due {
        gauge(r, "punctual_next_due_timestamp_seconds", "When the next notice is due.", next.timestamp());
    }
}

fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1_000.0
}

/// Names and values.
type Labels = Vec<(&'static str, String)>;

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

fn gauge(r: &mut Registry, name: &'static str, help: &'static str, value: impl EncodeGaugeValue + Debug + Send + Sync + 'static) {
    gauges(r, name, help, [(Labels::new(), value)]);
}

fn gauges<V: EncodeGaugeValue + Debug + Send + Sync + 'static>(
    r: &mut Registry,
    name: &'static str,
    help: &'static str,
    samples: impl IntoIterator<Item = (Labels, V)>,
) {
    family(r, name, help, samples.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value))));
}

fn family<M>(r: &mut Registry, name: &'static str, help: &'static str, samples: impl Iterator<Item = (Labels, M)>)
where
    M: EncodeMetric + TypedMetric + Debug + Send + Sync + 'static,
{
    r.register_collector(Box::new(Samples { name, help, all: samples.collect() }));
}

/// A family as it is now, its samples in their order; its name stands there although it has none.
#[derive(Debug)]
struct Samples<M> {
    name: &'static str,
    help: &'static str,
    all: Vec<(Labels, M)>,
}

impl<M: EncodeMetric + TypedMetric + Debug + Send + Sync + 'static> Collector for Samples<M> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, M::TYPE)?;
        self.all.iter().try_for_each(|(labels, value)| value.encode(family.encode_family(labels)?))
    }
}

impl TypedMetric for Lateness {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Lateness {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let below = [0].into_iter().chain(self.at_most.iter().copied());
        let bounds = LATENESS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.at_most.iter().zip(below).map(|(n, below)| n - below)).collect();
        encoder.encode_histogram::<NoLabelSet>(self.sum, self.at_most.last().copied().unwrap_or(0), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text;

    use super::*;

    #[test]
    fn the_text_is_prometheus() {
        let mut r = Registry::default();
        gauge(&mut r, "punctual_up", "It is.", 1_u64);
        gauges(&mut r, "punctual_age_seconds", "By name.", [(label("name", "a\"b\\c\nd"), 2.5), (label("name", "e"), f64::INFINITY)]);
        gauges::<u64>(&mut r, "punctual_held", "None is.", []);
        family(&mut r, "punctual_x", "Counted.", [(label("word", "stop"), ConstCounter::new(7_u64))].into_iter());
        let at_most = [3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5].into();
        family(&mut r, "punctual_late_seconds", "How late.", [(label("channel", "sms"), Lateness { at_most, sum: 70.25 })].into_iter());
        let mut text = String::new();
        prometheus_text::encode(&mut text, &r).unwrap();
        let expected = r#"# HELP punctual_up It is.
# TYPE punctual_up gauge
punctual_up 1
# HELP punctual_age_seconds By name.
# TYPE punctual_age_seconds gauge
punctual_age_seconds{name="a\"b\\c\nd"} 2.5
punctual_age_seconds{name="e"} +Inf
# HELP punctual_held None is.
# TYPE punctual_held gauge
# HELP punctual_x_total Counted.
# TYPE punctual_x_total counter
punctual_x_total{word="stop"} 7
# HELP punctual_late_seconds How late.
# TYPE punctual_late_seconds histogram
punctual_late_seconds_bucket{channel="sms",le="1"} 3
punctual_late_seconds_bucket{channel="sms",le="2"} 4
"#;
        assert!(text.starts_with(expected), "{text}");
        let end = r#"punctual_late_seconds_bucket{channel="sms",le="21600"} 4
punctual_late_seconds_bucket{channel="sms",le="+Inf"} 5
punctual_late_seconds_sum{channel="sms"} 70.25
punctual_late_seconds_count{channel="sms"} 5
"#;
        assert!(text.ends_with(end), "{text}");
    }
}
