//! What is answered while a node waits for its database at a start: that it lives, and that it cannot do anything yet.

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::health::fresh;
use super::problem::Problem;
use super::{Limits, connection};

/// Why nothing is done yet.
const AWAY: &str = "the database is away: this node waits until it is there";

/// Answers until `stop` is raised: `/healthz` that the process lives, all else 503 with a time to ask again.
pub async fn answer(listener: TcpListener, stop: watch::Receiver<bool>) {
    let routes = Router::new()
        .route("/healthz", get(async || fresh(StatusCode::OK, json!({ "healthy": true, "warnings": [AWAY] }))))
        .route("/readyz", get(async || fresh(StatusCode::SERVICE_UNAVAILABLE, json!({ "ready": false, "reasons": [AWAY] }))))
        .fallback(async || Problem::away().into_response());
    connection::serve(listener, routes, Limits::default(), stop).await;
}
