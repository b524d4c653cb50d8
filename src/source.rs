//! Where sessions come from: [`mod@file`] and [`http`] read them, [`json`] checks them record by record, [`ambiguity`] looks across records.

pub mod ambiguity;
pub mod file;
pub mod http;
pub mod json;
pub mod kept;
mod record;
