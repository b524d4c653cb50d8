//! The sessions of some days: what needs somebody first, and all of them, however many there are, in pages.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{Days, NaiveDate};

use super::shown::Frame;
use super::shown::session::{Day, SessionCard, by_day};
use super::{DAYS_MAX, HELD_MAX, PageContext, Trouble};
use crate::desk::{agenda, outage};
use crate::entry::State as NoticeState;
use crate::outbox::Filter;
use crate::session::SessionId;
use crate::web::auth::Form;
use crate::web::{Shared, page};

/// Sessions on one page.
const PER_PAGE: usize = 60;
/// Sessions of a span that are looked through. More than any practice has in two weeks.
const SPAN_MAX: usize = 20_000;
/// Hosts are offered to choose from where there are no more sessions than that: their records are read for it.
const HOSTS_OF: usize = 1000;

/// What sessions may be picked by.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("overdue", "With an overdue message"),
    ("held", "With a held message"),
    ("unknown", "With one that is not certain"),
    ("rejected", "With a refused one"),
    ("lapsed", "With one that came too late"),
];

#[derive(Template)]
#[template(path = "web/sessions.html")]
struct Sessions {
    frame: Frame,
    days: Vec<Day>,
    first: String,
    previous: String,
    next: String,
    span: u64,
    is_today: bool,
    /// Key and name of each host of these days.
    hosts: Vec<(String, String)>,
    host: String,
    states: [(&'static str, &'static str); 6],
    state: &'static str,
    page: usize,
    pages: usize,
    total: usize,
}

/// `?from=2026-11-24&days=2&host=0123456789abcdef&state=held&page=2`
pub(super) async fn sessions(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let from = query.get("from").parse().unwrap_or_else(|_| context.today());
    let span = query.get("days").parse().unwrap_or(1).clamp(1, DAYS_MAX);
    let state = STATES.iter().find(|(word, _)| *word == query.get("state")).map_or("", |(word, _)| *word);
    let desk = &context.office.desk;
    let Range { start: begin, end } = context.span(from, span);
    let mut ids = desk.outbox.starting(begin, end, SPAN_MAX).await?;
    if let Some(wanted) = in_state(&context, state).await? {
        ids.retain(|(_, id)| wanted.contains(id));
    }
    let host = query.get("host").to_owned();
    let mut hosts = BTreeMap::new();
    if context.names && ids.len() <= HOSTS_OF {
        let of = agenda::hosts(desk, &ids).await?;
        hosts.extend(of.values().map(|(key, name)| (name.expose().to_owned(), key.clone())));
        if !host.is_empty() {
            ids.retain(|place| of.get(place).is_some_and(|(key, _)| *key == host));
        }
    }
    let (total, pages) = (ids.len(), ids.len().div_ceil(PER_PAGE).max(1));
    let page = query.get("page").parse().unwrap_or(1).clamp(1, pages);
    let shown: Vec<_> = ids.into_iter().skip((page - 1) * PER_PAGE).take(PER_PAGE).collect();
    let found = agenda::of_these(desk, &shown, context.now).await?;
    let cards = found.iter().map(|entry| SessionCard::of(entry, context.showing())).collect();
    let other = |day: Option<NaiveDate>| day.unwrap_or(from).to_string();
    let facts = Sessions {
        frame: context.frame(&shared, "sessions").await?,
        days: by_day(cards, from, span, context.today()),
        first: from.to_string(),
        previous: other(from.checked_sub_days(Days::new(span))),
        next: other(from.checked_add_days(Days::new(span))),
        is_today: from == context.today(),
        span,
        hosts: hosts.into_iter().map(|(name, key)| (key, name)).collect(),
        host,
        states: STATES,
        state,
        page,
        pages,
        total,
    };
    Ok(page::render(StatusCode::OK, &facts))
}

/// Sessions with a message in that state; `None`: in any.
async fn in_state(context: &PageContext<'_>, state: &str) -> Result<Option<HashSet<SessionId>>, Trouble> {
    let outbox = &context.office.desk.outbox;
    let entries = match state {
        "" => return Ok(None),
        "overdue" => outage::overdue(&**outbox, context.now).await?,
        word => {
            let states = word.parse::<NoticeState>().into_iter().collect();
            outbox.list(&Filter { states, limit: Some(HELD_MAX), ..Filter::default() }).await?
        }
    };
    Ok(Some(entries.iter().map(|entry| entry.notice.session).collect()))
}
