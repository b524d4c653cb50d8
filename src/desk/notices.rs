//! Notices, as `outbox list --json` and the API tell them.

use serde::Serialize;
use utoipa::ToSchema;

use super::Desk;
use crate::entry::{Delivery, Entry};
use crate::notice::NoticeKey;
use crate::outbox::{Filter, StoreError};
use crate::zone::rfc3339;

/// One notice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Line {
    /// 32 hexadecimal digits.
    pub key: String,
    /// SessionId.
    pub session_id: i64,
    /// ParticipationId.
    pub participation_id: i64,
    /// `invite`, `reminder`, `rescheduled`, `updated`, `cancelled`
    pub occasion: &'static str,
    /// The reminder rule's name.
    pub rule: Option<String>,
    /// `email` or `sms`
    pub channel: &'static str,
    /// `waiting`, `claimed`, `sending`, `accepted`, `rejected`, `unknown`, `held`, `cancelled`, `superseded`, `lapsed`, `suppressed`
    pub state: &'static str,
    /// Why it is there.
    pub reason: Option<&'static str>,
    /// RFC 3339, UTC.
    pub due_at: String,
    /// RFC 3339, UTC; null: not by itself.
    pub next_attempt_at: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// RFC 3339, UTC: not sent at or after it.
    pub useful_until: String,
    /// RFC 3339, UTC.
    pub accepted_at: Option<String>,
    /// What the server said last, redacted.
    pub server_reply: Option<String>,
}

impl From<&Entry> for Line {
    fn from(e: &Entry) -> Self {
        let n = &e.notice;
        Self {
            key: n.key.to_string(),
            session_id: n.session.0,
            participation_id: n.participation.0,
            occasion: n.occasion.as_str(),
            rule: n.rule.clone(),
            channel: n.address.channel().as_str(),
            state: e.state.as_str(),
            reason: e.reason.map(crate::notice::Reason::as_str),
            due_at: rfc3339(n.due_at),
            next_attempt_at: e.next_attempt_at.map(rfc3339),
            attempts: e.attempts,
            useful_until: rfc3339(n.useful_until),
            accepted_at: e.accepted_at.map(rfc3339),
            server_reply: e.server_reply.clone(),
        }
    }
}

/// One notice, with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shown {
    /// The notice.
    #[serde(flatten)]
    pub notice: Line,
    /// The address, masked.
    pub to: String,
    /// The server's own id of the message.
    pub reference: Option<String>,
    /// Each attempt to hand it over.
    pub deliveries: Vec<Delivery>,
}

/// One notice, and what was frozen of it, if that is still kept.
pub struct OpenedNotice {
    /// As the store has it.
    pub entry: Entry,
    /// As it is told.
    pub shown: Shown,
    /// The final bytes of its last attempt.
    pub content: Option<Vec<u8>>,
}

/// The notice of that key.
pub async fn open(desk: &Desk, key: NoticeKey) -> Result<Option<OpenedNotice>, StoreError> {
    let Some(entry) = desk.outbox.list(&Filter { keys: vec![key], ..Filter::default() }).await?.pop() else { return Ok(None) };
    let (deliveries, content) = desk.outbox.deliveries(key).await?;
    let shown = Shown { notice: (&entry).into(), to: entry.notice.address.to_string(), reference: entry.reference.clone(), deliveries };
    Ok(Some(OpenedNotice { entry, shown, content }))
}
