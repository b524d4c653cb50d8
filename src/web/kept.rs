//! Visits that outlive the process: a restart and a reload log nobody out, and leave the forms of open pages good.
//!
//! In: the store's rows. Out: the same. A log-in and a log-out are written at once; when somebody was seen, within two minutes.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::watch;

use super::door::Door;
use super::{Office, Shared};
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
pub(super) async fn recall(door: &Door, office: &Office) {
    let (access, now) = (door.access(), office.clock.now());
    match office.desk.outbox.visits().await {
        Ok(kept) => {
            let mut visits = door.visits();
            kept.into_iter().for_each(|one| visits.recall(one, |name| access.user(name).cloned(), now));
        }
        Err(error) => tracing::error!(%error, "who is logged in cannot be read: everybody logs in anew"),
    }
}

impl Shared {
    /// Writes down who came, who was seen, and who left.
    pub(super) async fn keep_visits(&self) -> Result<(), StoreError> {
        let Some(door) = &self.door else { return Ok(()) };
        let (changed, over) = door.visits().changes(self.office.clock.now());
        let outbox = &self.office.desk.outbox;
        let written = async {
            if !over.is_empty() {
                outbox.end_visits(over.clone()).await?;
            }
            for visit in &changed {
                outbox.put_visit(visit.clone()).await?;
            }
            Ok(())
        };
        // Who left must not come back with the next process.
        written.await.inspect_err(|_| door.visits().not_written(&changed, over))
    }
}

/// Does so now and then, until the process stops, and once then.
pub(super) async fn keep(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        let stopped = tokio::time::timeout(EVERY, stop.wait_for(|stopped| *stopped)).await.is_ok();
        if let Err(error) = shared.keep_visits().await {
            tracing::warn!(%error, "who is logged in was not written down");
        }
        if stopped {
            return;
        }
    }
}
