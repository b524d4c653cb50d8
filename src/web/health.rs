//! `/healthz` and `/readyz`, for whoever watches.
//!
//! `/healthz`: the process answers, and so does a store of its own, within a second; a database that is away is waited for, and a restart would not bring it
//! back; `warnings` names what is at fault and keeps nothing from going out. `/readyz`: besides, what is due can go out. What only waits for a
//! person (held, in doubt, guarded, quarantined) is not counted: the program does what it should, and a restart would not help. `/metrics` and
//! `punctual status` tell of that.
//!
//! `/healthz` waits behind nobody: however many ask for figures, the store has a reader left for it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::prometheus_text;
use serde_json::json;

use super::auth::Peer;
use super::problem::{AGAIN_AFTER, Problem};
use super::{Shared, guard};

/// Nothing may show an old answer. Whoever is told "not now" is told when to ask again.
pub(super) fn fresh(status: StatusCode, body: serde_json::Value) -> Response {
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body.to_string()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_AFTER));
    }
    response
}

/// `/healthz`
pub(super) async fn alive(State(shared): State<Arc<Shared>>) -> Response {
    if shared.intake.lives().await {
        let mut says = json!({ "healthy": true });
        let warnings = shared.intake.warnings();
        if !warnings.is_empty() {
            says["warnings"] = json!(warnings);
        }
        fresh(StatusCode::OK, says)
    } else {
        fresh(StatusCode::SERVICE_UNAVAILABLE, json!({ "healthy": false, "reasons": ["the store does not answer within a second"] }))
    }
}

/// `/readyz`
pub(super) async fn ready(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    guard::inside(&shared, &headers, peer.map(|Extension(peer)| peer))?;
    let _turn = shared.figures.acquire().await;
    let reasons = shared.intake.unready().await;
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut says = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    let warnings = shared.intake.warnings();
    if !warnings.is_empty() {
        says["warnings"] = json!(warnings);
    }
    Ok(fresh(status, says))
}

/// `/metrics`
pub(super) async fn figures(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    guard::inside(&shared, &headers, peer.map(|Extension(peer)| peer))?;
    let _turn = shared.figures.acquire().await;
    let mut text = String::new();
    Ok(match shared.intake.metrics().await.map(|registry| prometheus_text::encode(&mut text, &registry)) {
        // Writing to a string cannot fail.
        Some(_) => ([(header::CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text).into_response(),
        None => fresh(StatusCode::SERVICE_UNAVAILABLE, json!({ "reasons": ["the store does not answer"] })),
    })
}
