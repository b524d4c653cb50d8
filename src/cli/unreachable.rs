//! `unreachable`: upcoming participants who will not be reached, and why, so that somebody can call them in time.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::preview::rfc3339;
use super::table::{Colors, Tone, table};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::open_store;
use crate::notice::{Decision, Reason};
use crate::outbox::{Known, State};
use crate::plan::{self, Suppressions};
use crate::session::{ParticipationId, SessionId};

/// One person who will not be reached.
#[derive(Serialize)]
struct Row {
    session_id: SessionId,
    participation_id: Option<ParticipationId>,
    start: String,
    reason: String,
    detail: Option<String>,
}

pub(super) fn unreachable(config: Config, json: bool, colors: Colors) -> anyhow::Result<Exit> {
    let rows = runtime()?.block_on(rows(&config, WallClock.now()))?;
    if json {
        for row in &rows {
            println!("{}", serde_json::to_string(row)?);
        }
    } else {
        let mut shown = table(colors, &["Starts (UTC)", "Session", "Person", "Because"]);
        for row in &rows {
            let why = row.detail.as_ref().map_or_else(|| row.reason.clone(), |d| format!("{} ({d})", row.reason));
            let person = row.participation_id.map_or_else(|| "?".to_owned(), |p| p.to_string());
            let cells = [row.start.clone(), row.session_id.to_string(), person, why];
            shown.add_row(cells.into_iter().map(|t| colors.cell(t, Tone::Bad)));
        }
        println!("{}\n{} people will not be reached", shown.trim_fmt(), rows.len());
    }
    Ok(if rows.is_empty() { Exit::Done } else { Exit::Attention })
}

async fn rows(config: &Config, now: DateTime<Utc>) -> anyhow::Result<Vec<Row>> {
    let store = open_store(config, false)?;
    let suppressed = Suppressions(store.suppressions().await?);
    let mut rows = Vec::new();
    for source in &config.sources {
        for stored in store.sessions(&source.name, None).await? {
            let Some(session) = super::why::latest(&stored).filter(|s| s.start > now && !s.cancelled) else { continue };
            let known = plan::observe(&session, store.known(&source.name, &[session.id]).await?, &config.policy, false, now);
            let decisions = plan::plan_session(&session, &known, &config.policy, &suppressed, now);
            let row = |participation_id, (reason, detail): (String, Option<String>)| Row {
                session_id: session.id,
                participation_id,
                start: rfc3339(session.start),
                reason,
                detail,
            };
            for fault in &session.faults {
                rows.push(row(fault.participation, (Reason::Quarantined.to_string(), Some(fault.to_string()))));
            }
            for person in &session.participants {
                let theirs: Vec<&Decision> = decisions.iter().filter(|d| plan::diff::of_participant(d, session.id, person.id)).collect();
                if let Some(why) = known.get(&(session.id, person.id)).and_then(|one| against(one, &theirs)) {
                    rows.push(row(Some(person.id), why));
                }
            }
        }
    }
    for lost in store.undelivered(now).await? {
        if rows.iter().any(|row| (row.session_id, row.participation_id) == (lost.session_id, Some(lost.participation_id))) {
            continue;
        }
        let what = lost.rule.as_ref().map_or_else(|| lost.occasion.to_string(), |rule| format!("{} {rule}", lost.occasion));
        let detail = lost.detail.as_ref().map_or_else(|| what.clone(), |why| format!("{what}: {why}"));
        rows.push(Row {
            session_id: lost.session_id,
            participation_id: Some(lost.participation_id),
            start: rfc3339(lost.start),
            reason: lost.fate.to_string(),
            detail: Some(detail),
        });
    }
    rows.sort_by(|a, b| (&a.start, a.session_id, a.participation_id).cmp(&(&b.start, b.session_id, b.participation_id)));
    Ok(rows)
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
