//! What all routes ask of a request: a token, and a body of JSON or a form within a limit and in time.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;

/// Whether that is the token, in a time that tells neither where they differ nor how long it is.
pub(super) fn is(token: &SecretString, given: &str) -> bool {
    Sha256::digest(token.expose_secret()).ct_eq(&Sha256::digest(given)).into()
}

/// The bearer token (RFC 6750 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A body of JSON, plain and in UTF-8, `limit` bytes at most, and all of it in that time.
pub(super) async fn json(headers: &HeaderMap, body: Body, limit: usize, time: Duration) -> Result<Vec<u8>, Problem> {
    is_plain(headers, "application/json")?;
    read(headers, body, limit, time).await
}

/// The same, where there may be none.
pub(super) async fn json_if_any(headers: &HeaderMap, body: Body, limit: usize, time: Duration) -> Result<Vec<u8>, Problem> {
    let bytes = read(headers, body, limit, time).await?;
    if !bytes.is_empty() {
        is_plain(headers, "application/json")?;
    }
    Ok(bytes)
}

/// A form, within the same limits.
pub(super) async fn form(headers: &HeaderMap, body: Body, limit: usize, time: Duration) -> Result<Vec<u8>, Problem> {
    is_plain(headers, "application/x-www-form-urlencoded")?;
    read(headers, body, limit, time).await
}

async fn read(headers: &HeaderMap, body: Body, limit: usize, time: Duration) -> Result<Vec<u8>, Problem> {
    let too_long = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {limit} bytes"));
    let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|length| length > limit as u64) {
        return Err(too_long());
    }
    match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(why)) if why.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {time:?}"))),
    }
}

fn is_plain(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_ascii_lowercase());
    let wrong = |detail: String| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    let said = text(CONTENT_TYPE).unwrap_or_default();
    let (kind, parameters) = said.split_once(';').unwrap_or((&said, ""));
    if kind.trim() != wanted {
        return wrong(format!("expected Content-Type: {wanted}"));
    }
    let charset = parameters.split(';').find_map(|p| p.trim().strip_prefix("charset="));
    if charset.is_some_and(|c| c.trim_matches('"') != "utf-8") {
        return wrong("expected charset=utf-8".to_owned());
    }
    if text(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return wrong("expected no Content-Encoding".to_owned());
    }
    Ok(())
}

/// The name by which a request asks for us, without the port; empty: none.
pub(super) fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    host.strip_prefix('[').and_then(|h| h.split(']').next()).unwrap_or_else(|| host.rsplit_once(':').map_or(host, |(n, _)| n))
}

/// A name of the machine itself.
pub(super) fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn tokens() {
        let token = SecretString::from("a-token-of-the-front-desk");
        assert!(is(&token, "a-token-of-the-front-desk"));
        for other in ["", "a-token-of-the-front-des", "a-token-of-the-front-deskk", "A-token-of-the-front-desk"] {
            assert!(!is(&token, other), "{other}");
        }
        for (header, want) in [("Bearer abc", Some("abc")), ("bearer abc", Some("abc")), ("Basic abc", None), ("abc", None)] {
            assert_eq!(bearer(&headers(&[("authorization", header)])), want, "{header}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn only_plain_json_is_read() {
        for (pairs, status) in [
            (vec![("content-type", "application/json")], 200),
            (vec![("content-type", "Application/JSON; charset=\"UTF-8\"")], 200),
            (vec![("content-type", "application/json"), ("content-encoding", "identity")], 200),
            (vec![], 415),
            (vec![("content-type", "text/plain")], 415),
            (vec![("content-type", "application/json-patch+json")], 415),
            (vec![("content-type", "application/json; charset=utf-16")], 415),
            (vec![("content-type", "application/json"), ("content-encoding", "gzip")], 415),
            (vec![("content-type", "application/json"), ("content-length", "11")], 413),
        ] {
            let got = json(&headers(&pairs), Body::from("[1, 2]"), 10, TIME).await.map_or_else(|p| p.status(), |_| 200);
            assert_eq!(got, status, "{pairs:?}");
        }
        let long = json(&headers(&[("content-type", "application/json")]), Body::from("[1, 2, 3, 4]"), 10, TIME).await;
        assert_eq!(long.unwrap_err().status(), 413, "also when nobody said so before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        struct Never;
        impl http_body::Body for Never {
            type Data = bytes::Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
                std::task::Poll::Pending
            }
        }
        let never = json(&headers(&[("content-type", "application/json")]), Body::new(Never), 10, TIME).await;
        assert_eq!(never.unwrap_err().status(), 408);
    }
}
