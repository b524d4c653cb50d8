//! One message that is no notice: the letter to the practice, an answer to a text. It goes over the lane of its channel as notices do: the same rates,
//! pauses, meters and point of no return.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::crossing::{Course, Crossing};
use super::lane::Lane;
use super::record::Record;
use crate::message::Message;
use crate::outbox::{self, Outbox};
use crate::outcome::Outcome;

/// Hands it over. `due_at`: since when it could have gone. `end` makes its outcome durable; it is told, too, whether bytes of it may have left.
pub(crate) async fn hand_over<R: Record>(
    course: Arc<Course>,
    (message, due_at): (&Message, DateTime<Utc>),
    record: R,
    end: impl AsyncFnOnce(&Outcome, bool) -> outbox::Result<()>,
) -> outbox::Result<Outcome> {
    let crossing = Crossing::new(Arc::clone(&course), record);
    let (lane, clock) = (&course.lane, &*course.clock);
    let outcome = lane.deliver(message, &crossing, clock).await;
    let passed = crossing.end(&outcome).await?;
    end(&outcome, crossing.left()).await?;
    // It is back when its end is durable.
    drop(passed);
    lane.meter().ended(&outcome, clock.now() - due_at);
    Ok(outcome)
}

/// Refusals that turned out to be about us are taken back, once they are durable: they wait as what the channel could not take does.
pub(super) async fn take_back(
    outbox: &dyn Outbox,
    lane: &Lane,
    settled: crate::notice::NoticeKey,
    now: DateTime<Utc>,
) -> outbox::Result<()> {
    let refused = lane.settled(settled);
    if refused.is_empty() {
        return Ok(());
    }
    let at_once = lane.is_well(now);
    let again: Vec<_> = refused.into_iter().map(|key| (key, (!at_once).then(|| lane.again_at(key, now)))).collect();
    let back = outbox.take_back(&again, now).await?;
    tracing::warn!(channel = %lane.channel, back, "several were refused in the same words: that is about us, and is taken back");
    Ok(())
}
