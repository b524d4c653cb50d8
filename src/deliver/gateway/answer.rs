//! A gateway's answer, and what of it may be shown to staff.
//!
//! Gateways echo: Twilio's answer holds the whole text, an error page may hold the request's address with the password in it. So of JSON only the
//! members that explain are kept, of markup nothing, and in what is left each word that was in the request is masked.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::{Client, Request};
use serde_json::Value;

use crate::http_client::pause;
use crate::outcome::redacted;

/// Longest answer that is read, in bytes: providers' answers have a few hundred.
const BODY_MAX: usize = 64 << 10;
/// Longest id that is taken for one, in bytes: the longest known have 36.
const REFERENCE_MAX: usize = 128;
/// Members of a JSON answer that explain it, at the top or one level down.
const EXPLAINING: [&str; 12] =
    ["code", "status", "error", "errors", "message", "messages", "detail", "title", "reason", "description", "error_code", "error_message"];
/// Of a list of what is wrong, so many are read.
const LISTED_MAX: usize = 5;
/// Words that tell nothing about anybody, and that errors need to be readable.
const HARMLESS: [&str; 27] = [
    "an", "and", "as", "at", "be", "by", "can", "cannot", "for", "from", "in", "is", "it", "message", "no", "not", "number", "of", "on",
    "or", "text", "that", "the", "this", "to", "was", "with",
];

/// An answer, read.
pub(super) struct GatewayAnswer {
    pub(super) status: u16,
    /// Retry-After, if it was there.
    pub(super) pause: Option<Duration>,
    /// 64 KiB at most.
    pub(super) body: Vec<u8>,
    /// The body ended by itself: it did not break off, and was not too long.
    pub(super) whole: bool,
}

/// The words of a request that its answer may not repeat: the text, its receiver, the log-in.
#[derive(Default)]
pub(super) struct Private(HashSet<String>);

impl Private {
    /// Takes the values as they are; a gateway may echo them as they were written in a URL, too.
    pub(super) fn of(values: &[&str]) -> Self {
        let encoded = values.iter().map(|value| url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>());
        let all: Vec<String> = values.iter().map(|&value| value.to_owned()).chain(encoded).collect();
        let words = all.iter().flat_map(|value| words(value)).map(|(word, _)| word.to_lowercase());
        Self(words.filter(|word| !is_harmless(word)).collect())
    }

    /// `text` with `***` for each such word.
    fn mask(&self, text: &str) -> String {
        words(text).flat_map(|(word, rest)| [if self.0.contains(&word.to_lowercase()) { "***" } else { word }, rest]).collect()
    }
}

/// A single letter or digit of ASCII is no more than a word of [`HARMLESS`].
fn is_harmless(word: &str) -> bool {
    (word.is_ascii() && word.len() < 2) || HARMLESS.contains(&word)
}

/// Letters and digits, each time with what follows up to the next.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_inclusive(|c: char| !c.is_alphanumeric()).map(|piece| {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        (word, &piece[word.len()..])
    })
}

impl GatewayAnswer {
    /// Makes one request, once. The status is the answer: a body that breaks off, or does not end, takes nothing from it.
    pub(super) async fn to(client: &Client, request: Request) -> Result<Self, reqwest::Error> {
        let mut response = client.execute(request).await?;
        let (status, pause) = (response.status().as_u16(), pause(response.headers()));
        let mut body = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                end => break end.is_ok(),
            }
            if body.len() > BODY_MAX {
                body.truncate(BODY_MAX);
                break false;
            }
        };
        Ok(Self { status, pause, body, whole })
    }

    /// The status and what explains it, fit for the store and for staff.
    pub(super) fn said(&self, private: &Private) -> String {
        let text = redacted(&private.mask(&self.explanation()));
        if text.is_empty() { self.status.to_string() } else { format!("{} {text}", self.status) }
    }

    /// What explains it, as it is: not fit for anybody's eyes.
    pub(super) fn explanation(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(json) => explaining(&json).join(", "),
            Err(_) if text.contains(['<', '{']) => String::new(),
            Err(_) => text.lines().next().unwrap_or_default().to_owned(),
        }
    }

    /// The message's id at a JSON pointer (RFC 6901), if there is one that can be an id.
    pub(super) fn reference(&self, pointer: &str) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let id = match body.pointer(pointer)? {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        let fits = !id.is_empty() && id.len() <= REFERENCE_MAX && id.bytes().all(|b| b.is_ascii_graphic());
        fits.then_some(id)
    }
}

fn explaining(json: &Value) -> Vec<String> {
    let shown = |object: &Value| -> Vec<String> {
        let found = EXPLAINING.iter().filter_map(|&name| object.get(name));
        found.filter(|v| v.is_string() || v.is_number()).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect()
    };
    let each = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(list) => {
                list.iter().take(LISTED_MAX).flat_map(|one| one.as_str().map_or_else(|| shown(one), |text| vec![text.to_owned()])).collect()
            }
            one => shown(one),
        }
    };
    let inner = json.as_object().into_iter().flatten().filter(|(name, _)| EXPLAINING.contains(&name.as_str())).map(|(_, value)| value);
    each(json).into_iter().chain(inner.flat_map(each)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> String {
        let private = Private::of(&["Hi José, your visit is at 3:00 PM. Code 701-678-455", "+14045550133", "s3cret&x"]);
        GatewayAnswer { status: 400, pause: None, body: body.as_bytes().to_vec(), whole: true }.said(&private)
    }

    #[test]
    fn what_explains_is_kept() {
        for (body, shown) in [
            ("", "400"),
            (
                r#"{"code":21211,"message":"The 'To' number +14045550133 is not a valid phone number."}"#,
                "400 21211, The 'To' number +*** is not a valid phone number.",
            ),
            (r#"{"error":{"code":"X9","detail":"over quota"},"id":5}"#, "400 X9, over quota"),
            (r#"{"errors":[{"title":"Not enough credit"},"and no more"]}"#, "400 Not enough credit, and no more"),
            (r#"[{"message":"no route"}]"#, "400 no route"),
            ("[1, 2]", "400"),
            ("<html>Hi José</html>", "400"),
            ("Authorization failed for sendsms\nmore", "400 Authorization failed for sendsms"),
        ] {
            assert_eq!(said(body), shown);
        }
    }

    #[test]
    fn what_was_in_the_request_is_masked() {
        for body in [
            r#"{"body":"Hi José, your visit","to":"+14045550133"}"#,
            r#"{"message":"cannot send: Hi José, your visit is at 3:00"}"#,
            r#"{"message":"cannot send to Jos\u00e9"}"#,
            "no such page: /sendsms?password=s3cret%26x&text=Hi+Jos%C3%A9%2C+your",
            "JOSÉ is unknown; 701 678 455 is no code",
            r#"{"message":"{\"body\":\"José\"}"}"#,
        ] {
            let said = said(body);
            for secret in ["Jos", "JOS", "s3cret", "visit", "404555", "678"] {
                assert!(!said.contains(secret), "{body}: {said}");
            }
        }
    }

    #[test]
    fn ids() {
        let id = |body: &str| GatewayAnswer { status: 201, pause: None, body: body.as_bytes().to_vec(), whole: true }.reference("/a/0/id");
        assert_eq!(id(r#"{"a":[{"id":"SM1"}]}"#).as_deref(), Some("SM1"));
        assert_eq!(id(r#"{"a":[{"id":12345678901234567890123}]}"#).as_deref(), Some("12345678901234567890123"));
        for none in [
            "",
            "<html>",
            "{}",
            r#"{"a":[{"id":null}]}"#,
            r#"{"a":[{"id":""}]}"#,
            r#"{"a":[{"id":"Hi Jos\u00e9"}]}"#,
            r#"{"a":[{"id":{}}]}"#,
        ] {
            assert_eq!(id(none), None, "{none}");
        }
        assert_eq!(id(&format!(r#"{{"a":[{{"id":"{}"}}]}}"#, "x".repeat(129))), None);
    }
}
