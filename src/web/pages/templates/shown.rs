//! What the page of a template gets.

use askama::Template;

use super::super::shown::{Frame, Moment};
use crate::render::{Parts, RenderError, Rendered};

#[derive(Template)]
#[template(path = "web/template.html")]
pub(super) struct EditPage {
    pub frame: Frame,
    /// Its path: `en-US/invite/sms.txt`.
    pub file: String,
    /// The practice has a copy of its own.
    pub own: bool,
    /// The messages are made of what stands in the folder.
    pub in_force: bool,
    /// Names the text that stands in the folder.
    pub was: String,
    /// What is edited: the draft, or what stands there.
    pub text: String,
    /// Lines that the field shows.
    pub rows: usize,
    /// It says something else than what came with the program.
    pub shipped: bool,
    /// What is edited is not saved.
    pub draft: bool,
    pub query: String,
    /// The languages that it can be shown in: of a template that is for all of them.
    pub locales: Vec<String>,
    pub locale: String,
    /// It is shown as a host gets it.
    pub host: bool,
    /// What it said before.
    pub versions: Vec<Earlier>,
    /// It was just saved, and this brings back what was before.
    pub undo: Option<String>,
    pub saved: bool,
    /// Why it was not saved: a problem in each line.
    pub refusal: Option<String>,
    pub seen: TemplateCheck,
}

/// What a template said before.
pub(super) struct Earlier {
    pub id: String,
    pub until: Moment,
    /// Who changed it then.
    pub by: String,
}

/// What the text would make.
pub(super) struct TemplateCheck {
    /// Why nothing can be made of it.
    pub problems: Vec<String>,
    pub sample: Option<SampleMessages>,
}

/// Messages to somebody invented.
#[derive(Default)]
pub(super) struct SampleMessages {
    pub subject: Option<String>,
    pub text: Option<String>,
    /// Shown in a frame of its own.
    pub html: Option<String>,
    /// The text message, and how many parts it takes.
    pub bubble: Option<String>,
    pub segments: Option<u32>,
    /// Why one of them cannot be made.
    pub problems: Vec<String>,
}

impl SampleMessages {
    pub(super) fn take(&mut self, made: Result<Rendered, RenderError>) {
        match made.map(|rendered| rendered.parts) {
            Ok(Parts::Email { subject, text, html, .. }) => {
                (self.subject, self.text, self.html) = (Some(subject), Some(text), Some(html));
            }
            Ok(Parts::Sms { text, segments, .. }) => (self.bubble, self.segments) = (Some(text), Some(segments)),
            Err(why) => self.problems.push(why.to_string()),
        }
    }
}
