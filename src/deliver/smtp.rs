//! `kind = "smtp"`: a relay, spoken to phase by phase (RFC 5321), so that each failure is known for what it is.
//!
//! Up to the 354 answer to DATA nothing was sent, whatever fails. By then the attempt's doubt is durable (where its caller allows it, that runs
//! beside the envelope); then body and final dot leave, and only an answer of the server says what became of them. lettre frames the commands and reads the replies; the stream below it ([`wire`])
//! gives each phase its time-out and each reply its size; [`classify`] is the one table of what an answer means.
//!
//! Connections are kept and used again while the exchange is in step, `connections` at most ([`idle`]). One that died between two messages, or
//! takes no more of them, costs the message nothing: it is tried on a fresh one within the same attempt.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{PointOfNoReturn, Transport};
use crate::contact::EmailAddress;
use crate::message::{Content, Message};
use crate::outcome::Outcome;
use crate::tls;

mod body;
mod classify;
mod connection;
mod ehlo;
mod hide;
mod idle;
mod reply;
mod wire;

use body::Body;
use classify::{Parties, SmtpPhase};
use connection::{Connection, SmtpRefusal};
use idle::{Idle, Spoken};

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Clear text.
    None,
    /// By STARTTLS: required, it never falls back.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// Time-outs of the phases (RFC 5321 4.5.3.2).
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// TCP, over all addresses of the host, and TLS. 30 s each.
    pub connect: Duration,
    /// The banner, EHLO, AUTH, MAIL, RCPT. 5 min.
    pub command: Duration,
    /// The 354 answer to DATA. 2 min.
    pub data: Duration,
    /// A block of the body. 3 min.
    pub block: Duration,
    /// The answer to the final dot. 10 min: "a spurious timeout ... would typically result in delivery of multiple copies".
    pub dot: Duration,
    /// A connection that was not used for so long is closed. 1 min: shorter than the patience of servers and firewalls.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            connect: Duration::from_secs(30),
            command: minutes(5),
            data: minutes(2),
            block: minutes(3),
            dot: minutes(10),
            idle: minutes(1),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's name or address; its certificate must be for it.
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Connections at most.
    pub connections: usize,
    /// How we greet; `None`: by our address.
    pub helo: Option<String>,
    /// Log-in; `None`: none.
    pub username: Option<String>,
    pub password: Option<SecretString>,
    pub timeouts: Timeouts,
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.host.is_empty() || self.port == 0 {
            return Err("a relay needs a host and a port".to_owned());
        }
        if self.username.is_some() != self.password.is_some() {
            return Err("username and password go together: there is only one of them".to_owned());
        }
        // What is in it goes into a command as it is.
        let writable = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        if !self.helo.as_deref().is_none_or(writable) {
            return Err(format!("helo {:?} is no host name", self.helo.as_deref().unwrap_or_default()));
        }
        Ok(())
    }
}

pub struct Smtp {
    name: String,
    settings: Settings,
    connector: Option<TlsConnector>,
    permits: Semaphore,
    idle: Idle,
    /// Connections that there may be, busy ones and idle ones: other nodes have the others.
    share: AtomicUsize,
}

impl Smtp {
    /// Nothing is connected yet. The error says what is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        let connector = match settings.tls {
            Tls::None => None,
            Tls::Starttls | Tls::Implicit => Some(TlsConnector::from(tls::client_config(settings.ca_file.as_deref())?)),
        };
        Ok(Self {
            name: format!("smtp:{}:{}", settings.host, settings.port),
            permits: Semaphore::new(settings.connections.max(1)),
            connector,
            idle: Idle::new(settings.timeouts.idle),
            share: AtomicUsize::new(usize::MAX),
            settings,
        })
    }

    /// Connections that attempts have now.
    fn busy(&self) -> usize {
        self.settings.connections.max(1).saturating_sub(self.permits.available_permits())
    }

    /// Keeps one that is in step, and no more idle ones than there may be.
    fn give_back(&self, connection: Connection) {
        self.idle.give_back(connection);
        self.idle.keep(self.share.load(Ordering::Relaxed));
    }

    async fn open(&self) -> Result<Connection, Outcome> {
        Connection::open(&self.settings, self.connector.as_ref()).await
    }

    /// A connection with the envelope spoken up to 354. Nothing was sent before: what a used connection has against another message
    /// (it is dead, or has taken enough) is no fault of this one, and a fresh connection decides.
    async fn ready(
        &self,
        parties: &Parties<'_>,
        (size, spoken): (u64, Option<Connection>),
        doubt: &dyn PointOfNoReturn,
    ) -> Result<Connection, Outcome> {
        let Parties { from, to, .. } = *parties;
        let said = spoken.is_some();
        if let Some(mut used) = spoken.or_else(|| self.idle.take()) {
            doubt.approach();
            let times = &self.settings.timeouts;
            let answered = if said { used.answers(times).await } else { used.envelope(from, to, size, times).await };
            match answered {
                Ok(()) => return Ok(used),
                Err(refusal) if refusal.is_closing() || refusal.phase == SmtpPhase::Mail || (said && refusal.is_out_of_step()) => {}
                Err(refusal) => return Err(self.refused(used, refusal, parties).await),
            }
        }
        let mut fresh = self.open().await?;
        doubt.approach();
        match fresh.envelope(from, to, size, &self.settings.timeouts).await {
            Ok(()) => Ok(fresh),
            Err(refusal) => Err(self.refused(fresh, refusal, parties).await),
        }
    }

    /// A refused recipient leaves a connection that can be used again; anything else does not.
    async fn refused(&self, mut connection: Connection, refusal: SmtpRefusal, parties: &Parties<'_>) -> Outcome {
        if refusal.phase == SmtpPhase::Rcpt && !refusal.is_closing() && connection.reset(&self.settings.timeouts).await {
            self.give_back(connection);
        }
        classify::before_the_dot(refusal.phase, &refusal.answer, parties)
    }

    /// The attempt: the envelope, the point of no return, the body.
    async fn hand_over(&self, reference: &str, parties: &Parties<'_>, doubt: &dyn PointOfNoReturn) -> Outcome {
        let (spoken, body) = match self.idle.take_for(reference) {
            Some(Spoken { connection, body }) => (Some(connection), Ok(body)),
            None => (None, Body::new(parties.bytes)),
        };
        let mut body = match body {
            Ok(body) => body,
            Err(why) => return Outcome::Rejected { reply: format!("not handed over: {why}"), remember: None },
        };
        let begins = async {
            let shut = |_| Outcome::Retry { why: "the relay is shut down".to_owned(), after: None };
            let permit = self.permits.acquire().await.map_err(shut)?;
            Ok::<_, Outcome>((permit, self.ready(parties, (body.before_the_dot(), spoken), doubt).await?))
        };
        let begun = match doubt.patience() {
            None => begins.await,
            // Nothing was sent: who gives up closes the connection.
            Some(patience) => timeout(patience, begins).await.unwrap_or_else(|_| Err(impatient(patience))),
        };
        let (_permit, mut connection) = match begun {
            Ok(begun) => begun,
            Err(outcome) => return outcome,
        };
        if !doubt.pass().await {
            // After 354 there is no command but the body: closing is the one way to send nothing.
            return Outcome::Fenced;
        }
        let next = if connection.pipelines() { doubt.next() } else { None };
        let next = next.and_then(|next| follow(&connection, &mut body, &next));
        let ended = connection.body(&body, &self.settings.timeouts).await;
        let outcome = classify::after_the_dot(&ended, parties);
        match next {
            _ if !ended.is_in_step() => {}
            Some((reference, body)) => self.idle.keep_for(reference, Spoken { connection, body }),
            None => self.give_back(connection),
        }
        outcome
    }
}

/// The next message's envelope leaves behind this body: which message that is, and its own body. `None`: it is none that this server takes.
fn follow(connection: &Connection, body: &mut Body, next: &Message) -> Option<(String, Body)> {
    let Content::Email { from, to, bytes } = &next.content else { return None };
    let theirs = Body::new(bytes).ok()?;
    connection.follow(body, (from, to, theirs.before_the_dot())).then(|| (next.reference.clone(), theirs))
}

/// It did not get to the point of no return in time, and another relay is well.
fn impatient(patience: Duration) -> Outcome {
    let why = format!("not ready within {} s, and another relay is well", patience.as_secs());
    Outcome::ChannelFault { why, after: None }
}

#[async_trait]
impl Transport for Smtp {
    fn name(&self) -> &str {
        &self.name
    }

    fn concurrency(&self) -> usize {
        self.settings.connections.max(1)
    }

    fn narrow(&self, connections: usize) {
        self.share.store(connections, Ordering::Relaxed);
        self.idle.keep(connections.saturating_sub(self.busy()));
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        let Content::Email { from, to, bytes } = &message.content else {
            return Outcome::Rejected { reply: "a text message cannot go by SMTP".to_owned(), remember: None };
        };
        hide::hiding(self.hand_over(&message.reference, &Parties { from, to, bytes }, doubt).await, to)
    }

    /// Nothing is said behind DATA but a body: closing is the one way to send nothing.
    fn let_go(&self, reference: &str) {
        drop(self.idle.take_for(reference));
    }

    async fn probe(&self) -> Result<String, String> {
        let _permit = self.permits.acquire().await.map_err(|_| "the relay is shut down".to_owned())?;
        // One that waits makes room: the limit holds for this one, too.
        if let Some(mut idle) = self.idle.take() {
            idle.quit().await;
        }
        let mut connection = self.open().await.map_err(|outcome| match outcome {
            Outcome::ChannelFault { why, .. } | Outcome::Retry { why, .. } => why,
            other => format!("{other:?}"),
        })?;
        let said = connection.described();
        connection.quit().await;
        Ok(said)
    }
}

/// What a relay's reply to RCPT means, or to the final dot: for tests that speak for relays and have no socket.
#[doc(hidden)]
pub fn means(reply: &str, after_the_dot: bool) -> Outcome {
    let (code, text) = reply.split_at(reply.len().min(3));
    let answer = Ok(reply::SmtpReply { code: code.parse().unwrap_or(500), text: text.trim_start().to_owned() });
    let [Ok(from), Ok(to)] = ["sender@example.org", "recipient@example.com"].map(EmailAddress::parse) else { return Outcome::Fenced };
    let parties = Parties { from: &from, to: &to, bytes: b"" };
    if after_the_dot {
        classify::after_the_dot(&classify::Ended { answer, dotted: true, half: None }, &parties)
    } else {
        classify::before_the_dot(SmtpPhase::Rcpt, &answer, &parties)
    }
}
