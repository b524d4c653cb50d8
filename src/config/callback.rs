//! What gateways tell us: how each is known, and where its requests hold what.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::key_path::{Base, KeyPath};
use super::raw::{self, GatewayKind, Raw};
use super::read::Document;
use crate::json_pointer::{At, pointer_mistake};
use crate::web::webhook::{EventForm, ReceiptForm, ReplyForm};
use crate::web::{Callback, TwilioAccount};

/// Of all gateways that tell us anything.
pub(super) fn callbacks(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Callback> {
    let mut callbacks = Vec::new();
    for (n, gateway) in raw.sms.gateway.iter().enumerate() {
        let mut place = KeyPath { key: format!("sms.gateway[{n}]"), base, document };
        let tokens = [("callback_token", gateway.callback_token.is_some()), ("callback_token_file", gateway.callback_token_file.is_some())];
        let form = [("callback", !gateway.callback.is_empty())];
        callbacks.extend(match gateway.kind {
            Some(GatewayKind::Twilio) => {
                place.foreign("twilio", &tokens);
                place.foreign("twilio", &form);
                twilio(gateway, &mut place)
            }
            Some(GatewayKind::Kannel) => {
                place.foreign("kannel", &form);
                let token = token(gateway, &mut place);
                token.map(|token| Callback::Kannel { token, answered: gateway.provider_answers.unwrap_or(false) })
            }
            Some(GatewayKind::Http) => http(gateway, &mut place),
            Some(GatewayKind::Folder) | None => {
                place.foreign("folder", &tokens);
                place.foreign("folder", &form);
                place.foreign("folder", &[("callback_url", gateway.callback_url.is_some())]);
                None
            }
        });
    }
    let tokens: Vec<&str> = callbacks.iter().filter_map(token_of).collect();
    if (1..tokens.len()).any(|n| tokens[..n].contains(&tokens[n])) {
        document.note("sms.gateway", "two gateways have the same callback_token; expected one of its own for each");
    }
    callbacks
}

fn token_of(callback: &Callback) -> Option<&str> {
    match callback {
        Callback::Kannel { token, .. } | Callback::Http { token, .. } => Some(token.expose_secret()),
        Callback::Twilio(_) => None,
    }
}

/// The secret part of an address.
fn token(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<SecretString> {
    place.token("callback_token", gateway.callback_token.as_ref(), gateway.callback_token_file.as_ref())
}

/// The address that a gateway is told: ours, and the secret part. What is wrong with the token is told where it is looked at.
pub(super) fn address(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<SecretString> {
    let url = public(gateway, place)?;
    match token(gateway, place) {
        Some(token) => Some(format!("{}/{}", url.as_str().trim_end_matches('/'), token.expose_secret()).into()),
        None => Some(url.as_str().into()),
    }
}

/// `callback_url`, which must be an address.
pub(super) fn public(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<Url> {
    let text = gateway.callback_url.as_ref()?;
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    if url.is_none() {
        place.note(
            "callback_url",
            "is no address; expected our server's public one, such as \"https://punctual.practice.example/hooks/twilio\"",
        );
    }
    url
}

fn twilio(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<Callback> {
    let url = public(gateway, place)?;
    let token = place.secret("auth_token", gateway.auth_token.as_ref(), gateway.auth_token_file.as_ref());
    if gateway.auth_token.is_none() && gateway.auth_token_file.is_none() {
        place.note("auth_token_file", "is missing; expected the account's token: Twilio signs what it sends to callback_url with it");
    }
    Some(Callback::Twilio(TwilioAccount {
        url,
        token: token?,
        // What is missing is told where the gateway is looked at.
        sid: gateway.account_sid.clone().unwrap_or_default(),
        number: gateway.from.clone(),
        service: gateway.messaging_service_sid.clone(),
        answered: gateway.provider_answers.unwrap_or(true),
    }))
}

fn http(gateway: &raw::Gateway, place: &mut KeyPath<'_, '_, '_>) -> Option<Callback> {
    let token = token(gateway, place);
    let typed = &gateway.callback;
    let has_token = gateway.callback_token.is_some() || gateway.callback_token_file.is_some();
    if typed.is_empty() != !has_token {
        let (missing, why) =
            if has_token { ("callback", "where its requests hold what") } else { ("callback_token_file", "a file with a token") };
        place.note(missing, format!("is missing; expected {why}"));
        return None;
    }
    let pointers = [
        ("each", &typed.each),
        ("message", &typed.message),
        ("reference", &typed.reference),
        ("status", &typed.status),
        ("detail", &typed.detail),
        ("reply", &typed.reply),
        ("from", &typed.from),
        ("text", &typed.text),
        ("reply_when.pointer", &typed.reply_when.pointer),
    ];
    for (field, pointer) in pointers {
        if let Some(why) = pointer.as_deref().and_then(pointer_mistake) {
            place.note(&format!("callback.{field}"), why);
        }
    }
    if let Some(token) = token.filter(|_| has_token) {
        let (receipts, replies) = (receipts(typed, place), replies(typed, place));
        let reply_when = reply_when(typed, (receipts.is_some(), replies.is_some()), place);
        let form = EventForm { each: typed.each.clone(), receipts, replies, reply_when };
        return Some(Callback::Http { token, form, answered: gateway.provider_answers.unwrap_or(false) });
    }
    None
}

fn receipts(typed: &raw::CallbackForm, place: &mut KeyPath<'_, '_, '_>) -> Option<ReceiptForm> {
    if typed.message.is_none() && typed.reference.is_none() && typed.status.is_none() && typed.statuses.is_empty() {
        return None;
    }
    if typed.message.is_none() && typed.reference.is_none() {
        place.note("callback.message", "is missing; expected where a receipt holds the message's id, or `reference`");
    }
    if typed.statuses.is_empty() {
        place.note("callback.statuses", "is missing; expected what each status means, such as { DELIVRD = \"delivered\" }");
    }
    let status = typed.status.clone().or_else(|| {
        place.note("callback.status", "is missing; expected where a receipt holds the status");
        None
    })?;
    Some(ReceiptForm {
        id: typed.message.clone(),
        reference: typed.reference.clone(),
        status,
        detail: typed.detail.clone(),
        words: typed.statuses.clone(),
    })
}

fn replies(typed: &raw::CallbackForm, place: &mut KeyPath<'_, '_, '_>) -> Option<ReplyForm> {
    let parts = [("reply", &typed.reply), ("from", &typed.from), ("text", &typed.text)];
    if parts.iter().all(|(_, pointer)| pointer.is_none()) {
        return None;
    }
    for (field, pointer) in parts {
        if pointer.is_none() {
            place.note(&format!("callback.{field}"), "is missing; `reply`, `from` and `text` go together");
        }
    }
    Some(ReplyForm { id: typed.reply.clone()?, from: typed.from.clone()?, text: typed.text.clone()? })
}

/// `both`: whether there are receipts, and texts.
fn reply_when(typed: &raw::CallbackForm, both: (bool, bool), place: &mut KeyPath<'_, '_, '_>) -> Option<At> {
    let when = &typed.reply_when;
    let Some(pointer) = when.pointer.clone() else {
        if when.equals.is_some() || both == (true, true) {
            let example = "such as { pointer = \"/event_type\", equals = \"message.received\" }";
            place.note("callback.reply_when", format!("has no pointer; expected what tells somebody's text from a receipt, {example}"));
        }
        return None;
    };
    Some(At { pointer, one_of: when.equals.iter().cloned().collect() })
}

impl raw::CallbackForm {
    fn is_empty(&self) -> bool {
        let pointers = [&self.each, &self.message, &self.reference, &self.status, &self.detail, &self.reply, &self.from, &self.text];
        let when = &self.reply_when;
        pointers.iter().all(|pointer| pointer.is_none()) && self.statuses.is_empty() && when.pointer.is_none() && when.equals.is_none()
    }
}
