//! A demonstration's own pages: its link logs a visitor in, and its buttons move the clock, break a server and spoil a record, so that one sees what
//! happens then. There are none of them without a demonstration.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::{Trouble, actions};
use crate::web::auth::Form;
use crate::web::cookie::set_visit;
use crate::web::{Shared, Stage, page};

const NOTHING: Trouble = Trouble::NotFound("There is nothing at this address.");

fn stage(shared: &Shared) -> Result<&Arc<dyn Stage>, Trouble> {
    shared.office.stage.as_ref().ok_or(NOTHING)
}

/// `/demo?key=...`: the link that the command prints.
pub(super) async fn enter(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let given = Form::parse(query.unwrap_or_default().as_bytes());
    let right: bool = stage(&shared)?.key().as_bytes().ct_eq(given.get("key").as_bytes()).into();
    if right { let_in(&shared, &headers, &actions::back(&given, "/")) } else { Err(NOTHING) }
}

/// `/demo/{act}`
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path(act): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let stage = Arc::clone(stage(&shared)?);
    let (form, _) = actions::from_operator(&shared, &headers, body).await?;
    let done = tokio::task::spawn_blocking(move || stage.act(&act)).await.unwrap_or(false);
    if !done {
        return Err(Trouble::Conflict("The demonstration could not do that."));
    }
    shared.intake.ask();
    shared.intake.wake();
    // A clock that is moved by a day ends every login.
    let_in(&shared, &headers, &actions::back(&form, "/"))
}

fn let_in(shared: &Shared, headers: &HeaderMap, to: &str) -> Result<Response, Trouble> {
    let id = shared.auth()?.let_in(stage(shared)?.user(), shared.office.clock.now()).ok_or(NOTHING)?;
    let mut response = page::see(to);
    response.headers_mut().append(SET_COOKIE, set_visit(headers, &id));
    Ok(response)
}
