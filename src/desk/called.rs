//! Whom somebody at the practice called: a row of the ledger, with who it was and what they noted.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::Desk;
use crate::ledger::{Event, LedgerRow};
use crate::outbox::StoreError;
use crate::session::{ParticipantKey, SessionId};

/// Letters of a note.
pub const NOTE_MAX: usize = 200;

/// When each of them was called last, and the note: `by jane: they will come`.
pub async fn of(desk: &Desk, places: &[ParticipantKey]) -> Result<HashMap<ParticipantKey, (DateTime<Utc>, String)>, StoreError> {
    let sessions: BTreeSet<SessionId> = places.iter().map(|(session, _)| *session).collect();
    let rows = desk.outbox.ledger_of(&Event::Called, &sessions.into_iter().collect::<Vec<_>>()).await?;
    let about = |row: LedgerRow| Some(((row.session_id?, row.participation_id?), (row.at, row.detail.unwrap_or_default())));
    Ok(rows.into_iter().filter_map(about).collect())
}

/// Notes that somebody was called.
pub async fn note(desk: &Desk, place: ParticipantKey, who: &str, said: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    desk.outbox.record_event_about(now, Event::Called, &by(who, said), Some(place)).await
}

/// `by jane: they will come`
fn by(who: &str, said: &str) -> String {
    match because(said) {
        Some(said) => format!("by {who}: {said}"),
        None => format!("by {who}"),
    }
}

/// Who decides, with the reason: as the ledger names them.
pub fn with_reason(who: &str, said: &str) -> String {
    because(said).map_or_else(|| who.to_owned(), |said| format!("{who}: {said}"))
}

/// A note on one line, if there is one.
fn because(said: &str) -> Option<String> {
    let line: String = crate::contact::clean_line(said).chars().take(NOTE_MAX).collect();
    Some(line).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_short_line() {
        assert_eq!(by("jane", " They will come.\nAt three. "), "by jane: They will come. At three.");
        assert_eq!(by("jane", "  "), "by jane");
        assert_eq!(with_reason("jane", ""), "jane");
        assert!(with_reason("jane", &"x".repeat(999)).len() < 220);
    }
}
