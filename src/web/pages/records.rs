//! Records at fault: whose they are, what stands there, what to do, since when.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::shown::session::{Call, Showing};
use super::shown::{Frame, Moment};
use super::{PageContext, Trouble};
use crate::desk::people::Who;
use crate::session::{Fault, ParticipationId, SessionId};
use crate::web::Shared;
use crate::web::page;

/// A record at fault.
pub(super) struct Bad {
    pub session: Option<i64>,
    pub participation: Option<i64>,
    pub source: String,
    /// `Sam Reed, with Dr. Ada Finch`
    pub whose: String,
    /// `The start time reads “tomorrow at 3”`
    pub says: String,
    /// What was expected, for whoever looks after the records.
    pub detail: String,
    pub since: Option<Moment>,
    pub call: Option<Call>,
    /// Whoever else is meant, if the error is about the whole session.
    pub people: Vec<Callable>,
}

/// Somebody of a record that cannot be read.
pub(super) struct Callable {
    pub name: String,
    pub call: Call,
}

impl Bad {
    fn of(source: &str, fault: &Fault, showing: Showing<'_>) -> Self {
        let told = showing.office.records.of(source, fault, &showing.office.desk.policy.region);
        let name = |name: Option<&crate::contact::PersonName>| name.map(|n| n.expose().to_owned()).filter(|_| showing.names);
        let whose = match (name(told.name.as_ref()), name(told.host.as_ref()), fault.session) {
            (Some(name), Some(host), _) if name != host => format!("{name}, with {host}"),
            (Some(name), ..) => name,
            (None, Some(host), Some(id)) => format!("{host}, session {id}"),
            (None, _, Some(id)) => format!("Session {id}"),
            (None, ..) => format!("A session of “{source}”"),
        };
        Self {
            session: fault.session.map(|s| s.0),
            participation: fault.participation.map(|p| p.0),
            source: source.to_owned(),
            whose,
            says: told.sentence(),
            detail: fault.to_string(),
            since: told.since.map(|at| super::shown::moment(at, &showing.office.zone)),
            call: Some(Call::of(&told.contacts)).filter(|_| showing.names && fault.participation.is_some()),
            people: fault.session.filter(|_| fault.participation.is_none()).map(|id| callable(id, showing)).unwrap_or_default(),
        }
    }
}

/// Whom nobody else tells, of a session whose record cannot be read.
fn callable(session: SessionId, showing: Showing<'_>) -> Vec<Callable> {
    let people = showing.office.records.people(session, &showing.office.desk.policy.region);
    let ours = people.into_iter().filter(|(_, told_elsewhere)| showing.names && !told_elsewhere);
    let of = |(who, _): (Who, bool)| {
        let name = Some(who.name.expose().to_owned()).filter(|name| !name.is_empty());
        Callable { name: name.unwrap_or_else(|| format!("Participant {}", who.participation)), call: Call::of(&who.contacts) }
    };
    ours.map(of).collect()
}

/// Those of a session, or of a person in it; all of them.
pub(super) async fn bad(context: &PageContext<'_>, of: Option<(SessionId, Option<ParticipationId>)>) -> Result<Vec<Bad>, Trouble> {
    let faults = context.office.desk.outbox.faults().await?;
    let wanted = |fault: &Fault| {
        of.is_none_or(|(session, person)| {
            // What is wrong with the whole of it is wrong for each of them.
            fault.session == Some(session) && (person.is_none() || fault.participation.is_none() || fault.participation == person)
        })
    };
    Ok(faults.iter().filter(|(_, fault)| wanted(fault)).map(|(source, fault)| Bad::of(source, fault, context.showing())).collect())
}

#[derive(Template)]
#[template(path = "web/record.html")]
struct Page {
    pub frame: Frame,
    pub records: Vec<Bad>,
}

/// The page of a session or a person that Punctual knows by its faults alone.
pub(super) async fn page(
    shared: &Shared,
    context: &PageContext<'_>,
    of: (SessionId, Option<ParticipationId>),
    none: &'static str,
) -> Result<Response, Trouble> {
    let records = bad(context, Some(of)).await?;
    if records.is_empty() {
        return Err(Trouble::NotFound(none));
    }
    Ok(page::render(StatusCode::OK, &Page { frame: context.frame(shared, "attention").await?, records }))
}
