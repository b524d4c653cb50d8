//! From what was typed to what is true. Every mistake is noted; a mistaken part falls back to something harmless so that the rest is checked too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::gateway::Gateway;
use super::key_path::{Base, cron};
use super::raw::{self, Raw};
use super::read::Document;
use super::relay::Relay;
use super::span::Period;
use super::{advice, alerts, email, gateway, masked, practice, relay, secret, server, source, staff};
use crate::alert::{self, Ping};
use crate::digest;
use crate::outbox::Retention;
use crate::outbox::StoreKey;
use crate::outbox::postgres::Server;
use crate::plan::frequency::Frequency;
use crate::plan::policy::Policy;
use crate::plan::quiet::QuietHours;
use crate::render;
use crate::retry::DoubtPolicy;
use crate::source::Source;
use crate::web;
use crate::zone::Zone;

/// The configuration as it holds.
#[derive(Clone)]
pub struct Config {
    /// The file that it was read from; `None`: built-in defaults.
    pub file: Option<PathBuf>,
    /// What was typed, defaults filled in; for `config print`.
    pub raw: Raw,
    /// Where sessions come from.
    pub sources: Vec<Source>,
    pub policy: Policy,
    /// How messages look. The reference key is the store's: all zero until then.
    pub render: render::Settings,
    /// Where the outbox is; `None`: nowhere, so nothing can be sent.
    pub store: Option<StoreUrl>,
    /// Seals what is private in it.
    pub store_key: Option<StoreKey>,
    /// E-mail relays, in order of preference.
    pub relays: Vec<Relay>,
    /// SMS gateways, in order of preference.
    pub gateways: Vec<Gateway>,
    /// What becomes of e-mail in doubt.
    pub email_in_doubt: DoubtPolicy,
    /// What becomes of texts in doubt.
    pub sms_in_doubt: DoubtPolicy,
    /// The daily letter to the practice; `None`: nobody gets it.
    pub digest: Option<digest::Settings>,
    /// What tells staff at once; `None`: nothing does.
    pub alerts: Option<alert::Settings>,
    /// The practice's own zone, in which staff read times.
    pub time_zone: Zone,
    /// What is pushed to us; `None`: nothing, so nothing listens.
    pub server: Option<web::Settings>,
    /// Where bounces are read, and when (cron expression with seconds, checked).
    pub bounces: Option<(PathBuf, String)>,
    /// What is kept how long.
    pub keep: Keep,
    /// What the ledger's anchor is handed to each hour: a program and its arguments; empty: nothing.
    pub anchor_command: Vec<String>,
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

/// Where the outbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    Sqlite(PathBuf),
    /// A database, with its password.
    Postgres(Box<Server>),
}

/// Checks everything; the mistakes are in `document`.
pub(super) fn check(mut raw: Raw, file: Option<&Path>, document: &mut Document<'_>) -> Config {
    let base = Base(file);
    practice::practice(&raw, document);
    if raw.reminder.is_empty() {
        raw.reminder = practice::default_reminders();
    }
    let rules = practice::rules(&raw, document);
    let zones = practice::zones(&raw, document);
    let time_zone = practice::own_zone(&raw, &zones, document);
    let overrides = raw.practice.overrides.as_ref();
    let overrides =
        overrides.map(|path| practice::overrides(&base.resolve(path), &zones, &raw.practice.region, document)).unwrap_or_default();
    let digest = staff::digest(&raw, &zones, document);
    let store_key = store_key(&raw, &base, document);
    let id = &raw.practice.id;
    let policy = Policy {
        practice: store_key.as_ref().map_or_else(|| id.clone(), |key| key.keyed(id)),
        hosts: raw.practice.hosts,
        region: raw.practice.region.clone(),
        rules,
        settle: raw.invite.settle.0,
        min_gap: raw.invite.min_gap.0,
        quiet: quiet(&raw.quiet_hours),
        frequency: Frequency { per_day: raw.sms.max_per_day, per_week: raw.sms.max_per_week },
        adopt_invites: raw.adopt.invites,
        not_joined: staff::not_joined(&raw.not_joined, document),
        max_stale: raw.daemon.max_stale.0,
        overrides,
        own_zone: raw.practice.time_zone.is_some().then(|| time_zone.clone()),
        zones: Arc::new(zones),
    };
    server::log(&raw, document);
    secrets_are_private(&raw, file, document);
    let sources = source::sources(&raw, &base, document);
    Config {
        digest,
        alerts: alerts::alerts(&raw, &base, document),
        server: server::server(&raw, &sources, &base, document),
        time_zone,
        sources,
        policy,
        render: email::rendering(&raw, &base, document),
        store: store(&raw, &base, document),
        store_key,
        relays: relay::relays(&raw, &base, document),
        gateways: gateway::gateways(&raw, &base, document),
        keep: keep(&raw, document),
        anchor_command: anchor_command(&raw, document),
        ping: server::ping(&raw, &base, document),
        email_in_doubt: raw.email.in_doubt,
        sms_in_doubt: raw.sms.in_doubt,
        bounces: email::bounces(&raw, &base, document),
        stop_within: raw.daemon.stop_within.0.to_std().unwrap_or_default(),
        advice: advice::advice(&raw, &base),
        file: file.map(Path::to_path_buf),
        raw,
    }
}

fn quiet(raw: &raw::QuietHours) -> Option<QuietHours> {
    let some = raw.from != raw.to && !raw.channels.is_empty();
    some.then(|| QuietHours { from: raw.from.0, to: raw.to.0, channels: raw.channels.clone(), min_lead: raw.min_lead.0 })
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

fn anchor_command(raw: &Raw, document: &mut Document<'_>) -> Vec<String> {
    let command = raw.ledger.anchor_command.clone();
    if command.first().is_some_and(|program| program.trim().is_empty()) {
        document.note(
            "ledger.anchor_command",
            "names no program; expected a program and its arguments, as in [\"/usr/local/bin/keep-anchor\"]",
        );
    }
    command
}

fn store(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<StoreUrl> {
    let url = raw.store.url.as_ref()?;
    if Server::is_named_by(url) {
        let node = raw.node.name.as_deref();
        return database(raw, url, base, document).map(|server| StoreUrl::Postgres(Box::new(server.as_node(node))));
    }
    if raw.node.name.is_some() {
        document.note("node.name", "several machines serve a practice from one database, and [store] url names a file; expected postgres://USER@HOST/DATABASE there");
    }
    for (key, given) in [("password_file", &raw.store.password_file), ("ca_file", &raw.store.ca_file)] {
        if given.is_some() {
            document.note(
                &format!("store.{key}"),
                "is of a database, and [store] url names none; expected postgres://USER@HOST/DATABASE there",
            );
        }
    }
    if raw.store.pooler.is_some() {
        document.note("store.pooler", "is of a database, and [store] url names none; expected postgres://USER@HOST/DATABASE there");
    }
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && path != ":memory:" => Some(StoreUrl::Sqlite(base.resolve(Path::new(path)))),
        _ => {
            document.note(
                "store.url",
                format!(
                    "{:?} is no store; expected \"sqlite://punctual.db\" or \"postgres://punctual@db.example.com/punctual\"",
                    masked::address(url)
                ),
            );
            None
        }
    }
}

fn database(raw: &Raw, url: &str, base: &Base<'_>, document: &mut Document<'_>) -> Option<Server> {
    let password = match &raw.store.password_file {
        None => None,
        Some(file) => match secret::read(file, &base.resolve(file)) {
            Ok(password) => Some(password),
            Err(why) => {
                document.note("store.password_file", why);
                return None;
            }
        },
    };
    let ca_file = raw.store.ca_file.as_ref().map(|file| base.resolve(file));
    let server = Server::parse(url, password.as_ref(), ca_file.as_deref()).map_err(|why| document.note("store.url", why)).ok()?;
    Some(server.behind(raw.store.pooler.is_some()))
}

fn store_key(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<StoreKey> {
    let file = raw.store.key_file.as_ref()?;
    let key = secret::read(file, &base.resolve(file)).and_then(|text| StoreKey::parse(text.expose_secret()));
    key.map_err(|why| document.note("store.key_file", why)).ok()
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
    let of_alerts = raw.alerts.relay.iter().filter(|relay| relay.password.is_some()).map(|_| "alerts.relay.password".to_owned());
    let hooks =
        raw.alerts.webhook.iter().enumerate().filter(|(_, hook)| hook.url.is_some()).map(|(n, _)| format!("alerts.webhook[{n}].url"));
    let keys: Vec<String> = sources.chain(relays).chain(gateways).chain(server).chain(of_alerts).chain(hooks).collect();
    if file.is_some_and(secret::is_open_to_others) {
        for key in keys {
            document.note(&key, "stands in a file that others can read; expected mode 0600, or the secret in a file of its own");
        }
    }
}
