//! Punctual sends each participant of an upcoming video session their invitation and reminders, with their own connect code,
//! in their own local time.
//!
//! ```text
//! source -> Snapshot -> plan(snapshot, policy, known, now) -> Plan { faults, people }
//!        -> diff against the outbox -> Change { Add, Move, End } -> outbox (durable)
//! due    -> claim -> revalidate against the latest session -> render -> Message -> gate -> deliver -> Outcome -> settle -> ledger
//! ```
//!
//! The modules stand in groups, in the order in which data meets them. Who may import whom is a table in `tests/it/architecture.rs`.

// Values: what is said, told, known and written down.
pub mod contact;
pub mod entry;
pub mod evidence;
pub mod guard;
pub mod json_pointer;
pub mod known;
pub mod ledger;
pub mod message;
pub mod notice;
pub mod outcome;
pub mod receipt;
pub mod session;
pub mod suppression;

// Rules: no clock, no store, no network, no log.
pub mod feedback;
pub mod plan;
pub mod preview;
pub mod rate;
pub mod render;
pub mod retry;
pub mod staff;
pub mod zone;

// From a source into the store.
pub mod clock;
pub(crate) mod http_client;
pub mod outbox;
pub mod source;
pub(crate) mod tls;
pub mod walk;

// From the store to a server.
pub mod alert;
pub mod deliver;
pub mod digest;
pub mod dispatch;

// For whoever looks.
pub mod access;
pub mod desk;
pub mod simulate;
pub mod web;

// What knows the configuration.
pub mod cli;
pub mod config;
pub mod daemon;
