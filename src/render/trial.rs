//! Templates that somebody changes: what their messages would be, for invented people, before anything is saved; and how they come into force.
//!
//! In: the text of one template in place of what stands in the practice's folder. Out: a [`Renderer`] of its own, samples of its messages, and what is
//! wrong with it. Invariants: whoever holds a renderer renders each message with one set of templates; the codes of everybody stay with it whichever
//! set is in force.
//!
//! Failures: a template that cannot be compiled, or a sample that cannot be rendered.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::templates::{self, FOLDERS, answer_file};
use super::{RenderError, Rendered, Renderer, frugal, lint};
use crate::contact::Channel;
use crate::feedback::answer::Answer;
use crate::notice::Occasion;
use crate::session::Role;

/// What a template is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Messages of that kind: a folder of [`kinds`].
    Message(&'static str),
    /// All messages of a language, or of all languages: its own look, its calendar entries.
    All,
    /// An answer to somebody's text.
    Answer(Answer),
    /// The letter to the practice.
    Staff,
}

/// The kinds of messages, by their folders: `invite`, `meet_now`, `reminder`, ...
pub fn kinds() -> [&'static str; 7] {
    FOLDERS
}

/// What a template of that path is part of, and its locale; no locale: of all. `None`: no message uses a file of that name.
pub fn part_of(file: &str) -> Option<(TemplatePart, Option<&str>)> {
    if !templates::is_used(file) {
        return None;
    }
    let (first, rest) = file.split_once('/')?;
    Some(match first {
        "layout" => (TemplatePart::All, None),
        "staff" => (TemplatePart::Staff, None),
        locale => {
            let kind = FOLDERS.into_iter().find(|kind| rest.split('/').next() == Some(kind)).map(TemplatePart::Message);
            let answer = || Answer::ALL.into_iter().find(|answer| answer_file(*answer) == rest).map(TemplatePart::Answer);
            (kind.or_else(answer).unwrap_or(TemplatePart::All), Some(locale))
        }
    })
}

impl Renderer {
    /// The practice's own templates: `[templates] dir`.
    pub fn own_templates(&self) -> Option<&Path> {
        self.settings.template_dir.as_deref()
    }

    /// Another one with the same settings, and with that text in place of a template of the folder, which is read anew. All errors at once.
    pub fn with_template(&self, file: &str, text: &str) -> Result<Self, Vec<String>> {
        if let Some(why) = frugal::too_much(text) {
            return Err(vec![format!("{file}: {why}")]);
        }
        let other = Self::reading(self.settings.clone(), Some((file, text)))?;
        other.live_codes().share(self.live_codes());
        Ok(other)
    }

    /// That one makes all messages from now on, for whoever holds this one.
    pub fn take_over(&self, next: Self) {
        *self.next.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(next));
    }

    /// The one that took over.
    pub(super) fn successor(&self) -> Option<Arc<Self>> {
        self.next.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every locale that there are templates for.
    pub fn locales(&self) -> Vec<String> {
        self.library.locales().map(str::to_owned).collect()
    }

    /// What is in force for a template.
    pub fn source(&self, file: &str) -> Option<String> {
        match self.successor() {
            Some(next) => next.source(file),
            None => self.library.source(file).map(str::to_owned),
        }
    }

    /// The part of [`Renderer::lint`] that a template has to do with.
    pub fn lint_of(&self, file: &str) -> Vec<String> {
        match part_of(file) {
            Some((TemplatePart::Message(kind), Some(of))) => lint::run(self, |locale, folder| (locale, folder) == (of, kind)),
            Some((TemplatePart::Answer(_) | TemplatePart::Staff, _)) => lint::run(self, |_, _| false),
            // A language that has no such ending of its own takes another one's.
            Some((TemplatePart::All, Some(of))) if !file.ends_with(templates::END) => lint::run(self, |locale, _| locale == of),
            _ => self.lint(),
        }
    }

    /// A message of that kind to an invented person, in that language. Nothing is made of a kind that there is not.
    pub fn sample(&self, locale: &str, kind: &str, role: Role, channel: Channel) -> Result<Rendered, RenderError> {
        let all = Occasion::ALL.map(|occasion| (occasion, false)).into_iter().chain([(Occasion::Invite, true)]);
        let found = all.into_iter().find(|(occasion, meet_now)| templates::folder(*occasion, *meet_now) == kind);
        let unknown = || RenderError::Template { file: kind.to_owned(), why: "there is no such kind of message".to_owned() };
        lint::sample(self, locale, found.ok_or_else(unknown)?, (role, channel))
    }
}
