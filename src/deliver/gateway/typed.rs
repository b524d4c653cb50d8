//! What was typed into an address, a header or a body where a template could have put a secret: which of it is one.
//!
//! In: the text from the configuration. Out: what no answer may repeat, and nobody is shown. What a template puts in (`{{ secret }}`) is known by itself.

/// Parts of names that tell of a secret.
const SECRET: [&str; 9] = ["key", "token", "secret", "auth", "pass", "pwd", "cookie", "credential", "signature"];
/// Shortest word that looks like a key, in letters and digits.
const KEY_MIN: usize = 8;

/// Shortest token of an address that a gateway is told, in letters.
const CALLBACK_MIN: usize = 24;

/// The name of a header, or of a value in an address, that holds a secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part)) || name == "sig"
}

/// What was typed, less the templates in it. One that holds a text of its own is no mere name.
pub(crate) fn literal(text: &str) -> String {
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

/// An address in parts: up to its host, its log-in, the rest up to the values, and the values.
pub(crate) struct UrlParts<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) log_in: Option<&'a str>,
    /// With the host; after the log-in.
    pub(crate) rest: &'a str,
    /// In order: a value's name and the value; `None`: it has no value.
    pub(crate) values: Option<Vec<(&'a str, Option<&'a str>)>>,
}

/// `None`: it is no address.
pub(crate) fn parts(text: &str) -> Option<UrlParts<'_>> {
    let (head, query) = text.split_once('?').map_or((text, None), |(head, query)| (head, Some(query)));
    let (scheme, rest) = head.split_once("://")?;
    let authority = &rest[..rest.find(['/', '#']).unwrap_or(rest.len())];
    let log_in = authority.rfind('@').map(|at| &rest[..at]);
    let values = query
        .map(|query| query.split('&').map(|pair| pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)))).collect());
    Some(UrlParts { scheme, log_in, rest: &rest[log_in.map_or(0, |log_in| log_in.len() + 1)..], values })
}

/// What an answer may not repeat of an address: its log-in, and keys and tokens among its values, as typed and as they are read.
pub(super) fn secrets_of_address(text: &str) -> Vec<String> {
    let Some(parts) = parts(text) else { return Vec::new() };
    let log_in = parts.log_in.into_iter().flat_map(|log_in| log_in.splitn(2, ':')).map(literal);
    let values = parts.values.into_iter().flatten().filter_map(|(name, value)| Some((name, literal(value?))));
    let values = values.filter(|(name, value)| names_a_secret(name) || looks_like_a_key(value)).map(|(_, value)| value);
    log_in.chain(values).flat_map(|secret| [read(&secret), secret]).filter(|secret| !secret.is_empty()).collect()
}

/// Likewise of a header.
pub(super) fn secrets_of_header(name: &str, value: &str) -> Option<String> {
    let typed = literal(value);
    let value = typed.split_once(' ').map_or(typed.as_str(), |(_, after)| after);
    (names_a_secret(name) || looks_like_a_key(value)).then(|| value.to_owned())
}

/// Likewise of a body, whose form nobody knows.
pub(super) fn secrets_of_body(text: &str) -> Vec<String> {
    let typed = literal(text);
    typed.split(|c: char| !c.is_alphanumeric()).filter(|word| looks_like_a_key(word)).map(str::to_owned).collect()
}

/// Likewise of the address that a gateway is told: its last part, by which it is known.
pub(super) fn secrets_of_callback(url: &str) -> Option<String> {
    url.rsplit('/').next().filter(|last| last.len() >= CALLBACK_MIN).map(str::to_owned)
}

/// A word of digits, or of letters with digits.
fn looks_like_a_key(text: &str) -> bool {
    let longest = text.split(|c: char| !c.is_alphanumeric()).max_by_key(|word| word.len()).unwrap_or_default();
    longest.len() >= KEY_MIN && longest.bytes().any(|b| b.is_ascii_digit())
}

/// As a server reads it.
fn read(value: &str) -> String {
    url::form_urlencoded::parse(format!("v={value}").as_bytes()).map(|(_, value)| value.into_owned()).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_an_address() {
        for (typed, secrets) in [
            ("https://sms.example.com/send?to={{ to }}&type=sms", &[] as &[&str]),
            ("https://sms.example.com/send?api_key=K3Y&type=sms&v=2", &["K3Y"]),
            ("https://sms.example.com/send?id=98765432101&type=sms", &["98765432101"]),
            ("https://sms.example.com/send?token={{ secret }}", &[]),
            ("https://user:pa%21ss@sms.example.com/send", &["user", "pa!ss", "pa%21ss"]),
            ("{{ secret }}", &[]),
        ] {
            let mut found = secrets_of_address(typed);
            found.dedup();
            assert_eq!(found, secrets, "{typed}");
        }
    }

    #[test]
    fn secrets_of_headers_and_bodies() {
        assert_eq!(secrets_of_header("Authorization", "Bearer T0KEN").as_deref(), Some("T0KEN"));
        assert_eq!(secrets_of_header("X-Api-Key", "K3Y").as_deref(), Some("K3Y"));
        assert_eq!(secrets_of_header("X-Account", "98765432101").as_deref(), Some("98765432101"));
        assert_eq!(secrets_of_header("Content-Type", "application/json"), None);
        assert_eq!(secrets_of_body("{\"apikey\": \"a1b2c3d4e5\", \"text\": {{ text | json_encode }}}"), ["a1b2c3d4e5"]);
    }
}
