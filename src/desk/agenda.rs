//! Sessions of some days, and how each participant is told: what a front desk wants at a glance.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::people::Contacts;
use super::reading::{BATCH, SessionRead, SourceSession};
use super::{Desk, DeskSession, Notes, Unanswered, outage, unreachable, what};
use crate::contact::{Channel, PersonName};
use crate::entry::State;
use crate::known::{Known, RsvpOverride};
use crate::notice::{Decision, NoticeKey, Reason};
use crate::outbox::StoreError;
use crate::plan::{self, Suppressions};
use crate::session::{AutoDeliver, Participant, ParticipationId, Role, Rsvp, SessionId};
use crate::zone::Zone;

/// Who connected earlier than that before the start tried something out.
const JOINS_BEFORE: TimeDelta = TimeDelta::hours(2);

#[derive(Debug)]
pub struct AgendaEntry {
    /// SessionId.
    pub session: SessionId,
    pub start: DateTime<Utc>,
    pub cancelled: bool,
    /// It began when it was made.
    pub meet_now: bool,
    /// Its participants, the host first.
    pub people: Vec<AgendaPerson>,
    /// Participants whose record cannot be read: the path and what is wrong.
    pub faults: Vec<String>,
}

#[derive(Debug)]
pub struct AgendaPerson {
    /// ParticipationId.
    pub id: ParticipationId,
    /// May be empty.
    pub name: PersonName,
    /// As the record has them.
    pub contacts: Contacts,
    /// Their answer, as it holds.
    pub rsvp: Rsvp,
    /// When they connected first, to this start.
    pub joined_at: Option<DateTime<Utc>>,
    pub role: Role,
    /// The address that messages go to, masked; or why there is none.
    pub to: Result<String, Reason>,
    /// Their zone; `None`: unknown.
    pub zone: Option<Zone>,
    /// Somebody else tells them: ShouldAutoDeliverCode is N.
    pub told_elsewhere: bool,
    /// Why they will not be reached: a word, and a detail.
    pub against: Option<(String, Option<String>)>,
    /// What they are told, in the order of its time; then what not.
    pub steps: Vec<AgendaStep>,
}

/// One thing that a participant was, will or will not be told.
#[derive(Debug)]
pub struct AgendaStep {
    /// `reminder 24h`
    pub what: String,
    /// Its notice; `None`: there is none.
    pub key: Option<NoticeKey>,
    /// Where its notice is.
    pub state: Option<State>,
    /// Why it is there, or why there is none.
    pub reason: Option<Reason>,
    /// When it is due or was accepted.
    pub at: Option<DateTime<Utc>>,
    /// It should have left, and did not.
    pub overdue: bool,
    /// It was sent, and somebody said later that it did not arrive: how it was to go.
    pub lost: Option<Channel>,
}

/// Sessions that start in that time, in order, `limit` at most.
pub async fn agenda(desk: &Desk, span: Range<DateTime<Utc>>, limit: usize, now: DateTime<Utc>) -> Result<Vec<AgendaEntry>, Unanswered> {
    of_these(desk, &desk.outbox.starting(span.start, span.end, limit).await?, now).await
}

/// These sessions, in their order.
pub async fn of_these(desk: &Desk, ids: &[SourceSession], now: DateTime<Utc>) -> Result<Vec<AgendaEntry>, Unanswered> {
    let notes = desk.notes(now).await?;
    let mut entries = Vec::new();
    for batch in ids.chunks(BATCH) {
        entries.extend(desk.seen_of(batch, now).await?.iter().map(|seen| entry(desk, seen, &notes, now)));
    }
    Ok(entries)
}

/// The hosts of these sessions: who each is, over all sessions, and their name.
pub async fn hosts(desk: &Desk, ids: &[SourceSession]) -> Result<HashMap<SourceSession, (String, PersonName)>, StoreError> {
    let mut hosts = HashMap::new();
    for source in &desk.sources {
        let theirs: Vec<SessionId> = ids.iter().filter(|(of, _)| of == source).map(|(_, id)| *id).collect();
        for session in desk.outbox.sessions(source, Some(&theirs)).await?.iter().filter_map(super::latest) {
            if let Some(host) = session.participants.iter().find(|p| p.role == Role::Host && !p.name.expose().is_empty()) {
                hosts.insert((source.clone(), session.id), (plan::person_key(host), host.name.clone()));
            }
        }
    }
    Ok(hosts)
}

pub async fn of(desk: &Desk, id: SessionId, now: DateTime<Utc>) -> Result<Vec<AgendaEntry>, Unanswered> {
    let notes = desk.notes(now).await?;
    Ok(desk.session(id, now).await?.iter().map(|seen| entry(desk, seen, &notes, now)).collect())
}

/// Who was told too late in the last day, or not at all; then the sessions that could never be read; then who will not be reached, of the sessions that start in that time. Whom somebody else
/// tells is not among them.
pub async fn unreachable(
    desk: &Desk,
    span: Range<DateTime<Utc>>,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<Vec<unreachable::Row>, Unanswered> {
    let notes = Arc::new(desk.notes(now).await?);
    let lapsed = desk.lapsed(now).await?;
    let ids = desk.outbox.starting(span.start.max(now - unreachable::BEGUN), span.end, limit).await?;
    let mut rows = Vec::new();
    for found in desk.look(&ids, move |desk, read| unreached(desk, read, &notes, now)).await? {
        rows.extend(found?);
    }
    unreachable::by_start(&mut rows);
    let unread = unreachable::unread(desk).await?;
    Ok(lapsed.iter().map(unreachable::of_lapsed).chain(unread).chain(rows).collect())
}

fn unreached(desk: &Desk, read: Vec<SessionRead>, notes: &Notes, now: DateTime<Utc>) -> Result<Vec<unreachable::Row>, Unanswered> {
    let mut rows = Vec::new();
    for seen in &desk.see(read, now)? {
        let elsewhere = |id| seen.session.participant(id).is_some_and(|p| p.auto_deliver == AutoDeliver::Nobody);
        let ours = unreachable::of_session(desk, seen, notes, now).into_iter();
        rows.extend(ours.filter(|row| !row.participation_id.is_some_and(elsewhere)));
    }
    Ok(rows)
}

impl Desk {
    /// These sessions, in their order; those of sources that are not configured any more are left out.
    async fn seen_of(&self, ids: &[SourceSession], now: DateTime<Utc>) -> Result<Vec<DeskSession>, Unanswered> {
        let ids: Vec<SourceSession> = ids.iter().filter(|(of, _)| self.sources.contains(of)).cloned().collect();
        self.see(self.read(&ids).await?, now)
    }

    fn see(&self, read: Vec<SessionRead>, now: DateTime<Utc>) -> Result<Vec<DeskSession>, Unanswered> {
        read.into_iter().map(|read| self.see_one(read, now)).collect()
    }
}

fn entry(desk: &Desk, seen: &DeskSession, notes: &Notes, now: DateTime<Utc>) -> AgendaEntry {
    let session = &seen.session;
    let plan = plan::plan_session(session, &seen.known, &desk.policy, &notes.suppressed, now);
    let rows = unreachable::of_session(desk, seen, notes, now);
    let person = |p: &Participant| {
        let theirs = plan.of(p.id);
        let to = plan::recipient(p, &desk.policy, &Suppressions::default(), false);
        let over = session.start <= now || !session.is_active();
        AgendaPerson {
            id: p.id,
            name: p.name.clone(),
            contacts: Contacts::of(p, &desk.policy.region),
            rsvp: RsvpOverride::or(seen.known(p.id).and_then(|known| known.rsvp), p.rsvp),
            joined_at: p.connected_at.filter(|at| *at >= session.start - JOINS_BEFORE),
            role: p.role,
            to: to.map(|to| to.address.to_string()).map_err(|(reason, _)| reason),
            zone: plan::zone_of(p, &desk.policy).ok().map(|r| r.zone.clone()),
            told_elsewhere: p.auto_deliver == AutoDeliver::Nobody,
            against: rows
                .iter()
                .find(|row| {
                    row.participation_id == Some(p.id)
                        && (!over || row.reason == unreachable::OVERDUE)
                        && p.auto_deliver != AutoDeliver::Nobody
                })
                .map(|row| (row.reason.clone(), row.detail.clone())),
            steps: seen.known(p.id).map(|known| steps(known, &theirs, now)).unwrap_or_default(),
        }
    };
    AgendaEntry {
        session: session.id,
        start: session.start,
        cancelled: session.cancelled,
        meet_now: seen.known.values().any(|known| plan::is_meet_now(session, known)),
        people: session.participants.iter().map(person).collect(),
        faults: session.faults.iter().map(ToString::to_string).collect(),
    }
}

/// The notices, and beside them what is not told for a reason of its own.
fn steps(known: &Known, decisions: &[&Decision], now: DateTime<Utc>) -> Vec<AgendaStep> {
    let mut steps: Vec<AgendaStep> = Vec::new();
    for held in &known.notices {
        let accepted = held.state == State::Accepted;
        steps.push(AgendaStep {
            what: what(held.notice.occasion, held.notice.rule.as_deref()),
            key: Some(held.notice.key),
            state: Some(held.state),
            reason: held.reason,
            at: Some(if accepted { held.changed_at } else { held.notice.due_at }),
            overdue: outage::is_overdue(held.state, held.notice.due_at, held.notice.useful_until, now),
            lost: Some(held.notice.address.channel()).filter(|_| accepted && held.undelivered),
        });
    }
    for decision in decisions {
        let Decision::Omit(o) = decision else { continue };
        let Some(occasion) = o.occasion else { continue };
        let what = what(occasion, o.rule.as_deref());
        // A correction that nobody needs is no news.
        let silent = matches!(o.reason, Reason::NeverInvited | Reason::HostDelivers | Reason::HostsOff);
        if !silent && !steps.iter().any(|s| s.what == what) {
            steps.push(AgendaStep { what, key: None, state: None, reason: Some(o.reason), at: o.due_at, overdue: false, lost: None });
        }
    }
    // What was told or will be comes first.
    steps.sort_by_key(|s| (s.key.is_none(), s.at.is_none(), s.at));
    steps
}
