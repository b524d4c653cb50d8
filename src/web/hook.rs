//! `/hooks/securevideo/{token}`: the provider's webhook. Something happened there, so the sources are asked at once.
//!
//! The provider sends every type of event to one address, and gives no signature: the address itself is the secret. Nothing that an event says
//! is believed or shown: it names people in some types. Type, status and id go into the ledger; what the event is about comes from the source.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::problem::Problem;
use super::{Shared, request, to_the_end};

/// Largest event, in bytes: the documented ones have less than one KiB.
const EVENT_MAX: usize = 64 << 10;
/// Longest word that is written down. The documented ones have 20 letters.
const WORD_MAX: usize = 40;

/// What is written down of an event: nothing personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// WebhookType: `SESSION_STATUS`, `NOTIFY_PUBLIC_USER` or another.
    pub kind: String,
    /// Status: `STARTED`, `Update` or another; `-`: none.
    pub status: String,
    /// ID: that of the session, in some types.
    pub id: Option<i64>,
}

impl Event {
    /// Reads an event. `None`: it is no object.
    pub fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return None };
        let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        let id = match field("ID") {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        };
        Some(Self { kind: word(field("WebhookType")), status: word(field("Status")), id })
    }

    /// For the ledger: type, status, id.
    pub fn detail(&self) -> String {
        let id = self.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        format!("{} {} {id}", self.kind, self.status)
    }
}

/// A word as the documentation has them, in ASCII. A text that is none could be anything, a name too.
fn word(value: &Value) -> String {
    let is_word = |text: &&str| {
        (1..=WORD_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') && !text.starts_with('_')
    };
    match value {
        Value::Null => "-".to_owned(),
        other => other.as_str().filter(is_word).unwrap_or("(other)").to_owned(),
    }
}

/// POST of an event.
pub(super) async fn take(State(shared): State<Arc<Shared>>, Path(token): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        if !shared.settings.hook.as_ref().is_some_and(|hook| request::is(hook, &token)) {
            return Err(Problem::not_found("there is nothing at this address"));
        }
        let body = request::json(&headers, body, EVENT_MAX, shared.settings.limits.body).await?;
        let no_event = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "expected an object of JSON");
        let event = Event::read(&body).ok_or_else(no_event)?;
        let intake = Arc::clone(&shared.intake);
        to_the_end(async move { intake.hook(event).await }).await?.map_err(Problem::from)
    };
    match taken.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => {
            tracing::warn!(status = problem.status(), "a webhook's event was refused");
            problem.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_and_an_id_are_kept() {
        for (body, detail) in [
            (r#"{"WebhookType":"SESSION_STATUS","ID":12345,"Status":"STARTED"}"#, "SESSION_STATUS STARTED 12345"),
            (
                r#"{"WebhookType":"NOTIFY_PUBLIC_USER","ID":"183765","Status":"Update","EventTs":"2019-06-11T10:45:12",
                    "Attributes":[{"AttributeName":"RecipientName","AttributeValue":"Trevor"}]}"#,
                "NOTIFY_PUBLIC_USER Update 183765",
            ),
            (r#"{"WebhookType":"trevor@example.com","ID":"555-0100","Status":"Ray Chalk"}"#, "(other) (other) -"),
            (r#"{"WebhookType":7,"ID":1.5,"Status":""}"#, "(other) (other) -"),
            ("{}", "- - -"),
        ] {
            assert_eq!(Event::read(body.as_bytes()).unwrap().detail(), detail, "{body}");
        }
        for body in ["", "[]", "null", "{", "\"SESSION_STATUS\""] {
            assert_eq!(Event::read(body.as_bytes()), None, "{body}");
        }
    }
}
