//! After a restore: what may have been told in the time that the store does not remember waits for a person.

use chrono::{DateTime, Utc};

use super::Walker;
use crate::entry::{Change, State};
use crate::known::Known;
use crate::notice::{Notice, Occasion, Reason};
use crate::outbox::ReplaysAfterRestore;
use crate::plan;
use crate::session::{ParticipationId, Presence, Session};
use crate::source::ambiguity;

impl Walker<'_> {
    /// After a restore, what may have been told in the time that the store does not remember: held. Reminders that are still to come are not; one that
    /// only quiet hours keep is.
    pub(super) fn found_again(&self, session: &Session, change: &Change, known: &Known) -> Option<Change> {
        let (notice, due_at) = match change {
            Change::Add(n) => (n, n.due_at),
            Change::Move { key, due_at, .. } => {
                let row = known.notices.iter().find(|n| n.notice.key == *key)?;
                // What waits for later than now had not gone when it was due. What is due earlier by now may have been so then, too.
                // Nor had what quiet hours kept, unless their clock is another one by now.
                let by_another_clock = row.notice.occasion != Occasion::Reminder && known.facts_known_at == self.now;
                let anew = row.state != State::Waiting || *due_at < row.notice.due_at || by_another_clock;
                anew.then_some((&row.notice, *due_at))?
            }
            Change::End { .. } => return None,
        };
        let was_due = || due_at.min(plan::rule_time(notice, session, self.policy).unwrap_or(due_at)) <= self.now;
        let told_since = self.may_find_again(notice, known) && (notice.occasion != Occasion::Reminder || was_due());
        told_since.then_some(Change::End { key: notice.key, state: State::Held, reason: Reason::Restored })
    }

    /// What is new of somebody may have been told before a restore.
    fn may_find_again(&self, notice: &Notice, known: &Known) -> bool {
        match self.replays_after_restore {
            ReplaysAfterRestore::Nobody => false,
            ReplaysAfterRestore::Everybody => true,
            ReplaysAfterRestore::WhoeverWaited(until) => {
                let Some((stored, was)) = self.before.get(&notice.session) else { return false };
                let mark = stored.ambiguous.iter().find(|(id, _)| *id == notice.participation).map(|(_, why)| why);
                // While a session is told in two ways nobody knows what is new of it.
                let told_twice = mark.is_some_and(|why| ambiguity::is_of_session(why));
                let waited = told_twice || (mark.is_some() && known.start_known_at.max(known.facts_known_at) <= until);
                waited || self.was_unread_since(was, notice.participation, until)
            }
        }
    }

    /// Until now nobody could read what the source says of them, and that began before then.
    fn was_unread_since(&self, was: &Session, id: ParticipationId, then: DateTime<Utc>) -> bool {
        let of_them = was.participant(id).map(|person| person.presence);
        let presences = [Some(was.presence), of_them];
        let unheard_since = self.known.get(&was.id).and_then(|known| known.get(&(was.id, id))?.absent_since);
        let unheard = presences.contains(&Some(Presence::Unknown)) && unheard_since.is_some_and(|since| since <= then);
        unheard || presences.contains(&Some(Presence::Unreadable))
    }
}
