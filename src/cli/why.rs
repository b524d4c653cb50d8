//! `why SESSION [PARTICIPATION]`: what was, will or will not be sent to whom, and why: what the planner looks at, what it says, and what
//! became of it.

use anyhow::bail;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::preview::rfc3339;
use super::{Exit, WhyArgs, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::open_store;
use crate::notice::{Decision, Occasion, Reason};
use crate::outbox::reply::Answered;
use crate::outbox::{Delivery, Entry, Filter, Known, LedgerRow, Outbox, State, StoredSession};
use crate::plan::{self, Suppressions};
use crate::session::{AutoDeliver, Participant, ParticipationId, Role, Session, SessionId};
use crate::source::json;

/// Ledger rows that are shown of one session.
const LEDGER_MAX: usize = 10_000;

/// Everything about one participant.
#[derive(Serialize)]
struct Person {
    source: String,
    session_id: SessionId,
    participation_id: ParticipationId,
    role: Role,
    /// What the planner looks at, in the order of its checks.
    inputs: Vec<(&'static str, String)>,
    /// What it says now: `send`, `omit`, or `done`.
    decisions: Vec<Said>,
    /// What was told, or was to be.
    notices: Vec<Told>,
}

/// One decision.
#[derive(Serialize)]
struct Said {
    what: String,
    verdict: &'static str,
    reason: Option<Reason>,
    due_at: Option<String>,
    detail: Option<String>,
}

/// One notice of the outbox.
#[derive(Serialize)]
struct Told {
    key: String,
    what: String,
    to: String,
    state: &'static str,
    reason: Option<Reason>,
    due_at: String,
    next_attempt_at: Option<String>,
    deliveries: Vec<Delivery>,
    history: Vec<LedgerRow>,
}

pub(super) fn why(config: Config, args: &WhyArgs, json: bool) -> anyhow::Result<Exit> {
    let people = runtime()?.block_on(people(&config, args))?;
    for person in &people {
        if json {
            println!("{}", serde_json::to_string(person)?);
        } else {
            print(person);
        }
    }
    Ok(Exit::Done)
}

async fn people(config: &Config, args: &WhyArgs) -> anyhow::Result<Vec<Person>> {
    let store = open_store(config, false)?;
    let id = SessionId(args.session);
    let now = WallClock.now();
    let suppressed = Suppressions(store.suppressions().await?);
    let mut found = Vec::new();
    for source in &config.sources {
        let Some(stored) = store.sessions(&source.name, Some(&[id])).await?.pop() else { continue };
        let Some(session) = latest(&stored) else { bail!("session {id}: the store's record cannot be read") };
        let known = store.known(&source.name, &[id]).await?;
        let ledger = store.ledger(Some(id), 0, LEDGER_MAX).await?;
        let known = plan::observe(&session, known, &config.policy, false, now);
        let decisions = plan::plan_session(&session, &known, &config.policy, &suppressed, now);
        for person in session.participants.iter().filter(|p| args.participation.is_none_or(|wanted| p.id.0 == wanted)) {
            let Some(one) = known.get(&(id, person.id)) else { continue };
            let filter = Filter { session: Some(id), participation: Some(person.id), ..Filter::default() };
            let mut notices = Vec::new();
            for entry in store.list(&filter).await? {
                notices.push(told(&*store, &entry, &ledger).await?);
            }
            found.push(Person {
                source: source.name.clone(),
                session_id: id,
                participation_id: person.id,
                role: person.role,
                inputs: inputs(&session, person, one, config, now),
                decisions: decisions.iter().filter(|d| plan::diff::of_participant(d, id, person.id)).map(|d| said(d, one)).collect(),
                notices,
            });
        }
    }
    if found.is_empty() {
        bail!("the store knows no session {id}{}", args.participation.map_or_else(String::new, |p| format!(" with a participation {p}")));
    }
    Ok(found)
}

pub(super) fn latest(stored: &StoredSession) -> Option<Session> {
    let mut session = json::kept(&stored.record)?;
    for person in &mut session.participants {
        person.ambiguous = stored.ambiguous.iter().find(|(id, _)| *id == person.id).map(|(_, why)| why.clone());
    }
    Some(session)
}

/// What the checks look at, in their order.
fn inputs(session: &Session, person: &Participant, known: &Known, config: &Config, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let policy = &config.policy;
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let at = |t: Option<DateTime<Utc>>| t.map_or_else(|| "no".to_owned(), rfc3339);
    let zone = match plan::zone_of(person, policy) {
        Ok(r) if r.fallback => format!("{} (the practice's fallback for {:?})", r.zone.name(), person.time_zone),
        Ok(r) => format!("{} (of {:?}); starts there at {}", r.zone.name(), person.time_zone, r.zone.local(session.start).civil),
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
        ("Meet Now", yes(session.meet_now)),
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
    let holds = Answered::or(known.rsvp, person.rsvp);
    if known.rsvp.is_some_and(|answered| answered.over == person.rsvp) {
        format!("{holds:?}, answered by text (the source says {:?})", person.rsvp)
    } else {
        format!("{holds:?}")
    }
}

fn what(occasion: Occasion, rule: Option<&str>) -> String {
    rule.map_or_else(|| occasion.to_string(), |rule| format!("{occasion} {rule}"))
}

fn said(decision: &Decision, known: &Known) -> Said {
    match decision {
        Decision::Send(n) => {
            let held = known.notices.iter().find(|k| k.notice.key == n.key);
            let verdict = if held.is_some_and(|k| k.state.told() || k.state == State::Rejected) { "done" } else { "send" };
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

async fn told(store: &dyn Outbox, entry: &Entry, ledger: &[LedgerRow]) -> anyhow::Result<Told> {
    let key = entry.notice.key.to_string();
    let (deliveries, _) = store.deliveries(entry.notice.key).await?;
    Ok(Told {
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

fn print(person: &Person) {
    println!("Session {}, participation {} ({:?}), source {}", person.session_id, person.participation_id, person.role, person.source);
    println!("\n  Looked at, in this order:");
    for (name, value) in &person.inputs {
        println!("    {name:<26} {value}");
    }
    println!("\n  Said now:");
    for said in &person.decisions {
        let due = said.due_at.as_ref().map_or_else(String::new, |t| format!(" at {t}"));
        let why = said.reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let detail = said.detail.as_ref().map_or_else(String::new, |d| format!(" ({d})"));
        println!("    {:<26} {}{due}{why}{detail}", said.what, said.verdict);
    }
    println!("\n  In the outbox:");
    for notice in &person.notices {
        let reason = notice.reason.map_or_else(String::new, |r| format!(" ({r})"));
        let next = notice.next_attempt_at.as_ref().map_or_else(String::new, |t| format!(", next attempt {t}"));
        println!("    {:<26} {}{reason}, to {}, due {}{next}   {}", notice.what, notice.state, notice.to, notice.due_at, notice.key);
        for row in &notice.history {
            let step =
                [row.from_state, row.to_state].into_iter().flatten().map(crate::outbox::State::as_str).collect::<Vec<_>>().join(" -> ");
            println!("      {}  {:<10} {step}  {}", rfc3339(row.at), row.event, row.detail.as_deref().unwrap_or_default());
        }
    }
    println!();
}
