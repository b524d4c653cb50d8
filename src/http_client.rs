//! Requests to others over HTTP: a client that does what it is told and no more, and what of its errors may be shown.

use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use reqwest::Client;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::outcome::redacted;
use crate::tls;

/// Longest pause that a gateway may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Shortest pause, so that "0 seconds" is no busy loop.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The pause when it asks for one and names no sensible time.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);
/// How long an idle connection is kept: less than the shortest time after which servers commonly close one (5 s).
const IDLE: Duration = Duration::from_secs(4);

/// A client that does what it is told and no more. `timeout` bounds one attempt, from connect to the last byte of the answer; `ca_file` holds
/// PEM certificates that are trusted besides those of the host.
pub(crate) fn client(timeout: Duration, ca_file: Option<&Path>) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured((*tls::client_config(ca_file)?).clone())
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .referer(false)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        // Half of a short time-out, so that a connection that does not come about is not taken for an answer that does not.
        .connect_timeout(CONNECT.min(timeout / 2))
        .timeout(timeout)
        .build()
        .map_err(|e| format!("no HTTP client: {}", chain(&e)))
}

/// Retry-After (RFC 9110 10.2.3): seconds, or a date, which is counted from the answer's own Date. One second to an hour.
pub(crate) fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().unwrap_or_default().trim();
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    let until = || {
        let sent = date(headers.get(DATE)?.to_str().ok()?)?;
        (date(text)? - sent).to_std().ok()
    };
    Some(text.parse().map(Duration::from_secs).ok().or_else(until).unwrap_or(PAUSE).clamp(PAUSE_MIN, PAUSE_MAX))
}

/// An error and its causes, without addresses: a URL holds the number, and a password.
pub(crate) fn chain(e: &reqwest::Error) -> String {
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
pub(crate) fn place(url: &str) -> Result<String, String> {
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
            ("0", None, 1),
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
