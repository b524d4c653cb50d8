//! The last look: what the planner says of a claimed notice now, by the latest that the source said; and its message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::elsewhere::Left;
use super::lane::Lane;
use super::{Dispatcher, again};
use crate::contact::Channel;
use crate::entry::State;
use crate::known::{Known, KnownMap, KnownNotice};
use crate::message::{Content, Message};
use crate::notice::{Notice, Occasion, Reason};
use crate::outbox::{Begin, Claim, Lease, Returned, Settlement};
use crate::outcome::Unsaid;
use crate::plan::diff::{Verdict, revalidate, state_after};
use crate::plan::{self, Recipient, Suppressions};
use crate::render::{Facts, RenderError, calls_by_another_name, calls_it_another_day};
use crate::session::{Presence, Session, SessionId};
use crate::source::just_read::JustRead;
use crate::source::kept;

/// A decision is so long in force; what waits longer is looked at again.
const FRESH: TimeDelta = TimeDelta::seconds(30);
/// A notice that waits for a look at its source is tried again after so long.
const LOOK_TIME: TimeDelta = TimeDelta::seconds(15);

/// What waits until an earlier message to the same person has its answer is tried again after so long.
const IN_TURN: TimeDelta = TimeDelta::seconds(5);

/// A message that may go, and what fences it.
pub(super) struct Ready {
    pub(super) lease: Lease,
    pub(super) revision: i64,
    /// Digest of the facts that the message holds.
    pub(super) facts: String,
    pub(super) notice: Notice,
    pub(super) message: Message,
    /// The transport that it is begun for: on record, unless another one takes it.
    pub(super) over: String,
    /// Attempts begun before this one.
    pub(super) attempts: u32,
    /// It is the second copy of a message in doubt.
    pub(super) again: bool,
    /// The hour that it takes from its reader, and who may be expected then all the same.
    pub(super) left: Option<Box<Left>>,
    /// Words of the session that a server may repeat, and nobody is told.
    pub(super) unsaid: Arc<Unsaid>,
    /// When that was decided.
    pub(super) decided_at: DateTime<Utc>,
    /// Until when it holds at the most: its use, quiet hours, and the day that it calls today or tomorrow.
    pub(super) holds_until: DateTime<Utc>,
}

impl Ready {
    /// What the store freezes of it.
    pub(super) fn begin(&self, over: String, at: DateTime<Utc>) -> Begin {
        Begin {
            lease: self.lease,
            revision: self.revision,
            facts: self.facts.clone(),
            at,
            transport: over,
            bytes: self.message.content.shared_bytes(),
        }
    }

    /// It may still be sent.
    pub(super) fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.holds_until
    }

    /// It may be sent without another look.
    pub(super) fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.holds(now) && (now - self.decided_at).abs() <= FRESH
    }
}

/// The store says that the session or the claim is another one by now: planned anew, tried anew.
pub(super) fn fenced(now: DateTime<Utc>) -> Settlement {
    Settlement::Return { outcome: Returned::Fenced, why: None, next_attempt_at: now + chrono::TimeDelta::seconds(1) }
}

/// What becomes of a claim.
pub(super) enum Prepared {
    Send(Box<Ready>),
    Settle(Lease, Settlement),
}

/// The session that was read last: the people of one session follow each other.
#[derive(Default)]
struct LastRead {
    /// Source, session and revision.
    of: Option<(String, SessionId, i64)>,
    /// And the words that are not repeated.
    session: Option<(Session, Arc<Unsaid>)>,
}

impl LastRead {
    /// The session as the source last said it; `None`: the record cannot be read.
    fn session(&mut self, claim: &Claim, just_read: &JustRead) -> Option<&(Session, Arc<Unsaid>)> {
        let (source, id, revision) = (&claim.entry.source, claim.entry.notice.session, claim.revision);
        if self.of.as_ref().is_none_or(|(s, i, r)| (s, *i, *r) != (source, id, revision)) {
            self.session = kept::session_just_read(&claim.session, just_read).map(|session| {
                let unsaid = Arc::new(kept::unsaid(&session));
                (session, unsaid)
            });
            self.of = Some((source.clone(), id, revision));
        }
        self.session.as_ref()
    }
}

impl Dispatcher {
    /// Revalidates and renders claims. Pure but for the log.
    pub(super) fn prepare(&self, claims: Vec<Claim>, lane: &Lane, suppressed: &Suppressions, now: DateTime<Utc>) -> Vec<Prepared> {
        let mut last = LastRead::default();
        claims.into_iter().map(|claim| self.prepare_alone(&claim, &mut last, lane, (suppressed, now))).collect()
    }

    /// One that cannot be prepared, by a defect of ours, stops no other one.
    fn prepare_alone(&self, claim: &Claim, last: &mut LastRead, lane: &Lane, at: (&Suppressions, DateTime<Utc>)) -> Prepared {
        let lease = claim.lease();
        let prepared = unless_it_panics(is_doubtful(claim), || self.prepare_one(claim, last, lane, at));
        prepared.unwrap_or_else(|end| {
            // It may be half-read.
            *last = LastRead::default();
            let session = claim.entry.notice.session;
            tracing::error!(key = %lease.key, %session, "held: a defect of this program, while its message was made");
            Prepared::Settle(lease, end)
        })
    }

    fn prepare_one(&self, claim: &Claim, last: &mut LastRead, lane: &Lane, at: (&Suppressions, DateTime<Utc>)) -> Prepared {
        let lease = claim.lease();
        match self.decide(claim, last, lane, at) {
            Ok(ready) => Prepared::Send(Box::new(ready)),
            Err(end) => {
                if let Settlement::Ended { reason, state: State::Lapsed } = &end {
                    let session = claim.entry.notice.session;
                    tracing::warn!(key = %lease.key, %session, channel = %lane.channel, %reason, "lapsed: it was not sent in time");
                } else if let Settlement::Ended { reason, state } = &end {
                    tracing::info!(key = %lease.key, session = %claim.entry.notice.session, channel = %lane.channel, %reason, %state, "not sent");
                }
                Prepared::Settle(lease, end)
            }
        }
    }

    fn decide(
        &self,
        claim: &Claim,
        last: &mut LastRead,
        lane: &Lane,
        (suppressed, now): (&Suppressions, DateTime<Utc>),
    ) -> Result<Ready, Settlement> {
        let doubtful = is_doubtful(claim);
        let no = |reason: Reason| refusal(doubtful, reason);
        let (session, unsaid) = last.session(claim, &self.just_read).ok_or_else(|| no(Reason::Quarantined))?;
        if !self.policy.believes(heard_at(claim, session), now) && !doubtful {
            return Err(no(Reason::SourceStale));
        }
        let notice = &claim.entry.notice;
        let participant = session.participant(notice.participation).ok_or_else(|| no(Reason::Absent))?;
        let (first, nobody) = (again::first(claim), Suppressions::default());
        let suppressed = again::listed(notice, first.as_ref(), suppressed, &nobody).map_err(no)?;
        let again = now + IN_TURN;
        if !doubtful && is_under_way(claim) && again < notice.useful_until {
            return Err(Settlement::moved(again));
        }
        let row = KnownNotice {
            notice: first.clone().unwrap_or_else(|| notice.clone()),
            // Asked as if it had not been told: a doubtful one goes again only if it would go now.
            state: State::Waiting,
            reason: claim.entry.reason,
            changed_at: claim.entry.changed_at,
            facts: claim.entry.facts.clone(),
            doubted: false,
            undelivered: false,
        };
        let mut known = again::without_resends(with_row(claim, &row), first.as_ref());
        plan::by_this_clock(&mut known, now);
        let known = KnownMap::from([((session.id, participant.id), known)]);
        let plan = plan::plan_session(session, &known, &self.policy, suppressed, now);
        let notice = match revalidate(&row, &plan.of(participant.id), now) {
            Verdict::Go(decided) => again::decided(decided, first.as_ref(), notice),
            Verdict::Later(n) => return Err(Settlement::moved(n.due_at)),
            Verdict::No(reason) => return Err(no(reason)),
        };
        if notice.occasion == Occasion::NotJoined && !was_heard_since_the_start(claim, session) {
            lane.want_look();
            let again = now + LOOK_TIME;
            let late = doubtful || again >= notice.useful_until;
            return Err(if late { no(Reason::SourceStale) } else { Settlement::moved(again) });
        }
        let told_now = plan::facts(session, participant, &self.policy);
        let hold = |frozen: &String| plan::facts::hold(frozen, &told_now, session, participant, &self.policy);
        if doubtful && claim.entry.facts.as_ref().is_some_and(|frozen| !hold(frozen)) {
            // The same bytes would tell what holds no more; a correction is on its way.
            return Err(no(Reason::Outdated));
        }
        let to = plan::reader(session, participant, &notice.address, &self.policy).map_err(|_| no(Reason::Quarantined))?;
        if claim.frozen_at.is_some_and(|then| calls_it_another_day(notice.start, &to.zone.zone, then, now)) {
            return Err(no(Reason::Outdated));
        }
        if let Some(first) = &first
            && let Some(morning) = self.waits_for_morning(claim, first, &notice, &to, now)
        {
            return Err(if morning < notice.useful_until { Settlement::moved(morning) } else { no(Reason::QuietHours) });
        }
        let limit = self.policy.frequency;
        let by_text = notice.occasion == Occasion::Reminder && notice.address.channel() == Channel::Sms;
        if by_text && !doubtful && limit.may_be_full(now, &claim.known.reminded_themselves(), &to.zone.zone) {
            let again = now + LOOK_TIME;
            return Err(if again < notice.useful_until { Settlement::moved(again) } else { no(Reason::Frequency) });
        }
        let sequence = sequence(&notice, &claim.known.notices);
        let meet_now = plan::joins_now(session, &claim.known, Some(&notice.address));
        let facts = Facts {
            notice: &notice,
            session,
            participant,
            zone: &to.zone,
            locale: to.locale,
            meet_now,
            was: claim.known.told_another(session.start),
            sequence,
            number: claim.known.number(&notice.address),
        };
        let mut message = self.renderer.render(&facts, now).map_err(|e| unrenderable(doubtful, &notice, &e))?.message;
        if doubtful && let Some(bytes) = &claim.frozen {
            let copy = frozen(message.content.clone(), bytes);
            if calls_by_another_name(&copy, &message.content, session) {
                return Err(no(Reason::Outdated));
            }
            message.content = copy;
        }
        let lease = claim.lease();
        let over = lane.preferred(now).to_owned();
        let holds_until = self.holds_until(&notice, &to, now);
        let left = Left::by(&notice, participant, &claim.known).filter(|_| !doubtful || notice.occasion != Occasion::Cancelled);
        Ok(Ready {
            lease,
            revision: claim.revision,
            facts: told_now,
            notice,
            message,
            over,
            attempts: claim.entry.attempts,
            again: doubtful,
            left,
            unsaid: Arc::clone(unsaid),
            decided_at: now,
            holds_until,
        })
    }

    /// What staff hand over again of a message that arrived, by night.
    fn waits_for_morning(
        &self,
        claim: &Claim,
        first: &Notice,
        notice: &Notice,
        to: &Recipient<'_>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let first = claim.known.notices.iter().find(|one| one.notice.key == first.key);
        let at = plan::asked::handed_again_at((notice, first), &self.policy, &to.zone.zone, now);
        (at > now).then_some(at)
    }

    /// Until when what is decided now may leave as it is.
    fn holds_until(&self, notice: &Notice, to: &Recipient<'_>, now: DateTime<Utc>) -> DateTime<Utc> {
        let zone = &to.zone.zone;
        let quiet = self.policy.quiet.as_ref().and_then(|quiet| quiet.begin_after(now, notice.address.channel(), zone));
        let midnight = zone.local(now).civil.date().succ_opt().map(|day| zone.instant(day.and_time(NaiveTime::MIN)));
        [quiet, midnight].into_iter().flatten().fold(notice.useful_until, DateTime::min)
    }
}

/// Another message to the same person has left, and its answer is not there yet: what leaves now might arrive before it, and the older word would
/// be the last.
fn is_under_way(claim: &Claim) -> bool {
    claim.known.notices.iter().any(|n| n.notice.key != claim.entry.notice.key && n.state == State::Sending && n.doubted)
}

/// It is the second copy of a message in doubt.
fn is_doubtful(claim: &Claim) -> bool {
    claim.entry.state == State::Unknown || claim.frozen.is_some()
}

/// What is made; or, if that meets a defect, the end of its notice: held, so that no start meets it again. The process goes on.
fn unless_it_panics<T>(doubtful: bool, make: impl FnOnce() -> T) -> Result<T, Settlement> {
    catch_unwind(AssertUnwindSafe(make)).map_err(|_| refusal(doubtful, Reason::Template))
}

/// The calendar's SEQUENCE (RFC 5545 3.8.7.4): rises with each announcement that was told; a reminder or a nudge repeats the last one's.
fn sequence(notice: &Notice, history: &[KnownNotice]) -> u32 {
    let told = history.iter().filter(|n| n.told() && !n.notice.occasion.repeats() && n.notice.key != notice.key).count() as u32;
    if notice.occasion.repeats() { told.saturating_sub(1) } else { told }
}

/// When the source last said something of this session: its last snapshot, unless that is without the part that has it.
fn heard_at(claim: &Claim, session: &Session) -> DateTime<Utc> {
    let person = session.participant(claim.entry.notice.participation).map(|p| p.presence);
    let unheard_since = claim.known.absent_since.filter(|_| [Some(session.presence), person].contains(&Some(Presence::Unheard)));
    unheard_since.map_or(claim.snapshot_at, |since| since.min(claim.snapshot_at))
}

/// Whether the source said since the start that the session is there: who is missing from it, only that can tell.
fn was_heard_since_the_start(claim: &Claim, session: &Session) -> bool {
    session.presence == Presence::Listed && claim.snapshot_at >= session.start
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

/// Not sent. One that was in doubt stays so: nobody knows whether it was told, and nobody will send it again.
fn refusal(doubtful: bool, reason: Reason) -> Settlement {
    if doubtful {
        Settlement::Unknown { why: format!("not sent again: {reason}"), resend_at: None }
    } else {
        Settlement::Ended { state: state_after(reason), reason }
    }
}

fn unrenderable(doubtful: bool, notice: &Notice, error: &RenderError) -> Settlement {
    let reason = if matches!(error, RenderError::Leak { .. }) { Reason::Leak } else { Reason::Template };
    tracing::error!(key = %notice.key, session = %notice.session, %reason, %error, "held: no message could be made of it");
    refusal(doubtful, reason)
}

/// The same bytes again.
fn frozen(content: Content, bytes: &[u8]) -> Content {
    match content {
        Content::Email { from, to, .. } => Content::Email { from, to, bytes: bytes.into() },
        Content::Sms { to, encoding, segments, .. } => Content::Sms { to, text: String::from_utf8_lossy(bytes).into(), encoding, segments },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_whose_preparation_panics_is_held() {
        let broken = |doubtful| unless_it_panics(doubtful, || -> u8 { panic!("a defect") });
        assert_eq!(broken(false), Err(Settlement::Ended { state: State::Held, reason: Reason::Template }));
        assert!(matches!(broken(true), Err(Settlement::Unknown { resend_at: None, .. })), "one that may have been told stays in doubt");
        assert_eq!(unless_it_panics(false, || 7), Ok(7), "the next one is made");
    }
}
