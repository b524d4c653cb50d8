//! `[[sms.gateway]]`: which keys go with which kind, and what is made of them.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::callback;
use super::key_path::{Base, CONNECTIONS, KeyPath, TIMEOUT};
use super::raw::{self, GatewayKind, Raw};
use super::read::Document;
use crate::deliver::folder::Folder;
use crate::deliver::gateway::rules::ResponseRule;
use crate::deliver::gateway::twilio::Login;
use crate::deliver::gateway::{http, kannel, twilio};
use crate::deliver::{Route, Transport};
use crate::json_pointer::{At, pointer_mistake};
use crate::rate::Rate;

/// A checked SMS gateway.
#[derive(Clone)]
pub struct Gateway {
    /// What it is reached by.
    pub settings: GatewaySettings,
    /// How often it may be used; `None`: as often as one likes.
    pub rate: Option<Rate>,
}

/// What an SMS gateway is reached by.
#[derive(Clone)]
pub enum GatewaySettings {
    /// `kind = "twilio"`
    Twilio(twilio::Settings),
    /// `kind = "kannel"`
    Kannel(kannel::Settings),
    /// `kind = "http"`
    Http(http::Settings),
    /// `kind = "folder"`
    Folder(PathBuf),
}

impl Gateway {
    /// Makes the transport; nothing is connected yet. The error says what is wrong.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        Ok(match &self.settings {
            GatewaySettings::Twilio(settings) => Arc::new(twilio::Twilio::new(settings.clone())?),
            GatewaySettings::Kannel(settings) => Arc::new(kannel::Kannel::new(settings.clone())?),
            GatewaySettings::Http(settings) => Arc::new(http::Http::new(settings.clone())?),
            GatewaySettings::Folder(path) => Arc::new(Folder::new(path)?),
        })
    }

    /// That transport with its rate; the error as above.
    pub fn route(&self) -> Result<Route, String> {
        Ok(Route { transport: self.transport()?, rate: self.rate })
    }
}

/// Statuses that say that a gateway has it, when nothing is said.
const ACCEPTED: [u16; 3] = [200, 201, 202];
/// What a rule may say.
const MEANINGS: &str = "\"accepted\", \"rejected\", \"invalid_number\", \"opted_out\", \"retry\", \"channel_fault\" or \"unknown\"";

pub(super) fn gateways(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for (n, gateway) in raw.sms.gateway.iter().enumerate() {
        let mut place = KeyPath { key: format!("sms.gateway[{n}]"), base, document };
        let settings = match gateway.kind {
            None => {
                place.note("kind", "is missing; expected \"twilio\", \"kannel\", \"http\" or \"folder\"");
                None
            }
            Some(GatewayKind::Folder) => place.folder(gateway.path.as_ref()).map(GatewaySettings::Folder),
            Some(GatewayKind::Twilio) => twilio(gateway, &mut place).map(GatewaySettings::Twilio),
            Some(GatewayKind::Kannel) => kannel(gateway, &mut place).map(GatewaySettings::Kannel),
            Some(GatewayKind::Http) => http(gateway, &mut place).map(GatewaySettings::Http),
        };
        gateways.extend(settings.map(|settings| Gateway { settings, rate: gateway.rate }));
    }
    gateways
}

fn connections(gateway: &raw::Gateway) -> usize {
    gateway.connections.unwrap_or(CONNECTIONS).max(1).into()
}

fn ca_file(gateway: &raw::Gateway, place: &KeyPath<'_, '_, '_>) -> Option<PathBuf> {
    gateway.ca_file.as_deref().map(|path| place.base.resolve(path))
}

fn twilio(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<twilio::Settings> {
    place.foreign(
        "twilio",
        &[
            ("username", gateway.username.is_some()),
            ("body", gateway.body.is_some()),
            ("path", gateway.path.is_some()),
            ("answers", !gateway.answers.is_empty()),
        ],
    );
    let login = login(gateway, place);
    if gateway.from.is_some() == gateway.messaging_service_sid.is_some() {
        place.note("from", "expected either this or messaging_service_sid");
    }
    let account_sid = place.needed("account_sid", gateway.account_sid.as_ref(), "the account's id, AC...");
    Some(twilio::Settings {
        url: gateway.url.clone().unwrap_or_else(|| twilio::URL.to_owned()),
        account_sid: account_sid?,
        login: login?,
        from: gateway.from.clone(),
        messaging_service_sid: gateway.messaging_service_sid.clone(),
        callback_url: gateway.callback_url.clone(),
        ca_file: ca_file(gateway, place),
        connections: connections(gateway),
        timeout: TIMEOUT,
    })
}

/// The account's token, or an API key with its secret.
fn login(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<Login> {
    let token = place.secret("auth_token", gateway.auth_token.as_ref(), gateway.auth_token_file.as_ref());
    let secret = place.secret("api_key_secret", gateway.api_key_secret.as_ref(), gateway.api_key_secret_file.as_ref());
    let (has_token, has_secret) = (
        gateway.auth_token.is_some() || gateway.auth_token_file.is_some(),
        gateway.api_key_secret.is_some() || gateway.api_key_secret_file.is_some(),
    );
    match &gateway.api_key_sid {
        Some(sid) if has_secret => Some(Login::Key { sid: sid.clone(), secret: secret? }),
        Some(_) => {
            place.note("api_key_secret_file", "is missing; expected a file with the secret of the API key");
            None
        }
        None if has_secret => {
            place.note("api_key_sid", "is missing; expected the id of the API key, SK...");
            None
        }
        None if has_token => Some(Login::Token(token?)),
        None => {
            place.note("auth_token_file", "is missing; expected a file with the account's token, or api_key_sid with api_key_secret_file");
            None
        }
    }
}

fn kannel(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<kannel::Settings> {
    place.foreign(
        "kannel",
        &[
            ("account_sid", gateway.account_sid.is_some()),
            ("body", gateway.body.is_some()),
            ("path", gateway.path.is_some()),
            ("answers", !gateway.answers.is_empty()),
        ],
    );
    let password = place.secret("password", gateway.password.as_ref(), gateway.password_file.as_ref());
    if gateway.password.is_none() && gateway.password_file.is_none() {
        place.note("password_file", "is missing; expected a file with the sendsms-user's password");
    }
    let url = place.needed("url", gateway.url.as_ref(), "the sendsms address, such as \"http://127.0.0.1:13013/cgi-bin/sendsms\"");
    let username = place.needed("username", gateway.username.as_ref(), "the sendsms-user");
    let callback_url = callback::address(gateway, place);
    Some(kannel::Settings {
        url: url?,
        username: username?,
        password: password?,
        from: gateway.from.clone(),
        callback_url: callback_url.map(|url| url.expose_secret().to_owned()),
        ca_file: ca_file(gateway, place),
        connections: connections(gateway),
        timeout: TIMEOUT,
    })
}

fn http(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<http::Settings> {
    place.foreign("http", &[("account_sid", gateway.account_sid.is_some()), ("path", gateway.path.is_some())]);
    let secret = place.secret("secret", gateway.secret.as_ref(), gateway.secret_file.as_ref());
    let answers = answers(gateway, place);
    let callback_url = callback::address(gateway, place);
    let accepted = if gateway.accepted_status.is_empty() { ACCEPTED.to_vec() } else { gateway.accepted_status.clone() };
    let settings = http::Settings {
        url: place.needed("url", gateway.url.as_ref(), "the address, a template")?,
        method: gateway.method.clone().unwrap_or_else(|| "POST".to_owned()),
        headers: gateway.headers.clone(),
        body: gateway.body.clone(),
        secret,
        from: gateway.from.clone(),
        callback_url,
        accepted_status: accepted,
        reference_pointer: gateway.reference_pointer.clone(),
        answers,
        ca_file: ca_file(gateway, place),
        connections: connections(gateway),
        timeout: TIMEOUT,
    };
    if let Some(why) = settings.reference_pointer.as_deref().and_then(pointer_mistake) {
        place.note("reference_pointer", why);
    }
    // Its templates are compiled once here, so that a mistake in them is a mistake of the configuration.
    if let Err(why) = http::Http::new(settings.clone()) {
        place.note("", why);
    }
    Some(settings)
}

/// The rules that can be used; what is wrong with the others was noted.
fn answers(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Vec<ResponseRule> {
    let mut rules = Vec::new();
    for (n, typed) in gateway.answers.iter().enumerate() {
        let key = |field: &str| if field.is_empty() { format!("answers[{n}]") } else { format!("answers[{n}].{field}") };
        let texts = if typed.one_of.is_empty() { typed.equals.iter().cloned().collect() } else { typed.one_of.clone() };
        if typed.equals.is_some() && !typed.one_of.is_empty() {
            place.note(&key("equals"), "stands beside one_of; expected one of the two");
        }
        if typed.pointer.is_none() && !texts.is_empty() {
            let field = if typed.equals.is_some() { "equals" } else { "one_of" };
            place.note(&key(field), "has no pointer; expected one beside it, such as pointer = \"/status\"");
        }
        let Some(means) = typed.means else {
            place.note(&key("means"), format!("is missing; expected {MEANINGS}"));
            continue;
        };
        let at = typed.pointer.clone().map(|pointer| At { pointer, one_of: texts });
        let rule = ResponseRule { status: typed.status.clone(), at, contains: typed.contains.clone(), means };
        match rule.check() {
            Ok(()) => rules.push(rule),
            Err((field, why)) => place.note(&key(field), why),
        }
    }
    rules
}
