//! `[email]` and `[templates]`: how messages look, from whom they are, how they are signed, and where bounces are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::key_path::{Base, POLL, cron};
use super::raw::{self, Raw};
use super::read::Document;
use super::secret;
use crate::contact::{EmailAddress, clean_line};
use crate::render::look::{Color, Logo, MailLook};
use crate::render::{self, dkim::Dkim};

/// The From of previews when no address is configured: nothing can be sent without one.
const PREVIEW_FROM: &str = "sessions@practice.example";

pub(super) fn rendering(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> render::Settings {
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
        look: look(&raw.practice, base, document),
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
        calendar_code: raw.email.calendar_code.unwrap_or(true),
        reference_key: [0; 32],
        dkim: dkim.map(Arc::new),
    }
}

/// The letters that a footer may have.
const FOOTER_MAX: usize = 600;

/// A device or a pipe has no end, or no beginning.
fn logo(path: &Path) -> Result<Logo, String> {
    let unread = |e: std::io::Error| format!("cannot be read: {e}");
    let found = std::fs::metadata(path).map_err(unread)?;
    if !found.is_file() {
        return Err("is no file; expected a picture".to_owned());
    }
    Logo::fits(found.len())?;
    std::fs::read(path).map_err(unread).and_then(Logo::read)
}

/// How e-mails look: what is wrong with it is found before any is sent.
fn look(practice: &raw::Practice, base: &Base<'_>, document: &mut Document<'_>) -> MailLook {
    let mut found = MailLook::default();
    if let Some(path) = &practice.logo {
        let path = base.resolve(path);
        match logo(&path) {
            Ok(logo) => found.logo = Some(Arc::new(logo)),
            Err(why) => document.note("practice.logo", format!("{} {why}", path.display())),
        }
    }
    match practice.color.as_deref().map(Color::parse).transpose() {
        Ok(color) => found.color = color,
        Err(why) => document.note("practice.color", why),
    }
    let footer = practice.footer.as_deref().unwrap_or_default();
    if footer.chars().count() > FOOTER_MAX {
        document.note("practice.footer", format!("has {} letters; expected {FOOTER_MAX} at most", footer.chars().count()));
    }
    found.footer = footer.lines().map(clean_line).filter(|line| !line.is_empty()).collect();
    if let Some(link) = &practice.camera_test_url {
        match url::Url::parse(link.trim()) {
            Ok(url) if url.password().is_some() || !url.username().is_empty() => {
                document.note("practice.camera_test_url", "names an account; expected a link that everybody may see");
            }
            Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => found.camera_test = Some(link.trim().to_owned()),
            _ => document.note("practice.camera_test_url", "is no link; expected one that begins with https://"),
        }
    }
    found
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
/// A display name without its quotes, and what is quoted in it (RFC 5322 3.2.4): `Lakeside "Telehealth"`.
fn unquoted(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return name.trim_matches('"').to_owned() };
    let mut letters = inner.chars();
    std::iter::from_fn(|| letters.next().and_then(|letter| if letter == '\\' { letters.next() } else { Some(letter) })).collect()
}

fn mailbox(text: &str) -> Result<(Option<String>, EmailAddress), String> {
    let (name, address) = match text.trim().strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        Some((name, address)) => (clean_line(&unquoted(name.trim())), address),
        None => (String::new(), text),
    };
    let address = EmailAddress::parse(address).map_err(|why| format!("is no address: {why}; expected \"Name <address>\""))?;
    Ok((Some(name).filter(|n| !n.is_empty()), address))
}

pub(super) fn bounces(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Option<(PathBuf, String)> {
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
