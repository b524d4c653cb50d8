//! One message that is no notice: the letter to the practice, an answer to a text. It goes over the lane of its channel as notices do: the same claim,
//! rates, pauses, meters and point of no return, and the same end in the store.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::LEASE;
use super::attempt::{Attempt, AttemptContext};
use super::meter::Counted;
use super::record::AloneRecord;
use crate::message::Message;
use crate::notice::NoticeKey;
use crate::outbox::{self, ClaimAlone, Lease, Outbox, Outgoing, Settlement};
use crate::outcome::Outcome;

/// Claims it. `None`: it is somebody else's, or waits no more.
pub(crate) async fn claim(
    outbox: &dyn Outbox,
    owner: &str,
    (kind, key): (Outgoing, NoticeKey),
    now: DateTime<Utc>,
) -> outbox::Result<Option<Lease>> {
    outbox.claim_alone(ClaimAlone { owner: owner.to_owned(), now, kind, key, lease: LEASE }).await
}

/// Hands it over. `due_at`: since when it could have gone. `end` says what becomes of it; it is told, too, whether bytes of it may have left.
pub(crate) async fn hand_over(
    context: Arc<AttemptContext>,
    (message, due_at): (&Message, DateTime<Utc>),
    alone: AloneRecord,
    end: impl FnOnce(&Outcome, bool) -> Settlement,
) -> outbox::Result<Outcome> {
    let lease = alone.lease;
    let attempt = Attempt::new(Arc::clone(&context), alone);
    let (lane, clock) = (&context.lane, &*context.clock);
    let outcome = lane.deliver(message, &attempt, clock).await;
    let passed = attempt.end(&outcome).await?;
    let end = end(&outcome, attempt.left());
    context.outbox.settle(clock.now(), vec![(lease, end)]).await?;
    // It is back when its end is durable.
    drop(passed);
    lane.meter().count(Counted::from(&outcome), clock.now() - due_at);
    Ok(outcome)
}
