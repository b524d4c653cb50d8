//! Upcoming participants who will not be reached, and why, so that somebody can call them in time.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Desk, Notes, Seen, latest, outage};
use crate::notice::Reason;
use crate::outbox::{Entry, KnownNotice, StoreError};
use crate::preview::rfc3339;
use crate::session::{ParticipationId, SessionId};
use crate::staff::{self, Kind};

/// The word of whom an overdue message should have reached, with their session at hand.
pub const OVERDUE: &str = "overdue";
/// A message is overdue, and its session starts within this time: somebody should call.
const AT_HAND: TimeDelta = TimeDelta::hours(1);
/// A session that began may still have a message that is of use.
pub(super) const BEGUN: TimeDelta = TimeDelta::minutes(30);

/// One person who will not be reached.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Row {
    /// SessionId.
    pub session_id: SessionId,
    /// ParticipationId, where it could be read.
    pub participation_id: Option<ParticipationId>,
    /// RFC 3339, UTC.
    pub start: String,
    /// A [`crate::notice::Reason`]'s word, a state's (`held`, `rejected`, `unknown`), a receipt's (`undelivered`, `failed`),
    /// or `overdue`.
    pub reason: String,
    /// For people.
    pub detail: Option<String>,
}

/// Who should have been told in the last day and was not; then those to come, in the order of their starts.
pub async fn unreachable(desk: &Desk, now: DateTime<Utc>) -> Result<Vec<Row>, StoreError> {
    let notes = desk.notes(now).await?;
    let mut rows = Vec::new();
    for source in &desk.sources {
        for stored in desk.outbox.sessions(source, None).await? {
            let Some(session) = latest(&stored).filter(|s| s.start > now - BEGUN && s.is_active()) else { continue };
            rows.extend(of_session(desk, &desk.seen(source, session, now).await?, &notes, now));
        }
    }
    rows.sort_by(|a, b| (&a.start, a.session_id, a.participation_id).cmp(&(&b.start, b.session_id, b.participation_id)));
    let lapsed = desk.lapsed(now).await?;
    Ok(lapsed.iter().map(of_lapsed).chain(rows).collect())
}

/// A message that was not sent in time.
pub(super) fn of_lapsed(entry: &Entry) -> Row {
    let notice = &entry.notice;
    let what = super::what(notice.occasion, notice.rule.as_deref());
    let kept = entry.reason.filter(|why| *why != Reason::Lapsed).map(|why| format!(": {why}")).unwrap_or_default();
    Row {
        session_id: notice.session,
        participation_id: Some(notice.participation),
        start: rfc3339(notice.start),
        reason: Reason::Lapsed.to_string(),
        detail: Some(format!("{what} was not sent in time{kept}")),
    }
}

/// Those of one session.
pub(super) fn of_session(desk: &Desk, seen: &Seen, notes: &Notes, now: DateTime<Utc>) -> Vec<Row> {
    let Notes { suppressed, undelivered } = notes;
    let staff = staff::Desk { policy: &desk.policy, suppressed, undelivered, now, horizon: None };
    let people = staff.of_session(&seen.session, seen.known.clone()).into_iter().filter(|concern| concern.kind == Kind::Person);
    let mut rows: Vec<Row> = people
        .map(|concern| Row {
            session_id: seen.session.id,
            participation_id: concern.participation,
            start: rfc3339(seen.session.start),
            reason: concern.why.as_str().to_owned(),
            detail: match (concern.what, concern.detail) {
                (Some(what), Some(detail)) => Some(format!("{what}: {detail}")),
                (what, detail) => what.or(detail),
            },
        })
        .collect();
    let late: Vec<Row> = overdue(seen, now).filter(|row| rows.iter().all(|r| r.participation_id != row.participation_id)).collect();
    rows.extend(late);
    rows
}

/// Whom an overdue message should have reached by now, with their session at hand: one row each.
fn overdue(seen: &Seen, now: DateTime<Utc>) -> impl Iterator<Item = Row> {
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
        start: rfc3339(session.start),
        reason: OVERDUE.to_owned(),
        detail: Some(super::what(late.notice.occasion, late.notice.rule.as_deref())),
    })
}
