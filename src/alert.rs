//! Tells staff at once that messages do not go out, by another way than the messages': a mail server of its own, a text, a webhook.
//!
//! In: a [`AlertMessage`], which holds times, numbers of sessions and servers' words, and never a name, a contact or a code. Out: whether some way took it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::contact::{EmailAddress, PhoneNumber};
use crate::deliver::{NoRecord, Transport};
use crate::http_client;
use crate::message::{Content, Message};
use crate::notice::NoticeKey;
use crate::outcome::Outcome;
use crate::render::sms_size;

/// The longest wait for one webhook.
const WITHIN: Duration = Duration::from_secs(20);

/// By which ways, and when.
#[derive(Clone)]
pub struct Settings {
    /// What lasts so long is told.
    pub after: TimeDelta,
    pub mail: Option<Mail>,
    pub numbers: Vec<PhoneNumber>,
    pub webhooks: Vec<Webhook>,
}

/// A mail server of its own.
#[derive(Clone)]
pub struct Mail {
    pub transport: Arc<dyn Transport>,
    pub from: EmailAddress,
    pub to: Vec<EmailAddress>,
}

#[derive(Clone)]
pub struct Webhook {
    pub kind: WebhookFormat,
    /// https, or http to this machine. It is a secret.
    pub url: Url,
}

/// What a webhook understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// `{"text": ...}`
    Slack,
    /// A message with an adaptive card.
    Teams,
    /// The text as the body, the title in a header.
    Ntfy,
}

/// What staff are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertMessage {
    /// `Lakeside Telehealth: messages do not go out`
    pub title: String,
    /// The body, in sentences.
    pub text: String,
    /// The incident is over.
    pub over: bool,
    /// Makes the Message-ID.
    pub key: String,
    pub at: DateTime<Utc>,
}

/// The dead-man's ping: where to, and when. When it stays away, a monitor raises the alarm.
#[derive(Debug, Clone)]
pub struct Ping {
    /// https, or http to this machine. It is a secret: whoever knows it can silence the alarm.
    pub url: Url,
    /// Cron expression with seconds, checked.
    pub cron: String,
}

/// By which ways staff are told.
pub struct Ways {
    settings: Settings,
    gateways: Vec<Arc<dyn Transport>>,
    client: Client,
}

impl Ways {
    /// `gateways`: for texts. The error says what is wrong.
    pub fn new(settings: Settings, gateways: Vec<Arc<dyn Transport>>) -> Result<Self, String> {
        Ok(Self { settings, gateways, client: http_client::client(WITHIN, None)? })
    }

    /// What lasts so long is told.
    pub fn after(&self) -> TimeDelta {
        self.settings.after
    }

    /// Tells it by every way. Whether one of them took it; what did not is in the log.
    pub async fn tell(&self, told: &AlertMessage) -> bool {
        let mut taken = false;
        if let Some(mail) = &self.settings.mail {
            for to in &mail.to {
                taken |= heard("mail", mail.transport.deliver(&letter(mail, to, told), &NoRecord).await);
            }
        }
        for to in &self.settings.numbers {
            taken |= self.text(to, told).await;
        }
        for hook in &self.settings.webhooks {
            taken |= self.post(hook, told).await;
        }
        taken
    }

    /// By the first gateway that takes it.
    async fn text(&self, to: &PhoneNumber, told: &AlertMessage) -> bool {
        let text = format!("{}. {}", told.title, plain(&told.text));
        let (encoding, segments) = sms_size(&text);
        let content = Content::Sms { to: to.clone(), text: text.into(), encoding, segments };
        let message = Message { key: key(told, to.expose()), reference: reference(told, to.expose()), content };
        for gateway in &self.gateways {
            if heard("text", gateway.deliver(&message, &NoRecord).await) {
                return true;
            }
        }
        false
    }

    async fn post(&self, hook: &Webhook, told: &AlertMessage) -> bool {
        let request = self.client.post(hook.url.clone());
        let request = match hook.kind {
            WebhookFormat::Slack => request.json(&json!({ "text": format!("*{}*\n{}", told.title, told.text) })),
            WebhookFormat::Teams => request.json(&card(told)),
            WebhookFormat::Ntfy => {
                let (tags, priority) = if told.over { ("white_check_mark", "default") } else { ("warning", "urgent") };
                let request = request.header("Title", plain(&told.title)).header("Tags", tags).header("Priority", priority);
                request.header("Content-Type", "text/plain; charset=utf-8").body(told.text.clone())
            }
        };
        match request.send().await {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                tracing::error!(status = answer.status().as_u16(), "a webhook did not take the alert");
                false
            }
            Err(why) => {
                tracing::error!(why = http_client::chain(&why), "a webhook could not be reached with the alert");
                false
            }
        }
    }
}

/// Accepted, or perhaps: what is in doubt may be there already.
fn heard(way: &str, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Accepted { .. } | Outcome::Unknown { .. } => true,
        Outcome::Rejected { reply: why, .. } | Outcome::Retry { why, .. } | Outcome::ChannelFault { why, .. } => {
            tracing::error!(way, %why, "the alert could not be told");
            false
        }
        Outcome::Fenced => false,
    }
}

/// A message for Teams' workflows: an adaptive card.
fn card(told: &AlertMessage) -> Value {
    let color = if told.over { "Good" } else { "Attention" };
    let block = |text: &str, more: Value| {
        let mut block = json!({ "type": "TextBlock", "text": text, "wrap": true });
        if let (Some(block), Value::Object(more)) = (block.as_object_mut(), more) {
            block.extend(more);
        }
        block
    };
    json!({ "type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
            "body": [block(&told.title, json!({ "weight": "Bolder", "color": color })), block(&told.text, json!({}))],
        },
    }]})
}

/// RFC 5322, ASCII.
fn letter(mail: &Mail, to: &EmailAddress, told: &AlertMessage) -> Message {
    let reference = reference(told, to.expose());
    let headers = [
        format!("From: Punctual <{}>", mail.from.expose()),
        format!("To: <{}>", to.expose()),
        format!("Subject: {}", plain(&told.title)),
        format!("Date: {}", told.at.to_rfc2822()),
        format!("Message-ID: <{reference}@{}>", mail.from.domain()),
        "Auto-Submitted: auto-generated".to_owned(),
        format!("X-Priority: {}", if told.over { 3 } else { 1 }),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=us-ascii".to_owned(),
    ];
    // A sentence a line: none comes near the limit of 998 bytes.
    let body = plain(&told.text).replace(". ", ".\r\n");
    let bytes = format!("{}\r\n\r\n{body}\r\n", headers.join("\r\n")).into_bytes();
    let content = Content::Email { from: mail.from.clone(), to: to.clone(), bytes: bytes.into() };
    Message { key: key(told, to.expose()), reference, content }
}

/// In ASCII, on one line.
fn plain(text: &str) -> String {
    let plain = text.replace(['\u{201c}', '\u{201d}'], "\"").replace('\u{2019}', "'");
    plain.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

fn key(told: &AlertMessage, to: &str) -> NoticeKey {
    let mut hash = Sha256::new();
    hash.update(b"alert");
    hash.update(told.key.as_bytes());
    hash.update([u8::from(told.over)]);
    hash.update(told.at.timestamp_millis().to_be_bytes());
    hash.update(to);
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    NoticeKey(key)
}

fn reference(told: &AlertMessage, to: &str) -> String {
    format!("alert-{}", key(told, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_ascii_and_says_it() {
        let told = AlertMessage {
            title: "Lakeside \u{2013} Telehealth: messages do not go out".to_owned(),
            text:
                "The sessions of \u{201c}calendar\u{201d} could not be read since 10:43 PM: the server\u{2019}s name cannot be found. Call."
                    .to_owned(),
            over: false,
            key: "source:calendar".to_owned(),
            at: DateTime::UNIX_EPOCH,
        };
        let card = card(&told).to_string();
        assert!(card.contains("AdaptiveCard") && card.contains("Attention") && card.contains("could not be read"));
        assert_eq!(plain(&told.title), "Lakeside ? Telehealth: messages do not go out");
        let text = plain(&told.text);
        assert!(text.is_ascii() && text.contains("\"calendar\"") && text.contains("server's name"));
    }
}
