//! The small HTTP server: what is pushed to us, the provider's webhook, what SMS gateways tell of texts, what monitors ask, the pages of staff,
//! and the API of programs.
//!
//! In: requests, HTTP/1.1 without TLS (a proxy stands before it where it is not the machine itself). Out: what [`Intake`] makes of them, and
//! what an [`AppState`] knows, as JSON or as pages; refusals as problem details (RFC 9457). Invariants: who a request comes from is known before its body is read; every connection, head,
//! body and answer ends within a limit; a success is answered when it is durable, and not before. Nothing of a request is logged but the
//! source's name and the status.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use prometheus_client::registry::Registry;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use url::Url;

use self::auth::Authenticator;
pub use self::auth::Users;
use self::patience::to_the_end;
use self::problem::Problem;
pub use self::waiting::answer as answer_while_waiting;
use crate::access::UsersAt;
use crate::clock::Clock;
use crate::contact::Channel;
use crate::desk::Desk;
use crate::desk::outage::Outage;
use crate::desk::records::Records;
use crate::entry::State;
use crate::feedback::{DeliveryReport, Reply};
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::{Action, Filter, StoreError};
use crate::render::Renderer;
use crate::session::{ParticipationId, SessionId};
use crate::source::push::{PushRefused, PushedBody};
use crate::zone::Zone;

mod api;
mod auth;
mod connection;
mod cookie;
mod feedback;
mod guard;
mod health;
mod history;
pub mod hook;
mod kannel;
mod kept_logins;
mod page;
mod pages;
mod patience;
mod problem;
pub mod push;
mod request;
mod twilio;
mod waiting;
pub mod webhook;

/// Bodies that are read at once: each may take 32 MiB of memory.
const BODIES: usize = 4;

/// Where, and who may ask for what.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Sources that are pushed to, with the token of each.
    pub push: Vec<(String, SecretString)>,
    /// The last part of the webhook's address; `None`: there is no webhook.
    pub hook: Option<SecretString>,
    /// SMS gateways that tell us of receipts and replies.
    pub callbacks: Vec<Callback>,
    /// Where users stand; `None`: there are neither pages nor an API.
    pub users: Option<UsersAt>,
    /// By which address staff and programs reach it; `None`: by whatever name.
    pub public_url: Option<Url>,
    /// Proxies that are believed where a request comes from, beside those on this machine.
    pub trusted: Vec<IpAddr>,
    /// Who sees names on the pages.
    pub show_names: ShowNames,
    /// How much and how long.
    pub limits: Limits,
}

/// Who sees the names of hosts and participants, and the contacts of those who must be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShowNames {
    /// Whoever is logged in.
    #[default]
    All,
    Operators,
    /// Nobody, but by a reveal.
    Never,
}

impl ShowNames {
    /// Whether this user sees them.
    pub fn to(self, operator: bool) -> bool {
        match self {
            Self::All => true,
            Self::Operators => operator,
            Self::Never => false,
        }
    }
}

/// A gateway that tells us of receipts and replies: how it is known, and whether it answers STOP, START and HELP itself.
#[derive(Debug, Clone)]
pub enum Callback {
    /// By its signature over the public address.
    Twilio(TwilioAccount),
    /// By the last part of the address.
    Kannel {
        /// The last part of the address.
        token: SecretString,
        /// Somebody else answers these words.
        answered: bool,
    },
    /// By the last part of the address, too.
    Http {
        /// The last part of the address.
        token: SecretString,
        /// Where it holds what.
        form: webhook::EventForm,
        /// It answers these words itself.
        answered: bool,
    },
}

/// An account of Twilio's, as its requests name it.
#[derive(Debug, Clone)]
pub struct TwilioAccount {
    /// The address that it was told.
    pub url: Url,
    pub token: SecretString,
    /// AC...
    pub sid: String,
    /// Our number; `None`: those of a messaging service.
    pub number: Option<String>,
    /// MG...
    pub service: Option<String>,
    /// It answers these words itself.
    pub answered: bool,
}

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. A practice's systems need a handful; for the next one, one whose request is not here yet makes room.
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
    async fn push(&self, source: &str, offer: PushedBody) -> Result<push::Receipt, Declined>;

    /// Somebody decided about a notice: whatever may be due now is looked for.
    fn wake(&self);

    /// Somebody has a message tried now: servers that were at fault are asked again, however long the pause was to be.
    fn try_now(&self) {
        self.wake();
    }

    /// Somebody accepted what a source says: the sources are asked soon.
    fn ask(&self);

    /// Takes note of an event, and of what it may mean: durable when it returns.
    async fn hook(&self, event: hook::HookEvent) -> Result<(), Declined>;

    /// Takes a receipt: durable when it returns. One that is about no message of ours, or came before, changes nothing.
    async fn receipt(&self, report: DeliveryReport) -> Result<(), Declined>;

    /// Takes somebody's text: durable when it returns. The same one again changes nothing.
    async fn reply(&self, reply: Reply) -> Result<(), Declined>;

    /// The process is well, and so is a store of its own: it answers within a second. A database is waited for.
    async fn lives(&self) -> bool {
        true
    }

    /// The database is away for so long that nobody should wait for it.
    fn is_away(&self) -> bool {
        false
    }

    /// What is at fault and keeps no message from going out. Of nobody.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Why what is due could not go out now; empty: it can.
    async fn unready(&self) -> Vec<String> {
        Vec::new()
    }

    /// The same for people: what keeps messages from going out, and what waits for it.
    async fn outages(&self) -> Result<Vec<Outage>, StoreError> {
        Ok(Vec::new())
    }

    /// What hands messages over: the channel, its name, and until when it pauses, if it is at fault.
    fn transports(&self) -> Vec<(Channel, String, Option<DateTime<Utc>>)> {
        Vec::new()
    }

    /// For a monitor. `None`: the store does not answer.
    async fn metrics(&self) -> Option<Registry> {
        None
    }
}

/// Why something that was pushed was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// It cannot be taken as it is.
    #[error(transparent)]
    Refused(#[from] PushRefused),
    /// The store failed: nobody knows whether it was.
    #[error("the store failed")]
    Store,
    /// This node does nothing now: another one may.
    #[error("this node takes nothing now: {0}")]
    Idle(String),
}

/// What pages and API ask, and act upon.
pub struct AppState {
    /// What was and will be told.
    pub desk: Desk,
    /// Makes the messages that are previewed.
    pub renderer: Arc<Renderer>,
    pub clock: Arc<dyn Clock>,
    pub practice: String,
    /// The practice's own zone.
    pub zone: Zone,
    /// Nothing is sent: it is all rehearsed.
    pub shadow: bool,
    /// What stands in records at fault.
    pub records: Arc<Records>,
    /// It is a demonstration.
    pub stage: Option<Arc<dyn Stage>>,
}

/// What a demonstration can do, at the press of a button.
pub trait Stage: Send + Sync {
    /// The last part of the address that lets a visitor in.
    fn key(&self) -> &str;

    /// The user as whom such a visitor is logged in.
    fn user(&self) -> &str;

    /// What can be done now.
    fn actions(&self) -> Vec<DemoAction>;

    /// Does one. `false`: it cannot be.
    fn act(&self, act: &str) -> bool;
}

/// A deed of a demonstration.
#[derive(Debug, Clone, Copy)]
pub struct DemoAction {
    pub act: &'static str,
    /// What stands on the button.
    pub label: &'static str,
}

/// What the routes share.
struct Shared {
    settings: Settings,
    intake: Arc<dyn Intake>,
    office: AppState,
    auth: Option<Authenticator>,
    bodies: Semaphore,
    /// Figures are made for one at a time: nobody needs a token for them, and they count all rows of the store.
    figures: Semaphore,
    bench: pages::templates::Bench,
}

impl Shared {
    /// Somebody looks where people can be seen: the ledger is told of it, once an hour.
    async fn looked(&self, who: &str, at: &str, about: Option<(SessionId, ParticipationId)>) -> Result<(), StoreError> {
        let (now, what) = (self.office.clock.now(), format!("by {who}: {at}"));
        if self.auth.as_ref().is_some_and(|auth| auth.first_look(&what, about, now)) {
            self.office.desk.outbox.record_event_about(now, Event::Looked, &what, about).await?;
        }
        Ok(())
    }

    /// What staff do with a message, and what follows from it at once. `false`: it is in no state for that.
    async fn acts(&self, who: String, key: NoticeKey, act: Action) -> Result<bool, Problem> {
        let (outbox, now) = (Arc::clone(&self.office.desk.outbox), self.office.clock.now());
        let done = to_the_end(async move {
            let changed = outbox.act_by(Some(&who), &[key], act, now).await?;
            if changed > 0 || act != Action::Retry {
                return Ok::<bool, StoreError>(changed > 0);
            }
            // What is due already waits for its server alone.
            let waits = Filter { keys: vec![key], states: vec![State::Waiting], ..Filter::default() };
            Ok(outbox.list(&waits).await?.iter().any(|entry| entry.notice.due_at <= now))
        });
        let done = done.await??;
        match act {
            Action::Retry if done => self.intake.try_now(),
            _ if done => self.intake.wake(),
            _ => {}
        }
        Ok(done)
    }

    fn auth(&self) -> Result<&Authenticator, Problem> {
        self.auth.as_ref().ok_or_else(|| Problem::not_found("there is nothing at this address"))
    }
}

/// Serves until `stop` is raised, and finishes what is in hand then. Dropped earlier, it drops the connections too.
pub async fn serve(listener: TcpListener, settings: Settings, intake: Arc<dyn Intake>, office: AppState, stop: watch::Receiver<bool>) {
    let limits = settings.limits;
    let key = kept_logins::key(&*office.desk.outbox).await;
    let users = settings.users.as_ref().map(|at| Users::new(at, &office.desk.outbox));
    let auth = users.map(|users| Authenticator::new(users, key, &office.desk.outbox, office.clock.now()));
    if let Some(auth) = &auth {
        auth.users().renew().await;
        kept_logins::recall(auth, &office).await;
        auth.recall_codes(&*office.desk.outbox, office.clock.now()).await;
    }
    let (bodies, figures) = (Semaphore::new(BODIES), Semaphore::new(1));
    let shared = Arc::new(Shared { settings, intake, office, auth, bodies, figures, bench: pages::templates::Bench::default() });
    let keeping = kept_logins::keep(Arc::clone(&shared), stop.clone());
    tokio::join!(connection::serve(listener, routes(shared), limits, stop), keeping);
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // Whoever could raise it is gone: that is a stop too.
    stop.wait_for(|stopped| *stopped).await.ok();
}

fn routes(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/hooks/securevideo/{token}", post(hook::take))
        .route("/hooks/twilio", post(twilio::take))
        .route("/hooks/kannel/{token}", get(kannel::take))
        .route("/hooks/sms/{token}", post(webhook::take));
    let mut known = api::push_routes();
    if shared.auth.is_some() {
        let pages = pages::routes().layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), kept_logins::renewed));
        known = known.merge(pages).merge(api::routes(&shared));
    }
    routes
        .merge(known.layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), kept_logins::users_renewed)))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), patience::bounded))
        // These know by themselves how long they wait.
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::figures))
        .fallback(nothing)
        .method_not_allowed_fallback(async || Problem::method())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), guard::by_our_name))
        .with_state(shared)
}

/// A page for a browser, a problem for a program.
async fn nothing(headers: HeaderMap) -> Response {
    if patience::is_page(&headers) {
        return page::Trouble::NotFound("There is no page at this address.").into_response();
    }
    Problem::not_found("there is nothing at this address").into_response()
}
