//! Remind now: a page that says what will happen, and the deed.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::shown::session::Named;
use super::shown::{Frame, Moment, moment};
use super::{PageContext, actions, number};
use crate::contact::Channel;
use crate::desk::remind::{RemindRequest, RemindResult, remind, would};
use crate::notice::Occasion;
use crate::plan::asked::NotNow;
use crate::session::{ParticipationId, SessionId};
use crate::web::Shared;
use crate::web::page::{self, Trouble};

#[derive(Template)]
#[template(path = "web/remind.html")]
struct Page {
    frame: Frame,
    session: i64,
    participation: i64,
    who: Named,
    /// What would go; `None`: nothing does.
    goes: Option<Goes>,
    refusal: Option<String>,
    /// It may go all the same, if somebody says so: these are quiet hours where they are.
    night: bool,
}

struct Goes {
    channel: &'static str,
    to: String,
    /// The session runs: they are told that it has begun.
    runs: bool,
    start: Moment,
}

fn wish(session: &str, participation: &str) -> Result<RemindRequest, Trouble> {
    let (session, id) = (SessionId(number(session)?), ParticipationId(number(participation)?));
    Ok(RemindRequest { session, participation: Some(id), at_night: false, who: None, why: String::new() })
}

impl Page {
    async fn of(context: &PageContext<'_>, shared: &Shared, wish: &RemindRequest, answer: &RemindResult) -> Result<Self, Trouble> {
        let night = answer.result.as_ref().is_err_and(NotNow::is_night);
        // What goes if they say so.
        let by_night = RemindRequest { at_night: true, ..wish.clone() };
        let asked = if night { would(&context.office.desk, &by_night, context.now).await?.pop() } else { None };
        let goes = asked.as_ref().unwrap_or(answer).result.as_ref().ok().map(|notice| Goes {
            channel: match notice.address.channel() {
                Channel::Email => "e-mail",
                Channel::Sms => "text message",
            },
            to: notice.address.to_string(),
            runs: notice.occasion == Occasion::NotJoined,
            start: moment(notice.start, &context.office.zone),
        });
        let refusal = answer.result.as_ref().err().map(NotNow::in_words);
        let frame = context.frame(shared, "sessions").await?;
        let place = (wish.session, answer.participation);
        let who = Named::of(place, &context.people(&[place]).await?, context.showing());
        let (session, participation) = (place.0.0, place.1.0);
        Ok(Self { frame, session, participation, who, night: night && goes.is_some(), goes, refusal })
    }
}

fn none() -> Trouble {
    Trouble::NotFound("Punctual knows no such participant, or no longer: the session may be over.")
}

pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Path((session, participation)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let wish = wish(&session, &participation)?;
    let answer = would(&context.office.desk, &wish, context.now).await?.pop().ok_or_else(none)?;
    Ok(page::render(StatusCode::OK, &Page::of(&context, &shared, &wish, &answer).await?))
}

pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((session, participation)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (form, current_user) = actions::from_operator(&shared, &headers, body).await?;
    let asked = RemindRequest {
        at_night: form.get("in_quiet_hours") == "yes",
        who: Some(current_user.name().to_owned()),
        why: form.get("reason").to_owned(),
        ..wish(&session, &participation)?
    };
    let (of, now, whole) = (Arc::clone(&shared), shared.office.clock.now(), asked.clone());
    let mut answers = crate::web::to_the_end(async move { remind(&of.office.desk, &whole, now).await }).await??;
    let answer = answers.pop().ok_or_else(none)?;
    if let Ok(notice) = &answer.result {
        shared.intake.wake();
        return Ok(page::see(&format!("/notices/{}", notice.key)));
    }
    let context = shared.context(&headers)?;
    Ok(page::render(StatusCode::CONFLICT, &Page::of(&context, &shared, &asked, &answer).await?))
}
