//! What a walk plans.

use std::borrow::Cow;

use crate::session::{Presence, Session, SessionId};

/// A session to plan.
pub(super) enum Work<'a> {
    /// It is in the snapshot; with its new digest.
    Listed(Box<Cow<'a, Session>>, String),
    /// It is not, or not legibly.
    Missing(SessionId, Presence),
    /// It is not, and another source lists it: it stands under that one from now on.
    Moves(String, Box<Session>),
    /// It stands under another source, and what this one says makes it ambiguous, or does so no more.
    Marked(Box<Session>),
    /// It is kept under another source, which does not list it, and this one says something new of it: that source is looked at again.
    LooksAgain(SessionId),
}

impl Work<'_> {
    pub(super) fn id(&self) -> SessionId {
        match self {
            Self::Listed(session, _) => session.id,
            Self::Missing(id, _) | Self::LooksAgain(id) => *id,
            Self::Moves(_, session) | Self::Marked(session) => session.id,
        }
    }
}
