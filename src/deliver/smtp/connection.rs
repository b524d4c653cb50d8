//! One connection to a relay: opened, greeted, encrypted, logged in; then envelope and body of one message after another.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Auth, Ehlo, Quit, Rset, Starttls};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::body::Body;
use super::classify::{Ended, SmtpAnswer, SmtpPhase, before_a_message};
use super::ehlo::EhloCapabilities;
use super::hide;
use super::reply::{SmtpReply, code_of, first_of, is_one_reply, replies};
use super::wire::Wire;
use super::{Settings, Timeouts, Tls};
use crate::contact::EmailAddress;
use crate::outcome::Outcome;

/// A server asks for user name and password: more than two questions are no log-in.
const CHALLENGES_MAX: usize = 3;
/// The phases of an envelope.
const ENVELOPE: [SmtpPhase; 3] = [SmtpPhase::Mail, SmtpPhase::Rcpt, SmtpPhase::Data];
/// How long QUIT may take: nobody waits for it.
const QUIT: Duration = Duration::from_secs(5);

/// A connection that is in step.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    wire: Wire,
    /// lettre keeps less of it.
    capabilities: EhloCapabilities,
    encrypted: bool,
    /// Bytes of what was heard last that answer the body before: the answers to the envelope that left behind it follow.
    answered: usize,
}

/// The server said no, or nothing.
#[derive(Debug)]
pub(super) struct SmtpRefusal {
    pub(super) phase: SmtpPhase,
    pub(super) answer: SmtpAnswer,
}

impl SmtpRefusal {
    /// The connection ends here: closed, out of step, or 421.
    pub(super) fn is_closing(&self) -> bool {
        self.answer.as_ref().is_ok_and(|reply| reply.code == 421) || self.answer.is_err()
    }

    /// It is no refusal: an answer to something else.
    pub(super) fn is_out_of_step(&self) -> bool {
        self.answer.as_ref().is_ok_and(|reply| reply.code < 400)
    }

    /// "Command not recognized", or not implemented: the server may be older than EHLO.
    fn knows_no_ehlo(&self) -> bool {
        self.phase == SmtpPhase::Greeting && self.answer.as_ref().is_ok_and(|reply| matches!(reply.code, 500 | 502 | 504))
    }
}

/// Three commands that leave together (RFC 2920): lettre writes whatever displays.
struct Together<'a>(&'a [String]);

impl fmt::Display for Together<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|command| f.write_str(command))
    }
}

impl Connection {
    /// Connects, greets, encrypts and logs in. A server that does not know EHLO is greeted by HELO (RFC 5321 3.2) on a connection of its own,
    /// if neither encryption nor a log-in has to be asked for.
    pub(super) async fn open(settings: &Settings, connector: Option<&TlsConnector>) -> Result<Self, Outcome> {
        let needs_extensions = settings.tls == Tls::Starttls || settings.username.is_some();
        let opened = match Self::greeted(settings, connector, false).await {
            Err(refusal) if refusal.knows_no_ehlo() && !needs_extensions => Self::greeted(settings, connector, true).await,
            opened => opened,
        };
        opened.map_err(|refusal| before_a_message(refusal.phase, &refusal.answer))
    }

    async fn greeted(settings: &Settings, connector: Option<&TlsConnector>, by_helo: bool) -> Result<Self, SmtpRefusal> {
        let times = &settings.timeouts;
        let no_socket = |why: String| SmtpRefusal { phase: SmtpPhase::Connect, answer: Err(why) };
        let tcp = connect(settings).await.map_err(no_socket)?;
        let ours = tcp.local_addr().map_err(|e| no_socket(e.to_string()))?.ip();
        let loopback = tcp.peer_addr().is_ok_and(|a| a.ip().is_loopback());
        let wire = Wire::new(tcp, times.block).map_err(|e| no_socket(e.to_string()))?;
        if let (Tls::Implicit, Some(connector)) = (settings.tls, connector) {
            start_tls(&wire, connector, settings).await?;
        }
        if by_helo {
            wire.greet_by_helo();
        }
        let hello = hello(settings, ours);
        wire.expect_reply(times.command);
        let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(wire.clone()), &hello).await;
        let smtp = smtp.map_err(|e| SmtpRefusal { phase: SmtpPhase::Greeting, answer: refusal_of(&e).ok_or_else(|| silence(&wire)) })?;
        let capabilities = EhloCapabilities::parse(&wire.received());
        let mut connection = Self { smtp, wire, capabilities, encrypted: settings.tls == Tls::Implicit, answered: 0 };
        if let (Tls::Starttls, Some(connector)) = (settings.tls, connector) {
            connection.starttls(settings, connector, hello).await?;
        }
        connection.log_in(settings, loopback).await?;
        Ok(connection)
    }

    /// STARTTLS (RFC 3207), required. What the server says in clear text after its 220 is an attack or a defect.
    async fn starttls(&mut self, settings: &Settings, connector: &TlsConnector, hello: ClientId) -> Result<(), SmtpRefusal> {
        if !self.capabilities.starttls {
            return Err(tls_fault("the server does not offer STARTTLS, and nothing is sent in clear text".to_owned()));
        }
        let answer = self.exchange(Starttls, settings.timeouts.command).await;
        if !answer.as_ref().is_ok_and(SmtpReply::is_done) {
            return Err(SmtpRefusal { phase: SmtpPhase::Tls, answer });
        }
        start_tls(&self.wire, connector, settings).await?;
        self.encrypted = true;
        // What was offered in clear text counts no more (RFC 3207 4.2).
        let answer = self.exchange(Ehlo::new(hello), settings.timeouts.command).await;
        if !answer.as_ref().is_ok_and(SmtpReply::is_done) {
            return Err(SmtpRefusal { phase: SmtpPhase::Greeting, answer });
        }
        self.capabilities = EhloCapabilities::parse(&self.wire.received());
        Ok(())
    }

    /// AUTH (RFC 4954): never in clear text, except to this machine. (XOAUTH2 needs a token that changes: not supported.)
    async fn log_in(&mut self, settings: &Settings, loopback: bool) -> Result<(), SmtpRefusal> {
        let (Some(username), Some(password)) = (&settings.username, &settings.password) else { return Ok(()) };
        let fault = |why: &str| SmtpRefusal { phase: SmtpPhase::Auth, answer: Err(why.to_owned()) };
        if !self.encrypted && !loopback {
            return Err(fault("a password is not sent in clear text; set tls"));
        }
        let mechanism = match &self.capabilities {
            EhloCapabilities { plain: true, .. } => Mechanism::Plain,
            EhloCapabilities { login: true, .. } => Mechanism::Login,
            _ => return Err(fault("the server offers neither PLAIN nor LOGIN")),
        };
        let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
        let first = Auth::new(mechanism, credentials.clone(), None).map_err(|_| fault("the log-in cannot be written"))?;
        self.wire.expect_reply(settings.timeouts.command);
        let mut response = self.smtp.command(first).await;
        for _ in 0..CHALLENGES_MAX {
            match response {
                Ok(asked) if asked.has_code(334) => {
                    let next = Auth::new_from_response(mechanism, credentials.clone(), &asked)
                        .map_err(|_| fault("the server asks what no log-in asks"))?;
                    self.wire.expect_reply(settings.timeouts.command);
                    response = self.smtp.command(next).await;
                }
                Ok(_) => return Ok(()),
                Err(_) => {
                    let answer = hide::log_in(answer_of(&self.wire), username, password.expose_secret());
                    return Err(SmtpRefusal { phase: SmtpPhase::Auth, answer });
                }
            }
        }
        Err(fault("the server asks too many questions"))
    }

    /// The envelope, up to the 354 answer to DATA. `size`: of the message, in bytes (RFC 1870 5).
    pub(super) async fn envelope(
        &mut self,
        from: &EmailAddress,
        to: &EmailAddress,
        size: u64,
        times: &Timeouts,
    ) -> Result<(), SmtpRefusal> {
        let commands = self.commands(from, to, size)?;
        if self.capabilities.pipelining {
            self.wire.expect_reply(times.command);
            let first = self.smtp.command(Together(&commands)).await.map(drop);
            return self.answers_after(first).await;
        }
        for (command, phase) in commands.iter().zip(ENVELOPE) {
            let limit = if phase == SmtpPhase::Data { times.data } else { times.command };
            let answer = self.exchange(command, limit).await;
            expected(phase, answer)?;
        }
        Ok(())
    }

    /// What the envelope says. The error: the server takes no message of this size, by what it said of itself.
    fn commands(&self, from: &EmailAddress, to: &EmailAddress, size: u64) -> Result<[String; 3], SmtpRefusal> {
        if let Some(max) = self.capabilities.size_max.filter(|&max| size > max) {
            return Err(SmtpRefusal { phase: SmtpPhase::Mail, answer: Ok(too_large(size, max)) });
        }
        let size = if self.capabilities.sized { format!(" SIZE={size}") } else { String::new() };
        Ok([format!("MAIL FROM:<{}>{size}\r\n", from.expose()), format!("RCPT TO:<{}>\r\n", to.expose()), "DATA\r\n".to_owned()])
    }

    /// The server takes several commands at once (RFC 2920).
    pub(super) fn pipelines(&self) -> bool {
        self.capabilities.pipelining
    }

    /// The envelope of the next message leaves behind this body. `false`: the server does not take a message of that size.
    pub(super) fn follow(&self, body: &mut Body, (from, to, size): (&EmailAddress, &EmailAddress, u64)) -> bool {
        self.commands(from, to, size).is_ok_and(|commands| {
            body.follow(&commands);
            true
        })
    }

    /// The answers to an envelope that left behind the body before, up to the 354 to DATA.
    pub(super) async fn answers(&mut self, times: &Timeouts) -> Result<(), SmtpRefusal> {
        self.wire.expect_reply(times.command);
        let first = self.smtp.read_response().await.map(drop);
        self.answers_after(first).await
    }

    /// All three at once. A refused recipient with a 354 to DATA leaves no way back but to close: sending an empty message would be sending.
    async fn answers_after(&mut self, first: Result<(), lettre::transport::smtp::Error>) -> Result<(), SmtpRefusal> {
        let mut read = first;
        for _ in 1..ENVELOPE.len() {
            // A refusal is an error to lettre, and the next reply comes all the same; a dead connection has no next one.
            if read.is_err() && self.wire.failure().is_some() {
                break;
            }
            read = self.smtp.read_response().await.map(drop);
        }
        let answers = replies(self.wire.received().get(self.answered..).unwrap_or_default());
        self.answered = 0;
        if answers.len() > ENVELOPE.len() {
            // Which answer belongs to what? What is too many would be taken for the answer to the body.
            self.wire.give_up();
            return Err(SmtpRefusal { phase: SmtpPhase::Data, answer: Err("the server answered more than it was asked".to_owned()) });
        }
        let mut answers = answers.into_iter();
        let mut refused = None;
        for phase in ENVELOPE {
            let answer = answers.next().map_or_else(|| Err(silence(&self.wire)), Ok);
            match expected(phase, answer) {
                Err(refusal) => {
                    refused.get_or_insert(refusal);
                }
                Ok(()) if phase == SmtpPhase::Data && refused.is_some() => self.wire.give_up(),
                Ok(()) => {}
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Body and final dot, with what follows them, and the answer to the dot. One write: lettre's own would add a line end and a packet for the dot, and copy all of it.
    pub(super) async fn body(&mut self, body: &Body, times: &Timeouts) -> Ended {
        let before = self.wire.sent_bytes();
        self.wire.expect_reply(times.dot);
        // The results say less than the stream does.
        if self.wire.write_all(body.bytes()).await.is_ok() && self.wire.flush().await.is_ok() {
            let _ = self.smtp.read_response().await;
        }
        let dotted = self.wire.sent_bytes() - before > body.before_the_dot();
        let heard = self.wire.received();
        let first = if body.is_followed() { first_of(&heard) } else { &heard };
        self.answered = if body.is_followed() { first.len() } else { 0 };
        let answer = if dotted { answer_in(first, &self.wire) } else { Err(silence(&self.wire)) };
        let half = if answer.is_err() && dotted { code_of(first) } else { None };
        Ended { answer, dotted, half }
    }

    /// Forgets the transaction. Whether the connection can be used again.
    pub(super) async fn reset(&mut self, times: &Timeouts) -> bool {
        self.wire.failure().is_none() && self.exchange(Rset, times.command).await.is_ok_and(|reply| reply.is_done())
    }

    /// Says good-bye; what comes of it does not matter.
    pub(super) async fn quit(&mut self) {
        let _ = self.exchange(Quit, QUIT).await;
    }

    /// For `check --online`.
    pub(super) fn described(&self) -> String {
        let tls = if self.encrypted { "encrypted" } else { "not encrypted" };
        let pipelining = if self.capabilities.pipelining { ", pipelining" } else { "" };
        let size = self.capabilities.size_max.map_or_else(String::new, |max| format!(", messages of {} KiB at most", max / 1024));
        format!("answers as {}, {tls}{pipelining}{size}", self.capabilities.name)
    }

    /// One command, one reply.
    async fn exchange(&mut self, command: impl fmt::Display, limit: Duration) -> SmtpAnswer {
        self.wire.expect_reply(limit);
        let _ = self.smtp.command(command).await;
        answer_of(&self.wire)
    }
}

/// The first address of the host that answers. Each has its share of the time: an IPv6 that leads nowhere must not use up all of it.
async fn connect(settings: &Settings) -> Result<TcpStream, String> {
    let limit = settings.timeouts.connect;
    let found = timeout(limit, lookup_host((settings.host.as_str(), settings.port))).await;
    let found = found.map_err(|_| format!("no name server answered within {limit:?}"))?;
    let found: Vec<SocketAddr> = found.map_err(|e| format!("the host's name cannot be resolved: {e}"))?.collect();
    let share = limit / u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
    let mut why = "the host's name has no address".to_owned();
    for address in found {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(e)) => why = e.to_string(),
            Err(_) => why = format!("no connection within {share:?}"),
        }
    }
    Err(why)
}

/// The one reply that was heard since we last spoke: nothing less and nothing more.
fn answer_of(wire: &Wire) -> SmtpAnswer {
    answer_in(&wire.received(), wire)
}

fn answer_in(heard: &[u8], wire: &Wire) -> SmtpAnswer {
    if !is_one_reply(heard) {
        return Err(silence(wire));
    }
    replies(heard).pop().ok_or_else(|| silence(wire))
}

/// The negative reply that lettre met while it connected. It said QUIT upon it, so what was heard last is the answer to that.
fn refusal_of(error: &lettre::transport::smtp::Error) -> Option<SmtpReply> {
    use std::error::Error;
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    error.status().map(|code| SmtpReply { code: code.into(), text })
}

fn silence(wire: &Wire) -> String {
    wire.failure().unwrap_or_else(|| "the server's answer is no SMTP reply".to_owned())
}

fn expected(phase: SmtpPhase, answer: SmtpAnswer) -> Result<(), SmtpRefusal> {
    let yes = match &answer {
        Ok(reply) if phase == SmtpPhase::Data => reply.code == 354,
        Ok(reply) => reply.is_done(),
        Err(_) => false,
    };
    if yes { Ok(()) } else { Err(SmtpRefusal { phase, answer }) }
}

async fn start_tls(wire: &Wire, connector: &TlsConnector, settings: &Settings) -> Result<(), SmtpRefusal> {
    let name = ServerName::try_from(settings.host.clone());
    let name = name.map_err(|_| tls_fault(format!("{:?} is no name that a certificate could be for", settings.host)))?;
    wire.start_tls(connector, name, settings.timeouts.connect).await.map_err(tls_fault)
}

fn tls_fault(why: String) -> SmtpRefusal {
    SmtpRefusal { phase: SmtpPhase::Tls, answer: Err(why) }
}

/// What the server would answer to MAIL, by what it said of itself (RFC 1870 6.1): it need not be asked.
fn too_large(size: u64, max: u64) -> SmtpReply {
    let text = format!("5.3.4 not asked: the message has {} KiB, and the server takes {}", size.div_ceil(1024), max / 1024);
    SmtpReply { code: 552, text }
}

/// A name if one is configured, else our address (RFC 5321 4.1.3).
fn hello(settings: &Settings, ours: IpAddr) -> ClientId {
    match (&settings.helo, ours) {
        (Some(name), _) => ClientId::Domain(name.clone()),
        (None, IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        (None, IpAddr::V6(ip)) => ClientId::Ipv6(ip),
    }
}
