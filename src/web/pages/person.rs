//! One participant: why they are told what, and what became of it. An operator may reveal name, address and code, and the ledger tells that.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::shown::session::{Call, Called, PersonCard};
use super::shown::{Frame, History, PlannerDecision, moment};
use super::{actions, number, records};
use crate::contact::ConnectCode;
use crate::desk::people::Contacts;
use crate::desk::why::why;
use crate::desk::{agenda, called, words};
use crate::ledger::Event;
use crate::session::{ParticipationId, SessionId};
use crate::web::Shared;
use crate::web::page::{self, Trouble};

#[derive(Template)]
#[template(path = "web/person.html")]
struct Page {
    frame: Frame,
    session: i64,
    start: super::shown::Moment,
    person: PersonCard,
    inputs: Vec<(&'static str, String)>,
    decisions: Vec<PlannerDecision>,
    history: Vec<History>,
    revealed: Option<Revealed>,
    called: Option<Called>,
}

/// What an operator asked to see.
struct Revealed {
    until: String,
    name: String,
    address: String,
    /// What the record has, whatever is wrong with it.
    contacts: Call,
    code: String,
    passkey: Option<String>,
}

pub(super) async fn person(
    State(shared): State<Arc<Shared>>,
    Path((session, participation)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let (session, id) = (SessionId(number(&session)?), ParticipationId(number(&participation)?));
    let (office, now) = (context.office, context.now);
    let unknown = "Punctual knows no such participant, or no longer: the session may be over.";
    let none = || Trouble::NotFound(unknown);
    let Some(told) = why(&office.desk, session, Some(id), now).await?.pop() else {
        return records::page(&shared, &context, (session, Some(id)), unknown).await;
    };
    let entries = agenda::of(&office.desk, session, now).await?;
    let entry = entries.iter().find(|e| e.people.iter().any(|p| p.id == id)).ok_or_else(none)?;
    let person = entry.people.iter().find(|p| p.id == id).ok_or_else(none)?;
    let until = context.current_user.login.revealed((session, id), now);
    let revealed = match until {
        Some(until) => revealed(&context, session, id, until).await?,
        None => None,
    };
    if context.names {
        shared.looked(context.current_user.name(), "a person", Some((session, id))).await?;
    }
    let calls = called::of(&office.desk, &[(session, id)]).await?;
    let facts = Page {
        called: calls.get(&(session, id)).map(|(at, note)| Called { at: moment(*at, &office.zone), note: note.clone() }),
        frame: context.frame(&shared, "sessions").await?,
        session: session.0,
        start: moment(entry.start, &office.zone),
        person: PersonCard::of(person, entry, context.showing()),
        inputs: told
            .inputs
            .into_iter()
            .map(|(name, says)| (name, words::clocked(&says, &|at| words::clock(at, &office.zone, now))))
            .collect(),
        decisions: told.decisions.iter().map(|said| PlannerDecision::of(said, office)).collect(),
        history: History::of(&told.notices, office),
        revealed,
    };
    Ok(page::hidden_at(page::render(StatusCode::OK, &facts), until, now))
}

async fn revealed(
    context: &super::PageContext<'_>,
    session: SessionId,
    id: ParticipationId,
    until: chrono::DateTime<chrono::Utc>,
) -> Result<Option<Revealed>, Trouble> {
    let desk = &context.office.desk;
    let seen = desk.session(session, context.now).await?;
    let Some(person) = seen.iter().find_map(|s| s.session.participant(id)) else { return Ok(None) };
    let none = crate::plan::Suppressions::default();
    let address = crate::plan::recipient(person, &desk.policy, &none, false);
    Ok(Some(Revealed {
        until: moment(until, &context.office.zone).time,
        name: person.name.expose().to_owned(),
        address: address.map_or_else(|(reason, _)| words::reason(reason).to_owned(), |to| to.address.expose().to_owned()),
        contacts: Call::of(&Contacts::of(person, &desk.policy.region)),
        code: person.code.map_or_else(|| "none".to_owned(), ConnectCode::expose_grouped),
        passkey: person.passkey.as_ref().map(|p| p.expose().to_owned()),
    }))
}

/// Written to the ledger before anything is shown.
pub(super) async fn reveal(
    State(shared): State<Arc<Shared>>,
    Path((session, participation)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (form, current_user) = actions::from_operator(&shared, &headers, body).await?;
    let (session, id) = (SessionId(number(&session)?), ParticipationId(number(&participation)?));
    let now = shared.office.clock.now();
    let detail = format!("session {session}, participation {id}, by {}", current_user.name());
    shared.office.desk.outbox.record_event_about(now, Event::Reveal, &detail, Some((session, id))).await?;
    shared.auth()?.reveal(&current_user, (session, id), now);
    Ok(page::see(&actions::back(&form, &format!("/sessions/{session}/{id}"))))
}
