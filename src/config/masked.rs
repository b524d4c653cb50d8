//! What of an address or a header may be shown: not a password, key or token that was typed into it.
//!
//! Both may be templates: what a template puts in (`{{ secret }}`) is not typed here, and the template stays readable.

use std::collections::BTreeMap;

use serde::Serializer;
use serde::ser::SerializeMap;

use crate::deliver::gateway::typed::{literal, names_a_secret, parts};

/// In place of what is not shown.
const MASK: &str = "********";
/// Headers that hold no secret, in small letters.
const PLAIN: [&str; 8] =
    ["accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-language", "content-type", "user-agent"];
/// What stands before the secret of a header, in small letters.
const SCHEMES: [&str; 7] = ["", "apikey", "app", "basic", "bearer", "key", "token"];

/// The name of a key of the configuration under which a secret may stand: what was typed there is not repeated.
pub(super) fn is_secret_key(key: &str) -> bool {
    names_a_secret(key) || ["headers", "url", "webhook", "alerts", "command", "body"].iter().any(|part| key.contains(part))
}

/// An address without the password of whoever logs in by it, and without keys and tokens among its values. A name alone may be a token.
pub(super) fn address(text: &str) -> String {
    let Some(parts) = parts(text) else { return text.to_owned() };
    let is_given = |value: &str| literal(value).is_empty();
    let log_in = parts.log_in.map_or_else(String::new, |log_in| match log_in.split_once(':') {
        Some((name, password)) if !is_given(password) => format!("{name}:{MASK}@"),
        None if !is_given(log_in) => format!("{MASK}@"),
        _ => format!("{log_in}@"),
    });
    let shown = |(name, value): (&str, Option<&str>)| match value {
        None => name.to_owned(),
        Some(value) if names_a_secret(name) && !is_given(value) => format!("{name}={MASK}"),
        Some(value) => format!("{name}={value}"),
    };
    let values = parts.values.map(|values| format!("?{}", values.into_iter().map(shown).collect::<Vec<_>>().join("&")));
    format!("{}://{log_in}{}{}", parts.scheme, parts.rest, values.unwrap_or_default())
}

fn is_typed(value: &str) -> bool {
    !SCHEMES.contains(&literal(value).trim().to_ascii_lowercase().as_str())
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
