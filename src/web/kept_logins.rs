//! Log-in sessions that outlive the process: a restart and a reload log nobody out, and leave the forms of open pages good.
//!
//! In: the store's rows. Out: the same. A log-in and a log-out are written at once; when somebody was seen, within two minutes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::watch;

use super::auth::Authenticator;
use super::page::Trouble;
use super::{AppState, Shared};
use crate::access::new_token;
use crate::outbox::{Outbox, StoreError};

/// How often it is looked who was seen.
const EVERY: Duration = Duration::from_secs(30);

/// The key of the forms' tokens, made of the store's own. A store that does not answer gives a new one.
pub(super) async fn key(outbox: &dyn Outbox) -> [u8; 32] {
    let secret = match outbox.reference_key().await {
        Ok(key) => key.to_vec(),
        Err(error) => {
            tracing::error!(%error, "the store's key cannot be read: forms of pages that are open now will be refused after a restart");
            new_token().expect("the engine's start drew random numbers already").into_bytes()
        }
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("HMAC takes keys of any length");
    mac.update(b"the forms of the pages");
    mac.finalize().into_bytes().into()
}

/// Lets in again who was logged in to an earlier process.
pub(super) async fn recall(auth: &Authenticator, office: &AppState) {
    let (access, now) = (auth.access(), office.clock.now());
    match office.desk.outbox.logins().await {
        Ok(kept) => {
            let mut logins = auth.logins();
            kept.into_iter().for_each(|one| logins.recall(one, |name| access.user(name).cloned(), now));
        }
        Err(error) => tracing::error!(%error, "who is logged in cannot be read: everybody logs in anew"),
    }
}

impl Shared {
    /// Writes down who came, who was seen, and who left.
    pub(super) async fn keep_logins(&self) -> Result<(), StoreError> {
        let Some(auth) = &self.auth else { return Ok(()) };
        auth.users().renew().await;
        // Who was idle here may have been seen elsewhere.
        auth.renew_all(self.office.clock.now()).await?;
        let (changed, over) = auth.logins().changes(self.office.clock.now());
        let outbox = &self.office.desk.outbox;
        let written = async {
            if !over.is_empty() {
                outbox.end_logins(over.clone()).await?;
            }
            for login in &changed {
                outbox.put_login(login.clone()).await?;
            }
            Ok(())
        };
        // Who left must not come back with the next process.
        written.await.inspect_err(|_| auth.logins().not_written(&changed, over))
    }
}

/// Before each page: who is logged in on one node is on all, and who logged out is out.
pub(super) async fn renewed(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Result<Response, Trouble> {
    if let Some(auth) = &shared.auth {
        auth.renew(request.headers(), shared.office.clock.now()).await?;
    }
    Ok(next.run(request).await)
}

/// Before all that asks who it is: whoever was removed on one node is out on all.
pub(super) async fn users_renewed(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if let Some(auth) = &shared.auth {
        auth.users().renew().await;
    }
    next.run(request).await
}

/// Does so now and then, until the process stops, and once then.
pub(super) async fn keep(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        let stopped = tokio::time::timeout(EVERY, stop.wait_for(|stopped| *stopped)).await.is_ok();
        if let Err(error) = shared.keep_logins().await {
            tracing::warn!(%error, "who is logged in was not written down");
        }
        if stopped {
            return;
        }
    }
}
