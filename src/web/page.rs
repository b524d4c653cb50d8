//! Pages: the templates of `templates/web`, compiled into the program, and the headers that keep a browser to them.
//!
//! A template that names what its page has not does not build. Every value in it is escaped. No page has a script, or a style but the one style
//! sheet; none is kept by a browser or a proxy, sent as a referrer, or shown inside another site.

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, REFRESH, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

use super::problem::{AGAIN_AFTER, Problem};
use crate::desk::Unanswered;
use crate::outbox::StoreError;

pub(super) const STYLE: &str = include_str!("../../templates/web/punctual.css");

/// What a page may load, and who may show it: itself. A message is shown in a frame of its own.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
/// A message in its frame: its own styles and its logo, and nothing else; not even links lead anywhere.
const MESSAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox";

/// The headers of everything that staff see.
fn guarded(mut response: Response, policy: &'static str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    if let Ok(page) = page.render() {
        return guarded((status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response(), POLICY);
    }
    // Its message can hold values: it is not told.
    tracing::error!("a page could not be made");
    guarded((StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.").into_response(), POLICY)
}

/// What is not a page, for staff alone as pages are.
pub(super) fn guard(response: Response) -> Response {
    guarded(response, POLICY)
}

/// The HTML of a message, for its frame.
pub(super) fn message(html: String) -> Response {
    guarded(([(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(), MESSAGE_POLICY)
}

/// The style sheet. It holds nothing of anybody, and may be kept.
pub(super) async fn style() -> Response {
    guarded(([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "max-age=300")], STYLE).into_response(), POLICY)
}

/// On to another page, by GET.
pub(super) fn see(address: &str) -> Response {
    let address = HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("/"));
    guarded((StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response(), POLICY)
}

/// Why a page is not shown.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody is logged in.
    LogIn,
    /// Not for them, or not like this.
    Forbidden(&'static str),
    NotFound(&'static str),
    /// It cannot be done now.
    Conflict(&'static str),
    Request(Problem),
    Store(StoreError),
    /// The database is away.
    Away,
    /// A record of it cannot be read.
    Record(String),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Request(problem)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unanswered> for Trouble {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Store(error) => Self::Store(error),
            record @ Unanswered::Record(_) => Self::Record(record.to_string()),
        }
    }
}

/// What the page about a trouble says.
#[derive(Template)]
#[template(path = "web/problem.html")]
struct ProblemPage {
    title: &'static str,
    text: String,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::LogIn => return see("/login"),
            Self::Forbidden(text) => (StatusCode::FORBIDDEN, "This is not possible", text.to_owned()),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, "Nothing here", text.to_owned()),
            Self::Conflict(text) => (StatusCode::CONFLICT, "Nothing was changed", text.to_owned()),
            Self::Request(problem) => (problem.code(), "The request could not be read", problem.detail().to_owned()),
            Self::Store(error) => {
                tracing::error!(%error, "a page could not be answered");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The store failed",
                    "Tell your administrator: nothing can be read or sent now.".to_owned(),
                )
            }
            Self::Away => {
                let text = "Its server does not answer. Nothing was changed by what you did last. Try again in a minute.".to_owned();
                let page = ProblemPage { title: "The database is away", text };
                let mut response = render(StatusCode::SERVICE_UNAVAILABLE, &page);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(AGAIN_AFTER));
                return response;
            }
            Self::Record(text) => (StatusCode::INTERNAL_SERVER_ERROR, "A record cannot be read", text),
        };
        render(status, &ProblemPage { title, text })
    }
}

/// Asks the browser to load the page anew when what it reveals is to be hidden again, whether anybody touches it or not.
pub(super) fn hidden_at(mut response: Response, until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Response {
    if let Some(until) = until {
        let seconds = (until - now).num_seconds().max(0) + 1;
        response.headers_mut().insert(REFRESH, HeaderValue::from(seconds));
    }
    response
}

/// Too many attempts: when the next one may be.
pub(super) fn retry_after(mut response: Response, seconds: i64) -> Response {
    response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
    response
}
