//! What an operator does: with a notice, and with what the guard holds. Each deed stands in the ledger, with the operator's name, in the
//! transaction of what it changed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::{FORM_MAX, number};
use crate::desk::{called, people};
use crate::guard::{Verdict, seen_as};
use crate::notice::NoticeKey;
use crate::outbox::Action;
use crate::session::{ParticipationId, SessionId};
use crate::web::auth::{CurrentUser, Form};
use crate::web::page::{self, Trouble};
use crate::web::{Shared, request};

/// A form of ours, from an operator.
pub(super) async fn from_operator(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<(Form, CurrentUser), Trouble> {
    let form = Form::parse(&request::form(headers, body, FORM_MAX, shared.settings.limits.body).await?);
    let current_user = shared.auth()?.operator(headers, &form, shared.office.clock.now())?;
    Ok((form, current_user))
}

/// `/notices/{key}/{act}`: release, cancel, retry, hold.
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((key, act)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (form, current_user) = from_operator(&shared, &headers, body).await?;
    let nothing = || Trouble::NotFound("There is nothing at this address.");
    let key: NoticeKey = key.parse().map_err(|_| nothing())?;
    let act = Action::from_word(&act).ok_or_else(nothing)?;
    if !shared.acts(called::with_reason(current_user.name(), form.get("reason")), key, act).await? {
        return Err(Trouble::Conflict("It is in another state by now: somebody else may have decided, or it went out. Look at it again."));
    }
    // What can be taken back is taken back there.
    let undone = matches!(act, Action::Hold | Action::Cancel | Action::CancelTold).then(|| format!("/notices/{key}?done={}", act.as_str()));
    Ok(page::see(&undone.unwrap_or_else(|| back(&form, &format!("/notices/{key}")))))
}

/// `/sessions/{id}/{participation}/called`: somebody called them.
pub(super) async fn called(
    State(shared): State<Arc<Shared>>,
    Path((session, participation)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (form, current_user) = from_operator(&shared, &headers, body).await?;
    let place = (SessionId(number(&session)?), ParticipationId(number(&participation)?));
    let office = &shared.office;
    let at_fault = || office.records.people(place.0, &office.desk.policy.region).iter().any(|(who, _)| who.participation == place.1);
    if people::of(&office.desk, &[place]).await?.is_empty() && !at_fault() {
        return Err(Trouble::NotFound("Punctual knows no such participant, or no longer: the session may be over."));
    }
    called::note(&office.desk, place, current_user.name(), form.get("reason"), office.clock.now()).await?;
    Ok(page::see(&back(&form, "/unreachable")))
}

/// Lets pass what waits of a source.
pub(super) async fn accept(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Trouble> {
    decide(&shared, &headers, body, Verdict::Accept).await
}

/// Keeps what was before.
pub(super) async fn reject(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Trouble> {
    decide(&shared, &headers, body, Verdict::Reject).await
}

async fn decide(shared: &Shared, headers: &HeaderMap, body: Body, verdict: Verdict) -> Result<Response, Trouble> {
    let (form, current_user) = from_operator(shared, headers, body).await?;
    let source = form.get("source").to_owned();
    let outbox = Arc::clone(&shared.office.desk.outbox);
    let rows = outbox.guards().await?;
    let now_is = seen_as(rows.iter().filter(|row| row.source == source));
    if !rows.is_empty() && !form.get("seen").is_empty() && form.get("seen") != now_is {
        return Err(Trouble::Conflict("More changed since you looked, or something else. Look at it again before you decide."));
    }
    let (who, now) = (current_user.name().to_owned(), shared.office.clock.now());
    let deciding = crate::web::to_the_end(async move { outbox.decide_guard(verdict, Some(&who), Some(&source), now).await });
    if deciding.await?? == 0 {
        return Err(Trouble::Conflict("Nothing of this source waits any more."));
    }
    shared.intake.ask();
    Ok(page::see(match verdict {
        Verdict::Accept => "/attention?accepted",
        Verdict::Reject => "/attention?rejected",
    }))
}

/// Somebody has read what a person wrote, and done what it asks for.
pub(super) async fn read(
    State(shared): State<Arc<Shared>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (_, current_user) = from_operator(&shared, &headers, body).await?;
    let key: NoticeKey = key.parse().map_err(|_| Trouble::NotFound("There is nothing at this address."))?;
    let outbox = Arc::clone(&shared.office.desk.outbox);
    let (who, now) = (current_user.name().to_owned(), shared.office.clock.now());
    if !crate::web::to_the_end(async move { outbox.mark_read(Some(&who), key, now).await }).await?? {
        return Err(Trouble::Conflict("Somebody else has read it already, or it is too old to be kept."));
    }
    Ok(page::see("/attention"))
}

/// Where the form was: a page of ours.
pub(super) fn back(form: &Form, otherwise: &str) -> String {
    let from = form.get("from");
    let ours = from.starts_with('/') && !from.starts_with("//") && from.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if ours { from.to_owned() } else { otherwise.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_a_page_of_ours_alone() {
        for (from, to) in [
            ("/attention", "/attention"),
            ("/sessions/1/2", "/sessions/1/2"),
            ("", "/x"),
            ("//evil.example", "/x"),
            ("/\\evil.example", "/x"),
            ("https://evil.example", "/x"),
            ("/a\r\nSet-Cookie: b", "/x"),
        ] {
            let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("from", from).finish();
            assert_eq!(back(&Form::parse(body.as_bytes()), "/x"), to, "{from}");
        }
    }
}
