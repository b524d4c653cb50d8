//! `[[email.relay]]`: which keys go with which kind, and what is made of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::key_path::{Base, CONNECTIONS, KeyPath};
use super::raw::{self, Raw, RelayKind, TlsMode};
use super::read::Document;
use crate::deliver::folder::Folder;
use crate::deliver::smtp::{self, Smtp, Timeouts, Tls};
use crate::deliver::{Route, Transport};
use crate::rate::Rate;

/// A checked e-mail relay.
#[derive(Clone)]
pub struct Relay {
    /// What it is reached by.
    pub settings: RelaySettings,
    /// How often it may be used; `None`: as often as one likes.
    pub rate: Option<Rate>,
}

/// What an e-mail relay is reached by.
#[derive(Clone)]
pub enum RelaySettings {
    /// `kind = "smtp"`
    Smtp(smtp::Settings),
    /// `kind = "folder"`
    Folder(PathBuf),
}

impl Relay {
    /// Makes the transport; nothing is connected yet. The error says what is wrong.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        Ok(match &self.settings {
            RelaySettings::Smtp(settings) => Arc::new(Smtp::new(settings.clone())?),
            RelaySettings::Folder(path) => Arc::new(Folder::new(path)?),
        })
    }

    /// That transport with its rate; the error as above.
    pub fn route(&self) -> Result<Route, String> {
        Ok(Route { transport: self.transport()?, rate: self.rate })
    }
}

pub(super) fn relays(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Relay> {
    let mut relays = Vec::new();
    for (n, relay) in raw.email.relay.iter().enumerate() {
        let mut place = KeyPath { key: format!("email.relay[{n}]"), base, document };
        relays.extend(self::relay(relay, &mut place));
    }
    relays
}

/// The one relay of a key. `None`: a mistake that was noted.
pub(super) fn relay(relay: &raw::Relay, place: &mut KeyPath<'_, '_, '_>) -> Option<Relay> {
    let settings = match relay.kind.unwrap_or(RelayKind::Smtp) {
        RelayKind::Folder => {
            let foreign = [("host", relay.host.is_some()), ("port", relay.port.is_some()), ("username", relay.username.is_some())];
            place.foreign("folder", &foreign);
            place.folder(relay.path.as_ref()).map(RelaySettings::Folder)
        }
        RelayKind::Smtp => smtp(relay, place).map(RelaySettings::Smtp),
    };
    settings.map(|settings| Relay { settings, rate: relay.rate })
}

fn smtp(relay: &raw::Relay, place: &mut KeyPath<'_, '_, '_>) -> Option<smtp::Settings> {
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
