//! One participant's occasions: which fall due when, and which do not and why.

use chrono::{DateTime, TimeDelta, Utc};

use super::policy::{Policy, Suppressions};
use super::recipient::{Recipient, recipient};
use super::rule::Rule;
use crate::contact::Channel;
use crate::notice::{Decision, Identity, Notice, NoticeKey, Occasion, Omission, Reason};
use crate::outbox::reply::Answered;
use crate::outbox::{Known, KnownNotice, State};
use crate::session::{AutoDeliver, Participant, Presence, Rsvp, Session, Standing};

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

/// The invite or a correction, then each rule in the order of the configuration. What was handed over already is not omitted, whatever has
/// happened since.
pub(super) fn decide(case: &Case<'_>) -> Vec<Decision> {
    let mut decisions = all(case);
    decisions.retain(|d| match d {
        Decision::Send(_) => true,
        Decision::Omit(o) => o.occasion.is_none_or(|occasion| !case.is_settled(occasion, o.rule.as_deref())),
    });
    decisions
}

fn all(case: &Case<'_>) -> Vec<Decision> {
    // Even if it leaves the list: what is over is no news.
    if case.session.standing == Standing::Over && !case.session.cancelled {
        return case.refuse_all(Reason::Outdated, Some("ScheduleType says that it is over"));
    }
    if let Some(reason) = case.session.presence.against().or(case.participant.presence.against()) {
        return vec![case.nothing_at_all(reason, None)];
    }
    if case.session.standing == Standing::Unknown && !case.is_cancelled() {
        return vec![case.nothing_at_all(Reason::UnknownStatus, Some("ScheduleType has a word that is not known".to_owned()))];
    }
    let cancelled = case.is_cancelled();
    let to = match recipient(case.participant, case.policy, case.suppressed, !cancelled) {
        Ok(to) => to,
        Err((Reason::Quarantined, detail)) => return vec![case.nothing_at_all(Reason::Quarantined, detail)],
        Err((reason, detail)) => return case.refuse_all(reason, detail.as_deref()),
    };
    if cancelled {
        let reason = if case.participant.code.is_none() { Reason::NoConnectCode } else { Reason::Cancelled };
        let mut decisions = case.refuse_all(reason, None);
        decisions.extend(case.cancellation(&to));
        return decisions;
    }
    let announcements = case.announcements(&to);
    let announced_at = case.announced_at(&to, &announcements);
    let nudge = case.not_joined(&to, &announcements);
    let mut decisions = announcements;
    let candidates: Vec<Candidate<'_>> =
        case.policy.rules.iter().map(|rule| Candidate { rule, due: case.reminder(rule, &to, announced_at) }).collect();
    for (n, candidate) in candidates.iter().enumerate() {
        decisions.push(case.choose(candidate, n, &candidates, &to));
    }
    decisions.extend(nudge);
    decisions
}

/// The invite that somebody else sent before this program came. `None`: this person would not have been invited.
pub fn adopted_invite(
    session: &Session,
    participant: &Participant,
    known: &Known,
    policy: &Policy,
    suppressed: &Suppressions,
    now: DateTime<Utc>,
) -> Option<Notice> {
    let case = Case { session, participant, known, policy, suppressed, now };
    let to = recipient(participant, policy, suppressed, true).ok().filter(|_| known.adopted && !session.cancelled)?;
    let key = case.key(Occasion::Invite, None, &to, "");
    Some(case.notice(Occasion::Invite, None, key, now, &to))
}

impl Case<'_> {
    pub(super) fn useful_until(&self) -> DateTime<Utc> {
        if self.session.meet_now { self.session.start + MEET_NOW_USEFUL } else { self.session.start }
    }

    /// What the participant answered, or the source says.
    pub(super) fn rsvp(&self) -> Rsvp {
        Answered::or(self.known.rsvp, self.participant.rsvp)
    }

    /// It is cancelled, or counts as such.
    fn is_cancelled(&self) -> bool {
        self.session.cancelled || self.session.presence == Presence::Gone || self.participant.presence == Presence::Gone
    }

    /// The invite; or, for whoever was told before, what has changed since.
    fn announcements(&self, to: &Recipient<'_>) -> Vec<Decision> {
        match self.last_told(&to.address) {
            Some(last) => self.correction(to, last).into_iter().collect(),
            None => std::iter::once(self.invite(to)).chain(self.never_invited()).collect(),
        }
    }

    /// The participant's invite.
    fn invite(&self, to: &Recipient<'_>) -> Decision {
        let planned = if self.session.meet_now { self.known.first_seen } else { self.settled(self.address_known_at(to)) };
        let at = planned.max(self.now);
        let omit = |reason| Decision::Omit(Omission { due_at: Some(planned), ..self.omission(Occasion::Invite, None, reason, None) });
        if let Some(reason) = self.against(at) {
            return omit(reason);
        }
        if at >= self.useful_until() {
            return omit(Reason::Started);
        }
        if self.known.adopted && !self.policy.adopt_invites {
            return omit(Reason::Adopted);
        }
        let key = self.key(Occasion::Invite, None, to, "");
        Decision::Send(self.notice(Occasion::Invite, None, key, self.kept_out_of_quiet_hours(planned, to), to))
    }

    /// When this address became known. Another address is another person until they were told.
    fn address_known_at(&self, to: &Recipient<'_>) -> DateTime<Utc> {
        let readdressed = self.known.notices.iter().any(|n| n.told() && n.notice.address != to.address);
        if readdressed { self.known.first_seen.max(self.known.facts_known_at) } else { self.known.first_seen }
    }

    /// When a change may be told: once it has settled, or at once if there is no time for that before the start.
    pub(super) fn settled(&self, since: DateTime<Utc>) -> DateTime<Utc> {
        let settled = since + self.policy.settle;
        if settled < self.useful_until() { settled } else { since }
    }

    /// When an announcement that is planned for then may go.
    pub(super) fn kept_out_of_quiet_hours(&self, planned: DateTime<Utc>, to: &Recipient<'_>) -> DateTime<Utc> {
        self.policy.quiet.as_ref().map_or(planned, |quiet| {
            let permitted = |at| quiet.other(at, self.session.start, to.address.channel(), &to.zone.zone);
            overdue_keeps_its_time(permitted(planned), self.now, permitted)
        })
    }

    /// When the participant was last told where and when, or will be: reminders keep their distance from it.
    fn announced_at(&self, to: &Recipient<'_>, announcements: &[Decision]) -> Option<DateTime<Utc>> {
        let planned = announcements.iter().find_map(|d| if let Decision::Send(n) = d { Some(n.due_at.max(self.now)) } else { None });
        let told = self.known.notices.iter().filter(|n| is_announcement(n.notice.occasion) && n.notice.address == to.address);
        planned.or_else(|| told.filter(|n| n.told()).map(|n| n.changed_at).max())
    }

    /// When one rule's reminder goes, or the first reason against it that does not depend on other rules.
    fn reminder(&self, rule: &Rule, to: &Recipient<'_>, announced_at: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Omission> {
        let omit = |reason, due_at, detail| Omission { due_at, ..self.omission(Occasion::Reminder, Some(rule), reason, detail) };
        let start = self.session.start;
        let Some(time) = rule.time(start, &to.zone.zone) else { return Err(omit(Reason::Started, None, None)) };
        let kept = self.out_of_quiet_hours(time, to);
        let due = kept.unwrap_or(time);
        if self.rsvp() == Rsvp::Declined {
            return Err(omit(Reason::Declined, Some(time), None));
        }
        if self.participant.rsvp_unknown {
            return Err(omit(Reason::UnknownStatus, Some(time), Some("RSVP has a word that is not known".to_owned())));
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
        if time <= self.known.start_known_at.max(self.address_known_at(to)) {
            return Err(omit(Reason::BookedLate, Some(time), None));
        }
        if announced_at.is_some_and(|told| due.max(self.now) < told + self.policy.min_gap) {
            return Err(omit(Reason::TooClose, Some(due), None));
        }
        if to.address.channel() == Channel::Sms
            && let Some(why) = self.policy.frequency.against(due.max(self.now), &self.known.reminded, &to.zone.zone)
        {
            return Err(omit(Reason::Frequency, Some(due), Some(why)));
        }
        kept.ok_or_else(|| omit(Reason::QuietHours, Some(time), None))
    }

    /// The rule's time kept out of quiet hours; what is overdue is kept out of the quiet hours that reign now.
    fn out_of_quiet_hours(&self, time: DateTime<Utc>, to: &Recipient<'_>) -> Option<DateTime<Utc>> {
        let Some(quiet) = &self.policy.quiet else { return Some(time) };
        let (start, who) = (self.session.start, self.participant.id);
        let planned = quiet.reminder(time, start, self.known.start_known_at, to, who)?;
        if planned >= self.now {
            return Some(planned);
        }
        let permitted = quiet.reminder(self.now, start, self.now, to, who)?;
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
        let key = self.key(Occasion::Reminder, Some(candidate.rule), to, "");
        Decision::Send(self.notice(Occasion::Reminder, Some(candidate.rule), key, due, to))
    }

    /// This very reminder was handed over, or may have been.
    fn is_done(&self, rule: &Rule, to: &Recipient<'_>) -> bool {
        let key = self.key(Occasion::Reminder, Some(rule), to, "");
        self.known.notices.iter().any(|n| n.notice.key == key && n.told())
    }

    /// The server took it, refused it, or may have taken it: for this start.
    fn is_settled(&self, occasion: Occasion, rule: Option<&str>) -> bool {
        self.known.notices.iter().any(|n| {
            n.notice.occasion == occasion
                && n.notice.rule.as_deref() == rule
                && n.notice.start == self.session.start
                && (n.told() || n.state == State::Rejected)
        })
    }

    /// Reasons against any occasion at that time.
    pub(super) fn against(&self, at: DateTime<Utc>) -> Option<Reason> {
        if self.participant.connected_at.is_some() {
            return Some(Reason::AlreadyConnected);
        }
        self.participant.expires_at.is_some_and(|expires| expires <= at).then_some(Reason::PassExpired)
    }

    /// Every occasion omitted for the same reason.
    fn refuse_all(&self, reason: Reason, detail: Option<&str>) -> Vec<Decision> {
        let rules = self.policy.rules.iter().map(|r| (Occasion::Reminder, Some(r)));
        std::iter::once((Occasion::Invite, None))
            .chain(rules)
            .map(|(occasion, rule)| Decision::Omit(self.omission(occasion, rule, reason, detail.map(str::to_owned))))
            .chain(self.nudge_refused(reason, detail))
            .collect()
    }

    /// One omission that stands for all occasions.
    fn nothing_at_all(&self, reason: Reason, detail: Option<String>) -> Decision {
        Decision::Omit(Omission { occasion: None, ..self.omission(Occasion::Invite, None, reason, detail) })
    }

    pub(super) fn omission(&self, occasion: Occasion, rule: Option<&Rule>, reason: Reason, detail: Option<String>) -> Omission {
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

    pub(super) fn key(&self, occasion: Occasion, rule: Option<&Rule>, to: &Recipient<'_>, content: &str) -> NoticeKey {
        let identity = Identity {
            practice: &self.policy.practice,
            session: self.session.id,
            participation: self.participant.id,
            occasion,
            rule: rule.map(|r| r.name.as_str()),
            start: self.session.start,
            address: &to.address,
            content,
        };
        // What a store of before knows under the key of a spelling is the same notice.
        let spelt = |n: &&KnownNotice| {
            let (row, address) = (&n.notice, &n.notice.address);
            let alike = row.occasion == occasion && row.start == identity.start && *address == to.address && !address.is_canonical();
            alike && row.key == NoticeKey::of_spelling(&Identity { address, ..identity })
        };
        self.known.notices.iter().find(spelt).map_or_else(|| NoticeKey::of(&identity), |n| n.notice.key)
    }

    pub(super) fn notice(
        &self,
        occasion: Occasion,
        rule: Option<&Rule>,
        key: NoticeKey,
        due_at: DateTime<Utc>,
        to: &Recipient<'_>,
    ) -> Notice {
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
pub(super) fn is_announcement(occasion: Occasion) -> bool {
    matches!(occasion, Occasion::Invite | Occasion::Rescheduled | Occasion::Updated)
}
