//! The small HTTP server: what is pushed to us, the provider's webhook, and what SMS gateways tell of texts.
//!
//! In: requests, HTTP/1.1 without TLS (a proxy stands before it where it is not the machine itself). Out: what [`Intake`] makes of them, as JSON,
//! and refusals as problem details (RFC 9457). Invariants: who a request comes from is known before its body is read; every connection, head,
//! body and answer ends within a limit; a success is answered when it is durable, and not before. Nothing of a request is logged but the
//! source's name and the status.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::{get, post, put};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use url::Url;

use self::problem::Problem;
use crate::feedback::{Reply, Report};
use crate::source::push::{Offer, Refused};

mod feedback;
pub mod hook;
mod kannel;
mod problem;
pub mod push;
mod request;
mod twilio;
pub mod webhook;

/// When the system can give no more connections, the next attempt.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
/// Largest head of a request, in bytes.
const HEAD_MAX: usize = 16 << 10;
/// Bodies that are read at once: each may take 32 MiB of memory.
const BODIES: usize = 4;

/// Where, and who may ask for what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Sources that are pushed to, with the token of each.
    pub push: Vec<(String, SecretString)>,
    /// The last part of the webhook's address; `None`: there is no webhook.
    pub hook: Option<SecretString>,
    /// SMS gateways that tell us of receipts and replies.
    pub callbacks: Vec<Callback>,
    /// How much and how long.
    pub limits: Limits,
}

/// A gateway that tells us of receipts and replies: how it is known, and whether it answers STOP, START and HELP itself.
#[derive(Debug, Clone)]
pub enum Callback {
    /// By its signature over the public address.
    Twilio {
        /// The address that it was told.
        url: Url,
        /// The account's token.
        token: SecretString,
        /// It answers these words itself.
        answered: bool,
    },
    /// By the last part of the address.
    Kannel {
        /// That part.
        token: SecretString,
        /// Somebody else answers these words.
        answered: bool,
    },
    /// Likewise.
    Http {
        /// That part.
        token: SecretString,
        /// Where it holds what.
        form: webhook::Form,
        /// It answers these words itself.
        answered: bool,
    },
}

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. A practice's systems need a handful; the next one waits until there is a place.
    pub connections: usize,
    /// For the head of a request. A connection carries one request: an idle one would only hold a place.
    pub head: Duration,
    /// For a whole body.
    pub body: Duration,
    /// For a connection, whatever it does: the longest walk of a first list is well within it.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connections: 256, head: seconds(10), body: seconds(10), connection: seconds(300) }
    }
}

/// What is done about a request.
#[async_trait]
pub trait Intake: Send + Sync + 'static {
    /// Takes what is pushed: applied and durable when it returns.
    async fn push(&self, source: &str, offer: Offer) -> Result<push::Receipt, Declined>;

    /// Takes note of an event, and of what it may mean: durable when it returns.
    async fn hook(&self, event: hook::Event) -> Result<(), Declined>;

    /// Takes a receipt: durable when it returns. One that is about no message of ours, or came before, changes nothing.
    async fn receipt(&self, report: Report) -> Result<(), Declined>;

    /// Takes somebody's text: durable when it returns. The same one again changes nothing.
    async fn reply(&self, reply: Reply) -> Result<(), Declined>;
}

/// Why something that was pushed was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed: nobody knows whether it was.
    #[error("the store failed")]
    Store,
}

/// What the routes share.
struct Shared {
    settings: Settings,
    intake: Arc<dyn Intake>,
    bodies: Semaphore,
}

/// Serves until `stop` is raised, and finishes what is in hand then. Dropped earlier, it drops the connections too.
pub async fn serve(listener: TcpListener, settings: Settings, intake: Arc<dyn Intake>, stop: watch::Receiver<bool>) {
    let limits = settings.limits;
    let routes = routes(Arc::new(Shared { settings, intake, bodies: Semaphore::new(BODIES) }));
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    let mut stopping = pin!(stopped(stop.clone()));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
            (listener.accept().await, place)
        };
        tokio::select! {
            () = &mut stopping => break,
            Some(_) = open.join_next() => {}
            (accepted, place) = next => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, routes.clone(), limits.head, stop.clone());
                    open.spawn(async move {
                        tokio::time::timeout(limits.connection, connection).await.ok();
                        drop(place);
                    });
                }
                Err(why) => {
                    tracing::warn!(%why, "no connection can be taken");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    while open.join_next().await.is_some() {}
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // Whoever could raise it is gone: that is a stop too.
    stop.wait_for(|stopped| *stopped).await.ok();
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/sources/{name}/sessions", put(push::whole))
        .route("/api/v1/sources/{name}/sessions/{id}", put(push::one).delete(push::cancel))
        .route("/hooks/securevideo/{token}", post(hook::take))
        .route("/hooks/twilio", post(twilio::take))
        .route("/hooks/kannel/{token}", get(kannel::take))
        .route("/hooks/sms/{token}", post(webhook::take))
        .fallback(async || Problem::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || Problem::method())
        .with_state(shared)
}

/// One connection, with one request.
async fn connection(stream: TcpStream, routes: Router, head: Duration, stop: watch::Receiver<bool>) {
    stream.set_nodelay(true).ok();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head).keep_alive(false).max_buf_size(HEAD_MAX);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(why) = ended {
        tracing::debug!(%why, "a connection ended early");
    }
}

/// Runs to its end, also when whoever asked for it hangs up: half of it must not be left undone without a trace.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
    tokio::spawn(work).await.map_err(|_| Problem::ours("the work ended early"))
}
