//! `[email]`, as it was typed.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::rate::Rate;
use crate::retry::DoubtPolicy;

/// `[email]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Email {
    /// `Name <address>`: the From header and the envelope sender.
    pub from: Option<String>,
    /// Where answers go. Default: to `from`.
    pub reply_to: Option<String>,
    /// Where bounces go: the envelope sender, with the message's reference after a `+` (VERP). Default: `from`, without one.
    pub return_path: Option<String>,
    /// A maildir that bounces are delivered to.
    pub bounce_maildir: Option<PathBuf>,
    /// When it is read: cron expression with seconds. Default: every 30 seconds.
    pub bounce_poll: Option<String>,
    /// Whether the calendar entry holds link and code. A calendar may be shared, or shown on a locked screen. Default: true.
    pub calendar_code: Option<bool>,
    /// What becomes of a message in doubt: `resend` once after 10 minutes, or `hold`.
    pub in_doubt: DoubtPolicy,
    /// Signs each e-mail, if the relay does not. `check --online` shows the DNS record that must stand for it.
    pub dkim: Option<Dkim>,
    /// In order of preference: the second is used when the first is at fault.
    pub relay: Vec<Relay>,
}

/// `[email.dkim]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dkim {
    /// The key's name below `_domainkey` of the domain.
    pub selector: Option<String>,
    /// The signing domain. Default: that of `from`.
    pub domain: Option<String>,
    /// The private key in PEM, RSA (2048 bits or more) or Ed25519: a file, or the name of a systemd credential.
    pub key_file: Option<PathBuf>,
}

/// What kind of relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RelayKind {
    /// An SMTP server.
    Smtp,
    /// A folder of .eml files.
    Folder,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Not at all.
    None,
    /// By STARTTLS, required.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// `[[email.relay]]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Its kind. A key that begins with a kind's name below is of that kind alone. Default: `smtp`.
    pub kind: Option<RelayKind>,
    /// folder: where the .eml files go.
    pub path: Option<PathBuf>,
    /// smtp: the server.
    pub host: Option<String>,
    /// smtp: its port. Default: 587; with implicit TLS 465, with none 25.
    pub port: Option<u16>,
    /// smtp: how the connection is encrypted; with `starttls` it never falls back. Default: `starttls`.
    pub tls: Option<TlsMode>,
    /// smtp: `tls = "none"` is meant, although it is on another machine.
    pub clear_text: bool,
    /// smtp: a PEM file of certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// smtp: connections at once, of all nodes together. Default: 4.
    pub connections: Option<u16>,
    /// Messages at most, such as `100/min`; spaced evenly, over restarts, and over all nodes. Default: no limit.
    pub rate: Option<Rate>,
    /// smtp: how we greet. Default: the machine's name.
    pub helo: Option<String>,
    /// smtp: log-in.
    pub username: Option<String>,
    /// smtp: the password (only if nobody else can read this file).
    pub password: Option<Secret>,
    /// smtp: a file with the password, or the name of a systemd credential.
    pub password_file: Option<PathBuf>,
}
