//! `kind = "kannel"`: Kannel's sendsms interface (user guide, "Using SMS push").
//!
//! Kannel gives no message id: receipts are matched by the client reference in the dlr-url. Its password is a query parameter, so no URL of
//! this module is ever printed.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};

use super::answer::{GatewayAnswer, Private};
use super::{ask, build, classify, typed};
use crate::deliver::{PointOfNoReturn, Transport};
use crate::http_client::{client, place};
use crate::message::{Content, Message, SmsEncoding};
use crate::outcome::{Outcome, refusal};

/// Delivered, undelivered, buffered, handed to the SMSC, rejected by it. It must not ask for more: a mask above 31 (above 63, since 1.5) is
/// refused, and the text with it. Nothing is lost by that: Kannel reports whatever has a bit in common with the mask, and what has expired (34) or
/// has no known end (66) has the bit of what is undelivered.
const DLR_MASK: &str = "31";

/// The words of a 403 that concerns the receiver.
const NOT_ROUTABLE: &[u8] = b"Not routable";

#[derive(Debug, Clone)]
pub struct Settings {
    /// `http://127.0.0.1:13013/cgi-bin/sendsms`
    pub url: String,
    pub username: String,
    pub password: SecretString,
    /// The sender; `None`: Kannel's own.
    pub from: Option<String>,
    /// PEM certificates that are trusted besides those of the host.
    pub ca_file: Option<PathBuf>,
    /// Where receipts are sent, the token with it; the client reference and Kannel's values are added.
    pub callback_url: Option<String>,
    /// Requests at once.
    pub connections: usize,
    /// The longest that one attempt takes.
    pub timeout: Duration,
}

pub struct Kannel {
    name: String,
    settings: Settings,
    client: Client,
}

impl Kannel {
    /// Nothing is connected yet. The error says what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self {
            name: format!("kannel:{}", place(&settings.url)?),
            client: client(settings.timeout, settings.ca_file.as_deref())?,
            settings,
        })
    }

    fn request(&self, more: &[(&str, &str)]) -> Result<RequestBuilder, String> {
        let s = &self.settings;
        let mut url = url::Url::parse(&s.url).map_err(|e| format!("the url is none: {e}"))?;
        url.query_pairs_mut()
            .append_pair("username", &s.username)
            .append_pair("password", s.password.expose_secret())
            .extend_pairs(s.from.as_deref().map(|from| ("from", from)))
            .extend_pairs(more.iter().copied());
        Ok(self.client.get(url))
    }
}

/// Words of a refusal: an older Kannel, and what stands before it, says 202 to those, too.
const REFUSES: [&str; 12] = [
    "fail",
    "denied",
    "invalid",
    "reject",
    "missing",
    "not routable",
    "error",
    "forbidden",
    "unauthori",
    "unknown",
    "not allowed",
    "not permitted",
];
/// Words of a refusal that is about the log-in.
const REFUSES_US: [&str; 4] = ["authori", "denied", "forbidden", "password"];

/// What a yes that says no is about.
enum KannelRefusal {
    /// Now is no time for it.
    Time,
    Us,
    Message,
}

/// `None`: it is a yes.
fn refusal_in(answer: &GatewayAnswer) -> Option<KannelRefusal> {
    let said = answer.explanation().to_lowercase();
    let begins_as_taken = said.starts_with(|c: char| c.is_ascii_digit()) && said.contains(':');
    if begins_as_taken || !REFUSES.iter().any(|word| said.contains(word)) {
        return None;
    }
    let ours = || REFUSES_US.iter().any(|word| said.contains(word)) || refusal::is_ours(&said);
    Some(if said.contains("tempora") {
        KannelRefusal::Time
    } else if ours() {
        KannelRefusal::Us
    } else {
        KannelRefusal::Message
    })
}

/// The words of a yes: a status and what it means (`0: Accepted for delivery`, `3: Queued for later delivery`), or `Sent.`, an older Kannel's. A bare
/// 202 is one, too: no page that asks for a log-in, and no other server, answers so.
fn says_yes(answer: &GatewayAnswer) -> bool {
    let said = String::from_utf8_lossy(&answer.body).trim().to_lowercase();
    let status = said.trim_start_matches(|c: char| c.is_ascii_digit());
    let begins_as_taken = status.len() < said.len() && status.starts_with(':');
    begins_as_taken || said.starts_with("sent") || (said.is_empty() && answer.status == 202)
}

/// What an answer means. Kannel says 202 once the message is in its own store (`0: Accepted for delivery`, `3: Queued for later delivery`); 503
/// when it did not take it, which no other gateway's bare 503 says so surely; and 403 both for a log-in that it refuses and for a receiver that
/// none of its routes may serve, which concerns this receiver alone. A 2xx in words that are none of Kannel's is nobody's yes: it may stand behind
/// whoever answered, and have the text, or not.
fn classify_answer(answer: &GatewayAnswer, private: &Private) -> Outcome {
    let refusal = (200..=299).contains(&answer.status).then(|| refusal_in(answer)).flatten();
    let later = || Outcome::Retry { why: answer.said(private), after: answer.pause };
    let rejected = || Outcome::Rejected { reply: answer.said(private), remember: None };
    match (refusal, answer.status) {
        (Some(KannelRefusal::Time), _) | (None, 503) => later(),
        (Some(KannelRefusal::Us), _) => classify::about_us(answer, private),
        (Some(KannelRefusal::Message), _) => rejected(),
        (None, 403) if answer.body.starts_with(NOT_ROUTABLE) => rejected(),
        (None, 200..=299) if !says_yes(answer) => {
            Outcome::Unknown { why: format!("{}: no words of Kannel's, which says that it took a text", answer.said(private)) }
        }
        (None, _) => classify::answered(answer, None, private),
    }
}

#[async_trait]
impl Transport for Kannel {
    fn name(&self) -> &str {
        &self.name
    }

    fn concurrency(&self) -> usize {
        self.settings.connections.max(1)
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let Content::Sms { to, text, encoding, .. } = &message.content else {
            return Outcome::Rejected { reply: "an e-mail cannot go by Kannel".to_owned(), remember: None };
        };
        let coding = match encoding {
            SmsEncoding::Gsm7 => "0",
            SmsEncoding::Ucs2 => "2",
        };
        let dlr_url = self.settings.callback_url.as_ref().map(|url| {
            let joint = if url.contains('?') { '&' } else { '?' };
            format!("{url}{joint}ref={}&type=%d&answer=%A", message.reference)
        });
        let mut more = vec![("to", to.expose()), ("text", text), ("charset", "UTF-8"), ("coding", coding)];
        if let Some(url) = &dlr_url {
            more.extend([("dlr-mask", DLR_MASK), ("dlr-url", url.as_str())]);
        }
        let mut typed = typed::secrets_of_address(&self.settings.url);
        typed.extend(self.settings.callback_url.iter().filter_map(|url| typed::secrets_of_callback(url)));
        let told = [to.expose(), text, &self.settings.username, self.settings.password.expose_secret()];
        let private = Private::of(&told.into_iter().chain(typed.iter().map(String::as_str)).collect::<Vec<_>>());
        let request = self.request(&more).and_then(build);
        super::deliver(&self.client, request, &private, doubt, |answer| classify_answer(answer, &private)).await
    }

    /// A request without a receiver: Kannel checks the log-in first, and then refuses it.
    async fn probe(&self) -> Result<String, String> {
        let answer = ask(&self.client, self.request(&[])?).await?;
        match answer.status {
            401 | 403 => Err(format!("log-in refused ({}): check username and password", answer.status)),
            400..=499 => Ok("the log-in is accepted".to_owned()),
            _ => Err(format!("answers {}: expected Kannel's sendsms", answer.status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_that_says_no_or_in_other_words_is_none() {
        for (status, body, want) in [
            (202, "0: Accepted for delivery", "accepted"),
            (202, "3: Queued for later delivery", "accepted"),
            (202, "Sent.", "accepted"),
            (202, "", "accepted"),
            (200, "Sent.", "accepted"),
            (202, "4: Queued", "accepted"),
            (200, "", "unknown"),
            (200, "<html><title>Login required</title></html>", "unknown"),
            (202, "<html><body>Welcome</body></html>", "unknown"),
            (202, "OK", "unknown"),
            (200, "12 users: welcome", "unknown"),
            (200, "{\"status\":\"up\"}", "unknown"),
            (204, "", "unknown"),
            (202, "Authorization failed for sendsms", "channel"),
            (200, "Denied", "channel"),
            (202, "Access denied", "channel"),
            (202, "Invalid password", "channel"),
            (202, "Sender missing and no global set, rejected", "channel"),
            (202, "Invalid receiver number", "rejected"),
            (202, "Not routable. Do not try again.", "rejected"),
            (202, "Missing receiver number, rejected", "rejected"),
            (202, "Temporal failure, try again later.", "retry"),
        ] {
            let answer = GatewayAnswer { status, pause: None, body: body.as_bytes().to_vec(), whole: true };
            let is = match classify_answer(&answer, &Private::default()) {
                Outcome::Accepted { .. } => "accepted",
                Outcome::ChannelFault { .. } => "channel",
                Outcome::Retry { .. } => "retry",
                Outcome::Rejected { remember: None, .. } => "rejected",
                Outcome::Unknown { .. } => "unknown",
                other => panic!("{body}: {other:?}"),
            };
            assert_eq!(is, want, "{status} {body}");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_every_kannel_takes_and_holds_every_end() {
        let mask: u32 = DLR_MASK.parse().unwrap();
        assert!(mask <= 31, "an older Kannel refuses the text");
        for kind in [1, 2, 4, 8, 16, 2 | 32, 2 | 64] {
            assert_ne!(mask & kind, 0, "{kind} would not be reported");
        }
    }
}
