//! `[server]`: what listens, for whom, and whom it pings.

use std::collections::HashSet;
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::key_path::{Base, KeyPath, cron};
use super::raw::{self, Raw};
use super::read::Document;
use super::{callback, masked};
use crate::access::{self, UsersAt};
use crate::alert::Ping;
use crate::outbox::postgres::Server;
use crate::source::{Source, SourceKind};
use crate::web::{self, Limits, ShowNames};

/// Where the server listens when it must and nothing is said.
const LISTEN: &str = "127.0.0.1:8080";
/// Every minute.
const PING: &str = "0 * * * * *";

/// What the log is to hold.
pub(super) fn log(raw: &Raw, document: &mut Document<'_>) {
    if let Err(why) = super::log_level(&raw.log.level) {
        document.note("log.level", why);
    }
}

/// What listens, and for whom. `None`: nothing does.
pub(super) fn server(raw: &Raw, sources: &[Source], base: &Base<'_>, document: &mut Document<'_>) -> Option<web::Settings> {
    let mut place = KeyPath { key: "server".to_owned(), base, document };
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
    let named = given.strip_prefix("localhost:").or(given.strip_prefix(':')).map(|port| format!("127.0.0.1:{port}"));
    let listen = named.as_deref().unwrap_or(given).parse().map_err(|_| {
        place.note("listen", format!("{given:?} is no address with a port; expected one such as \"127.0.0.1:8080\""));
    });
    let users = users(raw, &mut place);
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

/// Where staff and programs stand; `None`: nowhere.
fn users(raw: &Raw, place: &mut KeyPath<'_, '_, '_>) -> Option<UsersAt> {
    let file = raw.server.users_file.as_ref().map(|path| place.base.resolve(path));
    if raw.server.users.is_none() {
        if let Some(Err(why)) = file.as_deref().map(access::file::read) {
            place.note("users_file", why);
        }
        return file.map(UsersAt::File);
    }
    if file.is_some() {
        place.note("users", "says that users stand in the store, and users_file that they stand in a file; expected one of the two");
    } else if !raw.store.url.as_deref().is_some_and(Server::is_named_by) {
        place.note("users", "is \"store\", and [store] url is no PostgreSQL database; expected users_file = \"users.toml\"");
    }
    Some(UsersAt::Store)
}

/// By which address it is reached, and through whom.
fn by_proxy(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> (Option<Url>, Vec<IpAddr>) {
    let mut place = KeyPath { key: "server".to_owned(), base, document };
    let public_url = raw.server.public_url.as_deref().and_then(|given| {
        let url =
            Url::parse(given).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some() && url.path() == "/");
        if url.is_none() {
            place.note(
                "public_url",
                format!("{:?} is no such address; expected one such as \"https://punctual.practice.example\"", masked::address(given)),
            );
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

/// The dead-man's ping. Its address is a secret: it is told by no mistake.
pub(super) fn ping(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<Ping> {
    let cron = raw.server.ping.clone().unwrap_or_else(|| PING.to_owned());
    if let Err(why) = self::cron(&cron) {
        document.note("server.ping", why);
    }
    let mut place = KeyPath { key: "server".to_owned(), base, document };
    let url = place.secret("ping_url", raw.server.ping_url.as_ref(), raw.server.ping_url_file.as_ref())?;
    let parsed = Url::parse(url.expose_secret()).ok().filter(|url| {
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || (url.scheme() == "http" && local)
    });
    if parsed.is_none() {
        place.note("ping_url", "is no address that can be pinged; expected one that begins with https://, or http:// to this machine");
    }
    parsed.map(|url| Ping { url, cron })
}
