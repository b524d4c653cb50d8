//! What works, and should not stay so: secrets that others can read, and connections in clear text to other machines. `check` and each start say it.

use std::path::{Path, PathBuf};

use super::key_path::Base;
use super::raw::{self, GatewayKind, Raw, RelayKind, TlsMode};
use super::{masked, secret};

/// In the order of the configuration; each names the key.
pub(super) fn advice(raw: &Raw, base: &Base<'_>) -> Vec<String> {
    let open = secret_files(raw).into_iter().filter_map(|(key, file)| {
        let file = secret::open_to_others(file, &base.resolve(file))?;
        Some(format!("{key}: others on this machine can read {}; expected mode 0600 (chmod 600)", file.display()))
    });
    open.chain(typed_secrets(raw, base)).chain(clear_text(raw)).collect()
}

/// Secrets that stand in headers and addresses of a file that others can read. (Under a key of their own they are refused there.)
fn typed_secrets(raw: &Raw, base: &Base<'_>) -> Vec<String> {
    let Some(file) = base.0.filter(|file| secret::is_open_to_others(file)) else { return Vec::new() };
    let mut keys = Vec::new();
    let address = |url: &Option<String>| url.as_deref().is_some_and(masked::address_holds_secret);
    keys.extend(raw.source.iter().enumerate().filter(|(_, source)| address(&source.url)).map(|(n, _)| format!("source[{n}].url")));
    for (n, gateway) in raw.sms.gateway.iter().enumerate() {
        let urls = [("url", &gateway.url), ("callback_url", &gateway.callback_url)];
        keys.extend(urls.iter().filter(|(_, url)| address(url)).map(|(field, _)| format!("sms.gateway[{n}].{field}")));
        let headers = gateway.headers.iter().filter(|(name, value)| masked::header_holds_secret(name, value));
        keys.extend(headers.map(|(name, _)| format!("sms.gateway[{n}].headers.{name}")));
    }
    let says = |key| {
        format!(
            "{key}: holds a secret, and others on this machine can read {}; expected mode 0600 (chmod 600), or {{{{ secret }}}} in its place and secret_file",
            file.display()
        )
    };
    keys.into_iter().map(says).collect()
}

/// Every file that holds a secret, with its key.
fn secret_files(raw: &Raw) -> Vec<(String, &Path)> {
    let mut files: Vec<(String, Option<&PathBuf>)> = vec![
        ("store.key_file".to_owned(), raw.store.key_file.as_ref()),
        ("store.password_file".to_owned(), raw.store.password_file.as_ref()),
        ("email.dkim.key_file".to_owned(), raw.email.dkim.as_ref().and_then(|dkim| dkim.key_file.as_ref())),
        ("server.webhook_token_file".to_owned(), raw.server.webhook_token_file.as_ref()),
        ("server.ping_url_file".to_owned(), raw.server.ping_url_file.as_ref()),
    ];
    for (n, source) in raw.source.iter().enumerate() {
        files.push((format!("source[{n}].secret_file"), source.secret_file.as_ref()));
        files.push((format!("source[{n}].token_file"), source.token_file.as_ref()));
    }
    for (n, relay) in raw.email.relay.iter().enumerate() {
        files.push((format!("email.relay[{n}].password_file"), relay.password_file.as_ref()));
    }
    for (n, gateway) in raw.sms.gateway.iter().enumerate() {
        let key = |field: &str| format!("sms.gateway[{n}].{field}");
        files.push((key("auth_token_file"), gateway.auth_token_file.as_ref()));
        files.push((key("api_key_secret_file"), gateway.api_key_secret_file.as_ref()));
        files.push((key("callback_token_file"), gateway.callback_token_file.as_ref()));
        files.push((key("password_file"), gateway.password_file.as_ref()));
        files.push((key("secret_file"), gateway.secret_file.as_ref()));
    }
    files.push(("alerts.relay.password_file".to_owned(), raw.alerts.relay.as_ref().and_then(|relay| relay.password_file.as_ref())));
    for (n, hook) in raw.alerts.webhook.iter().enumerate() {
        files.push((format!("alerts.webhook[{n}].url_file"), hook.url_file.as_ref()));
    }
    files.into_iter().filter_map(|(key, file)| Some((key, file?.as_path()))).collect()
}

/// Names, codes and passwords that would cross a network unencrypted.
fn clear_text(raw: &Raw) -> Vec<String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (n, source) in raw.source.iter().enumerate().filter(|(_, source)| !source.clear_text) {
        found.extend(source.url.as_deref().and_then(unencrypted_host).map(|host| (format!("source[{n}].url"), host)));
    }
    for (n, relay) in raw.email.relay.iter().enumerate().filter(|(_, relay)| !relay.clear_text) {
        found.extend(relay_host(relay).map(|host| (format!("email.relay[{n}].tls"), host)));
    }
    let alerts = raw.alerts.relay.iter().filter(|relay| !relay.clear_text);
    found.extend(alerts.filter_map(relay_host).map(|host| ("alerts.relay.tls".to_owned(), host)));
    for (n, gateway) in raw.sms.gateway.iter().enumerate().filter(|(_, gateway)| !gateway.clear_text) {
        let speaks = gateway.kind != Some(GatewayKind::Folder);
        found.extend(
            gateway.url.as_deref().filter(|_| speaks).and_then(unencrypted_host).map(|host| (format!("sms.gateway[{n}].url"), host)),
        );
    }
    let says = |(key, host): (String, String)| {
        format!(
            "{key}: what goes to {host} is not encrypted on its way; expected TLS, or clear_text = true if the way is safe by other means"
        )
    };
    found.into_iter().map(says).collect()
}

fn relay_host(relay: &raw::Relay) -> Option<String> {
    let plain = relay.kind != Some(RelayKind::Folder) && relay.tls == Some(TlsMode::None);
    relay.host.clone().filter(|host| plain && !is_loopback(host))
}

/// The host of an address (it may be a template) that is not encrypted and not this machine.
fn unencrypted_host(url: &str) -> Option<String> {
    let scheme = "http://";
    let rest = url.trim().get(scheme.len()..).filter(|_| url.trim()[..scheme.len()].eq_ignore_ascii_case(scheme))?;
    let authority = rest.split(['/', '?', '#', '{']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty() && !is_loopback(host)).then(|| host.to_owned())
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn of(text: &str, folder: &Path) -> Vec<String> {
        let file = folder.join("punctual.toml");
        crate::config::parse(text, Some(&file), &[]).unwrap_or_else(|mistakes| panic!("{mistakes}")).advice
    }

    fn gateway(kind: &str, url: &str) -> String {
        let keys = match kind {
            "twilio" => "account_sid = \"AC00000000000000000000000000000001\"\nfrom = \"+14045550100\"\nauth_token_file = \"secret\"\n",
            "kannel" => "username = \"u\"\npassword_file = \"secret\"\n",
            _ => "body = \"{{ text }}\"\n",
        };
        format!("[[sms.gateway]]\nkind = \"{kind}\"\nurl = \"{url}\"\n{keys}")
    }

    fn relay(host: &str, tls: &str) -> String {
        format!("[email]\nfrom = \"a@example.com\"\n[[email.relay]]\nhost = \"{host}\"\ntls = \"{tls}\"\n")
    }

    fn alerts(host: &str, tls: &str) -> String {
        format!(
            "[email]\nfrom = \"a@example.com\"\n[alerts]\nto = [\"b@example.com\"]\n[alerts.relay]\nhost = \"{host}\"\ntls = \"{tls}\"\n"
        )
    }

    #[test]
    fn clear_text_to_other_machines_names_each_host() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "a secret of some length\n").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let source = |url: &str| format!("[[source]]\nkind = \"http\"\nidentifier = \"i\"\nsecret_file = \"secret\"\nurl = \"{url}\"\n");
        for (text, host) in [
            (relay("smtp.example.com", "none"), Some("smtp.example.com")),
            (relay("192.0.2.7", "none"), Some("192.0.2.7")),
            (relay("smtp.example.com", "starttls"), None),
            (relay("smtp.example.com", "implicit"), None),
            (relay("127.0.0.1", "none"), None),
            (relay("127.8.8.8", "none"), None),
            (relay("LocalHost", "none"), None),
            (relay("::1", "none"), None),
            (relay("localhost.example.com", "none"), Some("localhost.example.com")),
            (relay("smtp.example.com", "none") + "clear_text = true\n", None),
            (alerts("alerts.example.com", "none"), Some("alerts.example.com")),
            (alerts("alerts.example.com", "implicit"), None),
            (alerts("127.0.0.1", "none"), None),
            (gateway("kannel", "http://kannel.example.com:13013/cgi-bin/sendsms"), Some("kannel.example.com")),
            (gateway("kannel", "http://[2001:db8::7]:13013/cgi-bin/sendsms"), Some("2001:db8::7")),
            (gateway("kannel", "http://[::1]:13013/cgi-bin/sendsms"), None),
            (gateway("twilio", "HTTP://twilio.example.com"), Some("twilio.example.com")),
            (gateway("twilio", "https://twilio.example.com"), None),
            (gateway("http", "http://user@sms.example.com/send?to={{ to }}"), Some("sms.example.com")),
            (gateway("http", "http://127.0.0.1:8080/send?to={{ to }}"), None),
            (gateway("http", "http://sms.example.com/send") + "clear_text = true\n", None),
            (source("http://api.example.com"), Some("api.example.com")),
            (source("https://api.example.com"), None),
            (source("http://127.0.0.1:9"), None),
        ] {
            let said = of(&text, folder.path());
            assert_eq!(said.len(), usize::from(host.is_some()), "{text}: {said:?}");
            assert!(host.is_none_or(|host| said[0].contains(host)), "{said:?} names {host:?}");
        }
    }

    /// Every key of the configuration that names a file with a secret is looked at.
    #[test]
    fn files_of_secrets_that_others_can_read_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        let with_password = |text: String| text + "username = \"u\"\npassword_file = \"secret\"\n";
        let hook = "[alerts]\n[[alerts.webhook]]\nkind = \"ntfy\"\nurl_file = \"secret\"\n".to_owned();
        for (text, key) in [
            (gateway("kannel", "http://127.0.0.1:1/"), "sms.gateway[0].password_file"),
            (gateway("twilio", "https://twilio.example.com"), "sms.gateway[0].auth_token_file"),
            (with_password(relay("smtp.example.com", "starttls")), "email.relay[0].password_file"),
            (with_password(alerts("smtp.example.com", "starttls")), "alerts.relay.password_file"),
            (hook, "alerts.webhook[0].url_file"),
            ("[[source]]\nname = \"desk\"\nkind = \"push\"\ntoken_file = \"secret\"\n".to_owned(), "source[0].token_file"),
            ("[server]\nping_url_file = \"secret\"\n".to_owned(), "server.ping_url_file"),
        ] {
            let held = if key.contains("url") { "https://secret.example.com/a-path" } else { "0123456789abcdef01234567" };
            std::fs::write(&secret, held).unwrap();
            for (mode, named) in [(0o644, true), (0o640, true), (0o604, true), (0o600, false), (0o400, false)] {
                std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
                let said = of(&text, folder.path());
                assert_eq!(said.iter().any(|s| s.starts_with(key) && s.contains("0600")), named, "{key}, {mode:o}: {said:?}");
            }
        }
    }
}
