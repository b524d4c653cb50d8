//! `/api/v1`: what programs ask and do, with a token of `punctual token add`.
//!
//! Each operation stands once, in [`operations`] or [`pushes`]: it is routed, guarded by its scope, and described (OpenAPI, [`describe`]) from
//! there. Answers are JSON, refusals problem details. Contacts are masked, and no answer holds a code. What a program does stands in the ledger with its token's name.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Extension, Router};
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;

use super::problem::Problem;
use super::{Shared, push};
use crate::access::{Scope, Token};
use crate::desk::letter::Letter;
use crate::desk::notices::Shown;
use crate::desk::status::Facts;

mod answers;
mod deeds;
mod describe;
mod query;

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    scope: Scope,
    /// Its name, for generated clients.
    id: &'static str,
    summary: &'static str,
    /// Keys of its query.
    query: &'static [query::Key],
    /// What its body holds.
    body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Its statuses and answers; `None`: without a body.
    answers: &'static [(u16, Option<SchemaOf>)],
    /// Refusals beside those that every operation has.
    refusals: &'static [(u16, &'static str)],
    handler: fn() -> MethodRouter<Arc<Shared>>,
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const NO_NOTICE: (u16, &str) = (404, "There is no such notice.");

/// All of them.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn operations() -> Vec<Operation> {
    use query::{CURSOR, DAYS, LIMIT, OCCASION, PARTICIPATION, SESSION, STATE};
    let read = |path, id, summary, answer, handler| Operation {
        method: "get",
        path,
        scope: Scope::Read,
        id,
        summary,
        query: &[],
        body: None,
        answers: answer,
        refusals: &[],
        handler,
    };
    let write = |method, path, id, summary, handler| Operation { method, scope: Scope::Write, ..read(path, id, summary, &[], handler) };
    vec![
        Operation {
            query: &[SESSION, PARTICIPATION, STATE, OCCASION, LIMIT, CURSOR],
            ..read("/notices", "listNotices", "Notices, in due order.", &[(200, Some(schema::<answers::Notices>))], || {
                get(answers::notices)
            })
        },
        Operation {
            refusals: &[NO_NOTICE],
            ..read("/notices/{key}", "showNotice", "One notice, with its attempts.", &[(200, Some(schema::<Shown>))], || {
                get(answers::notice)
            })
        },
        Operation {
            refusals: &[NO_NOTICE, (409, "It would not go now, or it went already.")],
            ..read(
                "/notices/{key}/preview",
                "previewNotice",
                "The message as it would be made now; code and passkey masked.",
                &[(200, Some(schema::<Letter>))],
                || get(answers::preview),
            )
        },
        Operation {
            answers: &[(200, Some(schema::<Shown>))],
            refusals: &[NO_NOTICE, (409, "It is in no state for that.")],
            ..write(
                "post",
                "/notices/{key}/{act}",
                "actOnNotice",
                "Retries, holds, releases, cancels, restores or resends a notice.",
                || post(deeds::act),
            )
        },
        Operation {
            body: Some(schema::<deeds::Again>),
            answers: &[(200, Some(schema::<Shown>))],
            refusals: &[NO_NOTICE, (409, "Only what was accepted or rejected, and is of use, is handed over again.")],
            ..write(
                "post",
                "/notices/{key}/resend",
                "resendNotice",
                "Hands over again what was accepted or rejected, as a new notice; also to another address of its channel, this once.",
                || post(deeds::again),
            )
        },
        Operation {
            query: &[PARTICIPATION],
            refusals: &[(404, "The store knows no such session or participant.")],
            ..read(
                "/sessions/{session}/participants",
                "explainSession",
                "Each participant of a session: what is looked at, what is decided, what was told, and the history.",
                &[(200, Some(schema::<answers::Participants>))],
                || get(answers::participants),
            )
        },
        Operation {
            body: Some(schema::<deeds::Remind>),
            answers: &[(200, Some(schema::<deeds::Reminded>))],
            refusals: &[
                (404, "The store knows no such session or participant."),
                (409, "Nobody is reminded: they decided against it, it is on its way, it is in quiet hours where they are, or the like."),
            ],
            ..write(
                "post",
                "/sessions/{session}/remind",
                "remind",
                "Reminds the participants of a session now, with their code; or one of them.",
                || post(deeds::remind),
            )
        },
        Operation {
            query: &[DAYS],
            ..read(
                "/unreachable",
                "listUnreachable",
                "Who will not be reached, of the sessions of the next days.",
                &[(200, Some(schema::<answers::Unreachable>))],
                || get(answers::unreachable),
            )
        },
        read("/guard", "showGuard", "What waits because too much changed at once.", &[(200, Some(schema::<answers::Guard>))], || {
            get(answers::guard)
        }),
        Operation {
            body: Some(schema::<deeds::Accept>),
            answers: &[(200, Some(schema::<deeds::Accepted>))],
            refusals: &[(404, "There is no such source."), (409, "Nothing waits.")],
            ..write("post", "/guard/accept", "acceptGuard", "Lets pass what waits: the next walk applies it.", || post(deeds::accept))
        },
        Operation {
            body: Some(schema::<deeds::Accept>),
            answers: &[(200, Some(schema::<deeds::Rejected>))],
            refusals: &[(404, "There is no such source."), (409, "Nothing waits that can be rejected.")],
            ..write(
                "post",
                "/guard/reject",
                "rejectGuard",
                "Rejects what waits: what was before is in force until the source says something else.",
                || post(deeds::reject),
            )
        },
        Operation {
            query: &[LIMIT, CURSOR],
            ..read(
                "/suppressions",
                "listSuppressions",
                "Addresses that get no messages, the newest first.",
                &[(200, Some(schema::<answers::Suppressions>))],
                || get(answers::suppressions),
            )
        },
        Operation {
            body: Some(schema::<deeds::Suppress>),
            answers: &[(200, Some(schema::<deeds::Suppressed>)), (201, Some(schema::<deeds::Suppressed>))],
            ..write("post", "/suppressions", "suppress", "Puts an address on the list.", || post(deeds::suppress))
        },
        Operation {
            answers: &[(204, None)],
            refusals: &[(404, "It is not on the list.")],
            ..write("delete", "/suppressions/{suppression}", "unsuppress", "Takes an address off the list.", || delete(deeds::unsuppress))
        },
        read("/status", "status", "Counts, times, and what needs attention.", &[(200, Some(schema::<Facts>))], || get(answers::status)),
    ]
}

/// What is pushed. A source has a token of its own, too: these look themselves at who asks ([`push`]), and are there without a users file.
fn pushes() -> Vec<Operation> {
    let push = |method, path, id, summary, handler| Operation {
        method,
        path,
        scope: Scope::Push,
        id,
        summary,
        query: &[],
        body: None,
        answers: &[(200, Some(schema::<push::Receipt>))],
        refusals: &[
            (404, "No source of that name is pushed to, or the token is that of another one."),
            (409, "There is no list yet to merge it into, or too much waits for an operator."),
        ],
        handler,
    };
    vec![
        Operation {
            body: Some(push::list_schema),
            ..push(
                "put",
                "/sources/{name}/sessions",
                "pushSessions",
                "The whole list of a source: who is on it no more, is absent.",
                || axum::routing::put(push::whole),
            )
        },
        Operation {
            body: Some(push::session_schema),
            ..push("put", "/sources/{name}/sessions/{session}", "pushSession", "One session: the others stay as they are.", || {
                axum::routing::put(push::one)
            })
        },
        push("delete", "/sources/{name}/sessions/{session}", "cancelSession", "Cancels a session.", || delete(push::cancel)),
    ]
}

/// Their routes.
pub(super) fn push_routes() -> Router<Arc<Shared>> {
    pushes().iter().fold(Router::new(), |routes, one| routes.route(&format!("{ROOT}{}", one.path), (one.handler)()))
}

/// Where all of them are.
const ROOT: &str = "/api/v1";

pub(super) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let all: Vec<Operation> = pushes().into_iter().chain(operations()).collect();
    let description = json(&describe::document(&all));
    let mut routes = Router::new().route(&format!("{ROOT}/openapi.json"), get(async move || described(&description)));
    for operation in operations() {
        let guard = from_fn_with_state((Arc::clone(shared), operation.scope), with_token);
        routes = routes.route(&format!("{ROOT}{}", operation.path), (operation.handler)().route_layer(guard));
    }
    routes.layer(from_fn(unkept))
}

fn described(body: &str) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.to_owned()).into_response()
}

/// Only with a token of that scope; whose it is, is told on.
async fn with_token(State((shared, scope)): State<(Arc<Shared>, Scope)>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let token = shared.door()?.program(request.headers(), scope)?;
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
