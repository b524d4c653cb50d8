//! `kind = "smtp"`: a relay, spoken to phase by phase (RFC 5321), so that each failure is known for what it is.
//!
//! Up to the 354 answer to DATA nothing was sent, whatever fails. There the attempt's doubt is made durable; then body and final dot leave,
//! and only an answer of the server says what became of them. lettre frames the commands and reads the replies; the stream below it ([`wire`])
//! gives each phase its time-out and each reply its size; [`classify`] is the one table of what an answer means.
//!
//! Connections are kept and used again while the exchange is in step, `connections` at most. One that died between two messages costs the
//! message nothing: it is tried on a fresh one within the same attempt.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::{PointOfNoReturn, Transport, tls};
use crate::contact::EmailAddress;
use crate::message::{Content, Message};
use crate::outcome::Outcome;

mod classify;
mod connection;
mod reply;
mod wire;

use classify::Phase;
use connection::{Connection, Refusal};

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    None,
    /// By STARTTLS: required, it never falls back.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// Time-outs of the phases (RFC 5321 4.5.3.2).
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// TCP and TLS. 30 s.
    pub connect: Duration,
    /// The banner, EHLO, AUTH, MAIL, RCPT. 5 min.
    pub command: Duration,
    /// The 354 answer to DATA. 2 min.
    pub data: Duration,
    /// A block of the body. 3 min.
    pub block: Duration,
    /// The answer to the final dot. 10 min: "a spurious timeout ... would typically result in delivery of multiple copies".
    pub dot: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self { connect: Duration::from_secs(30), command: minutes(5), data: minutes(2), block: minutes(3), dot: minutes(10) }
    }
}

/// One relay.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's name or address; its certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Encryption.
    pub tls: Tls,
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Connections at most.
    pub connections: usize,
    /// How we greet; `None`: by our address.
    pub helo: Option<String>,
    /// Log-in; `None`: none.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// Time-outs.
    pub timeouts: Timeouts,
}

/// A relay.
pub struct Smtp {
    name: String,
    settings: Settings,
    connector: Option<TlsConnector>,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Smtp {
    /// Nothing is connected yet. The error says what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let connector = match settings.tls {
            Tls::None => None,
            Tls::Starttls | Tls::Implicit => Some(TlsConnector::from(tls::client_config(settings.ca_file.as_deref())?)),
        };
        Ok(Self {
            name: format!("smtp:{}:{}", settings.host, settings.port),
            permits: Semaphore::new(settings.connections.max(1)),
            connector,
            settings,
            idle: Mutex::default(),
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self) -> Result<Connection, Outcome> {
        Connection::open(&self.settings, self.connector.as_ref()).await
    }

    /// A connection with the envelope spoken up to 354. An idle connection that turns out dead is replaced by a fresh one.
    async fn ready(&self, from: &EmailAddress, to: &EmailAddress) -> Result<Connection, Outcome> {
        loop {
            let reused = self.idle().pop();
            let stale = reused.is_some();
            let mut connection = match reused {
                Some(connection) => connection,
                None => self.open().await?,
            };
            match connection.envelope(from, to, &self.settings.timeouts).await {
                Ok(()) => return Ok(connection),
                Err(refusal) if stale && refusal.is_closing() => {}
                Err(refusal) => {
                    let outcome = classify::before_the_dot(refusal.phase, &refusal.answer);
                    self.keep(connection, &refusal).await;
                    return Err(outcome);
                }
            }
        }
    }

    /// A refused recipient leaves a connection that can be used again; anything else does not.
    async fn keep(&self, mut connection: Connection, refusal: &Refusal) {
        if refusal.phase == Phase::Rcpt && !refusal.is_closing() && connection.reset(&self.settings.timeouts).await {
            self.idle().push(connection);
        }
    }
}

#[async_trait]
impl Transport for Smtp {
    fn name(&self) -> &str {
        &self.name
    }

    fn concurrency(&self) -> usize {
        self.settings.connections.max(1)
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let Content::Email { from, to, bytes } = &message.content else {
            return Outcome::Rejected { reply: "a text message cannot go by SMTP".to_owned(), remember: None };
        };
        let Ok(_permit) = self.permits.acquire().await else {
            return Outcome::Retry { why: "the relay is shut down".to_owned(), after: None };
        };
        let mut connection = match self.ready(from, to).await {
            Ok(connection) => connection,
            Err(outcome) => return outcome,
        };
        if !doubt.cross().await {
            // After 354 there is no command but the body: closing is the one way to send nothing.
            return Outcome::Fenced;
        }
        let ended = connection.body(bytes, &self.settings.timeouts).await;
        let outcome = classify::after_the_dot(&ended);
        if ended.is_in_step() {
            self.idle().push(connection);
        }
        outcome
    }

    async fn probe(&self) -> Result<String, String> {
        let mut connection = self.open().await.map_err(|outcome| match outcome {
            Outcome::ChannelFault { why, .. } | Outcome::Retry { why, .. } => why,
            other => format!("{other:?}"),
        })?;
        let said = connection.described();
        connection.quit(&self.settings.timeouts).await;
        Ok(said)
    }
}
