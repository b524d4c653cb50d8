//! What comes in by itself: pushed sessions are walked before they are answered, and a webhook's event makes the engine ask its sources.
//!
//! One push of a source at a time, in the order in which they come; a list of which something waits for an operator once more when that is decided
//! ([`turn`](super::turn)), by whichever process. A store error ends the process, as everywhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::registry::Registry;
use tokio::sync::{Mutex, Notify, mpsc};

use super::sources::Upon;
use super::turn::Turn;
use super::{Engine, receipts, replies};
use crate::contact::{Channel, PhoneNumber};
use crate::desk::outage::Outage;
use crate::evidence::Evidence;
use crate::feedback::{DeliveryReport, Reply};
use crate::guard::sessions_of;
use crate::ledger::Event;
use crate::outbox::StoreError;
use crate::receipt::Received;
use crate::session::live::HOLDS_FOR;
use crate::session::{Participant, ParticipationId, SessionId};
use crate::source::push::{self, PushRefused, PushedBody, StoredSource};
use crate::source::{meaning, stored};
use crate::web::{self, Declined, hook, push::Receipt};

/// From one asking of the sources because of events to the next, at least: events come in bursts, and each may be sent again.
const GAP: Duration = Duration::from_secs(5);

/// From one look to the next whether an operator has decided.
const LOOK: Duration = Duration::from_secs(2);

/// Requests wait no longer than that for a database that is known to be away.
const AWAY_AFTER: Duration = Duration::from_secs(5);

/// The engine, as the server sees it.
pub(super) struct Intake {
    engine: Arc<Engine>,
    /// By source: whose turn it is; and what was taken last.
    turns: HashMap<String, Mutex<Turn>>,
    nudge: Notify,
    failed: mpsc::Sender<StoreError>,
}

/// Why nothing was taken.
enum Failed {
    Refused(PushRefused),
    /// Another node took something newer meanwhile.
    Late,
    Store(StoreError),
}

impl From<PushRefused> for Failed {
    fn from(why: PushRefused) -> Self {
        Self::Refused(why)
    }
}

impl From<StoreError> for Failed {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl Intake {
    pub(super) fn new(engine: Arc<Engine>, settings: &web::Settings, failed: mpsc::Sender<StoreError>) -> Self {
        let turns = settings.push.iter().map(|(source, _)| (source.clone(), Mutex::default())).collect();
        Self { engine, turns, nudge: Notify::new(), failed }
    }

    /// Asks all sources when an event came, and plans again what a reply changed of those that cannot be asked. Never ends.
    pub(super) async fn ask_when_nudged(self: Arc<Self>) {
        loop {
            self.nudge.notified().await;
            // A poll that runs may have read before the event: another one follows it.
            let asked = tokio::join!(self.engine.ask_all(), self.engine.want_elsewhere());
            if let Err(error) = asked.0.and(asked.1) {
                self.fail(error);
            }
            for (source, turn) in &self.turns {
                let mut turn = turn.lock().await;
                let planned = self.engine.plan_again(source).await;
                let taken = self.take_decided(source, &mut turn).await;
                if let Err(error) = planned.and(taken) {
                    self.fail(error);
                }
            }
            // An event that comes now is not lost: it is the next nudge.
            tokio::time::sleep(GAP).await;
        }
    }

    /// Looks whether somebody has decided about a list that was put here: by a command, or at another node. Never ends.
    pub(super) async fn keep_taking_decided(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            for (source, turn) in &self.turns {
                let mut turn = turn.lock().await;
                if let Err(error) = self.take_decided(source, &mut turn).await {
                    self.fail(error);
                }
            }
        }
    }

    /// Takes the last list once more, if an operator has decided about what waited of it, and it is still what the source said last.
    async fn take_decided(&self, source: &str, turn: &mut Turn) -> Result<(), StoreError> {
        let engine = &self.engine;
        if engine.membership.idle().is_some() {
            return Ok(());
        }
        let Some(before) = turn.waits.as_ref().map(|list| list.sessions) else { return Ok(()) };
        let waiting = sessions_of(engine.outbox().guards().await?.iter().filter(|g| g.source == source));
        let Some(list) = turn.waits.take_if(|_| waiting < before) else { return Ok(()) };
        let is_last = turn.walk == Some(engine.outbox().walks_of(source).await?) || !engine.outbox().is_shared();
        if !is_last || !engine.policy.believes(list.came_at, engine.clock.now()) {
            return Ok(());
        }
        let taken = self.take(source, &list.offer, (list.came_at, turn)).await;
        // What still waits of it as before is not decided by being taken again.
        turn.waits.take_if(|list| list.sessions >= before);
        match taken {
            Err(Failed::Store(error)) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn fail(&self, error: StoreError) -> Declined {
        self.failed.try_send(error).ok();
        Declined::Store
    }

    /// What the store holds of the source that counts for this offer.
    async fn held(&self, source: &str, offer: &PushedBody, (now, upon): (DateTime<Utc>, i64)) -> Result<StoredSource, StoreError> {
        let outbox = self.engine.outbox();
        let ids = if let Some(id) = offer.session() {
            let claims = offer.claims(now);
            let mut elsewhere = self.engine.feeds.elsewhere.lock().await;
            elsewhere.is_of(upon);
            elsewhere.related(&**outbox, source, (id, &claims), now).await?
        } else {
            let to_come = outbox.starting(now - HOLDS_FOR, DateTime::<Utc>::MAX_UTC, usize::MAX).await?;
            to_come.into_iter().filter(|(of, _)| of == source).map(|(_, id)| id).collect()
        };
        Ok(StoredSource {
            filled: outbox.rest(source, now, now).await?.is_some(),
            guarded: sessions_of(outbox.guards().await?.iter().filter(|g| g.source == source)),
            sessions: outbox.sessions(source, Some(&ids)).await?,
            faults: outbox.faults().await?.into_iter().filter(|(of, _)| of == source).map(|(_, fault)| fault).collect(),
        })
    }

    async fn note(&self, event: &hook::HookEvent) -> Result<(), StoreError> {
        let (outbox, now) = (self.engine.outbox(), self.engine.clock.now());
        let Some(told) = &event.told else { return outbox.record_event(now, Event::Webhook, &event.detail()).await };
        let evidence = Evidence { status: event.status.clone(), id: event.id, at: told.at.unwrap_or(now), start: told.start };
        let about = self.about(told).await?;
        if self.engine.shadow {
            // The provider leaves to us what it reports in this way (article 316), and here nothing is sent either.
            let session = about.map_or_else(|| "unknown".to_owned(), |(session, _)| session.to_string());
            tracing::error!(session, status = %evidence.status, "shadow mode: the provider reports a message that it leaves to us, and nobody sends it");
        }
        outbox.record_event_about(now, Event::Evidence, &evidence.to_string(), about).await
    }

    /// Whom a message of the provider's was for: the one who has that address in a session with that start.
    async fn about(&self, told: &hook::VendorMessage) -> Result<Option<(SessionId, ParticipationId)>, StoreError> {
        let (outbox, region) = (self.engine.outbox(), &self.engine.policy.region);
        let number = |raw: &str| PhoneNumber::possible(raw, region).ok();
        let is_theirs = |p: &Participant| {
            let email = p.email.0.trim();
            (!email.is_empty() && email.eq_ignore_ascii_case(&told.email.0))
                || number(&told.number.0).is_some_and(|n| number(&p.sms_number.0).as_ref() == Some(&n))
        };
        let starting = outbox.starting(told.start, told.start + TimeDelta::milliseconds(1), usize::MAX).await?;
        for source in &self.engine.feeds.names {
            let then: Vec<SessionId> = starting.iter().filter(|(of, _)| of == source).map(|(_, id)| *id).collect();
            for session in outbox.sessions(source, Some(&then)).await?.iter().filter_map(stored::session) {
                if let Some(person) = session.participants.iter().find(|p| is_theirs(p)) {
                    return Ok(Some((session.id, person.id)));
                }
            }
        }
        Ok(None)
    }

    /// `came_at`: when it was here.
    async fn take(&self, source: &str, offer: &Arc<PushedBody>, (came_at, turn): (DateTime<Utc>, &mut Turn)) -> Result<Receipt, Failed> {
        loop {
            if let Some((receipt, walk)) = self.take_once(source, offer, (came_at, turn.walk)).await? {
                turn.took(offer, came_at, (walk, receipt.guarded));
                return Ok(receipt);
            }
        }
    }

    /// Whoever sent it may have given it up, and have said something newer to another node: while this one slept, or could not reach the store. Said again it
    /// is taken.
    async fn is_late(&self, source: &str, is_one: bool, (came_at, last): (DateTime<Utc>, Option<i64>)) -> Result<bool, StoreError> {
        let outbox = self.engine.outbox();
        // What this node took before was here before.
        if !outbox.is_shared() || last == Some(outbox.walks_of(source).await?) {
            return Ok(false);
        }
        let row = outbox.sources().await?.into_iter().find(|row| row.name == source);
        Ok(row.is_some_and(|row| is_older(is_one, came_at, (row.heard_at, row.whole_at))))
    }

    /// `None`: another node walked meanwhile, and what the store held is held no more.
    async fn take_once(
        &self,
        source: &str,
        offer: &Arc<PushedBody>,
        came: (DateTime<Utc>, Option<i64>),
    ) -> Result<Option<(Receipt, i64)>, Failed> {
        let now = self.engine.clock.now();
        let upon = self.engine.outbox().walks().await?;
        if self.is_late(source, offer.session().is_some(), came).await? {
            return Err(Failed::Late);
        }
        let held = self.held(source, offer, (now, upon)).await?;
        let (is_one, offer) = (offer.session().is_some(), Arc::clone(offer));
        let taking = tokio::task::spawn_blocking(move || push::take(&offer, &held, now));
        let mut taken = taking.await.unwrap_or_else(|e| Err(PushRefused::Unusable(format!("the body: {e}"))))?;
        if let Some(dictionary) = self.engine.feeds.words.get(source) {
            let faults = taken.snapshot.faults.len();
            meaning::apply(&mut taken.snapshot, dictionary);
            taken.faults.extend_from_slice(&taken.snapshot.faults[faults..]);
        }
        self.engine.feeds.told.tell(source, &taken.faults);
        self.engine.feeds.records.note(source, &taken.snapshot, now);
        // The line behind which it is durable.
        let report = self.engine.apply(source, &taken.snapshot, Upon::All(upon)).await?;
        if report.applied.overtaken {
            return Ok(None);
        }
        let sessions = if is_one { self.engine.outbox().listed(source).await? } else { report.sessions };
        let receipt = Receipt {
            sessions,
            planned: report.planned,
            added: report.applied.added,
            moved: report.applied.moved,
            ended: report.applied.ended,
            guarded: report.guarded,
            faults: taken.faults,
        };
        Ok(Some((receipt, report.applied.walks)))
    }
}

#[async_trait]
impl web::Intake for Intake {
    async fn push(&self, source: &str, offer: PushedBody) -> Result<Receipt, Declined> {
        if let Some(idle) = self.engine.membership.idle() {
            return Err(Declined::Idle(idle.why));
        }
        let turn = self.turns.get(source).expect("the server's sources are those that it was made with");
        let came_at = self.engine.clock.now();
        let mut turn = turn.lock().await;
        if offer.session().is_some() {
            // Behind it the last list is not what the source said last any more.
            self.take_decided(source, &mut turn).await.map_err(|error| self.fail(error))?;
        }
        self.take(source, &Arc::new(offer), (came_at, &mut turn)).await.map_err(|failed| match failed {
            Failed::Refused(why) => Declined::Refused(why),
            Failed::Late => Declined::Idle("another node took something newer of this source meanwhile; this was not taken".to_owned()),
            Failed::Store(error) => self.fail(error),
        })
    }

    fn wake(&self) {
        self.engine.lanes.iter().for_each(|(_, wake)| wake.notify_one());
    }

    fn try_now(&self) {
        let engine = Arc::clone(&self.engine);
        tokio::spawn(async move {
            for (lane, wake) in &engine.lanes {
                lane.try_now().await;
                wake.notify_one();
            }
        });
    }

    fn ask(&self) {
        self.nudge.notify_one();
    }

    async fn hook(&self, event: hook::HookEvent) -> Result<(), Declined> {
        self.note(&event).await.map_err(|error| self.fail(error))?;
        self.nudge.notify_one();
        Ok(())
    }

    async fn receipt(&self, report: DeliveryReport) -> Result<(), Declined> {
        let status = report.status;
        let taken = receipts::take_early(&**self.engine.outbox(), report, &*self.engine.clock).await;
        if let Received::Noted(_) = taken.map_err(|error| self.fail(error))? {
            self.engine.monitors.feedback.receipt(Channel::Sms, status);
        }
        Ok(())
    }

    async fn reply(&self, reply: Reply) -> Result<(), Declined> {
        let (engine, now) = (&self.engine, self.engine.clock.now());
        let taking = replies::take(&**engine.outbox(), &reply, &engine.policy, engine.answers.renderer.locale(), now);
        let heard = taking.await.map_err(|error| self.fail(error))?;
        engine.answers.wake.notify_one();
        if let Some(word) = heard.new {
            engine.monitors.feedback.reply(word);
        }
        if heard.replans {
            self.nudge.notify_one();
        }
        Ok(())
    }

    async fn lives(&self) -> bool {
        self.engine.outbox().is_elsewhere() || self.engine.answers_at_once().await
    }

    fn is_away(&self) -> bool {
        self.engine.outbox().cut_off_since().is_some_and(|since| since.elapsed() >= AWAY_AFTER)
    }

    fn warnings(&self) -> Vec<String> {
        let engine = &self.engine;
        engine.cut_off_in_words().into_iter().chain(engine.monitors.anchors.fault()).chain(engine.unread_in_words()).collect()
    }

    async fn unready(&self) -> Vec<String> {
        self.engine.unready().await
    }

    async fn outages(&self) -> Result<Vec<Outage>, StoreError> {
        self.engine.outages().await
    }

    fn transports(&self) -> Vec<(Channel, String, Option<DateTime<Utc>>)> {
        let now = self.engine.clock.now();
        let of = |lane: &crate::dispatch::Lane| lane.pauses(now).map(|(name, paused)| (lane.channel, name.to_owned(), paused)).collect();
        self.engine.lanes.iter().flat_map(|(lane, _)| -> Vec<_> { of(lane) }).collect()
    }

    async fn metrics(&self) -> Option<Registry> {
        self.engine.metrics().await
    }
}

/// Whether something that another node took says more: a list is older than anything that was taken since it came, a single session than a list.
fn is_older(is_one: bool, came_at: DateTime<Utc>, (heard_at, whole_at): (Option<DateTime<Utc>>, Option<DateTime<Utc>>)) -> bool {
    let newest = if is_one { whole_at } else { heard_at };
    newest.is_some_and(|newest| newest > came_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_something_newer_is_late() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        for (is_one, heard_at, whole_at, late) in [
            (false, None, None, false),
            (false, Some(9), Some(9), false),
            (false, Some(11), Some(11), true),
            // A list does not know what was said of one session since.
            (false, Some(11), Some(9), true),
            // Of two single sessions neither says anything of the other.
            (true, Some(11), Some(9), false),
            (true, Some(11), Some(11), true),
        ] {
            assert_eq!(is_older(is_one, at(10), (heard_at.map(at), whole_at.map(at))), late, "{is_one} {heard_at:?} {whole_at:?}");
        }
    }
}
