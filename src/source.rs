//! Where sessions come from.

pub mod ambiguity;
pub mod file;
pub mod json;
