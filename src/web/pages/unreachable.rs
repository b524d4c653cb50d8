//! Who will not be reached: whom to call, at which number, and who was called already. As a page, and as a table for a spreadsheet.

use std::collections::HashSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::shown::session::{Called, Unreached};
use super::shown::{Frame, moment};
use super::{DAYS_MAX, PageContext, Trouble};
use crate::desk::unreachable::Row;
use crate::desk::{agenda, called};
use crate::ledger::csv;
use crate::session::ParticipantKey;
use crate::web::Shared;
use crate::web::auth::Form;
use crate::web::page;

/// Sessions that are looked at.
const SESSIONS_MAX: usize = 5000;
/// Days that are looked at, if nobody says how many.
const DAYS: u64 = 7;
/// People on one page.
const ROWS_MAX: usize = 300;

#[derive(Template)]
#[template(path = "web/unreachable.html")]
struct UnreachablePage {
    frame: Frame,
    /// Whom nobody has called yet.
    rows: Vec<Unreached>,
    called: Vec<Unreached>,
    span: u64,
    full: bool,
}

/// `?days=7`
pub(super) async fn page(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let (span, mut rows) = rows(&context, query).await?;
    let full = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let (called, rows) = rows.into_iter().partition(|row| row.called.is_some());
    let facts = UnreachablePage { frame: context.frame(&shared, "unreachable").await?, rows, called, span, full };
    Ok(page::render(StatusCode::OK, &facts))
}

/// The same for a spreadsheet: nothing in it is taken for a formula.
pub(super) async fn csv(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let (_, rows) = rows(&context, query).await?;
    let mut text = csv::line(["starts", "session", "name", "host", "number", "e-mail", "why", "what to do", "called"]);
    for row in rows {
        let fields = row.fields();
        text.push_str(&csv::line(fields.iter().map(String::as_str)));
    }
    Ok(page::guard(([(CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], text).into_response()))
}

/// A session that could never be read, as a row for each of those whom its record names and nobody else tells; one row for all if it names nobody.
fn each_person(context: &PageContext<'_>, row: Row) -> Vec<Row> {
    if row.participation_id.is_some() || row.start.is_some() {
        return vec![row];
    }
    let people = context.office.records.people(row.session_id, &context.office.desk.policy.region);
    if people.is_empty() {
        return vec![row];
    }
    let ours = people.into_iter().filter(|(_, told_elsewhere)| !told_elsewhere).map(|(who, _)| who.participation);
    ours.map(|id| Row { participation_id: Some(id), ..row.clone() }).collect()
}

async fn found(context: &PageContext<'_>, span: u64) -> Result<Vec<Row>, Trouble> {
    let found = agenda::unreachable(&context.office.desk, context.span(context.today(), span), SESSIONS_MAX, context.now).await?;
    Ok(found.into_iter().flat_map(|row| each_person(context, row)).collect())
}

fn places(found: &[Row]) -> Vec<ParticipantKey> {
    found.iter().filter_map(|row| Some((row.session_id, row.participation_id?))).collect()
}

/// How many are still to be called, of the next week.
pub(super) async fn to_call(context: &PageContext<'_>) -> Result<usize, Trouble> {
    let found = found(context, DAYS).await?;
    let calls = called::of(&context.office.desk, &places(&found)).await?;
    let ids = found.iter().map(|row| (row.session_id, row.participation_id));
    let people: HashSet<_> = ids.filter(|(session, id)| id.is_none_or(|id| !calls.contains_key(&(*session, id)))).collect();
    Ok(people.len())
}

/// The days that are looked at, and who will not be reached in them.
async fn rows(context: &PageContext<'_>, query: Option<String>) -> Result<(u64, Vec<Unreached>), Trouble> {
    let span = Form::parse(query.unwrap_or_default().as_bytes()).get("days").parse().unwrap_or(DAYS).clamp(1, DAYS_MAX);
    let found = found(context, span).await?;
    let places = places(&found);
    let people = context.people(&places).await?;
    let calls = called::of(&context.office.desk, &places).await?;
    let zone = &context.office.zone;
    let rows = found.iter().map(|row| {
        let mut shown = Unreached::of(row, &people, context.showing());
        let call = shown.place().and_then(|place| calls.get(&place));
        shown.called = call.map(|(at, note)| Called { at: moment(*at, zone), note: note.clone() });
        shown
    });
    Ok((span, rows.collect()))
}
