//! Two policies over the same sessions: who gains, loses or moves a message.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use chrono::{DateTime, Utc};

use super::{Policy, Suppressions, observe, plan_session};
use crate::entry::State;
use crate::known::KnownMap;
use crate::notice::{Decision, Notice, Occasion};
use crate::session::{ParticipationId, Session, SessionId};

/// What is told to whom: the same thing under both policies.
pub type PlannedMessage = (SessionId, ParticipationId, Occasion, Option<String>);

/// When each thing is due.
pub type Dues = BTreeMap<PlannedMessage, DateTime<Utc>>;

/// So many may always change at once.
const ALWAYS: usize = 3;
/// And so many of a hundred.
const PERCENT: usize = 20;

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageChange {
    /// It is due then, and was not planned.
    Gained(DateTime<Utc>),
    /// It was due then, and is planned no more.
    Lost(DateTime<Utc>),
    /// It was due then, and is now due then.
    Moved(DateTime<Utc>, DateTime<Utc>),
}

/// When each thing is due under a policy that was not told yet.
pub fn dues<'s, S: BuildHasher>(
    sessions: impl Iterator<Item = &'s Session>,
    known: &HashMap<SessionId, KnownMap, S>,
    policy: &Policy,
    suppressed: &Suppressions,
    now: DateTime<Utc>,
) -> Dues {
    let decisions = sessions.flat_map(|session| {
        let known = observe(session, known.get(&session.id).cloned().unwrap_or_default(), policy, false, now);
        let is_over = |key| {
            known
                .values()
                .flat_map(|one| &one.notices)
                .any(|n| n.notice.key == key && (n.may_have_been_sent() || n.state == State::Rejected))
        };
        let decisions = plan_session(session, &known, policy, suppressed, now).into_decisions();
        let due = |d| if let Decision::Send(n) = d { Some(n) } else { None };
        decisions.filter_map(due).filter(|n| !is_over(n.key)).collect::<Vec<Notice>>()
    });
    decisions.map(|n| ((n.session, n.participation, n.occasion, n.rule), n.due_at)).collect()
}

/// What differs, in the order of the places.
pub fn compare(old: &Dues, new: &Dues) -> Vec<(PlannedMessage, MessageChange)> {
    let mut places: Vec<&PlannedMessage> = old.keys().chain(new.keys()).collect();
    places.sort_unstable();
    places.dedup();
    let change = |place: &PlannedMessage| match (old.get(place).copied(), new.get(place).copied()) {
        (None, Some(after)) => Some(MessageChange::Gained(after)),
        (Some(before), None) => Some(MessageChange::Lost(before)),
        (Some(before), Some(after)) if before != after => Some(MessageChange::Moved(before, after)),
        _ => None,
    };
    places.into_iter().filter_map(|place| Some((place.clone(), change(place)?))).collect()
}

/// More than max(3, 20 %) of what was planned: somebody should have looked before it is so.
pub fn is_much(changes: usize, planned: usize) -> bool {
    changes > ALWAYS.max(planned * PERCENT / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gained_lost_moved_and_the_same() {
        let place = |person| (SessionId(1), ParticipationId(person), Occasion::Invite, None);
        let at = |hour| DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(hour);
        let old = Dues::from([(place(1), at(1)), (place(2), at(2)), (place(3), at(3))]);
        let new = Dues::from([(place(2), at(2)), (place(3), at(4)), (place(4), at(5))]);
        let wanted = [
            (place(1), MessageChange::Lost(at(1))),
            (place(3), MessageChange::Moved(at(3), at(4))),
            (place(4), MessageChange::Gained(at(5))),
        ];
        assert_eq!(compare(&old, &new), wanted);
    }

    #[test]
    fn three_or_a_fifth_are_not_much() {
        for (changes, planned, much) in
            [(0, 0, false), (3, 0, false), (4, 0, true), (3, 3, false), (4, 19, true), (20, 100, false), (21, 100, true)]
        {
            assert_eq!(is_much(changes, planned), much, "{changes} of {planned}");
        }
    }
}
