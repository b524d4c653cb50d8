//! From what was typed to what is true. Every mistake is noted; a mistaken part falls back to something harmless so that the rest is checked too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;

use super::advice;
use super::gateway;
use super::raw::{self, Raw};
use super::read::Document;
use super::span::Period;
use super::transport::{self, Gateway, Relay};
use super::{secret, staff};
use crate::alert;
use crate::contact::EmailAddress;
use crate::daemon::Ping;
use crate::digest;
use crate::outbox::Retention;
use crate::outbox::sqlite::StoreKey;
use crate::pace::Rate;
use crate::plan::frequency::Frequency;
use crate::plan::policy::{Override, Overrides, Policy};
use crate::plan::quiet::QuietHours;
use crate::plan::rule::{Rule, When};
use crate::render::{self, dkim::Dkim};
use crate::retry::DoubtPolicy;
use crate::source::words::Dictionary;
use crate::source::{file, http, push, same};
use crate::web;
use crate::zone::{self, Zone, Zones};

/// The configuration as it holds.
pub struct Config {
    /// The file that it was read from; `None`: built-in defaults.
    pub file: Option<PathBuf>,
    /// What was typed, defaults filled in; for `config print`.
    pub raw: Raw,
    /// Where sessions come from.
    pub sources: Vec<Source>,
    /// What is decided.
    pub policy: Policy,
    /// How messages look. The reference key is the store's: all zero until then.
    pub render: render::Settings,
    /// Where the outbox is; `None`: nowhere, so nothing can be sent.
    pub store: Option<StoreUrl>,
    /// Seals what is private in it.
    pub store_key: Option<StoreKey>,
    /// E-mail relays, in order of preference.
    pub relays: Vec<Relay>,
    /// SMS gateways, likewise.
    pub gateways: Vec<Gateway>,
    /// How often each relay may be used, in their order.
    pub email_rates: Vec<Option<Rate>>,
    /// How often each gateway may be used, in their order.
    pub sms_rates: Vec<Option<Rate>>,
    /// What becomes of e-mail in doubt.
    pub email_in_doubt: DoubtPolicy,
    /// What becomes of texts in doubt.
    pub sms_in_doubt: DoubtPolicy,
    /// The daily letter to the practice; `None`: nobody gets it.
    pub digest: Option<digest::Settings>,
    /// What tells staff at once; `None`: nothing does.
    pub alerts: Option<alert::Settings>,
    /// Who may use the pages and the API; `None`: neither is served.
    pub users_file: Option<PathBuf>,
    /// The practice's own zone, in which staff read times.
    pub time_zone: Zone,
    /// What is pushed to us; `None`: nothing, so nothing listens.
    pub server: Option<web::Settings>,
    /// Where bounces are read, and when (cron expression with seconds, checked).
    pub bounces: Option<(PathBuf, String)>,
    /// What is kept how long.
    pub keep: Keep,
    /// The dead-man's ping; `None`: nobody is pinged.
    pub ping: Option<Ping>,
    /// What is in hand at a stop is finished within this time.
    pub stop_within: std::time::Duration,
    /// What works and should be mended: secrets that others can read, connections in clear text.
    pub advice: Vec<String>,
}

/// What is kept how long, and when the rest is removed.
#[derive(Debug, Clone)]
pub struct Keep {
    content: Period,
    ledger: Period,
    /// Cron expression with seconds, checked.
    pub prune: String,
}

impl Keep {
    /// What may go now.
    pub fn at(&self, now: DateTime<Utc>) -> Retention {
        Retention { content_before: self.content.before(now), history_before: self.ledger.before(now) }
    }
}

/// A configured source.
#[derive(Debug, Clone)]
pub struct Source {
    /// The store remembers its sessions by this.
    pub name: String,
    /// The name that it had before.
    pub was: Option<String>,
    /// What kind, and where.
    pub kind: SourceKind,
    /// What the practice says of its words.
    pub words: Dictionary,
    /// Cron expression with seconds, checked.
    pub poll: String,
    /// What it said when it was last walked.
    pub memory: Arc<same::Memory>,
}

/// A source's kind and its own settings.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// `kind = "file"`
    File(file::Settings),
    /// `kind = "http"`; remembers what it was given last.
    Http(Arc<http::Api>),
    /// `kind = "push"`: nothing is asked of it.
    Push(push::Settings),
}

/// Where the outbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
}

/// How often a source is polled when nothing is said.
const POLL: &str = "*/30 * * * * *";

/// Relative paths are relative to the configuration file's folder.
pub(super) struct Base<'a>(Option<&'a Path>);

impl Base<'_> {
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        match self.0.and_then(Path::parent) {
            Some(folder) if path.is_relative() => folder.join(path),
            _ => path.to_path_buf(),
        }
    }
}

/// Checks everything; the mistakes are in `document`.
pub(super) fn check(mut raw: Raw, file: Option<&Path>, document: &mut Document<'_>) -> Config {
    let base = Base(file);
    let practice = check_practice(&raw, document);
    if raw.reminder.is_empty() {
        raw.reminder = default_reminders();
    }
    let rules = rules(&raw, document);
    let zones = zones(&raw, document);
    let time_zone = own_zone(&raw, &zones, document);
    let overrides = raw.practice.overrides.as_ref();
    let overrides = overrides.map(|path| self::overrides(&base.resolve(path), &zones, &practice.region, document)).unwrap_or_default();
    let quiet = quiet(&raw.quiet_hours);
    let digest = staff::digest(&raw, &zones, document);
    let store_key = store_key(&raw, &base, document);
    let id = &raw.practice.id;
    let policy = Policy {
        practice: store_key.as_ref().map_or_else(|| id.clone(), |key| key.keyed(id)),
        hosts: raw.practice.hosts,
        region: practice.region,
        rules,
        settle: raw.invite.settle.0,
        min_gap: raw.invite.min_gap.0,
        quiet,
        frequency: Frequency { per_day: raw.sms.max_per_day, per_week: raw.sms.max_per_week },
        adopt_invites: raw.adopt.invites,
        not_joined: staff::not_joined(&raw.not_joined, document),
        max_stale: raw.daemon.max_stale.0,
        overrides,
        zones: Arc::new(zones),
    };
    secrets_are_private(&raw, file, document);
    let sources = sources(&raw, &base, document);
    Config {
        digest,
        alerts: super::alerts::alerts(&raw, &base, document),
        server: transport::server(&raw, &sources, &base, document),
        users_file: raw.server.users_file.as_ref().map(|path| base.resolve(path)),
        time_zone,
        sources,
        policy,
        render: rendering(&raw, &base, document),
        store: store(&raw, &base, document),
        store_key,
        relays: transport::relays(&raw, &base, document),
        gateways: gateway::gateways(&raw, &base, document),
        email_rates: raw.email.relay.iter().map(|relay| relay.rate).collect(),
        sms_rates: raw.sms.gateway.iter().map(|gateway| gateway.rate).collect(),
        keep: keep(&raw, document),
        ping: transport::ping(&raw, &base, document),
        email_in_doubt: raw.email.in_doubt,
        sms_in_doubt: raw.sms.in_doubt,
        bounces: bounces(&raw, &base, document),
        stop_within: raw.daemon.stop_within.0.to_std().unwrap_or_default(),
        advice: advice::advice(&raw, &base),
        file: file.map(Path::to_path_buf),
        raw,
    }
}

struct CheckedPractice {
    region: String,
}

fn check_practice(raw: &Raw, document: &mut Document<'_>) -> CheckedPractice {
    let p = &raw.practice;
    if p.name.trim().is_empty() {
        document.note("practice.name", "is empty; expected the name that messages show");
    }
    if p.id.trim().is_empty() {
        document.note("practice.id", "is empty; expected a short name that never changes");
    }
    if !crate::contact::is_region(&p.region) {
        document
            .note("practice.region", format!("{:?} is no region; expected an ISO 3166-1 code of two letters, such as \"US\"", p.region));
    }
    if p.locale.parse::<icu_locale::Locale>().is_err() {
        document.note("practice.locale", format!("{:?} is no language tag; expected BCP 47, such as \"en-US\"", p.locale));
    }
    CheckedPractice { region: p.region.clone() }
}

/// `24h` and `1h`.
fn default_reminders() -> Vec<raw::Reminder> {
    let before = |name: &str, hours| raw::Reminder {
        name: Some(name.to_owned()),
        before: Some(super::Duration(TimeDelta::hours(hours))),
        ..raw::Reminder::default()
    };
    vec![before("24h", 24), before("1h", 1)]
}

fn rules(raw: &Raw, document: &mut Document<'_>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (n, reminder) in raw.reminder.iter().enumerate() {
        let key = |field: &str| format!("reminder[{n}].{field}");
        let Some(name) = reminder.name.clone().filter(|n| !n.trim().is_empty()) else {
            document.note(&key("name"), "is missing; expected a name such as \"24h\"");
            continue;
        };
        if rules.iter().any(|r| r.name == name) {
            document.note(&key("name"), format!("{name:?} stands twice; expected a name of its own"));
        }
        let when = match (reminder.before, reminder.days_before, reminder.at) {
            (Some(before), None, None) if before.0 > TimeDelta::zero() => When::Before(before.0),
            (Some(_), None, None) => {
                document.note(&key("before"), "is zero; expected some time before the start");
                continue;
            }
            (None, Some(days_before), Some(at)) if days_before <= 60 => When::LocalClock { days_before, at: at.0 },
            (None, Some(_), Some(_)) => {
                document.note(&key("days_before"), "is more than 60 days");
                continue;
            }
            _ => {
                document.note(
                    &format!("reminder[{n}]"),
                    "expected either `before = \"24h\"`, or `days_before = 1` with `at = \"18:00\"`, not both",
                );
                continue;
            }
        };
        rules.push(Rule { name, when });
    }
    rules
}

fn zones(raw: &Raw, document: &mut Document<'_>) -> Zones {
    let settings = zone::Settings { fallback: raw.practice.fallback_time_zone.clone(), map: raw.time_zones.clone() };
    Zones::load(&settings).unwrap_or_else(|mistakes| {
        for why in mistakes {
            document.note("time_zones", why);
        }
        Zones::load(&zone::Settings::default()).unwrap_or_else(|why| panic!("the shipped zone data loads: {why:?}"))
    })
}

/// The practice's own zone.
fn own_zone(raw: &Raw, zones: &Zones, document: &mut Document<'_>) -> Zone {
    let named = raw.practice.time_zone.as_ref().or(raw.practice.fallback_time_zone.as_ref());
    let found = named.map(|id| zones.lookup(id));
    if let (Some(Err(why)), Some(_)) = (&found, &raw.practice.time_zone) {
        document.note("practice.time_zone", why.clone());
    }
    found.and_then(Result::ok).unwrap_or_else(|| zones.lookup("UTC").expect("every zone data has UTC"))
}

fn quiet(raw: &raw::QuietHours) -> Option<QuietHours> {
    let some = raw.from != raw.to && !raw.channels.is_empty();
    some.then(|| QuietHours { from: raw.from.0, to: raw.to.0, channels: raw.channels.clone(), min_lead: raw.min_lead.0 })
}

/// `[[person]]` entries of the overrides file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OverridesFile {
    #[serde(default)]
    person: Vec<Person>,
}

#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Person {
    external_id: Option<String>,
    address: Option<String>,
    locale: Option<String>,
    time_zone: Option<String>,
    do_not_contact: bool,
}

fn overrides(path: &Path, zones: &Zones, region: &str, document: &mut Document<'_>) -> Overrides {
    let mut fail = |why: String| document.note("practice.overrides", format!("{}: {why}", path.display()));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            fail(format!("cannot be read: {e}"));
            return Overrides::default();
        }
    };
    let parsed: OverridesFile = match toml::from_str(&text) {
        Ok(parsed) => parsed,
        Err(e) => {
            let line = e.span().map_or(0, |s| text[..s.start].lines().count().max(1));
            fail(format!("line {line}: {}", e.message()));
            return Overrides::default();
        }
    };
    let mut people = Vec::new();
    for (n, p) in parsed.person.into_iter().enumerate() {
        if p.external_id.is_none() && p.address.is_none() {
            fail(format!("person[{n}]: names nobody; expected external_id or address"));
        }
        if let Some(Err(why)) = p.time_zone.as_deref().map(|id| zones.resolve(id)) {
            fail(format!("person[{n}].time_zone: {why}"));
        }
        people.push(Override {
            external_id: p.external_id,
            address: p.address,
            locale: p.locale,
            time_zone: p.time_zone,
            do_not_contact: p.do_not_contact,
        });
    }
    Overrides::new(people, region)
}

fn sources(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for (n, source) in raw.source.iter().enumerate() {
        let key = |field: &str| format!("source[{n}].{field}");
        let name = source.name.clone().unwrap_or_else(|| "sessions".to_owned());
        if sources.iter().any(|s| s.name == name) {
            document.note(&key("name"), format!("{name:?} stands twice; expected a name of its own"));
        }
        let poll = source.poll.clone().unwrap_or_else(|| POLL.to_owned());
        if let Err(why) = cron(&poll) {
            document.note(&key("poll"), why);
        }
        let kind = match source.kind {
            None => {
                document.note(&key("kind"), "is missing; expected \"file\", \"http\" or \"push\"");
                None
            }
            Some(raw::SourceKind::File) => file_source(source, &key("path"), base, document),
            Some(raw::SourceKind::Http) => {
                transport::api(source, &format!("source[{n}]"), base, document).map(|api| SourceKind::Http(Arc::new(api)))
            }
            Some(raw::SourceKind::Push) => {
                transport::pushed(source, &format!("source[{n}]"), base, document).map(|token| SourceKind::Push(push::Settings { token }))
            }
        };
        let words = Dictionary::new(&source.status).map_err(|why| document.note(&key("status"), why)).unwrap_or_default();
        let was = source.was.clone();
        sources.extend(kind.map(|kind| Source { name, was, kind, words, poll, memory: Arc::default() }));
    }
    sources
}

fn file_source(source: &raw::Source, key: &str, base: &Base<'_>, document: &mut Document<'_>) -> Option<SourceKind> {
    if source.path.is_none() {
        document.note(key, "is missing; expected a JSON file or a folder of them");
    }
    source.path.as_ref().map(|path| SourceKind::File(file::Settings { path: base.resolve(path) }))
}

/// Explains what the scheduler would refuse without a word.
pub(super) fn cron(expression: &str) -> Result<croner::Cron, String> {
    let fields = expression.split_whitespace().count();
    if fields != 6 {
        return Err(format!(
            "{expression:?} has {fields} fields; expected six: second, minute, hour, day, month, weekday (\"*/30 * * * * *\" is every 30 seconds)"
        ));
    }
    croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Required)
        .build()
        .parse(expression)
        .map_err(|e| format!("{expression:?} is no cron expression: {e}"))
}

fn bounces(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<(PathBuf, String)> {
    let poll = raw.email.bounce_poll.clone().unwrap_or_else(|| POLL.to_owned());
    if let Err(why) = cron(&poll) {
        document.note("email.bounce_poll", why);
    }
    let maildir = base.resolve(raw.email.bounce_maildir.as_ref()?);
    if !maildir.join("new").is_dir() || !maildir.join("cur").is_dir() {
        document.note("email.bounce_maildir", format!("{} is no maildir; expected a folder with new and cur in it", maildir.display()));
    }
    Some((maildir, poll))
}

fn keep(raw: &Raw, document: &mut Document<'_>) -> Keep {
    let raw::Retention { content, ledger, prune } = raw.retention.clone();
    if let Err(why) = cron(&prune) {
        document.note("retention.prune", why);
    }
    let some_day = DateTime::<Utc>::UNIX_EPOCH;
    if ledger.before(some_day) > content.before(some_day) {
        document.note("retention.ledger", format!("\"{ledger}\" is shorter than content = \"{content}\"; expected at least as long"));
    }
    Keep { content, ledger, prune }
}

fn store(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<StoreUrl> {
    let url = raw.store.url.as_ref()?;
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && path != ":memory:" => Some(StoreUrl::Sqlite(base.resolve(Path::new(path)))),
        _ => {
            document.note("store.url", format!("{url:?} is no store; expected \"sqlite://punctual.db\""));
            None
        }
    }
}

fn store_key(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<StoreKey> {
    let file = raw.store.key_file.as_ref()?;
    let key = secret::read(file, &base.resolve(file)).and_then(|text| StoreKey::parse(text.expose_secret()));
    key.map_err(|why| document.note("store.key_file", why)).ok()
}

/// The From of previews when no address is configured: nothing can be sent without one.
const PREVIEW_FROM: &str = "sessions@practice.example";

fn rendering(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> render::Settings {
    let (from_name, from) = match raw.email.from.as_deref().map(mailbox) {
        Some(Ok((name, address))) => (name.unwrap_or_else(|| raw.practice.name.clone()), Some(address)),
        Some(Err(why)) => {
            document.note("email.from", why);
            (raw.practice.name.clone(), None)
        }
        None => {
            if !raw.email.relay.is_empty() {
                document.note("email.from", "is missing; expected \"Name <address>\"");
            }
            (raw.practice.name.clone(), None)
        }
    };
    let reply_to = raw.email.reply_to.as_deref().and_then(|text| match mailbox(text) {
        Ok((_, address)) => Some(address),
        Err(why) => {
            document.note("email.reply_to", why);
            None
        }
    });
    let return_path = raw.email.return_path.as_deref().and_then(|text| match EmailAddress::parse(text) {
        Ok(address) => Some(address),
        Err(why) => {
            document.note("email.return_path", format!("is no address: {why}; expected one such as \"bounces@practice.example\""));
            None
        }
    });
    let from = from.unwrap_or_else(|| EmailAddress::parse(PREVIEW_FROM).expect("a constant that parses"));
    let dkim = raw.email.dkim.as_ref().and_then(|dkim| signing(dkim, &from, base).map_err(|(key, why)| document.note(key, why)).ok());
    render::Settings {
        return_path,
        practice_name: raw.practice.name.clone(),
        short_name: raw.practice.short_name.clone(),
        practice_contact: raw.practice.contact.clone(),
        locale: raw.practice.locale.clone(),
        join_url: raw.practice.join_url.clone(),
        account_join_url: raw.practice.account_join_url.clone(),
        from_name,
        from,
        reply_to,
        template_dir: raw.templates.dir.as_ref().map(|dir| base.resolve(dir)),
        show_participant_names_to_host: raw.templates.show_participant_names_to_host,
        max_segments: raw.sms.max_segments,
        rule_segments: rule_segments(raw, document),
        replies_read: replies_read(raw),
        default_duration: raw.practice.session_length.0,
        reference_key: [0; 32],
        dkim: dkim.map(Arc::new),
    }
}

/// Limits of their own, by rule.
fn rule_segments(raw: &Raw, document: &mut Document<'_>) -> BTreeMap<String, u32> {
    let mut limits = BTreeMap::new();
    for (n, rule) in raw.reminder.iter().enumerate() {
        if rule.max_segments == Some(0) {
            document.note(&format!("reminder[{n}].max_segments"), "is 0; expected at least 1");
        }
        limits.extend(rule.name.clone().zip(rule.max_segments));
    }
    limits
}

/// What people text back to any of the gateways reaches us.
fn replies_read(raw: &Raw) -> bool {
    let reads = |gateway: &raw::Gateway| match gateway.kind {
        Some(raw::GatewayKind::Twilio | raw::GatewayKind::Kannel) => gateway.callback_url.is_some(),
        Some(raw::GatewayKind::Http) => gateway.callback.from.is_some() && gateway.callback.text.is_some(),
        Some(raw::GatewayKind::Folder) | None => false,
    };
    !raw.sms.gateway.is_empty() && raw.sms.gateway.iter().all(reads)
}

/// `[email.dkim]`. The domain must be the sender's or one above it, or DMARC does not count the signature (RFC 7489 3.1.1).
fn signing(dkim: &raw::Dkim, from: &EmailAddress, base: &Base<'_>) -> Result<Dkim, (&'static str, String)> {
    let selector =
        dkim.selector.as_ref().ok_or(("email.dkim.selector", "is missing; expected the key's name, such as \"punctual\"".to_owned()))?;
    let file = dkim.key_file.as_ref().ok_or(("email.dkim.key_file", "is missing; expected a private key in PEM".to_owned()))?;
    let domain = dkim.domain.as_deref().unwrap_or(from.domain()).to_ascii_lowercase();
    if from.domain() != domain && !from.domain().ends_with(&format!(".{domain}")) {
        return Err((
            "email.dkim.domain",
            format!("{domain:?} is not the domain of [email] from, nor one above it; expected {:?}", from.domain()),
        ));
    }
    let pem = secret::read(file, &base.resolve(file)).map_err(|why| ("email.dkim.key_file", why))?;
    Dkim::new(&domain, selector, pem.expose_secret()).map_err(|why| ("email.dkim.key_file", why))
}

/// `Name <address>` or `address`.
fn mailbox(text: &str) -> Result<(Option<String>, EmailAddress), String> {
    let (name, address) = match text.trim().strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        Some((name, address)) => (crate::contact::clean_line(name.trim().trim_matches('"')), address),
        None => (String::new(), text),
    };
    let address = EmailAddress::parse(address).map_err(|why| format!("is no address: {why}; expected \"Name <address>\""))?;
    Ok((Some(name).filter(|n| !n.is_empty()), address))
}

/// A secret in the file itself is accepted only if nobody else can read the file.
fn secrets_are_private(raw: &Raw, file: Option<&Path>, document: &mut Document<'_>) {
    let relays =
        raw.email.relay.iter().enumerate().filter(|(_, r)| r.password.is_some()).map(|(n, _)| format!("email.relay[{n}].password"));
    let gateways = raw.sms.gateway.iter().enumerate().flat_map(|(n, g)| {
        let typed = [
            ("auth_token", g.auth_token.is_some()),
            ("api_key_secret", g.api_key_secret.is_some()),
            ("callback_token", g.callback_token.is_some()),
            ("password", g.password.is_some()),
            ("secret", g.secret.is_some()),
        ];
        typed.into_iter().filter(|(_, is)| *is).map(move |(field, _)| format!("sms.gateway[{n}].{field}"))
    });
    let sources = raw.source.iter().enumerate().flat_map(|(n, s)| {
        let typed = [("secret", s.secret.is_some()), ("token", s.token.is_some())];
        typed.into_iter().filter(|(_, is)| *is).map(move |(field, _)| format!("source[{n}].{field}"))
    });
    let typed = [("webhook_token", raw.server.webhook_token.is_some()), ("ping_url", raw.server.ping_url.is_some())];
    let server = typed.into_iter().filter(|(_, is)| *is).map(|(field, _)| format!("server.{field}"));
    let keys: Vec<String> = sources.chain(relays).chain(gateways).chain(server).collect();
    if file.is_some_and(secret::is_open_to_others) {
        for key in keys {
            document.note(&key, "stands in a file that others can read; expected mode 0600, or the secret in a file of its own");
        }
    }
}
