//! What is still another one's: codes of those who are off the list or cannot be read, and do not count as gone yet; and whatever somebody new
//! gets that another one has left in this list, or is kept with by the guard. Pure.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::parts::UnreadSessions;
use super::slips::{Left, theirs};
use super::{Walker, differ, digest};
use crate::contact::ConnectCode;
use crate::guard::{GuardKind, GuardStanding};
use crate::outbox::Seen;
use crate::session::{Participant, ParticipationId, Presence, Session, SessionId, Snapshot};
use crate::source::ambiguity;

/// Of what the reasons are told.
const OFF: &str = "who is off the list and may come back";
const UNREAD: &str = "whose record cannot be read";
const LEFT: &str = "'s until now";
const CAME: &str = "came with a list in which too much changed";
const KEPT: &str = "whom the guard keeps as they were";

/// By a reason of [`Walker::occupied`], [`Walker::came_with_it`] or [`Walker::has_what_is_kept`].
pub(super) fn is_of_another(why: &str) -> bool {
    [OFF, UNREAD, LEFT, CAME, KEPT].iter().any(|end| why.contains(end))
}

/// They are held because what they have was another one's until now.
pub(super) fn is_disputed(person: &Participant) -> bool {
    person.ambiguous.as_deref().is_some_and(|why| why.ends_with(LEFT))
}

/// A list, as it is held against what was: sessions that are planned, with their digests; and others of which something may be another one's.
pub(super) struct Occupancy<'s> {
    /// The source says another thing of them than is in force.
    kept: Vec<&'s Session>,
    unreadable: HashSet<SessionId>,
}

impl<'s> Occupancy<'s> {
    /// Nobody need be looked for if nobody comes or changes.
    pub(super) fn of(
        (snapshot, unheard): (&'s Snapshot, &UnreadSessions),
        changed: &[(Cow<'_, Session>, String)],
        seen: Option<&Seen>,
    ) -> Self {
        if changed.is_empty() {
            return Self { kept: Vec::new(), unreadable: HashSet::new() };
        }
        let planned: HashSet<SessionId> = changed.iter().map(|(session, _)| session.id).collect();
        let guarded: HashSet<SessionId> = seen.into_iter().flat_map(|seen| &seen.guard.members).map(|member| member.session).collect();
        let is_kept = |s: &&Session| (guarded.contains(&s.id) || !s.faults.is_empty()) && !planned.contains(&s.id);
        let mut unreadable: HashSet<SessionId> = snapshot.unreadable().collect();
        // Whoever is not listed may stand in what cannot be read.
        if unheard.is_any() {
            let listed: HashSet<SessionId> = snapshot.sessions.iter().map(|session| session.id).collect();
            let is_unheard = |presence: Presence| matches!(presence, Presence::Listed | Presence::Unknown);
            let seen = seen.into_iter().flat_map(|seen| &seen.sessions);
            unreadable
                .extend(seen.filter(|(id, s)| !listed.contains(id) && unheard.may_list(**id) && is_unheard(s.presence)).map(|(id, _)| *id));
        }
        Self { kept: snapshot.sessions.iter().filter(is_kept).collect(), unreadable }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.kept.iter().map(|session| session.id).chain(self.unreadable.iter().copied())
    }
}

/// Marks those of whom there is a reason; who is marked already keeps the first one, unless it ends by itself and this one does not.
fn mark(changed: &mut [(Cow<'_, Session>, String)], why: impl Fn(&Session, &Participant) -> Option<String>) {
    for (session, its_digest) in changed {
        let reasons: Vec<Option<String>> = session.participants.iter().map(|person| why(session, person)).collect();
        if reasons.iter().all(Option::is_none) {
            continue;
        }
        for (person, why) in session.to_mut().participants.iter_mut().zip(reasons) {
            let passes = is_disputed(person) && why.as_deref().is_some_and(|why| why.ends_with(KEPT));
            person.ambiguous = if passes { why } else { person.ambiguous.take().or(why) };
        }
        *its_digest = digest(session);
    }
}

impl Walker<'_> {
    /// A session as it was, but for those who had what another one has left, and have again what they had before: they were told nothing of it, so that
    /// is no change.
    pub(super) fn undisputed<'s>(&self, was: &'s Session, is: &Session) -> Cow<'s, Session> {
        let is_back = |p: &Participant| {
            let now = is.participant(p.id).filter(|_| is_disputed(p))?;
            let (had, has) = (theirs(p, self.policy), theirs(now, self.policy));
            has.iter().filter(|item| !had.contains(item)).all(|item| self.had_lately(is.id, p, item)).then_some(now)
        };
        if !was.participants.iter().any(|p| is_back(p).is_some()) {
            return Cow::Borrowed(was);
        }
        let mut was = was.clone();
        for person in &mut was.participants {
            if let Some(now) = is_back(person) {
                *person = Participant { presence: person.presence, role: person.role, ..now.clone() };
            }
        }
        Cow::Owned(was)
    }

    /// What people left, by what the source says now.
    pub(super) fn left_in(&self, changed: &[(Cow<'_, Session>, String)], beside: &Occupancy<'_>, moves: &[&Session]) -> Left {
        let all = changed.iter().map(|(is, _)| &**is).chain(beside.kept.iter().copied()).chain(moves.iter().copied());
        Left::of(all.filter_map(|is| Some((&self.before.get(&is.id)?.1, is))), &self.lately, self.policy, self.now)
    }

    /// Marks whoever comes to have what is another one's. One who had that code before, as its other holder did, is not held: their duplicate has
    /// vanished.
    pub(super) fn occupied(&self, changed: &mut [(Cow<'_, Session>, String)], missing: &[(SessionId, Presence)], beside: &Occupancy<'_>) {
        let codes = self.codes_of_others(changed, missing, beside);
        mark(changed, |session, person| self.of_another(person, session, &codes));
    }

    /// Codes of those who are not read now.
    fn codes_of_others(
        &self,
        changed: &[(Cow<'_, Session>, String)],
        missing: &[(SessionId, Presence)],
        beside: &Occupancy<'_>,
    ) -> HashMap<ConnectCode, (&Participant, &'static str)> {
        let whole = |id: &SessionId| self.before.get(id).map(|(_, was)| was).filter(|was| self.may_take_place(was));
        let absent = missing.iter().filter(|(_, why)| *why == Presence::Absent).filter_map(|(id, _)| whole(id));
        let unreadable = beside.unreadable.iter().filter_map(whole);
        let listed = changed.iter().map(|(is, _)| &**is).chain(beside.kept.iter().copied());
        let lost = listed.filter_map(|is| Some((is, whole(&is.id)?))).flat_map(|(is, was)| {
            let lost = was.participants.iter().filter(|p| is.participant(p.id).is_none());
            lost.map(|p| (p, if is.faults.iter().any(|f| f.participation == Some(p.id)) { UNREAD } else { OFF }))
        });
        let absent = absent.flat_map(|was| &was.participants).map(|p| (p, OFF));
        let unreadable = unreadable.flat_map(|was| &was.participants).map(|p| (p, UNREAD));
        let all = absent.chain(unreadable).chain(lost).filter(|(p, _)| p.presence != Presence::Gone);
        all.filter_map(|(p, why)| Some((p.code?, (p, why)))).collect()
    }

    /// Whoever came with a list that changed too much of others may be as wrong as the rest of it: they wait until that is decided, and right. So do those who
    /// were kept back then ([`Walker::keeps_back`]), and whoever comes later with what somebody has whom the guard keeps.
    pub(super) fn came_with_it(&self, changed: &mut [(Cow<'_, Session>, String)], seen: &Seen) {
        let of_columns = |kind: GuardKind| kind == GuardKind::Moved || (kind.of_people() && kind != GuardKind::Participants);
        let trips = self.ruling.change.joins.iter().any(|member| of_columns(member.kind));
        let stands = seen.guard.members.iter().any(|member| of_columns(member.kind) && member.standing != GuardStanding::Accepted);
        if !trips && !stands {
            return;
        }
        let too = self.new_with_names_of_kept(changed, seen);
        mark(changed, |session, person| {
            let was = self.before.get(&session.id).and_then(|(_, was)| was.participant(person.id));
            let comes = was.is_none() && (trips || too.contains(&session.id));
            (comes || self.is_marked(session.id, person.id, &[CAME]))
                .then(|| format!("it {CAME}, and waits until that is mended or accepted"))
        });
    }

    /// New sessions in which somebody stands with what names one whom the guard has kept since an earlier list.
    fn new_with_names_of_kept(&self, changed: &[(Cow<'_, Session>, String)], seen: &Seen) -> HashSet<SessionId> {
        let new: Vec<&Session> = changed.iter().map(|(is, _)| &**is).filter(|is| !self.before.contains_key(&is.id)).collect();
        if new.is_empty() {
            return HashSet::new();
        }
        let members = seen.guard.members.iter().filter_map(|member| Some(&self.before.get(&member.session)?.1));
        let people = members.flat_map(|was| was.participants.iter().map(move |p| (was, p)));
        let people = people.filter(|(was, p)| was.presence.is_kept() || p.presence.is_kept());
        let kept: HashSet<String> = people.flat_map(|(was, p)| differ::names(p, was, self.policy)).collect();
        let names_kept =
            |is: &Session| is.participants.iter().flat_map(|p| differ::names(p, is, self.policy)).any(|name| kept.contains(&name));
        new.into_iter().filter(|is| names_kept(is)).map(|is| is.id).collect()
    }

    /// What an operator let pass may be the code of somebody whose own change was rejected, or waits: two people would have it.
    pub(super) fn has_what_is_kept(&self, changed: &mut [(Cow<'_, Session>, String)], beside: &Occupancy<'_>) {
        // What is cancelled opens nothing.
        let now = self.ruling.holds.iter().filter(|(_, hold)| !hold.cancels);
        let now = now.filter_map(|(id, hold)| Some((hold, &self.before.get(id)?.1)));
        let now = now.flat_map(|(hold, was)| was.participants.iter().filter(|p| hold.keeps(p.id)));
        let before = beside.kept.iter().filter(|session| session.is_active()).filter_map(|session| Some(&self.before.get(&session.id)?.1));
        let before = before.flat_map(|was| was.participants.iter().filter(move |p| was.presence.is_kept() || p.presence.is_kept()));
        let kept: HashMap<ConnectCode, &Participant> = now.chain(before).filter_map(|p| Some((p.code?, p))).collect();
        if kept.is_empty() {
            return;
        }
        mark(changed, |session, person| {
            let was = self.before.get(&session.id).and_then(|(_, was)| was.participant(person.id));
            let comes_to_it = was.is_none_or(|was| was.code != person.code) || self.is_marked(session.id, person.id, &[KEPT]);
            let is_held = self.ruling.holds.get(&session.id).is_some_and(|hold| hold.keeps(person.id));
            let holder =
                kept.get(&person.code?).filter(|holder| comes_to_it && !is_held && !differ::is_one(holder, person, self.policy))?;
            Some(format!("its ConnectCode is that of participation {}, {KEPT}", holder.id))
        });
    }

    /// They are held because somebody has their code whom the guard keeps: that is seen, and ends with it.
    pub(super) fn is_of_kept(person: &Participant) -> bool {
        person.ambiguous.as_deref().is_some_and(|why| why.ends_with(KEPT))
    }

    /// They have been held since an earlier walk, for such a reason.
    fn is_marked(&self, session: SessionId, person: ParticipationId, ends: &[&str]) -> bool {
        let marks = self.before.get(&session).into_iter().flat_map(|(stored, _)| &stored.ambiguous);
        marks.filter(|(id, _)| *id == person).any(|(_, why)| ends.iter().any(|end| why.contains(end)))
    }

    /// While it runs, its codes are in use.
    pub(super) fn may_take_place(&self, was: &Session) -> bool {
        was.holds_codes(self.now) && was.presence != Presence::Gone
    }

    /// Why somebody may not be told: whose it is that they got.
    fn of_another(
        &self,
        person: &Participant,
        session: &Session,
        codes: &HashMap<ConnectCode, (&Participant, &'static str)>,
    ) -> Option<String> {
        let was = self.before.get(&session.id).and_then(|(_, was)| was.participant(person.id));
        let marked = |ends: &[&str]| self.is_marked(session.id, person.id, ends);
        let holder = person.code.and_then(|code| codes.get(&code)).filter(|(holder, _)| !differ::is_one(holder, person, self.policy));
        if let Some((holder, why)) = holder
            && (was.is_none_or(|was| was.code != person.code) || marked(&[OFF, UNREAD]))
        {
            return Some(format!("its ConnectCode is that of participation {}, {why}", holder.id));
        }
        if was.is_some() && !marked(&[LEFT]) && !self.left.is_heir(session.id, person.id) {
            return self.still_of_another(session.id, person);
        }
        self.of_whom(session.id, person)
    }

    /// They waited because another one was listed with their code, who has none now: whoever was told it may have no other one.
    pub(super) fn still_of_another(&self, session: SessionId, person: &Participant) -> Option<String> {
        let mut marks = self.before.get(&session).into_iter().flat_map(|(stored, _)| &stored.ambiguous);
        let shared = marks.any(|(id, why)| *id == person.id && ambiguity::is_of_code(why));
        let ((kind, _), owner) = self.left.comes_to(person, true, self.policy).filter(|_| shared)?;
        (kind == GuardKind::Codes && owner.has_nothing).then(|| self.of_whom(session, person)).flatten()
    }

    /// Whose it was until now, what they have.
    pub(super) fn of_whom(&self, session: SessionId, person: &Participant) -> Option<String> {
        // What they are called may have slipped before.
        let is_called_so = !self.is_marked(session, person.id, &[LEFT, CAME]);
        let ((kind, _), owner) = self.left.comes_to(person, is_called_so, self.policy)?;
        let what = match kind {
            GuardKind::Codes => "ConnectCode",
            GuardKind::Names => "name",
            _ => "address or number",
        };
        Some(format!("its {what} was participation {}{LEFT}", owner.id))
    }
}
