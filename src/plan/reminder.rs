//! Reminders: when each rule's falls due, the first reason against it, and which of several that are due at once is sent.

use chrono::{DateTime, Utc};

use super::occasion::Case;
use super::policy::Policy;
use super::recipient::{Recipient, zone_of};
use super::rule::Rule;
use crate::contact::Channel;
use crate::notice::{Decision, Notice, Occasion, Omission, Reason};
use crate::session::Session;

/// Of a reminder that was due before quiet hours and did not go, where no permitted time is left.
pub(super) const KEPT_INTO_QUIET: &str = "it was due, did not go, and quiet hours have begun";

/// A reminder that passed every check of its own: what is left is to compare it with the others.
struct Candidate<'a> {
    rule: &'a Rule,
    /// The rule's time, kept out of quiet hours.
    due: Result<DateTime<Utc>, Omission>,
}

impl Case<'_> {
    /// One decision for each rule, in the order of the configuration.
    pub(super) fn reminders(&self, to: &Recipient<'_>, announced_at: Option<DateTime<Utc>>) -> Vec<Decision> {
        let candidate = |rule| Candidate { rule, due: self.reminder(rule, to, announced_at) };
        let candidates: Vec<Candidate<'_>> = self.policy.rules.iter().map(candidate).collect();
        candidates.iter().enumerate().map(|(n, candidate)| self.choose(candidate, n, &candidates, to)).collect()
    }

    /// When one rule's reminder goes, or the first reason against it that does not depend on other rules.
    fn reminder(&self, rule: &Rule, to: &Recipient<'_>, announced_at: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Omission> {
        let omit = |reason, due_at, detail| Omission { due_at, ..self.omission(Occasion::Reminder, Some(rule), reason, detail) };
        let start = self.session.start;
        let Some(time) = rule.time(start, &to.zone.zone) else { return Err(omit(Reason::Started, None, None)) };
        let kept = self.out_of_quiet_hours(time, to);
        let due = kept.unwrap_or(time);
        if self.declined() {
            return Err(omit(Reason::Declined, Some(time), None));
        }
        if self.participant.rsvp_unknown {
            return Err(omit(Reason::UnknownStatus, Some(time), Some("RSVP has a word that is not known".to_owned())));
        }
        if let Some(reason) = self.needless(due.max(self.now)) {
            return Err(omit(reason, Some(time), None));
        }
        if self.is_meet_now() {
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
            && let Some(why) = self.policy.frequency.against(due.max(self.now), &self.known.reminded_themselves(), &to.zone.zone)
        {
            return Err(omit(Reason::Frequency, Some(due), Some(why)));
        }
        kept.ok_or_else(|| match self.overdue(rule, to) {
            Some(due_at) => omit(Reason::Lapsed, Some(due_at), Some(KEPT_INTO_QUIET.to_owned())),
            None => omit(Reason::QuietHours, Some(time), None),
        })
    }

    /// When this very reminder was due, if it waits since: it should have gone.
    fn overdue(&self, rule: &Rule, to: &Recipient<'_>) -> Option<DateTime<Utc>> {
        let key = self.key(Occasion::Reminder, Some(rule), to, "");
        let row = self.known.notices.iter().find(|n| n.notice.key == key)?;
        (row.state.pending() && !row.may_have_been_sent() && row.notice.due_at <= self.now).then_some(row.notice.due_at)
    }

    /// The rule's time kept out of quiet hours; what is overdue is kept out of the quiet hours that reign now.
    pub(super) fn out_of_quiet_hours(&self, time: DateTime<Utc>, to: &Recipient<'_>) -> Option<DateTime<Utc>> {
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
        Decision::Send(self.notice(Occasion::Reminder, Some(candidate.rule), key, due, &to.address))
    }

    /// This very reminder was handed over, or may have been.
    fn is_done(&self, rule: &Rule, to: &Recipient<'_>) -> bool {
        let key = self.key(Occasion::Reminder, Some(rule), to, "");
        self.known.notices.iter().any(|n| n.notice.key == key && n.may_have_been_sent())
    }
}

/// When a reminder is due by its rule, whatever quiet hours make of that. `None`: it has no rule that is configured, or nobody of that session has it.
pub fn rule_time(notice: &Notice, session: &Session, policy: &Policy) -> Option<DateTime<Utc>> {
    let rule = policy.rules.iter().find(|rule| notice.rule.as_deref() == Some(&rule.name))?;
    let zone = zone_of(session.participant(notice.participation)?, policy).ok()?;
    rule.time(notice.start, &zone.zone)
}
