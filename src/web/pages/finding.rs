//! Whoever somebody looks for: by name, address, number, id or external id.

use std::collections::HashSet;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::shown::Frame;
use super::shown::session::Found;
use super::{FORM_MAX, PageContext, Trouble};
use crate::desk::people::{self, Who};
use crate::session::SessionId;
use crate::web::auth::Form;
use crate::web::page;
use crate::web::{Shared, request};

/// People on one page.
const FOUND_MAX: usize = 50;
/// Letters that are looked for.
const ASKED_MAX: usize = 100;

#[derive(Template)]
#[template(path = "web/search.html")]
struct SearchPage {
    frame: Frame,
    asked: String,
    found: Vec<Found>,
    /// There may be more.
    full: bool,
}

/// `?q=9636`: of old addresses, and of whoever writes one by hand.
pub(super) async fn by_address(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    find(&shared, &context, query.get("q")).await
}

/// The form of each page: it changes nothing, so any user may send it.
pub(super) async fn by_form(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Trouble> {
    let form = Form::parse(&request::form(&headers, body, FORM_MAX, shared.settings.limits.body).await?);
    let context = shared.context(&headers)?;
    find(&shared, &context, form.get("q")).await
}

/// By the store, or by a record that cannot be read.
async fn is_known(context: &PageContext<'_>, id: SessionId) -> Result<bool, Trouble> {
    let desk = &context.office.desk;
    if !desk.session(id, context.now).await?.is_empty() {
        return Ok(true);
    }
    Ok(desk.outbox.faults().await?.iter().any(|(_, fault)| fault.session == Some(id)))
}

/// Those whose record cannot be read first: nothing else tells them.
async fn found(context: &PageContext<'_>, asked: &str) -> Result<Vec<Who>, Trouble> {
    let (office, desk) = (context.office, &context.office.desk);
    let stored = people::find(desk, asked, context.names, (context.now, FOUND_MAX)).await?;
    let is_stored: HashSet<_> = stored.iter().map(|who| (who.session, who.participation)).collect();
    let unread = people::among(office.records.everybody(&desk.policy.region), asked, context.names);
    let unread = unread.filter(|who| !is_stored.contains(&(who.session, who.participation)));
    let mut found: Vec<Who> = unread.collect();
    found.extend(stored);
    found.truncate(FOUND_MAX);
    Ok(found)
}

async fn find(shared: &Shared, context: &PageContext<'_>, asked: &str) -> Result<Response, Trouble> {
    let asked: String = asked.trim().chars().take(ASKED_MAX).collect();
    if let Ok(id) = asked.parse::<i64>()
        && is_known(context, SessionId(id)).await?
    {
        return Ok(page::see(&format!("/sessions/{id}")));
    }
    let found = if asked.is_empty() { Vec::new() } else { found(context, &asked).await? };
    // The number of a participant is theirs, whoever else has it in a telephone number.
    let theirs: Vec<_> = found.iter().filter(|one| one.participation.to_string() == asked).collect();
    if let ([one], _) | ([], [one]) = (theirs.as_slice(), found.iter().collect::<Vec<_>>().as_slice()) {
        return Ok(page::see(&format!("/sessions/{}/{}", one.session, one.participation)));
    }
    let facts = SearchPage {
        frame: context.frame(shared, "search").await?,
        full: found.len() == FOUND_MAX,
        found: found.iter().map(|who| Found::of(who, context.showing())).collect(),
        asked,
    };
    Ok(page::render(StatusCode::OK, &facts))
}
