//! Staff are told at once of what keeps messages from going out, once for each incident, and again when it is over.
//!
//! What was told is in the store: a restart in the middle of an incident tells nothing again. A store that fails ends the process, as everywhere; the
//! dead-man's ping ([`ping`](super::ping)) tells of that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, mpsc};

use super::Engine;
use super::cron::watched;
use crate::alert::{AlertMessage, Settings, Ways};
use crate::deliver::Route;
use crate::desk::outage::What;
use crate::desk::{nodes, words};
use crate::guard::sessions_of;
use crate::notice::Reason;
use crate::outbox::{Alert, StoreError};

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(15);

/// Something that staff are told of at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Incident {
    key: String,
    since: DateTime<Utc>,
    text: String,
    /// It is told as soon as it is seen.
    at_once: bool,
}

/// Since when what is seen now was seen first.
type Begun = HashMap<String, DateTime<Utc>>;

/// By which ways staff are told, and what is seen.
pub(super) struct StaffAlerts {
    ways: Ways,
    begun: Mutex<Begun>,
}

impl StaffAlerts {
    /// `gateways`: for texts. The error says what is wrong.
    pub(super) fn new(settings: Settings, gateways: &[Route]) -> anyhow::Result<Self> {
        let gateways = gateways.iter().map(|gateway| Arc::clone(&gateway.transport)).collect();
        Ok(Self { ways: Ways::new(settings, gateways).map_err(anyhow::Error::msg)?, begun: Mutex::default() })
    }
}

impl Engine {
    /// Looks, and tells. Never ends.
    pub(super) async fn keep_telling(self: Arc<Self>, failed: mpsc::Sender<StoreError>) {
        loop {
            tokio::time::sleep(EVERY).await;
            if self.membership.leads() {
                watched(failed.clone(), self.tell_staff()).await;
            }
        }
    }

    /// One look: tells staff of each incident that is new, and of each that is over. Nothing, without `[alerts]`.
    pub async fn tell_staff(&self) -> Result<(), StoreError> {
        let Some(StaffAlerts { ways, begun }) = &self.monitors.alerts else { return Ok(()) };
        let (mut begun, now) = (begun.lock().await, self.clock.now());
        let begun = &mut *begun;
        let (incidents, told) = (self.incidents(now, begun).await?, self.outbox.alerts().await?);
        begun.retain(|key, _| incidents.iter().any(|incident| incident.key == *key));
        for incident in incidents.iter().filter(|i| i.at_once || now - i.since >= ways.after()) {
            if told.iter().any(|alert| alert.key == incident.key) {
                continue;
            }
            tracing::error!(what = incident.key, "staff are told");
            if ways.tell(&self.in_words(&incident.key, &incident.text, false, now)).await {
                let (key, text) = (incident.key.clone(), incident.text.clone());
                self.outbox.begin_alert(Alert { key, since: now, text }).await?;
            }
        }
        for alert in told.iter().filter(|alert| incidents.iter().all(|incident| incident.key != alert.key)) {
            tracing::info!(what = alert.key, "staff are told that it is over");
            let text = format!("It is over, at {}. Told before: {}", words::clock(now, &self.zone, now), alert.text);
            if ways.tell(&self.in_words(&alert.key, &text, true, now)).await {
                self.outbox.end_alert(&alert.key, now).await?;
            }
        }
        Ok(())
    }

    fn in_words(&self, key: &str, text: &str, over: bool, at: DateTime<Utc>) -> AlertMessage {
        let what = match (over, key.split(':').next().unwrap_or_default()) {
            (true, _) => "it is over",
            (false, "guard") => "too much changed at once",
            (false, "held") => "messages were kept back",
            (false, "node") => "a node does nothing",
            (false, "lapsed") => "messages were not sent in time",
            (false, _) => "messages do not go out",
        };
        AlertMessage { title: format!("{}: {what}", self.practice), text: text.to_owned(), over, key: key.to_owned(), at }
    }

    /// All that there are now.
    async fn incidents(&self, now: DateTime<Utc>, begun: &mut Begun) -> Result<Vec<Incident>, StoreError> {
        let mut found = Vec::new();
        let mut add = |key: String, since: Option<DateTime<Utc>>, text: String, at_once| {
            let first = *begun.entry(key.clone()).or_insert(now);
            found.push(Incident { key, since: since.unwrap_or(first), text, at_once });
        };
        for outage in self.outages().await? {
            let key = match &outage.what {
                What::Email => "email".to_owned(),
                What::Sms => "sms".to_owned(),
                What::Late(channel) => channel.to_string(),
                What::Source(name) => format!("source:{name}"),
                What::Engine => "engine".to_owned(),
                What::Node => "node".to_owned(),
            };
            add(key, outage.since, outage.sentence(&self.zone, now), false);
        }
        let guards = self.outbox.guards().await?;
        for of_source in guards.chunk_by(|a, b| a.source == b.source) {
            let (name, n) = (&of_source[0].source, sessions_of(of_source));
            let text = format!(
                "Too much changed at once in \u{201c}{name}\u{201d}: nothing is sent for {n} sessions until somebody decides. Open Decisions."
            );
            add(format!("guard:{name}"), None, text, true);
        }
        for (reason, n) in self.outbox.held_by_reason().await? {
            let why = match reason {
                Reason::Leak => "they would have shown something of another person",
                Reason::UnknownStatus => "a word in the record is not known",
                _ => continue,
            };
            add(format!("held:{reason}"), None, format!("{n} messages are held: {why}. Open Decisions."), true);
        }
        // (This node leads, and works.)
        for node in self.outbox.nodes().await? {
            let Some(why) = node.idle.as_ref().filter(|_| !node.is_own) else { continue };
            let since = words::clock(node.since.unwrap_or(now), &self.zone, now);
            let text = format!("Node {} {}. {}", node.name, nodes::idle(&since, why), nodes::MEANWHILE);
            add(format!("node:{}", node.name), node.since, text, false);
        }
        let lapsed = self.desk().lapsed(now).await?.len();
        if lapsed > 0 {
            add("lapsed".to_owned(), None, format!("{lapsed} messages of the last day were not sent in time. Open Not reached."), true);
        }
        Ok(found)
    }
}
