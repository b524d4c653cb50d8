//! What is done. The ledger names the token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestPartsExt};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answers::opened;
use super::query::Query;
use super::{answer, who};
use crate::access::Token;
use crate::contact::Address;
use crate::desk::remind::{self, Line};
use crate::desk::resend::{self, Answer, resend};
use crate::guard::Verdict;
use crate::known::resend::Resent;
use crate::outbox::Act;
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
    serde_json::from_slice(bytes).map_err(|e| {
        let detail = format!("the body is not what is described, at line {}, column {}", e.line(), e.column());
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((key, act)): Path<(String, String)>,
    RawQuery(text): RawQuery,
    token: Extension<Token>,
) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    let act =
        Act::from_word(&act).ok_or_else(|| Problem::not_found("expected retry, hold, release, cancel, cancel_told, restore or resend"))?;
    let notice = opened(&shared, &key).await?.entry.notice.key;
    if !shared.acts(who(&token), notice, act).await? {
        return Err(Problem::new(StatusCode::CONFLICT, "it is in no state for that"));
    }
    Ok(answer(StatusCode::OK, &opened(&shared, &key).await?.shown))
}

/// How it is handed over again.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    /// To this e-mail address or telephone number, this once; null: to its own.
    #[serde(default)]
    #[schemars(length(max = 254))]
    to: Option<String>,
}

/// What was accepted or rejected, once more: the new notice.
pub(super) async fn again(
    State(shared): State<Arc<Shared>>,
    Path(key): Path<String>,
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
    let wish = resend::Wish { keys: vec![notice], to, who: Some(who(&token)) };
    let answers = to_the_end(async move { resend(&of.office.desk, &wish, now).await }).await??;
    match answers.first().map(|(_, answer)| *answer) {
        Some(Answer::Store(Resent::As(new))) => {
            shared.intake.wake();
            Ok(answer(StatusCode::OK, &opened(&shared, &new.to_string()).await?.shown))
        }
        refused => Err(Problem::new(StatusCode::CONFLICT, refused.and_then(Answer::refusal).unwrap_or_default())),
    }
}

/// Who is reminded, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remind {
    /// ParticipationId; null: everybody in the session but its host.
    #[serde(default)]
    participation_id: Option<i64>,
    /// Also whom it reaches in quiet hours.
    #[serde(default)]
    in_quiet_hours: bool,
    /// Why, for the ledger.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    reason: Option<String>,
}

/// What became of each.
#[derive(Serialize, JsonSchema)]
pub(super) struct Reminded {
    participants: Vec<Line>,
}

pub(super) async fn remind(Path(session): Path<String>, asked: Asked<Remind>) -> Result<Response, Problem> {
    let none = || Problem::not_found("the store knows no such session or participant");
    let session: i64 = session.parse().map_err(|_| none())?;
    let Asked { shared, who, now, body: Remind { participation_id, in_quiet_hours, reason } } = asked;
    let wish = remind::Wish {
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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    /// What waits of this source; null: of every source.
    source: Option<String>,
}

/// What was let pass.
#[derive(Serialize, JsonSchema)]
pub(super) struct Accepted {
    /// Sessions.
    accepted: usize,
}

/// What was rejected.
#[derive(Serialize, JsonSchema)]
pub(super) struct Rejected {
    /// Sessions.
    rejected: usize,
}

pub(super) async fn accept(asked: Asked<Accept>) -> Result<Response, Problem> {
    let accepted = decide(asked, Verdict::Accept).await?;
    Ok(answer(StatusCode::OK, &Accepted { accepted }))
}

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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suppress {
    /// An e-mail address, or a telephone number.
    #[schemars(length(min = 1, max = 254))]
    address: String,
    /// Why.
    kind: Suppression,
}

/// How it stands on the list.
#[derive(Serialize, JsonSchema)]
pub(super) struct Suppressed {
    /// Its key in the list.
    key: String,
}

pub(super) async fn suppress(asked: Asked<Suppress>) -> Result<Response, Problem> {
    let Asked { shared, who, now, body: Suppress { address, kind } } = asked;
    let region = &shared.office.desk.policy.region;
    let address =
        Address::possible(&address, region).map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("address: {why}")))?;
    let key = suppression_key(&address);
    // Masked: a digest of a number is tried in a second. What the list's own row names it by is keyed.
    let (outbox, detail) = (Arc::clone(&shared.office.desk.outbox), address.to_string());
    let added = to_the_end(async move {
        outbox.note(now, "suppress", &format!("{detail}, by {who}")).await?;
        outbox.suppress(now, &address, kind).await
    });
    let status = if added.await?? { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(status, &Suppressed { key }))
}

pub(super) async fn unsuppress(
    State(shared): State<Arc<Shared>>,
    Path(key): Path<String>,
    RawQuery(text): RawQuery,
    token: Extension<Token>,
) -> Result<Response, Problem> {
    Query::parse(text, &[])?;
    let none = || Problem::not_found("it is not on the list");
    let (outbox, who, now) = (Arc::clone(&shared.office.desk.outbox), who(&token), shared.office.clock.now());
    let removed = to_the_end(async move {
        let listed = outbox.suppressions().await?.contains_key(&key);
        if listed {
            outbox.note(now, "unsuppress", &format!("by {who}")).await?;
        }
        Ok::<bool, crate::outbox::StoreError>(listed && outbox.unsuppress(now, &key).await?)
    });
    if removed.await?? { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(none()) }
}
