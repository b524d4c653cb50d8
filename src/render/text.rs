//! A text message in the making: its news, what must stand beside them, and what gives way when there is no room.
//!
//! In: the [`View`] of a notice. Out: the final content and its parts, not yet past the gate.
//!
//! The first text to a number, and each one until somebody answered from it, says whom it is from, how to stop, and whom to call; an invite says
//! that an answer is read. The templates that come with the program leave this to the ending (`sms/end.txt`); a practice's own may say it in their
//! own words, and what they do not say is put in.
//!
//! Invariant: to make a text fit, names are shortened, then the ending loses whom to call, then that an answer is read; code and link never give
//! way. How to stop does only where the practice's name needs another alphabet, and would have to go instead; `check` tells.
//!
//! Failures: a template that cannot be rendered; a text that is too long even so.

use super::context::{TextNeeds, View};
use super::draft::{Draft, tera_context};
use super::templates::File;
use super::{Parts, RenderError, one_line, sms};
use crate::contact::PhoneNumber;
use crate::message::Content;

/// How a text is made to fit, mildest first: names of so many graphemes, each rewritten before, and how much of the ending is left.
const SHORTER: [(usize, Rewrite, ClosingLines); 6] = [
    (30, as_it_is, ClosingLines::Whole),
    (18, as_it_is, ClosingLines::Whole),
    (18, sms::gsm_only, ClosingLines::Whole),
    (10, sms::gsm_only, ClosingLines::Whole),
    (10, sms::gsm_only, ClosingLines::WithoutContact),
    (10, sms::gsm_only, ClosingLines::HowToStop),
];
/// Likewise, where nothing of the practice's name can be written in the GSM alphabet: whom a text is from goes before all that the ending says.
const SHORTER_BUT_NAMED: [(usize, Rewrite, ClosingLines); 8] = [
    (30, as_it_is, ClosingLines::Whole),
    (18, as_it_is, ClosingLines::Whole),
    (18, as_it_is, ClosingLines::WithoutContact),
    (18, as_it_is, ClosingLines::HowToStop),
    (18, as_it_is, ClosingLines::Nothing),
    (10, as_it_is, ClosingLines::Nothing),
    (18, sms::gsm_only, ClosingLines::Whole),
    (10, sms::gsm_only, ClosingLines::HowToStop),
];
type Rewrite = fn(&str) -> String;

fn as_it_is(name: &str) -> String {
    name.to_owned()
}

/// What is left of the ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClosingLines {
    Whole,
    WithoutContact,
    HowToStop,
    Nothing,
}

impl Draft<'_> {
    pub(super) fn sms(&self, to: &PhoneNumber) -> Result<(Content, Parts), RenderError> {
        let limit = self.segments_allowed();
        let full = self.whole(&self.view, ClosingLines::Whole)?;
        let mut text = full.clone();
        let name = &self.view.practice.name;
        let steps = if !name.is_empty() && sms::gsm_only(name).is_empty() { &SHORTER_BUT_NAMED[..] } else { &SHORTER[..] };
        for &(graphemes, rewrite, ending) in steps {
            if sms::load(&text).segments <= limit {
                break;
            }
            text = self.whole(&self.view.with_short_names(graphemes, rewrite), ending)?;
        }
        let sms::Load { encoding, segments, .. } = sms::load(&text);
        if segments > limit {
            return Err(too_long(&full, limit));
        }
        let content = Content::Sms { to: to.clone(), text: text.as_str().into(), encoding, segments };
        Ok((content, Parts::Sms { text, encoding, segments }))
    }

    /// The limit of the notice's rule, or the general one.
    fn segments_allowed(&self) -> u32 {
        let settings = &self.renderer.settings;
        let of_rule = self.facts.notice.rule.as_ref().and_then(|rule| settings.rule_segments.get(rule));
        of_rule.copied().unwrap_or(settings.max_segments)
    }

    /// The news and what must stand beside them.
    fn whole(&self, view: &View, ending: ClosingLines) -> Result<String, RenderError> {
        let library = &self.renderer.library;
        let news = one_line(&library.render(&view.locale, self.folder(), File::Sms, &tera_context(view))?);
        let news = introduced(view, news);
        // Its name says nothing of the kind, be it that of a practice in PALO ALTO.
        let said = news.replace(&sms::fold(&view.practice.name), "").replace(&view.practice.name, "");
        let left = TextNeeds {
            opt_out: view.text.opt_out && ending != ClosingLines::Nothing && !says_one_of(&said, &HOW_TO_STOP),
            contact: view.text.contact && ending == ClosingLines::Whole && !news.contains(&view.practice.contact),
            confirm: view.text.confirm
                && matches!(ending, ClosingLines::Whole | ClosingLines::WithoutContact)
                && !says_one_of(&said, &ANSWERS),
        };
        if left == TextNeeds::default() {
            return Ok(sms::fold(&news));
        }
        let end = library.render_end(&view.locale, &tera_context(&View { text: left, ..view.clone() }))?;
        Ok(sms::fold(&joined(&news, &one_line(&end))))
    }
}

/// Words that say how to stop, and those that ask for an answer.
const HOW_TO_STOP: [&str; 3] = ["STOP", "ALTO", "ARRET"];
const ANSWERS: [&str; 4] = ["Y", "YES", "SI", "OUI"];

/// Whether one of the words stands in the text, in capitals.
fn says_one_of(text: &str, words: &[&str]) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
}

/// Whom it is from and whom it is for, if the template does not say so.
fn introduced(view: &View, news: String) -> String {
    let says = |name: &str| name.is_empty() || news.contains(name) || news.contains(&sms::fold(name));
    let practice = if view.text.opt_out && !says(&view.practice.name) { format!("{}: ", view.practice.name) } else { String::new() };
    let called = if says(&view.recipient.called) { String::new() } else { format!("{}: ", view.recipient.called) };
    format!("{practice}{called}{news}")
}

/// The ending behind the news. A link takes no full stop: it would become a part of it.
fn joined(news: &str, end: &str) -> String {
    let is_link = news.rsplit(' ').next().is_some_and(|last| last.contains("://"));
    let stop = if news.ends_with(char::is_alphanumeric) && !is_link { "." } else { "" };
    format!("{news}{stop} {end}")
}

/// Says how long the text is with its full names, and what made it so.
fn too_long(text: &str, limit: u32) -> RenderError {
    let sms::Load { encoding, segments, .. } = sms::load(text);
    let culprit = sms::first_outside(text).map(|c| format!("; {:?} (U+{:04X}) is not in the GSM alphabet", c.to_string(), u32::from(c)));
    RenderError::TooLong { segments, limit, encoding, culprit: culprit.unwrap_or_default() }
}
