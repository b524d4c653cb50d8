//! What comes in by itself: pushed sessions are walked before they are answered, and a webhook's event makes the engine ask its sources.
//!
//! One push of a source at a time, in the order in which they come. A store error ends the process, as everywhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Notify, mpsc};

use super::{Engine, receipts, replies, tell};
use crate::feedback::{Reply, Report};
use crate::outbox::StoreError;
use crate::source::push::{self, Held, Offer, Refused};
use crate::web::{self, Declined, hook, push::Receipt};

/// From one asking of the sources because of events to the next, at least: events come in bursts, and each may be sent again.
const GAP: Duration = Duration::from_secs(5);

/// The engine, as the server sees it.
pub(super) struct Intake {
    engine: Arc<Engine>,
    /// By source: whose turn it is.
    turns: HashMap<String, Mutex<()>>,
    nudge: Notify,
    failed: mpsc::Sender<StoreError>,
}

/// Why nothing was taken.
enum Failed {
    Refused(Refused),
    Store(StoreError),
}

impl From<Refused> for Failed {
    fn from(why: Refused) -> Self {
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

    /// Asks all sources when an event came. Never ends.
    pub(super) async fn ask_when_nudged(self: Arc<Self>) {
        loop {
            self.nudge.notified().await;
            for source in &self.engine.sources {
                // A poll that runs may have read before the event: another one follows it.
                if let Err(error) = self.engine.walk(&*source.lock().await).await {
                    self.fail(error);
                }
            }
            // An event that comes now is not lost: it is the next nudge.
            tokio::time::sleep(GAP).await;
        }
    }

    fn fail(&self, error: StoreError) -> Declined {
        self.failed.try_send(error).ok();
        Declined::Store
    }

    async fn held(&self, source: &str) -> Result<Held, StoreError> {
        let outbox = self.engine.outbox();
        Ok(Held {
            filled: outbox.seen(source).await?.is_some(),
            guarded: outbox.guards().await?.iter().filter(|g| g.source == source).count(),
            sessions: outbox.sessions(source, None).await?,
            faults: outbox.status().await?.faults.into_iter().filter(|(of, _)| of == source).map(|(_, fault)| fault).collect(),
        })
    }

    async fn take(&self, source: &str, offer: Offer) -> Result<Receipt, Failed> {
        let (held, now) = (self.held(source).await?, self.engine.clock.now());
        let taking = tokio::task::spawn_blocking(move || push::take(&offer, &held, now));
        let taken = taking.await.unwrap_or_else(|e| Err(Refused::Unusable(format!("the body: {e}"))))?;
        tell(source, taken.faults.iter());
        // The line behind which it is durable.
        let report = self.engine.apply(source, &taken.snapshot).await?;
        Ok(Receipt {
            sessions: report.sessions,
            planned: report.planned,
            added: report.applied.added,
            moved: report.applied.moved,
            ended: report.applied.ended,
            guarded: report.guarded,
            faults: taken.faults,
        })
    }
}

#[async_trait]
impl web::Intake for Intake {
    async fn push(&self, source: &str, offer: Offer) -> Result<Receipt, Declined> {
        let turn = self.turns.get(source).expect("the server's sources are those that it was made with");
        let _turn = turn.lock().await;
        self.take(source, offer).await.map_err(|failed| match failed {
            Failed::Refused(why) => Declined::Refused(why),
            Failed::Store(error) => self.fail(error),
        })
    }

    async fn hook(&self, event: hook::Event) -> Result<(), Declined> {
        let noted = self.engine.outbox().note(self.engine.clock.now(), "webhook", &event.detail()).await;
        noted.map_err(|error| self.fail(error))?;
        self.nudge.notify_one();
        Ok(())
    }

    async fn receipt(&self, report: Report) -> Result<(), Declined> {
        receipts::take(&**self.engine.outbox(), report, self.engine.clock.now()).await.map(drop).map_err(|error| self.fail(error))
    }

    async fn reply(&self, reply: Reply) -> Result<(), Declined> {
        let (engine, now) = (&self.engine, self.engine.clock.now());
        let taking = replies::take(&**engine.outbox(), &reply, &engine.policy, engine.answers.practice.language, now);
        let heard = taking.await.map_err(|error| self.fail(error))?;
        engine.answers.wake.notify_one();
        if heard.rsvp {
            // The session is planned again.
            self.nudge.notify_one();
        }
        Ok(())
    }
}
