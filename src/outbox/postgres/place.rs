//! Whose a row is, and what the values in it are bound to that are sealed for it alone.

use tokio_postgres::Row;

use super::columns::{get, person, session};
use super::error::Res;
use crate::entry::Entry;
use crate::session::{ParticipantRef, SessionId};

impl ParticipantRef {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { source: entry.source.clone(), session: entry.notice.session, participation: entry.notice.participation }
    }

    pub(super) fn read(row: &Row, from: usize) -> Res<Self> {
        Ok(Self { source: get(row, from)?, session: session(row, from + 1)?, participation: person(row, from + 2)? })
    }

    /// What is sealed for a participant's row is bound to this.
    pub(super) fn name(&self) -> String {
        format!("{}/{}/{}", self.source, self.session, self.participation)
    }
}

/// What is sealed for a session's row is bound to this.
pub(super) fn name(source: &str, id: SessionId) -> String {
    format!("{source}/{id}")
}
