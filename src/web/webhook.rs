//! `/hooks/sms/{token}`: receipts and texts from any gateway that posts JSON. Where it holds what is configuration.
//!
//! A status word that is not configured is no receipt, and is answered as a success: a provider would send it again for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::problem::Problem;
use super::{Callback, Shared, feedback, request};
use crate::feedback::{DeliveryReport, Reply};
use crate::json_pointer::At;
use crate::outcome::redacted;
use crate::receipt::DeliveryStatus;
use crate::suppression::Suppression;

/// Largest request, in bytes: some providers send a hundred receipts at once.
const BODY_MAX: usize = 256 << 10;
/// Longest id that is taken for one, in bytes.
const ID_MAX: usize = 128;

/// Where a gateway's requests hold what. Pointers are RFC 6901.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventForm {
    /// The array of events; `None`: the body is one event. The other pointers are within an event.
    pub each: Option<String>,
    /// Receipts; `None`: it tells none.
    pub receipts: Option<ReceiptForm>,
    /// Texts; `None`: it hands none on.
    pub replies: Option<ReplyForm>,
    /// What tells a text from all else; `None`: only one of both is configured. A text may have all that a receipt has, and a receipt of our own
    /// message a sender and a text.
    pub reply_when: Option<At>,
}

/// Where a receipt holds what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptForm {
    /// The gateway's id of the message.
    pub id: Option<String>,
    pub reference: Option<String>,
    pub status: String,
    /// The error, for staff.
    pub detail: Option<String>,
    /// What each status means.
    pub words: BTreeMap<String, Word>,
}

/// Where a text holds what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyForm {
    /// The gateway's id of it.
    pub id: String,
    pub from: String,
    pub text: String,
}

/// What a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It is under way.
    Sent,
    /// It reached the device.
    Delivered,
    /// It did not.
    Undelivered,
    /// It never left the gateway.
    Failed,
    /// It failed because of its number, which is remembered as bounced.
    InvalidNumber,
    /// It failed because the person wants none, which is remembered.
    OptedOut,
}

impl Word {
    fn says(self) -> (DeliveryStatus, Option<Suppression>) {
        match self {
            Self::Sent => (DeliveryStatus::Sent, None),
            Self::Delivered => (DeliveryStatus::Delivered, None),
            Self::Undelivered => (DeliveryStatus::Undelivered, None),
            Self::Failed => (DeliveryStatus::Failed, None),
            Self::InvalidNumber => (DeliveryStatus::Failed, Some(Suppression::Bounced)),
            Self::OptedOut => (DeliveryStatus::Failed, Some(Suppression::OptedOut)),
        }
    }
}

/// What one event is.
#[derive(Debug, PartialEq, Eq)]
enum WebhookEvent {
    Receipt(DeliveryReport),
    Reply(Reply),
    /// A status that means nothing here.
    Nothing,
}

pub(super) async fn take(State(shared): State<Arc<Shared>>, Path(token): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        let ours = shared.settings.callbacks.iter().fold(None, |found, callback| match callback {
            Callback::Http { token: ours, form, answered } if request::is(ours, &token) => found.or(Some((form, *answered, origin(ours)))),
            _ => found,
        });
        let Some((form, answered, origin)) = ours else { return Err(Problem::not_found("there is nothing at this address")) };
        let body = request::json(&headers, body, BODY_MAX, shared.settings.limits.body).await?;
        let wrong = |what: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, what);
        let body: Value = serde_json::from_slice(&body).map_err(|_| wrong("expected JSON"))?;
        let (events, unread) = form.events(&body, answered).ok_or_else(|| wrong("there is no event where the configuration says"))?;
        if unread > 0 {
            tracing::warn!(gateway = "http", unread, "events of a gateway could not be read; those beside them were");
        }
        // Receipts side by side: one that nobody knows yet is waited for.
        let mut receipts = JoinSet::new();
        for event in events {
            match event {
                WebhookEvent::Receipt(report) => {
                    let shared = Arc::clone(&shared);
                    receipts.spawn(async move { feedback::receipt(&shared, report).await });
                }
                WebhookEvent::Reply(reply) => feedback::reply(&shared, Reply { origin: origin.clone(), ..reply }).await?,
                WebhookEvent::Nothing => {}
            }
        }
        receipts.join_all().await.into_iter().collect()
    };
    match taken.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => feedback::refused("http", problem),
    }
}

/// Tells one gateway from another, wherever it stands in the configuration: a digest of its token, which is its own.
fn origin(token: &SecretString) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(format!("origin {}", token.expose_secret()))[..16])
}

impl EventForm {
    /// What can be read, and how many cannot: one must not cost the others. `None`: nothing can.
    fn events(&self, body: &Value, answered: bool) -> Option<(Vec<WebhookEvent>, usize)> {
        let all = match &self.each {
            None => std::slice::from_ref(body),
            Some(each) => body.pointer(each)?.as_array()?,
        };
        let events: Vec<WebhookEvent> = all.iter().filter_map(|event| self.event(event, answered)).collect();
        let unread = all.len() - events.len();
        (unread == 0 || !events.is_empty()).then_some((events, unread))
    }

    fn event(&self, event: &Value, answered: bool) -> Option<WebhookEvent> {
        let is_reply = self.reply_when.as_ref().map_or(self.receipts.is_none(), |when| when.fits(Some(event)));
        match (&self.receipts, &self.replies) {
            (_, Some(form)) if is_reply => form.read(event, answered),
            (Some(form), _) => form.read(event),
            (None, _) => Some(WebhookEvent::Nothing),
        }
    }
}

impl ReceiptForm {
    fn read(&self, event: &Value) -> Option<WebhookEvent> {
        let id = |pointer: &Option<String>| text(event, pointer.as_ref()?).filter(|id| id.len() <= ID_MAX);
        let status = text(event, &self.status)?;
        let (reference, ours) = (id(&self.id), id(&self.reference));
        if reference.is_none() && ours.is_none() {
            return None;
        }
        let Some(word) = self.words.get(&status) else { return Some(WebhookEvent::Nothing) };
        let (status, remember) = word.says();
        let detail = self
            .detail
            .as_ref()
            .filter(|_| matches!(status, DeliveryStatus::Undelivered | DeliveryStatus::Failed))
            .and_then(|at| text(event, at));
        Some(WebhookEvent::Receipt(DeliveryReport {
            reference,
            ours,
            status,
            detail: detail.map(|text| redacted(&text)),
            remember,
            recipient: None,
        }))
    }
}

impl ReplyForm {
    fn read(&self, event: &Value, answered: bool) -> Option<WebhookEvent> {
        let id = text(event, &self.id).filter(|id| id.len() <= ID_MAX)?;
        Some(WebhookEvent::Reply(Reply {
            gateway: "http",
            origin: String::new(),
            id,
            from: text(event, &self.from)?,
            text: text(event, &self.text).unwrap_or_default(),
            answered,
        }))
    }
}

/// A scalar at a pointer, as text; empty is none.
fn text(event: &Value, pointer: &str) -> Option<String> {
    let text = match event.pointer(pointer)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> EventForm {
        let at = |pointer: &str| pointer.to_owned();
        EventForm {
            each: None,
            receipts: Some(ReceiptForm {
                id: Some(at("/id")),
                reference: Some(at("/ref")),
                status: at("/status/name"),
                detail: Some(at("/error")),
                words: BTreeMap::from([
                    (at("DELIVRD"), Word::Delivered),
                    (at("UNDELIV"), Word::Undelivered),
                    (at("9"), Word::InvalidNumber),
                    (at("STOPPED"), Word::OptedOut),
                ]),
            }),
            replies: Some(ReplyForm { id: at("/id"), from: at("/from"), text: at("/text") }),
            reply_when: Some(At { pointer: at("/type"), one_of: vec![at("in")] }),
        }
    }

    #[test]
    fn events_are_what_the_configuration_says() {
        let report = |status, detail: Option<&str>, remember| {
            let (reference, ours) = (Some("7".to_owned()), None);
            Some(WebhookEvent::Receipt(DeliveryReport {
                reference,
                ours,
                status,
                detail: detail.map(str::to_owned),
                remember,
                recipient: None,
            }))
        };
        for (event, want) in [
            (json!({"id": 7, "status": {"name": "DELIVRD"}, "error": "none"}), report(DeliveryStatus::Delivered, None, None)),
            (
                json!({"id": "7", "status": {"name": "UNDELIV"}, "error": "to 4045550100"}),
                report(DeliveryStatus::Undelivered, Some("to (number)"), None),
            ),
            (json!({"id": "7", "status": {"name": 9}}), report(DeliveryStatus::Failed, None, Some(Suppression::Bounced))),
            (json!({"id": "7", "status": {"name": "STOPPED"}}), report(DeliveryStatus::Failed, None, Some(Suppression::OptedOut))),
            (json!({"id": "7", "status": {"name": "BUFFERED"}}), Some(WebhookEvent::Nothing)),
            (json!({"status": {"name": "DELIVRD"}}), None),
            (json!({"id": "x".repeat(200), "status": {"name": "DELIVRD"}}), None),
            (json!({"id": "7"}), None),
            (json!([]), None),
            (json!(null), None),
        ] {
            assert_eq!(form().event(&event, false), want, "{event}");
        }
        let text = Reply {
            gateway: "http",
            origin: String::new(),
            id: "8".to_owned(),
            from: "4045550100".to_owned(),
            text: "Y".to_owned(),
            answered: true,
        };
        assert_eq!(
            form().event(&json!({"type": "in", "id": 8, "from": 4_045_550_100_u64, "text": "Y"}), true),
            Some(WebhookEvent::Reply(text))
        );
    }

    /// Some providers write both alike: with a status, a sender, and a text.
    #[test]
    fn the_configuration_tells_a_text_from_a_receipt() {
        let event =
            |kind: &str, word: &str| json!({"type": kind, "id": "7", "status": {"name": word}, "from": "4045550100", "text": "STOP"});
        let is_reply =
            |form: &EventForm, event: &Value| matches!(form.event(event, false), Some(WebhookEvent::Reply(reply)) if reply.text == "STOP");
        let is_receipt = |form: &EventForm, event: &Value| matches!(form.event(event, false), Some(WebhookEvent::Receipt(_)));
        assert!(is_reply(&form(), &event("in", "DELIVRD")) && is_reply(&form(), &event("in", "received")));
        assert!(is_receipt(&form(), &event("out", "DELIVRD")));
        assert_eq!(form().event(&event("out", "received"), false), Some(WebhookEvent::Nothing));
        let replies = EventForm { receipts: None, ..form() };
        assert!(is_reply(&replies, &event("in", "DELIVRD")));
        assert_eq!(replies.event(&event("out", "DELIVRD"), false), Some(WebhookEvent::Nothing), "our own message");
        assert!(is_reply(&EventForm { reply_when: None, ..replies }, &event("any", "DELIVRD")));
        assert!(is_receipt(&EventForm { replies: None, reply_when: None, ..form() }, &event("in", "DELIVRD")));
    }

    #[test]
    fn several_come_at_once_and_one_does_not_cost_the_others() {
        let form = EventForm { each: Some("/results".to_owned()), ..form() };
        let good = json!({"id": 7, "status": {"name": "DELIVRD"}});
        let stop = json!({"type": "in", "id": 8, "from": "4045550100", "text": "STOP"});
        let read = |results: Value| form.events(&json!({ "results": results }), false).map(|(events, unread)| (events.len(), unread));
        assert_eq!(read(json!([good, good])), Some((2, 0)));
        assert_eq!(read(json!([{}, stop, null])), Some((1, 2)));
        assert_eq!(read(json!([])), Some((0, 0)));
        assert_eq!(read(json!([{}])), None);
        assert_eq!(read(good.clone()), None);
        assert_eq!(form.events(&good, false), None);
    }
}
