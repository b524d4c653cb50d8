//! Relays, gateways and what sources and the server need: which keys go with which kind, and what is made of them.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::callback;
use super::check::{Base, Source, SourceKind};
use super::raw::{self, Raw, RelayKind, TlsMode};
use super::read::Document;
use super::secret::{self, Secret};
use crate::access;
use crate::daemon::Ping;
use crate::deliver::Transport;
use crate::deliver::folder::Folder;
use crate::deliver::gateway::{http, kannel, twilio};
use crate::deliver::smtp::{self, Smtp, Timeouts, Tls};
use crate::source::http::{self as api, Api};
use crate::web::{self, Limits, ShowNames};

/// A checked e-mail relay.
pub enum Relay {
    /// `kind = "smtp"`
    Smtp(smtp::Settings),
    /// `kind = "folder"`
    Folder(PathBuf),
}

/// A checked SMS gateway.
pub enum Gateway {
    /// `kind = "twilio"`
    Twilio(twilio::Settings),
    /// `kind = "kannel"`
    Kannel(kannel::Settings),
    /// `kind = "http"`
    Http(http::Settings),
    /// `kind = "folder"`
    Folder(PathBuf),
}

impl Relay {
    /// Makes the transport; nothing is connected yet. The error says what is wrong.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        Ok(match self {
            Self::Smtp(settings) => Arc::new(Smtp::new(settings.clone())?),
            Self::Folder(path) => Arc::new(Folder::new(path)?),
        })
    }
}

impl Gateway {
    /// Makes the transport; nothing is connected yet. The error says what is wrong.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        Ok(match self {
            Self::Twilio(settings) => Arc::new(twilio::Twilio::new(settings.clone())?),
            Self::Kannel(settings) => Arc::new(kannel::Kannel::new(settings.clone())?),
            Self::Http(settings) => Arc::new(http::Http::new(settings.clone())?),
            Self::Folder(path) => Arc::new(Folder::new(path)?),
        })
    }
}

/// The checked API of a source. `None`: a mistake that was noted.
pub(super) fn api(source: &raw::Source, key: &str, base: &Base<'_>, document: &mut Document<'_>) -> Option<Api> {
    let mut place = Place { key: key.to_owned(), base, document };
    place.foreign(
        "http",
        &[("path", source.path.is_some()), ("token", source.token.is_some()), ("token_file", source.token_file.is_some())],
    );
    let secret = place.secret("secret", source.secret.as_ref(), source.secret_file.as_ref());
    if source.secret.is_none() && source.secret_file.is_none() {
        place.note("secret_file", "is missing; expected a file with the API secret key");
    }
    let identifier = place.needed("identifier", source.identifier.as_ref(), "the API identifier");
    let settings = api::Settings {
        url: source.url.clone().unwrap_or_else(|| api::URL.to_owned()),
        identifier: identifier?,
        secret: secret?,
        hosts: source.hosts.clone(),
        timeout: source.timeout.and_then(|t| t.0.to_std().ok()).unwrap_or(GATEWAY_TIMEOUT),
    };
    Api::new(settings).map_err(|why| place.note("url", why)).ok()
}

/// The checked token of a source that is pushed to. `None`: a mistake that was noted.
pub(super) fn pushed(source: &raw::Source, key: &str, base: &Base<'_>, document: &mut Document<'_>) -> Option<SecretString> {
    let mut place = Place { key: key.to_owned(), base, document };
    let others = [
        ("path", source.path.is_some()),
        ("url", source.url.is_some()),
        ("identifier", source.identifier.is_some()),
        ("secret", source.secret.is_some()),
        ("secret_file", source.secret_file.is_some()),
        ("hosts", !source.hosts.is_empty()),
        ("timeout", source.timeout.is_some()),
        ("poll", source.poll.is_some()),
    ];
    place.foreign("push", &others);
    if source.token.is_none() && source.token_file.is_none() {
        place.note("token_file", "is missing; expected a file with the token that whoever pushes has to name");
    }
    place.token("token", source.token.as_ref(), source.token_file.as_ref())
}

/// What listens, and for whom. `None`: nothing does.
pub(super) fn server(raw: &Raw, sources: &[Source], base: &Base<'_>, document: &mut Document<'_>) -> Option<web::Settings> {
    let mut place = Place { key: "server".to_owned(), base, document };
    let hook = place.token("webhook_token", raw.server.webhook_token.as_ref(), raw.server.webhook_token_file.as_ref());
    let push: Vec<(String, SecretString)> = sources
        .iter()
        .filter_map(|s| if let SourceKind::Push(settings) = &s.kind { Some((s.name.clone(), settings.token.clone())) } else { None })
        .collect();
    let tokens: HashSet<&str> = push.iter().map(|(_, token)| token.expose_secret()).collect();
    if tokens.len() < push.len() {
        place.document.note("source", "two sources have the same token; expected one of its own for each");
    }
    let given = raw.server.listen.as_deref().unwrap_or(LISTEN);
    let named = given.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let listen = named.as_deref().unwrap_or(given).parse().map_err(|_| {
        place.note("listen", format!("{given:?} is no address with a port; expected one such as \"127.0.0.1:8080\""));
    });
    let users = raw.server.users_file.as_ref().map(|path| place.base.resolve(path));
    if let Some(Err(why)) = users.as_deref().map(access::file::read) {
        place.note("users_file", why);
    }
    let callbacks = callback::callbacks(raw, base, document);
    let needed = raw.server.listen.is_some() || !push.is_empty() || hook.is_some() || users.is_some() || !callbacks.is_empty();
    let show_names = match raw.server.show_names {
        raw::ShowNames::All => ShowNames::All,
        raw::ShowNames::Operators => ShowNames::Operators,
        raw::ShowNames::Never => ShowNames::Never,
    };
    let (public_url, trusted) = by_proxy(raw, base, document);
    let settings =
        |listen| web::Settings { listen, push, hook, callbacks, users, show_names, public_url, trusted, limits: Limits::default() };
    listen.ok().filter(|_| needed).map(settings)
}

/// By which address it is reached, and through whom.
fn by_proxy(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> (Option<Url>, Vec<IpAddr>) {
    let mut place = Place { key: "server".to_owned(), base, document };
    let public_url = raw.server.public_url.as_deref().and_then(|given| {
        let url =
            Url::parse(given).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some() && url.path() == "/");
        if url.is_none() {
            place.note("public_url", format!("{given:?} is no such address; expected one such as \"https://punctual.practice.example\""));
        }
        url
    });
    let mut trusted = Vec::new();
    for given in &raw.server.trusted_proxy {
        match given.parse() {
            Ok(address) => trusted.push(address),
            Err(_) => place.note("trusted_proxy", format!("{given:?} is no address; expected one such as \"192.0.2.7\"")),
        }
    }
    (public_url, trusted)
}

/// Where the server listens when it must and nothing is said.
const LISTEN: &str = "127.0.0.1:8080";

/// The dead-man's ping. Its address is a secret: it is told by no mistake.
pub(super) fn ping(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<Ping> {
    let cron = raw.server.ping.clone().unwrap_or_else(|| PING.to_owned());
    if let Err(why) = super::check::cron(&cron) {
        document.note("server.ping", why);
    }
    let mut place = Place { key: "server".to_owned(), base, document };
    let url = place.secret("ping_url", raw.server.ping_url.as_ref(), raw.server.ping_url_file.as_ref())?;
    let parsed = reqwest::Url::parse(url.expose_secret()).ok().filter(|url| {
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || (url.scheme() == "http" && local)
    });
    if parsed.is_none() {
        place.note("ping_url", "is no address that can be pinged; expected one that begins with https://, or http:// to this machine");
    }
    parsed.map(|url| Ping { url, cron })
}

/// Every minute.
const PING: &str = "0 * * * * *";

/// Connections at once when nothing is said.
pub(super) const CONNECTIONS: u16 = 4;
/// A gateway that has not answered by then may or may not have taken the text.
pub(super) const GATEWAY_TIMEOUT: Duration = Duration::from_secs(60);
/// Shortest token, in characters: with 64 kinds of them that is 144 bits, and 96 if it is hexadecimal.
const TOKEN_MIN: usize = 24;

/// One relay's or gateway's keys, and where its mistakes are noted.
pub(super) struct Place<'a, 'd, 't> {
    pub(super) key: String,
    pub(super) base: &'a Base<'a>,
    pub(super) document: &'d mut Document<'t>,
}

impl Place<'_, '_, '_> {
    pub(super) fn note(&mut self, field: &str, message: impl Into<String>) {
        let key = if field.is_empty() { self.key.clone() } else { format!("{}.{field}", self.key) };
        self.document.note(&key, message);
    }

    /// A key that this kind needs.
    pub(super) fn needed(&mut self, field: &str, value: Option<&String>, expected: &str) -> Option<String> {
        let found = value.filter(|v| !v.trim().is_empty()).cloned();
        if found.is_none() {
            self.note(field, format!("is missing; expected {expected}"));
        }
        found
    }

    pub(super) fn folder(&mut self, path: Option<&PathBuf>) -> Option<PathBuf> {
        if path.is_none() {
            self.note("path", "is missing; expected the folder for the messages");
        }
        path.map(|p| self.base.resolve(p))
    }

    /// A secret that was typed, or stands in a file. `None`: neither, or a mistake that was noted.
    pub(super) fn secret(&mut self, field: &str, typed: Option<&Secret>, file: Option<&PathBuf>) -> Option<SecretString> {
        match (typed, file) {
            (Some(_), Some(_)) => {
                self.note(field, format!("stands beside {field}_file; expected one of the two"));
                None
            }
            (Some(secret), None) => Some(secret.0.clone()),
            (None, Some(path)) => secret::read(path, &self.base.resolve(path)).map_err(|why| self.note(&format!("{field}_file"), why)).ok(),
            (None, None) => None,
        }
    }

    /// A secret that stands in an address or a header: long enough that nobody finds it by trying.
    pub(super) fn token(&mut self, field: &str, typed: Option<&Secret>, file: Option<&PathBuf>) -> Option<SecretString> {
        let token = self.secret(field, typed, file)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let good = token.expose_secret().len() >= TOKEN_MIN && token.expose_secret().bytes().all(plain);
        if !good {
            self.note(field, format!("expected {TOKEN_MIN} or more of letters, digits and - . _ ~ (such as from `openssl rand -hex 32`)"));
        }
        good.then_some(token)
    }

    /// Keys of another kind: they would do nothing, and somebody meant something by them.
    pub(super) fn foreign(&mut self, kind: &str, fields: &[(&str, bool)]) {
        for (field, typed) in fields {
            if *typed {
                self.note(field, format!("does nothing for kind = \"{kind}\""));
            }
        }
    }
}

pub(super) fn relays(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Relay> {
    let mut relays = Vec::new();
    for (n, relay) in raw.email.relay.iter().enumerate() {
        let mut place = Place { key: format!("email.relay[{n}]"), base, document };
        relays.extend(self::relay(relay, &mut place));
    }
    relays
}

/// The one relay of a key. `None`: a mistake that was noted.
pub(super) fn relay(relay: &raw::Relay, place: &mut Place<'_, '_, '_>) -> Option<Relay> {
    match relay.kind.unwrap_or(RelayKind::Smtp) {
        RelayKind::Folder => {
            let foreign = [("host", relay.host.is_some()), ("port", relay.port.is_some()), ("username", relay.username.is_some())];
            place.foreign("folder", &foreign);
            place.folder(relay.path.as_ref()).map(Relay::Folder)
        }
        RelayKind::Smtp => smtp(relay, place).map(Relay::Smtp),
    }
}

fn smtp(relay: &raw::Relay, place: &mut Place<'_, '_, '_>) -> Option<smtp::Settings> {
    place.foreign("smtp", &[("path", relay.path.is_some())]);
    let tls = match relay.tls.unwrap_or(TlsMode::Starttls) {
        TlsMode::None => Tls::None,
        TlsMode::Starttls => Tls::Starttls,
        TlsMode::Implicit => Tls::Implicit,
    };
    let usual = match tls {
        Tls::None => 25,
        Tls::Starttls => 587,
        Tls::Implicit => 465,
    };
    let password = place.secret("password", relay.password.as_ref(), relay.password_file.as_ref());
    if relay.username.is_some() != (relay.password.is_some() || relay.password_file.is_some()) {
        place.note("username", "and a password go together");
    }
    let connections = relay.connections.unwrap_or(CONNECTIONS);
    if connections == 0 {
        place.note("connections", "is 0; expected at least one");
    }
    Some(smtp::Settings {
        host: place.needed("host", relay.host.as_ref(), "the server's name, such as \"smtp.practice.example\"")?,
        port: relay.port.unwrap_or(usual),
        tls,
        ca_file: relay.ca_file.as_deref().map(|path: &Path| place.base.resolve(path)),
        connections: connections.into(),
        helo: relay.helo.clone(),
        username: relay.username.clone(),
        password,
        timeouts: Timeouts::default(),
    })
}
