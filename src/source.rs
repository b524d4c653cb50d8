//! Where sessions come from: [`mod@file`] reads them, [`json`] checks them record by record, [`ambiguity`] looks across records.

pub mod ambiguity;
pub mod file;
pub mod json;
pub mod kept;
mod record;
