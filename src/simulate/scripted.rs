//! A clock that is moved, and servers that do what the script says.

use std::sync::{Arc, Mutex, PoisonError};

use super::SLOW;
use super::script::ServerState;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use mailparse::MailHeaderMap;

use crate::clock::Clock;
use crate::deliver::{PointOfNoReturn, Transport};
use crate::message::{Content, Message};
use crate::outcome::Outcome;

/// A clock that the rehearsal moves.
pub(super) struct ManualClock(pub(super) Mutex<DateTime<Utc>>);

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ManualClock {
    pub(super) fn go_to(&self, at: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// A relay or gateway that does what the script says.
pub(super) struct ScriptedTransport {
    pub(super) name: &'static str,
    pub(super) line: Arc<Mutex<ServerState>>,
    pub(super) clock: Arc<ManualClock>,
}

#[async_trait]
impl Transport for ScriptedTransport {
    fn name(&self) -> &str {
        self.name
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let line = *self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line == ServerState::Down {
            return Outcome::ChannelFault { why: "down, as the script says".to_owned(), after: None };
        }
        if !doubt.pass().await {
            return Outcome::Fenced;
        }
        if line == ServerState::Slow {
            self.clock.go_to(self.clock.now() + SLOW);
        }
        if line == ServerState::LoseAnswers {
            return Outcome::Unknown { why: "the answer was lost, as the script says".to_owned() };
        }
        let says = match &message.content {
            Content::Email { bytes, .. } => subject(bytes),
            Content::Sms { segments, .. } => format!("{segments} part{}", if *segments == 1 { "" } else { "s" }),
        };
        Outcome::Accepted { reply: says, reference: None }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("a rehearsal".to_owned())
    }
}

/// The subject of an e-mail, as its reader sees it.
fn subject(bytes: &[u8]) -> String {
    mailparse::parse_headers(bytes).ok().and_then(|(headers, _)| headers.get_first_value("Subject")).unwrap_or_default()
}
