//! What somebody was told holds no more: rescheduled, updated, cancelled.
//!
//! A correction speaks of what this person heard last. A cancellation goes to the address that heard it, and names that start; rescheduled and
//! updated go to the address of now, once it was told anything: until then it gets an invite. A correction is in time before the earlier of the
//! start that was told and the start that holds. When the told start has passed without it, that one is over, and another one is planned: whoever
//! came in vain is told all the same.
//!
//! A correction's key holds the key of what it corrects, so that A -> B -> A -> B corrects three times and never twice the same; and the count of
//! those of an earlier change that reached nobody, so that what was refused, came back or was taken out decides nothing over a later change. It
//! waits `settle` from the change: A -> B -> A within it corrects nothing, A -> B -> C tells C.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts;
use super::meet_now::{MEET_NOW_USEFUL, may_be_joined};
use super::occasion::Case;
use super::recipient::{Recipient, silenced};
use crate::contact::Address;
use crate::entry::State;
use crate::known::{Expected, KnownNotice};
use crate::notice::{Decision, Notice, NoticeKey, Occasion, Omission, Reason};
use crate::session::Role;

/// A cancellation is worth telling for so long after the start.
const CANCELLED_USEFUL: TimeDelta = TimeDelta::minutes(5);

impl Case<'_> {
    /// The last thing that this person heard of this session, at whatever address.
    pub(super) fn heard_last(&self) -> Option<&KnownNotice> {
        last(self.heard())
    }

    /// The last thing that this address heard of it.
    pub(super) fn heard_here(&self, address: &Address) -> Option<&KnownNotice> {
        last(self.heard().filter(|n| n.notice.address == *address))
    }

    /// What this person heard. What did not arrive counts only if nothing did: a receipt may err, and whoever knows of nothing else had better hear
    /// of a change.
    fn heard(&self) -> impl Iterator<Item = &KnownNotice> {
        let any = self.known.notices.iter().any(KnownNotice::arrived);
        self.known.notices.iter().filter(move |n| if any { n.arrived() } else { n.heard() })
    }

    /// What has changed since this address heard of it last.
    pub(super) fn correction(&self, to: &Recipient<'_>, here: &KnownNotice) -> Option<Decision> {
        let last = self.heard_last().unwrap_or(here);
        let off = |n: &KnownNotice| n.notice.occasion == Occasion::Cancelled;
        let elsewhere = |n: &KnownNotice| n.notice.start != self.session.start;
        let other_start = elsewhere(last) || elsewhere(here);
        let elsewhere_last = last.notice.address != here.notice.address;
        let said_otherwise = self.says_otherwise(here) || (elsewhere_last && self.said_otherwise_there(last));
        let occasion = match (off(last) || off(here) || other_start, said_otherwise) {
            (true, _) => Occasion::Rescheduled,
            (false, true) => Occasion::Updated,
            (false, false) => return None,
        };
        // Two addresses were told by turns: the last turn is the change.
        let turned = last.notice.address != to.address;
        let changed_at = match other_start {
            true if turned => self.known.start_known_at.max(self.known.facts_known_at),
            true => self.known.start_known_at,
            false => self.known.facts_known_at,
        };
        let since = changed_at.max(last.heard_at());
        let bound = self.waits_for(last, since);
        let missed = bound.is_some_and(|told| told <= self.now);
        let corrected = last.notice.key.to_string();
        let in_time = self.key_since(occasion, (&to.address, self.session.start), &corrected);
        if missed && self.known.notices.iter().any(|n| n.notice.key == in_time && n.reason.is_some_and(Reason::is_a_persons)) {
            return None;
        }
        let own = if other_start { self.worth_telling_until() } else { self.useful_until() };
        let useful_until = bound.filter(|_| !missed).unwrap_or(own).min(own);
        let planned = if missed { bound.unwrap_or(since) } else { self.settled(since, useful_until) };
        let omit = |reason| Some(Decision::Omit(Omission { due_at: Some(planned), ..self.omission(occasion, None, reason, None) }));
        if occasion == Occasion::Updated && self.declined() {
            return omit(Reason::Declined);
        }
        if planned.max(self.now) >= useful_until {
            return omit(Reason::Started);
        }
        let key = if missed { self.key(occasion, None, to, &format!("{corrected} missed")) } else { in_time };
        let quiet_before = useful_until.min(self.session.start);
        let due_at = self.kept_out_of_quiet_hours(planned, quiet_before, to);
        Some(Decision::Send(Notice { useful_until, ..self.notice(occasion, None, key, due_at, &to.address) }))
    }

    /// Whose session had begun when its new start became known can join it still.
    fn worth_telling_until(&self) -> DateTime<Utc> {
        let runs = may_be_joined(self.session, self.known.start_known_at);
        if runs { self.session.start + MEET_NOW_USEFUL } else { self.useful_until() }
    }

    /// The start that this person believes in and that does not hold, if it was still to come when that became known: then they sit and wait.
    pub(super) fn waits_for(&self, last: &KnownNotice, since: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let told = last.notice.start;
        (last.notice.occasion != Occasion::Cancelled && told != self.session.start && told > since).then_some(told)
    }

    /// Code, passkey, address or hour are other ones than those that were heard. Of what somebody else told, only a later change can be known.
    fn says_otherwise(&self, heard: &KnownNotice) -> bool {
        match &heard.facts {
            Some(told) => !facts::hold(told, &self.known.facts, self.session, self.participant, self.policy),
            None => heard.notice.occasion != Occasion::Cancelled && self.known.facts_known_at > heard.heard_at(),
        }
    }

    /// They were told last at another address, with another code, passkey or hour than the one that holds.
    fn said_otherwise_there(&self, last: &KnownNotice) -> bool {
        let holds = |told: &String| facts::hold_at(&last.notice.address, told, self.session, self.participant, self.policy);
        last.facts.as_ref().is_some_and(|told| !holds(told))
    }

    /// They were told of it, and can be told that it does not take place.
    pub(super) fn can_be_called_off(&self) -> bool {
        self.heard_last().is_some_and(|last| self.reader_at(&last.notice.address).is_some())
    }

    /// That it will not take place: told where it was heard of last, of the start that was told; and of each start besides that they believe in if what
    /// is in doubt did not arrive. `current`: the address of now, if it can be used.
    pub(super) fn cancellations(&self, current: Option<&Recipient<'_>>) -> Vec<Decision> {
        let first = self.cancellation(current);
        let named = if let Some(Decision::Send(n)) = &first { Some(n.start) } else { None };
        let besides = self.believed_in_besides().into_iter().filter(|n| Some(n.notice.start) != named);
        let besides = besides.filter_map(|n| self.calls_off(n)).filter(|d| matches!(d, Decision::Send(_)));
        first.into_iter().chain(besides).collect()
    }

    /// What they heard before something that is in doubt, up to what they know for certain: of each start the last, but for those that were called off.
    fn believed_in_besides(&self) -> Vec<&KnownNotice> {
        let Some(last) = self.heard_last() else { return Vec::new() };
        let mut heard: Vec<&KnownNotice> = self.heard().filter(|n| n.notice.address == last.notice.address).collect();
        heard.sort_by_key(|n| std::cmp::Reverse(place(n)));
        let (mut believed, mut off): (Vec<&KnownNotice>, Vec<DateTime<Utc>>) = (Vec::new(), Vec::new());
        for n in heard {
            let start = n.notice.start;
            if n.notice.occasion == Occasion::Cancelled {
                off.push(start);
                continue;
            }
            if !off.contains(&start) && believed.iter().all(|b| b.notice.start != start) {
                believed.push(n);
            }
            if !n.in_doubt() {
                break;
            }
        }
        believed
    }

    fn cancellation(&self, current: Option<&Recipient<'_>>) -> Option<Decision> {
        let Some(last) = self.heard_last() else {
            return Some(Decision::Omit(self.omission(Occasion::Cancelled, None, Reason::NeverInvited, None)));
        };
        if last.notice.occasion == Occasion::Cancelled {
            return None;
        }
        // Where they are told now, unless what that address heard last is that it is cancelled.
        let here = current.and_then(|to| self.heard_here(&to.address));
        self.calls_off(here.filter(|n| n.notice.occasion != Occasion::Cancelled).unwrap_or(last))
    }

    /// That what they heard there does not take place.
    fn calls_off(&self, last: &KnownNotice) -> Option<Decision> {
        let omit = |reason, due_at| Some(Decision::Omit(Omission { due_at, ..self.omission(Occasion::Cancelled, None, reason, None) }));
        let to = self.reader_at(&last.notice.address)?;
        if self.policy.overrides.of(self.participant, &self.policy.region).do_not_contact {
            return omit(Reason::DoNotContact, None);
        }
        if let Some(reason) = silenced(self.suppressed, &to.address) {
            return omit(reason, None);
        }
        let told = last.notice.start;
        let useful_until = told + CANCELLED_USEFUL;
        let planned = self.settled(self.known.facts_known_at.max(last.heard_at()), told);
        if self.is_expected_then(&to, last) {
            return omit(Reason::Superseded, Some(planned));
        }
        if self.known.facts_known_at >= told || planned.max(self.now) >= useful_until {
            return omit(Reason::Started, Some(planned));
        }
        let key = self.key_since(Occasion::Cancelled, (&to.address, told), &last.notice.key.to_string());
        let due_at = self.kept_out_of_quiet_hours(planned, told, &to);
        Some(Decision::Send(Notice { start: told, useful_until, ..self.notice(Occasion::Cancelled, None, key, due_at, &to.address) }))
    }

    /// The key of what is told of that start, there. What reached nobody stands for the change that it was to tell: of a later one, another notice is
    /// due. Rows of before this rule keep their keys.
    pub(super) fn key_since(&self, occasion: Occasion, (to, start): (&Address, DateTime<Utc>), content: &str) -> NoticeKey {
        let alike = |n: &&KnownNotice| n.notice.occasion == occasion && n.notice.start == start && n.notice.address == *to;
        let failed = self.known.notices.iter().filter(alike).filter(|n| reached_nobody(n));
        if let Some(tried) = failed.clone().find(|n| !self.is_of_before(n)) {
            return tried.notice.key;
        }
        let key = |n: usize| match n {
            0 => self.key_of(occasion, None, (to, start), content),
            n => self.key_of(occasion, None, (to, start), &format!("{content} {n}")),
        };
        let mut n = 0;
        while failed.clone().any(|one| one.notice.key == key(n)) {
            n += 1;
        }
        key(n)
    }

    /// The facts, the start, or whether it takes place, became known as they are after this was over.
    fn is_of_before(&self, row: &KnownNotice) -> bool {
        let said_otherwise = |told: &String| !facts::hold(told, &self.known.facts, self.session, self.participant, self.policy);
        let later = self.known.facts_known_at.max(self.known.start_known_at) > row.changed_at;
        later || (row.notice.occasion != Occasion::Cancelled && row.facts.as_ref().is_some_and(said_otherwise))
    }

    /// What they heard last says another code, passkey, address or hour than the one that holds, and they have not declined.
    pub(super) fn knows_other_facts(&self, last: &KnownNotice) -> bool {
        !self.declined() && self.says_otherwise(last)
    }

    /// They stand at that hour all the same, in another entry of the list, and are told of that one later: it was made anew, or was there twice. A
    /// host may have several sessions.
    fn is_expected_then(&self, to: &Recipient<'_>, last: &KnownNotice) -> bool {
        let here = |e: &&Expected| e.address == to.address && e.start == last.notice.start && e.is_theirs();
        self.participant.is_named()
            && self.participant.role != Role::Host
            && self.known.expected.iter().filter(here).any(|e| e.comes_after(last.heard_at()))
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

/// A server refused it, it came back, or somebody took it out: it is over, and nobody was told. An invite that somebody took out stays so.
fn reached_nobody(row: &KnownNotice) -> bool {
    match row.state {
        State::Rejected => !row.heard(),
        State::Accepted => row.undelivered,
        State::Cancelled | State::Superseded | State::Suppressed | State::Lapsed => {
            row.notice.occasion != Occasion::Invite && !row.heard() && row.reason.is_some_and(Reason::is_a_persons)
        }
        _ => false,
    }
}

fn last<'n>(notices: impl Iterator<Item = &'n KnownNotice>) -> Option<&'n KnownNotice> {
    notices.max_by_key(|n| place(n))
}

/// Its place among what was heard. Of what staff say that it was told, when it was due: they may say so long after it.
fn place(n: &KnownNotice) -> (DateTime<Utc>, DateTime<Utc>, NoticeKey) {
    let heard_at = if n.reason == Some(Reason::Told) { n.heard_at().min(n.notice.due_at) } else { n.heard_at() };
    (heard_at, n.notice.due_at, n.notice.key)
}
