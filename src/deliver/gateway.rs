//! SMS gateways over HTTP: `twilio`, `kannel`, and `http` for all others.
//!
//! One request for each text, and none on its own account: no redirects, no proxy from the environment, no retries by the library. The
//! attempt's doubt is made durable right before the request; from then on only an answer, or a connection that never came about, says what
//! became of it. [`classify`] is the table that all gateways share; each gateway reads its own error codes first.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, RequestBuilder};

use super::{PointOfNoReturn, tls};
use crate::outcome::{Outcome, redacted};

mod classify;
pub mod http;
pub mod kannel;
pub mod twilio;

/// Longest answer that is read, in bytes: providers' answers have a few hundred.
const ANSWER_MAX: usize = 64 << 10;
/// Longest pause that a gateway may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The pause when it asks for one and names no sensible time.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

/// An answer, read.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// Retry-After, if it was there.
    pause: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    /// The status and the body, fit for staff.
    fn described(&self) -> String {
        let text = redacted(&String::from_utf8_lossy(&self.body));
        if text.is_empty() { self.status.to_string() } else { format!("{} {text}", self.status) }
    }
}

/// A client that does what it is told and no more. `timeout` bounds one attempt, from connect to the last byte of the answer.
fn client(timeout: Duration) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured((*tls::client_config(None)?).clone())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT.min(timeout))
        .timeout(timeout)
        .build()
        .map_err(|e| format!("no HTTP client: {}", chain(&e)))
}

/// Makes the doubt durable, sends, and reads the answer. `Err`: there was none, and this is what that means.
async fn send(client: &Client, request: RequestBuilder, doubt: &dyn PointOfNoReturn) -> Result<Answer, Outcome> {
    let request = request.build().map_err(|e| Outcome::ChannelFault { why: format!("no request: {}", chain(&e)), after: None })?;
    if !doubt.cross().await {
        return Err(Outcome::Fenced);
    }
    exchange(client, request).await.map_err(|e| classify::no_answer(&e))
}

async fn exchange(client: &Client, request: Request) -> Result<Answer, reqwest::Error> {
    let mut response = client.execute(request).await?;
    let (status, pause) = (response.status().as_u16(), pause(response.headers()));
    let mut body = Vec::new();
    // The status is the answer: a body that breaks off, or does not end, takes nothing from it.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            body.truncate(ANSWER_MAX);
            break;
        }
    }
    Ok(Answer { status, pause, body })
}

/// Retry-After (RFC 9110 10.2.3): seconds, or a date, which is counted from the answer's own Date. An hour at most.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().unwrap_or_default().trim();
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    let until = || {
        let sent = date(headers.get(DATE)?.to_str().ok()?)?;
        (date(text)? - sent).to_std().ok()
    };
    Some(text.parse().map(Duration::from_secs).ok().or_else(until).unwrap_or(PAUSE).min(PAUSE_MAX))
}

/// An error and its causes, without addresses: a URL holds the number, and a password.
fn chain(e: &reqwest::Error) -> String {
    use std::error::Error;
    let mut words = Vec::new();
    let mut cause = e.source();
    while let Some(c) = cause {
        words.push(c.to_string());
        cause = c.source();
    }
    let said = if words.is_empty() { "the request failed".to_owned() } else { words.join(": ") };
    redacted(&said)
}

/// Host and port of a URL, for names: no user, no query.
fn place(url: &str) -> Result<String, String> {
    let url = url::Url::parse(url).map_err(|e| format!("the url is none: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the url begins with {}: expected http or https", url.scheme()));
    }
    let host = url.host_str().ok_or("the url names no host")?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        for (retry_after, date, seconds) in [
            ("30", None, 30),
            ("999999", None, 3600),
            ("-5", None, 60),
            ("soon", None, 60),
            ("", None, 60),
            ("Tue, 24 Nov 2026 12:02:00 GMT", Some("Tue, 24 Nov 2026 12:00:30 GMT"), 90),
            ("Tue, 24 Nov 2026 12:02:00 GMT", None, 60),
            ("Tue, 24 Nov 2026 11:00:00 GMT", Some("Tue, 24 Nov 2026 12:00:00 GMT"), 60),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            assert_eq!(pause(&headers), Some(Duration::from_secs(seconds)), "{retry_after}");
        }
        assert_eq!(pause(&HeaderMap::new()), None);
    }

    #[test]
    fn places() {
        assert_eq!(place("https://user:secret@sms.example.com/v1?password=x").unwrap(), "sms.example.com");
        assert_eq!(place("http://127.0.0.1:4010").unwrap(), "127.0.0.1:4010");
        assert!(place("ftp://sms.example.com").is_err() && place("sms.example.com").is_err());
    }
}
