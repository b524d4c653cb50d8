//! What is done. The ledger names the token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestPartsExt};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::answers::{OfNotice, OfSession, opened};
use super::query::Query;
use super::{answer, who};
use crate::access::Token;
use crate::contact::Address;
use crate::desk::notices::Shown;
use crate::desk::remind::{self, Line};
use crate::desk::resend::{self, ResendResult, resend};
use crate::guard::Verdict;
use crate::known::resend::Resent;
use crate::outbox::Action;
use crate::session::{ParticipationId, SessionId};
use crate::suppression::{Suppression, suppression_key};
use crate::web::problem::Problem;
use crate::web::{Shared, request, to_the_end};

/// Largest body, in bytes.
const BODY_MAX: usize = 8 << 10;

/// What a program asks for: who it is, and what its body holds. It has no query.
pub(super) struct Asked<T> {
    shared: Arc<Shared>,
    /// What the ledger calls it.
    who: String,
    now: DateTime<Utc>,
    body: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let token: Extension<Token> = parts.extract().await.map_err(|_| Problem::new(StatusCode::UNAUTHORIZED, "expected a token"))?;
        Query::parse(parts.uri.query().map(str::to_owned), &[])?;
        let bytes = request::json(&parts.headers, body, BODY_MAX, shared.settings.limits.body).await?;
        Ok(Self { shared: Arc::clone(shared), who: who(&token), now: shared.office.clock.now(), body: parsed(&bytes)? })
    }
}

/// Its message could repeat what stands there: only the place is told.
fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A list would be taken for the fields in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the body is a list; expected an object, as it is described"));
    }
    serde_json::from_slice(bytes).map_err(|e| {
        let detail = format!("the body is not what is described, at line {}, column {}", e.line(), e.column());
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

/// In an address: what is done with which notice.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfAct {
    #[param(pattern = "^[0-9a-f]{32}$")]
    key: String,
    #[param(inline, value_type = ActWord)]
    act: String,
}

/// The words that are taken there.
enum ActWord {}

impl PartialSchema for ActWord {
    fn schema() -> RefOr<Schema> {
        let words = ["retry", "hold", "release", "cancel", "cancel_told", "restore", "resend"];
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
    }
}

impl ToSchema for ActWord {}

/// Retries, holds, releases, cancels, restores or resends a notice.
#[utoipa::path(
    post,
    path = "/api/v1/notices/{key}/{act}",
    operation_id = "actOnNotice",
    params(OfAct),
    responses(
        (status = 200, description = "Done.", body = Shown),
        (status = 404, description = "There is no such notice."),
        (status = 409, description = "It is in no state for that."),
    )
)]
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path(OfAct { key, act }): Path<OfAct>,
    RawQuery(text): RawQuery,
    token: Extension<Token>,
) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    let act = Action::from_word(&act)
        .ok_or_else(|| Problem::not_found("expected retry, hold, release, cancel, cancel_told, restore or resend"))?;
    let notice = opened(&shared, &key).await?.entry.notice.key;
    if !shared.acts(who(&token), notice, act).await? {
        return Err(Problem::new(StatusCode::CONFLICT, "it is in no state for that"));
    }
    Ok(answer(StatusCode::OK, &opened(&shared, &key).await?.shown))
}

/// How it is handed over again.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    /// To this e-mail address or telephone number, this once; null: to its own.
    #[serde(default)]
    #[schema(max_length = 254)]
    to: Option<String>,
}

/// Hands over again what was accepted or rejected, as a new notice; also to another address of its channel, this once.
#[utoipa::path(
    post,
    path = "/api/v1/notices/{key}/resend",
    operation_id = "resendNotice",
    params(OfNotice),
    request_body = Again,
    responses(
        (status = 200, description = "Done.", body = Shown),
        (status = 404, description = "There is no such notice."),
        (status = 409, description = "Only what was accepted or rejected, and is of use, is handed over again."),
    )
)]
pub(super) async fn again(
    State(shared): State<Arc<Shared>>,
    Path(OfNotice { key }): Path<OfNotice>,
    RawQuery(text): RawQuery,
    token: Extension<Token>,
    (headers, body): (HeaderMap, Body),
) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    // It had no body once.
    let bytes = request::json_if_any(&headers, body, BODY_MAX, shared.settings.limits.body).await?;
    let wanted = if bytes.is_empty() { None } else { parsed::<Option<Again>>(&bytes)? };
    let to = wanted.unwrap_or_default().to.map(|to| Address::parse(&to, &shared.office.desk.policy.region)).transpose();
    let to = to.map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("to: {why}")))?;
    let notice = opened(&shared, &key).await?.entry.notice.key;
    let (of, now) = (Arc::clone(&shared), shared.office.clock.now());
    let wish = resend::ResendRequest { keys: vec![notice], to, who: Some(who(&token)) };
    let answers = to_the_end(async move { resend(&of.office.desk, &wish, now).await }).await??;
    match answers.first().map(|(_, answer)| *answer) {
        Some(ResendResult::Store(Resent::As(new))) => {
            shared.intake.wake();
            Ok(answer(StatusCode::OK, &opened(&shared, &new.to_string()).await?.shown))
        }
        refused => Err(Problem::new(StatusCode::CONFLICT, refused.and_then(ResendResult::refusal).unwrap_or_default())),
    }
}

/// Who is reminded, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remind {
    /// ParticipationId; null: everybody in the session but its host.
    #[serde(default)]
    participation_id: Option<i64>,
    /// Also whom it reaches in quiet hours.
    #[serde(default)]
    #[schema(default = false)]
    in_quiet_hours: bool,
    /// Why, for the ledger.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// What became of each.
#[derive(Serialize, ToSchema)]
pub(super) struct Reminded {
    participants: Vec<Line>,
}

/// Reminds the participants of a session now, with their code; or one of them.
#[utoipa::path(
    post,
    path = "/api/v1/sessions/{session}/remind",
    operation_id = "remind",
    params(OfSession),
    request_body = Remind,
    responses(
        (status = 200, description = "Done.", body = Reminded),
        (status = 404, description = "The store knows no such session or participant."),
        (status = 409, description = "Nobody is reminded: they decided against it, it is on its way, it is in quiet hours where they are, or the like."),
    )
)]
pub(super) async fn remind(Path(OfSession { session }): Path<OfSession>, asked: Asked<Remind>) -> Result<Response, Problem> {
    let none = || Problem::not_found("the store knows no such session or participant");
    let session: i64 = session.parse().map_err(|_| none())?;
    let Asked { shared, who, now, body: Remind { participation_id, in_quiet_hours, reason } } = asked;
    let wish = remind::RemindRequest {
        session: SessionId(session),
        participation: participation_id.map(ParticipationId),
        at_night: in_quiet_hours,
        who: Some(who),
        why: reason.unwrap_or_default(),
    };
    let of = Arc::clone(&shared);
    let answers = to_the_end(async move { remind::remind(&of.office.desk, &wish, now).await }).await??;
    if answers.is_empty() {
        return Err(none());
    }
    if answers.iter().all(|one| one.result.is_err()) {
        let why: Vec<String> = answers.iter().filter_map(|one| Line::of(session, one).detail).collect();
        return Err(Problem::new(StatusCode::CONFLICT, why.join("; ")));
    }
    shared.intake.wake();
    Ok(answer(StatusCode::OK, &Reminded { participants: answers.iter().map(|one| Line::of(session, one)).collect() }))
}

/// What is decided about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    /// What waits of this source; null: of every source.
    source: Option<String>,
}

/// What was let pass.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Sessions.
    accepted: usize,
}

/// What was rejected.
#[derive(Serialize, ToSchema)]
pub(super) struct Rejected {
    /// Sessions.
    rejected: usize,
}

/// Lets pass what waits: the next walk applies it.
#[utoipa::path(
    post,
    path = "/api/v1/guard/accept",
    operation_id = "acceptGuard",
    request_body = Accept,
    responses(
        (status = 200, description = "Done.", body = Accepted),
        (status = 404, description = "There is no such source."),
        (status = 409, description = "Nothing waits."),
    )
)]
pub(super) async fn accept(asked: Asked<Accept>) -> Result<Response, Problem> {
    let accepted = decide(asked, Verdict::Accept).await?;
    Ok(answer(StatusCode::OK, &Accepted { accepted }))
}

/// Rejects what waits: what was before is in force until the source says something else.
#[utoipa::path(
    post,
    path = "/api/v1/guard/reject",
    operation_id = "rejectGuard",
    request_body = Accept,
    responses(
        (status = 200, description = "Done.", body = Rejected),
        (status = 404, description = "There is no such source."),
        (status = 409, description = "Nothing waits that can be rejected."),
    )
)]
pub(super) async fn reject(asked: Asked<Accept>) -> Result<Response, Problem> {
    let rejected = decide(asked, Verdict::Reject).await?;
    Ok(answer(StatusCode::OK, &Rejected { rejected }))
}

async fn decide(asked: Asked<Accept>, verdict: Verdict) -> Result<usize, Problem> {
    let Asked { shared, who, now, body: Accept { source } } = asked;
    if source.as_ref().is_some_and(|named| !shared.office.desk.sources.contains(named)) {
        return Err(Problem::not_found("there is no such source"));
    }
    let outbox = Arc::clone(&shared.office.desk.outbox);
    let decided = to_the_end(async move {
        // What is not there is not noted as decided.
        if !outbox.guards().await?.iter().any(|g| source.as_ref().is_none_or(|named| *named == g.source)) {
            return Ok(0);
        }
        outbox.decide_guard(verdict, Some(&who), source.as_deref(), now).await
    });
    let decided = decided.await??;
    if decided == 0 {
        return Err(Problem::new(StatusCode::CONFLICT, "nothing waits"));
    }
    shared.intake.ask();
    Ok(decided)
}

/// An address that shall get no messages.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suppress {
    /// An e-mail address, or a telephone number.
    #[schema(min_length = 1, max_length = 254)]
    address: String,
    /// Why.
    kind: Suppression,
}

/// How it stands on the list.
#[derive(Serialize, ToSchema)]
pub(super) struct Suppressed {
    /// Its key in the list.
    key: String,
}

/// Puts an address on the list.
#[utoipa::path(
    post,
    path = "/api/v1/suppressions",
    operation_id = "suppress",
    request_body = Suppress,
    responses(
        (status = 200, description = "Done.", body = Suppressed),
        (status = 201, description = "Added.", body = Suppressed),
    )
)]
pub(super) async fn suppress(asked: Asked<Suppress>) -> Result<Response, Problem> {
    let Asked { shared, who, now, body: Suppress { address, kind } } = asked;
    let region = &shared.office.desk.policy.region;
    let address =
        Address::possible(&address, region).map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("address: {why}")))?;
    let key = suppression_key(&address);
    // Masked: a digest of a number is tried in a second. What the list's own row names it by is keyed.
    let (outbox, deed) = (Arc::clone(&shared.office.desk.outbox), format!("{address}, by {who}"));
    let added = to_the_end(async move { outbox.suppress(now, &address, kind, Some(&deed)).await });
    let status = if added.await?? { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(status, &Suppressed { key }))
}

/// In an address: whoever is on the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfSuppression {
    #[param(pattern = "^[0-9a-f]{32}$")]
    suppression: String,
}

/// Takes an address off the list.
#[utoipa::path(
    delete,
    path = "/api/v1/suppressions/{suppression}",
    operation_id = "unsuppress",
    params(OfSuppression),
    responses(
        (status = 204, description = "Done."),
        (status = 404, description = "It is not on the list."),
    )
)]
pub(super) async fn unsuppress(
    State(shared): State<Arc<Shared>>,
    Path(OfSuppression { suppression: key }): Path<OfSuppression>,
    RawQuery(text): RawQuery,
    token: Extension<Token>,
) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    let none = || Problem::not_found("it is not on the list");
    let (outbox, who, now) = (Arc::clone(&shared.office.desk.outbox), who(&token), shared.office.clock.now());
    let removed = to_the_end(async move { outbox.unsuppress(now, &key, Some(&format!("by {who}"))).await });
    if removed.await?? { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(none()) }
}
