//! One notice: where it is, how often it was tried, and its message.
//!
//! What may still go is rendered as it would be now, by the live path; what went is shown as it went, from its frozen bytes. Those hold the code
//! as it was then, which nothing here could mask with certainty: they are shown once an operator revealed that participant.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::shown::{Frame, NoticeRow, ShownAttempt};
use super::{PageContext, Trouble};
use crate::desk::decided;
use crate::desk::message::{self, MessageView, Sees};
use crate::desk::notices::{OpenedNotice, open};
use crate::entry::{Entry, State as NoticeState};
use crate::notice::NoticeKey;
use crate::outbox::Action;
use crate::web::{Shared, page};

#[derive(Template)]
#[template(path = "web/notice.html")]
struct Page {
    frame: Frame,
    notice: NoticeRow,
    attempts: Vec<ShownAttempt>,
    reference: Option<String>,
    server_reply: Option<String>,
    letter: Option<MessageView>,
    /// Why there is none.
    no_letter: Option<String>,
    /// It is as it was made, and not as it would be made.
    frozen: bool,
    /// And it was handed over, as far as anybody knows.
    went: bool,
    revealed: bool,
    /// There is something to reveal.
    hidden: bool,
    /// What was just done with it, and how it is taken back.
    done: Option<Undoable>,
}

/// A deed that can be taken back.
struct Undoable {
    says: &'static str,
    undo: &'static str,
}

impl Undoable {
    /// Of the page's address, as long as it holds.
    fn of(query: Option<&str>, entry: &Entry) -> Option<Self> {
        let act = Action::from_word(query?.strip_prefix("done=")?)?;
        let (says, undo) = match (act, entry.state) {
            (Action::Hold, NoticeState::Held) => ("Held: it is not sent until somebody releases it.", Action::Release),
            (Action::Cancel, NoticeState::Cancelled) => ("It will not be sent.", Action::Restore),
            (Action::CancelTold, NoticeState::Cancelled) => ("It will not be sent, and counts as told.", Action::Restore),
            _ => return None,
        };
        Some(Self { says, undo: undo.as_str() })
    }
}

pub(super) async fn notice(
    State(shared): State<Arc<Shared>>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let opened = opened(&context, &key).await?;
    let about = (opened.entry.notice.session, opened.entry.notice.participation);
    let (letter, frozen, revealed) = letter_of(&context, &opened).await?;
    if context.names || revealed {
        shared.looked(context.current_user.name(), "a message", Some(about)).await?;
    }
    let (letter, no_letter) = match letter {
        Ok(letter) => (Some(letter), None),
        Err(why) => (None, Some(why)),
    };
    let office = context.office;
    let people = context.people(&[about]).await?;
    let facts = Page {
        frame: context.frame(&shared, "sessions").await?,
        done: Undoable::of(query.as_deref(), &opened.entry).filter(|_| context.current_user.is_operator()),
        notice: NoticeRow::of(&opened.entry, &people, context.showing())
            .after(&opened, office)
            .by(decided::of(&office.desk, &opened.entry).await?, office),
        attempts: opened.shown.deliveries.iter().map(|d| ShownAttempt::of(d, opened.entry.notice.address.channel(), office)).collect(),
        reference: opened.shown.reference,
        server_reply: opened.shown.notice.server_reply,
        letter,
        no_letter,
        frozen,
        went: frozen && matches!(opened.entry.state, NoticeState::Accepted | NoticeState::Unknown),
        revealed,
        hidden: !frozen || opened.content.is_some(),
    };
    let notice = &opened.entry.notice;
    let until = context.current_user.login.revealed((notice.session, notice.participation), context.now);
    Ok(page::hidden_at(page::render(StatusCode::OK, &facts), until, context.now))
}

/// The HTML of its e-mail, for the frame.
pub(super) async fn message(State(shared): State<Arc<Shared>>, Path(key): Path<String>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = shared.context(&headers)?;
    let opened = opened(&context, &key).await?;
    match letter_of(&context, &opened).await?.0 {
        Ok(MessageView { html: Some(html), .. }) => Ok(page::message(context.office.renderer.pictured(&html))),
        _ => Err(Trouble::NotFound("This message has no page.")),
    }
}

pub(super) async fn opened(context: &PageContext<'_>, key: &str) -> Result<OpenedNotice, Trouble> {
    let nothing = || Trouble::NotFound("There is no such notice, or it was removed after its time.");
    let key: NoticeKey = key.parse().map_err(|_| nothing())?;
    open(&context.office.desk, key).await?.ok_or_else(nothing)
}

/// The message, or why it is not shown; whether it is the frozen one; whether it is revealed.
async fn letter_of(context: &PageContext<'_>, opened: &OpenedNotice) -> Result<(Result<MessageView, String>, bool, bool), Trouble> {
    let notice = &opened.entry.notice;
    let revealed = context.current_user.login.revealed((notice.session, notice.participation), context.now).is_some();
    if opened.entry.state.pending() {
        let office = context.office;
        let sees = match (revealed, context.names) {
            (true, _) => Sees::All,
            (false, true) => Sees::Host,
            (false, false) => Sees::Nobody,
        };
        let letter = message::planned(&office.desk, &office.renderer, &opened.entry, sees, context.now).await?;
        return Ok((letter, false, revealed));
    }
    let letter = match &opened.content {
        None => Err("Its text is not kept: it never went, or its time of keeping is over.".to_owned()),
        Some(_) if !revealed => Err("It holds name and code. An operator can reveal it.".to_owned()),
        Some(bytes) => message::sent(notice.address.channel(), bytes),
    };
    Ok((letter, true, revealed))
}
