//! The parts of the store, each with what it needs.

mod actions;
mod attempts;
mod feedback;
mod nodes;
mod queries;
mod transports;
mod upkeep;
mod walks;
