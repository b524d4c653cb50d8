//! Several nodes that serve a practice from one store. A store of one process has one, which leads.

use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Recovered, Result, StoreError};
use crate::access::logins::KeptLogin;
use crate::session::SessionId;

/// Another machine has this node's name, and lives.
pub(super) const DISPLACED: &str = "another machine is this node now";

/// It is not there now, and may be again.
pub(super) const AWAY: &str = "the database is away: ";

/// How a node stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tended {
    /// It walks the sources by the clock, and does what is done once: the letter, the ping, what is removed.
    pub leads: bool,
    /// The one that leads, if it decides by other settings than this one: then this one walks nothing and sends nothing.
    pub other: Option<Leader>,
    /// The store's own clock, if it has one that is not this machine's.
    pub store_now: Option<DateTime<Utc>>,
    /// What was taken back of nodes that are gone.
    pub recovered: Recovered,
    /// How many hand over, with this one.
    pub nodes: usize,
}

impl Tended {
    /// Nobody else is there.
    pub fn alone() -> Self {
        Self { leads: true, other: None, store_now: None, recovered: Recovered::default(), nodes: 1 }
    }
}

/// The node that leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// `[node] name`.
    pub name: String,
    /// What it decides by, as it said when it began to lead.
    pub settings: String,
}

/// A node, as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeRow {
    /// `[node] name`.
    pub name: String,
    /// Its process, and the machine: `process 4711 on db1`.
    pub at: String,
    /// It walks the sources by the clock, and does what is done once.
    pub leads: bool,
    /// It said of late that it lives.
    pub lives: bool,
    /// It is the one that asks.
    #[serde(skip)]
    pub is_own: bool,
    /// Why it walks nothing and sends nothing. `None`: it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// Since when it does nothing, or says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}

fn no_users() -> StoreError {
    StoreError { action: "users".to_owned(), cause: "only a PostgreSQL database keeps users: name a [server] users_file".to_owned() }
}

/// What only several nodes need.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// A look at the other nodes, every few seconds: takes back the claims of those that are gone, and leads if nobody else does. `settings`: a digest of
    /// what this node decides by. `idle`: why it does nothing, as it found at its last look; then it does not lead.
    async fn tend(&self, _settings: &str, _idle: Option<&str>, _now: DateTime<Utc>) -> Result<Tended> {
        Ok(Tended::alone())
    }

    /// The store's own clock, if it has one that is not this machine's.
    async fn store_now(&self) -> Result<Option<DateTime<Utc>>> {
        Ok(None)
    }

    /// The store is a server: its silence is no fault of this process, and no restart mends it.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// Since when such a store does not answer; `None`: it does.
    fn cut_off_since(&self) -> Option<Instant> {
        None
    }

    /// It does not answer just now.
    fn is_cut_off(&self) -> bool {
        self.cut_off_since().is_some()
    }

    /// The nodes that have names, by name.
    async fn nodes(&self) -> Result<Vec<NodeRow>> {
        Ok(Vec::new())
    }

    /// Other nodes serve the pages, too: who is logged in is the store's to say, and not a process's.
    fn is_shared(&self) -> bool {
        false
    }

    /// Who may use the pages and the API, as the text of a users file, and its version; `None`: that is the version which the caller has.
    ///
    /// # Errors
    /// It cannot be read; or this store keeps no users.
    async fn users(&self, _known: i64) -> Result<Option<(i64, String)>> {
        Err(no_users())
    }

    /// Puts another text in the place of that version. `false`: somebody else was faster.
    ///
    /// # Errors
    /// Likewise.
    async fn put_users(&self, _known: i64, _text: &str) -> Result<bool> {
        Err(no_users())
    }

    /// Somebody's login, by its digest.
    async fn kept_login(&self, _digest: [u8; 32]) -> Result<Option<KeptLogin>> {
        Ok(None)
    }

    /// A log-in is tried: of each of these, by a digest, so often within that time. `Some`: not now, but after so long.
    async fn try_log_in(&self, _of: Vec<([u8; 32], u32)>, _within: TimeDelta, _now: DateTime<Utc>) -> Result<Option<TimeDelta>> {
        Ok(None)
    }

    /// It was the right password: what it cost is given back. `anew`: of these, all tries are.
    async fn logged_in(&self, _of: Vec<[u8; 32]>, _anew: Vec<[u8; 32]>) -> Result<()> {
        Ok(())
    }

    /// A one-time code is used, of that step. `false`: it was before, or a later one.
    async fn use_code(&self, _name: &str, _step: i64) -> Result<bool> {
        Ok(true)
    }

    /// How many walks were applied so far, by any node: what was read at one number is old at the next.
    async fn walks(&self) -> Result<i64> {
        Ok(0)
    }

    /// Which of them was the last one of a source, see [`super::Rest::walks`].
    async fn walks_of(&self, _source: &str) -> Result<i64> {
        Ok(0)
    }

    /// Sessions that were walked since that number, by source.
    async fn walked_since(&self, _walks: i64) -> Result<Vec<(String, SessionId)>> {
        Ok(Vec::new())
    }
}
