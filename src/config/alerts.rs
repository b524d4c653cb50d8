//! `[alerts]`: by which ways staff are told at once.

use secrecy::ExposeSecret;

use super::key_path::{Base, KeyPath};
use super::raw::{self, Raw, WebhookKind};
use super::read::Document;
use super::relay::relay;
use crate::alert::{self, Mail, Webhook, WebhookFormat};
use crate::contact::{EmailAddress, PhoneNumber};

/// `None`: nobody is told.
pub(super) fn alerts(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<alert::Settings> {
    let alerts = &raw.alerts;
    let mut to = Vec::new();
    for (n, text) in alerts.to.iter().enumerate() {
        match EmailAddress::parse(text) {
            Ok(address) => to.push(address),
            Err(why) => document.note(&format!("alerts.to[{n}]"), format!("is no address: {why}")),
        }
    }
    let mut numbers = Vec::new();
    for (n, text) in alerts.numbers.iter().enumerate() {
        match PhoneNumber::parse(text, &raw.practice.region) {
            Ok(number) => numbers.push(number),
            Err(why) => document.note(&format!("alerts.numbers[{n}]"), format!("is no number: {why}")),
        }
    }
    if !numbers.is_empty() && raw.sms.gateway.is_empty() {
        document.note("alerts.numbers", "nothing can be sent without an [[sms.gateway]]");
    }
    let mail = mail(alerts, raw, to, base, document);
    let webhooks: Vec<Webhook> = alerts.webhook.iter().enumerate().filter_map(|(n, hook)| webhook(n, hook, base, document)).collect();
    let some = mail.is_some() || !numbers.is_empty() || !webhooks.is_empty();
    some.then(|| alert::Settings { after: alerts.after.0, mail, numbers, webhooks })
}

fn mail(alerts: &raw::Alerts, raw: &Raw, to: Vec<EmailAddress>, base: &Base<'_>, document: &mut Document<'_>) -> Option<Mail> {
    let mut place = KeyPath { key: "alerts.relay".to_owned(), base, document };
    let Some(typed) = &alerts.relay else {
        if !alerts.to.is_empty() {
            place.note("", "is missing; expected a mail server beside those of [[email.relay]]: whoever is out cannot tell that it is");
        }
        return None;
    };
    let transport = relay(typed, &mut place)?.transport().map_err(|why| place.note("", why)).ok()?;
    if to.is_empty() {
        document.note("alerts.to", "is missing; expected an address at the practice for [alerts.relay]");
        return None;
    }
    // A From that is missing or wrong is noted where it stands.
    let from = raw.email.from.as_deref().and_then(|from| EmailAddress::parse(address(from)).ok()).or_else(|| to.first().cloned())?;
    Some(Mail { transport, from, to })
}

/// Of `Name <address>`.
fn address(mailbox: &str) -> &str {
    mailbox.rsplit_once('<').map_or(mailbox, |(_, rest)| rest.trim_end().trim_end_matches('>'))
}

fn webhook(n: usize, hook: &raw::Webhook, base: &Base<'_>, document: &mut Document<'_>) -> Option<Webhook> {
    let mut place = KeyPath { key: format!("alerts.webhook[{n}]"), base, document };
    if hook.url.is_none() && hook.url_file.is_none() {
        place.note("url_file", "is missing; expected a file with the webhook's address");
    }
    let url = place.secret("url", hook.url.as_ref(), hook.url_file.as_ref())?;
    let parsed = reqwest::Url::parse(url.expose_secret().trim()).ok().filter(|url| {
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || (url.scheme() == "http" && local)
    });
    if parsed.is_none() {
        place.note("url", "is no address that can be told; expected one that begins with https://, or http:// to this machine");
    }
    let kind = match hook.kind {
        WebhookKind::Slack => WebhookFormat::Slack,
        WebhookKind::Teams => WebhookFormat::Teams,
        WebhookKind::Ntfy => WebhookFormat::Ntfy,
    };
    Some(Webhook { kind, url: parsed? })
}
