//! Send again, what was accepted or refused, to its own address or to another one: a page that says what will happen, and the deed.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::notice::opened;
use super::shown::{Frame, NoticeRow};
use super::{PageContext, actions};
use crate::contact::{Address, Channel};
use crate::desk::called;
use crate::desk::notices::OpenedNotice;
use crate::desk::resend::{ResendRequest, ResendResult, resend, silenced};
use crate::known::resend::Resent;
use crate::web::Shared;
use crate::web::page::{self, Trouble};

#[derive(Template)]
#[template(path = "web/resend.html")]
struct Page {
    frame: Frame,
    notice: NoticeRow,
    /// Why it was not done.
    refusal: Option<String>,
    /// Why its own address will not do.
    own: Option<&'static str>,
    /// For the browser: what is typed.
    is_mail: bool,
}

impl Page {
    async fn of(context: &PageContext<'_>, shared: &Shared, opened: &OpenedNotice, refusal: Option<String>) -> Result<Self, Trouble> {
        let address = &opened.entry.notice.address;
        let people = context.people(&[(opened.entry.notice.session, opened.entry.notice.participation)]).await?;
        let own = silenced(&context.office.desk, address).await?.and_then(|kind| ResendResult::Suppressed(kind).in_words());
        Ok(Self {
            frame: context.frame(shared, "sessions").await?,
            notice: NoticeRow::of(&opened.entry, &people, context.showing()),
            refusal,
            own,
            is_mail: address.channel() == Channel::Email,
        })
    }
}

pub(super) async fn page(State(shared): State<Arc<Shared>>, Path(key): Path<String>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let opened = opened(&context, &key).await?;
    Ok(page::render(StatusCode::OK, &Page::of(&context, &shared, &opened, None).await?))
}

/// Hands it over again.
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Trouble> {
    let (form, current_user) = actions::from_operator(&shared, &headers, body).await?;
    let context = shared.context(&headers)?;
    let opened = opened(&context, &key).await?;
    let to = match form.get("to").trim() {
        "" => Ok(None),
        typed => Address::parse(typed, &context.office.desk.policy.region).map(Some),
    };
    let refusal = match to {
        Err(why) => format!("The other address cannot be used: {why}"),
        Ok(to) => {
            let wish = ResendRequest {
                keys: vec![opened.entry.notice.key],
                to,
                who: Some(called::with_reason(current_user.name(), form.get("reason"))),
            };
            let (of, now) = (Arc::clone(&shared), context.now);
            let answers = crate::web::to_the_end(async move { resend(&of.office.desk, &wish, now).await }).await??;
            match answers.first().map(|(_, answer)| *answer) {
                Some(ResendResult::Store(Resent::As(new))) => {
                    shared.intake.wake();
                    return Ok(page::see(&format!("/notices/{new}")));
                }
                refused => refused.and_then(ResendResult::in_words).unwrap_or_default().to_owned(),
            }
        }
    };
    Ok(page::render(StatusCode::CONFLICT, &Page::of(&context, &shared, &opened, Some(refusal)).await?))
}
