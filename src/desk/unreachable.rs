//! Upcoming participants who will not be reached, and why, so that somebody can call them in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::reading::SessionRead;
use super::{Desk, DeskSession, Notes, outage};
use crate::entry::Entry;
use crate::known::KnownNotice;
use crate::notice::Reason;
use crate::outbox::StoreError;
use crate::session::{Fault, ParticipationId, SessionId};
pub use crate::staff::misled::{BEGUN, UNTOLD};
use crate::staff::{self, Concern, ConcernKind};
use crate::zone::rfc3339;

/// The word of whom an overdue message should have reached, with their session at hand.
pub const OVERDUE: &str = "overdue";
/// A message is overdue, and its session starts within this time: somebody should call.
const AT_HAND: TimeDelta = TimeDelta::hours(1);

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
    let of_concern = |concern: Concern| Row {
        session_id: seen.session.id,
        participation_id: concern.participation,
        start: concern.start.map(rfc3339),
        reason: concern.why.as_str().to_owned(),
        detail: match (concern.what, concern.detail) {
            (Some(what), Some(detail)) => Some(format!("{what}: {detail}")),
            (what, detail) => what.or(detail),
        },
    };
    let mut rows: Vec<Row> = concerns.into_iter().filter(|concern| concern.kind == ConcernKind::Person).map(of_concern).collect();
    let misled = staff.misled(&seen.session, &seen.known).into_iter().map(of_concern);
    for row in overdue(seen, now).chain(misled).collect::<Vec<_>>() {
        if rows.iter().all(|r| r.participation_id != row.participation_id) {
            rows.push(row);
        }
    }
    rows
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
