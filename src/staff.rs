//! What the front desk must know: who will not be reached and why, which messages need a look, and what waits for a decision. Pure.
//!
//! In: what the store holds of a session, and what the planner says of it now. Out: [`Concern`]s, in words for an administrator ([`words`]):
//! ids, the start, a masked contact, the reason; never a name, a whole contact or a code.
//!
//! `unreachable` lists the people; the daily letter ([`crate::digest`]) lists everything.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use crate::entry::State;
use crate::feedback::reply::Written;
use crate::guard::{GuardKind, GuardRow};
use crate::known::resend::original;
use crate::known::{Known, KnownMap, KnownNotice};
use crate::notice::{Decision, NoticeKey, Reason};
use crate::plan::{self, Policy, Suppressions};
use crate::receipt::{DeliveryStatus, Undelivered};
use crate::session::{Fault, Participant, ParticipationId, Session, SessionId};
use crate::suppression::Suppression;

pub mod misled;
pub mod reasons;
pub mod words;

/// Something that somebody at the practice should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// What it is about.
    pub kind: ConcernKind,
    /// The session, where it could be read.
    pub session: Option<SessionId>,
    /// The person in it; `None`: all of them, or it could not be read.
    pub participation: Option<ParticipationId>,
    /// The session's start, where it is known.
    pub start: Option<DateTime<Utc>>,
    /// Where the person would be told, masked; `None`: nowhere, or it could not be read.
    pub contact: Option<String>,
    /// Of a message: its occasion and rule.
    pub what: Option<String>,
    pub why: Why,
    /// The path of a bad field, the reason of a hold; repeats no contact, name or code.
    pub detail: Option<String>,
}

/// Beside the fault of an address: what staff did about it, and what is left to do.
const TOLD_ELSEWHERE: &str = "they were told at another address; what comes later goes to the one in the record, until that is corrected";

/// What a concern is about, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConcernKind {
    /// A person who will not be reached.
    Person,
    /// A message that did not go as it should, of somebody who was told otherwise.
    Message,
    /// Changes that wait for an operator.
    Change,
    /// A record that could not be read.
    Record,
    /// A text that somebody wrote, for a person to read.
    Reply,
}

/// Why it needs somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    Omitted(Reason),
    /// A message waits for a person, or for a fault to be mended.
    Held,
    /// A server refused a message for good.
    Rejected,
    /// A message may or may not have arrived.
    Unknown,
    /// A server took a message, and it did not arrive.
    Undelivered(DeliveryStatus),
    /// It changed together with too many others.
    Guarded(GuardKind),
    /// They know what holds no more, and no message says why.
    Untold,
    /// Somebody wrote what the service does not understand, or more than it understands.
    Wrote,
}

impl Why {
    /// The word, as everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Omitted(reason) => reason.as_str(),
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Undelivered(status) => status.as_str(),
            Self::Guarded(kind) => kind.as_str(),
            Self::Untold => misled::UNTOLD,
            Self::Wrote => "wrote",
        }
    }
}

/// What concerns are looked for with.
pub struct ConcernFinder<'a> {
    pub policy: &'a Policy,
    /// Addresses that get nothing.
    pub suppressed: &'a Suppressions,
    /// What did not arrive, of coming sessions.
    pub undelivered: &'a [Undelivered],
    pub now: DateTime<Utc>,
    /// Only sessions that start by then; `None`: all that are to come.
    pub horizon: Option<TimeDelta>,
}

impl ConcernFinder<'_> {
    /// Whether a session is looked at: it is to come, within the horizon, whether it takes place or not.
    pub fn minds(&self, session: &Session) -> bool {
        let near = self.horizon.and_then(|span| self.now.checked_add_signed(span)).is_none_or(|end| session.start <= end);
        session.start > self.now && near
    }

    /// A session's people who will not be reached, or who know what holds no more, with the messages of the others that need a look. `known` is the
    /// store's.
    pub fn of_session(&self, session: &Session, known: KnownMap) -> Vec<Concern> {
        let known = plan::observe(session, known, self.policy, false, self.now);
        let mut found = self.of_seen(session, &known);
        for misled in self.misled(session, &known) {
            if found.iter().all(|concern| concern.participation != misled.participation) {
                found.push(misled);
            }
        }
        found
    }

    /// Likewise; `known` is what [`plan::observe`] made of the store's.
    pub fn of_seen(&self, session: &Session, known: &KnownMap) -> Vec<Concern> {
        // Of one that runs only whoever came to it, and may still be called.
        let runs = self.horizon.is_none() && session.is_active() && plan::may_be_joined(session, self.now);
        if !(self.minds(session) && session.is_active()) && !runs {
            return Vec::new();
        }
        let is_old = |id| runs && known.contains_key(&(session.id, id));
        let new_fault = |fault: &&Fault| !fault.is_word() && !fault.participation.is_some_and(is_old);
        let at_fault = session.faults.iter().filter(new_fault).map(|fault| Concern {
            participation: fault.participation,
            why: Why::Omitted(Reason::Quarantined),
            detail: Some(fault.to_string()),
            ..about(session)
        });
        let mut found: Vec<Concern> = at_fault.collect();
        let plan = plan::plan_session(session, known, self.policy, self.suppressed, self.now);
        for person in &session.participants {
            let Some(one) = known.get(&(session.id, person.id)) else { continue };
            if runs && (person.connected_at.is_some() || !plan::joins_now(session, one, None)) {
                continue;
            }
            match against(one, &plan.of(person.id)) {
                Some((Why::Omitted(reason), _)) if is_the_sessions(reason) && self.is_told_by_others(person) => {}
                Some((why, detail)) => {
                    let detail = if self.told_elsewhere(session, one) { Some(TOLD_ELSEWHERE.to_owned()) } else { detail };
                    found.push(Concern { why, detail, ..self.of_person(session, person) });
                }
                None => {
                    found.extend(self.lost(session, person, one).map_or_else(|| self.of_messages(session, person, one), |lost| vec![lost]));
                }
            }
        }
        found
    }

    /// Their host tells them, or nobody does: by the record alone, whatever keeps their session.
    fn is_told_by_others(&self, person: &Participant) -> bool {
        let to = plan::recipient(person, self.policy, &Suppressions::default(), false);
        matches!(to, Err((Reason::HostDelivers | Reason::HostsOff, _)))
    }

    fn of_person(&self, session: &Session, person: &Participant) -> Concern {
        let to = plan::recipient(person, self.policy, &Suppressions::default(), false);
        Concern { participation: Some(person.id), contact: to.ok().map(|to| to.address.to_string()), ..about(session) }
    }

    /// What a server took for this person, and what did not arrive: nobody can say that they know.
    fn lost(&self, session: &Session, person: &Participant, known: &Known) -> Option<Concern> {
        let theirs = self.undelivered.iter().filter(|u| (u.session_id, u.participation_id) == (session.id, person.id));
        let lost = theirs.into_iter().find(|u| !self.arrived_again(u.key, known))?;
        let what = lost.rule.as_ref().map_or_else(|| lost.occasion.to_string(), |rule| format!("{} {rule}", lost.occasion));
        let (why, detail) = (Why::Undelivered(lost.status), lost.detail.clone());
        Some(Concern { what: Some(what), why, detail, ..self.of_person(session, person) })
    }

    /// Somebody handed it over again, and nobody said that the copy did not arrive.
    fn arrived_again(&self, key: NoticeKey, known: &Known) -> bool {
        let arrived = known.notices.iter().filter(|n| n.state == State::Accepted && self.undelivered.iter().all(|u| u.key != n.notice.key));
        arrived.into_iter().any(|n| original(&n.notice, &known.notices).is_some_and(|first| first.notice.key == key))
    }

    /// Somebody handed it over to another address, where the one in the record gets nothing.
    fn told_elsewhere(&self, session: &Session, known: &Known) -> bool {
        let bad = |n: &KnownNotice| self.suppressed.of(&n.notice.address) == Some(Suppression::Bounced) && n.notice.start == session.start;
        let arrived = |n: &KnownNotice| {
            known.notices.iter().any(|copy| {
                copy.state == State::Accepted
                    && copy.notice.address != n.notice.address
                    && original(&copy.notice, &known.notices).is_some_and(|first| first.notice.key == n.notice.key)
                    && self.undelivered.iter().all(|u| u.key != copy.notice.key)
            })
        };
        known.notices.iter().any(|n| bad(n) && arrived(n))
    }

    /// Those that did not go as they should, and that nobody handed over again since.
    fn of_messages(&self, session: &Session, person: &Participant, known: &Known) -> Vec<Concern> {
        let open = known.notices.iter().filter(|n| !was_told_again(n, &known.notices));
        open.filter_map(|n| self.of_message(session, person, n)).collect()
    }

    /// A message that did not go as it should, for the start that holds.
    fn of_message(&self, session: &Session, person: &Participant, held: &KnownNotice) -> Option<Concern> {
        let why = match held.state {
            State::Held => Why::Held,
            State::Unknown => Why::Unknown,
            State::Rejected => Why::Rejected,
            _ => return None,
        };
        let n = &held.notice;
        let what = n.rule.as_ref().map_or_else(|| n.occasion.to_string(), |rule| format!("{} {rule}", n.occasion));
        (n.start == session.start).then(|| Concern {
            kind: ConcernKind::Message,
            contact: Some(n.address.to_string()),
            what: Some(what),
            why,
            detail: held.reason.map(|r| r.to_string()),
            ..self.of_person(session, person)
        })
    }
}

/// Somebody handed it over again, and that was accepted.
fn was_told_again(held: &KnownNotice, known: &[KnownNotice]) -> bool {
    let accepted = known.iter().filter(|n| n.state == State::Accepted);
    held.state == State::Rejected
        && accepted.into_iter().any(|n| original(&n.notice, known).is_some_and(|first| first.notice.key == held.notice.key))
}

/// Changes of a session that wait for an operator.
pub fn of_guard(guard: &GuardRow) -> Concern {
    Concern { kind: ConcernKind::Change, session: Some(guard.session_id), why: Why::Guarded(guard.kind), ..nothing() }
}

/// A text that somebody wrote: of each participant whose it may be, with its source; or of nobody that is known. What it says is no part of it.
pub fn of_reply(said: &Written) -> Vec<(Option<&str>, Concern)> {
    let one = Concern { kind: ConcernKind::Reply, contact: Some(said.shown.clone()), why: Why::Wrote, ..nothing() };
    if said.said.about.is_empty() {
        return vec![(None, one)];
    }
    let places = said.said.about.iter();
    places
        .map(|p| (Some(p.source.as_str()), Concern { session: Some(p.session), participation: Some(p.participation), ..one.clone() }))
        .collect()
}

/// A record that could not be read, of a source.
pub fn of_fault(source: &str, fault: &Fault) -> Concern {
    Concern {
        kind: ConcernKind::Record,
        session: fault.session,
        participation: fault.participation,
        detail: Some(format!("{source}: {fault}")),
        why: Why::Omitted(if fault.is_word() { Reason::UnknownStatus } else { Reason::Quarantined }),
        ..nothing()
    }
}

fn nothing() -> Concern {
    Concern {
        kind: ConcernKind::Person,
        session: None,
        participation: None,
        start: None,
        contact: None,
        what: None,
        why: Why::Omitted(Reason::Quarantined),
        detail: None,
    }
}

fn about(session: &Session) -> Concern {
    Concern { session: Some(session.id), start: Some(session.start), ..nothing() }
}

/// The order of a list of people: by start, then by ids.
pub fn by_start(a: &Concern, b: &Concern) -> Ordering {
    (a.start, a.session, a.participation).cmp(&(b.start, b.session, b.participation))
}

/// Why this person will not be reached; `None`: they were told, or will be, or somebody else tells them.
fn against(known: &Known, decisions: &[&Decision]) -> Option<(Why, Option<String>)> {
    let in_state = |wanted| known.notices.iter().find(|n| n.state == wanted);
    let refusal = decisions.iter().find_map(|d| match d {
        Decision::Omit(o) if is_fault(o.reason) => Some((Why::Omitted(o.reason), o.detail.clone())),
        _ => None,
    });
    if refusal.is_some() {
        return refusal;
    }
    if let Some(held) = in_state(State::Held) {
        return Some((Why::Held, held.reason.map(|r| r.to_string())));
    }
    if in_state(State::Accepted).is_some() {
        return None;
    }
    [(State::Rejected, Why::Rejected), (State::Unknown, Why::Unknown)]
        .into_iter()
        .find(|(s, _)| in_state(*s).is_some())
        .map(|(_, why)| (why, None))
}

/// It keeps all of a session, whoever is told.
fn is_the_sessions(reason: Reason) -> bool {
    matches!(reason, Reason::Absent | Reason::Guard | Reason::UnknownStatus)
}

/// Reasons that a person can do something about. Whoever declined, is connected, or is told by the host, is none of them.
fn is_fault(reason: Reason) -> bool {
    use Reason::{
        Absent, Ambiguous, Bounced, DoNotContact, Guard, InvalidEmail, InvalidNumber, NoConnectCode, NoEmail, NoNumber, OptedOut,
        PassExpired, Quarantined, UnknownStatus,
    };
    matches!(
        reason,
        Absent
            | Ambiguous
            | Bounced
            | DoNotContact
            | Guard
            | InvalidEmail
            | InvalidNumber
            | NoConnectCode
            | NoEmail
            | NoNumber
            | OptedOut
            | PassExpired
            | Quarantined
            | UnknownStatus
    )
}
