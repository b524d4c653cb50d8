//! What staff see at `/`: who is told what, who is not, and what wants a decision. It works without a script.
//!
//! In: GET for pages, and POST for a search (whom somebody looks for stands in no address, and so in no log of a proxy); POST, from a form of ours,
//! for actions ([`actions`]). Out: pages. Times are those of the practice's zone, and beside them the participant's where that is another one. Names, and
//! the contacts of those who must be called, are for whoever may see names (`[server] show_names`); codes and other contacts are masked, but for what
//! an operator revealed.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{DateTime, Days, NaiveDate, Utc};

use self::shown::session::{People, SessionCard, Showing};
use self::shown::{Banner, Demo, Frame, Fresh, Guarded, NodeLine, NoticeRow, ReplyRow};
use super::auth::CurrentUser;
use super::page::{self, Trouble};
use super::{AppState, Shared};
use crate::desk::people;
use crate::desk::{agenda, decided};
use crate::entry::{Entry, State as NoticeState};
use crate::notice::Reason;
use crate::outbox::{Filter, Outbox, StoreError};
use crate::session::{ParticipantKey, SessionId};

mod actions;
mod books;
mod confirm;
mod finding;
mod login;
mod notice;
mod person;
mod records;
mod remind;
mod resend;
mod sessions;
mod shown;
mod stage;
pub(super) mod templates;
mod unreachable;
mod users;

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
        .route("/", get(sessions::sessions))
        .route("/attention", get(attention))
        .route("/unreachable", get(unreachable::page))
        .route("/unreachable.csv", get(unreachable::csv))
        .route("/search", get(finding::by_address).post(finding::by_form))
        .route("/sessions/{id}", get(session))
        .route("/sessions/{id}/{participation}", get(person::person))
        .route("/sessions/{id}/{participation}/reveal", post(person::reveal))
        .route("/sessions/{id}/{participation}/called", get(confirm::called).post(actions::called))
        .route("/sessions/{id}/{participation}/remind", get(remind::page).post(remind::act))
        .route("/notices/{key}/resend", get(resend::page).post(resend::act))
        .route("/notices/{key}", get(notice::notice))
        .route("/notices/{key}/message", get(notice::message))
        .route("/notices/{key}/{act}", get(confirm::act).post(actions::act))
        .route("/blocked", get(books::blocked))
        .route("/blocked/add", post(books::block))
        .route("/blocked/{key}/remove", get(confirm::unblock).post(books::unblock))
        .route("/history", get(books::history))
        .route("/servers", get(books::servers))
        .route("/messages", get(books::messages))
        .route("/templates", get(templates::all))
        .route("/templates/edit", get(templates::edit).post(templates::act))
        .route("/templates/message", get(templates::message))
        .route("/users", get(users::all).post(users::act))
        .route("/password", get(users::own).post(users::change_own))
        .route("/guard/accept", get(confirm::guard).post(actions::accept))
        .route("/guard/reject", get(confirm::guard).post(actions::reject))
        .route("/replies/{key}/read", post(actions::read))
        .route("/demo", get(stage::enter))
        .route("/demo/{act}", post(stage::act))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/punctual.css", get(page::style))
}

/// Who looks, and at what time.
struct PageContext<'a> {
    office: &'a AppState,
    current_user: CurrentUser,
    now: DateTime<Utc>,
    /// They may see names.
    names: bool,
}

impl Shared {
    fn context(&self, headers: &HeaderMap) -> Result<PageContext<'_>, Trouble> {
        let now = self.office.clock.now();
        let current_user = self.auth()?.current_user(headers, now)?;
        let names = self.settings.show_names.to(current_user.is_operator());
        Ok(PageContext { office: &self.office, current_user, now, names })
    }
}

impl PageContext<'_> {
    /// What every page has around it.
    async fn frame(&self, shared: &Shared, section: &'static str) -> Result<Frame, Trouble> {
        let outbox = &self.office.desk.outbox;
        let (status, guards) = (outbox.status().await?, outbox.guards().await?);
        let mut sources: Vec<&String> = guards.iter().map(|g| &g.source).collect();
        sources.dedup();
        let unknown = status.by_state.get(&NoticeState::Unknown).copied().unwrap_or(0);
        let outages = shared.intake.outages().await?;
        let urgent = outages.iter().filter_map(|outage| outage.most_urgent).map(|urgent| (urgent.session_id, urgent.participation_id));
        let people = self.people(&urgent.collect::<Vec<_>>()).await?;
        if self.names {
            shared.looked(self.current_user.name(), section, None).await?;
        }
        Ok(Frame {
            banner: outages.iter().map(|outage| Banner::of(outage, &people, self.showing())).collect(),
            nodes: outbox.nodes().await?.into_iter().map(|node| NodeLine::of(node, self.showing())).collect(),
            sources: Fresh::all(&status.sources, &self.office.desk, self.now),
            practice: self.office.practice.clone(),
            zone: shown::zone_name(&self.office.zone),
            user: self.current_user.name().to_owned(),
            operator: self.current_user.is_operator(),
            token: shared.auth()?.form_token(&self.current_user.id),
            waiting: unknown
                + (held(outbox).await?.len() + sources.len() + status.faults.len() + outbox.unread(NOTICES_MAX).await?.len()) as u64,
            section,
            shadow: self.office.shadow,
            names: self.names,
            demo: self.office.stage.as_ref().map(|stage| Demo::of(&**stage, self.office, self.now)),
        })
    }

    fn showing(&self) -> Showing<'_> {
        Showing { office: self.office, now: self.now, names: self.names }
    }

    /// Who they are; nobody, for whom may see no names.
    async fn people(&self, places: &[ParticipantKey]) -> Result<People, Trouble> {
        if !self.names {
            return Ok(People::new());
        }
        let mut found = people::of(&self.office.desk, places).await?;
        // Of whom the store knows nothing, but for a record that cannot be read.
        let unknown: HashSet<SessionId> = places.iter().filter(|place| !found.contains_key(place)).map(|place| place.0).collect();
        for (who, _) in unknown.into_iter().flat_map(|session| self.office.records.people(session, &self.office.desk.policy.region)) {
            found.entry((who.session, who.participation)).or_insert(who);
        }
        Ok(found)
    }

    fn today(&self) -> NaiveDate {
        self.office.zone.local(self.now).civil.date()
    }

    /// From the beginning of a day of the practice to that of another.
    fn span(&self, from: NaiveDate, days: u64) -> Range<DateTime<Utc>> {
        let midnight = |day: NaiveDate| self.office.zone.instant(day.and_time(chrono::NaiveTime::MIN));
        midnight(from)..midnight(from.checked_add_days(Days::new(days)).unwrap_or(from))
    }
}

/// What is held, with who decided so.
async fn decided(context: &PageContext<'_>, held: Vec<Entry>, people: &People) -> Result<Vec<NoticeRow>, StoreError> {
    let mut rows = Vec::new();
    for entry in held {
        let decided = decided::of(&context.office.desk, &entry).await?;
        rows.push(NoticeRow::of(&entry, people, context.showing()).by(decided, context.office));
    }
    Ok(rows)
}

/// What is held, but for what the guard holds: that is decided about at once.
async fn held(outbox: &Arc<dyn Outbox>) -> Result<Vec<Entry>, StoreError> {
    let filter = Filter { states: vec![NoticeState::Held], limit: Some(HELD_MAX), ..Filter::default() };
    let mut held = outbox.list(&filter).await?;
    held.retain(|entry| entry.reason != Some(Reason::Guard));
    held.truncate(NOTICES_MAX);
    Ok(held)
}

#[derive(Template)]
#[template(path = "web/session.html")]
struct OneSession {
    frame: Frame,
    sessions: Vec<SessionCard>,
    /// What is wrong with its record.
    records: Vec<records::Bad>,
}

async fn session(State(shared): State<Arc<Shared>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let id = SessionId(number(&id)?);
    let found = agenda::of(&context.office.desk, id, context.now).await?;
    if found.is_empty() {
        let none = "Punctual knows no session of that number, or no longer: it may be over.";
        return records::page(&shared, &context, (id, None), none).await;
    }
    let sessions = found.iter().map(|entry| SessionCard::of(entry, context.showing())).collect();
    let facts =
        OneSession { frame: context.frame(&shared, "sessions").await?, sessions, records: records::bad(&context, Some((id, None))).await? };
    Ok(page::render(StatusCode::OK, &facts))
}

/// Sources that are not configured any more, of which something is held, and how much.
async fn gone(outbox: &Arc<dyn Outbox>, held: &[Entry]) -> Result<Vec<(String, usize)>, StoreError> {
    let waits = |name: &str| held.iter().filter(|e| e.reason == Some(Reason::SourceGone) && e.source == name).count();
    let sources = outbox.sources().await?.into_iter().filter(|source| source.gone);
    Ok(sources
        .map(|source| (waits(&source.name), source.name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| (name, count))
        .collect())
}

#[derive(Template)]
#[template(path = "web/attention.html")]
struct Attention {
    frame: Frame,
    /// The guard was just accepted.
    accepted: bool,
    /// It was just rejected.
    rejected: bool,
    guarded: Vec<Guarded>,
    unknown: Vec<NoticeRow>,
    held: Vec<NoticeRow>,
    /// Sources that are not configured any more, and how many messages of each wait.
    gone: Vec<(String, usize)>,
    faults: Vec<records::Bad>,
    replies: Vec<ReplyRow>,
    /// How many people no message will reach, and nobody called yet.
    to_call: usize,
    full: bool,
}

async fn attention(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let outbox = &context.office.desk.outbox;
    let in_doubt = Filter { states: vec![NoticeState::Unknown], limit: Some(NOTICES_MAX), ..Filter::default() };
    let (unknown, held, written) = (outbox.list(&in_doubt).await?, held(outbox).await?, outbox.unread(NOTICES_MAX).await?);
    let gone = gone(outbox, &held).await?;
    let of_notices = unknown.iter().chain(&held).map(|e| (e.notice.session, e.notice.participation));
    let of_replies = written.iter().flat_map(|said| said.said.about.iter().map(|place| (place.session, place.participation)));
    let people = context.people(&of_notices.chain(of_replies).collect::<Vec<_>>()).await?;
    let rows = |entries: Vec<Entry>| entries.iter().map(|e| NoticeRow::of(e, &people, context.showing())).collect::<Vec<_>>();
    let (unknown, held) = (rows(unknown), decided(&context, held, &people).await?);
    let replies: Vec<ReplyRow> = written.into_iter().map(|said| ReplyRow::of(said, &people, context.showing())).collect();
    let facts = Attention {
        frame: context.frame(&shared, "attention").await?,
        accepted: query.as_deref() == Some("accepted"),
        rejected: query.as_deref() == Some("rejected"),
        guarded: Guarded::by_source(&outbox.guards().await?, context.office),
        full: unknown.len() == NOTICES_MAX || held.len() == NOTICES_MAX || replies.len() == NOTICES_MAX,
        replies,
        to_call: unreachable::to_call(&context).await?,
        unknown,
        held,
        gone,
        faults: records::bad(&context, None).await?,
    };
    Ok(page::render(StatusCode::OK, &facts))
}

/// An id in an address.
fn number(text: &str) -> Result<i64, Trouble> {
    text.parse().map_err(|_| Trouble::NotFound("There is nothing at this address."))
}
