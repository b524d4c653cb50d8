//! Punctual sends each participant of an upcoming video session their invitation and reminders, with their own connect code,
//! in their own local time.
//!
//! ```text
//! source -> Snapshot -> plan(snapshot, policy, known, now) -> Plan { notices, omissions }
//!        -> diff against the outbox -> Change { Add, Move, End } -> outbox (durable)
//! due    -> claim -> revalidate against the latest session -> render -> Message -> gate -> deliver -> Outcome -> settle -> ledger
//! ```
//!
//! The modules stand in the order in which data meets them. The first group is pure: no clock, no I/O, no logging.

pub mod contact;
pub mod entry;
pub mod feedback;
pub mod guard;
pub(crate) mod http_client;
pub mod json_pointer;
pub mod known;
pub mod ledger;
pub mod message;
pub mod notice;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod receipt;
pub mod render;
pub mod retry;
pub mod session;
pub mod staff;
pub mod suppression;

pub mod evidence;
pub mod preview;

pub mod access;
pub mod alert;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod deliver;
pub mod desk;
pub mod digest;
pub mod dispatch;
pub mod outbox;
pub mod simulate;
pub mod source;
pub(crate) mod tls;
pub mod walk;
pub mod web;
pub mod zone;
