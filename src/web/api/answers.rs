//! What is asked.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer;
use super::query::{self, Query};
use crate::desk::message::MessageView;
use crate::desk::notices::{Line, OpenedNotice, Shown, open};
use crate::desk::status::{Facts, status as ask_status};
use crate::desk::unreachable::Row;
use crate::desk::why::{Person, why};
use crate::desk::{agenda, message};
use crate::guard::GuardRow;
use crate::notice::NoticeKey;
use crate::outbox::Filter;
use crate::session::{ParticipationId, SessionId};
use crate::suppression::SuppressedAddress;
use crate::web::Shared;
use crate::web::problem::Problem;

/// Sessions that are looked at for one answer.
const SESSIONS_MAX: usize = 2000;

/// A page of notices.
#[derive(Serialize, ToSchema)]
pub(super) struct Notices {
    notices: Vec<Line>,
    /// The cursor of the next page; null: this is the last.
    next: Option<String>,
}

/// Notices, in due order.
#[utoipa::path(
    get,
    path = "/api/v1/notices",
    operation_id = "listNotices",
    params(query::OfNotices),
    responses((status = 200, description = "Done.", body = Notices))
)]
pub(super) async fn notices(State(shared): State<Arc<Shared>>, RawQuery(text): RawQuery) -> Result<Response, Problem> {
    let query = Query::parse(text, query::OfNotices::KEYS)?;
    let limit = query.limit()?;
    let filter = Filter {
        session: query.id("session")?.map(SessionId),
        participation: query.id("participation")?.map(ParticipationId),
        states: query.states()?,
        occasion: query.occasion()?,
        after: query.place()?,
        // One more than is shown tells whether there is another page.
        limit: Some(limit + 1),
        ..Filter::default()
    };
    let mut entries = shared.office.desk.outbox.list(&filter).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let last = entries.last().filter(|_| more).map(|e| query::cursor(e.notice.due_at, e.notice.key));
    Ok(answer(StatusCode::OK, &Notices { notices: entries.iter().map(Line::from).collect(), next: last }))
}

/// In an address: a notice.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfNotice {
    #[param(pattern = "^[0-9a-f]{32}$")]
    pub(super) key: String,
}

/// In an address: a session. What is no number is none that the store knows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfSession {
    #[param(value_type = i64)]
    pub(super) session: String,
}

/// The notice of an address.
pub(super) async fn opened(shared: &Shared, key: &str) -> Result<OpenedNotice, Problem> {
    let none = || Problem::not_found("there is no such notice");
    let key: NoticeKey = key.parse().map_err(|_| none())?;
    open(&shared.office.desk, key).await?.ok_or_else(none)
}

/// One notice, with its attempts.
#[utoipa::path(
    get,
    path = "/api/v1/notices/{key}",
    operation_id = "showNotice",
    params(OfNotice),
    responses(
        (status = 200, description = "Done.", body = Shown),
        (status = 404, description = "There is no such notice."),
    )
)]
pub(super) async fn notice(
    State(shared): State<Arc<Shared>>,
    Path(OfNotice { key }): Path<OfNotice>,
    RawQuery(text): RawQuery,
) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    Ok(answer(StatusCode::OK, &opened(&shared, &key).await?.shown))
}

/// The message as it would be made now; code and passkey masked.
#[utoipa::path(
    get,
    path = "/api/v1/notices/{key}/preview",
    operation_id = "previewNotice",
    params(OfNotice),
    responses(
        (status = 200, description = "Done.", body = MessageView),
        (status = 404, description = "There is no such notice."),
        (status = 409, description = "It would not go now, or it went already."),
    )
)]
pub(super) async fn preview(
    State(shared): State<Arc<Shared>>,
    Path(OfNotice { key }): Path<OfNotice>,
    RawQuery(text): RawQuery,
) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    let opened = opened(&shared, &key).await?;
    let conflict = |why: &str| Problem::new(StatusCode::CONFLICT, why);
    if !opened.entry.state.pending() {
        return Err(conflict("it is not to be sent any more: there is nothing to preview"));
    }
    let office = &shared.office;
    let sees = if shared.settings.show_names.to(false) { message::Sees::Host } else { message::Sees::Nobody };
    let letter = message::planned(&office.desk, &office.renderer, &opened.entry, sees, office.clock.now()).await?;
    letter.map(|letter| answer(StatusCode::OK, &letter)).map_err(|why| conflict(&why))
}

/// The participants of a session.
#[derive(Serialize, ToSchema)]
pub(super) struct Participants {
    participants: Vec<Person>,
}

/// Each participant of a session: what is looked at, what is decided, what was told, and the history.
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{session}/participants",
    operation_id = "explainSession",
    params(OfSession, query::OfParticipants),
    responses(
        (status = 200, description = "Done.", body = Participants),
        (status = 404, description = "The store knows no such session or participant."),
    )
)]
pub(super) async fn participants(
    State(shared): State<Arc<Shared>>,
    Path(OfSession { session }): Path<OfSession>,
    RawQuery(text): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(text, query::OfParticipants::KEYS)?;
    let none = || Problem::not_found("the store knows no such session or participant");
    let session = SessionId(session.parse().map_err(|_| none())?);
    let participation = query.id("participation")?.map(ParticipationId);
    let participants = why(&shared.office.desk, session, participation, shared.office.clock.now()).await?;
    if participants.is_empty() {
        return Err(none());
    }
    Ok(answer(StatusCode::OK, &Participants { participants }))
}

/// Who will not be reached.
#[derive(Serialize, ToSchema)]
pub(super) struct Unreachable {
    unreachable: Vec<Row>,
}

/// Who will not be reached, of the sessions of the next days.
#[utoipa::path(
    get,
    path = "/api/v1/unreachable",
    operation_id = "listUnreachable",
    params(query::OfUnreachable),
    responses((status = 200, description = "Done.", body = Unreachable))
)]
pub(super) async fn unreachable(State(shared): State<Arc<Shared>>, RawQuery(text): RawQuery) -> Result<Response, Problem> {
    let query = Query::parse(text, query::OfUnreachable::KEYS)?;
    let office = &shared.office;
    let now = office.clock.now();
    let days = TimeDelta::days(i64::try_from(query.days()?).unwrap_or(1));
    let unreachable = agenda::unreachable(&office.desk, now..now + days, SESSIONS_MAX, now).await?;
    Ok(answer(StatusCode::OK, &Unreachable { unreachable }))
}

/// What the guard holds.
#[derive(Serialize, ToSchema)]
pub(super) struct Guard {
    waiting: Vec<GuardRow>,
}

/// What waits because too much changed at once.
#[utoipa::path(
    get,
    path = "/api/v1/guard",
    operation_id = "showGuard",
    responses((status = 200, description = "Done.", body = Guard))
)]
pub(super) async fn guard(State(shared): State<Arc<Shared>>, RawQuery(text): RawQuery) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    Ok(answer(StatusCode::OK, &Guard { waiting: shared.office.desk.outbox.guards().await? }))
}

/// A page of the suppression list.
#[derive(Serialize, ToSchema)]
pub(super) struct Suppressions {
    suppressions: Vec<SuppressedAddress>,
    /// The cursor of the next page; null: this is the last.
    next: Option<String>,
}

/// Addresses that get no messages, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/suppressions",
    operation_id = "listSuppressions",
    params(query::OfSuppressions),
    responses((status = 200, description = "Done.", body = Suppressions))
)]
pub(super) async fn suppressions(State(shared): State<Arc<Shared>>, RawQuery(text): RawQuery) -> Result<Response, Problem> {
    let query = Query::parse(text, query::OfSuppressions::KEYS)?;
    let limit = query.limit()?;
    let mut all = shared.office.desk.outbox.suppressed().await?;
    if let Some((since, key)) = query.place()? {
        // The newest first, then by key; whoever was taken off the list since is not missed.
        let behind = |s: &SuppressedAddress| {
            (Reverse(s.since.timestamp_millis()), s.key.as_str()) > (Reverse(since.timestamp_millis()), &key.to_string())
        };
        all.retain(behind);
    }
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|s| query::cursor(s.since, &s.key));
    Ok(answer(StatusCode::OK, &Suppressions { suppressions: all, next }))
}

/// Counts, times, and what needs attention.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    operation_id = "status",
    responses((status = 200, description = "Done.", body = Facts))
)]
pub(super) async fn status(State(shared): State<Arc<Shared>>, RawQuery(text): RawQuery) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    Ok(answer(StatusCode::OK, &ask_status(&shared.office.desk, shared.office.clock.now()).await?))
}
