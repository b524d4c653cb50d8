//! One session of a walk: what its participants are told, against what the outbox has.

use chrono::{DateTime, Utc};

use super::Walker;
use crate::entry::{Change, State};
use crate::known::{Known, KnownMap};
use crate::notice::{Decision, NoticeKey, Reason};
use crate::outbox::WalkedSession;
use crate::plan::{self, diff};
use crate::session::stored::Departed;
use crate::session::{Participant, ParticipationId, Presence, Session, SessionId};
use crate::source::json;

/// What is new for somebody whose messages staff stopped.
fn stopped(change: &Change, known: &Known) -> Option<Change> {
    let Change::Add(notice) = change else { return None };
    let end = Change::End { key: notice.key, state: State::Held, reason: Reason::Operator };
    diff::is_stopped(notice, &known.notices).then_some(end)
}

impl Walker<'_> {
    pub(super) fn plan(&self, session: &Session, digest: String, known: KnownMap) -> WalkedSession {
        let adopts = self.adopts(session);
        let mut known = plan::observe(session, known, self.policy, adopts, self.now);
        self.not_announced(session, &mut known);
        if adopts {
            self.adopt_the_unread(session, &mut known);
        }
        let plan = plan::plan_session(session, &known, self.policy, &self.suppressed, self.now);
        // Nobody can know yet whether what is in flight will have been told: the next walk decides again.
        let in_flight = known.values().flat_map(|k| &k.notices).any(|n| matches!(n.state, State::Claimed | State::Sending));
        // Until somebody's absence is sure it is looked at in every walk.
        let unsure = session.presence == Presence::Listed && session.participants.iter().any(|p| p.presence == Presence::Absent);
        // Another source may end it: then this one says nothing new.
        let ambiguous = session.participants.iter().any(|p| p.ambiguous.is_some());
        let mut people: Vec<(&(SessionId, ParticipationId), &Known)> = known.iter().collect();
        people.sort_unstable_by_key(|(id, _)| **id);
        let mut changes: Vec<Change> = Vec::new();
        // What they were told elsewhere holds no more: the next walk tells them.
        let mut moved_unread = false;
        let mut announced = Vec::new();
        for ((_, id), one) in &people {
            let decided = diff::diff(&plan.of(*id), &one.notices);
            let held: Vec<Change> = decided.iter().filter_map(|change| self.found_again(session, change, one)).collect();
            let stopped: Vec<Change> = decided.iter().filter_map(|change| stopped(change, one)).collect();
            changes.extend(decided.into_iter().chain(held).chain(stopped));
            if let Some(notice) = self.missed(session, *id, one) {
                let end = Change::End { key: notice.key, state: State::Lapsed, reason: Reason::Ambiguous };
                changes.extend([Change::Add(notice), end]);
                continue;
            }
            let was = self.told_elsewhere(session, *id);
            let Some((notice, facts)) = self.adoption(session, &was, *id, one) else { continue };
            let off = session.participant(*id).is_some_and(|person| plan::is_off(session, person));
            moved_unread |= (was.start, was.cancelled, facts.as_str()) != (session.start, off, one.facts_now());
            announced.push((notice.key, facts));
            let end = Change::End { key: notice.key, state: State::Cancelled, reason: Reason::Adopted };
            changes.extend([Change::Add(notice), end]);
        }
        WalkedSession {
            ahead: self.ahead(session.id, &known),
            of: None,
            from: None,
            was: self.before.get(&session.id).map(|(stored, _)| stored.touch),
            id: session.id,
            digest,
            presence: session.presence,
            replan: in_flight || unsure || ambiguous || moved_unread,
            record: session.record.clone(),
            departed: self.records_of_departed(session),
            lately: self.noted(session),
            ambiguous: session.participants.iter().filter_map(|p| p.ambiguous.clone().map(|why| (p.id, why))).collect(),
            start: session.start,
            known: people.into_iter().map(|((_, id), one)| (*id, Known { notices: Vec::new(), ..one.clone() })).collect(),
            changes,
            announced,
            omissions: plan.into_decisions().filter_map(|d| if let Decision::Omit(o) = d { Some(o) } else { None }).collect(),
        }
    }

    /// What a clock that was ahead noted, as it is noted by this one.
    fn ahead(&self, id: SessionId, known: &KnownMap) -> Vec<(NoticeKey, DateTime<Utc>)> {
        let read = self.known.get(&id).into_iter().flatten();
        let ahead = read.flat_map(|(person, one)| {
            let by_now = known.get(person).map(|one| &one.notices[..]).unwrap_or_default();
            let theirs = one.notices.iter().filter(|n| n.changed_at > self.now);
            theirs.filter_map(move |n| Some((n.notice.key, by_now.iter().find(|b| b.notice.key == n.notice.key)?.changed_at)))
        });
        let mut ahead: Vec<(NoticeKey, DateTime<Utc>)> = ahead.filter(|(_, at)| *at <= self.now).collect();
        ahead.sort_unstable();
        ahead
    }

    /// The records of those who are not in the session's any more.
    fn records_of_departed(&self, session: &Session) -> Vec<Departed> {
        // Whom only another source lists in it has left this one's record, or stands there in one that cannot be read.
        let unread = |p: &Participant| session.faults.iter().any(|fault| fault.participation == Some(p.id));
        let elsewhere = |p: &Participant| p.ambiguous.is_some() && (unread(p) || json::record_of(&session.record, p.id).is_none());
        let departed = session.participants.iter().filter(|p| p.presence != Presence::Listed || elsewhere(p));
        let presence = |p: &Participant| match p.presence {
            Presence::Listed if unread(p) => Presence::Unreadable,
            Presence::Listed => Presence::Absent,
            other => other,
        };
        let Some((stored, _)) = self.before.get(&session.id) else { return Vec::new() };
        let record = |p: &Participant| {
            let departed_before = stored.departed.iter().find(|d| d.id == p.id).map(|d| d.record.clone());
            departed_before.or_else(|| json::record_of(&stored.record, p.id))
        };
        let mut all: Vec<Departed> =
            departed.filter_map(|p| Some(Departed { id: p.id, role: p.role, presence: presence(p), record: record(p)? })).collect();
        all.sort_unstable_by_key(|d| d.id);
        all
    }
}
