//! `/hooks/securevideo/{token}`: the provider's webhook. Something happened there, so the sources are asked at once.
//!
//! The provider sends every type of event to one address, and gives no signature: the address itself is the secret. Nothing that an event says
//! is believed or shown: it names people in some types. Type, status and id go into the ledger; what the event is about comes from the source.
//! One that reports a message of the provider's own (NOTIFY_PUBLIC_USER) is kept as [`crate::evidence`], with ids in place of the person.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Map, Value};

use super::patience::in_any_case;
use super::problem::Problem;
use super::{Shared, request};
use crate::session::RawContact;
use crate::source::json;

/// Largest event, in bytes: the documented ones have less than one KiB.
const EVENT_MAX: usize = 64 << 10;
/// Longest word that is written down. The documented ones have 20 letters.
const WORD_MAX: usize = 40;

/// The type that reports a message of the provider's own.
const REPORT: &str = "NOTIFY_PUBLIC_USER";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookEvent {
    /// WebhookType: `SESSION_STATUS`, `NOTIFY_PUBLIC_USER` or another.
    pub kind: String,
    /// Status: `STARTED`, `Update` or another; `-`: none.
    pub status: String,
    /// ID: that of the session, in some types.
    pub id: Option<i64>,
    /// NOTIFY_PUBLIC_USER: the message that it reports. Not written down: it names a person.
    pub told: Option<VendorMessage>,
}

/// A message of the provider's own. (Article 316: Attributes are pairs of a name and a text; times are UTC without a mark.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorMessage {
    /// EventTs; `None`: it says none.
    pub at: Option<DateTime<Utc>>,
    /// SessionTimeUtc.
    pub start: DateTime<Utc>,
    /// RecipientEmailAddress; empty: none.
    pub email: RawContact,
    /// RecipientSmsNumber; empty: none.
    pub number: RawContact,
}

impl VendorMessage {
    fn read(event: &Map<String, Value>) -> Option<Self> {
        let attributes = event.get("Attributes")?.as_array()?;
        let attribute = |name: &str| {
            let found = attributes.iter().find(|a| a["AttributeName"].as_str() == Some(name));
            found.and_then(|a| a["AttributeValue"].as_str()).unwrap_or_default()
        };
        Some(Self {
            at: event.get("EventTs").and_then(Value::as_str).and_then(instant),
            start: instant(attribute("SessionTimeUtc"))?,
            email: RawContact(attribute("RecipientEmailAddress").trim().to_owned()),
            number: RawContact(attribute("RecipientSmsNumber").trim().to_owned()),
        })
    }
}

/// A time of an event: as sessions have them, or as one type of event is documented to (`1/5/2023 4:37:55 PM`, article 393).
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let american = || NaiveDateTime::parse_from_str(text.trim(), "%m/%d/%Y %I:%M:%S %p").ok().map(|t| t.and_utc());
    json::instant(text).or_else(american)
}

impl HookEvent {
    /// Reads an event. `None`: it is no object.
    pub fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return None };
        let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        let id = match field("ID") {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        };
        let kind = word(field("WebhookType"));
        let told = if kind == REPORT { VendorMessage::read(&fields) } else { None };
        Some(Self { kind, status: word(field("Status")), id, told })
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
        let event = HookEvent::read(&body).ok_or_else(no_event)?;
        let intake = Arc::clone(&shared.intake);
        in_any_case(async move { intake.hook(event).await }).await?.map_err(Problem::from)
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
            assert_eq!(HookEvent::read(body.as_bytes()).unwrap().detail(), detail, "{body}");
        }
        let told = |attributes: &str| {
            let body = format!(r#"{{"WebhookType":"NOTIFY_PUBLIC_USER","EventTs":"2019-06-11T10:45:12","Attributes":[{attributes}]}}"#);
            HookEvent::read(body.as_bytes()).unwrap().told
        };
        let time = |text: &str| format!(r#"{{"AttributeName":"SessionTimeUtc","AttributeValue":"{text}"}}"#);
        let of = r#",{"AttributeName":"RecipientEmailAddress","AttributeValue":"trevor@example.com"}"#;
        for written in ["2019-06-26T18:45:00", "2019-06-26T18:45:00Z", "6/26/2019 6:45:00 PM"] {
            let told = told(&(time(written) + of)).expect("it reports a message");
            assert_eq!((told.start.to_rfc3339(), told.email.0.as_str()), ("2019-06-26T18:45:00+00:00".to_owned(), "trevor@example.com"));
            assert!(!format!("{told:?}").contains("trevor"), "{told:?}");
        }
        assert_eq!((told(""), told(&time("soon")), told("7")), (None, None, None));
        for body in ["", "[]", "null", "{", "\"SESSION_STATUS\""] {
            assert_eq!(HookEvent::read(body.as_bytes()), None, "{body}");
        }
    }
}
