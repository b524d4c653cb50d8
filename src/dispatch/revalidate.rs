//! The last look at one claimed notice: what the planner says of it now, by the latest that the source said; and its message.
//!
//! In: a claim, its session, the suppression list, `now`. Out: what may go over, or the claim's end. Pure but for the log, and for asking that its
//! source be looked at.

use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::elsewhere::FreedHour;
use super::lane::Lane;
use super::ready::Ready;
use super::{Dispatcher, again};
use crate::contact::Channel;
use crate::entry::State;
use crate::known::{Known, KnownMap, KnownNotice};
use crate::message::{Content, Message};
use crate::notice::{Notice, Occasion, Reason};
use crate::outbox::{Claim, Settlement};
use crate::outcome::Unsaid;
use crate::plan::diff::{SendDecision, revalidate, state_after};
use crate::plan::{self, Recipient, Suppressions};
use crate::render::{Facts, RenderError, calls_by_another_name, calls_it_another_day};
use crate::session::{Participant, Presence, Session};

/// A notice that waits for a look at its source is tried again after so long.
const LOOK_TIME: TimeDelta = TimeDelta::seconds(15);
/// What waits until an earlier message to the same person has its answer is tried again after so long.
const IN_TURN: TimeDelta = TimeDelta::seconds(5);

/// One claim, and what it is held against.
pub(super) struct Revalidation<'a> {
    pub(super) dispatcher: &'a Dispatcher,
    pub(super) lane: &'a Lane,
    pub(super) claim: &'a Claim,
    /// As the source last said it.
    pub(super) session: &'a Session,
    pub(super) now: DateTime<Utc>,
}

impl Revalidation<'_> {
    /// What may go over; or the claim's end.
    pub(super) fn decide(&self, suppressed: &Suppressions, unsaid: &Arc<Unsaid>) -> Result<Ready, Settlement> {
        let (claim, policy) = (self.claim, &self.dispatcher.policy);
        let participant = self.expected()?;
        let first = again::first(claim);
        let notice = self.still_wanted(participant, first.as_ref(), suppressed)?;
        self.heard_since_the_start(&notice)?;
        let facts = plan::facts(self.session, participant, policy);
        self.still_true(participant, &facts)?;
        let to = plan::reader(self.session, participant, &notice.address, policy).map_err(|_| self.no(Reason::Quarantined))?;
        self.in_time(&notice, first.as_ref(), &to)?;
        let message = self.compose(&notice, participant, &to)?;
        let left = FreedHour::by(&notice, participant, &claim.known).filter(|_| !self.doubtful() || notice.occasion != Occasion::Cancelled);
        Ok(Ready {
            lease: claim.lease(),
            revision: claim.revision,
            facts,
            holds_until: self.holds_until(&notice, &to),
            notice,
            message,
            transport: self.lane.preferred(self.now).to_owned(),
            attempts: claim.entry.attempts,
            again: self.doubtful(),
            left,
            unsaid: Arc::clone(unsaid),
            decided_at: self.now,
        })
    }

    /// The participant, whom the source still lists, and whose source is not silent for too long.
    fn expected(&self) -> Result<&Participant, Settlement> {
        if !self.dispatcher.policy.believes(heard_at(self.claim, self.session), self.now) && !self.doubtful() {
            return Err(self.no(Reason::SourceStale));
        }
        self.session.participant(self.claim.entry.notice.participation).ok_or_else(|| self.no(Reason::Absent))
    }

    /// The notice as the planner decides it now. `first`: the message that staff hand over again by it.
    fn still_wanted(&self, participant: &Participant, first: Option<&Notice>, suppressed: &Suppressions) -> Result<Notice, Settlement> {
        let (claim, now) = (self.claim, self.now);
        let claimed = &claim.entry.notice;
        let nobody = Suppressions::default();
        let suppressed = again::listed(claimed, first, suppressed, &nobody).map_err(|reason| self.no(reason))?;
        let again = now + IN_TURN;
        if !self.doubtful() && is_under_way(claim) && again < claimed.useful_until {
            return Err(Settlement::moved(again));
        }
        let row = KnownNotice {
            notice: first.unwrap_or(claimed).clone(),
            // Asked as if it had not been told: a doubtful one goes again only if it would go now.
            state: State::Waiting,
            reason: claim.entry.reason,
            changed_at: claim.entry.changed_at,
            facts: claim.entry.facts.clone(),
            doubted: false,
            undelivered: false,
        };
        let mut known = again::without_resends(with_row(claim, &row), first);
        plan::by_this_clock(&mut known, now);
        let known = KnownMap::from([((self.session.id, participant.id), known)]);
        let plan = plan::plan_session(self.session, &known, &self.dispatcher.policy, suppressed, now);
        match revalidate(&row, &plan.of(participant.id), now) {
            SendDecision::Go(decided) => Ok(again::decided(decided, first, claimed)),
            SendDecision::Later(n) => Err(Settlement::moved(n.due_at)),
            SendDecision::No(reason) => Err(self.no(reason)),
        }
    }

    /// Who is missing from a session, only a source that was heard since its start can tell.
    fn heard_since_the_start(&self, notice: &Notice) -> Result<(), Settlement> {
        let was_heard = self.session.presence == Presence::Listed && self.claim.snapshot_at >= self.session.start;
        if notice.occasion != Occasion::NotJoined || was_heard {
            return Ok(());
        }
        self.lane.request_refresh();
        let again = self.now + LOOK_TIME;
        let late = self.doubtful() || again >= notice.useful_until;
        Err(if late { self.no(Reason::SourceStale) } else { Settlement::moved(again) })
    }

    /// The second copy of a message is the same bytes: they must not tell what holds no more. A correction is on its way.
    fn still_true(&self, participant: &Participant, facts: &str) -> Result<(), Settlement> {
        let doubtful = self.doubtful();
        let hold = |frozen: &String| plan::facts::hold(frozen, facts, self.session, participant, &self.dispatcher.policy);
        if doubtful && self.claim.entry.facts.as_ref().is_some_and(|frozen| !hold(frozen)) {
            return Err(self.no(Reason::Outdated));
        }
        Ok(())
    }

    /// Now is the time for it on its reader's clock.
    fn in_time(&self, notice: &Notice, first: Option<&Notice>, to: &Recipient<'_>) -> Result<(), Settlement> {
        let (claim, now, zone) = (self.claim, self.now, &to.zone.zone);
        if claim.frozen_at.is_some_and(|then| calls_it_another_day(notice.start, zone, then, now)) {
            return Err(self.no(Reason::Outdated));
        }
        if let Some(morning) = first.and_then(|first| self.waits_for_morning(first, notice, to)) {
            return Err(if morning < notice.useful_until { Settlement::moved(morning) } else { self.no(Reason::QuietHours) });
        }
        let by_text = notice.occasion == Occasion::Reminder && notice.address.channel() == Channel::Sms;
        let limit = self.dispatcher.policy.frequency;
        if by_text && !self.doubtful() && limit.may_be_full(now, &claim.known.reminded_themselves(), zone) {
            let again = now + LOOK_TIME;
            return Err(if again < notice.useful_until { Settlement::moved(again) } else { self.no(Reason::Frequency) });
        }
        Ok(())
    }

    /// Its message: the bytes that were frozen, if an earlier copy is in doubt.
    fn compose(&self, notice: &Notice, participant: &Participant, to: &Recipient<'_>) -> Result<Message, Settlement> {
        let (known, session) = (&self.claim.known, self.session);
        let facts = Facts {
            notice,
            session,
            participant,
            zone: &to.zone,
            locale: to.locale,
            meet_now: plan::joins_now(session, known, Some(&notice.address)),
            was: known.knows_another_start(session.start),
            sequence: sequence(notice, &known.notices),
            number: known.number(&notice.address),
        };
        let rendered = self.dispatcher.renderer.render(&facts, self.now);
        let mut message = rendered.map_err(|error| self.unrenderable(notice, &error))?.message;
        if self.doubtful()
            && let Some(bytes) = &self.claim.frozen
        {
            let copy = frozen(message.content.clone(), bytes);
            if calls_by_another_name(&copy, &message.content, session) {
                return Err(self.no(Reason::Outdated));
            }
            message.content = copy;
        }
        Ok(message)
    }

    /// What staff hand over again of a message that arrived, by night.
    fn waits_for_morning(&self, first: &Notice, notice: &Notice, to: &Recipient<'_>) -> Option<DateTime<Utc>> {
        let first = self.claim.known.notices.iter().find(|one| one.notice.key == first.key);
        let at = plan::asked::handed_again_at((notice, first), &self.dispatcher.policy, &to.zone.zone, self.now);
        (at > self.now).then_some(at)
    }

    /// Until when what is decided now may leave as it is.
    fn holds_until(&self, notice: &Notice, to: &Recipient<'_>) -> DateTime<Utc> {
        let (zone, now) = (&to.zone.zone, self.now);
        let quiet = self.dispatcher.policy.quiet.as_ref().and_then(|quiet| quiet.begin_after(now, notice.address.channel(), zone));
        let midnight = zone.local(now).civil.date().succ_opt().map(|day| zone.instant(day.and_time(NaiveTime::MIN)));
        [quiet, midnight].into_iter().flatten().fold(notice.useful_until, DateTime::min)
    }

    fn doubtful(&self) -> bool {
        is_doubtful(self.claim)
    }

    fn no(&self, reason: Reason) -> Settlement {
        refusal(self.doubtful(), reason)
    }

    fn unrenderable(&self, notice: &Notice, error: &RenderError) -> Settlement {
        let reason = if matches!(error, RenderError::Leak { .. }) { Reason::Leak } else { Reason::Template };
        tracing::error!(key = %notice.key, session = %notice.session, %reason, %error, "held: no message could be made of it");
        self.no(reason)
    }
}

/// It is the second copy of a message in doubt.
pub(super) fn is_doubtful(claim: &Claim) -> bool {
    claim.entry.state == State::Unknown || claim.frozen.is_some()
}

/// Not sent. One that was in doubt stays so: nobody knows whether it was told, and nobody will send it again.
pub(super) fn refusal(doubtful: bool, reason: Reason) -> Settlement {
    if doubtful {
        Settlement::Unknown { why: format!("not sent again: {reason}"), resend_at: None }
    } else {
        Settlement::Ended { state: state_after(reason), reason }
    }
}

/// Another message to the same person has left, and its answer is not there yet: what leaves now might arrive before it, and the older word would
/// be the last.
fn is_under_way(claim: &Claim) -> bool {
    claim.known.notices.iter().any(|n| n.notice.key != claim.entry.notice.key && n.state == State::Sending && n.doubted)
}

/// The calendar's SEQUENCE (RFC 5545 3.8.7.4): rises with each announcement that was told; a reminder or a nudge repeats the last one's.
fn sequence(notice: &Notice, history: &[KnownNotice]) -> u32 {
    let told =
        history.iter().filter(|n| n.may_have_been_sent() && !n.notice.occasion.repeats() && n.notice.key != notice.key).count() as u32;
    if notice.occasion.repeats() { told.saturating_sub(1) } else { told }
}

/// When the source last said something of this session: its last snapshot, unless that is without the part that has it.
fn heard_at(claim: &Claim, session: &Session) -> DateTime<Utc> {
    let person = session.participant(claim.entry.notice.participation).map(|p| p.presence);
    let unheard_since = claim.known.absent_since.filter(|_| [Some(session.presence), person].contains(&Some(Presence::Unknown)));
    unheard_since.map_or(claim.snapshot_at, |since| since.min(claim.snapshot_at))
}

/// The participant's history, with the claimed notice as it was before the claim.
fn with_row(claim: &Claim, row: &KnownNotice) -> Known {
    let mut known = claim.known.clone();
    match known.notices.iter_mut().find(|n| n.notice.key == row.notice.key) {
        Some(n) => *n = row.clone(),
        None => known.notices.push(row.clone()),
    }
    known
}

/// The same bytes again.
fn frozen(content: Content, bytes: &[u8]) -> Content {
    match content {
        Content::Email { from, to, .. } => Content::Email { from, to, bytes: bytes.into() },
        Content::Sms { to, encoding, segments, .. } => Content::Sms { to, text: String::from_utf8_lossy(bytes).into(), encoding, segments },
    }
}
