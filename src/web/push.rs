//! `/api/v1/sources/{name}/sessions`: Session JSON that another system pushes. PUT a list, PUT one session, DELETE (cancel) one.
//!
//! A success says what came of it and which records are at fault, with the paths of the fields; it repeats nothing of them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::problem::Problem;
use super::{Shared, request, to_the_end};
use crate::access::Scope;
use crate::session::{Fault, SessionId};
use crate::source::json::BODY_MAX;
use crate::source::push::PushedBody;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    /// Sessions that the source lists now.
    pub sessions: usize,
    /// Of them: new, changed or planned again.
    pub planned: usize,
    /// Notices added.
    pub added: usize,
    /// Notices moved.
    pub moved: usize,
    /// Notices held, cancelled or ended otherwise.
    pub ended: usize,
    /// Sessions that wait for an operator: too much changed at once.
    pub guarded: usize,
    /// Pushed records that could not be used.
    pub faults: Vec<Fault>,
}

/// One session as the provider's API has it. Records are judged one by one: what is wrong with one is told, and the others are taken.
pub(super) enum Record {}

impl PartialSchema for Record {
    fn schema() -> RefOr<Schema> {
        let (number, object) = (ObjectBuilder::new().schema_type(Type::Integer), ObjectBuilder::new());
        let start = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("UTC, as 2014-04-16T15:00:00; null: right now."));
        let record = ObjectBuilder::new()
            .description(Some("A Session as the provider's API has it (V0 to V2); docs/push.md."))
            .property("SessionId", number)
            .property("ScheduleTs", start)
            .property("Participants", ArrayBuilder::new().items(object));
        ["SessionId", "ScheduleTs", "Participants"].into_iter().fold(record, ObjectBuilder::required).into()
    }
}

impl ToSchema for Record {}

/// In an address: a source.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfSource {
    #[param(min_length = 1)]
    name: String,
}

/// In an address: a source, and a session of it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfRecord {
    #[param(min_length = 1)]
    name: String,
    #[param(value_type = i64)]
    session: String,
}

/// The whole list of a source: who is on it no more, is absent.
#[utoipa::path(
    put,
    path = "/api/v1/sources/{name}/sessions",
    operation_id = "pushSessions",
    params(OfSource),
    request_body = Vec<Record>,
    responses(
        (status = 200, description = "Done.", body = Receipt),
        (status = 404, description = "No source of that name is pushed to, or the token is that of another one."),
        (status = 409, description = "There is no list yet to merge it into, or too much waits for an operator."),
    )
)]
pub(super) async fn whole(
    State(shared): State<Arc<Shared>>,
    Path(OfSource { name }): Path<OfSource>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(&shared, &name, &headers, async |shared| Ok(PushedBody::Whole(read(shared, &headers, body).await?))).await
}

/// One session: the others stay as they are.
#[utoipa::path(
    put,
    path = "/api/v1/sources/{name}/sessions/{session}",
    operation_id = "pushSession",
    params(OfRecord),
    request_body = Record,
    responses(
        (status = 200, description = "Done.", body = Receipt),
        (status = 404, description = "No source of that name is pushed to, or the token is that of another one."),
        (status = 409, description = "There is no list yet to merge it into, or too much waits for an operator."),
    )
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(OfRecord { name, session: id }): Path<OfRecord>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(&shared, &name, &headers, async |shared| Ok(PushedBody::One(session(&id)?, read(shared, &headers, body).await?))).await
}

/// Cancels a session.
#[utoipa::path(
    delete,
    path = "/api/v1/sources/{name}/sessions/{session}",
    operation_id = "cancelSession",
    params(OfRecord),
    responses(
        (status = 200, description = "Done.", body = Receipt),
        (status = 404, description = "No source of that name is pushed to, or the token is that of another one."),
        (status = 409, description = "There is no list yet to merge it into, or too much waits for an operator."),
    )
)]
pub(super) async fn cancel(
    State(shared): State<Arc<Shared>>,
    Path(OfRecord { name, session: id }): Path<OfRecord>,
    headers: HeaderMap,
) -> Response {
    answer(&shared, &name, &headers, async |_| Ok(PushedBody::Cancel(session(&id)?))).await
}

/// Who it is, then what it is, then what comes of it.
async fn answer(
    shared: &Arc<Shared>,
    name: &str,
    headers: &HeaderMap,
    offer: impl AsyncFnOnce(&Shared) -> Result<PushedBody, Problem>,
) -> Response {
    let taken = async {
        let source = source(shared, name, headers)?;
        let offer = offer(shared).await?;
        let intake = Arc::clone(&shared.intake);
        let taking = to_the_end(async move { intake.push(&source, offer).await });
        taking.await?.map_err(Problem::from)
    };
    match taken.await {
        Ok(receipt) => {
            let body = serde_json::to_string(&receipt).expect("numbers and texts");
            (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(problem) => {
            // The name is the caller's: it is only told when it is one of ours.
            let source = shared.settings.push.iter().find(|(ours, _)| ours == name).map_or("(none)", |(ours, _)| ours);
            tracing::warn!(source, status = problem.status(), "a push was refused");
            problem.into_response()
        }
    }
}

/// The source whose token it is, or any, for a token with the scope push. Without one of ours, nobody learns which sources there are.
fn source(shared: &Shared, name: &str, headers: &HeaderMap) -> Result<String, Problem> {
    let given = request::bearer(headers).ok_or_else(Problem::unauthorized)?;
    if let Some(auth) = &shared.auth
        && auth.program(headers, Scope::Push).is_ok()
    {
        let ours = shared.settings.push.iter().any(|(source, _)| source == name);
        return if ours { Ok(name.to_owned()) } else { Err(Problem::not_found("no source of that name is pushed to")) };
    }
    // All are compared, so that the time tells nothing of which one it is.
    let theirs: Vec<&String> = shared.settings.push.iter().filter(|(_, token)| request::is(token, given)).map(|(name, _)| name).collect();
    match theirs.first() {
        None => Err(Problem::unauthorized()),
        Some(source) if *source == name => Ok(name.to_owned()),
        Some(_) => Err(Problem::not_found("this token's source has another name")),
    }
}

fn session(id: &str) -> Result<SessionId, Problem> {
    id.parse().map(SessionId).map_err(|_| Problem::not_found("expected a SessionId at the end of the address"))
}

async fn read(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let _one_of_few = shared.bodies.acquire().await.expect("nobody closes it");
    request::json(headers, body, BODY_MAX, shared.settings.limits.body).await
}
