//! stand-in
use crate::session::Snapshot;
/// stand-in
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    /// x
    pub why: String,
}
/// stand-in
/// x
pub const BODY_MAX: usize = 1;
/// stand-in
pub fn parse(_: &[u8]) -> Result<Snapshot, Refusal> {
    todo!()
}
