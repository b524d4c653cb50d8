//! The templates: embedded in the program, overridden file by file from a practice's folder, compiled once.
//!
//! In: the folder, if there is one. Out: a [`Library`] that finds the templates of a locale and renders them.
//!
//! A locale is complete or it is an error: each occasion needs its subject, text, HTML and text message, so that what is
//! missing shows at start, and not on the night when it is needed. A file that no template would ever use is an error too,
//! since it is nearly always a misspelt one.
//!
//! Invariants: a template reaches nothing but its context (the engine has no function that reads files or the environment);
//! what ends in `.html` is escaped, all else is not. Errors name file and line and repeat no value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tera::{Context, ErrorKind, Tera};

use crate::feedback::answer::Answer;
use crate::notice::Occasion;

/// The folders of a locale: the occasions, and the invite of a Meet Now session, which reads differently.
pub(super) const FOLDERS: [&str; 7] = ["invite", "meet_now", "reminder", "rescheduled", "updated", "cancelled", "not_joined"];
/// The files of such a folder.
const FILES: [&str; 4] = ["subject.txt", "body.txt", "body.html", "sms.txt"];
/// The texts of the calendar entry, the same for all occasions.
const CALENDAR: [&str; 2] = ["calendar/summary.txt", "calendar/description.txt"];
/// The folder of our answers to people's texts: a file for each [`Answer`].
const ANSWERS: &str = "answer";
/// What stands at the end of a text that must say more than its news. A language of a practice's own may do without it.
pub(super) const END: &str = "sms/end.txt";
/// The letter to the practice, in one language.
const STAFF: [&str; 3] = ["staff/subject.txt", "staff/body.txt", "staff/body.html"];
/// Folders that are no locale.
const SHARED: [&str; 2] = ["layout", "staff"];
/// The largest template file that is read, in bytes: mail programs cut off what is longer than 100 KB.
const FILE_MAX: u64 = 128 * 1024;

/// Name and source of embedded files.
macro_rules! embed {
    ($($folder:literal: $($file:literal),+;)+) => {
        &[$($((concat!($folder, "/", $file), include_str!(concat!("../../templates/", $folder, "/", $file))),)+)+]
    };
}

/// All files of a locale.
macro_rules! embed_locale {
    ($locale:literal) => {
        embed! {
            $locale: "layout.html", "layout.txt", "calendar/summary.txt", "calendar/description.txt", "sms/end.txt";
            $locale: "invite/subject.txt", "invite/body.txt", "invite/body.html", "invite/sms.txt";
            $locale: "meet_now/subject.txt", "meet_now/body.txt", "meet_now/body.html", "meet_now/sms.txt";
            $locale: "reminder/subject.txt", "reminder/body.txt", "reminder/body.html", "reminder/sms.txt";
            $locale: "rescheduled/subject.txt", "rescheduled/body.txt", "rescheduled/body.html", "rescheduled/sms.txt";
            $locale: "updated/subject.txt", "updated/body.txt", "updated/body.html", "updated/sms.txt";
            $locale: "cancelled/subject.txt", "cancelled/body.txt", "cancelled/body.html", "cancelled/sms.txt";
            $locale: "not_joined/subject.txt", "not_joined/body.txt", "not_joined/body.html", "not_joined/sms.txt";
            $locale: "answer/stopped.txt", "answer/started.txt", "answer/help.txt";
            $locale: "answer/confirmed.txt", "answer/declined.txt", "answer/not_understood.txt";
        }
    };
}

/// What came with the program.
const EMBEDDED: [&[(&str, &str)]; 6] = [
    embed! { "layout": "page.html", "base.html"; "staff": "subject.txt", "body.txt", "body.html"; },
    embed_locale!("en-US"),
    embed_locale!("es-US"),
    embed_locale!("fr-CA"),
    embed_locale!("de-DE"),
    embed_locale!("pt-BR"),
];

/// Path and text of each template that came with the program.
pub fn shipped() -> Vec<(&'static str, &'static str)> {
    EMBEDDED.iter().flat_map(|set| set.iter()).copied().collect()
}

/// The compiled templates, by locale.
pub(super) struct Library {
    tera: Tera,
    /// What the files say.
    sources: BTreeMap<String, String>,
    locales: BTreeMap<String, Names>,
}

/// The template names of one locale.
struct Names {
    folders: BTreeMap<&'static str, [String; 4]>,
    calendar: [String; 2],
    /// In the order of [`Answer::ALL`].
    answers: [String; 6],
    end: String,
}

/// The four texts of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    Subject,
    Text,
    Html,
    Sms,
}

/// Why a template could not be rendered.
#[derive(Debug)]
pub(super) struct TemplateError {
    /// `en-US/invite/body.html:12`
    pub(super) file: String,
    /// Repeats no value.
    pub(super) why: String,
}

impl Library {
    /// Reads and compiles everything, with that text in place of a file. All errors at once.
    pub(super) fn load(dir: Option<&Path>, changed: Option<(&str, &str)>) -> Result<Self, Vec<String>> {
        let mut sources: BTreeMap<String, String> =
            EMBEDDED.iter().flat_map(|set| set.iter()).map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect();
        let mut errors = Vec::new();
        if let Some(dir) = dir {
            read_overrides(dir, &mut sources, &mut errors);
        }
        if let Some((file, text)) = changed {
            errors.extend((text.len() as u64 > FILE_MAX).then(|| format!("template {file}: it is larger than {FILE_MAX} bytes")));
            sources.insert(file.to_owned(), text.to_owned());
        }
        let locales: BTreeSet<String> = sources.keys().filter_map(|name| locale_of(name)).map(str::to_owned).collect();
        errors.extend(locales.iter().flat_map(|locale| missing(locale, &sources)));
        let locales = locales.into_iter().map(|locale| (locale.clone(), Names { end: end_of(&locale, &sources), ..Names::of(&locale) }));
        let mut library = Self { tera: engine(), locales: locales.collect(), sources };
        if errors.is_empty() {
            compile(&mut library.tera, &library.sources, &mut errors);
        }
        if errors.is_empty() { Ok(library) } else { Err(errors) }
    }

    /// What the templates say of themselves, without what is remarked in them.
    pub(super) fn said(&self) -> impl Iterator<Item = (&str, String)> {
        self.sources.iter().map(|(name, source)| (name.as_str(), without_remarks(source)))
    }

    pub(super) fn source(&self, file: &str) -> Option<&str> {
        self.sources.get(file).map(String::as_str)
    }

    /// Every locale that there are templates for.
    pub(super) fn locales(&self) -> impl Iterator<Item = &str> {
        self.locales.keys().map(String::as_str)
    }

    /// The best locale for what was asked: the same one; one of the same language; `None` if there is neither.
    pub(super) fn find(&self, asked: &str) -> Option<&str> {
        let asked = asked.replace('_', "-");
        self.locales()
            .find(|l| l.eq_ignore_ascii_case(&asked))
            .or_else(|| self.locales().find(|l| l.eq_ignore_ascii_case(&language(&asked))))
            .or_else(|| self.locales().find(|l| language(l) == language(&asked)))
    }

    /// Renders one text of a folder.
    pub(super) fn render(&self, locale: &str, folder: &'static str, file: File, context: &Context) -> Result<String, TemplateError> {
        let name = self.locales.get(locale).and_then(|names| names.folders.get(folder)).map(|files| files[file as usize].as_str());
        self.render_named(name.unwrap_or_default(), context)
    }

    /// Renders the calendar entry's summary and description.
    pub(super) fn render_calendar(&self, locale: &str, context: &Context) -> Result<(String, String), TemplateError> {
        let [summary, description] = &self.locales.get(locale).ok_or_else(|| unknown(locale))?.calendar;
        Ok((self.render_named(summary, context)?, self.render_named(description, context)?))
    }

    /// Renders an answer to somebody's text.
    pub(super) fn render_answer(&self, locale: &str, answer: Answer, context: &Context) -> Result<String, TemplateError> {
        let names = self.locales.get(locale).ok_or_else(|| unknown(locale))?;
        self.render_named(&names.answers[answer as usize], context)
    }

    /// Renders the ending of a text.
    pub(super) fn render_end(&self, locale: &str, context: &Context) -> Result<String, TemplateError> {
        self.render_named(&self.locales.get(locale).ok_or_else(|| unknown(locale))?.end, context)
    }

    /// Renders the letter to the practice: subject, text, HTML.
    pub(super) fn render_staff(&self, context: &Context) -> Result<[String; 3], TemplateError> {
        let [subject, text, html] = STAFF.map(|name| self.render_named(name, context));
        Ok([subject?, text?, html?])
    }

    fn render_named(&self, name: &str, context: &Context) -> Result<String, TemplateError> {
        self.tera.render(name, context).map_err(|e| explain(&e, name, ErrorStage::Rendering))
    }
}

impl Names {
    fn of(locale: &str) -> Self {
        Self {
            folders: FOLDERS.map(|folder| (folder, FILES.map(|file| format!("{locale}/{folder}/{file}")))).into(),
            calendar: CALENDAR.map(|file| format!("{locale}/{file}")),
            answers: Answer::ALL.map(|answer| format!("{locale}/{}", answer_file(answer))),
            end: format!("{locale}/{END}"),
        }
    }
}

/// A locale's own ending; else that of its language, else the English one: STOP is understood everywhere.
fn end_of(locale: &str, sources: &BTreeMap<String, String>) -> String {
    let own = format!("{locale}/{END}");
    if sources.contains_key(&own) {
        return own;
    }
    let alike = |name: &&String| name.ends_with(&format!("/{END}")) && language(name.split('/').next().unwrap_or("")) == language(locale);
    sources.keys().find(alike).cloned().unwrap_or_else(|| format!("en-US/{END}"))
}

/// `answer/stopped.txt`
pub(super) fn answer_file(answer: Answer) -> String {
    format!("{ANSWERS}/{}.txt", answer.as_str())
}

/// `en` of `en-US`
pub(super) fn language(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase()
}

/// The folder of an occasion.
pub(super) fn folder(occasion: Occasion, meet_now: bool) -> &'static str {
    match occasion {
        Occasion::Invite if meet_now => "meet_now",
        Occasion::Invite => "invite",
        Occasion::Reminder => "reminder",
        Occasion::Rescheduled => "rescheduled",
        Occasion::Updated => "updated",
        Occasion::Cancelled => "cancelled",
        Occasion::NotJoined => "not_joined",
    }
}

/// A template that stands alone, compiled: the join link.
pub(super) fn compile_one(name: &str, source: &str) -> Result<Tera, String> {
    let mut tera = engine();
    tera.add_raw_template(name, source).map_err(|e| {
        let e = explain(&e, name, ErrorStage::Compiling);
        format!("{}: {}", e.file, e.why)
    })?;
    Ok(tera)
}

/// Renders such a template.
pub(super) fn render_one(tera: &Tera, name: &str, context: &Context) -> Result<String, TemplateError> {
    tera.render(name, context).map_err(|e| explain(&e, name, ErrorStage::Rendering))
}

/// An engine that can reach nothing but the context of a template.
fn engine() -> Tera {
    let mut tera = Tera::default();
    tera.autoescape_on(vec![".html"]);
    // The engine's own `throw` would put what a template gives it, a name or a code, into an error.
    tera.register_function("throw", |_: tera::Kwargs, _: &tera::State| -> tera::TeraResult<String> {
        Err(tera::Error::message("the template gave up"))
    });
    tera
}

/// A template without what stands between `{#` and `#}`.
fn without_remarks(source: &str) -> String {
    let mut pieces = source.split("{#");
    let mut said = pieces.next().unwrap_or_default().to_owned();
    said.extend(pieces.map(|piece| piece.split_once("#}").map_or("", |(_, after)| after)));
    said
}

/// `en-US` of `en-US/invite/sms.txt`; `None` for the shared layouts and the letter to the practice.
fn locale_of(name: &str) -> Option<&str> {
    name.split_once('/').map(|(first, _)| first).filter(|first| !SHARED.contains(first))
}

/// What a locale lacks.
fn missing(locale: &str, sources: &BTreeMap<String, String>) -> Vec<String> {
    let names = Names::of(locale);
    let wanted = names.folders.values().flatten().chain(&names.calendar).chain(&names.answers);
    wanted.filter(|name| !sources.contains_key(*name)).map(|name| format!("template {name} is missing")).collect()
}

/// Reads a practice's templates over the embedded ones.
fn read_overrides(dir: &Path, sources: &mut BTreeMap<String, String>, errors: &mut Vec<String>) {
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) => {
                errors.push(format!("templates folder {}: {e}", folder.display()));
                continue;
            }
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Err(why) = read_override(dir, &path, sources) {
                errors.push(format!("template {}: {why}", path.display()));
            }
        }
    }
}

fn read_override(dir: &Path, path: &Path, sources: &mut BTreeMap<String, String>) -> Result<(), String> {
    let below = path.strip_prefix(dir).map_err(|e| e.to_string())?;
    let name = below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
    if !is_used(&name) {
        return Err("no message uses a file of this name; expected LOCALE/OCCASION/ with subject.txt, body.txt, body.html or sms.txt, \
             LOCALE/calendar/ with summary.txt or description.txt, LOCALE/answer/ with stopped.txt, started.txt, help.txt, confirmed.txt, \
             declined.txt or not_understood.txt, LOCALE/sms/end.txt, LOCALE/layout.*, layout/*, or staff/ with subject.txt, body.txt or body.html"
            .to_owned());
    }
    if path.metadata().map_err(|e| e.to_string())?.len() > FILE_MAX {
        return Err(format!("it is larger than {FILE_MAX} bytes"));
    }
    let source = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    sources.insert(name, source);
    Ok(())
}

/// Whether a file of that name is a template, or a layout that one may extend.
pub(super) fn is_used(name: &str) -> bool {
    let Some((first, rest)) = name.split_once('/') else { return false };
    first == "layout"
        || STAFF.contains(&name)
        || !SHARED.contains(&first)
            && (rest.starts_with("layout.")
                || CALENDAR.contains(&rest)
                || rest == END
                || Answer::ALL.into_iter().any(|answer| rest == answer_file(answer))
                || rest.split_once('/').is_some_and(|(folder, file)| FOLDERS.contains(&folder) && FILES.contains(&file)))
}

/// Compiles all at once, as inheritance needs; if that fails, one by one, to find every one at fault.
fn compile(tera: &mut Tera, sources: &BTreeMap<String, String>, errors: &mut Vec<String>) {
    let Err(first) = tera.add_raw_templates(sources.iter().map(|(name, source)| (name.as_str(), source.as_str()))) else { return };
    for (name, source) in sources {
        if let Err(e) = engine().add_raw_template(name, source)
            && matches!(e.kind(), ErrorKind::SyntaxError(_))
        {
            let e = explain(&e, name, ErrorStage::Compiling);
            errors.push(format!("template {}: {}", e.file, e.why));
        }
    }
    if errors.is_empty() {
        let e = explain(&first, "*", ErrorStage::Compiling);
        errors.push(format!("template {}: {}", e.file, e.why));
    }
}

/// When an error came up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ErrorStage {
    Compiling,
    Rendering,
}

/// File, line and cause of an engine's error. Of what happens while rendering only the names of variables are repeated:
/// other messages of the engine can hold values.
fn explain(error: &tera::Error, name: &str, stage: ErrorStage) -> TemplateError {
    match error.kind() {
        ErrorKind::SyntaxError(report) => {
            TemplateError { file: place(report.filename(), report.span().start_line, name), why: report.message().to_owned() }
        }
        ErrorKind::RenderingError(report) => {
            let known = report.message().contains("is not defined");
            let why = if known { report.message().to_owned() } else { "an expression cannot be evaluated".to_owned() };
            TemplateError { file: place(report.filename(), report.span().start_line, name), why }
        }
        ErrorKind::MissingParent { current, parent } => {
            TemplateError { file: current.clone(), why: format!("it extends {parent}, which does not exist") }
        }
        ErrorKind::TemplateNotFound(missing) => TemplateError { file: missing.clone(), why: "there is no such template".to_owned() },
        ErrorKind::CircularExtend { tpl, .. } | ErrorKind::CircularInclude { tpl, .. } => {
            TemplateError { file: tpl.clone(), why: "it extends or includes itself".to_owned() }
        }
        // Before anything is rendered there are no values that a message could hold.
        ErrorKind::Msg(message) if stage == ErrorStage::Compiling => from_report(message, name),
        _ => TemplateError { file: name.to_owned(), why: "it cannot be used".to_owned() },
    }
}

/// The engine's longer reports: the message, and `--> file:line:column` below it.
fn from_report(report: &str, name: &str) -> TemplateError {
    let why = report.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let place = report.lines().find_map(|line| line.trim_start().strip_prefix("--> ")).and_then(|place| place.rsplit_once(':'));
    TemplateError { file: place.map_or(name, |(file_and_line, _)| file_and_line).to_owned(), why }
}

fn place(filename: &str, line: usize, name: &str) -> String {
    format!("{}:{line}", if filename.is_empty() { name } else { filename })
}

fn unknown(locale: &str) -> TemplateError {
    TemplateError { file: locale.to_owned(), why: "there are no templates of this locale".to_owned() }
}
