//! What is known of a participant from earlier: what the planner needs to tell nothing twice, and nothing else.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::contact::{Address, Number, PhoneNumber};
use crate::entry::State;
use crate::notice::{Notice, Occasion, Reason};
use crate::session::{ParticipationId, Rsvp, SessionId};

pub mod resend;

/// What the store knows of one participant: what the planner needs, and nothing else.
#[derive(Debug, Clone)]
pub struct Known {
    /// When a snapshot first had this person.
    pub first_seen: DateTime<Utc>,
    /// When a snapshot first had the session, whoever was in it.
    pub session_seen: DateTime<Utc>,
    /// The start as last seen.
    pub start: DateTime<Utc>,
    /// When that start became known.
    pub start_known_at: DateTime<Utc>,
    /// Digest of what else a message says: code, passkey, zone (see `plan::facts`).
    pub facts: String,
    /// When those facts, or whether it takes place at all, became known as they are.
    pub facts_known_at: DateTime<Utc>,
    /// It is cancelled, or counts as such.
    pub cancelled: bool,
    /// Since when the source does not list this person; `None`: it does.
    pub absent_since: Option<DateTime<Utc>>,
    /// Snapshots in a row that did not list this person.
    pub absences: u32,
    /// Was there when the store was first filled from this source: may have been announced by somebody else.
    pub adopted: bool,
    /// What the participant answered by text.
    pub rsvp: Option<RsvpOverride>,
    /// The start that this answered; `None`: not known, or no answer.
    pub answered_start: Option<DateTime<Utc>>,
    /// What the source says that they answered; `None`: not noted yet.
    pub said: Option<SourceRsvp>,
    /// Who it is, over all sessions: see `plan::person_key`. `None`: not noted yet.
    pub person: Option<String>,
    /// Reminder texts that went, or are about to go, to the participant's numbers because of other sessions: the latest hundred or so.
    pub reminded: Vec<Reminded>,
    /// Who stands, in another entry of a list, at the hour of one that was told here. Read only where such an hour was left ([`Self::left_an_hour`]).
    pub expected: Vec<Expected>,
    /// The numbers that the participant has texts to, and what is known of each.
    pub numbers: Vec<(PhoneNumber, Number)>,
    /// All of the participant's notices.
    pub notices: Vec<KnownNotice>,
}

/// Another participation that stands: the same person's, or told at the same address, at an hour that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The source that lists it.
    pub source: String,
    pub session: SessionId,
    pub participation: ParticipationId,
    /// The start of both.
    pub start: DateTime<Utc>,
    /// The address of the one that was told here.
    pub address: Address,
    /// It is the same person ([`Known::person`]), there or on the other channel. Else somebody at that address.
    pub same_person: bool,
    /// They are told at that address. Else somebody of that name on the other channel, be it by a column that slipped.
    pub told_there: bool,
    /// When a snapshot first had them.
    pub first_seen: DateTime<Utc>,
    /// When they last heard of it.
    pub heard_at: Option<DateTime<Utc>>,
    /// What tells them of it waits, or is on its way.
    pub comes: bool,
}

impl Expected {
    /// The very person, told where they were told of this one.
    pub fn is_theirs(&self) -> bool {
        self.same_person && self.told_there
    }

    /// Their last word is of the one that stands, or will be.
    pub fn comes_after(&self, heard_at: DateTime<Utc>) -> bool {
        self.comes || self.heard_at.is_some_and(|at| at > heard_at)
    }
}

/// What a source says that a participant answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRsvp {
    pub rsvp: Rsvp,
    /// The start that was in force when the source came to say so: the one that they answered.
    pub start: DateTime<Utc>,
}

/// A reminder of another session, to the same number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reminded {
    pub at: DateTime<Utc>,
    /// It is on its way: nobody knows yet whether it goes.
    pub underway: bool,
    /// Whom it reminded: see [`Known::person`].
    pub person: Option<String>,
}

impl Known {
    /// Somebody who is seen for the first time, in a session that starts then.
    pub fn new(start: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            first_seen: now,
            session_seen: now,
            start,
            start_known_at: now,
            facts: String::new(),
            facts_known_at: now,
            cancelled: false,
            absent_since: None,
            absences: 0,
            adopted: false,
            rsvp: None,
            answered_start: None,
            said: None,
            person: None,
            reminded: Vec::new(),
            expected: Vec::new(),
            numbers: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// What they were told holds no more: they are off the list, it is cancelled, or it was moved.
    pub(crate) fn left_an_hour(&self) -> bool {
        let moved = |n: &KnownNotice| n.notice.start != self.start && n.heard();
        self.cancelled || self.absent_since.is_some() || self.notices.iter().any(moved)
    }

    /// The start that they know, by what they heard last, if it is not this one. `None` too where that is that it is cancelled.
    pub fn knows_another_start(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let arrived = self.notices.iter().filter(|n| n.arrived() && !n.may_have_gone());
        let last = arrived.max_by_key(|n| n.heard_at()).filter(|n| n.notice.occasion != Occasion::Cancelled)?;
        Some(last.notice.start).filter(|was| *was != start)
    }

    /// What is known of the number, if it is one: of an address nothing is.
    pub fn number(&self, address: &Address) -> Number {
        let Address::Sms(to) = address else { return Number::default() };
        self.numbers.iter().find(|(number, _)| number == to).map(|(_, number)| *number).unwrap_or_default()
    }

    /// The digest of the facts of now. (Beside it, a store of before keeps the one that it remembered.)
    pub fn facts_now(&self) -> &str {
        self.facts.split('=').next().unwrap_or_default()
    }

    /// Reminders of other sessions to this very person: two children at a parent's number are two. Who is not known may be anybody.
    pub fn reminded_themselves(&self) -> Vec<Reminded> {
        let same = |r: &&Reminded| self.person.is_none() || r.person.is_none() || r.person == self.person;
        self.reminded.iter().filter(same).cloned().collect()
    }
}

/// So many texts to a number are looked at, those of the latest sessions, for somebody else who is told at it.
pub(crate) const SHARED_MAX: usize = 100;

/// So many reminders of a number are looked at, those of the latest sessions: far more than any limit.
pub(crate) const REMINDED_MAX: usize = 100;

/// A notice as the planner needs it.
#[derive(Debug, Clone)]
pub struct KnownNotice {
    /// Its key, occasion, address, start and due time.
    pub notice: Notice,
    pub state: State,
    pub reason: Option<Reason>,
    /// When it got there.
    pub changed_at: DateTime<Utc>,
    /// Digest of the facts that its bytes hold; `None`: never begun.
    pub facts: Option<String>,
    /// An attempt of it passed its point of no return, and its answer is not known.
    pub doubted: bool,
    /// A receipt or a bounce says of its last attempt that it did not arrive.
    pub undelivered: bool,
}

impl KnownNotice {
    /// The participant was told, or may have been: also when a doubtful one waits or is claimed to be sent again. What is on its way, and has not
    /// passed its point of no return, was not: it may still be called back.
    pub fn may_have_been_sent(&self) -> bool {
        matches!(self.state, State::Accepted | State::Unknown) || self.doubted
    }

    /// The participant knows it: from us, or from somebody else; or may know it, from what ran before a restore.
    pub fn heard(&self) -> bool {
        self.may_have_been_sent() || matches!(self.reason, Some(Reason::Adopted | Reason::Told)) || self.may_have_gone()
    }

    /// It was found again after a restore, and waits for a person to say whether it had gone out; or waited until its time was over.
    pub fn may_have_gone(&self) -> bool {
        matches!(self.state, State::Held | State::Lapsed) && self.reason == Some(Reason::Restored)
    }

    /// They may have been told, or not: nobody knows.
    pub fn in_doubt(&self) -> bool {
        (self.may_have_been_sent() && self.state != State::Accepted) || self.may_have_gone()
    }

    /// They know it, as far as anybody can know: nobody says that it did not arrive.
    pub fn arrived(&self) -> bool {
        self.heard() && !self.undelivered
    }

    /// When the participant heard it. What is in doubt, or may have gone before a restore, went when it was due: it may have been looked at again since.
    pub fn heard_at(&self) -> DateTime<Utc> {
        let looked_at_since = self.doubted && !matches!(self.state, State::Accepted | State::Sending);
        if looked_at_since || self.may_have_gone() { self.notice.due_at.min(self.changed_at) } else { self.changed_at }
    }
}

/// What the store knows of the participants of some sessions.
pub type KnownMap = HashMap<(SessionId, ParticipationId), Known>;

/// Groups what is known by session.
pub(crate) fn by_session(known: KnownMap) -> HashMap<SessionId, KnownMap> {
    let mut grouped: HashMap<SessionId, KnownMap> = HashMap::new();
    for ((session, participation), one) in known {
        grouped.entry(session).or_default().insert((session, participation), one);
    }
    grouped
}

/// What a participant answered, and over what: it holds as long as the source says what it said then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RsvpOverride {
    pub says: Rsvp,
    /// The source's, at that time.
    pub over: Rsvp,
}

impl RsvpOverride {
    /// What holds now: a change of the source is later than the answer.
    pub fn or(answered: Option<Self>, source: Rsvp) -> Rsvp {
        answered.filter(|a| a.over == source).map_or(source, |a| a.says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_until_the_source_says_something_else() {
        use Rsvp::{Confirmed, Declined, Unknown};
        let declined = Some(RsvpOverride { says: Declined, over: Unknown });
        for (answered, source, holds) in [
            (None, Unknown, Unknown),
            (None, Declined, Declined),
            (declined, Unknown, Declined),
            (declined, Confirmed, Confirmed),
            (Some(RsvpOverride { says: Confirmed, over: Declined }), Declined, Confirmed),
            (Some(RsvpOverride { says: Confirmed, over: Declined }), Unknown, Unknown),
        ] {
            assert_eq!(RsvpOverride::or(answered, source), holds, "{answered:?} {source:?}");
        }
    }
}
