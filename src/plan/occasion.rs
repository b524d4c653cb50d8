//! One participant's occasions: which fall due when, and which do not and why.

use chrono::{DateTime, TimeDelta, Utc};

use super::policy::{Policy, Suppressions};
use super::recipient::{Recipient, recipient};
use super::rule::Rule;
use crate::contact::Channel;
use crate::notice::{Decision, Identity, Notice, NoticeKey, Occasion, Omission, Reason};
use crate::outbox::{Known, State};
use crate::session::{AutoDeliver, Participant, Rsvp, Session};

/// A Meet Now session is joined within this time, so its invite is useful so long.
const MEET_NOW_USEFUL: TimeDelta = TimeDelta::minutes(30);

/// All that one participant's decisions depend on.
pub(super) struct Case<'a> {
    pub(super) session: &'a Session,
    pub(super) participant: &'a Participant,
    pub(super) known: &'a Known,
    pub(super) policy: &'a Policy,
    pub(super) suppressed: &'a Suppressions,
    pub(super) now: DateTime<Utc>,
}

/// A reminder that passed every check of its own: what is left is to compare it with the others.
struct Candidate<'a> {
    rule: &'a Rule,
    /// The rule's time, kept out of quiet hours.
    due: Result<DateTime<Utc>, Omission>,
}

/// The invite, then each rule in the order of the configuration. What was handed over already is not omitted, whatever has happened since.
pub(super) fn decide(case: &Case<'_>) -> Vec<Decision> {
    let mut decisions = all(case);
    decisions.retain(|d| match d {
        Decision::Send(_) => true,
        Decision::Omit(o) => o.occasion.is_none_or(|occasion| !case.is_settled(occasion, o.rule.as_deref())),
    });
    decisions
}

fn all(case: &Case<'_>) -> Vec<Decision> {
    let to = match recipient(case.participant, case.policy, case.suppressed) {
        Ok(to) => to,
        Err((Reason::Quarantined, detail)) => {
            return vec![Decision::Omit(Omission { occasion: None, ..case.omission(Occasion::Invite, None, Reason::Quarantined, detail) })];
        }
        Err((reason, detail)) => return case.refuse_all(reason, &detail),
    };
    if case.session.cancelled {
        return case.refuse_all(Reason::Cancelled, &None);
    }
    let invite = case.invite(&to);
    let invited_at = case.invited_at(&to, invite.as_ref());
    let mut decisions: Vec<Decision> = invite.into_iter().collect();
    let candidates: Vec<Candidate<'_>> =
        case.policy.rules.iter().map(|rule| Candidate { rule, due: case.reminder(rule, &to, invited_at) }).collect();
    for (n, candidate) in candidates.iter().enumerate() {
        decisions.push(case.choose(candidate, n, &candidates, &to));
    }
    decisions
}

impl Case<'_> {
    fn useful_until(&self) -> DateTime<Utc> {
        if self.session.meet_now { self.session.start + MEET_NOW_USEFUL } else { self.session.start }
    }

    /// The invite. `None`: the participant was invited before, when the session said something else.
    fn invite(&self, to: &Recipient<'_>) -> Option<Decision> {
        let omit = |reason, due| Some(Decision::Omit(Omission { due_at: due, ..self.omission(Occasion::Invite, None, reason, None) }));
        let settle = if self.session.meet_now { TimeDelta::zero() } else { self.policy.settle };
        let planned = self.known.first_seen + settle;
        let at = planned.max(self.now);
        let key = self.key(Occasion::Invite, None, to);
        let told_otherwise = self
            .known
            .notices
            .iter()
            .any(|n| is_announcement(n.notice.occasion) && n.notice.address == to.address && n.state.told() && n.notice.key != key);
        if told_otherwise {
            return None;
        }
        if let Some(reason) = self.against(at) {
            return omit(reason, Some(planned));
        }
        if at >= self.useful_until() {
            return omit(Reason::Started, Some(planned));
        }
        if self.known.adopted && !self.policy.adopt_invites {
            return omit(Reason::Adopted, Some(planned));
        }
        let due = self.policy.quiet.as_ref().map_or(planned, |quiet| {
            let permitted = |at| quiet.other(at, self.session.start, to.address.channel(), &to.zone.zone);
            overdue_keeps_its_time(permitted(planned), self.now, permitted)
        });
        Some(Decision::Send(self.notice(Occasion::Invite, None, key, due, to)))
    }

    /// When the participant was last told where and when, or will be: reminders keep their distance from it.
    fn invited_at(&self, to: &Recipient<'_>, invite: Option<&Decision>) -> Option<DateTime<Utc>> {
        let told = self.known.notices.iter().filter(|n| is_announcement(n.notice.occasion) && n.notice.address == to.address);
        let told = told.filter(|n| n.state.told()).map(|n| n.changed_at).max();
        let planned = match invite {
            Some(Decision::Send(n)) if told.is_none() => Some(n.due_at.max(self.now)),
            _ => None,
        };
        told.or(planned)
    }

    /// When one rule's reminder goes, or the first reason against it that does not depend on other rules.
    fn reminder(&self, rule: &Rule, to: &Recipient<'_>, invited_at: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Omission> {
        let omit = |reason, due_at, detail| Omission { due_at, ..self.omission(Occasion::Reminder, Some(rule), reason, detail) };
        let start = self.session.start;
        let Some(time) = rule.time(start, &to.zone.zone) else { return Err(omit(Reason::Started, None, None)) };
        let kept = self.out_of_quiet_hours(time, to);
        let due = kept.unwrap_or(time);
        if self.participant.rsvp == Rsvp::Declined {
            return Err(omit(Reason::Declined, Some(time), None));
        }
        if let Some(reason) = self.against(due.max(self.now)) {
            return Err(omit(reason, Some(time), None));
        }
        if self.session.meet_now {
            return Err(omit(Reason::MeetNow, None, None));
        }
        if time.max(self.now) >= start {
            return Err(omit(Reason::Started, Some(time), None));
        }
        if time <= self.known.start_known_at {
            return Err(omit(Reason::BookedLate, Some(time), None));
        }
        if invited_at.is_some_and(|told| due.max(self.now) < told + self.policy.min_gap) {
            return Err(omit(Reason::TooClose, Some(due), None));
        }
        kept.ok_or_else(|| omit(Reason::QuietHours, Some(time), None))
    }

    /// The rule's time kept out of quiet hours; what is overdue is kept out of the quiet hours that reign now.
    fn out_of_quiet_hours(&self, time: DateTime<Utc>, to: &Recipient<'_>) -> Option<DateTime<Utc>> {
        let Some(quiet) = &self.policy.quiet else { return Some(time) };
        let (start, channel, zone) = (self.session.start, to.address.channel(), &to.zone.zone);
        let planned = quiet.reminder(time, start, self.known.start_known_at, channel, zone)?;
        if planned >= self.now {
            return Some(planned);
        }
        let permitted = quiet.reminder(self.now, start, self.now, channel, zone)?;
        Some(if permitted == self.now { planned } else { permitted })
    }

    /// Of the rules that are due at once, only the one closest to the start is sent.
    fn choose(&self, candidate: &Candidate<'_>, n: usize, all: &[Candidate<'_>], to: &Recipient<'_>) -> Decision {
        let due = match &candidate.due {
            Ok(due) => *due,
            Err(omission) => return Decision::Omit(omission.clone()),
        };
        let later = |m: usize, other: &Candidate<'_>| {
            let Ok(theirs) = other.due else { return false };
            m != n && theirs <= self.now && (theirs > due || (theirs == due && m < n))
        };
        if due <= self.now
            && !self.is_done(candidate.rule, to)
            && let Some((_, winner)) = all.iter().enumerate().find(|(m, o)| later(*m, o))
        {
            let detail = Some(format!("{} is due too", winner.rule.name));
            return Decision::Omit(Omission {
                due_at: Some(due),
                ..self.omission(Occasion::Reminder, Some(candidate.rule), Reason::Superseded, detail)
            });
        }
        let key = self.key(Occasion::Reminder, Some(candidate.rule), to);
        Decision::Send(self.notice(Occasion::Reminder, Some(candidate.rule), key, due, to))
    }

    /// This very reminder was handed over, or may have been.
    fn is_done(&self, rule: &Rule, to: &Recipient<'_>) -> bool {
        let key = self.key(Occasion::Reminder, Some(rule), to);
        self.known.notices.iter().any(|n| n.notice.key == key && matches!(n.state, State::Accepted | State::Sending | State::Unknown))
    }

    /// The server took it, refused it, or may have taken it: for this start.
    fn is_settled(&self, occasion: Occasion, rule: Option<&str>) -> bool {
        self.known.notices.iter().any(|n| {
            n.notice.occasion == occasion
                && n.notice.rule.as_deref() == rule
                && n.notice.start == self.session.start
                && (n.state.told() || n.state == State::Rejected)
        })
    }

    /// Reasons against any occasion at that time.
    fn against(&self, at: DateTime<Utc>) -> Option<Reason> {
        if self.participant.connected_at.is_some() {
            return Some(Reason::AlreadyConnected);
        }
        self.participant.expires_at.is_some_and(|expires| expires <= at).then_some(Reason::PassExpired)
    }

    /// Every occasion omitted for the same reason.
    fn refuse_all(&self, reason: Reason, detail: &Option<String>) -> Vec<Decision> {
        let rules = self.policy.rules.iter().map(|r| (Occasion::Reminder, Some(r)));
        std::iter::once((Occasion::Invite, None))
            .chain(rules)
            .map(|(occasion, rule)| Decision::Omit(self.omission(occasion, rule, reason, detail.clone())))
            .collect()
    }

    fn omission(&self, occasion: Occasion, rule: Option<&Rule>, reason: Reason, detail: Option<String>) -> Omission {
        Omission {
            session: Some(self.session.id),
            participation: Some(self.participant.id),
            role: Some(self.participant.role),
            occasion: Some(occasion),
            rule: rule.map(|r| r.name.clone()),
            channel: match self.participant.auto_deliver {
                AutoDeliver::Email => Some(Channel::Email),
                AutoDeliver::Sms => Some(Channel::Sms),
                AutoDeliver::Nobody => None,
            },
            due_at: None,
            reason,
            detail,
        }
    }

    fn key(&self, occasion: Occasion, rule: Option<&Rule>, to: &Recipient<'_>) -> NoticeKey {
        NoticeKey::of(&Identity {
            practice: &self.policy.practice,
            session: self.session.id,
            participation: self.participant.id,
            occasion,
            rule: rule.map(|r| r.name.as_str()),
            start: self.session.start,
            address: &to.address,
            content: "",
        })
    }

    fn notice(&self, occasion: Occasion, rule: Option<&Rule>, key: NoticeKey, due_at: DateTime<Utc>, to: &Recipient<'_>) -> Notice {
        Notice {
            key,
            session: self.session.id,
            participation: self.participant.id,
            role: self.participant.role,
            occasion,
            rule: rule.map(|r| r.name.clone()),
            address: to.address.clone(),
            start: self.session.start,
            due_at,
            useful_until: self.useful_until(),
        }
    }
}

/// A planned time that has passed stays as it is, so that a late notice shows how late it is; only quiet hours that reign now move it.
fn overdue_keeps_its_time(planned: DateTime<Utc>, now: DateTime<Utc>, permitted: impl Fn(DateTime<Utc>) -> DateTime<Utc>) -> DateTime<Utc> {
    if planned >= now {
        return planned;
    }
    match permitted(now) {
        at if at == now => planned,
        later => later,
    }
}

/// Occasions that tell a participant where and when.
fn is_announcement(occasion: Occasion) -> bool {
    matches!(occasion, Occasion::Invite | Occasion::Rescheduled | Occasion::Updated)
}
