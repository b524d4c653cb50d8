//! By which name a request may ask for us, and who may ask what needs no log-in.
//!
//! In: a request. Out: the same one, or a refusal. With `[server] public_url` nothing else than it, or a name of the machine itself, is answered: a
//! page of another site whose name leads here (DNS rebinding) reads nothing.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::auth::Peer;
use super::cookie::SCHEME;
use super::problem::Problem;
use super::request;
use crate::access::Scope;

/// What proxies add, beside all that begins with `x-forwarded-`.
const FORWARDED: [&str; 7] =
    ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "x-envoy-external-address"];

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("x-forwarded-") || FORWARDED.contains(&name.as_str()))
}

/// Refuses other names; and tells those behind it which scheme ours has.
pub(super) async fn by_our_name(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(SCHEME);
    let Some(url) = &shared.settings.public_url else { return next.run(request).await };
    let name = request::host(request.headers());
    let ours = url.host_str().is_some_and(|ours| ours.trim_matches(['[', ']']).eq_ignore_ascii_case(name));
    // Providers come by the address that they were told, and say a secret of it.
    let hook = request.uri().path().starts_with("/hooks/");
    if !ours && !hook && !request::is_this_machine(name) {
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "this server has another name").into_response();
    }
    let https = url.scheme() == "https";
    // Also by a name of the machine itself: some proxies ask by that.
    if !hook {
        request.headers_mut().insert(SCHEME, HeaderValue::from_static(if https { "https" } else { "http" }));
    }
    let mut response = next.run(request).await;
    if ours && https {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Figures are for the machine itself, asked directly and by a name of its own; else with a token that may read.
pub(super) fn inside(shared: &Shared, headers: &HeaderMap, peer: Option<Peer>) -> Result<(), Problem> {
    let here = peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback());
    let directly = !is_forwarded(headers) && request::is_this_machine(request::host(headers));
    if here && directly {
        return Ok(());
    }
    match &shared.auth {
        Some(auth) => auth.program(headers, Scope::Read).map(drop),
        None => {
            Err(Problem::new(StatusCode::FORBIDDEN, "this is told to the machine itself alone; expected a request from it, by no proxy"))
        }
    }
}
