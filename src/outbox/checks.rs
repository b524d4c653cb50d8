//! What a caller may ask of a store, whichever it is.

use super::{StoreError, WalkedSession};
use crate::entry::{Change, State};
use crate::session::ParticipationId;

/// Refuses what a caller may not ask, before anything is written.
pub(crate) fn checked(action: &str, checks: impl IntoIterator<Item = Result<(), String>>) -> super::Result<()> {
    let all: Result<(), String> = checks.into_iter().collect();
    all.map_err(|cause| StoreError { action: action.to_owned(), cause })
}

pub(super) fn check_end(state: State) -> Result<(), String> {
    match state {
        State::Held | State::Cancelled | State::Superseded | State::Lapsed | State::Suppressed => Ok(()),
        _ => Err(format!("state {state} is no end; expected held, cancelled, superseded, lapsed or suppressed")),
    }
}

impl WalkedSession {
    /// Its changes can be applied: an end is one, and a new notice is of this session and of somebody who is known. `known` says whom the
    /// store knows besides those that the walk names.
    pub(crate) fn check<E>(&self, mut known: impl FnMut(ParticipationId) -> Result<bool, E>) -> Result<Result<(), String>, E> {
        for change in &self.changes {
            let refusal = match change {
                Change::End { state, .. } => check_end(*state).err(),
                Change::Add(n) if n.session != self.id => Some(format!("notice {} is of session {}, not of {}", n.key, n.session, self.id)),
                Change::Add(n) if self.known.iter().any(|(id, _)| *id == n.participation) || known(n.participation)? => None,
                Change::Add(n) => Some(format!("notice {} is of participation {}, which is not known", n.key, n.participation)),
                Change::Move { .. } => None,
            };
            if let Some(refusal) = refusal {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }
}
