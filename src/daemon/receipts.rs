//! Receipts find their notice: by the provider's id, which the store holds, or by our own reference, which is computed from the notices that
//! may be meant.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::contact::Channel;
use crate::entry::State;
use crate::feedback::{DeliveryReport, is_reference};
use crate::notice::NoticeKey;
use crate::outbox::{Filter, Outbox, Result};
use crate::outcome::Unsaid;
use crate::receipt::{Receipt, ReceiptTarget, Received};
use crate::render;
use crate::source::stored;

/// Receipts come within three days, bounces within five or so; what is older is not looked for.
const SINCE: TimeDelta = TimeDelta::days(14);

/// Waits between two looks for a text that the store does not know by the provider's id: shorter, all of them, than a provider's patience.
const LOOKS: [Duration; 3] = [Duration::from_millis(500), Duration::from_millis(1_500), Duration::from_secs(3)];

/// The same as [`take`], of a text. A gateway may report what became of it before its answer, with the id that it gave it, is read and durable: as
/// long as any text is on its way, the store is asked again.
pub async fn take_early(outbox: &dyn Outbox, report: DeliveryReport, clock: &dyn Clock) -> Result<Received> {
    let mut received = look(outbox, report.clone(), clock.now()).await?;
    for pause in LOOKS {
        if received != Received::Unmatched {
            break;
        }
        // Asked before the next look: one that is told meanwhile is found by that.
        let waits = a_text_is_on_its_way(outbox).await?;
        if waits {
            tokio::time::sleep(pause).await;
        }
        received = look(outbox, report.clone(), clock.now()).await?;
        if !waits {
            break;
        }
    }
    Ok(told(received, &report))
}

async fn a_text_is_on_its_way(outbox: &dyn Outbox) -> Result<bool> {
    let sending = outbox.list(&Filter { states: vec![State::Sending], ..Filter::default() }).await?;
    Ok(sending.iter().any(|entry| entry.notice.address.channel() == Channel::Sms))
}

/// Takes a report: durable when it returns. What is about no message of ours is told in the log, and changes nothing.
pub async fn take(outbox: &dyn Outbox, report: DeliveryReport, now: DateTime<Utc>) -> Result<Received> {
    Ok(told(look(outbox, report.clone(), now).await?, &report))
}

fn told(received: Received, report: &DeliveryReport) -> Received {
    let status = report.status;
    match received {
        Received::Noted(key) => tracing::info!(%key, fate = %status, "receipt"),
        Received::Known(key) => tracing::debug!(%key, fate = %status, "a receipt that says nothing new"),
        Received::Unmatched => tracing::warn!(fate = %status, "a receipt of no message that was handed over"),
    }
    received
}

async fn look(outbox: &dyn Outbox, report: DeliveryReport, now: DateTime<Utc>) -> Result<Received> {
    let DeliveryReport { reference, ours, status, detail, remember, recipient } = report;
    let mut received = Received::Unmatched;
    // Our own reference first: nobody else has the same.
    let ours = find(outbox, ours.as_deref(), now).await?.map(ReceiptTarget::Notice);
    for about in [ours, reference.map(|reference| ReceiptTarget::Reference(reference, now - SINCE))].into_iter().flatten() {
        if received != Received::Unmatched {
            break;
        }
        // Of a message that is handed over only between this look and the next step nobody knows yet what may not be repeated: nothing is.
        let unsaid = unsaid(outbox, &about).await?;
        let detail = unsaid.zip(detail.as_ref()).map(|(unsaid, detail)| unsaid.left_out(detail));
        received = outbox.receive(now, Receipt { about, status, detail, remember, recipient: recipient.clone() }).await?;
    }
    Ok(received)
}

/// Words of the message's session, which a server may repeat. `None`: there is no such message.
async fn unsaid(outbox: &dyn Outbox, about: &ReceiptTarget) -> Result<Option<Unsaid>> {
    let Some(key) = outbox.whose(about).await? else { return Ok(None) };
    let Some(entry) = outbox.list(&Filter { keys: vec![key], ..Filter::default() }).await?.pop() else { return Ok(None) };
    let sessions = outbox.sessions(&entry.source, Some(&[entry.notice.session])).await?;
    Ok(Some(sessions.first().and_then(stored::session).map(|session| stored::unsaid(&session)).unwrap_or_default()))
}

/// The notice that our own reference stands for: it cannot be read out of it, so those that were due lately are tried, the latest first. One
/// takes about a microsecond.
pub async fn find(outbox: &dyn Outbox, reference: Option<&str>, now: DateTime<Utc>) -> Result<Option<NoticeKey>> {
    let Some(reference) = reference.filter(|text| is_reference(text)).map(str::to_owned) else { return Ok(None) };
    let (key, due) = (outbox.reference_key().await?, outbox.due_between(now - SINCE, now).await?);
    let found = move || due.into_iter().find(|notice| render::reference(&key, *notice) == reference);
    Ok(tokio::task::spawn_blocking(found).await.unwrap_or_default())
}
