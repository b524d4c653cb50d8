//! Relays and gateways: which keys go with which kind, and the transports made of them.

use std::path::PathBuf;
use std::sync::Arc;

use super::check::Base;
use super::raw::{GatewayKind, Raw, RelayKind};
use super::read::Document;
use crate::deliver::Transport;
use crate::deliver::folder::Folder;

/// A checked e-mail relay.
pub enum Relay {
    /// `kind = "folder"`
    Folder(PathBuf),
}

/// A checked SMS gateway.
pub enum Gateway {
    /// `kind = "folder"`
    Folder(PathBuf),
}

impl Relay {
    /// Makes the transport; nothing is connected yet. The error says what is wrong.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        match self {
            Self::Folder(path) => Ok(Arc::new(Folder::new(path)?)),
        }
    }
}

impl Gateway {
    /// Makes the transport; nothing is connected yet. The error says what is wrong.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        match self {
            Self::Folder(path) => Ok(Arc::new(Folder::new(path)?)),
        }
    }
}

pub(super) fn relays(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Relay> {
    let mut relays = Vec::new();
    for (n, relay) in raw.email.relay.iter().enumerate() {
        match (relay.kind.unwrap_or(RelayKind::Smtp), &relay.path) {
            (RelayKind::Folder, Some(path)) => relays.push(Relay::Folder(base.resolve(path))),
            (RelayKind::Folder, None) => {
                document.note(&format!("email.relay[{n}].path"), "is missing; expected the folder for the .eml files")
            }
            (RelayKind::Smtp, _) => {}
        }
    }
    relays
}

pub(super) fn gateways(raw: &Raw, base: &Base<'_>, document: &mut Document<'_>) -> Vec<Gateway> {
    let mut gateways = Vec::new();
    for (n, gateway) in raw.sms.gateway.iter().enumerate() {
        match (gateway.kind, &gateway.path) {
            (Some(GatewayKind::Folder), Some(path)) => gateways.push(Gateway::Folder(base.resolve(path))),
            (Some(GatewayKind::Folder), None) => {
                document.note(&format!("sms.gateway[{n}].path"), "is missing; expected the folder for the .txt files")
            }
            _ => {}
        }
    }
    gateways
}
