//! `kind = "http"`: SecureVideo's Session API, GET /session with Basic auth (identifier and secret); or GET /session/{UserId} for some hosts.
//!
//! A request is made once, with one deadline for all of it. Redirects are not followed, so the secret goes nowhere else; the body is bounded.
//! Where the server offers an ETag or a Last-Modified, what it gave last is asked for only if it changed (RFC 9110 13). An answer that says
//! how long to wait is obeyed, by whoever asks next too, if that one is told ([`Api::recall`]). With several hosts, one that fails makes the snapshot partial: what it would have listed counts as unchanged.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::json::{self, BODY_MAX};
use super::same::{self, Part, Print, SourceRead};
use crate::http_client;
use crate::outcome::redacted;
use crate::retry::channel_pause;
use crate::session::{Snapshot, SnapshotKind};

/// The provider's own address.
pub const URL: &str = "https://api.securevideo.com";

/// Nobody is left alone for longer, whatever was asked for.
const RESTS_MAX: TimeDelta = TimeDelta::hours(1);

/// Where to ask.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://api.securevideo.com`, or a stand-in.
    pub url: String,
    /// The API identifier.
    pub identifier: String,
    /// The API secret key.
    pub secret: SecretString,
    /// UserIds of the hosts whose sessions are asked for; empty: all of the company's.
    pub hosts: Vec<i64>,
    /// For one request, from connect to the last byte.
    pub timeout: Duration,
}

/// The API, and what it gave last.
#[derive(Debug)]
pub struct Api {
    settings: Settings,
    client: Client,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// By path: what makes the next request conditional, and the body that it stands for.
    last: HashMap<String, (HeaderMap, Vec<u8>)>,
    /// The server asked to be left alone until then.
    quiet_until: Option<Instant>,
    /// 429 and 503 in a row.
    refusals: u32,
}

/// An error as the API words it.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct HttpMessage {
    message: String,
    message_detail: String,
}

impl Api {
    /// Nothing is connected yet. The error says what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        http_client::place(&settings.url)?;
        Ok(Self { client: http_client::client(settings.timeout, None)?, settings, memory: Mutex::default() })
    }

    /// What the API lists now. The error says where, what was answered, and what was expected; it holds no secret.
    pub async fn read(&self) -> Result<Snapshot, String> {
        match self.read_since(None).await? {
            SourceRead::Now(snapshot, _) => Ok(snapshot),
            SourceRead::Same(_) => Err("nothing was read before".to_owned()),
        }
    }

    /// The same, unless it is what it was.
    pub async fn read_since(&self, last: Option<&Print>) -> Result<SourceRead, String> {
        let paths = if self.settings.hosts.is_empty() {
            vec!["/session".to_owned()]
        } else {
            self.settings.hosts.iter().map(|host| format!("/session/{host}")).collect()
        };
        let mut bodies = Vec::with_capacity(paths.len());
        for path in paths {
            let body = self.get(&path).await;
            bodies.push((path, body));
        }
        let part = |(path, body): &(String, Result<Vec<u8>, String>)| {
            body.as_ref().ok().map(|body| Part { name: path.clone(), mark: None, digest: Some(same::digest(body)) })
        };
        let print = bodies.iter().map(part).collect::<Option<Vec<Part>>>().map(|parts| Print { parts, folder: None });
        if print.is_some() && print.as_ref() == last {
            return Ok(SourceRead::Same(print.unwrap_or_default()));
        }
        let mut snapshot = if self.settings.hosts.is_empty() {
            let (path, body) = bodies.pop().ok_or("nothing was asked")?;
            parse(&body?, &path)?
        } else {
            of_hosts(bodies)?
        };
        snapshot.asked = match self.settings.hosts.as_slice() {
            [] => "all hosts".to_owned(),
            hosts => format!("hosts {}", hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
        };
        let print = print.filter(|_| snapshot.kind == SnapshotKind::Full);
        Ok(SourceRead::Now(snapshot, print))
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// UserIds of the hosts whose sessions are asked for; empty: all of the company's.
    pub fn hosts(&self) -> &[i64] {
        &self.settings.hosts
    }

    /// It asked to be left alone, and that time is not over: asking is an error.
    pub fn rests(&self) -> bool {
        self.memory().quiet_until.is_some_and(|until| Instant::now() < until)
    }

    /// Until when it is left alone, after so many refusals in a row.
    pub fn left_alone(&self, now: DateTime<Utc>) -> (Option<DateTime<Utc>>, u32) {
        let memory = self.memory();
        let left = memory.quiet_until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
        (left.and_then(|left| Some(now + TimeDelta::from_std(left).ok()?)), memory.refusals)
    }

    /// As an earlier process, or another one, met it last. A time that is too far ahead is of a clock that was wrong.
    pub fn recall(&self, (until, refusals): (Option<DateTime<Utc>>, u32), now: DateTime<Utc>) {
        let left = until.map(|until| until - now).filter(|left| *left <= RESTS_MAX).and_then(|left| left.to_std().ok());
        let mut memory = self.memory();
        memory.quiet_until = memory.quiet_until.max(left.map(|left| Instant::now() + left));
        memory.refusals = refusals;
    }

    /// For as long as it says; one that is busy and does not say so: longer each time.
    fn leave_alone(&self, status: StatusCode, said: Option<Duration>) {
        let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let mut memory = self.memory();
        if busy {
            memory.refusals = memory.refusals.saturating_add(1);
        }
        let pause = if busy && said.is_none() { channel_pause(memory.refusals, None, None).to_std().ok() } else { said };
        memory.quiet_until = pause.map(|pause| Instant::now() + pause);
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        let says = |why: String| format!("GET {path} of {}: {why}", http_client::place(&self.settings.url).unwrap_or_default());
        if self.rests() {
            return Err(says("it asked to be left alone for a while".to_owned()));
        }
        let (conditions, last) = self.memory().last.get(path).cloned().unwrap_or_default();
        let request = self
            .client
            .get(format!("{}{path}", self.settings.url.trim_end_matches('/')))
            .basic_auth(&self.settings.identifier, Some(self.settings.secret.expose_secret()))
            .headers(conditions);
        let response = request.send().await.map_err(|e| says(http_client::chain(&e)))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            self.memory().refusals = 0;
            return Ok(last);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = bounded(response).await.map_err(&says)?;
        // A list of which parts are missing takes nobody's session away.
        if !status.is_success() || status == StatusCode::PARTIAL_CONTENT {
            self.leave_alone(status, http_client::pause(&headers));
            return Err(says(refused(status, &body)));
        }
        self.memory().refusals = 0;
        let conditions = conditions_of(&headers);
        if conditions.is_empty() {
            self.memory().last.remove(path);
        } else {
            self.memory().last.insert(path.to_owned(), (conditions, body.clone()));
        }
        Ok(body)
    }
}

/// One that fails makes the snapshot partial. If none can be read there is none.
fn of_hosts(bodies: Vec<(String, Result<Vec<u8>, String>)>) -> Result<Snapshot, String> {
    let (mut whole, mut is_read) = (Snapshot::default(), false);
    for (path, body) in bodies {
        match body.and_then(|body| parse(&body, &path)) {
            Ok(part) => {
                is_read = true;
                whole.join(path, part);
            }
            Err(reason) => whole.lost(path, reason),
        }
    }
    if !is_read {
        return Err(whole.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    Ok(whole)
}

fn parse(body: &[u8], path: &str) -> Result<Snapshot, String> {
    json::parse(body).map_err(|refusal| format!("the answer to GET {path}: {refusal}"))
}

/// The body, as far as one is read at all.
async fn bounded(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| format!("the answer broke off: {}", http_client::chain(&e)))? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(format!("the answer is longer than {BODY_MAX} bytes (32 MiB)"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What makes the next request conditional.
fn conditions_of(headers: &HeaderMap) -> HeaderMap {
    let pairs = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
    pairs.into_iter().filter_map(|(given, asked)| Some((asked, HeaderValue::clone(headers.get(given)?)))).collect()
}

/// A status that is no success, with the API's own words.
fn refused(status: StatusCode, body: &[u8]) -> String {
    let HttpMessage { message, message_detail } = serde_json::from_slice(body).unwrap_or_default();
    let hint = match status.as_u16() {
        401 | 403 => "; check identifier and secret",
        300..=399 => "; redirects are not followed",
        _ => "",
    };
    let words = [message, message_detail].into_iter().filter(|w| !w.is_empty()).map(|w| redacted(&w)).collect::<Vec<_>>().join(" ");
    let words = if words.is_empty() { String::new() } else { format!(": {words}") };
    format!("answered {}{words}{hint}", status.as_u16())
}
