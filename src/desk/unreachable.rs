//! Upcoming participants who will not be reached, and why, so that somebody can call them in time.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Desk, Seen, latest};
use crate::notice::{Decision, Reason};
use crate::outbox::{Known, State, StoreError};
use crate::plan::{self, Suppressions};
use crate::preview::rfc3339;
use crate::session::{ParticipationId, SessionId};

/// One person who will not be reached.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Row {
    /// SessionId.
    pub session_id: SessionId,
    /// ParticipationId, where it could be read.
    pub participation_id: Option<ParticipationId>,
    /// RFC 3339, UTC.
    pub start: String,
    /// A [`Reason`]'s word, or a state's: `held`, `rejected`, `unknown`.
    pub reason: String,
    /// For people.
    pub detail: Option<String>,
}

/// All of them, in the order of their starts.
pub async fn unreachable(desk: &Desk, now: DateTime<Utc>) -> Result<Vec<Row>, StoreError> {
    let suppressed = desk.suppressions().await?;
    let mut rows = Vec::new();
    for source in &desk.sources {
        for stored in desk.outbox.sessions(source, None).await? {
            let Some(session) = latest(&stored).filter(|s| s.start > now && !s.cancelled) else { continue };
            rows.extend(of_session(desk, &desk.seen(source, session, now).await?, &suppressed, now));
        }
    }
    rows.sort_by(|a, b| (&a.start, a.session_id, a.participation_id).cmp(&(&b.start, b.session_id, b.participation_id)));
    Ok(rows)
}

/// Those of one session.
pub(super) fn of_session(desk: &Desk, seen: &Seen, suppressed: &Suppressions, now: DateTime<Utc>) -> Vec<Row> {
    let session = &seen.session;
    let decisions = plan::plan_session(session, &seen.known, &desk.policy, suppressed, now);
    let row = |participation_id, (reason, detail): (String, Option<String>)| Row {
        session_id: session.id,
        participation_id,
        start: rfc3339(session.start),
        reason,
        detail,
    };
    let faults = session.faults.iter().map(|fault| row(fault.participation, (Reason::Quarantined.to_string(), Some(fault.to_string()))));
    let mut rows: Vec<Row> = faults.collect();
    for person in &session.participants {
        let theirs: Vec<&Decision> = decisions.iter().filter(|d| plan::diff::of_participant(d, session.id, person.id)).collect();
        if let Some(why) = seen.known(person.id).and_then(|one| against(one, &theirs)) {
            rows.push(row(Some(person.id), why));
        }
    }
    rows
}

/// Why this person will not be reached; `None`: they were told, or will be, or somebody else tells them.
fn against(known: &Known, decisions: &[&Decision]) -> Option<(String, Option<String>)> {
    let state = |wanted| known.notices.iter().any(|n| n.state == wanted);
    let refusal = decisions.iter().find_map(|d| match d {
        Decision::Omit(o) if is_fault(o.reason) => Some((o.reason.to_string(), o.detail.clone())),
        _ => None,
    });
    if refusal.is_some() {
        return refusal;
    }
    if known.notices.iter().any(|n| n.state == State::Held) {
        let held = known.notices.iter().find(|n| n.state == State::Held).and_then(|n| n.reason);
        return Some(("held".to_owned(), held.map(|r| r.to_string())));
    }
    if state(State::Accepted) {
        return None;
    }
    [(State::Rejected, "rejected"), (State::Unknown, "unknown")]
        .into_iter()
        .find(|(s, _)| state(*s))
        .map(|(_, word)| (word.to_owned(), None))
}

/// Reasons that a person can do something about. Whoever declined, is connected, or is told by the host, is none of them.
fn is_fault(reason: Reason) -> bool {
    use Reason::{
        Absent, Ambiguous, Bounced, DoNotContact, Guard, InvalidEmail, InvalidNumber, NoConnectCode, NoEmail, NoNumber, OptedOut,
        PassExpired, Quarantined,
    };
    matches!(
        reason,
        Absent
            | Ambiguous
            | Bounced
            | DoNotContact
            | Guard
            | InvalidEmail
            | InvalidNumber
            | NoConnectCode
            | NoEmail
            | NoNumber
            | OptedOut
            | PassExpired
            | Quarantined
    )
}
