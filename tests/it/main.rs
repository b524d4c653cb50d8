//! The one integration binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod attention;
mod channels;
mod clock;
mod configuration;
mod digest;
mod documents;
mod durability;
mod engine;
mod feedback;
mod first_minutes;
mod fuzz;
mod gateway;
mod histories;
mod outbox;
mod process;
mod push;
mod record;
mod reload;
mod render;
mod servers;
mod simulate;
mod smtp;
mod source_http;
mod staff;
mod transport;
mod unchanged;
mod waiting;
mod watch;
mod zone;
