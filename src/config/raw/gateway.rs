//! `[[sms.gateway]]`, as it was typed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::masked;
use crate::config::secret::Secret;
use crate::deliver::gateway::rules::Meaning;
use crate::rate::Rate;
use crate::web::webhook::Word;

/// What kind of gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayKind {
    /// Twilio's Messages API.
    Twilio,
    /// Kannel's sendsms.
    Kannel,
    /// Any HTTP API: the request is a template.
    Http,
    /// A folder of .txt files.
    Folder,
}

/// `[[sms.gateway]]`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Its kind. A key that begins with a kind's name below is of that kind alone.
    pub kind: Option<GatewayKind>,
    /// kannel: the address of sendsms. http: a Tera template. Default: twilio's own.
    #[serde(serialize_with = "masked::write_some")]
    pub url: Option<String>,
    /// folder: where the .txt files go.
    pub path: Option<PathBuf>,
    /// The sender: a number or a name.
    pub from: Option<String>,
    /// Requests at once, of all nodes together. Default: 4.
    pub connections: Option<u16>,
    /// Texts at most, such as `60/min`; spaced evenly, over restarts, and over all nodes. Default: no limit.
    pub rate: Option<Rate>,
    /// An http:// address is meant, although it is on another machine.
    pub clear_text: bool,
    /// A PEM file of certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// twilio: the account.
    pub account_sid: Option<String>,
    /// twilio: the token (only if nobody else can read this file).
    pub auth_token: Option<Secret>,
    /// twilio: a file with the token, or the name of a systemd credential.
    pub auth_token_file: Option<PathBuf>,
    /// twilio: an API key beside the account, instead of its token: SK...
    pub api_key_sid: Option<String>,
    /// twilio: the key's secret (only if nobody else can read this file).
    pub api_key_secret: Option<Secret>,
    /// twilio: a file with it, or the name of a systemd credential.
    pub api_key_secret_file: Option<PathBuf>,
    /// twilio: instead of `from`.
    pub messaging_service_sid: Option<String>,
    /// The public address of our server for this gateway's receipts and for people's texts: http://.../hooks/twilio, /hooks/kannel or /hooks/sms.
    #[serde(serialize_with = "masked::write_some")]
    pub callback_url: Option<String>,
    /// kannel, http: the last part of that address, which nobody else may know (only if nobody else can read this file).
    pub callback_token: Option<Secret>,
    /// kannel, http: a file with it, or the name of a systemd credential.
    pub callback_token_file: Option<PathBuf>,
    /// Whether the provider itself answers STOP, START and HELP, so that we do not. Default: twilio true, others false.
    pub provider_answers: Option<bool>,
    /// http: where its requests to us hold what.
    pub callback: CallbackForm,
    /// kannel: log-in.
    pub username: Option<String>,
    /// kannel: the password (only if nobody else can read this file).
    pub password: Option<Secret>,
    /// kannel: a file with the password, or the name of a systemd credential.
    pub password_file: Option<PathBuf>,
    /// http: the request's method, `GET` or `POST`. Default: `POST`.
    pub method: Option<String>,
    /// http: header names to Tera templates.
    #[serde(serialize_with = "masked::write_headers")]
    pub headers: BTreeMap<String, String>,
    /// http: the body, a Tera template.
    pub body: Option<String>,
    /// http: the `secret` of the templates (only if nobody else can read this file).
    pub secret: Option<Secret>,
    /// http: a file with it, or the name of a systemd credential.
    pub secret_file: Option<PathBuf>,
    /// http: JSON pointer of the message's id in the answer.
    pub reference_pointer: Option<String>,
    /// http: statuses that say that the gateway has it. Default: 200, 201, 202.
    pub accepted_status: Vec<u16>,
    /// http: what an answer means, in order: the first rule whose conditions all hold.
    pub answers: Vec<AnswerRule>,
}

/// `callback`: JSON pointers into what an `http` gateway sends
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackForm {
    /// The array of events; not set: the body is one. The other pointers are within an event.
    pub each: Option<String>,
    /// A receipt: the gateway's id of the message.
    pub message: Option<String>,
    /// A receipt: our reference, where the gateway gives it back.
    pub reference: Option<String>,
    /// A receipt: the status.
    pub status: Option<String>,
    /// A receipt: the error, shown to staff.
    pub detail: Option<String>,
    /// A receipt: what each status means: `sent`, `delivered`, `undelivered`, `failed`, `invalid_number` or `opted_out`.
    pub statuses: BTreeMap<String, Word>,
    /// Somebody's text: the gateway's id of it.
    pub reply: Option<String>,
    /// Somebody's text: the number that it comes from.
    pub from: Option<String>,
    /// Somebody's text: what it says.
    pub text: Option<String>,
    /// What tells somebody's text from a receipt; needed where both are configured, since an event of one kind may have all that the other has.
    pub reply_when: ReplyWhen,
}

/// `reply_when`: an event in which this stands is somebody's text
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplyWhen {
    /// There is something at this JSON pointer (RFC 6901) of the event.
    pub pointer: Option<String>,
    /// And it is this, as text.
    pub equals: Option<String>,
}

/// One of `answers`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerRule {
    /// One of these statuses.
    pub status: Vec<u16>,
    /// There is something at this JSON pointer (RFC 6901) of the body.
    pub pointer: Option<String>,
    /// What stands at the pointer is this, as text.
    pub equals: Option<String>,
    /// It is one of these.
    pub one_of: Vec<String>,
    /// The body has this somewhere, in any case of letters.
    pub contains: Option<String>,
    /// Then it is this.
    pub means: Option<Meaning>,
}
