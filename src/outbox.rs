//! The outbox: durable notices, and what was told. One trait, one conformance suite, several stores. (Its values stand below it: [`crate::entry`]
//! has the states, [`crate::known`] what the planner needs.)
//!
//! Every method that writes is one transaction, durable when it returns (SQLite: WAL, synchronous=FULL). Stores commit in groups:
//! what arrives while a commit runs goes into the next one. After a claim, every write is a compare-and-set on the claim's
//! `epoch`, so that whoever lost a claim can change nothing. A key is held once, for ever (until it is purged).
//!
//! A store decides nothing. What is due, what is retried when, what a failure means: the caller says so.
//! Times are given by the caller (`now`), except leases, which a store measures by its own clock. They are kept to the millisecond.

mod access;
mod actions;
mod alert;
mod attempted;
mod attempts;
mod checks;
pub mod copy;
mod feedback;
mod frozen;
mod key;
mod lz4;
pub mod memory;
mod nodes;
mod origin;
mod outgoing;
pub mod postgres;
mod queries;
mod rows;
pub mod sqlite;
mod standing;
mod transition;
mod transports;
mod upkeep;
mod walks;
mod words;

pub use access::Access;
pub use actions::{Action, Actions};
pub use alert::Alert;
pub use attempts::{Attempts, Begin, Claim, ClaimAlone, ClaimRequest, Lease, Outgoing, RecentEnd, Recovered, Returned, Settlement};
pub use feedback::Feedback;
pub use key::StoreKey;
pub use nodes::{Leader, NodeRow, Nodes, Tended};
pub use outgoing::{DigestDelivery, Scheduled, digest_key};
pub use queries::{Filter, Queries, SourceStatus, Status};
pub use transports::{TransportAnswer, TransportAsk, TransportName, TransportState, Transports};
pub use upkeep::{Purged, Restored, Retention, Upkeep};
pub use walks::{
    Applied, NotedSession, ReadFile, ReplaysAfterRestore, Rest, Seen, SeenSession, SourceLook, SourcePart, SourceRow, UnreadSource, Walk,
    WalkedSession, Walks,
};

/// A store failed. Hand-overs stop at once: a message could go out that nobody would remember.
#[derive(Debug, thiserror::Error)]
#[error("the store {action} failed: {cause}")]
pub struct StoreError {
    /// What was attempted: `"claim"`, `"open sqlite:///var/lib/punctual/punctual.db"`.
    pub action: String,
    /// What the store said.
    pub cause: String,
}

impl StoreError {
    /// The database is away, or went away meanwhile: that may pass.
    pub fn is_away(&self) -> bool {
        self.cause.starts_with(nodes::AWAY)
    }

    /// Another machine has this node's `[node] name`, and lives: another start would meet the same.
    pub fn is_displaced(&self) -> bool {
        self.cause.contains(nodes::DISPLACED)
    }
}

/// What a store answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A durable store of notices, in parts that whoever needs no more can name.
pub trait Outbox: Walks + Attempts + Feedback + Actions + Queries + Upkeep + Nodes + Transports {}

impl<T: Walks + Attempts + Feedback + Actions + Queries + Upkeep + Nodes + Transports> Outbox for T {}
