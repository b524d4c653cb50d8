//! What of an address or a header may be shown: not a password, key or token that was typed into it.
//!
//! Both may be templates: what a template puts in (`{{ secret }}`) is not typed here, and the template stays readable.

use std::collections::BTreeMap;

use serde::Serializer;
use serde::ser::SerializeMap;

/// In place of what is not shown.
const MASK: &str = "********";
/// Parts of names that tell of a secret.
const SECRET: [&str; 9] = ["key", "token", "secret", "auth", "pass", "pwd", "cookie", "credential", "signature"];
/// Headers that hold no secret, in small letters.
const PLAIN: [&str; 8] =
    ["accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-language", "content-type", "user-agent"];
/// What stands before the secret of a header, in small letters.
const SCHEMES: [&str; 7] = ["", "apikey", "app", "basic", "bearer", "key", "token"];

/// The name of a key of the configuration under which a secret may stand: what was typed there is not repeated.
pub(super) fn is_secret_key(key: &str) -> bool {
    names_a_secret(key) || key.contains("headers") || key.contains("url")
}

/// The name of a header, or of a value in an address, that holds a secret.
fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part)) || name == "sig"
}

/// What was typed, less the templates in it. One that holds a text of its own is no mere name.
fn typed(text: &str) -> String {
    let (mut left, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let (before, from) = rest.split_at(start);
        left.push_str(before);
        let end = if from.starts_with("{{") { "}}" } else { "%}" };
        let Some(length) = from.find(end) else {
            rest = from;
            break;
        };
        let (template, after) = from.split_at(length + end.len());
        if template.contains(['"', '\'', '`']) {
            left.push_str(template);
        }
        rest = after;
    }
    left + rest
}

/// An address without the password of whoever logs in by it, and without keys and tokens among its values.
pub(super) fn address(text: &str) -> String {
    let (head, query) = text.split_once('?').map_or((text, None), |(head, query)| (head, Some(query)));
    let head = without_log_in(head);
    let Some(query) = query else { return head };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if names_a_secret(name) && !typed(value).is_empty() => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    });
    format!("{head}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// A name alone may be a token.
fn without_log_in(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '#']).unwrap_or(rest.len()));
    let Some((log_in, host)) = authority.rsplit_once('@') else { return text.to_owned() };
    let shown = match log_in.split_once(':') {
        Some((name, password)) if !typed(password).is_empty() => format!("{name}:{MASK}"),
        None if !typed(log_in).is_empty() => MASK.to_owned(),
        _ => log_in.to_owned(),
    };
    format!("{scheme}://{shown}@{host}{path}")
}

fn is_typed(value: &str) -> bool {
    !SCHEMES.contains(&typed(value).trim().to_ascii_lowercase().as_str())
}

/// The value of a header, if that is plainly harmless.
fn header<'v>(name: &str, value: &'v str) -> &'v str {
    if PLAIN.contains(&name.to_ascii_lowercase().as_str()) || !is_typed(value) { value } else { MASK }
}

/// A secret was typed into an address.
pub(super) fn address_holds_secret(text: &str) -> bool {
    address(text) != text
}

/// A secret was typed into a header.
pub(super) fn header_holds_secret(name: &str, value: &str) -> bool {
    names_a_secret(name) && is_typed(value)
}

/// Writes an address.
pub(super) fn write<S: Serializer>(text: &str, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&address(text))
}

/// Writes an address that may be there.
#[expect(clippy::ref_option, reason = "serde gives it so")]
pub(super) fn write_some<S: Serializer>(text: &Option<String>, s: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => s.serialize_some(&address(text)),
        None => s.serialize_none(),
    }
}

/// Writes headers.
pub(super) fn write_headers<S: Serializer>(headers: &BTreeMap<String, String>, s: S) -> Result<S::Ok, S::Error> {
    let mut map = s.serialize_map(Some(headers.len()))?;
    for (name, value) in headers {
        map.serialize_entry(name, header(name, value))?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (typed, shown) in [
            ("https://api.example.com/v1", "https://api.example.com/v1"),
            ("http://user:PASS@sms.example.com:8080/send", "http://user:********@sms.example.com:8080/send"),
            ("http://user:p@ss@sms.example.com", "http://user:********@sms.example.com"),
            ("http://T0KEN@sms.example.com/x", "http://********@sms.example.com/x"),
            ("http://user:{{ secret }}@sms.example.com", "http://user:{{ secret }}@sms.example.com"),
            ("http://user:x{{ secret }}@sms.example.com", "http://user:********@sms.example.com"),
            ("https://sms.example.com/send?to={{ to }}&api_key=K3Y&x=1", "https://sms.example.com/send?to={{ to }}&api_key=********&x=1"),
            ("https://sms.example.com/send?token={{ secret }}", "https://sms.example.com/send?token={{ secret }}"),
            ("https://sms.example.com/send?token={{ 'K3Y' }}", "https://sms.example.com/send?token=********"),
            ("https://sms.example.com/a@b", "https://sms.example.com/a@b"),
            ("sqlite://punctual.db", "sqlite://punctual.db"),
            (
                "https://hub.example.com/{{ code }}{% if passkey %}?passkey={{ passkey }}{% endif %}",
                "https://hub.example.com/{{ code }}{% if passkey %}?passkey={{ passkey }}{% endif %}",
            ),
        ] {
            assert_eq!(address(typed), shown);
        }
    }

    #[test]
    fn headers() {
        for (name, value, shown, secret) in [
            ("Authorization", "Bearer {{ secret }}", true, false),
            ("Authorization", "Bearer T0KEN", false, true),
            ("Proxy-Authorization", "Basic dTpw", false, true),
            ("Cookie", "session=1", false, true),
            ("X-Api-Key", "K3Y", false, true),
            ("X-Client-Secret", "{{ secret }}", true, false),
            ("X-Api-Key", "{{ \"K3Y\" }}", false, true),
            ("X-Tenant", "17", false, false),
            ("Content-Type", "application/json", true, false),
            ("accept", "*/*", true, false),
        ] {
            assert_eq!(header(name, value) == value, shown, "{name}: {value}");
            assert_eq!(header_holds_secret(name, value), secret, "{name}: {value}");
        }
    }
}
