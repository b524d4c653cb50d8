//! `[server]`, `[run]`, `[daemon]`, `[log]`, `[retention]` and `[store]`, as they were typed.

use std::path::PathBuf;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::masked;
use crate::config::secret::Secret;
use crate::config::span::{Duration, Period};

/// `[server]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port; without an address (`:8080`) this machine alone. Default: `127.0.0.1:8080` if something needs it, else nothing listens.
    pub listen: Option<String>,
    /// The last part of the address to which the provider's webhook is sent (only if nobody else can read this file).
    pub webhook_token: Option<Secret>,
    /// A file with it, or the name of a systemd credential.
    pub webhook_token_file: Option<PathBuf>,
    /// A monitor's address that is asked (GET) as long as all is well: https, or this machine.
    pub ping_url: Option<Secret>,
    /// A file with it, or the name of a systemd credential.
    pub ping_url_file: Option<PathBuf>,
    /// How often, a cron expression with seconds. Default: every minute.
    pub ping: Option<String>,
    /// Who sees the names of hosts and participants on the pages, and the contacts of those who must be called.
    pub show_names: ShowNames,
    /// Staff who may use the pages, and tokens for the API: `punctual user add`, `punctual token add`. Not set: neither is served.
    pub users_file: Option<PathBuf>,
    /// `store`: they stand in the PostgreSQL database, the same for all nodes; the same commands write them there. `punctual user import FILE` takes over
    /// those of a file. Instead of `users_file`.
    pub users: Option<Users>,
    /// The address by which staff and programs reach it through a proxy: requests by another name are refused, cookies go by its scheme.
    #[serde(serialize_with = "masked::write_some")]
    pub public_url: Option<String>,
    /// Addresses of proxies that are believed where a request comes from, beside those on this machine.
    pub trusted_proxy: Vec<String>,
}

/// Where users stand that are in no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Users {
    /// In the store.
    Store,
}

/// Who sees names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShowNames {
    /// Whoever is logged in.
    #[default]
    All,
    /// Operators; viewers see numbers.
    Operators,
    /// Nobody, but by a reveal.
    Never,
}

/// Whether messages go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They do.
    #[default]
    Live,
    /// Everything is decided, rendered and recorded, and nothing is sent.
    Shadow,
}

/// `[run]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// In `shadow` everything is decided, rendered and recorded, and nothing is sent.
    pub mode: Mode,
    /// A reload that changes more than a fifth of the planned messages (and more than three) is refused unless this names the change, as
    /// `punctual diff` and the refusal do.
    pub accept_change: Option<String>,
}

/// `[retention]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// After a session's start: messages as they were sent, and what the source said. Both hold codes.
    pub content: Period,
    /// The ledger, and notices and deliveries after their session's start.
    pub ledger: Period,
    /// When the daemon removes what is past its time, a cron expression with seconds, in UTC.
    pub prune: String,
}

impl Default for Retention {
    fn default() -> Self {
        Self { content: Period::Days(7), ledger: Period::Years(6), prune: "0 30 3 * * *".to_owned() }
    }
}

/// `[daemon]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Daemon {
    /// What is in hand at a stop is finished within this time.
    pub stop_within: Duration,
    /// A source that has not answered for so long is not believed any more: its notices are held.
    pub max_stale: Duration,
}

impl Default for Daemon {
    fn default() -> Self {
        Self { stop_within: Duration(TimeDelta::seconds(25)), max_stale: Duration(TimeDelta::hours(6)) }
    }
}

/// `[node]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// This machine's name. Several machines with names serve the practice at once: all hand over, and one of them walks the sources. Default: a second daemon
    /// ends at once.
    pub name: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `punctual=debug`.
    pub level: String,
    /// Lines for people, or one JSON object a line.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// `[ledger]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// A program and its arguments, run every hour with one line on its standard input: the time, and how far the ledger had got. It keeps the line
    /// where nobody who can write the store can write (`punctual ledger verify --anchor`).
    pub anchor_command: Vec<String>,
}

/// What stands before a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooler {
    /// One that gives each transaction another connection.
    Transaction,
}

/// `[store]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite://FILE`, relative to the configuration file; or `postgres://USER@HOST/DATABASE`, several hosts with commas: the one that takes writes is
    /// used.
    #[serde(serialize_with = "masked::write_some")]
    pub url: Option<String>,
    /// Seals contacts, names, codes and messages in a new store: a file of 32 random bytes as 64 hexadecimal digits or in base64, or the name of a
    /// systemd credential. Without it the store is lost. Default: nothing is sealed.
    pub key_file: Option<PathBuf>,
    /// The database's password: a file, or the name of a systemd credential. Default: the database asks for none.
    pub password_file: Option<PathBuf>,
    /// Certificates in PEM that the database's are verified against, besides those of the host. Over a network it is spoken to by TLS.
    pub ca_file: Option<PathBuf>,
    /// `transaction`: the URL is that of a pooler which gives each transaction another connection (PgBouncer with `pool_mode = transaction`). Default: the
    /// database itself, or a pooler in session mode.
    pub pooler: Option<Pooler>,
}
