//! Who knows what holds no more, and has no message to come that says so: they would come in vain, or to another hour. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Concern, ConcernFinder, Why, about};
use crate::entry::State;
use crate::known::{Expected, Known, KnownMap, KnownNotice};
use crate::notice::{Occasion, Reason};
use crate::plan;
use crate::receipt::DeliveryStatus;
use crate::session::{AutoDeliver, ParticipationId, Session};

/// The word of who knows another start, or nothing of a cancellation, and of whom no message has a reason.
pub const UNTOLD: &str = "untold";
/// A session that began may still have a message that is of use.
pub const BEGUN: TimeDelta = TimeDelta::minutes(30);

/// What somebody knows of their session.
struct Told<'n> {
    start: DateTime<Utc>,
    /// That it is off.
    off: bool,
    /// `None`: from somebody else, before this program came; and their record could not be planned since.
    from: Option<&'n KnownNotice>,
}

impl ConcernFinder<'_> {
    /// In the order of their ids. `known` is what [`plan::observe`] made of the store's.
    pub fn misled(&self, session: &Session, known: &KnownMap) -> Vec<Concern> {
        let mut people: Vec<(ParticipationId, &Known)> =
            known.iter().filter(|((id, _), _)| *id == session.id).map(|((_, id), one)| (*id, one)).collect();
        people.sort_unstable_by_key(|(id, _)| *id);
        people.into_iter().filter_map(|(id, one)| self.of_misled(session, id, one)).collect()
    }

    /// What was found again after a restore waits for a person: nobody can say that they know.
    fn arrived(&self, n: &KnownNotice) -> bool {
        heard(n) && self.undelivered.iter().all(|u| u.key != n.notice.key)
    }

    fn told<'n>(&self, session: &Session, id: ParticipationId, known: &'n Known) -> Option<Told<'n>> {
        let arrived = known.notices.iter().filter(|n| self.arrived(n));
        if let Some(last) = arrived.max_by_key(|n| (n.heard_at(), n.notice.due_at)) {
            return Some(Told { start: last.notice.start, off: last.notice.occasion == Occasion::Cancelled, from: Some(last) });
        }
        let ours = session.participant(id).is_none_or(|person| plan::is_ours(person, self.policy));
        let elsewhere = known.adopted && !known.cancelled && known.notices.is_empty() && !self.policy.adopt_invites;
        (elsewhere && ours).then_some(Told { start: known.start, off: false, from: None })
    }

    fn of_misled(&self, session: &Session, id: ParticipationId, known: &Known) -> Option<Concern> {
        let told = self.told(session, id, known)?;
        let person = session.participant(id);
        let off = match (told.from, person) {
            (Some(_), _) => known.cancelled,
            (None, Some(person)) => plan::is_off(session, person),
            (None, None) => session.cancelled || plan::is_lost(session, id, known),
        };
        let same_hour = if off { told.off } else { !told.off && told.start == session.start };
        let other_facts = |last| person.is_some_and(|person| plan::knows_other_facts(session, person, known, self.policy, last));
        let right = same_hour && (off || !told.from.is_some_and(other_facts));
        // Somebody else tells them.
        let elsewhere = person.is_some_and(|p| p.auto_deliver == AutoDeliver::Nobody);
        let is_over = told.start.max(session.start) <= self.now - BEGUN;
        if right || elsewhere || is_over || (off && told.from.is_some_and(|last| is_expected(last, known))) {
            return None;
        }
        let says_so = |n: &&KnownNotice| match n.notice.occasion {
            Occasion::Cancelled => off,
            Occasion::Invite | Occasion::Rescheduled | Occasion::Updated => !off && n.notice.start == session.start,
            _ => false,
        };
        let corrections = || known.notices.iter().filter(says_so);
        // A reminder of the hour that they know has the code that holds.
        let reminds = |n: &&KnownNotice| same_hour && !off && n.notice.start == session.start;
        let goes = |n: &KnownNotice| matches!(n.state, State::Waiting | State::Claimed | State::Sending);
        if corrections().chain(known.notices.iter().filter(reminds)).any(goes) {
            return None;
        }
        let came_back = corrections().any(|n| heard(n) && !self.arrived(n));
        let why = match corrections().filter(|n| !heard(n)).max_by_key(|n| n.changed_at) {
            _ if came_back => Why::Undelivered(DeliveryStatus::Undelivered),
            Some(ended) => why_of(ended),
            None => Why::Untold,
        };
        let what = match same_hour {
            _ if off => "that it is cancelled",
            true => "the code, address or time zone that holds",
            false => "the start that holds",
        };
        let detail = Some(format!("they were not told {what}"));
        Some(Concern { participation: Some(id), start: Some(told.start), why, detail, ..about(session) })
    }
}

fn heard(n: &KnownNotice) -> bool {
    n.heard() && !n.may_have_gone()
}

/// They stand at that hour in another entry of the list.
fn is_expected(last: &KnownNotice, known: &Known) -> bool {
    let superseded = || known.notices.iter().any(|n| n.notice.occasion == Occasion::Cancelled && n.state == State::Superseded);
    let stands = |e: &&Expected| e.address == last.notice.address && e.start == last.notice.start && e.comes_after(last.heard_at());
    known.expected.iter().filter(stands).any(|e| e.is_theirs() || superseded())
}

fn why_of(ended: &KnownNotice) -> Why {
    match (ended.reason, ended.state) {
        (Some(reason), _) => Why::Omitted(reason),
        (None, State::Rejected) => Why::Rejected,
        (None, State::Held) => Why::Held,
        (None, _) => Why::Untold,
    }
}

impl Concern {
    /// Staff ended what was to say it: they know.
    pub fn is_a_persons(&self) -> bool {
        matches!(self.why, Why::Omitted(reason) if Reason::is_a_persons(reason))
    }
}
