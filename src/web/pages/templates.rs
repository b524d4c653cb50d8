//! The texts of messages, for operators: which there are, and a page for each that edits the practice's own copy. What is typed is a draft: it is shown as
//! the messages that it would make, and nobody gets one of them. A save is checked as `check` does, keeps what was before, and is in force at once.
//!
//! In: `[templates] dir`. Failures: a folder that cannot be written, a text that would spoil messages, somebody else's save in between.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use sha2::{Digest, Sha256};

use self::copies::{Copies, shipped};
use self::shown::{Earlier, EditPage, SampleMessages, TemplateCheck};
use super::shown::{Frame, moment};
use super::{PageContext, Trouble};
use crate::contact::Channel;
use crate::desk::called;
use crate::ledger::Event;
use crate::render::Renderer;
use crate::render::trial::{TemplatePart, part_of};
use crate::session::Role;
use crate::web::auth::Form;
use crate::web::{Shared, page, request, to_the_end};

mod copies;
mod shown;

/// Largest form, in bytes: a template of 128 KiB, each byte of which may take three.
const FORM_MAX: usize = 400 << 10;
/// Drafts that are kept; when there are more, all are forgotten.
const DRAFTS_MAX: usize = 32;
const NOTHING: Trouble = Trouble::NotFound("There is no such template.");
const NO_FOLDER: &str =
    "Set [templates] dir in the configuration to a folder that the service may write, such as /var/lib/punctual/templates.";

/// What operators are writing, and whose turn it is to save.
#[derive(Default)]
pub(in crate::web) struct Bench {
    /// By user and template.
    drafts: Mutex<HashMap<(String, String), String>>,
    turn: tokio::sync::Mutex<()>,
}

impl Bench {
    fn draft(&self, who: &str, file: &str) -> Option<String> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner).get(&(who.to_owned(), file.to_owned())).cloned()
    }

    fn keep(&self, who: &str, file: &str, text: Option<String>) {
        let mut drafts = self.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (who.to_owned(), file.to_owned());
        let Some(text) = text else { return drop(drafts.remove(&of)) };
        if drafts.len() >= DRAFTS_MAX && !drafts.contains_key(&of) {
            drafts.clear();
        }
        drafts.insert(of, text);
    }
}

/// Of which template, and as whom it is read: `?file=en-US/invite/sms.txt&locale=es-US&to=host`.
struct TemplateQuery {
    file: String,
    locale: String,
    host: bool,
}

impl TemplateQuery {
    fn of(form: &Form) -> Self {
        Self { file: form.get("file").to_owned(), locale: form.get("locale").to_owned(), host: form.get("to") == "host" }
    }

    /// As it stands behind an address.
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("file", &self.file);
        if !self.locale.is_empty() {
            query.append_pair("locale", &self.locale);
        }
        if self.host {
            query.append_pair("to", "host");
        }
        query.finish()
    }

    /// Part, and the language that it is shown in.
    fn part(&self, renderer: &Renderer) -> Option<(TemplatePart, String)> {
        let (part, own) = part_of(&self.file)?;
        let locales = renderer.locales();
        let asked = Some(self.locale.as_str()).filter(|asked| locales.iter().any(|locale| locale == asked));
        Some((part, own.or(asked).unwrap_or(renderer.locale()).to_owned()))
    }
}

fn folder(context: &PageContext<'_>) -> Option<PathBuf> {
    context.office.renderer.own_templates().map(std::path::Path::to_owned)
}

/// What it is about a text: a save in between is seen.
fn digest(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text)[..8])
}

#[derive(Template)]
#[template(path = "web/templates.html")]
struct All {
    frame: Frame,
    /// Where the copies are; none: nowhere.
    folder: Option<String>,
    advice: &'static str,
    own: Vec<String>,
    groups: Vec<LocaleTemplates>,
}

/// The templates of a language.
struct LocaleTemplates {
    name: String,
    files: Vec<String>,
}

/// `/templates`
pub(super) async fn all(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = super::confirm::operator(&shared, &headers)?;
    let folder = folder(&context);
    let templates = match &folder {
        Some(dir) => Copies::of(dir).all().map_err(unreadable)?,
        None => Vec::new(),
    };
    let mut groups: Vec<LocaleTemplates> = Vec::new();
    for (file, _) in &templates {
        let name = part_of(file).and_then(|(_, locale)| locale).unwrap_or("All languages");
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.files.push(file.clone()),
            None => groups.push(LocaleTemplates { name: name.to_owned(), files: vec![file.clone()] }),
        }
    }
    let own = templates.into_iter().filter(|(_, own)| *own).map(|(name, _)| name).collect();
    let folder = folder.map(|dir| dir.display().to_string());
    let facts = All { frame: context.frame(&shared, "templates").await?, folder, advice: NO_FOLDER, own, groups };
    Ok(page::render(StatusCode::OK, &facts))
}

/// `/templates/edit?file=...`
pub(super) async fn edit(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = super::confirm::operator(&shared, &headers)?;
    let form = Form::parse(query.unwrap_or_default().as_bytes());
    let asked = TemplateQuery::of(&form);
    let saved = form.get("saved") == "yes";
    edited(&shared, &context, asked, saved, None).await
}

/// The page: with a refusal, or the news that it is saved.
async fn edited(
    shared: &Shared,
    context: &PageContext<'_>,
    asked: TemplateQuery,
    saved: bool,
    refusal: Option<String>,
) -> Result<Response, Trouble> {
    let dir = folder(context).ok_or(Trouble::Conflict(NO_FOLDER))?;
    let (part, locale) = asked.part(&context.office.renderer).ok_or(NOTHING)?;
    let copies = Copies::of(&dir);
    let said = copies.text(&asked.file).map_err(unreadable)?.ok_or(NOTHING)?;
    let draft = shared.bench.draft(context.current_user.name(), &asked.file).filter(|draft| *draft != said);
    let text = draft.clone().unwrap_or_else(|| said.clone());
    let role = if asked.host { Role::Host } else { Role::Participant };
    let seen = seen(shared, asked.file.clone(), text.clone(), (part, locale.clone(), role)).await?;
    let earlier = copies.versions(&asked.file).map_err(unreadable)?.into_iter();
    let versions = earlier.map(|v| Earlier { id: v.id, until: moment(v.until, &context.office.zone), by: v.by }).collect::<Vec<_>>();
    let facts = EditPage {
        frame: context.frame(shared, "templates").await?,
        own: copies.all().map_err(unreadable)?.contains(&(asked.file.clone(), true)),
        in_force: context.office.renderer.source(&asked.file).as_deref() == Some(said.as_str()),
        was: digest(&said),
        rows: text.lines().count().clamp(6, 30),
        shipped: shipped(&asked.file).is_some_and(|shipped| shipped != said),
        draft: draft.is_some(),
        query: asked.query(),
        locales: if part_of(&asked.file).is_some_and(|(_, own)| own.is_none()) { context.office.renderer.locales() } else { Vec::new() },
        undo: versions.first().map(|latest| latest.id.clone()).filter(|_| saved),
        versions,
        file: asked.file,
        host: asked.host,
        locale,
        text,
        saved: saved && refusal.is_none(),
        refusal,
        seen,
    };
    let status = if facts.refusal.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    Ok(page::render(status, &facts))
}

/// What the draft would make, and what is wrong with it.
async fn seen(shared: &Shared, file: String, text: String, what: (TemplatePart, String, Role)) -> Result<TemplateCheck, Trouble> {
    let renderer = Arc::clone(&shared.office.renderer);
    let work = move || match renderer.with_template(&file, &text) {
        Err(problems) => TemplateCheck { problems, sample: None },
        Ok(trial) => TemplateCheck { problems: Vec::new(), sample: Some(SampleMessages::of(&trial, &what)) },
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Trouble::Conflict("The preview could not be made."))
}

/// `/templates/message?file=...`: the HTML of the draft's e-mail, for its frame.
pub(super) async fn message(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Trouble> {
    let context = super::confirm::operator(&shared, &headers)?;
    let asked = TemplateQuery::of(&Form::parse(query.unwrap_or_default().as_bytes()));
    let dir = folder(&context).ok_or(Trouble::Conflict(NO_FOLDER))?;
    let (part, locale) = asked.part(&context.office.renderer).ok_or(NOTHING)?;
    let said = Copies::of(&dir).text(&asked.file).map_err(unreadable)?.ok_or(NOTHING)?;
    let text = shared.bench.draft(context.current_user.name(), &asked.file).unwrap_or(said);
    let role = if asked.host { Role::Host } else { Role::Participant };
    let seen = seen(&shared, asked.file, text, (part, locale, role)).await?;
    match seen.sample.and_then(|sample| sample.html) {
        Some(html) => Ok(page::message(context.office.renderer.pictured(&html))),
        None => Err(Trouble::NotFound("This message has no page.")),
    }
}

/// Keeps what is typed as a draft, or saves it, or puts an earlier text back.
pub(super) async fn act(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Trouble> {
    let form = Form::parse(&request::form(&headers, body, FORM_MAX, shared.settings.limits.body).await?);
    let current_user = shared.auth()?.operator(&headers, &form, shared.office.clock.now())?;
    let context = shared.context(&headers)?;
    let asked = TemplateQuery::of(&form);
    let dir = folder(&context).ok_or(Trouble::Conflict(NO_FOLDER))?;
    let copies = Copies::of(&dir);
    // A browser ends the lines of a form as mail does.
    let typed = form.get("text").replace("\r\n", "\n");
    let (act, who) = (form.get("act"), current_user.name().to_owned());
    let text = match act {
        "back" => copies.version(&asked.file, form.get("version")).map_err(unreadable)?.ok_or(NOTHING)?,
        "shipped" => shipped(&asked.file).ok_or(NOTHING)?.to_owned(),
        _ => typed,
    };
    if !matches!(act, "save" | "back" | "shipped") {
        let known = copies.text(&asked.file).map_err(unreadable)?.is_some();
        shared.bench.keep(&who, &asked.file, Some(text).filter(|_| known && act != "forget"));
        return Ok(page::see(&format!("/templates/edit?{}", asked.query())));
    }
    let said = copies.text(&asked.file).map_err(unreadable)?.ok_or(NOTHING)?;
    shared.bench.keep(&who, &asked.file, (act == "save").then(|| text.clone()));
    if form.get("was") != digest(&said) {
        let refusal = "Somebody else saved it meanwhile. Look at what they wrote before you save yours";
        return edited(&shared, &context, asked, false, Some(refusal.to_owned())).await;
    }
    let (of, file) = (Arc::clone(&shared), asked.file.clone());
    let by = called::with_reason(current_user.name(), form.get("reason"));
    let saved = to_the_end(async move { save(&of, copies, (file, text), (who, by), said).await }).await??;
    match saved {
        Ok(()) => Ok(page::see(&format!("/templates/edit?{}&saved=yes", asked.query()))),
        Err(refusal) => edited(&shared, &context, asked, false, Some(refusal)).await,
    }
}

/// Checks it, keeps what was before, writes it, and has it make the messages from now on. `Err`: why not.
async fn save(
    shared: &Shared,
    copies: Copies,
    (file, text): (String, String),
    (who, by): (String, String),
    said: String,
) -> Result<Result<(), String>, Trouble> {
    let _turn = shared.bench.turn.lock().await;
    let (renderer, now) = (Arc::clone(&shared.office.renderer), shared.office.clock.now());
    let (of, changed) = (file.clone(), text.clone());
    let checked = tokio::task::spawn_blocking(move || {
        let trial = renderer.with_template(&of, &changed).map_err(|problems| problems.join("\n"))?;
        let mut new = trial.lint_of(&of);
        if !new.is_empty() {
            // What was wrong before keeps nobody from mending something else.
            let before = renderer.with_template(&of, &said).map_or_else(|problems| problems, |trial| trial.lint_of(&of));
            new.retain(|problem| !before.contains(problem));
        }
        if new.is_empty() { Ok(trial) } else { Err(new.join("\n")) }
    });
    let trial = match checked.await.map_err(|_| Trouble::Conflict("It could not be checked."))? {
        Ok(trial) => trial,
        Err(problems) => return Ok(Err(problems)),
    };
    // First the history: what cannot be told there is not done.
    shared.office.desk.outbox.record_event(now, Event::Template, &format!("{file}, by {by}")).await?;
    let (name, written) = (who.clone(), file.clone());
    let writing = tokio::task::spawn_blocking(move || copies.save(&written, &text, &name, now));
    match writing.await.map_err(|_| Trouble::Conflict("It could not be written."))? {
        Ok(()) => {
            shared.office.renderer.take_over(trial);
            shared.bench.keep(&who, &file, None);
            Ok(Ok(()))
        }
        Err(why) => Ok(Err(format!("The folder cannot be written: {why}. {NO_FOLDER}"))),
    }
}

fn unreadable(why: std::io::Error) -> Trouble {
    tracing::error!(%why, "the folder of templates cannot be read");
    Trouble::Conflict("The folder of templates cannot be read.")
}

impl SampleMessages {
    /// What the template is part of, to somebody invented.
    fn of(trial: &Renderer, (part, locale, role): &(TemplatePart, String, Role)) -> Self {
        let kind = match part {
            TemplatePart::Message(kind) => kind,
            TemplatePart::All => "invite",
            TemplatePart::Answer(answer) => {
                return Self { bubble: Some(trial.answer(*answer, locale)), ..Self::default() };
            }
            TemplatePart::Staff => return Self::default(),
        };
        let mut made = Self::default();
        for channel in [Channel::Email, Channel::Sms] {
            made.take(trial.sample(locale, kind, *role, channel));
        }
        made
    }
}
