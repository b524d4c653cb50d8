//! What somebody was told holds no more: rescheduled, updated, cancelled.
//!
//! A correction's key holds the key of what it corrects, so that A -> B -> A -> B corrects three times and never twice the same. It waits
//! `settle` from the change: A -> B -> A within it corrects nothing, A -> B -> C tells C.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts;
use super::occasion::Case;
use super::recipient::Recipient;
use crate::contact::Address;
use crate::notice::{Decision, Notice, Occasion, Omission, Reason};
use crate::outbox::KnownNotice;
use crate::session::Rsvp;

/// A cancellation is worth telling for so long after the start.
const CANCELLED_USEFUL: TimeDelta = TimeDelta::minutes(5);

impl Case<'_> {
    /// The last thing that this address was told of this session, or that somebody else told it before this program came.
    pub(super) fn last_told(&self, address: &Address) -> Option<&KnownNotice> {
        let of_address = self.known.notices.iter().filter(|n| n.notice.address == *address);
        let told = of_address.filter(|n| n.told() || n.reason == Some(Reason::Adopted));
        told.max_by_key(|n| (n.changed_at, n.notice.due_at, n.notice.key))
    }

    /// What has changed since.
    pub(super) fn correction(&self, to: &Recipient<'_>, last: &KnownNotice) -> Option<Decision> {
        let called_off = last.notice.occasion == Occasion::Cancelled;
        let other_start = last.notice.start != self.session.start;
        let hold = |told: &String| facts::hold(told, &self.known.facts, self.session, self.participant, self.policy);
        let other_facts = last.facts.as_ref().is_some_and(|told| !hold(told));
        let occasion = match (called_off || other_start, other_facts) {
            (true, _) => Occasion::Rescheduled,
            (false, true) => Occasion::Updated,
            (false, false) => return None,
        };
        let changed_at = if other_start { self.known.start_known_at } else { self.known.facts_known_at };
        let planned = self.settled(changed_at.max(last.changed_at));
        let at = planned.max(self.now);
        let omit = |reason| Some(Decision::Omit(Omission { due_at: Some(planned), ..self.omission(occasion, None, reason, None) }));
        if occasion == Occasion::Updated && self.rsvp() == Rsvp::Declined {
            return omit(Reason::Declined);
        }
        if let Some(reason) = self.against(at) {
            return omit(reason);
        }
        if at >= self.useful_until() {
            return omit(Reason::Started);
        }
        let key = self.key(occasion, None, to, &last.notice.key.to_string());
        Some(Decision::Send(self.notice(occasion, None, key, self.kept_out_of_quiet_hours(planned, to), to)))
    }

    /// That it will not take place.
    pub(super) fn cancellation(&self, to: &Recipient<'_>) -> Option<Decision> {
        let omit = |reason, due_at| Some(Decision::Omit(Omission { due_at, ..self.omission(Occasion::Cancelled, None, reason, None) }));
        let Some(last) = self.last_told(&to.address) else { return omit(Reason::NeverInvited, None) };
        if last.notice.occasion == Occasion::Cancelled {
            return None;
        }
        let known_at = self.known.facts_known_at.max(last.changed_at);
        let planned = self.settled(known_at);
        let useful_until = self.session.start + CANCELLED_USEFUL;
        if self.known.facts_known_at >= self.session.start || planned.max(self.now) >= useful_until {
            return omit(Reason::Started, Some(planned));
        }
        let key = self.key(Occasion::Cancelled, None, to, &last.notice.key.to_string());
        let due_at = self.kept_out_of_quiet_hours(planned, to);
        Some(Decision::Send(Notice { useful_until, ..self.notice(Occasion::Cancelled, None, key, due_at, to) }))
    }

    /// A change that nobody needs to hear of: the pending invite takes the new facts.
    pub(super) fn never_invited(&self) -> Option<Decision> {
        let since = |changed: DateTime<Utc>| changed > self.known.first_seen;
        let occasion = match (since(self.known.start_known_at), since(self.known.facts_known_at)) {
            (true, _) => Occasion::Rescheduled,
            (false, true) => Occasion::Updated,
            (false, false) => return None,
        };
        Some(Decision::Omit(self.omission(occasion, None, Reason::NeverInvited, None)))
    }
}
