//! Upcoming participants who will not be reached, and why, so that somebody can call them in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::reading::SessionRead;
use super::{Desk, DeskSession, Notes, outage};
use crate::entry::{Entry, State};
use crate::known::{Expected, KnownNotice};
use crate::notice::{Occasion, Reason};
use crate::outbox::StoreError;
use crate::plan;
use crate::session::{AutoDeliver, Fault, ParticipationId, SessionId};
use crate::staff::{self, ConcernKind};
use crate::zone::rfc3339;

/// The word of whom an overdue message should have reached, with their session at hand.
pub const OVERDUE: &str = "overdue";
/// The word of who knows another start, or nothing of a cancellation, and of whom no message has a reason.
pub const UNTOLD: &str = "untold";
/// A message is overdue, and its session starts within this time: somebody should call.
const AT_HAND: TimeDelta = TimeDelta::hours(1);
/// A session that began may still have a message that is of use.
pub(super) const BEGUN: TimeDelta = TimeDelta::minutes(30);

/// One person who will not be reached.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Row {
    /// SessionId.
    pub session_id: SessionId,
    /// ParticipationId, where it could be read.
    pub participation_id: Option<ParticipationId>,
    /// RFC 3339, UTC; `null`: it could never be read.
    pub start: Option<String>,
    /// A [`crate::notice::Reason`]'s word, a state's (`held`, `rejected`, `unknown`), a receipt's (`undelivered`, `failed`), `overdue`, or `untold`:
    /// they know what holds no more.
    pub reason: String,
    /// For people.
    pub detail: Option<String>,
}

/// Who should have been told in the last day and was not; then those to come, in the order of their starts.
pub async fn unreachable(desk: &Desk, now: DateTime<Utc>) -> Result<Vec<Row>, StoreError> {
    let notes = Arc::new(desk.notes(now).await?);
    // Of a source that is taken out of the configuration, too: what waits there is held.
    let ids = desk.outbox.starting(now - BEGUN, DateTime::<Utc>::MAX_UTC, usize::MAX).await?;
    let of_these = move |desk: &Desk, read: Vec<SessionRead>| {
        // What cannot be read of the store is told of nobody.
        let seen = read.into_iter().filter_map(|read| desk.see_one(read, now).ok());
        seen.flat_map(|seen| of_session(desk, &seen, &notes, now)).collect::<Vec<_>>()
    };
    let mut rows = desk.look(&ids, of_these).await?.concat();
    by_start(&mut rows);
    let lapsed = desk.lapsed(now).await?;
    let unread = unread(desk).await?;
    Ok(lapsed.iter().map(of_lapsed).chain(unread).chain(rows).collect())
}

/// Sessions of which there is a record at fault, and nothing else: whom they are about, and when they start, could never be read.
pub(super) async fn unread(desk: &Desk) -> Result<Vec<Row>, StoreError> {
    let mut of_source: BTreeMap<String, BTreeMap<SessionId, Fault>> = BTreeMap::new();
    for (source, fault) in desk.outbox.faults().await? {
        if let Some(session) = fault.session.filter(|_| desk.sources.contains(&source) && !fault.is_word()) {
            of_source.entry(source).or_default().entry(session).or_insert(fault);
        }
    }
    let mut rows = BTreeMap::new();
    for (source, mut faults) in of_source {
        let ids: Vec<SessionId> = faults.keys().copied().collect();
        for known in desk.outbox.sessions(&source, Some(&ids)).await? {
            faults.remove(&known.id);
        }
        rows.extend(faults.into_iter().map(|(session, fault)| (session, of_unread(session, &fault))));
    }
    Ok(rows.into_values().collect())
}

fn of_unread(session: SessionId, fault: &Fault) -> Row {
    let (reason, detail) = (Reason::Quarantined.to_string(), Some(fault.to_string()));
    Row { session_id: session, participation_id: None, start: None, reason, detail }
}

/// In the order of their starts.
pub(super) fn by_start(rows: &mut [Row]) {
    rows.sort_by(|a, b| (&a.start, a.session_id, a.participation_id).cmp(&(&b.start, b.session_id, b.participation_id)));
}

/// A message that was not sent in time.
pub(super) fn of_lapsed(entry: &Entry) -> Row {
    let notice = &entry.notice;
    let what = super::what(notice.occasion, notice.rule.as_deref());
    let kept = entry.reason.filter(|why| *why != Reason::Lapsed).map(|why| format!(": {why}")).unwrap_or_default();
    Row {
        session_id: notice.session,
        participation_id: Some(notice.participation),
        start: Some(rfc3339(notice.start)),
        reason: Reason::Lapsed.to_string(),
        detail: Some(format!("{what} was not sent in time{kept}")),
    }
}

/// Those of one session.
pub(super) fn of_session(desk: &Desk, seen: &DeskSession, notes: &Notes, now: DateTime<Utc>) -> Vec<Row> {
    let Notes { suppressed, undelivered } = notes;
    let staff = staff::ConcernFinder { policy: &desk.policy, suppressed, undelivered, now, horizon: None };
    let concerns = if seen.session.is_active() { staff.of_seen(&seen.session, &seen.known) } else { Vec::new() };
    let mut rows: Vec<Row> = concerns
        .into_iter()
        .filter(|concern| concern.kind == ConcernKind::Person)
        .map(|concern| Row {
            session_id: seen.session.id,
            participation_id: concern.participation,
            start: Some(rfc3339(seen.session.start)),
            reason: concern.why.as_str().to_owned(),
            detail: match (concern.what, concern.detail) {
                (Some(what), Some(detail)) => Some(format!("{what}: {detail}")),
                (what, detail) => what.or(detail),
            },
        })
        .collect();
    for row in overdue(seen, now).chain(misled(desk, seen, notes, now)).collect::<Vec<_>>() {
        if rows.iter().all(|r| r.participation_id != row.participation_id) {
            rows.push(row);
        }
    }
    rows
}

/// Who knows what holds no more, and has no message to come that says so: they would come in vain, or to another hour.
fn misled<'a>(desk: &'a Desk, seen: &'a DeskSession, notes: &'a Notes, now: DateTime<Utc>) -> impl Iterator<Item = Row> + 'a {
    let session = &seen.session;
    let people = seen.known.iter().filter(move |((id, _), _)| *id == session.id);
    people.filter_map(move |((_, id), known)| {
        // What was found again after a restore waits for a person: nobody can say that they know.
        let heard = |n: &&KnownNotice| n.heard() && !n.may_have_gone();
        let arrived = |n: &&KnownNotice| heard(n) && notes.undelivered.iter().all(|u| u.key != n.notice.key);
        let last = known.notices.iter().filter(arrived).max_by_key(|n| (n.heard_at(), n.notice.due_at))?;
        let (told, off) = (last.notice.start, last.notice.occasion == Occasion::Cancelled);
        let person = session.participant(*id);
        let same_hour = if known.cancelled { off } else { !off && told == session.start };
        let same_facts = || !person.is_some_and(|person| plan::knows_other_facts(session, person, known, &desk.policy, last));
        // They stand at that hour in another entry of the list.
        let superseded = || known.notices.iter().any(|n| n.notice.occasion == Occasion::Cancelled && n.state == State::Superseded);
        let stands = |e: &&Expected| e.address == last.notice.address && e.start == told && e.comes_after(last.heard_at());
        let expected = known.cancelled && known.expected.iter().filter(stands).any(|e| e.is_theirs() || superseded());
        // Somebody else tells them.
        let elsewhere = person.is_some_and(|p| p.auto_deliver == AutoDeliver::Nobody);
        let right = same_hour && (known.cancelled || same_facts());
        if right || expected || elsewhere || told.max(session.start) <= now - BEGUN {
            return None;
        }
        let says_so = |n: &&KnownNotice| match n.notice.occasion {
            Occasion::Cancelled => known.cancelled,
            Occasion::Invite | Occasion::Rescheduled | Occasion::Updated => !known.cancelled && n.notice.start == session.start,
            _ => false,
        };
        let corrections = || known.notices.iter().filter(says_so);
        // A reminder of the hour that they know has the code that holds.
        let reminds = |n: &&KnownNotice| same_hour && !known.cancelled && n.notice.start == session.start;
        let goes = |n: &KnownNotice| matches!(n.state, State::Waiting | State::Claimed | State::Sending);
        if corrections().chain(known.notices.iter().filter(reminds)).any(goes) {
            return None;
        }
        let ended = corrections().filter(|n| !heard(n)).max_by_key(|n| n.changed_at);
        let came_back = corrections().any(|n| heard(&n) && !arrived(&n));
        let reason = match ended {
            _ if came_back => "undelivered".to_owned(),
            Some(n) => n.reason.map_or_else(|| n.state.to_string(), |why| why.to_string()),
            None => UNTOLD.to_owned(),
        };
        let what = match same_hour {
            _ if known.cancelled => "that it is cancelled",
            true => "the code, address or time zone that holds",
            false => "the start that holds",
        };
        let detail = Some(format!("they were not told {what}"));
        Some(Row { session_id: session.id, participation_id: Some(*id), start: Some(rfc3339(told)), reason, detail })
    })
}

/// Whom an overdue message should have reached by now, with their session at hand: one row each.
fn overdue(seen: &DeskSession, now: DateTime<Utc>) -> impl Iterator<Item = Row> {
    let session = &seen.session;
    let at_hand = session.is_active() && session.start <= now + AT_HAND;
    let late = session.participants.iter().filter_map(move |person| {
        let known = seen.known(person.id).filter(|_| at_hand)?;
        let late = |n: &&KnownNotice| outage::is_overdue(n.state, n.notice.due_at, n.notice.useful_until, now);
        known.notices.iter().find(late).map(|n| (person.id, n))
    });
    late.map(|(id, late)| Row {
        session_id: session.id,
        participation_id: Some(id),
        start: Some(rfc3339(session.start)),
        reason: OVERDUE.to_owned(),
        detail: Some(super::what(late.notice.occasion, late.notice.rule.as_deref())),
    })
}
