//! Where sessions come from: [`mod@file`] and [`http`] read them, [`push`] is given them. [`json`] checks them record by record, [`words`] says
//! what its words mean, [`ambiguity`] looks across records.

pub mod ambiguity;
mod configured;
pub mod copies;
pub mod file;
pub mod http;
pub mod json;
pub mod just_read;
pub mod meaning;
pub mod push;
mod record;
pub mod same;
pub mod stored;
pub mod words;

pub use self::configured::{Source, SourceKind};
