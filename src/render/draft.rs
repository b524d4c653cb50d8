//! One message in the making: the texts are rendered and put into their form. (For text messages: [`super::text`].)
//!
//! In: the [`View`] of a notice. Out: the final content and its parts, not yet past the gate.
//!
//! Failures: a template that cannot be rendered.

use chrono::{DateTime, Utc};

use super::calendar::{self, CalendarEvent, Invited, Method};
use super::context::{self, View};
use super::templates::{self, File};
use super::{Facts, Parts, RenderError, Renderer, mail, one_line};
use crate::contact::{EmailAddress, clean_line};
use crate::message::Content;
use crate::notice::Occasion;

/// A notice on its way to a message.
pub(super) struct Draft<'a> {
    pub(super) renderer: &'a Renderer,
    pub(super) facts: &'a Facts<'a>,
    pub(super) view: View,
    pub(super) now: DateTime<Utc>,
}

impl Draft<'_> {
    /// The e-mail; `reference` is the part of its Message-ID before the `@`.
    pub(super) fn email(&self, to: &EmailAddress, reference: &str) -> Result<(Content, Parts), RenderError> {
        let settings = &self.renderer.settings;
        let context = self.view.context(&self.renderer.practice);
        let render = |file| self.renderer.library.render(&self.view.locale, self.folder(), file, &context);
        let subject = one_line(&render(File::Subject)?);
        let text = tidy(&render(File::Text)?);
        let html = render(File::Html)?;
        let message_id = format!("<{reference}@{}>", settings.from.domain());
        let logo_id = context::logo_id(settings);
        let bytes = mail::write(&mail::MailParts {
            from: (&settings.from_name, &settings.from),
            reply_to: settings.reply_to.as_ref(),
            to: (&self.view.recipient.name, to),
            subject: &subject,
            date: self.now,
            message_id: &message_id,
            reference,
            boundary: &self.renderer.derive(&[b"boundary", &self.facts.notice.key.0]),
            locale: &self.view.locale,
            text: &text,
            html: &html,
            logo: settings.look.shown_in(&html, &logo_id),
            calendar: Some((self.method(), &self.calendar(to, &context)?)),
        })
        .and_then(|bytes| match &settings.dkim {
            Some(dkim) => dkim.sign(&bytes, self.now),
            None => Ok(bytes),
        })
        .map_err(|why| RenderError::Template { file: format!("{}/{}", self.view.locale, self.folder()), why })?;
        let from = settings.return_path.as_ref().and_then(|path| verp(path, reference)).unwrap_or_else(|| settings.from.clone());
        let content = Content::Email { from, to: to.clone(), bytes: bytes.into() };
        Ok((content, Parts::Email { message_id, subject, text, html }))
    }

    fn calendar(&self, to: &EmailAddress, context: &tera::Context) -> Result<String, RenderError> {
        let (facts, settings) = (self.facts, &self.renderer.settings);
        // From a reader who has neither: no template can show them.
        let without = (!settings.calendar_code).then(|| self.view.without_code().context(&self.renderer.practice));
        let (summary, description) = self.renderer.library.render_calendar(&self.view.locale, without.as_ref().unwrap_or(context))?;
        let has_link = self.method() == Method::Request && settings.calendar_code;
        let (session, person) = (facts.session.id.0.to_be_bytes(), facts.participant.id.0.to_be_bytes());
        let start = context::start(facts);
        Ok(calendar::write(&CalendarEvent {
            method: self.method(),
            uid: &format!("{}@{}", self.renderer.derive(&[b"calendar", &session, &person]), settings.from.domain()),
            sequence: facts.sequence,
            stamp: self.now,
            start,
            end: start + facts.session.duration.unwrap_or(settings.default_duration),
            summary: &one_line(&summary),
            description: tidy(&description).trim_end(),
            url: if has_link { &self.view.recipient.join_url } else { "" },
            organizer: Invited { name: &clean_line(&settings.from_name), address: settings.from.expose() },
            attendee: Invited { name: &self.view.recipient.name, address: to.expose() },
        }))
    }

    pub(super) fn folder(&self) -> &'static str {
        templates::folder(self.facts.notice.occasion, self.facts.meet_now)
    }

    fn method(&self) -> Method {
        if self.facts.notice.occasion == Occasion::Cancelled { Method::Cancel } else { Method::Request }
    }
}

/// Variable envelope return path: `bounces+REFERENCE@practice.example`, so that a bounce names its message whatever it holds. `None`: no such
/// address can be.
fn verp(path: &EmailAddress, reference: &str) -> Option<EmailAddress> {
    let (local, domain) = path.expose().rsplit_once('@')?;
    EmailAddress::parse(&format!("{local}+{reference}@{domain}")).ok()
}

pub(super) fn tera_context(view: &View) -> tera::Context {
    tera::Context::from_serialize(view).expect("a view is a map of texts, lists and flags")
}

/// A text as it should arrive: no space at the end of a line, no more than one empty line, one line feed at the end.
pub(super) fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = true;
    for line in text.lines().map(str::trim_end) {
        if !line.is_empty() {
            out.push_str(line);
            out.push('\n');
        } else if !empty {
            out.push('\n');
        }
        empty = line.is_empty();
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
