//! `templates watch`: a page on this machine that shows each message as the templates make it now, and loads again when a file of them is saved.
//!
//! In: a folder of templates. Out: pages at a port of the loopback interface, of invented people alone; what is wrong stands on them as `check` says it.
//! Failures: no folder, a port that is taken. Whoever asks by another name than this machine's (a page of another site whose name leads here) is refused.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::super::Exit;
use crate::config::Config;
use crate::contact::Channel;
use crate::render::trial::kinds;
use crate::render::{Parts, Renderer, Settings};
use crate::session::Role;

#[derive(Debug, Args)]
pub(in crate::cli) struct WatchArgs {
    /// The folder of templates. Default: the one that is configured.
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where. Default: a port that is free.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

const PAGE: &str = include_str!("../../../templates/preview/watch.html");
const SCRIPT: &str = include_str!("../../../templates/preview/watch.js");
/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a page waits for a change, before it asks again.
const WAITS: Duration = Duration::from_secs(20);
/// Longest head of a request, in bytes; and how long it may take.
const HEAD_MAX: u64 = 16 << 10;
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// What a page may load: itself. And what a message may: its own styles and its logo.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'";
const MESSAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; sandbox";

pub(super) fn watch(config: &Config, args: &WatchArgs) -> anyhow::Result<Exit> {
    let Some(dir) = args.dir.clone().or_else(|| config.render.template_dir.clone()) else {
        bail!(
            "[templates] dir is not set: name a folder. One to begin with: punctual templates copy templates --locale {}",
            config.render.locale
        );
    };
    if !dir.is_dir() {
        bail!("{} is no folder", dir.display());
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).with_context(|| format!("cannot listen at port {}", args.port))?;
    out!("http://{}/ shows each message, and loads again when a file in {} is saved.", listener.local_addr()?, dir.display());
    out!("Nothing is sent. Ctrl-C ends it.");
    let settings = Settings { template_dir: Some(dir.clone()), ..config.render.clone() };
    let bench = Arc::new(TemplateWatch { dir, settings, made: Mutex::default() });
    for stream in listener.incoming().flatten() {
        let bench = Arc::clone(&bench);
        // One that goes away early is no failure.
        std::thread::spawn(move || drop(bench.answer(stream)));
    }
    Ok(Exit::Done)
}

/// What the files made, when they were like that.
struct Compiled {
    seen: u64,
    renderer: Result<Renderer, Vec<String>>,
    problems: Vec<String>,
}

struct TemplateWatch {
    dir: PathBuf,
    settings: Settings,
    made: Mutex<Option<Arc<Compiled>>>,
}

#[derive(Serialize)]
struct Card {
    what: String,
    /// `None`: it is a text message.
    subject: Option<String>,
    /// Where its HTML is.
    frame: Option<String>,
    text: Option<String>,
    /// A text message, and its parts.
    bubble: Option<String>,
    segments: Option<u32>,
    problem: Option<String>,
}

/// What is asked for: `?locale=es-US&to=host&phone=yes`.
struct WatchQuery {
    locale: String,
    host: bool,
    phone: bool,
    kind: String,
    since: String,
}

impl WatchQuery {
    fn of(query: &str) -> Self {
        let get = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        Self { locale: get("locale"), host: get("to") == "host", phone: get("phone") == "yes", kind: get("kind"), since: get("since") }
    }

    fn role(&self) -> Role {
        if self.host { Role::Host } else { Role::Participant }
    }
}

impl TemplateWatch {
    /// Names the files as they are.
    fn seen(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hash(&self.dir, &mut hasher);
        hasher.finish()
    }

    /// What they make, made once.
    fn made(&self) -> Arc<Compiled> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.seen();
        if let Some(made) = made.as_ref().filter(|made| made.seen == seen) {
            return Arc::clone(made);
        }
        let renderer = Renderer::new(self.settings.clone());
        let problems = match &renderer {
            Ok(renderer) => renderer.lint(),
            Err(mistakes) => mistakes.clone(),
        };
        Arc::clone(made.insert(Arc::new(Compiled { seen, renderer, problems })))
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(HEAD_WITHIN))?;
        let mut lines = BufReader::new((&stream).take(HEAD_MAX)).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let host = head
            .iter()
            .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("host")))
            .map(|(_, value)| value.trim());
        let ours = host.is_some_and(|host| matches!(host.rsplit_once(':').map_or(host, |(name, _)| name), "127.0.0.1" | "localhost"));
        let target = first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).filter(|_| ours);
        let (path, query) = target.map_or(("", ""), |target| target.split_once('?').unwrap_or((target, "")));
        let asked = WatchQuery::of(query);
        let (status, kind, policy, body) = match path {
            "" => ("403 Forbidden", "text/plain", PAGE_POLICY, "Ask by the address that was printed.".to_owned()),
            "/" => ("200 OK", "text/html; charset=utf-8", PAGE_POLICY, self.page(&asked)),
            "/watch.js" => ("200 OK", "text/javascript", PAGE_POLICY, SCRIPT.to_owned()),
            "/changed" => ("200 OK", "text/plain", PAGE_POLICY, self.changed(&asked.since)),
            "/message" => match self.message(&asked) {
                Some(html) => ("200 OK", "text/html; charset=utf-8", MESSAGE_POLICY, html),
                None => ("404 Not Found", "text/plain", PAGE_POLICY, "This message has no page.".to_owned()),
            },
            _ => ("404 Not Found", "text/plain", PAGE_POLICY, "There is nothing at this address.".to_owned()),
        };
        let mut answer = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        let _ = write!(
            answer,
            "Content-Security-Policy: {policy}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(answer.as_bytes())?;
        stream.write_all(body.as_bytes())
    }

    /// Waits until the files are others than those.
    fn changed(&self, since: &str) -> String {
        let begun = Instant::now();
        loop {
            let seen = format!("{:016x}", self.seen());
            if seen != since || begun.elapsed() > WAITS {
                return seen;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn message(&self, asked: &WatchQuery) -> Option<String> {
        let made = self.made();
        let renderer = made.renderer.as_ref().ok()?;
        match renderer.sample(&asked.locale, &asked.kind, asked.role(), Channel::Email).ok()?.parts {
            Parts::Email { html, .. } => Some(renderer.pictured(&html)),
            Parts::Sms { .. } => None,
        }
    }

    fn page(&self, asked: &WatchQuery) -> String {
        let made = self.made();
        let locales = made.renderer.as_ref().map(Renderer::locales).unwrap_or_default();
        let own = made.renderer.as_ref().map_or("", |renderer| renderer.locale());
        let locale = if locales.contains(&asked.locale) { &asked.locale } else { own };
        let cards = made.renderer.as_ref().map(|renderer| cards(renderer, locale, asked)).unwrap_or_default();
        let mut tera = tera::Tera::default();
        tera.autoescape_on(vec![".html"]);
        let mut context = tera::Context::new();
        context.insert("practice", &self.settings.practice_name);
        context.insert("dir", &self.dir.display().to_string());
        context.insert("seen", &format!("{:016x}", made.seen));
        context.insert("problems", &made.problems);
        context.insert("locales", &locales);
        context.insert("locale", locale);
        context.insert("host", &asked.host);
        context.insert("phone", &asked.phone);
        context.insert("cards", &cards);
        let made = tera.add_raw_template("watch.html", PAGE).and_then(|()| tera.render("watch.html", &context));
        made.unwrap_or_else(|_| "The page could not be made.".to_owned())
    }
}

/// A message of each kind and channel.
fn cards(renderer: &Renderer, locale: &str, asked: &WatchQuery) -> Vec<Card> {
    let mut cards = Vec::new();
    for kind in kinds() {
        for (channel, word) in [(Channel::Email, "e-mail"), (Channel::Sms, "text message")] {
            let mut card = Card {
                what: format!("{kind}, {word}"),
                subject: None,
                frame: None,
                text: None,
                bubble: None,
                segments: None,
                problem: None,
            };
            match renderer.sample(locale, kind, asked.role(), channel).map(|rendered| rendered.parts) {
                Ok(Parts::Email { subject, text, .. }) => {
                    let to = if asked.host { "host" } else { "participant" };
                    card.frame = Some(format!("/message?locale={locale}&kind={kind}&to={to}"));
                    (card.subject, card.text) = (Some(subject), Some(text));
                }
                Ok(Parts::Sms { text, segments, .. }) => (card.bubble, card.segments) = (Some(text), Some(segments)),
                Err(why) => card.problem = Some(why.to_string()),
            }
            cards.push(card);
        }
    }
    cards
}

/// Each file below: its name, its size and when it was written.
fn hash(folder: &Path, hasher: &mut DefaultHasher) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))) {
        let Ok(about) = path.metadata() else { continue };
        path.hash(hasher);
        if about.is_dir() {
            hash(path, hasher);
        } else {
            (about.len(), about.modified().ok()).hash(hasher);
        }
    }
}
