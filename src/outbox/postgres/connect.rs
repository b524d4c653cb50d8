//! Where the database is, and how it is spoken to.
//!
//! In: a URL, and a password from elsewhere. Out: connections. Over a network they are TLS, with certificates and names verified; of several hosts the
//! one that takes writes is used.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Failure, Res, SHARED, STATEMENTS, is_of_statements};
use super::statements::{Statements, Types};

/// Longer than this, and the server is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// So long it has to greet, TLS and log-in with it: whoever takes the connection and says nothing is none.
const GREETS_WITHIN: Duration = Duration::from_secs(10);
/// What was sent and is not confirmed for so long goes nowhere.
const UNCONFIRMED: Duration = Duration::from_secs(10);
/// What an address looks like.
const EXPECTED: &str = "expected one as in postgres://punctual@db.example.com/punctual, or with several hosts, postgres://punctual@a.example.com,b.example.com/punctual";

/// A database, as the configuration names it.
#[derive(Clone)]
pub struct Server {
    /// Each of its hosts alone: one that takes a connection and says nothing must not stand before the others.
    each: Vec<Config>,
    /// Which of those is asked next.
    next: Arc<AtomicUsize>,
    tls: Option<MakeRustlsConnect>,
    shown: String,
    node: Option<String>,
    /// Behind a pooler that gives each transaction another connection: the types of statements' values, for all connections of ours.
    pooled: Option<Arc<Types>>,
    /// Somebody waits at a prompt, or a script does: of a server that is silent an error is better than no answer.
    hurries: bool,
}

/// A connection, and how statements go over it.
pub(super) struct PgConnection {
    pub(super) client: Client,
    /// Whether a commit on it was warned of.
    pub(super) warned: Arc<AtomicBool>,
    pub(super) statements: Statements,
    /// Which of the server's hosts it is to.
    pub(super) host: usize,
}

/// The same place, spoken to in the same way.
impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.each == other.each && self.pooled.is_some() == other.pooled.is_some()
    }
}

impl Eq for Server {}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.shown)
    }
}

impl Server {
    /// Whether that is the URL of one.
    pub fn is_named_by(url: &str) -> bool {
        url.starts_with("postgres://") || url.starts_with("postgresql://")
    }

    /// From a URL. `ca_file` holds PEM certificates that are trusted besides those of the host.
    ///
    /// # Errors
    /// Says what is wrong with it, and shows no password.
    pub fn parse(url: &str, password: Option<&SecretString>, ca_file: Option<&Path>) -> Result<Self, String> {
        let config: Config = url.parse().map_err(|e| format!("it is no address of a database: {}; {EXPECTED}", cause(&e)))?;
        if config.get_password().is_some() {
            return Err(format!(
                "a password stands in it, and so in every listing of the configuration: put it into a file, and name that in [store] password_file; {EXPECTED}"
            ));
        }
        if config.get_hosts().is_empty() {
            return Err(format!("it names no host; {EXPECTED}"));
        }
        if config.get_dbname().is_none() || config.get_user().is_none() {
            return Err(format!("it names no user, or no database; {EXPECTED}"));
        }
        let is_remote = config.get_hosts().iter().any(is_remote);
        let said = url.contains("sslmode=");
        let is_open = match config.get_ssl_mode() {
            SslMode::Disable => true,
            SslMode::Require => false,
            _ if said && is_remote => return Err("sslmode=prefer speaks in the clear where the server wishes it: leave it out, which requires TLS of every host that is not this one".to_owned()),
            _ => !is_remote,
        };
        let shown = shown(&config);
        let mut each = alone(url).iter().map(|url| url.parse()).collect::<Result<Vec<Config>, _>>().unwrap_or_else(|_| vec![config]);
        for host in &mut each {
            settle(host, is_open, password);
        }
        let tls = if is_open { None } else { Some(MakeRustlsConnect::new((*crate::tls::client_config(ca_file)?).clone())) };
        Ok(Self { each, next: Arc::default(), tls, shown, node: None, pooled: None, hurries: false })
    }

    /// `pooler`: through one that gives each transaction another connection (PgBouncer with `pool_mode = transaction`, of any version).
    #[must_use]
    pub fn behind(mut self, pooler: bool) -> Self {
        self.pooled = pooler.then(Arc::default);
        self
    }

    /// As which of several machines we are there.
    #[must_use]
    pub fn as_node(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name {
            for host in &mut self.each {
                host.application_name(format!("punctual {name}"));
            }
        }
        self.node = name.map(str::to_owned);
        self
    }

    /// For what is to end by itself: it gives up on a server that says nothing, also as one of several nodes, which would wait.
    #[must_use]
    pub fn for_a_command(mut self) -> Self {
        self.hurries = true;
        self
    }

    pub(super) fn hurries(&self) -> bool {
        self.hurries
    }

    pub(super) fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Where it is, for messages: hosts and database.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Of several hosts the one that answered last is asked first. The error is the last one's that was asked.
    pub(super) async fn connect(&self) -> Res<PgConnection> {
        let mut failed = None;
        for _ in 0..self.each.len() {
            let host = self.next();
            match self.connect_to(host).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => failed = Some(failure),
            }
            self.moves_on(host);
        }
        Err(failed.expect("it names a host"))
    }

    pub(super) fn has_several_hosts(&self) -> bool {
        self.each.len() > 1
    }

    /// The host that is asked next.
    pub(super) fn next(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// That host does not answer: the one behind it is asked next, unless another connection found that out before.
    pub(super) fn moves_on(&self, from: usize) {
        self.next.compare_exchange(from, (from + 1) % self.each.len(), Ordering::Relaxed, Ordering::Relaxed).ok();
    }

    /// Whether somebody answers there. A refusal is an answer, too.
    pub(super) async fn greets(&self, host: usize) -> bool {
        let greets = self.connect_to(host).await.map_or_else(|failure| failure.was_said(), |_| true);
        if !greets {
            self.moves_on(host);
        }
        greets
    }

    async fn connect_to(&self, host: usize) -> Res<PgConnection> {
        // Whoever waits for all of them waits no longer than for one.
        let within = if self.has_several_hosts() { CONNECT_WITHIN } else { GREETS_WITHIN };
        greeted_within(within, self.log_in(host)).await
    }

    async fn log_in(&self, host: usize) -> Res<PgConnection> {
        let config = &self.each[host];
        let (client, warned) = match &self.tls {
            Some(tls) => Box::pin(connect(config, tls.clone())).await?,
            None => Box::pin(connect(config, NoTls)).await?,
        };
        let statements =
            self.pooled.as_ref().map_or_else(|| Statements::Named(RefCell::default()), |types| Statements::Typed(Arc::clone(types)));
        Ok(PgConnection { client, warned, statements, host })
    }
}

/// Rounds of [`Server::is_shared`].
const ROUNDS: usize = 8;

impl Server {
    /// What is wrong with how we reach it through a pooler, and what to do. `None`: nothing.
    pub(super) async fn misfit(&self) -> Res<Option<&'static str>> {
        let client = self.connect().await?.client;
        match client.simple_query("BEGIN").await {
            Ok(_) => drop(client.simple_query("ROLLBACK").await?),
            Err(error) if is_of_statements(&error) => return Ok(Some(STATEMENTS)),
            Err(error) => return Err(error.into()),
        }
        Ok(self.is_shared().await?.then_some(SHARED))
    }

    /// Whether a pooler that nobody named gives our connections to each other, or one of them to several servers' processes, between two statements. A
    /// connection of one's own has the same process all the time, and no other one has that.
    async fn is_shared(&self) -> Res<bool> {
        if self.pooled.is_some() {
            return Ok(false);
        }
        let (one, other) = (self.connect().await?.client, self.connect().await?.client);
        let mut seen: [Option<String>; 2] = [None, None];
        for _ in 0..ROUNDS {
            for (number, client) in [&one, &other].into_iter().enumerate() {
                let said = client.simple_query("SELECT pg_backend_pid()").await?;
                let pid = said.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None });
                let pid = pid.unwrap_or_default().to_owned();
                let changed = seen[number].as_ref().is_some_and(|before| *before != pid);
                if changed || seen[1 - number].as_ref() == Some(&pid) {
                    return Ok(true);
                }
                seen[number] = Some(pid);
            }
        }
        Ok(false)
    }
}

/// What a server must answer at once.
pub(super) async fn greeted<T>(asked: impl Future<Output = Res<T>>) -> Res<T> {
    greeted_within(GREETS_WITHIN, asked).await
}

async fn greeted_within<T>(within: Duration, asked: impl Future<Output = Res<T>>) -> Res<T> {
    let greeted = tokio::time::timeout(within, asked).await;
    greeted.map_err(|_| Failure::Silent(within.as_secs()))?
}

async fn connect<T>(config: &Config, tls: T) -> Res<(Client, Arc<AtomicBool>)>
where
    T: MakeTlsConnect<Socket> + 'static,
{
    let (client, mut connection) = config.connect(tls).await?;
    let warned = Arc::new(AtomicBool::new(false));
    let warns = Arc::clone(&warned);
    tokio::task::spawn_local(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message
                && *notice.code() == SqlState::WARNING
            {
                tracing::warn!(says = notice.message(), "the database warns");
                warns.store(true, Ordering::Relaxed);
            }
        }
    });
    Ok((client, warned))
}

/// The URL of each of its hosts. What it says of hosts behind its path (`?host=`) cannot be taken apart.
fn alone(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let (hosts, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if ["host=", "hostaddr=", "port="].iter().any(|key| behind.contains(key)) {
        return vec![url.to_owned()];
    }
    let (user, hosts) = hosts.rsplit_once('@').map_or((String::new(), hosts), |(user, hosts)| (format!("{user}@"), hosts));
    hosts.split(',').map(|host| format!("{scheme}://{user}{host}{behind}")).collect()
}

/// What we ask of every connection.
fn settle(config: &mut Config, is_open: bool, password: Option<&SecretString>) {
    if config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config.ssl_mode(if is_open { SslMode::Disable } else { SslMode::Require });
    config.application_name("punctual").connect_timeout(CONNECT_WITHIN).tcp_user_timeout(UNCONFIRMED).keepalives_idle(UNCONFIRMED);
    if let Some(password) = password {
        config.password(password.expose_secret());
    }
}

fn is_remote(host: &Host) -> bool {
    match host {
        Host::Unix(_) => false,
        Host::Tcp(name) => name != "localhost" && !name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn shown(config: &Config) -> String {
    let host = |host: &Host| match host {
        Host::Unix(path) => path.display().to_string(),
        Host::Tcp(name) => name.clone(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    format!("database {} at {}", config.get_dbname().unwrap_or_default(), hosts.join(", "))
}

fn cause(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
