//! Before a deed: what will happen, whether it can be undone, and why it is done. The form of the page does it ([`actions`]).

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::shown::session::Named;
use super::shown::{Frame, capital};
use super::{PageContext, Trouble, actions, notice, number};
use crate::desk::{what, words};
use crate::entry::{Entry, State as NoticeState};
use crate::guard::{seen_as, sessions_of};
use crate::outbox::Action;
use crate::session::{ParticipationId, SessionId};
use crate::suppression::Suppression;
use crate::web::auth::Form;
use crate::web::{Shared, page};

#[derive(Template)]
#[template(path = "web/confirm.html")]
struct Confirm {
    frame: Frame,
    /// `Do not send this message?`
    title: String,
    /// Whom it is about.
    about: String,
    will: String,
    /// Whether it can be undone.
    undo: Option<String>,
    /// Where the form goes.
    action: String,
    /// Whence, and whither if it is left as it is.
    back: String,
    /// What the reason is called; none: it is not asked for.
    label: &'static str,
    button: &'static str,
    /// What else the form holds: its name, and what it says.
    hidden: Vec<(&'static str, String)>,
}

/// `/notices/{key}/{act}`
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((key, act)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = operator(&shared, &headers)?;
    let act = Action::from_word(&act).ok_or(Trouble::NotFound("There is nothing at this address."))?;
    let entry = notice::opened(&context, &key).await?.entry;
    let words = in_words(act, &entry, &context);
    let n = &entry.notice;
    let place = (n.session, n.participation);
    let who = Named::of(place, &context.people(&[place]).await?, context.showing());
    let start = words::clock(n.start, &context.office.zone, context.now);
    let form = Form::parse(query.unwrap_or_default().as_bytes());
    let facts = Confirm {
        frame: context.frame(&shared, "sessions").await?,
        title: words.title.to_owned(),
        about: format!("{} for {}; the session starts at {start}.", capital(&what(n.occasion, n.rule.as_deref())), who.title),
        will: words.will.to_owned(),
        undo: words.undo,
        action: format!("/notices/{key}/{}", act.as_str()),
        back: actions::back(&form, &format!("/notices/{key}")),
        label: "Why? (may be left empty)",
        button: words.button,
        hidden: Vec::new(),
    };
    Ok(page::render(StatusCode::OK, &facts))
}

/// `/sessions/{id}/{participation}/called`
pub(super) async fn called(
    State(shared): State<Arc<Shared>>,
    Path((session, participation)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = operator(&shared, &headers)?;
    let place = (SessionId(number(&session)?), ParticipationId(number(&participation)?));
    let people = context.people(&[place]).await?;
    let who = Named::of(place, &people, context.showing());
    let start = people.get(&place).and_then(|who| who.start).map(|start| words::clock(start, &context.office.zone, context.now));
    let form = Form::parse(query.unwrap_or_default().as_bytes());
    let facts = Confirm {
        frame: context.frame(&shared, "unreachable").await?,
        title: format!("You called {}?", who.title),
        about: start.map_or_else(String::new, |start| format!("Their session starts at {start}.")),
        will: "They move from “To call” to “Called”, for everybody who opens the page. Nothing is sent, and nothing is held back."
            .to_owned(),
        undo: None,
        action: format!("/sessions/{session}/{participation}/called"),
        back: actions::back(&form, "/unreachable"),
        label: "What was agreed? (may be left empty)",
        button: "I called them",
        hidden: Vec::new(),
    };
    Ok(page::render(StatusCode::OK, &facts))
}

/// `/guard/accept?source=...`, `/guard/reject?source=...`
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    uri: axum::http::Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = operator(&shared, &headers)?;
    let source = Form::parse(query.unwrap_or_default().as_bytes()).get("source").to_owned();
    let rows = context.office.desk.outbox.guards().await?;
    let theirs = || rows.iter().filter(|row| row.source == source);
    let count = sessions_of(theirs());
    if count == 0 {
        return Err(Trouble::Conflict("Nothing of this source waits any more."));
    }
    let accepts = uri.path().ends_with("accept");
    let (title, will, button) = if accepts {
        (
            "Accept all of it?",
            "The list is believed as it is now: whoever is not in it any more is told that their session is cancelled, whoever has another time, code or address is told there.",
            "It is right: accept all",
        )
    } else {
        (
            "Go on as before?",
            "Messages go out as the list stood before, to the people, times and addresses of then, until the source says something else.",
            "It is wrong: go on as before",
        )
    };
    let facts = Confirm {
        frame: context.frame(&shared, "attention").await?,
        title: title.to_owned(),
        about: format!("{count} session{} of \u{201c}{source}\u{201d}.", if count == 1 { "" } else { "s" }),
        will: will.to_owned(),
        undo: Some("What is sent then cannot be taken back.".to_owned()),
        action: uri.path().to_owned(),
        back: "/attention".to_owned(),
        label: "",
        button,
        hidden: vec![("seen", seen_as(theirs())), ("source", source.clone())],
    };
    Ok(page::render(StatusCode::OK, &facts))
}

/// `/blocked/{key}/remove`
pub(super) async fn unblock(State(shared): State<Arc<Shared>>, Path(key): Path<String>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = operator(&shared, &headers)?;
    let listed = context.office.desk.outbox.suppressed().await?.into_iter().find(|one| one.key == key);
    let listed = listed.ok_or(Trouble::Conflict("It is not on the list any more."))?;
    let will = match listed.kind {
        Suppression::OptedOut => {
            "Messages go there again. Its owner asked for no more: do this only if they ask for messages themselves, or by mistake were put on the list."
        }
        Suppression::Bounced => "Messages go there again. If it still does not take them, it comes back onto the list.",
    };
    let facts = Confirm {
        frame: context.frame(&shared, "blocked").await?,
        title: format!("Take {} off the list?", listed.shown),
        about: String::new(),
        will: will.to_owned(),
        undo: None,
        action: format!("/blocked/{key}/remove"),
        back: "/blocked".to_owned(),
        label: "Why? (may be left empty)",
        button: "Take it off the list",
        hidden: Vec::new(),
    };
    Ok(page::render(StatusCode::OK, &facts))
}

pub(super) fn operator<'a>(shared: &'a Shared, headers: &HeaderMap) -> Result<PageContext<'a>, Trouble> {
    let context = shared.context(headers)?;
    if context.current_user.is_operator() { Ok(context) } else { Err(Trouble::Forbidden("Viewers may look, and not act.")) }
}

struct ConfirmWords {
    title: &'static str,
    will: &'static str,
    undo: Option<String>,
    button: &'static str,
}

fn in_words(act: Action, entry: &Entry, context: &PageContext<'_>) -> ConfirmWords {
    let until = words::clock(entry.notice.useful_until, &context.office.zone, context.now);
    let undo = || Some(format!("You can take it back until {until}, on the message’s page."));
    let of = |title, will, undo, button| ConfirmWords { title, will, undo, button };
    match (act, entry.state) {
        (Action::Hold, _) => {
            of("Hold this message?", "It waits until somebody releases it. If nobody does in time, it is not sent.", undo(), "Hold it")
        }
        (Action::Cancel, _) => of(
            "Do not send this message?",
            "It is not sent, and not planned again. Nobody is told that it is not.",
            undo(),
            "Do not send it",
        ),
        (Action::CancelTold, _) => of(
            "You told them by phone?",
            "This message is not sent, and what it says counts as told: if anything changes later, they hear of the change.",
            undo(),
            "I told them",
        ),
        (Action::Release, _) => of("Send this message?", "It is sent at its time, or at once if that is past.", None, "Send it"),
        (Action::Restore, _) => {
            of("Send it after all?", "It is planned again, and sent at its time, or at once if that is past.", undo(), "Plan it again")
        }
        (Action::Retry, NoticeState::Unknown) => {
            of("Send it again?", "Nobody knows whether the first one arrived: they may get the same message twice.", None, "Send it again")
        }
        (Action::Retry, _) => of("Try it now?", "It waits for nothing: a server that pauses is asked again.", None, "Try now"),
    }
}
