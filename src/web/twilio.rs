//! `/hooks/twilio`: what Twilio tells of texts that it took (status callbacks), and texts that people sent (inbound messages).
//!
//! Each request is signed with the account's token over the address that Twilio was told, so that address is configuration: a proxy may change
//! what arrives here. A signature holds no time; a request that comes again changes nothing, because receipts and replies are taken once.
//! <https://www.twilio.com/docs/usage/security#validating-requests>, <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use url::{Url, form_urlencoded};

use super::problem::Problem;
use super::{Callback, Shared, feedback, request};
use crate::feedback::{Reply, Report};
use crate::outbox::receipt::Fate;
use crate::outcome::{Suppression, redacted};

/// Largest request, in bytes: a text of 1,600 characters and Twilio's own fields.
const FORM_MAX: usize = 64 << 10;
/// An answer in Twilio's language that sends nothing.
const NOTHING_TO_SAY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

type Form = Vec<(String, String)>;

/// POST of a receipt or of a text.
pub(super) async fn take(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        if !shared.settings.callbacks.iter().any(|c| matches!(c, Callback::Twilio { .. })) {
            return Err(Problem::not_found("there is nothing at this address"));
        }
        let body = request::form(&headers, body, FORM_MAX, shared.settings.limits.body).await?;
        let form: Form = form_urlencoded::parse(&body).into_owned().collect();
        let signature = headers.get("x-twilio-signature").and_then(|s| s.to_str().ok()).unwrap_or_default();
        let query = query.unwrap_or_default();
        let answered = signed_by(&shared.settings.callbacks, &query, &form, signature)
            .ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "the signature is not one of ours: check auth_token and callback_url"))?;
        let form: Form = form_urlencoded::parse(query.as_bytes()).into_owned().chain(form).collect();
        match (report(&form), reply(&form, answered)) {
            (Some(report), _) => feedback::receipt(&shared, report).await,
            (None, Some(reply)) => feedback::reply(&shared, reply).await,
            (None, None) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "neither a message's status nor a message")),
        }
    };
    match taken.await {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, "text/xml")], NOTHING_TO_SAY).into_response(),
        Err(problem) => feedback::refused("twilio", problem),
    }
}

/// Which gateway's token signed it: whether Twilio answers its people itself. All are tried, in a time that does not tell which it was.
fn signed_by(callbacks: &[Callback], query: &str, form: &Form, signature: &str) -> Option<bool> {
    callbacks.iter().fold(None, |found, callback| match callback {
        Callback::Twilio { url, token, answered } => {
            let ours = is_signed(token, &asked(url, query), form, signature);
            found.or(ours.then_some(*answered))
        }
        _ => found,
    })
}

/// The address as Twilio was told it, with what this request adds to it.
fn asked(url: &Url, query: &str) -> String {
    let mut url = url.clone();
    url.set_query(Some(query).filter(|q| !q.is_empty()));
    url.into()
}

/// HMAC-SHA1 over the address and the parameters, sorted, each name and value once; compared in constant time.
fn is_signed(token: &SecretString, url: &str, form: &Form, signature: &str) -> bool {
    let Ok(signature) = data_encoding::BASE64.decode(signature.as_bytes()) else { return false };
    let mut mac = Hmac::<Sha1>::new_from_slice(token.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(url.as_bytes());
    let mut sorted: Vec<&(String, String)> = form.iter().collect();
    sorted.sort();
    sorted.dedup();
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac.verify_slice(&signature).is_ok()
}

fn field<'f>(form: &'f Form, name: &str) -> Option<&'f str> {
    form.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
}

/// A status callback.
fn report(form: &Form) -> Option<Report> {
    let fate = match field(form, "MessageStatus")? {
        "delivered" | "read" => Fate::Delivered,
        "undelivered" => Fate::Undelivered,
        "failed" | "canceled" => Fate::Failed,
        // Accepted, scheduled, queued, sending, sent: Twilio has it.
        _ => Fate::Sent,
    };
    let code = field(form, "ErrorCode").filter(|_| matches!(fate, Fate::Undelivered | Fate::Failed));
    Some(Report {
        reference: field(form, "MessageSid").map(str::to_owned),
        ours: field(form, "ref").map(str::to_owned),
        fate,
        detail: code.map(redacted),
        remember: code.and_then(|code| remember(code.parse().ok()?)),
        recipient: None,
    })
}

/// Errors that concern the number, and will again.
fn remember(code: u32) -> Option<Suppression> {
    match code {
        21610 => Some(Suppression::OptedOut),
        // No such number; a landline, or not reachable by texts; not a mobile.
        21211 | 21614 | 30005 | 30006 => Some(Suppression::Bounced),
        _ => None,
    }
}

/// What Twilio answers itself unless it is told otherwise (its default keywords).
const DEFAULT_WORDS: [&str; 13] =
    ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "START", "YES", "UNSTOP", "HELP", "INFO"];

/// An inbound message. Where Twilio knows the word by the practice's own lists, it says so. `answered`: Twilio answers words that it knows.
fn reply(form: &Form, answered: bool) -> Option<Reply> {
    let body = field(form, "Body").unwrap_or_default();
    let (text, known) = match field(form, "OptOutType") {
        Some(word @ ("STOP" | "START" | "HELP")) => (word, true),
        _ => (body, DEFAULT_WORDS.iter().any(|word| body.trim().eq_ignore_ascii_case(word))),
    };
    let answered = answered && known;
    let id = field(form, "MessageSid")?.to_owned();
    form.iter().any(|(name, _)| name == "Body").then_some(())?;
    Some(Reply { gateway: "twilio", origin: String::new(), id, from: field(form, "From")?.to_owned(), text: text.to_owned(), answered })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    /// The examples of Twilio's documentation, and of the tests of its own libraries.
    #[test]
    fn signatures() {
        let token = SecretString::from("12345");
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let call =
            |caller: &str| form(&format!("To=%2B18005551212&Digits=1234&From=%2B{caller}&CallSid=CA1234567890ABCDE&Caller=%2B{caller}"));
        let repeated = form("Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234");
        for (form, signature) in [
            (call("14158675309"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (call("12349013030"), "0/KCTR6DLpKmkAf8muzZqo1nDgQ="),
            (repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        ] {
            assert!(is_signed(&token, url, &form, signature), "{signature}");
            let wrong: [(&SecretString, &str, Form, &str); 6] = [
                (&"12346".into(), url, form.clone(), signature),
                (&token, "http://mycompany.com/myapp.php?foo=1&bar=2", form.clone(), signature),
                (&token, "https://mycompany.com/myapp.php?foo=1&bar=3", form.clone(), signature),
                (&token, url, form[1..].to_vec(), signature),
                (&token, url, form.clone(), ""),
                (&token, url, form.clone(), "not base64"),
            ];
            for (token, url, form, signature) in wrong {
                assert!(!is_signed(token, url, &form, signature), "{url} {form:?} {signature}");
            }
        }
    }

    #[test]
    fn the_address_is_the_configured_one_with_the_query_of_the_request() {
        let url = Url::parse("https://practice.example/hooks/twilio?a=b").unwrap();
        assert_eq!(asked(&url, "a=b&ref=x"), "https://practice.example/hooks/twilio?a=b&ref=x");
        assert_eq!(asked(&url, ""), "https://practice.example/hooks/twilio");
    }

    #[test]
    fn statuses() {
        for (text, fate, detail, remember) in [
            ("MessageStatus=queued", Fate::Sent, None, None),
            ("MessageStatus=sent", Fate::Sent, None, None),
            ("MessageStatus=delivered", Fate::Delivered, None, None),
            ("MessageStatus=undelivered&ErrorCode=30003", Fate::Undelivered, Some("30003"), None),
            ("MessageStatus=undelivered&ErrorCode=30005", Fate::Undelivered, Some("30005"), Some(Suppression::Bounced)),
            ("MessageStatus=undelivered&ErrorCode=30006", Fate::Undelivered, Some("30006"), Some(Suppression::Bounced)),
            ("MessageStatus=failed&ErrorCode=21610", Fate::Failed, Some("21610"), Some(Suppression::OptedOut)),
            ("MessageStatus=failed&ErrorCode=30007", Fate::Failed, Some("30007"), None),
            ("MessageStatus=delivered&ErrorCode=30005", Fate::Delivered, None, None),
        ] {
            let report = report(&form(&format!("{text}&MessageSid=SM1&ref=abc"))).unwrap();
            assert_eq!((report.fate, report.detail.as_deref(), report.remember), (fate, detail, remember), "{text}");
            assert_eq!((report.reference.as_deref(), report.ours.as_deref()), (Some("SM1"), Some("abc")));
        }
        assert_eq!(report(&form("SmsStatus=received&Body=Y")), None);
    }

    #[test]
    fn inbound_messages() {
        let read = |text: &str| reply(&form(text), true).map(|r| (r.id, r.from, r.text));
        let one = |text: &str| Some(("SM1".to_owned(), "+15550100".to_owned(), text.to_owned()));
        assert_eq!(read("MessageSid=SM1&From=%2B15550100&Body=Y%20"), one("Y "));
        assert_eq!(read("MessageSid=SM1&From=%2B15550100&Body="), one(""), "a picture alone");
        assert_eq!(read("MessageSid=SM1&From=%2B15550100&Body=Detener&OptOutType=STOP"), one("STOP"));
        assert_eq!(read("MessageSid=SM1&From=%2B15550100"), None);
        assert_eq!(read("From=%2B15550100&Body=Y"), None);
        assert_eq!(read("MessageSid=SM1&Body=Y"), None);
    }

    #[test]
    fn twilio_answers_the_words_that_it_knows() {
        let answered = |text: &str, on| reply(&form(&format!("MessageSid=SM1&From=%2B15550100&{text}")), on).unwrap().answered;
        for (text, is) in [
            ("Body=Stop", true),
            ("Body=+yes+", true),
            ("Body=ALTO", false),
            ("Body=AYUDA", false),
            ("Body=ALTO&OptOutType=STOP", true),
            ("Body=Y", false),
        ] {
            assert_eq!(answered(text, true), is, "{text}");
            assert!(!answered(text, false));
        }
    }
}
