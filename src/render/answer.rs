//! Our answers to people's texts: what STOP, HELP and the like get.
//!
//! In: the templates and the practice. Out: the texts of each locale, made once and for all: they hold nothing of whoever is answered, so that
//! what is wrong with one shows at the start.

use std::collections::BTreeMap;

use serde::Serialize;

use super::context::PracticeView;
use super::templates::{Library, language};
use super::{RenderError, Renderer, Settings, one_line, sms};
use crate::feedback::answer::Answer;

/// By locale, in the order of [`Answer::ALL`].
pub(super) type Answers = BTreeMap<String, [String; 6]>;

#[derive(Serialize)]
struct AnswerView<'a> {
    locale: &'a str,
    practice: &'a PracticeView,
}

/// All of them; all errors.
pub(super) fn render_all(library: &Library, settings: &Settings) -> Result<Answers, Vec<String>> {
    let practice = PracticeView::in_texts(settings);
    let (mut answers, mut errors) = (Answers::new(), Vec::new());
    for locale in library.locales() {
        let context = tera::Context::from_serialize(&AnswerView { locale, practice: &practice }).expect("a view is a map of texts");
        let texts = Answer::ALL.map(|answer| {
            let text = library.render_answer(locale, answer, &context).map_err(|e| errors.push(RenderError::from(e).to_string()));
            sms::fold(&one_line(&text.unwrap_or_default()))
        });
        answers.insert(locale.to_owned(), texts);
    }
    if errors.is_empty() { Ok(answers) } else { Err(errors) }
}

impl Renderer {
    /// The text of an answer, in the locale that is asked for (BCP 47), or one of its language; else in the practice's own.
    pub fn answer(&self, answer: Answer, asked: &str) -> String {
        if let Some(next) = self.successor() {
            return next.answer(answer, asked);
        }
        let own = self.default_locale.as_str();
        let locale = if language(asked) == language(own) { own } else { self.library.find(asked).unwrap_or(own) };
        self.answers[locale][answer as usize].clone()
    }

    /// The practice's own locale (BCP 47).
    pub fn locale(&self) -> &str {
        &self.default_locale
    }
}
