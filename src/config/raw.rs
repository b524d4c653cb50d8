//! What was typed: every key of the configuration file, with its default. `config/punctual.toml` explains each to its reader.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{NaiveTime, TimeDelta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::masked;
use super::secret::Secret;
use super::span::{Clock, Duration};
use crate::contact::Channel;
use crate::retry::DoubtPolicy;
use crate::source::words::Meaning;

mod email;
mod gateway;
mod server;

pub use email::{Dkim, Email, Relay, RelayKind, TlsMode};
pub use gateway::{AnswerRule, CallbackForm, Gateway, GatewayKind};
pub use server::{Daemon, Ledger, Log, LogFormat, Mode, Node, Pooler, Retention, Run, Server, ShowNames, Store, Users};

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    /// The practice that sends.
    pub practice: Practice,
    /// Where sessions come from.
    pub source: Vec<Source>,
    /// Reminder rules. None configured: `24h` and `1h`.
    pub reminder: Vec<Reminder>,
    /// What a participant is told first, and corrections of it.
    pub invite: Invite,
    /// The first start with a new store.
    pub adopt: Adopt,
    /// When no automatic message goes out, on the participant's clock.
    pub quiet_hours: QuietHours,
    /// The nudge of whoever has not connected.
    pub not_joined: NotJoined,
    /// The daily letter to the practice.
    pub digest: Digest,
    /// What tells staff at once that messages do not go out, by another way than theirs.
    pub alerts: Alerts,
    /// How messages read.
    pub templates: Templates,
    /// A source's time zone id to the zone that it means here.
    pub time_zones: BTreeMap<String, String>,
    /// Where notices, what sources said, and the ledger are kept.
    pub store: Store,
    /// One of several machines that serve a practice from one PostgreSQL database.
    pub node: Node,
    /// E-mail: who it is from. Needed as soon as there is a relay.
    pub email: Email,
    /// Text messages.
    pub sms: Sms,
    /// The HTTP server.
    pub server: Server,
    /// What the daemon does.
    pub run: Run,
    /// What is kept how long.
    pub retention: Retention,
    /// The history of all that was done.
    pub ledger: Ledger,
    /// How long the daemon waits for what.
    pub daemon: Daemon,
    /// Logs.
    pub log: Log,
}

/// `[practice]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Practice {
    /// Shown in messages.
    pub name: String,
    /// Shown in texts in place of the name. Default: the name.
    pub short_name: Option<String>,
    /// A PNG, JPEG or GIF of 32 KiB at most, above each e-mail in place of the name. It goes with the e-mail; nothing is loaded. Default: the name.
    pub logo: Option<PathBuf>,
    /// Of buttons and links in e-mails: `#` and six hexadecimal digits, dark enough for white letters. Default: `#0b666c`.
    pub color: Option<String>,
    /// Below each e-mail to a participant or host, in small letters: an address, a notice. May have several lines.
    pub footer: Option<String>,
    /// A page on which people try their camera and microphone: invites, reminders and corrections link to it. Default: no link.
    #[serde(serialize_with = "masked::write_some")]
    pub camera_test_url: Option<String>,
    /// Part of every notice's identity: set it once, before the first run, and never change it. (The name may change.)
    pub id: String,
    /// Shown in messages: a telephone number or an address.
    pub contact: String,
    /// ISO 3166-1 alpha-2, for numbers without a country code.
    pub region: String,
    /// BCP 47: the language of participants who have none of their own.
    pub locale: String,
    /// A Tera template with `code` and `passkey`.
    #[serde(serialize_with = "masked::write")]
    pub join_url: String,
    /// Where whoever has an account (SecureVideoUserId) joins, in place of the link: a Tera template with `session_id`. Default: the link.
    #[serde(serialize_with = "masked::write_some")]
    pub account_join_url: Option<String>,
    /// Whether hosts get messages too.
    pub hosts: bool,
    /// The practice's own zone, in which its staff read times, and by which a cancellation goes where nobody's clock is known: an IANA name or a Windows
    /// id. Default: the fallback's, else UTC.
    pub time_zone: Option<String>,
    /// For participants whose time zone is missing or unknown. Not set: they are quarantined.
    pub fallback_time_zone: Option<String>,
    /// The calendar entry's length where the source does not say.
    pub session_length: Duration,
    /// A TOML file of wishes for single participants: locale, time zone, do_not_contact.
    pub overrides: Option<PathBuf>,
}

impl Default for Practice {
    fn default() -> Self {
        Self {
            name: "Your practice".to_owned(),
            short_name: None,
            logo: None,
            color: None,
            footer: None,
            camera_test_url: None,
            id: "practice".to_owned(),
            contact: String::new(),
            region: "US".to_owned(),
            locale: "en-US".to_owned(),
            join_url: "https://hub.securevideo.com/Pass/Join/{{ code }}{% if passkey %}?passkey={{ passkey }}{% endif %}".to_owned(),
            account_join_url: None,
            hosts: true,
            time_zone: None,
            fallback_time_zone: None,
            session_length: Duration(TimeDelta::minutes(60)),
            overrides: None,
        }
    }
}

/// What kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A JSON file, or a folder of them.
    File,
    /// SecureVideo's Session API.
    Http,
    /// Another system says what changed.
    Push,
}

/// `[[source]]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// Its name: the store remembers sessions by it. Default: `sessions`.
    pub name: Option<String>,
    /// The name that it had before: it takes over all that was of that one. Default: none.
    pub was: Option<String>,
    /// Its kind. A key that begins with a kind's name below is of that kind alone.
    pub kind: Option<SourceKind>,
    /// file: a JSON file or a folder of them.
    pub path: Option<PathBuf>,
    /// file: the node that reads it, by its `[node] name`. Default: the one that leads, so each must have it, as in a network folder.
    pub node: Option<String>,
    /// http: the API's address. Default: the provider's own.
    #[serde(serialize_with = "masked::write_some")]
    pub url: Option<String>,
    /// http: the API identifier.
    pub identifier: Option<String>,
    /// http: the API secret key (only if nobody else can read this file).
    pub secret: Option<Secret>,
    /// http: a file with it, or the name of a systemd credential.
    pub secret_file: Option<PathBuf>,
    /// http: UserIds of the hosts whose sessions are asked for. Default: all of the company's.
    pub hosts: Vec<i64>,
    /// http: for one request. Default: one minute.
    pub timeout: Option<Duration>,
    /// push: the bearer token (only if nobody else can read this file).
    pub token: Option<Secret>,
    /// push: a file with it, or the name of a systemd credential.
    pub token_file: Option<PathBuf>,
    /// http: it may be asked over http://, although it is on another machine.
    pub clear_text: bool,
    /// What words of ScheduleType mean that are not known otherwise, or mean something else here: `live`, `cancelled` or `over`.
    pub status: BTreeMap<String, Meaning>,
    /// file, http: when it is read, a cron expression with seconds. Default: every 30 seconds.
    pub poll: Option<String>,
}

/// `[[reminder]]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reminder {
    /// Its name: a renamed rule is another rule.
    pub name: Option<String>,
    /// Elapsed time before the start.
    pub before: Option<Duration>,
    /// Calendar days before, on the participant's clock; with `at`.
    pub days_before: Option<u32>,
    /// The time of day, on the participant's clock; with `days_before`.
    pub at: Option<Clock>,
    /// Parts that this reminder's text may have at most. Default: `[sms] max_segments`.
    pub max_segments: Option<u32>,
}

/// `[invite]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Invite {
    /// How long an invite or a correction waits, so that another change made at once costs no second message.
    pub settle: Duration,
    /// No reminder nearer than this to the invite.
    pub min_gap: Duration,
}

impl Default for Invite {
    fn default() -> Self {
        Self { settle: Duration(TimeDelta::minutes(2)), min_gap: Duration(TimeDelta::minutes(30)) }
    }
}

/// `[adopt]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adopt {
    /// Whether sessions that exist at the first start are invited (somebody else may have done so).
    pub invites: bool,
}

/// `[quiet_hours]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuietHours {
    /// The beginning, inclusive.
    pub from: Clock,
    /// The end, exclusive. The same as `from`: no quiet hours.
    pub to: Clock,
    /// The channels that keep them.
    pub channels: Vec<Channel>,
    /// What a message that waits for their end must leave before the start.
    pub min_lead: Duration,
}

impl Default for QuietHours {
    fn default() -> Self {
        let at = |hour| Clock(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default());
        Self { from: at(21), to: at(8), channels: vec![Channel::Sms], min_lead: Duration(TimeDelta::minutes(15)) }
    }
}

/// `[not_joined]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotJoined {
    /// So long after the start, whoever has not connected is told again. Not set: nobody is.
    pub after: Option<Duration>,
    /// Not later than so long after the start. Default: the session's planned length, or 15 minutes.
    pub until: Option<Duration>,
}

/// `[digest]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Digest {
    /// Addresses at the practice. None: no letter.
    pub to: Vec<String>,
    /// When, a cron expression with seconds, on the practice's clock.
    pub at: String,
    /// Sessions that start later than this are left out.
    pub horizon: Duration,
    /// Also when there is nothing to tell.
    pub always: bool,
}

impl Default for Digest {
    fn default() -> Self {
        Self { to: Vec::new(), at: "0 0 7 * * *".to_owned(), horizon: Duration(TimeDelta::hours(48)), always: false }
    }
}

/// `[alerts]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Staff are told of what lasts so long.
    pub after: Duration,
    /// Addresses at the practice: by `relay`. None: no mail.
    pub to: Vec<String>,
    /// Telephone numbers of staff, by the SMS gateways. None: no text.
    pub numbers: Vec<String>,
    /// The mail server for that: another one than those of `[[email.relay]]`.
    pub relay: Option<Relay>,
    /// Where else it is told.
    pub webhook: Vec<Webhook>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { after: Duration(TimeDelta::minutes(2)), to: Vec::new(), numbers: Vec::new(), relay: None, webhook: Vec::new() }
    }
}

/// Whose webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// Slack, and what takes its form (Mattermost, Rocket.Chat, Discord with /slack).
    #[default]
    Slack,
    /// Microsoft Teams: a workflow that posts what a webhook gets.
    Teams,
    /// ntfy: the address of a topic.
    Ntfy,
}

/// `[[alerts.webhook]]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// Whose.
    pub kind: WebhookKind,
    /// Its address, https (only if nobody else can read this file).
    pub url: Option<Secret>,
    /// A file with it, or the name of a systemd credential.
    pub url_file: Option<PathBuf>,
}

/// `[templates]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Templates {
    /// Overrides the built-in templates file by file: docs/templates.md.
    pub dir: Option<PathBuf>,
    /// Whether a host's messages may name the participants.
    pub show_participant_names_to_host: bool,
}

/// `[sms]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sms {
    /// What becomes of a text in doubt: `resend` (an invite, once, within the last hour) or `hold`.
    pub in_doubt: DoubtPolicy,
    /// Parts that a text may have at most.
    pub max_segments: u32,
    /// Reminders of other sessions that one person may have got at a number on the same day, on their calendar, before one more is too many; 0: no limit.
    pub max_per_day: u32,
    /// Likewise in seven days.
    pub max_per_week: u32,
    /// In order of preference.
    pub gateway: Vec<Gateway>,
}

impl Default for Sms {
    fn default() -> Self {
        Self { in_doubt: DoubtPolicy::default(), max_segments: 2, max_per_day: 0, max_per_week: 0, gateway: Vec::new() }
    }
}
