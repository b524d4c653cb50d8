//! From a notice to a message: pure, `now` is an argument.
//!
//! In: a notice, the session and the participant as the source last said, the participant's zone and locale ([`Facts`]).
//! Out: a [`Rendered`]: the final bytes, and their parts as people read them.
//!
//! ```text
//! Facts -> View (context, dates, money) -> Draft: templates -> subject, text, HTML | text message
//!       -> calendar, mail | sms -> Content -> gate -> Message
//! ```
//!
//! Invariants. The same facts at the same `now` give the same bytes. A template sees this participant, this session and this
//! practice, and nobody else. Nothing leaves that has not passed the [gate](RenderError::Leak) on its final bytes. A code or a
//! link is never cut: where a text message is too long, names are.
//!
//! Failures: [`RenderError`]; all that can be found before is an error of [`Renderer::new`] or a line of [`Renderer::lint`].

mod answer;
mod bytes;
mod calendar;
mod context;
mod copy;
mod dates;
pub mod dkim;
mod draft;
mod fingerprint;
mod frugal;
mod gate;
mod lint;
pub mod look;
mod mail;
mod money;
mod quoted;
mod sms;
mod staff;
mod templates;
mod text;
mod token;
pub mod trial;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

pub use crate::contact::Number;
use crate::contact::{Address, EmailAddress};
use crate::message::{Message, SmsEncoding};
use crate::notice::{Notice, NoticeKey};
use crate::session::live::LiveCodes;
use crate::session::{Participant, Session, SessionId};
use crate::zone::Resolved;
use chrono::{DateTime, Utc};
use context::View;
pub use copy::calls_by_another_name;
use dates::Dates;
pub use dates::calls_it_another_day;
use draft::Draft;
pub use staff::DigestMail;
pub use templates::shipped as shipped_templates;
use templates::{Library, TemplateError};
use token::Tokens;

/// What a practice decides about its messages. (Prints without its key.)
#[derive(Clone)]
pub struct Settings {
    /// Shown as the sender.
    pub practice_name: String,
    /// Shown in texts: `[practice] short_name`; `None`: the name.
    pub short_name: Option<String>,
    /// How its e-mails look.
    pub look: look::MailLook,
    /// Shown in messages: a telephone number or an address; may be empty.
    pub practice_contact: String,
    /// The practice's locale (BCP 47), the last of the fallback chain: `en-US`.
    pub locale: String,
    /// Tera template of the join link; has `code` and `passkey` (empty if none).
    pub join_url: String,
    /// Tera template of the address at which whoever has an account joins; has `session_id`. `None`: they get the join link too.
    pub account_join_url: Option<String>,
    /// From header: display name.
    pub from_name: String,
    /// From header and envelope: address.
    pub from: crate::contact::EmailAddress,
    pub reply_to: Option<crate::contact::EmailAddress>,
    /// `[templates] dir`: overrides the embedded templates file by file.
    pub template_dir: Option<std::path::PathBuf>,
    /// `[templates] show_participant_names_to_host`
    pub show_participant_names_to_host: bool,
    /// The most segments that a text may have, by default.
    pub max_segments: u32,
    /// Likewise for reminders of a rule, by its name.
    pub rule_segments: BTreeMap<String, u32>,
    /// What people text back is read, whichever gateway a text goes over: an invite may ask for an answer.
    pub replies_read: bool,
    /// The duration of the calendar entry when the source does not say.
    pub default_duration: chrono::TimeDelta,
    /// The calendar entry holds link and code.
    pub calendar_code: bool,
    /// Where bounces go; `None`: to `from`.
    pub return_path: Option<EmailAddress>,
    /// See `Upkeep::reference_key`.
    pub reference_key: [u8; 32],
    /// Signs each e-mail; `None`: nobody does, or the relay does.
    pub dkim: Option<Arc<dkim::Dkim>>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Settings");
        out.field("practice_name", &self.practice_name).field("locale", &self.locale).field("template_dir", &self.template_dir);
        out.field("max_segments", &self.max_segments).finish_non_exhaustive()
    }
}

/// Everything that one message may be made of. There is no other participant in it, but for the host's name.
pub struct Facts<'a> {
    pub notice: &'a Notice,
    /// The session. Only its own facts and the host's name are shown.
    pub session: &'a Session,
    pub participant: &'a Participant,
    pub zone: &'a Resolved,
    /// The recipient's locale as asked for (participant, overrides); `None`: the practice's.
    pub locale: Option<&'a str>,
    /// It began when it was made: see `plan::is_meet_now`.
    pub meet_now: bool,
    /// The start that they know, where it is another one.
    pub was: Option<DateTime<Utc>>,
    /// Calendar SEQUENCE: how many revisions of this participation were told before.
    pub sequence: u32,
    /// Of a text: what is known of the number that it goes to.
    pub number: Number,
}

/// A message, and its parts as `preview` shows them.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The final bytes.
    pub message: Message,
    /// The locale that was used.
    pub locale: String,
    pub parts: Parts,
}

/// The parts of a message, for people to read.
#[derive(Clone)]
pub enum Parts {
    Email {
        /// With the angle brackets.
        message_id: String,
        /// Decoded.
        subject: String,
        text: String,
        html: String,
    },
    Sms {
        text: String,
        /// See [`SmsEncoding`].
        encoding: SmsEncoding,
        /// Parts on the air.
        segments: u32,
    },
}
impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

/// Why a notice could not become a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A template failed: names the file, the line and what was wrong. Repeats no value.
    #[error("template {file}: {why}")]
    Template { file: String, why: String },
    /// The final bytes hold something of another person. Names the kind of thing and the place, never the thing.
    #[error("the message would have shown {what}")]
    Leak {
        /// `the connect code of another participant (18620)`
        what: String,
    },
    /// The text needs more segments than allowed.
    #[error("the text needs {segments} segments ({encoding:?}), {limit} are allowed{culprit}")]
    TooLong {
        segments: u32,
        limit: u32,
        encoding: SmsEncoding,
        /// `; "’" (U+2019) is not in the GSM alphabet`, or empty
        culprit: String,
    },
}

/// Renders notices: the templates are compiled, the settings checked. Shared by all threads.
pub struct Renderer {
    settings: Settings,
    library: Library,
    /// By locale of the library.
    dates: BTreeMap<String, Dates>,
    /// Our answers to people's texts.
    answers: answer::Answers,
    join_url: tera::Tera,
    account_join_url: Option<tera::Tera>,
    gate: gate::Gate,
    /// Of the reference key.
    tokens: Tokens,
    /// What templates of e-mails see of the practice.
    practice: tera::Value,
    /// The locale of the library that stands in when a participant's is not there.
    default_locale: String,
    /// What makes the messages in its place: see [`trial`].
    next: RwLock<Option<Arc<Renderer>>>,
}

/// The name of the join link's template in errors.
const JOIN_URL: &str = "join_url";
/// Likewise, of whoever has an account.
const ACCOUNT_JOIN_URL: &str = "account_join_url";

impl Renderer {
    /// Compiles all templates and checks that none is missing. All errors at once.
    pub fn new(settings: Settings) -> Result<Self, Vec<String>> {
        Self::reading(settings, None)
    }

    /// The same, with the store's key: see [`Settings::reference_key`].
    #[must_use]
    pub fn with_reference_key(mut self, key: [u8; 32]) -> Self {
        self.tokens = Tokens::new(&key);
        self.settings.reference_key = key;
        self
    }

    fn reading(settings: Settings, changed: Option<(&str, &str)>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let library = Library::load(settings.template_dir.as_deref(), changed).map_err(|e| errors.extend(e)).ok();
        let join_url = templates::compile_one(JOIN_URL, &settings.join_url).map_err(|e| errors.push(e)).ok();
        let account = settings.account_join_url.as_deref().map(|source| templates::compile_one(ACCOUNT_JOIN_URL, source));
        let account_join_url = account.transpose().map_err(|e| errors.push(e)).ok().flatten();
        let (Some(library), Some(join_url)) = (library, join_url) else { return Err(errors) };
        let mut dates = BTreeMap::new();
        for locale in library.locales() {
            match Dates::load(locale) {
                Ok(formats) => drop(dates.insert(locale.to_owned(), formats)),
                Err(e) => errors.push(e),
            }
        }
        let answers = answer::render_all(&library, &settings).map_err(|e| errors.extend(e)).unwrap_or_default();
        let default_locale = library.find(&settings.locale).map(str::to_owned);
        if default_locale.is_none() {
            let known: Vec<&str> = library.locales().collect();
            errors.push(format!("locale {:?}: there are no templates for it; expected one of {}", settings.locale, known.join(", ")));
        }
        let said: Vec<String> = library.said().map(|(_, text)| text).collect();
        let gate = gate::Gate::new(&settings, said.iter().map(String::as_str));
        let default_locale = default_locale.unwrap_or_default();
        let (tokens, practice) =
            (Tokens::new(&settings.reference_key), tera::Value::from_serializable(&context::PracticeView::of(&settings)));
        let next = RwLock::default();
        let renderer = Self { settings, library, dates, answers, join_url, account_join_url, gate, tokens, practice, default_locale, next };
        errors.extend(renderer.check_join_url().err());
        errors.extend(renderer.check_account_join_url().err());
        if errors.is_empty() { Ok(renderer) } else { Err(errors) }
    }

    /// Renders and passes the gate.
    pub fn render(&self, facts: &Facts<'_>, now: DateTime<Utc>) -> Result<Rendered, RenderError> {
        if let Some(next) = self.successor() {
            return next.render(facts, now);
        }
        let rendered = self.rendered(facts, now)?;
        match &rendered.parts {
            Parts::Email { subject, .. } if subject.is_empty() => {
                let why = "the subject is empty: expected some words".to_owned();
                Err(RenderError::Template {
                    file: format!("{}/{}/subject.txt", rendered.locale, templates::folder(facts.notice.occasion, facts.meet_now)),
                    why,
                })
            }
            _ => Ok(rendered),
        }
    }

    /// Likewise, whatever its subject is.
    fn rendered(&self, facts: &Facts<'_>, now: DateTime<Utc>) -> Result<Rendered, RenderError> {
        let locale = facts.locale.and_then(|asked| self.library.find(asked)).unwrap_or(&self.default_locale);
        let dates = self.dates.get(locale).expect("every locale of the library has its formats, or `new` failed");
        let link = self.join_link(facts.session.id, facts.participant)?;
        let view = View::of(facts, &self.settings, (dates, locale), link, now);
        let reference = self.derive(&[b"message", &facts.notice.key.0]);
        let draft = Draft { renderer: self, facts, view, now };
        let (content, parts) = match &facts.notice.address {
            Address::Email(to) => draft.email(to, &reference)?,
            Address::Sms(to) => draft.sms(to)?,
        };
        self.gate.check(&content, facts, &draft.view, &self.settings)?;
        Ok(Rendered { message: Message { key: facts.notice.key, reference, content }, locale: locale.to_owned(), parts })
    }

    /// The HTML of a message with its logo in it, for a page that shows the message.
    pub fn pictured(&self, html: &str) -> String {
        let Some(logo) = &self.settings.look.logo else { return html.to_owned() };
        html.replace(&format!("cid:{}", context::logo_id(&self.settings)), &logo.as_data())
    }

    /// The codes of everybody: whoever reads what a source says tells them, and no message shows one that is not its reader's.
    pub fn live_codes(&self) -> &LiveCodes {
        self.gate.live()
    }

    /// Renders every template of every locale with difficult samples, for `check`. All problems.
    pub fn lint(&self) -> Vec<String> {
        lint::run(self, |_, _| true)
    }

    /// The recipient's own join link, or where they join from their account; empty without a code.
    fn join_link(&self, session: SessionId, person: &Participant) -> Result<String, RenderError> {
        let Some(code) = person.code else { return Ok(String::new()) };
        if let Some(account) = self.account_join_url.as_ref().filter(|_| person.has_account) {
            return account_link(account, session);
        }
        let mut context = tera::Context::new();
        context.insert("code", &code.expose());
        context.insert("passkey", person.passkey.as_ref().map_or("", |p| p.expose()));
        Ok(one_line(&templates::render_one(&self.join_url, JOIN_URL, &context)?))
    }

    /// A link that opens nothing, or everyone's page, would only be noticed by patients.
    fn check_join_url(&self) -> Result<(), String> {
        let mut context = tera::Context::new();
        context.insert("code", "123456789");
        context.insert("passkey", "");
        let link = templates::render_one(&self.join_url, JOIN_URL, &context).map_err(|e| format!("{}: {}", e.file, e.why))?;
        let parsed = url::Url::parse(link.trim()).map_err(|e| format!("{JOIN_URL}: it makes no link: {e}"))?;
        if !matches!(parsed.scheme(), "https" | "http") {
            return Err(format!("{JOIN_URL}: expected a link that begins with https://"));
        }
        if !link.contains("123456789") {
            return Err(format!("{JOIN_URL}: the link does not hold {{{{ code }}}}"));
        }
        Ok(())
    }

    fn check_account_join_url(&self) -> Result<(), String> {
        let Some(template) = &self.account_join_url else { return Ok(()) };
        let link = account_link(template, SessionId(9636)).map_err(|e| e.to_string())?;
        let parsed = url::Url::parse(&link).map_err(|e| format!("{ACCOUNT_JOIN_URL}: it makes no link: {e}"))?;
        if !matches!(parsed.scheme(), "https" | "http") {
            return Err(format!("{ACCOUNT_JOIN_URL}: expected a link that begins with https://"));
        }
        Ok(())
    }

    /// A token that shows nothing of what it is made of: see [`Tokens`].
    fn derive(&self, parts: &[&[u8]]) -> String {
        self.tokens.of(parts)
    }
}

fn account_link(template: &tera::Tera, session: SessionId) -> Result<String, RenderError> {
    let mut context = tera::Context::new();
    context.insert("session_id", &session.to_string());
    Ok(one_line(&templates::render_one(template, ACCOUNT_JOIN_URL, &context)?))
}

/// What a notice's message is called outside: the part of a Message-ID before the `@`, or the client reference of a text. See
/// [`Message::reference`].
pub fn reference(reference_key: &[u8; 32], notice: NoticeKey) -> String {
    Tokens::new(reference_key).of(&[b"message", &notice.0])
}

impl From<TemplateError> for RenderError {
    fn from(e: TemplateError) -> Self {
        Self::Template { file: e.file, why: e.why }
    }
}

/// How a text goes over the air: its encoding, and in how many parts.
pub fn sms_size(text: &str) -> (SmsEncoding, u32) {
    let load = sms::load(text);
    (load.encoding, load.segments)
}

/// One line, single spaces, nothing that could begin another line.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
