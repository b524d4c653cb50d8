//! Log-ins over all nodes of a practice: tries and one-time codes are counted in the store, and who is logged in on one node is on all. Where a practice
//! has one daemon, its memory is all there is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::cookie;
use super::{Authenticator, Refused};
use crate::access::attempts::{WINDOW, limits};
use crate::access::logins::{self, KeptLogin};
use crate::access::{User, totp};
use crate::outbox::{self, StoreError};

impl Authenticator {
    /// An attempt counts when it begins: here, and over all nodes.
    pub(super) async fn begin(&self, name: &str, from: IpAddr, browser: Option<&str>, now: DateTime<Utc>) -> Result<(), Refused> {
        self.attempts().begin(name, from, browser, now).map_err(Refused::Wait)?;
        let Some(others) = &self.others else { return Ok(()) };
        let of = limits(name, from, browser).into_iter().map(|(what, most)| (self.keyed(&what), most)).collect();
        match others.try_log_in(of, WINDOW, now).await.map_err(unanswered)? {
            Some(wait) => Err(Refused::Wait(wait)),
            None => Ok(()),
        }
    }

    /// It was the right password.
    pub(super) async fn succeeded(&self, name: &str, from: IpAddr, browser: Option<&str>) -> Result<(), Refused> {
        self.attempts().succeeded(name, from, browser);
        let Some(others) = &self.others else { return Ok(()) };
        let mut of: Vec<[u8; 32]> = limits(name, from, browser).iter().map(|(what, _)| self.keyed(what)).collect();
        // The first is the name, or the browser.
        let anew = vec![of.remove(0)];
        others.logged_in(of, anew).await.map_err(unanswered)
    }

    /// Nobody who reads the store learns who it was.
    fn keyed(&self, what: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(what.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// What another node knows by now of the login of this request: opened, used or ended there.
    pub(in crate::web) async fn renew(&self, headers: &HeaderMap, now: DateTime<Utc>) -> outbox::Result<()> {
        let (Some(others), Some(id)) = (&self.others, cookie::login(headers)) else { return Ok(()) };
        let digest = logins::digest(id);
        let kept = others.kept_login(digest).await?;
        let access = self.access();
        self.logins().renew(digest, kept, |name| access.user(name).cloned(), now);
        Ok(())
    }

    /// Likewise, of all logins that this node remembers.
    pub(in crate::web) async fn renew_all(&self, now: DateTime<Utc>) -> outbox::Result<()> {
        let Some(others) = &self.others else { return Ok(()) };
        let known = self.logins().kept();
        let mut kept: HashMap<[u8; 32], KeptLogin> = others.logins().await?.into_iter().map(|one| (one.digest, one)).collect();
        let (access, mut logins) = (self.access(), self.logins());
        for digest in known {
            logins.renew(digest, kept.remove(&digest), |name| access.user(name).cloned(), now);
        }
        Ok(())
    }

    /// The code is theirs, and was not used on any node: it is now. Who has no secret is asked for none.
    pub(super) async fn takes_code(&self, user: &User, given: &str, now: DateTime<Utc>) -> Result<(), Refused> {
        let Some(secret) = &user.totp else { return Ok(()) };
        let step = {
            let mut used = self.memory.used.lock().unwrap_or_else(PoisonError::into_inner);
            let last = used.get(&user.name).copied().unwrap_or(self.opened_in);
            let step = totp::matching(secret, given, now, last).ok_or(Refused::Wrong)?;
            used.insert(user.name.clone(), step);
            step
        };
        let Some(others) = &self.others else { return Ok(()) };
        if others.use_code(user.name.as_str(), step).await.map_err(unanswered)? { Ok(()) } else { Err(Refused::Wrong) }
    }
}

/// The store counts for all nodes: what it does not answer is not tried.
fn unanswered(error: StoreError) -> Refused {
    tracing::error!(%error, "a log-in cannot be counted, and is refused");
    Refused::Wait(TimeDelta::minutes(1))
}
