//! The guard: too much that changes at once is more likely a fault of the source than the truth. Additions pass; each removal or change of that
//! kind waits for an operator, and nothing is sent for it.
//!
//! It trips on an empty snapshot after one that was not, and on more than max(3, 20 %) of the future sessions, or of their participants, that
//! are removed or differ in one way ([`GuardKind`]); also on more than max(10, 20 %) within [`WITHIN`] minutes, so that a fault that comes in
//! parts is one. What tripped is a set that the store keeps ([`crate::guard::GuardSet`]): while it has a member of a kind, everything else of
//! that kind joins it. One patient who is listed as the host is too much, or one host as a patient: their name would go to the others; and one address
//! or code that was another person's until now. A member leaves when the source says again what it said before, and when what an operator decided is done.
//!
//! In: what differs ([`super::differ`]), and the set. Out: who is kept as they were ([`Ruling`]), and what changes in the set. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::differ::Difference;
use crate::guard::{GuardChange, GuardKind, GuardSet, GuardStanding, Member, Passed};
use crate::session::{ParticipationId, SessionId};

/// So many may always change at once.
pub(super) const ALWAYS: usize = 3;
/// And so many of a hundred.
const PERCENT: usize = 20;
/// Changes that come one after the other count together for so long: what a faulty list loses in several polls.
pub(super) const WITHIN: TimeDelta = TimeDelta::minutes(10);
/// So many may always change within that time: people at a desk change that many by hand.
const BY_HAND: usize = 10;

/// A session that this walk looks at again.
pub(super) struct GuardedSession {
    pub(super) session: SessionId,
    /// It was to come: it counts.
    pub(super) counts: bool,
    /// It is over, as it was and as the source says it now: nothing of it is guarded any more, unless it was.
    pub(super) over: bool,
    /// It takes place no more by the source's own word.
    pub(super) cancelled: bool,
    /// The source does not list it.
    pub(super) missing: bool,
    /// Somebody's record in it cannot be read.
    pub(super) unread: bool,
    /// What differs from before; empty: nothing.
    pub(super) whats: Vec<Difference>,
}

impl GuardedSession {
    fn tells(&self, kind: GuardKind) -> bool {
        self.whats.iter().any(|what| what.kind == kind)
    }

    /// Of a session that is not listed nothing can be said but that it is not; and nothing of people whose records cannot be read.
    fn is_silent_of(&self, kind: GuardKind) -> bool {
        (self.missing && kind != GuardKind::Removed) || (self.unread && kind.of_people() && !self.tells(kind))
    }
}

/// What a guard looks at.
pub(super) struct Scene<'a> {
    /// Future sessions before this snapshot, those that counted as gone left out.
    pub(super) sessions: usize,
    /// Their participants.
    pub(super) people: usize,
    /// The snapshot lists nothing at all.
    pub(super) empty: bool,
    /// The sessions that are looked at again, by id.
    pub(super) looked: &'a [GuardedSession],
    pub(super) set: &'a GuardSet,
    pub(super) now: DateTime<Utc>,
}

/// Who is kept as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Until an operator decides: nothing is sent.
    Waiting,
    /// Because an operator rejected the change, or because what they are told now is that it is cancelled: what was before is in force.
    InForce,
}

/// How a session is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) whole: Option<Kept>,
    /// These people of it.
    pub(super) people: BTreeMap<ParticipationId, Kept>,
    /// That it is cancelled is told, as it was told of.
    pub(super) cancels: bool,
}

/// What the guard decided.
#[derive(Debug, Default)]
pub(super) struct Ruling {
    pub(super) holds: HashMap<SessionId, Hold>,
    /// Whose removal an operator accepted: that is no absence which has to become sure.
    pub(super) confirmed: HashSet<SessionId>,
    /// What of whose change an operator accepted, and is done now.
    pub(super) accepted: HashSet<(SessionId, GuardKind)>,
    /// Of which an operator rejected something, and the source has not changed since.
    pub(super) rejected: HashSet<SessionId>,
    pub(super) change: GuardChange,
    /// Sessions that wait now.
    pub(super) waiting: BTreeSet<SessionId>,
}

/// What is open of one kind.
#[derive(Default)]
struct KindTally {
    sessions: BTreeSet<SessionId>,
    people: usize,
    /// The set has members of it that still differ.
    stands: bool,
    /// One is too many: see [`Difference::slips`], and who was a patient and is listed as the host.
    never: bool,
}

pub(super) fn judge(scene: &Scene<'_>) -> Ruling {
    let judge = Judge::new(scene);
    let tripped: BTreeSet<GuardKind> = GuardKind::ALL.into_iter().filter(|kind| judge.trips(*kind)).collect();
    let mut ruling = Ruling::default();
    for looked in scene.looked {
        judge.rule(looked, &tripped, &mut ruling);
    }
    ruling.waiting.extend(judge.unseen().map(|m| m.session));
    let refused = scene.set.members.iter().filter(|m| m.standing == GuardStanding::Rejected);
    ruling.rejected.extend(refused.map(|m| m.session));
    let old = scene.set.passed.iter().any(|passed| scene.now - passed.at > WITHIN);
    ruling.change.forgets = old.then(|| scene.now - WITHIN);
    ruling
}

struct Judge<'a> {
    scene: &'a Scene<'a>,
    members: HashMap<(SessionId, GuardKind), &'a Member>,
    /// The sessions that are looked at.
    looked: HashMap<SessionId, &'a GuardedSession>,
    tallies: BTreeMap<GuardKind, KindTally>,
}

impl<'a> Judge<'a> {
    fn new(scene: &'a Scene<'a>) -> Self {
        let members = scene.set.members.iter().map(|m| ((m.session, m.kind), m)).collect();
        let looked = scene.looked.iter().map(|l| (l.session, l)).collect();
        let mut judge = Self { scene, members, looked, tallies: BTreeMap::new() };
        let mut tallies: BTreeMap<GuardKind, KindTally> = BTreeMap::new();
        for looked in scene.looked {
            for what in looked.whats.iter().filter(|what| judge.decided(looked.session, what).is_none()) {
                let tally = tallies.entry(what.kind).or_default();
                tally.stands |= judge.standing(looked.session, what.kind) == Some(GuardStanding::Waiting);
                tally.never |= looked.counts && (what.slips || what.kind == GuardKind::Roles);
                if looked.counts && what.counts > 0 {
                    tally.sessions.insert(looked.session);
                    tally.people += what.counts;
                }
            }
        }
        for member in judge.unseen() {
            let tally = tallies.entry(member.kind).or_default();
            tally.stands = true;
            tally.sessions.insert(member.session);
            tally.people += member.people;
        }
        judge.tallies = tallies;
        judge
    }

    /// Members that wait, and of which this snapshot says nothing new: their sessions are as they were, or not listed, or whom it is about cannot be
    /// read.
    fn unseen(&self) -> impl Iterator<Item = &'a Member> {
        let waiting = self.scene.set.members.iter().filter(|m| m.standing == GuardStanding::Waiting);
        waiting.filter(|m| self.looked.get(&m.session).is_none_or(|looked| looked.is_silent_of(m.kind)))
    }

    fn standing(&self, session: SessionId, kind: GuardKind) -> Option<GuardStanding> {
        self.members.get(&(session, kind)).map(|m| m.standing)
    }

    /// What an operator said of just this.
    fn decided(&self, session: SessionId, what: &Difference) -> Option<GuardStanding> {
        let member = self.members.get(&(session, what.kind)).filter(|m| m.says == what.says);
        member.map(|m| m.standing).filter(|standing| *standing != GuardStanding::Waiting)
    }

    /// Too much of it changed.
    fn trips(&self, kind: GuardKind) -> bool {
        let Some(tally) = self.tallies.get(&kind) else { return false };
        let (scene, open) = (self.scene, tally.sessions.len());
        let lately: BTreeSet<SessionId> = (scene.set.passed.iter())
            .filter(|p| p.kind == kind && scene.now - p.at <= WITHIN && !tally.sessions.contains(&p.session))
            .map(|p| p.session)
            .collect();
        // What was let go is not among those that are left.
        let before = scene.sessions + if kind == GuardKind::Removed { lately.len() } else { 0 };
        tally.stands
            || tally.never
            || open > limit(scene.sessions)
            || (kind.of_people() && tally.people > limit(scene.people))
            || (kind == GuardKind::Removed && scene.empty && open > 0)
            || (open > 0 && open + lately.len() > BY_HAND.max(before * PERCENT / 100))
    }

    /// What becomes of one session.
    fn rule(&self, looked: &GuardedSession, tripped: &BTreeSet<GuardKind>, ruling: &mut Ruling) {
        let id = looked.session;
        let waits = |what: &Difference| {
            let joins = !looked.over || self.standing(id, what.kind) == Some(GuardStanding::Waiting);
            self.decided(id, what).is_none() && tripped.contains(&what.kind) && joins
        };
        let dispositions: Vec<(&Difference, Disposition)> = (looked.whats.iter())
            .map(|what| match self.decided(id, what) {
                Some(GuardStanding::Accepted) => (what, Disposition::Accepted),
                Some(GuardStanding::Rejected) => (what, Disposition::Rejected),
                Some(GuardStanding::Waiting) | None if waits(what) => (what, Disposition::Waits),
                Some(GuardStanding::Waiting) | None => (what, Disposition::Passes),
            })
            .collect();
        let hold = Hold::of(looked, &dispositions);
        for (what, disposition) in dispositions {
            self.note(looked, what, disposition, &hold, ruling);
        }
        let mended = |kind: &GuardKind| !looked.missing && !looked.is_silent_of(*kind) && !looked.tells(*kind);
        let leaves = GuardKind::ALL.into_iter().filter(|kind| self.members.contains_key(&(id, *kind)) && mended(kind));
        ruling.change.leaves.extend(leaves.map(|kind| (id, kind)));
        if hold != Hold::default() {
            ruling.holds.insert(id, hold);
        }
    }

    /// What becomes of one thing, in the set.
    fn note(&self, looked: &GuardedSession, what: &Difference, disposition: Disposition, hold: &Hold, ruling: &mut Ruling) {
        let (id, kind, now) = (looked.session, what.kind, self.scene.now);
        let member = self.members.get(&(id, kind)).copied();
        match disposition {
            Disposition::Accepted if !hold.stops(what) => {
                if matches!(kind, GuardKind::Removed | GuardKind::Participants) {
                    ruling.confirmed.insert(id);
                }
                ruling.accepted.insert((id, kind));
                ruling.change.leaves.push((id, kind));
            }
            Disposition::Rejected if hold.makes_wait(what) => {
                ruling.waiting.insert(id);
                ruling.change.reopens.push((id, kind));
            }
            Disposition::Accepted | Disposition::Rejected => {}
            Disposition::Waits if hold.makes_wait(what) => {
                ruling.waiting.insert(id);
                let since = member.filter(|m| m.standing == GuardStanding::Waiting).map_or(now, |m| m.since);
                let (people, says) = (what.size(), what.says.clone());
                let joins = Member { session: id, kind, people, says, since, standing: GuardStanding::Waiting };
                ruling.change.joins.extend((member != Some(&joins)).then_some(joins));
            }
            Disposition::Waits | Disposition::Passes => {
                ruling.change.leaves.extend(member.map(|_| (id, kind)));
                if looked.counts && what.counts > 0 && !hold.stops(what) {
                    ruling.change.passes.push(Passed { session: id, kind, at: now });
                }
            }
        }
    }
}

/// What becomes of one thing that differs, for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disposition {
    Accepted,
    Rejected,
    Waits,
    Passes,
}

impl Hold {
    /// How a session is kept: whole, if the whole of it waits or was rejected; else the people concerned. One record is in force, so what else
    /// is new has to wait with what was rejected. Whoever is told that it is cancelled is told so as they were told of it: that need not wait.
    fn of(looked: &GuardedSession, dispositions: &[(&Difference, Disposition)]) -> Self {
        let of = |disposition: Disposition| dispositions.iter().filter(move |(_, f)| *f == disposition).map(|(what, _)| *what);
        let stopped = || of(Disposition::Waits).chain(of(Disposition::Rejected));
        let calm = looked.cancelled && !stopped().any(|what| what.kind == GuardKind::Removed);
        if stopped().any(|what| what.arrives || !what.kind.of_people()) {
            let in_force = calm || dispositions.iter().all(|(_, disposition)| *disposition == Disposition::Rejected);
            return Self { whole: Some(if in_force { Kept::InForce } else { Kept::Waiting }), cancels: calm, ..Self::default() };
        }
        let people = |disposition| of(disposition).flat_map(|what| what.people.iter().copied()).collect::<BTreeSet<ParticipationId>>();
        let (waiting, rejected) = (people(Disposition::Waits), people(Disposition::Rejected));
        let changed_too: BTreeSet<ParticipationId> = people(Disposition::Accepted).union(&people(Disposition::Passes)).copied().collect();
        let kept = |person: &ParticipationId| {
            let in_force = calm || !(waiting.contains(person) || changed_too.contains(person));
            (*person, if in_force { Kept::InForce } else { Kept::Waiting })
        };
        let people: BTreeMap<ParticipationId, Kept> = waiting.union(&rejected).map(kept).collect();
        Self { cancels: calm && !people.is_empty(), people, whole: None }
    }

    /// This participant is as they were.
    pub(super) fn keeps(&self, person: ParticipationId) -> bool {
        self.whole.is_some() || self.people.contains_key(&person)
    }

    /// It is not applied as long as this holds.
    fn stops(&self, what: &Difference) -> bool {
        let cancelled_as_told = self.cancels && what.kind == GuardKind::Removed;
        (self.whole.is_some() && !cancelled_as_told) || what.people.iter().any(|person| self.people.contains_key(person))
    }

    /// Somebody has to decide about it.
    fn makes_wait(&self, what: &Difference) -> bool {
        self.whole == Some(Kept::Waiting) || what.people.iter().any(|person| self.people.get(person) == Some(&Kept::Waiting))
    }
}

/// More than so many are too many.
fn limit(of: usize) -> usize {
    ALWAYS.max(of * PERCENT / 100)
}

#[cfg(test)]
mod tests;
