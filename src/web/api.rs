//! `/api/v1`: what programs ask and do, with a token of `punctual token add`.
//!
//! Each operation is described where it is answered (OpenAPI, `#[utoipa::path]`; [`describe`] adds what all have), and stands in the list of its
//! scope: [`readers`], [`writers`] or [`pushers`] route it, and [`routes()`] guards it. Answers are JSON, refusals problem details. Contacts are masked,
//! and no answer holds a code. What a program does stands in the ledger with its token's name.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::{Shared, push};
use crate::access::{Scope, Token};

mod actions;
mod answers;
mod describe;
mod query;

/// Where all of them are.
const ROOT: &str = "/api/v1";

type Routes = OpenApiRouter<Arc<Shared>>;

fn readers() -> Routes {
    Routes::default()
        .routes(routes!(answers::notices))
        .routes(routes!(answers::notice))
        .routes(routes!(answers::preview))
        .routes(routes!(answers::participants))
        .routes(routes!(answers::unreachable))
        .routes(routes!(answers::guard))
        .routes(routes!(answers::suppressions))
        .routes(routes!(answers::status))
}

fn writers() -> Routes {
    Routes::default()
        .routes(routes!(actions::act))
        .routes(routes!(actions::again))
        .routes(routes!(actions::remind))
        .routes(routes!(actions::accept))
        .routes(routes!(actions::reject))
        .routes(routes!(actions::suppress))
        .routes(routes!(actions::unsuppress))
}

/// What is pushed. A source has a token of its own, too: these look themselves at who asks ([`push`]), and are there without a users file.
fn pushers() -> Routes {
    Routes::default().routes(routes!(push::whole)).routes(routes!(push::one, push::cancel))
}

pub(super) fn push_routes() -> Router<Arc<Shared>> {
    pushers().into()
}

/// What reads and writes, and the description of all.
pub(super) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let ((readers, reading), (writers, writing)) = (readers().split_for_parts(), writers().split_for_parts());
    let pushing = pushers().into_openapi();
    let description = json(&describe::document([(Scope::Push, pushing), (Scope::Read, reading), (Scope::Write, writing)]));
    let guard = |scope| from_fn_with_state((Arc::clone(shared), scope), with_token);
    Router::new()
        .route(&format!("{ROOT}/openapi.json"), get(async move || described(&description)))
        .merge(readers.route_layer(guard(Scope::Read)))
        .merge(writers.route_layer(guard(Scope::Write)))
        .layer(from_fn(unkept))
}

fn described(body: &str) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.to_owned()).into_response()
}

/// Only with a token of that scope; whose it is, is told on.
async fn with_token(State((shared, scope)): State<(Arc<Shared>, Scope)>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let token = shared.auth()?.program(request.headers(), scope)?;
    if request.method() == axum::http::Method::GET {
        let at = place(request.uri().path());
        shared.looked(&format!("token {}", token.name), &at, None).await?;
    }
    request.extensions_mut().insert(token);
    Ok(next.run(request).await)
}

/// What was read, for the ledger: of a session its number, of a notice that it was one, and nothing else that somebody can write.
fn place(path: &str) -> String {
    let parts: Vec<&str> = path.trim_start_matches(ROOT).trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["sessions", id, "participants"] if id.parse::<i64>().is_ok() => format!("/sessions/{id}/participants"),
        ["notices", _, "preview"] => "/notices/{key}/preview".to_owned(),
        ["notices", _] => "/notices/{key}".to_owned(),
        [list @ ("notices" | "unreachable" | "guard" | "suppressions" | "status")] => format!("/{list}"),
        _ => "the API".to_owned(),
    }
}

/// No answer is kept by a proxy, or taken for something else.
async fn unkept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What the ledger calls a program.
fn who(Extension(token): &Extension<Token>) -> String {
    format!("token {}", token.name)
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], json(body)).into_response()
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("words, numbers and texts")
}
