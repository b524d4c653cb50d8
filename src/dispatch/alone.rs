//! One message that is no notice: the letter to the practice, an answer to a text. It goes over the lane of its channel as notices do: the same rates,
//! pauses, meters and point of no return.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::crossing::{Course, Crossing};
use super::record::Record;
use crate::message::Message;
use crate::outbox;
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
