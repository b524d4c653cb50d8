//! Several nodes that serve a practice from one store. A store of one process has one, which leads.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Recovered, Result};
use crate::session::SessionId;

/// How a node stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tended {
    /// It walks the sources by the clock, and does what is done once: the letter, the ping, what is removed.
    pub leads: bool,
    /// The one that leads decides by the same settings as this one. One that does not walks nothing and sends nothing.
    pub agrees: bool,
    /// Walks that were applied so far, see [`Nodes::walks`].
    pub walks: i64,
    /// The store's own clock, if it has one that is not this machine's.
    pub store_now: Option<DateTime<Utc>>,
    /// What was taken back of nodes that are gone.
    pub recovered: Recovered,
}

impl Tended {
    /// Nobody else is there.
    pub fn alone() -> Self {
        Self { leads: true, agrees: true, walks: 0, store_now: None, recovered: Recovered::default() }
    }
}

/// What only several nodes need.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// A look at the other nodes, every few seconds: takes back the claims of those that are gone, and leads if nobody else does. `settings`: a digest of
    /// what this node decides by.
    async fn tend(&self, _settings: &str, _now: DateTime<Utc>) -> Result<Tended> {
        Ok(Tended::alone())
    }

    /// The store is on another machine, and does not answer just now: that is no fault of this process.
    fn is_cut_off(&self) -> bool {
        false
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
