//! `/hooks/twilio`: what Twilio tells of texts that it took (status callbacks), and texts that people sent (inbound messages).
//!
//! Each request is signed with the account's token over the address that Twilio was told, with its port or without, so that address is
//! configuration: a proxy may change what arrives here. What is signed has no marks between its fields, so that somebody who wrote a text could
//! have its bytes cut anew: only what names our account and our number, in Twilio's own forms, is believed (`ours`). A signature holds no time; a
//! request that comes again changes nothing, because receipts and replies are taken once.
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
use super::{Callback, Shared, TwilioAccount as Account, feedback, request};
use crate::feedback::{DeliveryReport, Reply};
use crate::outcome::redacted;
use crate::receipt::DeliveryStatus;
use crate::suppression::Suppression;

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
        let forbidden = |why| Problem::new(StatusCode::FORBIDDEN, why);
        let account = signed_by(&shared.settings.callbacks, &query, &form, signature)
            .ok_or_else(|| forbidden("the signature is not one of ours: check auth_token and callback_url"))?;
        if !is_ours(account, &form) {
            return Err(forbidden("it is signed, and not for us: another account or number, or no message of Twilio's form"));
        }
        let reference = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ref").map(|(_, value)| value.into_owned());
        match (report(&form, reference), reply(&form, account.answered)) {
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

/// Whose token signed it. All are tried, in a time that does not tell which it was; one that the request is for goes before another with the
/// same token.
fn signed_by<'c>(callbacks: &'c [Callback], query: &str, form: &Form, signature: &str) -> Option<&'c Account> {
    callbacks.iter().fold(None, |found: Option<&Account>, callback| match callback {
        Callback::Twilio(account) => {
            let [with, without] = asked(&account.url, query).map(|url| is_signed(&account.token, &url, form, signature));
            let better = found.is_none_or(|before| !is_ours(before, form));
            if (with || without) && better { Some(account) } else { found }
        }
        _ => found,
    })
}

/// The address as Twilio was told it, with what this request adds to it: with its port, and without. Twilio has signed either.
fn asked(url: &Url, query: &str) -> [String; 2] {
    let mut url = url.clone();
    url.set_query(Some(query).filter(|q| !q.is_empty()));
    let port = url.port_or_known_default();
    // A port that is the scheme's own is never written by `Url`, nor any other one after this.
    url.set_port(None).ok();
    let without = String::from(url);
    let with = without.split_once("://").zip(port).map(|((scheme, rest), port)| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        format!("{scheme}://{}:{port}{}", &rest[..end], &rest[end..])
    });
    [with.unwrap_or_else(|| without.clone()), without]
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

/// Whether a signed request is about us: our account, a message with an id of Twilio's form; and if somebody sent a text, our number or messaging
/// service, and a number of E.164 that it came from.
fn is_ours(account: &Account, form: &Form) -> bool {
    let sids = ["MessageSid", "SmsSid", "SmsMessageSid"].map(|name| only(form, name));
    let known = sids.iter().flatten().any(|sid| is_sid(sid));
    let named =
        form.iter().all(|(name, _)| name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric()));
    let of_account = only(form, "AccountSid") == Some(account.sid.as_str());
    let receipt = status(form).is_some();
    known && named && of_account && is_whole(form) && (receipt || is_for(account, form))
}

/// A text to our number, from a number.
fn is_for(account: &Account, form: &Form) -> bool {
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    let to = account.number.as_ref().is_none_or(|ours| only(form, "To").is_some_and(|to| digits(to) == digits(ours)));
    // Numbers of a messaging service are not ours to know: Twilio names the service.
    let service = account.service.as_ref().is_none_or(|ours| field(form, "MessagingServiceSid").is_none_or(|sid| sid == ours));
    to && service && only(form, "From").is_some_and(is_e164)
}

/// `+14045550123`
fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

/// Length of an id: two letters and 32 hexadecimal digits.
const SID: usize = 34;

/// `SM`, or `MM` of a message with a picture, and 32 hexadecimal digits.
fn is_sid(text: &str) -> bool {
    let digits = text.strip_prefix("SM").or_else(|| text.strip_prefix("MM"));
    text.len() == SID && digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether no bytes of a text stand where fields should. Who writes a text can end it in what looks like From and MessageSid, but cannot know
/// the id that Twilio gives it: in all that was signed, but for the text, there is no other id than this message's.
fn is_whole(form: &Form) -> bool {
    let Some(ours) = field(form, "MessageSid").or_else(|| field(form, "SmsSid")).or_else(|| field(form, "SmsMessageSid")) else {
        return false;
    };
    let is_quoted = |name: &str, value: &str| name == "OriginalRepliedMessageSid" && is_sid(value);
    let mut sorted: Vec<&(String, String)> = form.iter().filter(|(name, value)| name != "Body" && !is_quoted(name, value)).collect();
    sorted.sort();
    let signed: String = sorted.into_iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
    let ids = (0..signed.len().saturating_sub(SID - 1)).filter_map(|at| signed.get(at..at + SID)).filter(|id| is_sid(id));
    ids.into_iter().all(|id| id == ours)
}

fn field<'f>(form: &'f Form, name: &str) -> Option<&'f str> {
    form.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
}

/// The field's only value; `None`: there is none, or two that differ.
fn only<'f>(form: &'f Form, name: &str) -> Option<&'f str> {
    let value = field(form, name)?;
    form.iter().all(|(n, v)| n != name || v == value).then_some(value)
}

/// The id that Twilio gave the message.
fn sid(form: &Form) -> Option<String> {
    ["MessageSid", "SmsSid", "SmsMessageSid"].iter().find_map(|name| field(form, name)).map(str::to_owned)
}

/// Of a receipt; a text that came is `received`.
fn status(form: &Form) -> Option<&str> {
    field(form, "MessageStatus").filter(|status| !matches!(*status, "received" | "receiving"))
}

/// A status callback, with our reference from its address.
fn report(form: &Form, ours: Option<String>) -> Option<DeliveryReport> {
    let status = match status(form)? {
        "delivered" | "read" => DeliveryStatus::Delivered,
        "undelivered" => DeliveryStatus::Undelivered,
        "failed" | "canceled" => DeliveryStatus::Failed,
        // Accepted, scheduled, queued, sending, sent: Twilio has it.
        _ => DeliveryStatus::Sent,
    };
    let code = field(form, "ErrorCode").filter(|_| matches!(status, DeliveryStatus::Undelivered | DeliveryStatus::Failed));
    Some(DeliveryReport {
        reference: sid(form),
        ours,
        status,
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
    let id = sid(form)?;
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
        assert_eq!(asked(&url, "a=b&ref=x")[1], "https://practice.example/hooks/twilio?a=b&ref=x");
        assert_eq!(asked(&url, "")[1], "https://practice.example/hooks/twilio");
    }

    #[test]
    fn the_address_is_tried_with_its_port_and_without() {
        for (url, both) in [
            ("https://p.example/t", ["https://p.example:443/t?a=1", "https://p.example/t?a=1"]),
            ("https://p.example:443/t", ["https://p.example:443/t?a=1", "https://p.example/t?a=1"]),
            ("https://p.example:8443/t", ["https://p.example:8443/t?a=1", "https://p.example/t?a=1"]),
            ("http://p.example:80/t", ["http://p.example:80/t?a=1", "http://p.example/t?a=1"]),
            ("http://p.example:443/t", ["http://p.example:443/t?a=1", "http://p.example/t?a=1"]),
            ("https://[2001:db8::1]:8443/t", ["https://[2001:db8::1]:8443/t?a=1", "https://[2001:db8::1]/t?a=1"]),
            ("https://p.example", ["https://p.example:443/?a=1", "https://p.example/?a=1"]),
        ] {
            assert_eq!(asked(&Url::parse(url).unwrap(), "a=1"), both, "{url}");
        }
    }

    fn account(number: Option<&str>, service: Option<&str>) -> Account {
        Account {
            url: Url::parse("https://practice.example/hooks/twilio").unwrap(),
            token: "12345".into(),
            sid: "AC1".to_owned(),
            number: number.map(str::to_owned),
            service: service.map(str::to_owned),
            answered: true,
        }
    }

    /// What is signed with our token may be another account's or number's, or what somebody wrote into a text.
    #[test]
    fn what_is_ours() {
        let (sid, other) = (format!("SM{:032x}", 7), format!("SM{:032x}", 8));
        let text = format!("AccountSid=AC1&MessageSid={sid}&From=%2B15550123&To=%2B15550100&Body=STOP");
        let with = |more: &str| format!("{text}&{more}");
        let without = |name: &str, value: &str| text.replace(&format!("{name}={value}"), "NumMedia=0");
        let receipt = format!("AccountSid=AC1&MessageSid={sid}&MessageStatus=sent&To=%2B15550123");
        for (form_text, number, service, ours) in [
            (text.clone(), true, None, true),
            (with("SmsSid=&NumMedia=0"), true, None, true),
            (with(&format!("SmsSid={sid}&SmsMessageSid={sid}&SmsStatus=received&MessageStatus=received")), true, None, true),
            (text.replace("MessageSid=SM", "SmsSid=MM"), true, None, true),
            (with(&format!("OriginalRepliedMessageSid={other}")), true, None, true),
            (with("To=%2B15550100"), true, None, true),
            (text.replace("STOP", &other), true, None, true),
            (without("AccountSid", "AC1"), true, None, false),
            (text.replace("AC1", "AC2"), true, None, false),
            (with("AccountSid=AC2"), true, None, false),
            (without("To", "%2B15550100"), true, None, false),
            (text.replace("15550100", "15550199"), true, None, false),
            (with("To=%2B15550199"), true, None, false),
            (without("From", "%2B15550123"), true, None, false),
            (text.replace("From=%2B1555", "From=1555"), true, None, false),
            (text.replace("From=%2B15550123", "From=Lakeside"), true, None, false),
            (text.replace("From=%2B", "From=whatsapp%3A%2B"), true, None, false),
            (with("From=%2B15550124"), true, None, false),
            (text.replace(&sid, "SM7"), true, None, false),
            (text.replace(&sid, &format!("{sid}0")), true, None, false),
            (text.replace("MessageSid=SM", "MessageSid=CA"), true, None, false),
            (with(&format!("MessageSid={other}")), true, None, false),
            (with(&format!("SmsSid={other}")), true, None, false),
            (with(&format!("Na=From%2B15550199MessageSid{other}")), true, None, false),
            (with(&format!("NaMessage=x&Sid={other}")), true, None, false),
            (with("na=x"), true, None, false),
            (with("=x"), true, None, false),
            (with("MessagingServiceSid=MG1"), false, Some("MG1"), true),
            (text.clone(), false, Some("MG1"), true),
            (with("MessagingServiceSid=MG2"), false, Some("MG1"), false),
            (receipt.clone(), true, None, true),
            (receipt.replace("AC1", "AC2"), true, None, false),
            (receipt.replace(&sid, "SM7"), true, None, false),
        ] {
            let account = account(number.then_some("+15550100"), service);
            assert_eq!(is_ours(&account, &form(&form_text)), ours, "{form_text}");
        }
    }

    /// The same token may stand for two numbers.
    #[test]
    fn a_text_is_for_the_number_that_it_was_sent_to() {
        let mut first = account(Some("+15550100"), None);
        first.answered = false;
        let callbacks = [Callback::Twilio(first), Callback::Twilio(account(Some("+15550101"), None))];
        for (to, answered) in [("15550100", false), ("15550101", true)] {
            let form = form(&format!("AccountSid=AC1&MessageSid=SM{:032x}&From=%2B15550123&To=%2B{to}&Body=STOP", 7));
            let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
            mac.update(b"https://practice.example:443/hooks/twilio");
            let mut sorted = form.clone();
            sorted.sort();
            sorted.iter().for_each(|(name, value)| mac.update(format!("{name}{value}").as_bytes()));
            let signature = data_encoding::BASE64.encode(&mac.finalize().into_bytes());
            assert_eq!(signed_by(&callbacks, "", &form, &signature).map(|account| account.answered), Some(answered), "{to}");
            assert!(signed_by(&callbacks, "a=b", &form, &signature).is_none());
        }
    }

    #[test]
    fn statuses() {
        for (text, status, detail, remember) in [
            ("MessageStatus=queued", DeliveryStatus::Sent, None, None),
            ("MessageStatus=sent", DeliveryStatus::Sent, None, None),
            ("MessageStatus=delivered", DeliveryStatus::Delivered, None, None),
            ("MessageStatus=undelivered&ErrorCode=30003", DeliveryStatus::Undelivered, Some("30003"), None),
            ("MessageStatus=undelivered&ErrorCode=30005", DeliveryStatus::Undelivered, Some("30005"), Some(Suppression::Bounced)),
            ("MessageStatus=undelivered&ErrorCode=30006", DeliveryStatus::Undelivered, Some("30006"), Some(Suppression::Bounced)),
            ("MessageStatus=failed&ErrorCode=21610", DeliveryStatus::Failed, Some("21610"), Some(Suppression::OptedOut)),
            ("MessageStatus=failed&ErrorCode=30007", DeliveryStatus::Failed, Some("30007"), None),
            ("MessageStatus=delivered&ErrorCode=30005", DeliveryStatus::Delivered, None, None),
        ] {
            let report = report(&form(&format!("{text}&MessageSid=SM1")), Some("abc".to_owned())).unwrap();
            assert_eq!((report.status, report.detail.as_deref(), report.remember), (status, detail, remember), "{text}");
            assert_eq!((report.reference.as_deref(), report.ours.as_deref()), (Some("SM1"), Some("abc")));
        }
        assert_eq!(report(&form("SmsStatus=received&Body=Y"), None), None);
        assert_eq!(report(&form("MessageStatus=received&Body=Y"), None), None);
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
