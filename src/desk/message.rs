//! The message of a notice, for people to read: as it would be made now, or as it went.

use chrono::{DateTime, Utc};
use mailparse::{MailHeaderMap, ParsedMail};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Desk, Unanswered};
use crate::contact::{Channel, PersonName};
use crate::entry::{Entry, State};
use crate::message::SmsEncoding;
use crate::preview::{PreviewLine, PreviewRequest, lines};
use crate::render::{Renderer, sms_size};
use crate::session::{Role, Snapshot};

/// A message's parts.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = Letter)]
pub struct MessageView {
    /// E-mail: decoded.
    pub subject: Option<String>,
    /// E-mail: the text part.
    pub text: Option<String>,
    /// E-mail: the HTML part.
    pub html: Option<String>,
    /// The text message.
    pub sms: Option<String>,
    /// `gsm7` or `ucs2`
    pub encoding: Option<&'static str>,
    /// Parts on the air.
    pub segments: Option<u32>,
    /// BCP 47.
    pub locale: Option<String>,
}

/// What whoever looks may see of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// All of it: it was revealed.
    All,
    /// Whom its reader meets: neither their name, code, passkey nor topic.
    Host,
    /// Nobody's name at all.
    Nobody,
}

/// As it would be made, by the live path; `Err`: it would not be, and why.
pub async fn planned(
    desk: &Desk,
    renderer: &Renderer,
    entry: &Entry,
    sees: Sees,
    now: DateTime<Utc>,
) -> Result<Result<MessageView, String>, Unanswered> {
    let notice = &entry.notice;
    let seen = desk.session(notice.session, now).await?.into_iter().find(|seen| seen.source == entry.source);
    let Some(mut seen) = seen else { return Ok(Err("The session is not kept any more.".to_owned())) };
    if sees == Sees::Nobody {
        let hosts = seen.session.participants.iter_mut().filter(|person| person.role == Role::Host && !person.name.expose().is_empty());
        hosts.for_each(|host| host.name = PersonName::clean("(host)"));
    }
    let theirs = seen.known.values_mut().flat_map(|known| &mut known.notices).filter(|held| held.notice.key == notice.key);
    // As it would be, if somebody released it.
    theirs.filter(|held| held.state == State::Held).for_each(|held| held.state = State::Waiting);
    let suppressed = desk.suppressions().await?;
    let all = lines(PreviewRequest {
        snapshot: &Snapshot { sessions: vec![seen.session], ..Snapshot::default() },
        known: seen.known,
        policy: &desk.policy,
        suppressed: &suppressed,
        renderer,
        now,
        until: None,
        session: Some(notice.session.0),
        participant: Some(notice.participation.0),
        reveal: sees == Sees::All,
    });
    let about = |line: &&PreviewLine| line.occasion.is_none_or(|o| o == notice.occasion.as_str() && line.rule == notice.rule);
    Ok(match all.into_iter().find(|line| about(&line)) {
        Some(line) if line.verdict == "send" => Ok(line.into()),
        Some(line) => Err(match line.detail {
            Some(detail) => format!("It would not go now: {} ({detail}).", line.reason.unwrap_or_default()),
            None => format!("It would not go now: {}.", line.reason.unwrap_or_default()),
        }),
        None => Err("It would not go now: the session says something else.".to_owned()),
    })
}

/// As it went: from the final bytes. They hold everything.
pub fn sent(channel: Channel, bytes: &[u8]) -> Result<MessageView, String> {
    let unreadable = || "Its bytes cannot be read.".to_owned();
    if channel == Channel::Sms {
        let text = std::str::from_utf8(bytes).map_err(|_| unreadable())?;
        let (encoding, segments) = sms_size(text);
        return Ok(MessageView {
            sms: Some(text.to_owned()),
            encoding: Some(word(encoding)),
            segments: Some(segments),
            ..MessageView::default()
        });
    }
    let mail = mailparse::parse_mail(bytes).map_err(|_| unreadable())?;
    Ok(MessageView {
        subject: mail.headers.get_first_value("Subject"),
        text: part(&mail, "text/plain"),
        html: part(&mail, "text/html"),
        ..MessageView::default()
    })
}

/// The first part of that type.
fn part(mail: &ParsedMail<'_>, kind: &str) -> Option<String> {
    if mail.subparts.is_empty() {
        return (mail.ctype.mimetype == kind).then(|| mail.get_body().ok()).flatten();
    }
    mail.subparts.iter().find_map(|sub| part(sub, kind))
}

impl From<PreviewLine> for MessageView {
    fn from(line: PreviewLine) -> Self {
        Self {
            subject: line.subject,
            text: line.text,
            html: line.html,
            sms: line.sms,
            encoding: line.encoding.map(word),
            segments: line.segments,
            locale: line.locale,
        }
    }
}

fn word(encoding: SmsEncoding) -> &'static str {
    match encoding {
        SmsEncoding::Gsm7 => "gsm7",
        SmsEncoding::Ucs2 => "ucs2",
    }
}
