//! What was, will or will not be sent to whom, and why: what the planner looks at, what it says, and what became of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Desk, Unanswered, what};
use crate::entry::{Delivery, Entry, State};
use crate::known::{Known, RsvpOverride};
use crate::ledger::LedgerRow;
use crate::notice::{Decision, Reason};
use crate::outbox::{Filter, Outbox, StoreError};
use crate::plan::{self, Policy, Suppressions};
use crate::session::{AutoDeliver, Participant, ParticipationId, Role, Session, SessionId};
use crate::zone::rfc3339;

/// Ledger rows that are shown of one session.
const LEDGER_MAX: usize = 10_000;

/// Everything about one participant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    /// The source's name.
    pub source: String,
    /// SessionId.
    pub session_id: SessionId,
    /// ParticipationId.
    pub participation_id: ParticipationId,
    /// Host or participant.
    pub role: Role,
    /// What the planner looks at, in the order of its checks.
    pub inputs: Vec<(&'static str, String)>,
    /// What it says now: `send`, `omit`, or `done`.
    pub decisions: Vec<Said>,
    /// What was told, or was to be.
    pub notices: Vec<NoticeHistory>,
}

/// One decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct Said {
    /// `reminder 24h`
    pub what: String,
    /// `send`, `omit`, `done`
    pub verdict: &'static str,
    /// Why not.
    pub reason: Option<Reason>,
    /// RFC 3339, UTC.
    pub due_at: Option<String>,
    /// For people.
    pub detail: Option<String>,
}

/// One notice of the outbox.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Told)]
pub struct NoticeHistory {
    /// 32 hexadecimal digits.
    pub key: String,
    /// `reminder 24h`
    pub what: String,
    /// The address, masked.
    pub to: String,
    /// Where it is.
    pub state: &'static str,
    /// Why it is there.
    pub reason: Option<Reason>,
    /// RFC 3339, UTC.
    pub due_at: String,
    /// RFC 3339, UTC; `None`: not by itself.
    pub next_attempt_at: Option<String>,
    /// Each attempt to hand it over.
    pub deliveries: Vec<Delivery>,
    /// Its rows of the ledger.
    pub history: Vec<LedgerRow>,
}

/// Every participant of the session, or that one. Empty: the store knows none.
pub async fn why(
    desk: &Desk,
    session: SessionId,
    participation: Option<ParticipationId>,
    now: DateTime<Utc>,
) -> Result<Vec<Person>, Unanswered> {
    let suppressed = desk.suppressions().await?;
    let mut found = Vec::new();
    for seen in desk.session(session, now).await? {
        let plan = plan::plan_session(&seen.session, &seen.known, &desk.policy, &suppressed, now);
        let ledger = desk.outbox.ledger(Some(session), 0, LEDGER_MAX).await?;
        for person in seen.session.participants.iter().filter(|p| participation.is_none_or(|wanted| p.id == wanted)) {
            let Some(known) = seen.known(person.id) else { continue };
            found.push(Person {
                source: seen.source.clone(),
                session_id: session,
                participation_id: person.id,
                role: person.role,
                inputs: inputs(&seen.session, person, known, &desk.policy, now),
                decisions: plan.of(person.id).into_iter().map(|d| said(d, known)).collect(),
                notices: notices(desk, session, person.id, &ledger).await?,
            });
        }
    }
    Ok(found)
}

async fn notices(
    desk: &Desk,
    session: SessionId,
    participation: ParticipationId,
    ledger: &[LedgerRow],
) -> Result<Vec<NoticeHistory>, StoreError> {
    let filter = Filter { session: Some(session), participation: Some(participation), ..Filter::default() };
    let mut notices = Vec::new();
    for entry in desk.outbox.list(&filter).await? {
        notices.push(told(&*desk.outbox, &entry, ledger).await?);
    }
    Ok(notices)
}

/// What the checks look at, in their order.
fn inputs(session: &Session, person: &Participant, known: &Known, policy: &Policy, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let at = |t: Option<DateTime<Utc>>| t.map_or_else(|| "no".to_owned(), rfc3339);
    let zone = match plan::zone_of(person, policy) {
        Ok(r) if r.fallback => format!("{} (the practice's fallback for {:?})", r.zone.name(), person.time_zone),
        Ok(r) => format!(
            "{} (of {:?}); starts there on {}",
            r.zone.name(),
            person.time_zone,
            r.zone.local(session.start).civil.format("%a, %b %-d, %-I:%M %p")
        ),
        Err(why) => why,
    };
    let deliver = match person.auto_deliver {
        AutoDeliver::Email => "E",
        AutoDeliver::Sms => "S",
        AutoDeliver::Nobody => "N",
    };
    let address = plan::recipient(person, policy, &Suppressions(std::collections::HashMap::new()), false);
    let quiet = policy.quiet.as_ref().map_or_else(
        || "none".to_owned(),
        |q| {
            let channels: Vec<&str> = q.channels.iter().map(|c| c.as_str()).collect();
            format!("{} to {} for {}", q.from.format("%H:%M"), q.to.format("%H:%M"), channels.join(", "))
        },
    );
    vec![
        ("now", rfc3339(now)),
        ("listed by the source", session.presence.as_str().to_owned()),
        ("participant listed", person.presence.as_str().to_owned()),
        ("time zone", zone),
        ("ambiguous", person.ambiguous.clone().unwrap_or_else(|| "no".to_owned())),
        ("ShouldAutoDeliverCode", deliver.to_owned()),
        ("hosts get messages", yes(policy.hosts)),
        ("address", address.map_or_else(|(reason, _)| reason.to_string(), |to| to.address.to_string())),
        ("has a connect code", yes(person.code.is_some())),
        ("cancelled", yes(session.cancelled)),
        ("RSVP", rsvp(person, known)),
        ("connected", at(person.connected_at)),
        ("pass expires", at(person.expires_at)),
        ("Meet Now", yes(plan::is_meet_now(session, known))),
        ("starts", rfc3339(session.start)),
        ("first seen", rfc3339(known.first_seen)),
        ("this start known since", rfc3339(known.start_known_at)),
        ("other facts known since", rfc3339(known.facts_known_at)),
        ("there at the first start", yes(known.adopted)),
        ("quiet hours", quiet),
        ("other sessions' reminders", format!("{} texts to this number", known.reminded.len())),
    ]
}

/// By text, if that holds; else as the source says.
fn rsvp(person: &Participant, known: &Known) -> String {
    let holds = RsvpOverride::or(known.rsvp, person.rsvp);
    if known.rsvp.is_some_and(|answered| answered.over == person.rsvp) {
        format!("{holds:?}, answered by text (the source says {:?})", person.rsvp)
    } else {
        format!("{holds:?}")
    }
}

fn said(decision: &Decision, known: &Known) -> Said {
    match decision {
        Decision::Send(n) => {
            let held = known.notices.iter().find(|k| k.notice.key == n.key);
            let verdict = if held.is_some_and(|k| k.state.may_have_been_sent() || k.state == State::Rejected) { "done" } else { "send" };
            Said { what: what(n.occasion, n.rule.as_deref()), verdict, reason: None, due_at: Some(rfc3339(n.due_at)), detail: None }
        }
        Decision::Omit(o) => Said {
            what: o.occasion.map_or_else(|| "everything".to_owned(), |occasion| what(occasion, o.rule.as_deref())),
            verdict: "omit",
            reason: Some(o.reason),
            due_at: o.due_at.map(rfc3339),
            detail: o.detail.clone(),
        },
    }
}

async fn told(store: &dyn Outbox, entry: &Entry, ledger: &[LedgerRow]) -> Result<NoticeHistory, StoreError> {
    let key = entry.notice.key.to_string();
    let (deliveries, _) = store.deliveries(entry.notice.key).await?;
    Ok(NoticeHistory {
        what: what(entry.notice.occasion, entry.notice.rule.as_deref()),
        to: entry.notice.address.to_string(),
        state: entry.state.as_str(),
        reason: entry.reason,
        due_at: rfc3339(entry.notice.due_at),
        next_attempt_at: entry.next_attempt_at.map(rfc3339),
        deliveries,
        history: ledger.iter().filter(|row| row.key.as_ref() == Some(&key)).cloned().collect(),
        key,
    })
}
