//! Deciding: for each participant and occasion *send, at T* or *omit, because R*. Pure: `now` and data in, decisions out.
//!
//! The checks stand in one order, and the first that applies is the reason (see [`crate::notice::Reason`]):
//!
//! 1. the person ([`mod@recipient`]): quarantined, ambiguous, host_delivers, hosts_off, no or bad contact, suppressed, no code;
//! 2. the session and the person's part in it ([`occasion`]): cancelled, declined, already_connected;
//! 3. the time ([`occasion`], [`rule`], [`frequency`], [`quiet`]): pass_expired, meet_now, started, booked_late, too_close, frequency, superseded,
//!    quiet_hours;
//! 4. what was told before: adopted, never_invited.
//!
//! Whoever was told something that holds no more gets a correction ([`correction`]): rescheduled, updated or cancelled. Whoever has not
//! connected to a session that runs is told again ([`not_joined`]). Whoever is to be reminded now because somebody asks for it is, too ([`asked`]).
//!
//! The same function plans a walk, is asked again at the moment of sending, and answers `preview`.
//! [`diff`] turns decisions into changes of the outbox.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::known::{Known, KnownMap, KnownNotice, SourceRsvp};
use crate::notice::{Decision, Omission, Reason};
use crate::session::{Fault, Participant, ParticipationId, Presence, Session};

pub mod asked;
pub mod compare;
mod correction;
pub mod diff;
pub mod facts;
pub mod frequency;
mod meet_now;
mod not_joined;
mod occasion;
pub mod policy;
pub mod quiet;
mod recipient;
mod reminder;
pub mod rule;

pub use facts::{facts, facts_elsewhere};
pub use meet_now::{is_meet_now, joins_now, may_be_joined};
pub use occasion::{adopted_invite, is_off, missed_invite};
pub use policy::{NotJoined, Overrides, Policy, Suppressions};
pub use recipient::{
    Recipient, has_contact, is_corrected, is_ours, is_told_nowhere, person_key, reader, recipient, share_a_contact, silenced, zone_of,
};
pub use reminder::rule_time;

/// What one session's participants are told, and what not and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Of its records that could not be read: one omission each.
    pub faults: Vec<Decision>,
    /// In the order of the participants, each one's invite first.
    pub people: Vec<(ParticipationId, Vec<Decision>)>,
}

impl Plan {
    /// What is decided of one participant. A record of theirs that could not be read is among it.
    pub fn of(&self, participant: ParticipationId) -> Vec<&Decision> {
        let is_theirs =
            |fault: &&Decision| matches!(fault, Decision::Omit(o) if o.session.is_some() && o.participation == Some(participant));
        let decided = self.people.iter().filter(|(id, _)| *id == participant).flat_map(|(_, decided)| decided);
        self.faults.iter().filter(is_theirs).chain(decided).collect()
    }

    /// All of it, in order.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.faults.iter().chain(self.people.iter().flat_map(|(_, decided)| decided))
    }

    pub fn into_decisions(self) -> impl Iterator<Item = Decision> {
        self.faults.into_iter().chain(self.people.into_iter().flat_map(|(_, decided)| decided))
    }
}

/// Plans one session.
///
/// `known` is what [`observe`] made of the store's knowledge: every participant of the session is in it.
pub fn plan_session(session: &Session, known: &KnownMap, policy: &Policy, suppressed: &Suppressions, now: DateTime<Utc>) -> Plan {
    let people = session.participants.iter().filter_map(|participant| {
        let known = known.get(&(session.id, participant.id))?;
        Some((participant.id, occasion::decide(&occasion::Case { session, participant, known, policy, suppressed, now })))
    });
    let people = people.collect();
    let mut lost: Vec<ParticipationId> = known.iter().filter(|((_, id), one)| is_lost(session, *id, one)).map(|((_, id), _)| *id).collect();
    lost.sort_unstable();
    let at_fault = session.faults.iter().filter(|fault| !fault.is_word()).map(quarantined);
    Plan { people, faults: at_fault.chain(lost.into_iter().map(|id| lost_sight_of(session, id))).collect() }
}

/// Somebody else told them before this program came; their record could never be read, and is listed no more.
pub fn is_lost(session: &Session, id: ParticipationId, known: &Known) -> bool {
    let may_be_theirs = |fault: &Fault| fault.participation.is_none_or(|of| of == id);
    let unread = session.participant(id).is_none() && known.adopted && known.notices.is_empty();
    unread && (session.presence == Presence::Gone || !session.faults.iter().any(may_be_theirs))
}

fn lost_sight_of(session: &Session, id: ParticipationId) -> Decision {
    let detail = "their record could never be read, and is listed no more".to_owned();
    let fault = Fault { path: format!("ParticipationId {id}"), reason: detail, session: Some(session.id), participation: Some(id) };
    quarantined(&fault)
}

/// What this participant heard last has another code, passkey, address or hour of their clock than the record has, and they did not decline.
pub fn knows_other_facts(session: &Session, participant: &Participant, known: &Known, policy: &Policy, last: &KnownNotice) -> bool {
    let (suppressed, now) = (&Suppressions::default(), last.changed_at);
    occasion::Case { session, participant, known, policy, suppressed, now }.knows_other_facts(last)
}

/// A record that could not be read: one omission that stands for all occasions.
pub fn quarantined(fault: &Fault) -> Decision {
    Decision::Omit(Omission {
        session: fault.session,
        participation: fault.participation,
        role: None,
        occasion: None,
        rule: None,
        channel: None,
        due_at: None,
        reason: Reason::Quarantined,
        detail: Some(fault.to_string()),
    })
}

/// What a store of before remembers of participants, by the record that it remembers it of: see [`facts::remember`].
pub fn named_by_meaning(was: &Session, known: &mut KnownMap, policy: &Policy) {
    for person in &was.participants {
        if let Some(one) = known.get_mut(&(was.id, person.id))
            && let (facts, false) = facts::remember(&one.facts, was, person, policy)
        {
            one.facts = facts;
        }
    }
}

/// What was noted by a clock that was ahead has happened just before now, whatever it says, in the same order, and not before what this clock noted.
pub fn by_this_clock(known: &mut Known, now: DateTime<Utc>) {
    let notices = known.notices.iter_mut().map(|n| &mut n.changed_at);
    let times = [&mut known.first_seen, &mut known.session_seen, &mut known.start_known_at, &mut known.facts_known_at];
    let mut times: Vec<&mut DateTime<Utc>> = times.into_iter().chain(&mut known.absent_since).chain(notices).collect();
    let (ahead, by_this): (BTreeSet<DateTime<Utc>>, BTreeSet<DateTime<Utc>>) = times.iter().map(|at| **at).partition(|at| *at > now);
    let latest = by_this.last().copied().unwrap_or(DateTime::<Utc>::MIN_UTC);
    for at in times.iter_mut().filter(|at| ***at > now) {
        **at = (now - TimeDelta::milliseconds(ahead.range(**at..).count() as i64)).max(latest);
    }
    known.reminded.iter_mut().for_each(|r| r.at = r.at.min(now));
}

/// What is known of a session's participants once this snapshot was seen: the newly seen are first seen now; a start, or facts, that changed
/// became known now.
pub fn observe(session: &Session, mut known: KnownMap, policy: &Policy, first_fill: bool, now: DateTime<Utc>) -> KnownMap {
    let of_it = known.iter().filter(|((id, _), _)| *id == session.id);
    let session_seen = of_it.map(|(_, one)| one.session_seen).min().unwrap_or(now);
    for participant in &session.participants {
        let cancelled = is_off(session, participant);
        let new = || Known {
            session_seen,
            facts: facts(session, participant, policy),
            cancelled,
            adopted: first_fill,
            ..Known::new(session.start, now)
        };
        let seen = known.entry((session.id, participant.id)).or_insert_with(new);
        by_this_clock(seen, now);
        // Nothing can be planned for whom somebody else announced it to, while nobody knows their clock: what they were told stays as it was noted.
        if seen.adopted && seen.notices.is_empty() && zone_of(participant, policy).is_err() {
            continue;
        }
        // An answer that comes with a new start was given to the old one.
        if seen.said.is_none_or(|said| said.rsvp != participant.rsvp) {
            seen.said = Some(SourceRsvp { rsvp: participant.rsvp, start: seen.start });
        }
        seen.person = Some(person_key(participant));
        if seen.start != session.start {
            seen.start = session.start;
            seen.start_known_at = now;
        }
        let (facts, changed) = facts::remember(&seen.facts, session, participant, policy);
        seen.facts = facts;
        if changed || seen.cancelled != cancelled {
            seen.cancelled = cancelled;
            seen.facts_known_at = now;
        }
    }
    known
}

#[cfg(test)]
mod tests;
