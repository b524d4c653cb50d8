//! What somebody at the practice asks for: that a participant is reminded now, with their code.
//!
//! It is a notice of its own, `reminder now` (the second one `now 2`); once the session runs it is `not_joined now`, in the words of that. Reasons
//! that are about the person and the session hold for it as for every reminder, and so do quiet hours, unless whoever asks says otherwise. What
//! spaces a practice's own rules (booked late, too close, superseded, Meet Now) does not: a person decided. Once asked for, the planner bears it
//! out as long as it stands: the last look finds what has changed since.
//!
//! That it was asked for, and for quiet hours too, shows by its key alone.

use chrono::{DateTime, TimeDelta, Utc};

use super::diff::{SendDecision, revalidate};
use super::occasion::{Case, decide};
use super::policy::{NotJoined, Policy, Suppressions};
use super::recipient::{Recipient, recipient};
use super::reminder::KEPT_INTO_QUIET;
use crate::contact::Channel;
use crate::entry::State;
use crate::known::{Known, KnownNotice};
use crate::notice::{Decision, Identity, Notice, NoticeKey, Occasion, Omission, Reason};
use crate::session::{Participant, Role, Session};
use crate::zone::Zone;

/// What is asked for once is not asked for again so soon: two people at a desk, or a button that is pressed twice.
pub const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(5);
/// So often at most a participant is reminded of a session by hand.
pub const ASKED_MAX: usize = 20;

/// Why somebody is not reminded now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotNow {
    /// A reason of the planner's table, and its detail.
    Against(Reason, Option<String>),
    /// Something that tells them is on its way, due then.
    UnderWay(DateTime<Utc>),
    /// They were told at that time, a moment ago.
    JustSent(DateTime<Utc>),
    /// They were reminded by hand too often.
    TooOften,
}

/// The reminder that goes now, or the first reason against it. `at_night`: also in quiet hours.
pub fn ask(
    session: &Session,
    participant: &Participant,
    known: &Known,
    (policy, suppressed): (&Policy, &Suppressions),
    (now, at_night): (DateTime<Utc>, bool),
) -> Result<Notice, NotNow> {
    let case = Case { session, participant, known, policy, suppressed, now };
    let notice = standing(&case, at_night)?;
    case.is_heard_anyway(&notice)?;
    case.asked_too_often().map_or(Ok(notice), Err)
}

/// The same, by night too, whatever tells them or told them a moment ago: they have heard another word since, or may have.
pub fn ask_anew(
    session: &Session,
    participant: &Participant,
    known: &Known,
    (policy, suppressed): (&Policy, &Suppressions),
    at: DateTime<Utc>,
) -> Result<Notice, NotNow> {
    let case = Case { session, participant, known, policy, suppressed, now: at };
    let notice = standing(&case, true)?;
    case.asked_too_often().map_or(Ok(notice), Err)
}

/// What is asked for, if the last look would let it go.
fn standing(case: &Case<'_>, at_night: bool) -> Result<Notice, NotNow> {
    let to = recipient(case.participant, case.policy, case.suppressed, true).map_err(|(reason, detail)| NotNow::Against(reason, detail))?;
    let (notice, now) = (case.asked_now(&to, at_night), case.now);
    let row = KnownNotice { notice, state: State::Waiting, reason: None, changed_at: now, facts: None, doubted: false, undelivered: false };
    let mut with = case.known.clone();
    with.notices.push(row.clone());
    let decisions = decide(&Case { known: &with, ..*case });
    let decisions: Vec<&Decision> = decisions.iter().collect();
    match revalidate(&row, &decisions, now) {
        SendDecision::Go(notice) => Ok(notice),
        SendDecision::Later(_) => Err(NotNow::Against(Reason::QuietHours, None)),
        SendDecision::No(Reason::Lapsed) => Err(NotNow::Against(Reason::Started, None)),
        SendDecision::No(reason) => Err(NotNow::Against(reason, detail_of(&row.notice, &decisions))),
    }
}

fn detail_of(notice: &Notice, decisions: &[&Decision]) -> Option<String> {
    decisions.iter().find_map(|decision| match decision {
        Decision::Omit(o) if o.occasion.is_none() || (o.occasion, &o.rule) == (Some(notice.occasion), &notice.rule) => o.detail.clone(),
        _ => None,
    })
}

/// When a correction that staff hand over again may go: now, or after quiet hours, however soon the start is then. Who has it already is woken for
/// nothing.
pub fn handed_again_at(
    (notice, first): (&Notice, Option<&KnownNotice>),
    policy: &Policy,
    zone: &Zone,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let corrects = matches!(notice.occasion, Occasion::Rescheduled | Occasion::Updated | Occasion::Cancelled);
    let is_known = corrects && first.is_some_and(KnownNotice::arrived);
    let quiet = policy.quiet.as_ref().filter(|_| is_known);
    quiet.and_then(|quiet| quiet.around(now, notice.address.channel(), zone)).map_or(now, |period| period.to)
}

impl Case<'_> {
    /// What would be asked for now, whether or not it may go.
    fn asked_now(&self, to: &Recipient<'_>, at_night: bool) -> Notice {
        let occasion = if self.now < self.useful_until() { Occasion::Reminder } else { Occasion::NotJoined };
        let useful_until = if occasion == Occasion::Reminder { self.useful_until() } else { self.joined_until() };
        let rule = match self.known.notices.iter().filter(|n| self.is_asked(&n.notice).is_some()).count() {
            0 => "now".to_owned(),
            before => format!("now {}", before + 1),
        };
        let mut notice =
            Notice { rule: Some(rule), useful_until, ..self.notice(occasion, None, NoticeKey([0; 16]), self.now, &to.address) };
        notice.key = self.asked_key(&notice, at_night);
        notice
    }

    /// Until when whoever has not joined may be told.
    fn joined_until(&self) -> DateTime<Utc> {
        let usual = NotJoined { after: TimeDelta::zero(), until: None };
        self.policy.not_joined.unwrap_or(usual).useful_until(self.session)
    }

    fn asked_key(&self, notice: &Notice, at_night: bool) -> NoticeKey {
        NoticeKey::of(&Identity {
            practice: &self.policy.practice,
            session: notice.session,
            participation: notice.participation,
            occasion: notice.occasion,
            rule: notice.rule.as_deref(),
            start: notice.start,
            address: &notice.address,
            content: if at_night { "asked, in quiet hours too" } else { "asked" },
        })
    }

    /// Somebody asked for it; whether for quiet hours, too.
    pub(super) fn is_asked(&self, notice: &Notice) -> Option<bool> {
        let may_be = notice.occasion.repeats() && notice.rule.as_ref().is_some_and(|rule| rule.starts_with("now"));
        [false, true].into_iter().find(|at_night| may_be && notice.key == self.asked_key(notice, *at_night))
    }

    /// What was asked for and waits.
    fn pending_asked(&self) -> impl Iterator<Item = (&Notice, bool)> {
        let pending = self.known.notices.iter().filter(|n| n.state.pending());
        pending.filter_map(|n| Some((&n.notice, self.is_asked(&n.notice)?)))
    }

    /// What was asked for and still stands, and what not. Of another start or address than now it says what holds no more: no word.
    pub(super) fn asked(&self, to: &Recipient<'_>) -> Vec<Decision> {
        let of_now = |n: &Notice| n.start == self.session.start && n.address == to.address;
        self.pending_asked().filter(|(n, _)| of_now(n)).map(|(n, at_night)| self.stands(n, at_night, to)).collect()
    }

    /// Each of them refused for that reason.
    pub(super) fn asked_refused(&self, reason: Reason, detail: Option<&str>) -> Vec<Decision> {
        self.pending_asked().map(|(n, _)| self.refused(n, reason, detail)).collect()
    }

    fn refused(&self, notice: &Notice, reason: Reason, detail: Option<&str>) -> Decision {
        let omission = self.omission(notice.occasion, None, reason, detail.map(str::to_owned));
        Decision::Omit(Omission { rule: notice.rule.clone(), due_at: Some(notice.due_at), ..omission })
    }

    fn stands(&self, notice: &Notice, at_night: bool, to: &Recipient<'_>) -> Decision {
        if notice.occasion == Occasion::NotJoined && self.participant.role == Role::Host {
            return self.refused(notice, Reason::HostsOff, Some("whoever hosts is not told to join"));
        }
        if self.declined() {
            return self.refused(notice, Reason::Declined, None);
        }
        if self.participant.rsvp_unknown {
            return self.refused(notice, Reason::UnknownStatus, Some("RSVP has a word that is not known"));
        }
        if let Some(reason) = self.needless(self.now.max(notice.due_at)) {
            return self.refused(notice, reason, None);
        }
        if self.now >= notice.useful_until {
            return self.refused(notice, Reason::Started, None);
        }
        if notice.occasion == Occasion::Reminder && to.address.channel() == Channel::Sms {
            let reminded = self.known.reminded_themselves();
            if let Some(why) = self.policy.frequency.against(self.now, &reminded, &to.zone.zone) {
                return self.refused(notice, Reason::Frequency, Some(&why));
            }
        }
        // A session that runs keeps no quiet hours.
        let keeps = notice.occasion == Occasion::Reminder && !at_night;
        match if keeps { self.out_of_quiet_hours(notice.due_at, to) } else { Some(notice.due_at) } {
            Some(due_at) => Decision::Send(Notice { due_at, address: to.address.clone(), ..notice.clone() }),
            None if notice.due_at < self.now => self.refused(notice, Reason::Lapsed, Some(KEPT_INTO_QUIET)),
            None => self.refused(notice, Reason::QuietHours, None),
        }
    }

    /// They hear it anyway: something that tells them of this start is on its way, or has just gone.
    fn is_heard_anyway(&self, notice: &Notice) -> Result<(), NotNow> {
        let tells = |n: &&KnownNotice| {
            (n.notice.start, &n.notice.address) == (notice.start, &notice.address) && n.notice.occasion != Occasion::Cancelled
        };
        let soon = self.now + self.policy.settle;
        for n in self.known.notices.iter().filter(tells) {
            let asked = self.is_asked(&n.notice).is_some();
            let under_way = match n.state {
                State::Claimed | State::Sending => true,
                State::Waiting => asked || n.notice.due_at <= soon,
                State::Held | State::Unknown => asked,
                _ => false,
            };
            if under_way {
                return Err(NotNow::UnderWay(n.notice.due_at));
            }
            if n.state == State::Accepted && !n.undelivered && self.now - n.changed_at < AGAIN_AFTER {
                return Err(NotNow::JustSent(n.changed_at));
            }
        }
        Ok(())
    }

    fn asked_too_often(&self) -> Option<NotNow> {
        let asked = self.known.notices.iter().filter(|n| self.is_asked(&n.notice).is_some());
        (asked.count() >= ASKED_MAX).then_some(NotNow::TooOften)
    }
}
