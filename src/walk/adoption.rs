//! The first fill of a source: whoever is in it was announced by somebody else, and counts as told.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Walker;
use crate::known::{Known, KnownMap, KnownNotice};
use crate::notice::{Notice, Reason};
use crate::outbox::Seen;
use crate::plan::{self, NotJoined, Policy};
use crate::session::{AutoDeliver, Participant, ParticipationId, Presence, Session, SessionId, Snapshot, SnapshotKind};
use crate::source::json;

/// How far a source's first fill is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// There was no whole list with a session in it yet, and this is none: nobody is adopted, and nobody is invited.
    Waits,
    /// This is the first one: whoever is in it may have been announced by somebody else.
    First,
    /// It is over: who comes now is new.
    Over,
}

impl Fill {
    pub(super) fn of(snapshot: &Snapshot, seen: Option<&Seen>) -> Self {
        let filled = seen.is_some_and(|seen| seen.filled);
        match snapshot.kind {
            _ if filled => Self::Over,
            SnapshotKind::Full if !snapshot.sessions.is_empty() => Self::First,
            SnapshotKind::Full | SnapshotKind::Partial => Self::Waits,
            // It is told of by itself: that is news.
            SnapshotKind::Delta => Self::Over,
        }
    }
}

/// Sessions that are at fault since the first fill, so that nobody can know yet who is in them; none, if that fill invites everybody. What was cancelled
/// then was announced to nobody.
pub(super) fn adopting(snapshot: &Snapshot, seen: Option<&Seen>, fill: Fill, policy: &Policy) -> Vec<SessionId> {
    let inside = snapshot.sessions.iter().flat_map(|s| &s.faults).filter(|f| f.participation.is_none());
    let faults: BTreeSet<SessionId> = inside.filter_map(|f| f.session).chain(snapshot.unreadable()).collect();
    let cancelled = snapshot.sessions.iter().filter(|s| s.cancelled).map(|s| s.id);
    let unread = snapshot.unread.iter().filter(|unread| json::says_cancelled(&unread.record)).filter_map(|unread| unread.session);
    let off: HashSet<SessionId> = cancelled.chain(unread).collect();
    match fill {
        Fill::Waits => Vec::new(),
        Fill::First if policy.adopt_invites => Vec::new(),
        Fill::First => faults.into_iter().filter(|id| !off.contains(id)).collect(),
        Fill::Over => {
            let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
            let still = |id: &SessionId| faults.contains(id) || !listed.contains(id);
            seen.into_iter().flat_map(|s| &s.adopting).copied().filter(still).collect()
        }
    }
}

impl Walker<'_> {
    /// Whoever is in this session for the first time was there before this program came. Of one that has moved since, nobody can know which start they
    /// were told: they are told afresh.
    pub(super) fn adopts(&self, session: &Session) -> bool {
        let known = || self.known.get(&session.id).into_iter().flat_map(HashMap::values);
        let was = self.before.get(&session.id).map(|(_, was)| was.start);
        let moved = || was.is_some_and(|was| was != session.start) || known().any(|one| one.start_known_at > one.first_seen);
        self.first_fill || (self.adopting.contains(&session.id) && !moved())
    }

    /// Whoever's record is at fault was there, too: they are adopted once it is mended.
    pub(super) fn adopt_the_unread(&self, session: &Session, known: &mut KnownMap) {
        for id in session.faults.iter().filter_map(|fault| fault.participation) {
            let new = || Known { cancelled: session.cancelled, adopted: true, ..Known::new(session.start, self.now) };
            known.entry((session.id, id)).or_insert_with(new);
        }
    }

    /// The session as somebody else announced it: as it was when they were first noted. A record that was at fault may have moved meanwhile, or been
    /// cancelled, when nothing of it could be read at first.
    pub(super) fn told_elsewhere(&self, session: &Session, id: ParticipationId) -> Session {
        let noted = self.known.get(&session.id).and_then(|known| known.get(&(session.id, id)));
        let unread = self.adopting.contains(&session.id);
        let (start, cancelled) = noted.map_or((session.start, session.cancelled && !unread), |one| (one.start, one.cancelled));
        Session { start, cancelled, ..session.clone() }
    }

    /// The invite of whoever was ambiguous until their session began, a short time ago. Of what waits for a person nobody need be lost in silence.
    pub(super) fn missed(&self, session: &Session, id: ParticipationId, known: &Known) -> Option<Notice> {
        let (stored, _) = self.before.get(&session.id)?;
        let began = session.start <= self.now && self.now - session.start < NotJoined::LONGEST;
        let was_held = stored.ambiguous.iter().any(|(held, _)| *held == id);
        let person = session.participant(id).filter(|p| began && was_held && p.presence == Presence::Listed)?;
        plan::missed_invite((session, person, known), self.policy, &self.suppressed, self.now)
    }

    /// To whoever was there, and whom nobody can have announced it to, because it was cancelled, or they had no address or code: it is news.
    pub(super) fn not_announced(&self, session: &Session, known: &mut KnownMap) {
        let Some((_, was)) = self.before.get(&session.id) else { return };
        for person in &session.participants {
            let Some(one) = known.get_mut(&(session.id, person.id)).filter(|one| one.adopted) else { continue };
            let takes_place = self.told_elsewhere(session, person.id).cancelled && !one.cancelled;
            let untold = |p: &Participant| plan::is_told_nowhere(p, self.policy);
            let is_reached = was.participant(person.id).is_some_and(untold) && !untold(person);
            if (takes_place || is_reached) && !one.notices.iter().any(KnownNotice::heard) {
                (one.adopted, one.first_seen) = (false, self.now);
            }
        }
    }

    /// Whoever was announced by somebody else counts as told: a row of the outbox remembers the start that they know, and what else they were told, so
    /// that a change of it is told. Of what is over nobody need remember anything, until it is moved; nor of whose clock is not known, until it is
    /// cancelled: that can be told without.
    pub(super) fn adoption(&self, session: &Session, was: &Session, id: ParticipationId, known: &Known) -> Option<(Notice, String)> {
        let is_noted = known.notices.iter().any(|n| n.reason == Some(Reason::Adopted) || n.may_have_been_sent());
        if !known.adopted || is_noted || self.policy.adopt_invites || was.start.max(session.start) <= self.now {
            return None;
        }
        let person = session.participant(id)?;
        if !plan::is_off(session, person) && plan::zone_of(person, self.policy).is_err() {
            return None;
        }
        let notice = plan::adopted_invite((was, person, known), self.policy, &self.suppressed, self.now)?;
        Some((notice, plan::facts_elsewhere(self.facts_noted(session.id, id), was, person, self.policy)))
    }

    /// The facts that were noted of whom somebody else told, when their clock could not be known. Empty: it could, or their host told them.
    fn facts_noted(&self, session: SessionId, id: ParticipationId) -> &str {
        let was = self.before.get(&session).and_then(|(_, was)| was.participant(id));
        let frozen = was.is_some_and(|p| p.auto_deliver != AutoDeliver::Nobody && plan::zone_of(p, self.policy).is_err());
        let noted = self.known.get(&session).and_then(|known| known.get(&(session, id)));
        noted.filter(|_| frozen).map_or("", |one| &one.facts)
    }
}
