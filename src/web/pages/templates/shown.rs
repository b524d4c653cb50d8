//! What the page of a template gets.

use serde::Serialize;

use super::super::shown::{Frame, Moment};
use crate::render::{Parts, RenderError, Rendered};

#[derive(Serialize)]
pub(super) struct Edit {
    pub(super) frame: Frame,
    /// Its path: `en-US/invite/sms.txt`.
    pub(super) file: String,
    /// The practice has a copy of its own.
    pub(super) own: bool,
    /// The messages are made of what stands in the folder.
    pub(super) in_force: bool,
    /// Names the text that stands in the folder.
    pub(super) was: String,
    /// What is edited: the draft, or what stands there.
    pub(super) text: String,
    /// Lines that the field shows.
    pub(super) rows: usize,
    /// It says something else than what came with the program.
    pub(super) shipped: bool,
    /// What is edited is not saved.
    pub(super) draft: bool,
    pub(super) query: String,
    /// The languages that it can be shown in: of a template that is for all of them.
    pub(super) locales: Vec<String>,
    pub(super) locale: String,
    /// It is shown as a host gets it.
    pub(super) host: bool,
    /// What it said before.
    pub(super) versions: Vec<Earlier>,
    /// It was just saved, and this brings back what was before.
    pub(super) undo: Option<String>,
    pub(super) saved: bool,
    /// Why it was not saved: a problem in each line.
    pub(super) refusal: Option<String>,
    pub(super) seen: Seen,
}

/// What a template said before.
#[derive(Serialize)]
pub(super) struct Earlier {
    pub(super) id: String,
    pub(super) until: Moment,
    /// Who changed it then.
    pub(super) by: String,
}

/// What the text would make.
#[derive(Serialize)]
pub(super) struct Seen {
    /// Why nothing can be made of it.
    pub(super) problems: Vec<String>,
    pub(super) sample: Option<Sample>,
}

/// Messages to somebody invented.
#[derive(Serialize, Default)]
pub(super) struct Sample {
    pub(super) subject: Option<String>,
    pub(super) text: Option<String>,
    /// Shown in a frame of its own.
    #[serde(skip)]
    pub(super) html: Option<String>,
    /// The text message, and how many parts it takes.
    pub(super) bubble: Option<String>,
    pub(super) segments: Option<u32>,
    /// Why one of them cannot be made.
    pub(super) problems: Vec<String>,
}

impl Sample {
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
