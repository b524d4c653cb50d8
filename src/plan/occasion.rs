//! One participant's occasions: which fall due when, and which do not and why.

use chrono::{DateTime, TimeDelta, Utc};

use super::diff;
use super::meet_now::{MEET_NOW_USEFUL, address_known_at, is_meet_now, joins_now};
use super::policy::{Policy, Suppressions};
use super::recipient::{Recipient, reader, recipient, told_at};
use super::rule::Rule;
use crate::contact::{Address, Channel};
use crate::entry::State;
use crate::known::{Known, KnownNotice};
use crate::notice::{Decision, Identity, Notice, NoticeKey, Occasion, Omission, Reason};
use crate::session::{AutoDeliver, Participant, Presence, Rsvp, Session, Standing};

/// A first attempt to connect that is longer ago than this before the start was one to look whether it works.
const CONNECTED_BEFORE: TimeDelta = TimeDelta::hours(2);

/// All that one participant's decisions depend on.
pub(super) struct Case<'a> {
    pub(super) session: &'a Session,
    pub(super) participant: &'a Participant,
    pub(super) known: &'a Known,
    pub(super) policy: &'a Policy,
    pub(super) suppressed: &'a Suppressions,
    pub(super) now: DateTime<Utc>,
}

/// The invite or a correction, then each rule in the order of the configuration. What was handed over already is not omitted, whatever has
/// happened since; a correction that is due is another one than those of earlier changes.
pub(super) fn decide(case: &Case<'_>) -> Vec<Decision> {
    let mut decisions = all(case);
    let is_another = |occasion| matches!(occasion, Occasion::Rescheduled | Occasion::Updated) && case.heard_last().is_some();
    decisions.retain(|d| match d {
        Decision::Send(_) => true,
        Decision::Omit(o) => o.occasion.is_none_or(|occasion| is_another(occasion) || !case.is_settled(occasion, o.rule.as_deref())),
    });
    decisions
}

fn all(case: &Case<'_>) -> Vec<Decision> {
    // Even if it leaves the list: what is over is no news.
    if case.session.standing == Standing::Over && !case.session.cancelled {
        return case.refuse_all(Reason::Outdated, Some("ScheduleType says that it is over"));
    }
    if let Some(reason) = Reason::against(case.session.presence).or(Reason::against(case.participant.presence)) {
        return vec![case.nothing_at_all(reason, None)];
    }
    if case.session.standing == Standing::Unknown && !case.is_cancelled() {
        return vec![case.nothing_at_all(Reason::UnknownStatus, Some("ScheduleType has a word that is not known".to_owned()))];
    }
    let cancelled = case.is_cancelled();
    let to = match recipient(case.participant, case.policy, case.suppressed, !cancelled) {
        Ok(to) => to,
        // What is at fault by now changes nothing of what they were told.
        Err((Reason::Quarantined, _)) if cancelled && case.can_be_called_off() => {
            let mut decisions = case.refuse_all(Reason::Cancelled, None);
            decisions.extend(case.cancellations(None));
            return decisions;
        }
        Err((Reason::Quarantined, detail)) => return vec![case.nothing_at_all(Reason::Quarantined, detail)],
        Err((reason, detail)) => {
            let mut decisions = case.refuse_all(reason, detail.as_deref());
            // They may have been told at another address than the one that cannot be used.
            if cancelled && is_of_the_address(reason) && case.heard_last().is_some() {
                decisions.extend(case.cancellations(None));
            }
            // The host tells them this, too, and staff see that somebody has to.
            if cancelled && reason == Reason::HostDelivers && case.expects_it() {
                let told = Decision::Omit(case.omission(Occasion::Cancelled, None, reason, None));
                decisions.extend((!decisions.contains(&told)).then_some(told));
            }
            return decisions;
        }
    };
    if cancelled {
        let reason = if case.participant.code.is_none() { Reason::NoConnectCode } else { Reason::Cancelled };
        let mut decisions = case.refuse_all(reason, None);
        decisions.extend(case.cancellations(Some(&to)));
        return decisions;
    }
    let announcements = case.announcements(&to);
    let announced_at = case.announced_at(&to, &announcements);
    let nudge = case.not_joined(&to, &announcements);
    let mut decisions = announcements;
    decisions.extend(case.reminders(&to, announced_at));
    decisions.extend(case.asked(&to));
    decisions.extend(nudge);
    decisions
}

/// Their session is cancelled, or counts as such, or their part in it does.
pub fn is_off(session: &Session, person: &Participant) -> bool {
    session.cancelled || session.presence == Presence::Gone || person.presence == Presence::Gone
}

/// The invite that somebody else sent before this program came. `None`: this person would not have been invited.
pub fn adopted_invite(
    (session, participant, known): (&Session, &Participant, &Known),
    policy: &Policy,
    suppressed: &Suppressions,
    now: DateTime<Utc>,
) -> Option<Notice> {
    let case = Case { session, participant, known, policy, suppressed, now };
    if known.adopted && !session.cancelled { case.plain_invite(now) } else { None }
}

/// The invite of whoever was held as ambiguous until their session began, and was told nothing of it: it should have gone, and did not. `None`: they
/// would not have been invited, or know of it.
pub fn missed_invite(
    (session, participant, known): (&Session, &Participant, &Known),
    policy: &Policy,
    suppressed: &Suppressions,
    now: DateTime<Utc>,
) -> Option<Notice> {
    let participant = &Participant { ambiguous: None, ..participant.clone() };
    let case = Case { session, participant, known, policy, suppressed, now };
    let untold = known.notices.is_empty() && !known.adopted && participant.connected_at.is_none();
    if untold && session.is_active() { case.plain_invite(session.start.min(now)) } else { None }
}

impl Case<'_> {
    /// An invite that nothing was told before, be their clock known or not. `None`: they cannot be told.
    fn plain_invite(&self, due_at: DateTime<Utc>) -> Option<Notice> {
        let address = told_at(self.participant, self.policy, self.suppressed, true).ok()?;
        let key = self.key_of(Occasion::Invite, None, (&address, self.session.start), "");
        Some(self.notice(Occasion::Invite, None, key, due_at, &address))
    }

    pub(super) fn useful_until(&self) -> DateTime<Utc> {
        if self.is_meet_now() { self.session.start + MEET_NOW_USEFUL } else { self.session.start }
    }

    pub(super) fn is_meet_now(&self) -> bool {
        is_meet_now(self.session, self.known)
    }

    /// They declined this start: the answer to an earlier one says nothing of it.
    pub(super) fn declined(&self) -> bool {
        let by_text = self.known.rsvp.filter(|answered| answered.over == self.participant.rsvp);
        let (says, of) = match (by_text, self.known.said) {
            (Some(answered), _) => (answered.says, self.known.answered_start),
            (None, said) => (self.participant.rsvp, said.map(|said| said.start)),
        };
        says == Rsvp::Declined && of.is_none_or(|start| start == self.session.start)
    }

    /// They tried to connect to this session at this time: not long before, and not when it was to start at another time.
    fn connected(&self) -> bool {
        let moved = self.known.start_known_at > self.known.first_seen;
        self.participant
            .connected_at
            .is_some_and(|at| at >= self.session.start - CONNECTED_BEFORE && !(moved && at < self.known.start_known_at))
    }

    /// It is cancelled, or counts as such.
    fn is_cancelled(&self) -> bool {
        is_off(self.session, self.participant)
    }

    /// The invite; or, for whoever was told before, what has changed since.
    fn announcements(&self, to: &Recipient<'_>) -> Vec<Decision> {
        match self.heard_here(&to.address) {
            Some(here) => self.correction(to, here).into_iter().collect(),
            None if self.heard_last().is_some() => vec![self.invite(to)],
            None => std::iter::once(self.invite(to)).chain(self.never_invited()).collect(),
        }
    }

    /// They were told of it, and not that it is cancelled.
    fn expects_it(&self) -> bool {
        self.heard_last().is_some_and(|last| last.notice.occasion != Occasion::Cancelled)
    }

    fn invite(&self, to: &Recipient<'_>) -> Decision {
        let known_at = self.address_known_at(to);
        // Whoever was told of another time at another address must not sit and wait.
        let at_once = joins_now(self.session, self.known, Some(&to.address));
        let useful_until = if at_once { self.session.start + MEET_NOW_USEFUL } else { self.useful_until() };
        let until = self.heard_last().and_then(|last| self.waits_for(last, known_at)).unwrap_or(useful_until).min(useful_until);
        let planned = if at_once { known_at } else { self.settled(known_at, until) };
        let due_at = self.kept_out_of_quiet_hours(planned, until.min(self.session.start), to);
        let omit = |reason| Decision::Omit(Omission { due_at: Some(planned), ..self.omission(Occasion::Invite, None, reason, None) });
        if self.pass_has_ended(due_at.max(self.now)) {
            return omit(Reason::PassExpired);
        }
        if planned.max(self.now) >= useful_until {
            return omit(Reason::Started);
        }
        if self.was_announced_elsewhere() {
            return omit(Reason::Adopted);
        }
        if at_once && !self.is_meet_now() && self.connected() {
            // They came into it by themselves, or were let in.
            return omit(Reason::AlreadyConnected);
        }
        let key = self.key_since(Occasion::Invite, (&to.address, self.session.start), "");
        Decision::Send(Notice { useful_until, ..self.notice(Occasion::Invite, None, key, due_at, &to.address) })
    }

    /// Somebody else told them before this program came, where they are to be told now. Whose address was corrected since was not told there.
    fn was_announced_elsewhere(&self) -> bool {
        self.known.adopted && !self.policy.adopt_invites && self.heard_last().is_none()
    }

    pub(super) fn address_known_at(&self, to: &Recipient<'_>) -> DateTime<Utc> {
        address_known_at(self.known, &to.address)
    }

    /// When a change may be told: once it has settled, or at once if there is no time for that.
    pub(super) fn settled(&self, since: DateTime<Utc>, until: DateTime<Utc>) -> DateTime<Utc> {
        let settled = since + self.policy.settle;
        if settled < until { settled } else { since }
    }

    /// When an announcement that is planned for then may go. `start`: of what it tells, or of what was told, if that is earlier.
    pub(super) fn kept_out_of_quiet_hours(&self, planned: DateTime<Utc>, start: DateTime<Utc>, to: &Recipient<'_>) -> DateTime<Utc> {
        self.policy.quiet.as_ref().map_or(planned, |quiet| {
            let permitted = |at| quiet.other(at, start, to.address.channel(), &to.zone.zone);
            overdue_keeps_its_time(permitted(planned), self.now, permitted)
        })
    }

    /// When the participant was last told where and when, or will be: reminders keep their distance from it, and from one that somebody asked for. What
    /// was refused, cancelled or held tells nobody: then the reminder, which carries the code as well, goes.
    fn announced_at(&self, to: &Recipient<'_>, announcements: &[Decision]) -> Option<DateTime<Utc>> {
        let goes = |n: &Notice| self.known.notices.iter().find(|row| row.notice.key == n.key).is_none_or(still_goes);
        let planned = announcements.iter().find_map(|d| if let Decision::Send(n) = d { Some(n).filter(|n| goes(n)) } else { None });
        let planned = planned.map(|n| n.due_at.max(self.now));
        let here = || self.known.notices.iter().filter(|n| n.notice.address == to.address);
        // What somebody asked for has the code of this start, too.
        let asked = |n: &&KnownNotice| n.notice.start == self.session.start && self.is_asked(&n.notice).is_some();
        let on_its_way =
            here().filter(asked).filter(|n| matches!(n.state, State::Waiting | State::Claimed | State::Sending) && !n.may_have_been_sent());
        let comes = planned.max(on_its_way.map(|n| n.notice.due_at.max(self.now)).max());
        let told = here().filter(|n| is_announcement(n.notice.occasion) || asked(n)).filter(|n| n.may_have_been_sent() && !n.undelivered);
        comes.or_else(|| told.map(KnownNotice::heard_at).max())
    }

    /// The server took it, refused it, or may have taken it: for this start.
    fn is_settled(&self, occasion: Occasion, rule: Option<&str>) -> bool {
        self.known.notices.iter().any(|n| {
            n.notice.occasion == occasion
                && n.notice.rule.as_deref() == rule
                && n.notice.start == self.session.start
                && (n.may_have_been_sent() || n.state == State::Rejected)
        })
    }

    /// Why nobody needs to be told again at that time.
    pub(super) fn needless(&self, at: DateTime<Utc>) -> Option<Reason> {
        if self.connected() {
            return Some(Reason::AlreadyConnected);
        }
        self.pass_has_ended(at).then_some(Reason::PassExpired)
    }

    fn pass_has_ended(&self, at: DateTime<Utc>) -> bool {
        self.participant.expires_at.is_some_and(|expires| expires <= at)
    }

    /// Every occasion omitted for the same reason, and the corrections that wait.
    fn refuse_all(&self, reason: Reason, detail: Option<&str>) -> Vec<Decision> {
        let rules = self.policy.rules.iter().map(|r| (Occasion::Reminder, Some(r)));
        let told_apart = self.is_cancelled() && (is_of_the_address(reason) || matches!(reason, Reason::Cancelled | Reason::NoConnectCode));
        let waits = |occasion: &Occasion| self.known.notices.iter().any(|n| n.state.pending() && n.notice.occasion == *occasion);
        let corrections = [Occasion::Rescheduled, Occasion::Updated, Occasion::Cancelled]
            .into_iter()
            .filter(|occasion| waits(occasion) && !(told_apart && *occasion == Occasion::Cancelled));
        std::iter::once((Occasion::Invite, None))
            .chain(rules)
            .chain(corrections.map(|occasion| (occasion, None)))
            .map(|(occasion, rule)| Decision::Omit(self.omission(occasion, rule, reason, detail.map(str::to_owned))))
            .chain(self.asked_refused(reason, detail))
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
        self.key_of(occasion, rule, (&to.address, self.session.start), content)
    }

    /// Of what is told about another start than the present one, too.
    pub(super) fn key_of(
        &self,
        occasion: Occasion,
        rule: Option<&Rule>,
        (address, start): (&Address, DateTime<Utc>),
        content: &str,
    ) -> NoticeKey {
        let identity = Identity {
            practice: &self.policy.practice,
            session: self.session.id,
            participation: self.participant.id,
            occasion,
            rule: rule.map(|r| r.name.as_str()),
            start,
            address,
            content,
        };
        // What a store of before knows under the key of a spelling is the same notice.
        let spelt = |n: &&KnownNotice| {
            let (row, address) = (&n.notice, &n.notice.address);
            let alike = row.occasion == occasion && row.start == identity.start && address == identity.address && !address.is_canonical();
            alike && row.key == NoticeKey::of_spelling(&Identity { address, ..identity })
        };
        self.known.notices.iter().find(spelt).map_or_else(|| NoticeKey::of(&identity), |n| n.notice.key)
    }

    /// This participant at that address.
    pub(super) fn reader_at(&self, address: &Address) -> Option<Recipient<'_>> {
        reader(self.session, self.participant, address, self.policy).ok()
    }

    pub(super) fn notice(
        &self,
        occasion: Occasion,
        rule: Option<&Rule>,
        key: NoticeKey,
        due_at: DateTime<Utc>,
        address: &Address,
    ) -> Notice {
        Notice {
            key,
            session: self.session.id,
            participation: self.participant.id,
            role: self.participant.role,
            occasion,
            rule: rule.map(|r| r.name.clone()),
            address: address.clone(),
            start: self.session.start,
            due_at,
            useful_until: self.useful_until(),
        }
    }
}

/// A message that was planned, and may tell somebody yet: when it was told is another question.
fn still_goes(row: &KnownNotice) -> bool {
    match row.state {
        State::Rejected => false,
        _ if row.may_have_been_sent() => false,
        State::Held => row.reason.is_none_or(diff::mends_itself),
        _ => !row.reason.is_some_and(Reason::is_a_persons),
    }
}

/// It is about the address, and not about the person.
fn is_of_the_address(reason: Reason) -> bool {
    use Reason::{Bounced, InvalidEmail, InvalidNumber, NoEmail, NoNumber, OptedOut};
    matches!(reason, NoEmail | InvalidEmail | NoNumber | InvalidNumber | OptedOut | Bounced)
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
