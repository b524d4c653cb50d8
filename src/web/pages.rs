//! What staff see at `/`: who is told what, who is not, and what wants a decision. It works without a script.
//!
//! In: GET for pages; POST, from a form of ours, for deeds ([`deeds`]). Out: pages. Times are those of the practice's zone, and beside them the
//! participant's where that is another one. Names, contacts and codes are masked, but for what an operator revealed.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;

use self::shown::{Banner, Day, Frame, Fresh, Guarded, NoticeRow, ReplyRow, SessionCard, Unreached};
use super::door::{Form, Visitor};
use super::page::{self, Trouble};
use super::{Office, Shared};
use crate::desk::agenda;
use crate::notice::Reason;
use crate::outbox::{Entry, Filter, Outbox, State as NoticeState, StoreError};
use crate::session::{ParticipationId, SessionId};

mod deeds;
mod entrance;
mod notice;
mod person;
mod remind;
mod resend;
mod shown;

/// Sessions on one page.
const SESSIONS_MAX: usize = 300;
/// Notices on one page.
const NOTICES_MAX: usize = 200;
/// Held notices that are looked through for them: the guard may hold many.
const HELD_MAX: usize = 5000;
/// Days on one page.
const DAYS_MAX: u64 = 14;
/// Largest form, in bytes.
const FORM_MAX: usize = 8 << 10;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(sessions))
        .route("/attention", get(attention))
        .route("/unreachable", get(unreachable))
        .route("/search", get(search))
        .route("/sessions/{id}", get(session))
        .route("/sessions/{id}/{participation}", get(person::person))
        .route("/sessions/{id}/{participation}/reveal", post(person::reveal))
        .route("/sessions/{id}/{participation}/remind", get(remind::page).post(remind::act))
        .route("/notices/{key}", get(notice::notice))
        .route("/notices/{key}/message", get(notice::message))
        .route("/notices/{key}/resend", get(resend::page).post(resend::act))
        .route("/notices/{key}/{act}", post(deeds::act))
        .route("/guard/accept", post(deeds::accept))
        .route("/guard/reject", post(deeds::reject))
        .route("/replies/{key}/read", post(deeds::read))
        .route("/login", get(entrance::page).post(entrance::log_in))
        .route("/logout", post(entrance::log_out))
        .route("/punctual.css", get(page::style))
}

/// Who looks, and at what time.
struct Looking<'a> {
    office: &'a Office,
    visitor: Visitor,
    now: DateTime<Utc>,
}

impl Shared {
    fn looking(&self, headers: &HeaderMap) -> Result<Looking<'_>, Trouble> {
        let now = self.office.clock.now();
        Ok(Looking { office: &self.office, visitor: self.door()?.visitor(headers, now)?, now })
    }
}

impl Looking<'_> {
    /// What every page has around it.
    async fn frame(&self, shared: &Shared, section: &'static str) -> Result<Frame, Trouble> {
        let outbox = &self.office.desk.outbox;
        let (status, guards) = (outbox.status().await?, outbox.guards().await?);
        let mut sources: Vec<&String> = guards.iter().map(|g| &g.source).collect();
        sources.dedup();
        let unknown = status.by_state.get(&NoticeState::Unknown).copied().unwrap_or(0);
        let outages = shared.intake.outages().await?;
        Ok(Frame {
            banner: outages.iter().map(|outage| Banner::of(outage, self.office, self.now)).collect(),
            sources: Fresh::all(&status.sources, &self.office.desk, self.now),
            practice: self.office.practice.clone(),
            zone: shown::zone_name(&self.office.zone),
            user: self.visitor.name().to_owned(),
            operator: self.visitor.is_operator(),
            token: shared.door()?.form_token(&self.visitor.id),
            waiting: unknown
                + (held(outbox).await?.len() + sources.len() + status.faults.len() + outbox.unread(NOTICES_MAX).await?.len()) as u64,
            section,
            shadow: self.office.shadow,
        })
    }

    fn today(&self) -> NaiveDate {
        self.office.zone.local(self.now).civil.date()
    }

    /// From the beginning of a day of the practice to that of another.
    fn span(&self, from: NaiveDate, days: u64) -> (DateTime<Utc>, DateTime<Utc>) {
        let midnight = |day: NaiveDate| self.office.zone.instant(day.and_time(chrono::NaiveTime::MIN));
        (midnight(from), midnight(from.checked_add_days(Days::new(days)).unwrap_or(from)))
    }
}

/// What is held, but for what the guard holds: that is decided about at once.
async fn held(outbox: &Arc<dyn Outbox>) -> Result<Vec<Entry>, StoreError> {
    let filter = Filter { states: vec![NoticeState::Held], limit: Some(HELD_MAX), ..Filter::default() };
    let mut held = outbox.list(&filter).await?;
    held.retain(|entry| entry.reason != Some(Reason::Guard));
    held.truncate(NOTICES_MAX);
    Ok(held)
}

#[derive(Serialize)]
struct Sessions {
    frame: Frame,
    days: Vec<Day>,
    first: String,
    previous: String,
    next: String,
    span: u64,
    is_today: bool,
    full: bool,
}

/// `?from=2026-11-24&days=2`
async fn sessions(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let looking = shared.looking(&headers)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let from = query.get("from").parse().unwrap_or_else(|_| looking.today());
    let span = query.get("days").parse().unwrap_or(2).clamp(1, DAYS_MAX);
    let found = agenda::agenda(&looking.office.desk, looking.span(from, span), SESSIONS_MAX, looking.now).await?;
    let full = found.len() == SESSIONS_MAX;
    let cards = found.iter().map(|entry| SessionCard::of(entry, looking.office, looking.now)).collect();
    let other = |day: Option<NaiveDate>| day.unwrap_or(from).to_string();
    let facts = Sessions {
        frame: looking.frame(&shared, "sessions").await?,
        days: shown::by_day(cards, from, span, looking.today()),
        first: from.to_string(),
        previous: other(from.checked_sub_days(Days::new(span))),
        next: other(from.checked_add_days(Days::new(span))),
        is_today: from == looking.today(),
        span,
        full,
    };
    Ok(page::render(StatusCode::OK, "sessions.html", &facts))
}

#[derive(Serialize)]
struct OneSession {
    frame: Frame,
    sessions: Vec<SessionCard>,
}

async fn session(State(shared): State<Arc<Shared>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Trouble> {
    let looking = shared.looking(&headers)?;
    let id = SessionId(number(&id)?);
    let found = agenda::of(&looking.office.desk, id, looking.now).await?;
    if found.is_empty() {
        return Err(Trouble::NotFound("Punctual knows no session of that number, or no longer: it may be over."));
    }
    let sessions = found.iter().map(|entry| SessionCard::of(entry, looking.office, looking.now)).collect();
    Ok(page::render(StatusCode::OK, "session.html", &OneSession { frame: looking.frame(&shared, "sessions").await?, sessions }))
}

#[derive(Serialize)]
struct Attention {
    frame: Frame,
    /// The guard was just accepted.
    accepted: bool,
    /// It was just rejected.
    rejected: bool,
    guarded: Vec<Guarded>,
    unknown: Vec<NoticeRow>,
    held: Vec<NoticeRow>,
    faults: Vec<shown::FaultRow>,
    /// What people wrote.
    replies: Vec<ReplyRow>,
    full: bool,
}

async fn attention(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let looking = shared.looking(&headers)?;
    let outbox = &looking.office.desk.outbox;
    let rows = |entries: Vec<Entry>| entries.iter().map(|e| NoticeRow::of(e, looking.office, looking.now)).collect::<Vec<_>>();
    let in_doubt = Filter { states: vec![NoticeState::Unknown], limit: Some(NOTICES_MAX), ..Filter::default() };
    let (unknown, held) = (rows(outbox.list(&in_doubt).await?), rows(held(outbox).await?));
    let replies: Vec<ReplyRow> = outbox.unread(NOTICES_MAX).await?.into_iter().map(|said| ReplyRow::of(said, looking.office)).collect();
    let facts = Attention {
        frame: looking.frame(&shared, "attention").await?,
        accepted: query.as_deref() == Some("accepted"),
        rejected: query.as_deref() == Some("rejected"),
        guarded: Guarded::by_source(&outbox.guards().await?, looking.office),
        full: unknown.len() == NOTICES_MAX || held.len() == NOTICES_MAX || replies.len() == NOTICES_MAX,
        replies,
        unknown,
        held,
        faults: outbox.status().await?.faults.into_iter().map(shown::FaultRow::from).collect(),
    };
    Ok(page::render(StatusCode::OK, "attention.html", &facts))
}

#[derive(Serialize)]
struct Unreachable {
    frame: Frame,
    rows: Vec<Unreached>,
    span: u64,
}

/// `?days=7`
async fn unreachable(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let looking = shared.looking(&headers)?;
    let span = Form::parse(query.unwrap_or_default().as_bytes()).get("days").parse().unwrap_or(7).clamp(1, DAYS_MAX);
    let until = looking.span(looking.today(), span);
    let rows = agenda::unreachable(&looking.office.desk, until, SESSIONS_MAX, looking.now).await?;
    let rows = rows.iter().map(|row| Unreached::of(row, looking.office)).collect();
    let facts = Unreachable { frame: looking.frame(&shared, "unreachable").await?, rows, span };
    Ok(page::render(StatusCode::OK, "unreachable.html", &facts))
}

#[derive(Serialize)]
struct Search {
    frame: Frame,
    asked: String,
    sessions: Vec<i64>,
    people: Vec<(i64, i64)>,
}

/// `?q=9636`: the number of a session or of a participation.
async fn search(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let looking = shared.looking(&headers)?;
    let asked = Form::parse(query.unwrap_or_default().as_bytes()).get("q").trim().chars().take(40).collect::<String>();
    let (mut sessions, mut people) = (Vec::new(), Vec::new());
    if let Ok(id) = asked.parse::<i64>() {
        let desk = &looking.office.desk;
        sessions.extend(desk.session(SessionId(id), looking.now).await?.iter().map(|seen| seen.session.id.0));
        let filter = Filter { participation: Some(ParticipationId(id)), ..Filter::default() };
        people.extend(desk.outbox.list(&filter).await?.iter().map(|e| (e.notice.session.0, id)));
        people.extend(desk.outbox.omissions(&filter).await?.iter().filter_map(|o| Some((o.session?.0, id))));
        people.sort_unstable();
        people.dedup();
    }
    match (sessions.as_slice(), people.as_slice()) {
        ([one], []) => return Ok(page::see(&format!("/sessions/{one}"))),
        ([], [(session, person)]) => return Ok(page::see(&format!("/sessions/{session}/{person}"))),
        _ => {}
    }
    let facts = Search { frame: looking.frame(&shared, "search").await?, asked, sessions, people };
    Ok(page::render(StatusCode::OK, "search.html", &facts))
}

/// An id in an address.
fn number(text: &str) -> Result<i64, Trouble> {
    text.parse().map_err(|_| Trouble::NotFound("There is nothing at this address."))
}
