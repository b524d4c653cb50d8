//! What the guard holds in a walk: its question put, and its answer done.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::elsewhere::Beside;
use super::guard::{self, GuardedSession, Kept, Scene};
use super::slips::Slips;
use super::{Walker, differ, occupied};
use crate::guard::{GuardChange, GuardKind, GuardSet, Member};
use crate::known::KnownMap;
use crate::notice::{Decision, Occasion};
use crate::outbox::{self, Outbox, Seen, WalkedSession};
use crate::plan;
use crate::session::stored::StoredSession;
use crate::session::{Participant, Presence, Session, SessionId, Snapshot, TakenFor};
use crate::source::ambiguity;

/// Sessions of a snapshot that differ, with their digests; those that are not in it; and those that another source lists instead, as it says them.
type Work<'a> = (&'a [(Cow<'a, Session>, String)], &'a [(SessionId, Presence)], &'a [&'a Session]);

/// What waits, or was decided, of sessions that move here: it goes with them. (What a source says of a session that the guard keeps under another
/// source, while that one is read, is no move: see [`super::Elsewhere`].)
pub(super) async fn carried(
    outbox: &dyn Outbox,
    source: &str,
    from: &HashMap<SessionId, String>,
    now: DateTime<Utc>,
) -> outbox::Result<Vec<Member>> {
    let places: BTreeSet<&String> = from.values().filter(|place| *place != source).collect();
    let mut carried = Vec::new();
    for place in places {
        let members = outbox.seen_from(place, now).await?.map(|seen| seen.guard.members).unwrap_or_default();
        carried.extend(members.into_iter().filter(|member| from.get(&member.session) == Some(place)));
    }
    Ok(carried)
}

/// Sessions that the guard keeps under another source, which does not list them, and of which this one begins to say something else.
pub(super) fn kept_elsewhere(beside: &Beside) -> Vec<SessionId> {
    let kept = |stored: &StoredSession| stored.presence.is_kept() && stored.digest.is_empty();
    let others = beside.others.iter().filter(|(id, (_, stored))| beside.second.contains(id) && kept(stored));
    others.filter(|_| beside.also.is_some()).map(|(id, _)| *id).collect()
}

/// What is known of a source that was never read.
pub(super) fn first(members: Vec<Member>, now: DateTime<Utc>) -> Seen {
    let guard = GuardSet { members, passed: Vec::new() };
    Seen {
        policy_digest: String::new(),
        last_snapshot_at: now,
        guard,
        filled: false,
        adopting: Vec::new(),
        whole_at: None,
        parts: Vec::new(),
        sessions: HashMap::new(),
    }
}

impl Walker<'_> {
    pub(super) async fn judge(&mut self, outbox: &dyn Outbox, snapshot: &Snapshot, seen: &Seen, work: Work<'_>) -> outbox::Result<()> {
        let looked = self.looked(work, seen);
        let people = looked.iter().flat_map(|l| &l.whats).filter(|w| w.kind.of_people()).map(|w| w.counts).sum::<usize>();
        let comes = self.places.keys().filter(|id| !seen.sessions.contains_key(id)).filter_map(|id| Some(&self.before.get(id)?.1));
        let comes: Vec<&Session> = comes.filter(|was| takes_place(was, self.now)).collect();
        let stood = seen.sessions.values().filter(|s| s.start > self.now && s.presence != Presence::Gone).count();
        let people_of = |was: &&Session| was.participants.iter().filter(|p| p.presence != Presence::Gone).count();
        let people_who_come: usize = comes.iter().map(people_of).sum();
        let scene = Scene {
            sessions: stood + comes.len(),
            // Few are never too many: then nobody need be counted.
            people: if people > guard::ALWAYS { outbox.people(self.source, self.now).await? + people_who_come } else { 0 },
            empty: snapshot.sessions.is_empty() && snapshot.faults.is_empty(),
            looked: &looked,
            set: &seen.guard,
            now: self.now,
        };
        self.ruling = guard::judge(&scene);
        Ok(())
    }

    fn looked(&self, (changed, missing, moves): Work<'_>, seen: &Seen) -> Vec<GuardedSession> {
        let displaced = self.displaced((changed, missing, moves), seen);
        let listed = || changed.iter().map(|(is, _)| &**is).chain(moves.iter().copied());
        let slips = Slips::of(&self.left, listed().map(|is| (self.before.get(&is.id).map(|(_, was)| was), is)), self.policy);
        let listed = listed().filter_map(|is| {
            let (_, was) = self.before.get(&is.id)?;
            let undisputed = self.undisputed(was, is);
            let mut whats = differ::differences(&undisputed, is, self.policy, self.now);
            differ::arrivals(was, is, &displaced, self.policy, &mut whats);
            for what in &mut whats {
                what.slips |= slips.among(what.kind, is.id, &what.people);
            }
            if self.tells_another_hour(is) {
                whats.push(differ::Difference::whole(GuardKind::Clocks, &self.policy.digest()));
            }
            // Of a session that runs, whoever is told its code anew counts.
            let runs = plan::may_be_joined(was, self.now) && differ::only_who_is_told(&mut whats);
            Some(GuardedSession {
                session: is.id,
                counts: takes_place(was, self.now) || (runs && was.is_active() && was.presence != Presence::Gone),
                over: was.start.max(is.start) <= self.now && !runs,
                cancelled: is.cancelled,
                missing: false,
                unread: is.faults.iter().any(|fault| !fault.is_word()),
                whats,
            })
        });
        let absent = missing.iter().filter(|(_, why)| *why == Presence::Absent).filter_map(|(id, _)| {
            let (_, was) = self.before.get(id)?;
            let whats = if takes_place(was, self.now) {
                vec![differ::Difference { slips: self.asked_anew, ..differ::Difference::whole(GuardKind::Removed, "") }]
            } else {
                Vec::new()
            };
            let over = was.start <= self.now;
            Some(GuardedSession { session: *id, counts: true, over, cancelled: false, missing: true, unread: false, whats })
        });
        listed.chain(absent).collect()
    }

    /// The names of those whom the source lists no more where they were.
    fn displaced(&self, (changed, missing, _): Work<'_>, seen: &Seen) -> HashSet<String> {
        let names = |was: &Session, p: &Participant| differ::names(p, was, self.policy);
        let lost = changed.iter().filter_map(|(is, _)| Some((is, &self.before.get(&is.id)?.1)));
        let lost = lost.flat_map(|(is, was)| was.participants.iter().filter(|p| is.participant(p.id).is_none()).map(move |p| (was, p)));
        let left = missing.iter().filter(|(_, why)| *why == Presence::Absent).map(|(id, _)| *id);
        let left = left.chain(seen.guard.displaced()).filter_map(|id| Some(&self.before.get(&id)?.1));
        let left = left.flat_map(|was| was.participants.iter().map(move |p| (was, p)));
        lost.chain(left).filter(|(_, p)| p.presence != Presence::Gone).flat_map(|(was, p)| names(was, p)).collect()
    }

    /// Holds whoever has what is another one's by what was decided, and keeps new sessions back.
    pub(super) fn holds_back(&mut self, changed: &mut Vec<(Cow<'_, Session>, String)>, occupied: &occupied::Occupancy<'_>, seen: &Seen) {
        self.has_what_is_kept(changed, occupied);
        self.came_with_it(changed, seen);
        self.keeps_back(changed, seen);
    }

    /// New sessions that tell of people whom the guard keeps where they were: the same participation, or the same contact at the same hour. They wait,
    /// too, and are looked at again once that is decided. Whoever has the code of one of them is held, and shown, already.
    fn keeps_back(&mut self, changed: &mut Vec<(Cow<'_, Session>, String)>, seen: &Seen) {
        let (before, ruling, policy) = (&self.before, &mut self.ruling, self.policy);
        if changed.iter().all(|(session, _)| before.contains_key(&session.id)) {
            return;
        }
        let left: HashSet<SessionId> = ruling.change.leaves.iter().map(|(id, _)| *id).collect();
        let open = seen.guard.displaced().filter(|id| !left.contains(id)).map(|id| (id, None));
        let held = ruling.holds.iter().map(|(id, hold)| (*id, Some(hold)));
        let mut kept: HashSet<String> = HashSet::new();
        for (id, hold) in open.chain(held) {
            let Some((_, was)) = before.get(&id) else { continue };
            let is_kept = |p: &&Participant| hold.is_none_or(|hold| hold.whole.is_some() || hold.people.contains_key(&p.id));
            kept.extend(was.participants.iter().filter(is_kept).flat_map(|p| differ::names(p, was, policy)));
        }
        changed.retain(|(session, _)| {
            let is_kept =
                |p: &Participant| !Self::is_of_kept(p) && differ::names(p, session, policy).iter().any(|name| kept.contains(name));
            let waits = !before.contains_key(&session.id) && session.participants.iter().any(is_kept);
            if waits {
                ruling.waiting.insert(session.id);
            }
            !waits
        });
    }

    /// One that another source lists instead, in a way that waits: it stays here as it was. Whether it does. If it is cancelled there, nothing waits.
    pub(super) fn stays(&mut self, id: SessionId) -> bool {
        let Some(hold) = self.ruling.holds.get_mut(&id).filter(|hold| !hold.cancels) else { return false };
        let waits = hold.whole.or_else(|| hold.people.values().copied().find(|kept| *kept == Kept::Waiting));
        *hold = guard::Hold { whole: Some(waits.unwrap_or(Kept::InForce)), ..guard::Hold::default() };
        true
    }

    /// What changes in the guard's set: what was decided, and what is done with whoever counts as cancelled.
    pub(super) fn guard_change(&self, seen: Option<&Seen>, carried: &[Member], sessions: &[WalkedSession]) -> GuardChange {
        let mut change = self.ruling.change.clone();
        let of = |member: &&Member, places: &[(SessionId, GuardKind)]| places.contains(&(member.session, member.kind));
        let joined: Vec<(SessionId, GuardKind)> = change.joins.iter().map(|m| (m.session, m.kind)).collect();
        let stays = carried.iter().filter(|m| !of(m, &change.leaves) && !of(m, &joined)).cloned();
        change.joins.extend(stays);
        let Some(seen) = seen.filter(|seen| !seen.guard.members.is_empty()) else { return change };
        let gone: HashSet<SessionId> = sessions.iter().filter(|s| s.presence == Presence::Gone).map(|s| s.id).collect();
        change.leaves.extend(seen.guard.members.iter().filter(|m| gone.contains(&m.session)).map(|m| (m.session, m.kind)));
        change
    }

    /// The session as it was, while the source says something else of it.
    pub(super) fn held(&self, session: &Session, (kept, cancels): (Kept, bool), digest: String) -> Option<WalkedSession> {
        let (stored, was) = self.before.get(&session.id)?;
        let mut held = Session { presence: kept.presence(), record: stored.record.clone(), ..was.clone() };
        held.participants.iter_mut().for_each(|person| still_told_twice(person, session));
        if kept == Kept::InForce {
            in_force(&mut held);
            if cancels && !was.cancelled {
                held.cancelled = true;
                held.record.taken_for = Some(TakenFor::Withdrawn);
            }
        }
        Some(self.plan(&held, digest, self.known(session.id)))
    }

    /// The same, of one that it does not list. Without a digest: whatever it says when it lists it again is another thing.
    pub(super) fn held_missing(&self, id: SessionId, kept: Kept, mut known: KnownMap) -> Option<WalkedSession> {
        known.values_mut().for_each(super::absence::begin_anew);
        let mut walked = self.kept(id, kept.presence(), known)?;
        walked.digest = String::new();
        Some(walked)
    }

    /// The session as the source says it, with whom the guard keeps as they were.
    pub(super) fn with_held(&self, session: &Session) -> Session {
        let mut whole = session.clone();
        let (Some(hold), Some((_, was))) = (self.ruling.holds.get(&session.id), self.before.get(&session.id)) else { return whole };
        for (id, kept) in &hold.people {
            let Some(before) = was.participant(*id) else { continue };
            let mut person = Participant { presence: kept.presence(), ..before.clone() };
            if *kept == Kept::InForce {
                still_contradicted(&mut person, session);
            }
            still_told_twice(&mut person, session);
            match whole.participants.iter_mut().find(|p| p.id == *id) {
                Some(place) => *place = person,
                None => whole.participants.push(person),
            }
        }
        whole
    }

    /// Somebody who was told would be told again, although the source says of them what it said before: the zone data or the configuration
    /// moves the hour on their clock.
    fn tells_another_hour(&self, session: &Session) -> bool {
        let Some((_, was)) = self.before.get(&session.id).filter(|_| session.start > self.now) else { return false };
        let says_the_same = |p: &Participant| {
            let facts = |s: &Session, p: &Participant| plan::facts(s, p, self.policy);
            was.start == session.start && was.participant(p.id).is_some_and(|before| facts(was, before) == facts(session, p))
        };
        let known = plan::observe(session, self.known(session.id), self.policy, self.first_fill, self.now);
        plan::plan_session(session, &known, self.policy, &self.suppressed, self.now).decisions().any(|decision| match decision {
            // What was decided before, and is about to be told, is no other hour.
            Decision::Send(n) => {
                let is_planned = || known.values().flat_map(|one| &one.notices).any(|row| row.notice.key == n.key);
                n.occasion == Occasion::Updated && session.participant(n.participation).is_some_and(says_the_same) && !is_planned()
            }
            Decision::Omit(_) => false,
        })
    }
}

impl Kept {
    fn presence(self) -> Presence {
        match self {
            Self::Waiting => Presence::Guarded,
            Self::InForce => Presence::Kept,
        }
    }
}

/// Another source said of the session what an operator rejected, and its own source says so, too: they contradict each other no more.
fn still_contradicted(person: &mut Participant, session: &Session) {
    if person.ambiguous.as_deref().is_some_and(ambiguity::is_of_session) {
        person.ambiguous = session.participant(person.id).and_then(|p| p.ambiguous.clone());
    }
}

/// An operator says nothing of it that the source tells the session twice.
fn still_told_twice(person: &mut Participant, session: &Session) {
    let said = session.participant(person.id).and_then(|p| p.ambiguous.clone());
    if let Some(why) = said.filter(|why| ambiguity::is_told_twice(why)) {
        person.ambiguous = Some(why);
    }
}

/// Whoever waits of it does so no more.
pub(super) fn in_force(session: &mut Session) {
    let waiting = session.participants.iter_mut().filter(|p| p.presence == Presence::Guarded);
    waiting.for_each(|p| p.presence = Presence::Kept);
}

/// It was to come: whoever was told that it is cancelled loses nothing.
fn takes_place(was: &Session, now: DateTime<Utc>) -> bool {
    was.start > now && was.is_active() && was.presence != Presence::Gone
}
