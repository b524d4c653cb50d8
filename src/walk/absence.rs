//! What a source lists no more: absent, and cancelled once that is sure; and what cannot be read, which counts as it was.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::Walker;
use crate::entry::{Change, State};
use crate::known::{Known, KnownMap, KnownNotice};
use crate::notice::{NoticeKey, Occasion};
use crate::outbox::WalkedSession;
use crate::session::{Participant, Presence, Session, SessionId};
use crate::source::ambiguity;

/// Snapshots in a row that must not list a session before it counts as cancelled.
pub const ABSENCES: u32 = 3;
/// And for how long.
pub const ABSENT_FOR: TimeDelta = TimeDelta::minutes(10);

/// Whatever misses them next is the first list that does.
pub(super) fn begin_anew(one: &mut Known) {
    (one.absent_since, one.absences) = (None, 0);
}

impl Walker<'_> {
    /// Participants that the session had and has no more: absent, and gone when that is sure. After the start nothing happens to them.
    pub(super) fn departed(&self, session: &Session, was: &Session, known: &mut KnownMap) -> Vec<Participant> {
        let nameless_fault = session.faults.iter().any(|f| f.participation.is_none());
        // Whoever counts as cancelled may wait to be told so, until the start that they know; and so may whoever believes in another one.
        let start = |p: &Participant| {
            let told = known.get(&(session.id, p.id)).and_then(|one| one.knows_another_start(session.start));
            told.map_or(session.start, |told| told.max(session.start))
        };
        let to_come = |p: &&Participant| start(p) > self.now || p.presence == Presence::Gone;
        let gone_from = was.participants.iter().filter(|p| session.participant(p.id).is_none()).filter(to_come);
        let rejected = self.ruling.rejected.contains(&session.id);
        let departed: Vec<(Participant, DateTime<Utc>)> = gone_from.map(|p| (p.clone(), start(p))).collect();
        let mut all = Vec::new();
        for (mut person, start) in departed {
            let was_ambiguous = person.ambiguous.take();
            let unreadable = session.faults.iter().any(|f| f.participation == Some(person.id));
            person.presence = match known.get_mut(&(session.id, person.id)) {
                Some(one) if unreadable => {
                    // A record that may be theirs: it is no list that misses them.
                    if one.absences > 0 && ![was.presence, person.presence].contains(&Presence::Gone) {
                        begin_anew(one);
                    }
                    Presence::Unreadable
                }
                None if unreadable => Presence::Unreadable,
                // As they were: at fault, or kept until an operator decides.
                Some(_) if nameless_fault && person.presence == Presence::Unreadable => Presence::Unreadable,
                // What an operator accepted of them cannot be read: what was before holds no more.
                Some(_) if nameless_fault && person.presence == Presence::Guarded && !rejected => Presence::Guarded,
                Some(one) if nameless_fault && person.presence == Presence::Absent => {
                    begin_anew(one);
                    Presence::Absent
                }
                // The record that does not say whose it is may be theirs: as they were, as long as a silent source is believed.
                Some(one) if nameless_fault && person.presence != Presence::Gone && was.presence != Presence::Gone => {
                    one.absent_since = one.absent_since.or(Some(self.now));
                    person.ambiguous = was_ambiguous;
                    Presence::Unknown
                }
                Some(_) if nameless_fault && was.presence == Presence::Gone => Presence::Gone,
                Some(_) if person.presence == Presence::Gone || self.ruling.confirmed.contains(&session.id) => Presence::Gone,
                Some(one) => self.count_absence(one, start),
                None => Presence::Absent,
            };
            if person.presence == Presence::Unknown && !session.twice.is_empty() {
                let whose = |p: &Participant| p.ambiguous.clone().filter(|why| ambiguity::is_of_session(why));
                person.ambiguous = session.participants.iter().find_map(whose).or_else(|| Some(ambiguity::twice(session.id)));
            }
            all.push(person);
        }
        all
    }

    /// One more snapshot without them.
    fn count_absence(&self, known: &mut Known, start: DateTime<Utc>) -> Presence {
        // While it could not be heard it was not absent.
        let since = known.absent_since.filter(|_| known.absences > 0).unwrap_or(self.now);
        known.absent_since = Some(since);
        known.absences += 1;
        let sure = known.absences >= ABSENCES && self.now - since >= ABSENT_FOR && start > self.now;
        if sure { Presence::Gone } else { Presence::Absent }
    }

    /// One more snapshot without all of them. Whoever had left the session before says nothing of the others.
    fn count_absence_of_all(&self, was: &Session, known: &mut KnownMap) -> Presence {
        let had_left = |id| was.participant(id).is_none_or(|p| matches!(p.presence, Presence::Absent | Presence::Gone));
        // It may stand in what another source could not say since.
        let since = known.values().filter_map(|one| one.absent_since).min().unwrap_or(self.now);
        let may_be_elsewhere = self.unheard.is_some_and(|then| then < since);
        let counted: Vec<(bool, Presence)> =
            known.iter_mut().map(|((_, id), one)| (had_left(*id), self.count_absence(one, was.start))).collect();
        let all_had_left = counted.iter().all(|(left, _)| *left);
        let mut of_it = counted.iter().filter(|(left, _)| all_had_left || !left).peekable();
        let sure = !may_be_elsewhere && of_it.peek().is_some() && of_it.all(|(_, is)| *is == Presence::Gone);
        if sure { Presence::Gone } else { Presence::Absent }
    }

    /// A session that is not in the snapshot, or not legibly.
    pub(super) fn missing(&self, id: SessionId, why: Presence) -> Option<WalkedSession> {
        let (_, was) = self.before.get(&id)?;
        let mut known = self.known(id);
        if was.start <= self.now {
            return self.left(id, why, known);
        }
        let hold = self.ruling.holds.get(&id).and_then(|hold| hold.whole);
        let presence = match (why, hold) {
            (_, Some(kept)) => return self.held_missing(id, kept, known),
            // Whatever the clock says by now.
            (Presence::Absent, None) if was.presence == Presence::Gone => Presence::Gone,
            (Presence::Absent, None) if self.ruling.confirmed.contains(&id) => Presence::Gone,
            (Presence::Absent, None) if self.unread_elsewhere.contains(&id) => return self.not_counted(id, known),
            (Presence::Absent, None) => self.count_absence_of_all(was, &mut known),
            (Presence::Unknown, None) if was.presence == Presence::Absent => return self.not_counted(id, known),
            (Presence::Unknown | Presence::Unreadable, None) => {
                for ((_, person), one) in &mut known {
                    let missed =
                        was.presence == Presence::Absent || was.participant(*person).is_some_and(|p| p.presence == Presence::Absent);
                    if missed {
                        begin_anew(one);
                    }
                    if why == Presence::Unknown {
                        one.absent_since = one.absent_since.or(Some(self.now));
                    }
                }
                why
            }
            (other, None) => other,
        };
        self.kept(id, presence, known)
    }

    /// An absent session stays so, and this list is none that misses it: it may stand in a record that cannot be read.
    fn not_counted(&self, id: SessionId, mut known: KnownMap) -> Option<WalkedSession> {
        let counted = known.values().any(|one| one.absences > 0);
        let (_, was) = self.before.get(&id)?;
        known.values_mut().for_each(begin_anew);
        self.kept(id, Presence::Absent, known).filter(|_| counted || was.presence != Presence::Absent)
    }

    /// A session that runs, and is not in the snapshot any more: whoever was to be told that it runs is not, and all else stays as it is.
    fn left(&self, id: SessionId, why: Presence, known: KnownMap) -> Option<WalkedSession> {
        let is_open = |n: &&KnownNotice| n.state.pending() || matches!(n.state, State::Claimed | State::Sending);
        let runs = |n: &&KnownNotice| n.notice.occasion != Occasion::Cancelled && n.notice.useful_until > self.now;
        let open: HashSet<NoticeKey> = known.values().flat_map(|k| &k.notices).filter(is_open).filter(runs).map(|n| n.notice.key).collect();
        let mut walked = self.kept(id, why, known).filter(|_| !open.is_empty())?;
        walked.changes.retain(|change| match change {
            Change::Add(_) => false,
            Change::Move { key, .. } | Change::End { key, .. } => open.contains(key),
        });
        Some(walked)
    }
}
