//! stand-in
use super::check::Base;
use super::raw::Raw;
use super::read::Document;
use std::sync::Arc;
/// x
pub struct Relay;
/// x
pub struct Gateway;
impl Relay {
    /// x
    pub fn transport(&self) -> Result<Arc<dyn crate::deliver::Transport>, String> {
        todo!()
    }
}
impl Gateway {
    /// x
    pub fn transport(&self) -> Result<Arc<dyn crate::deliver::Transport>, String> {
        todo!()
    }
}
pub(super) fn relays(_: &Raw, _: &Base<'_>, _: &mut Document<'_>) -> Vec<Relay> {
    vec![]
}
pub(super) fn gateways(_: &Raw, _: &Base<'_>, _: &mut Document<'_>) -> Vec<Gateway> {
    vec![]
}
