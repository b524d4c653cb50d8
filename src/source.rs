//! Where sessions come from.

pub mod json;
