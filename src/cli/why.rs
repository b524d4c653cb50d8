//! `why SESSION [PARTICIPATION]`: what was, will or will not be sent to whom, and why, as a text.

use anyhow::bail;
use clap::Args;

use super::{Exit, answer, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::desk::why::{Person, why as ask};
use crate::session::{ParticipationId, SessionId};
use crate::zone::rfc3339;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  punctual why 9636 18620      why they get what they get, or nothing")]
pub(super) struct WhyArgs {
    /// SessionId.
    pub(super) session: i64,
    /// ParticipationId. Default: everybody in the session.
    pub(super) participation: Option<i64>,
}

pub(super) fn why(config: Config, args: &WhyArgs, json: bool) -> anyhow::Result<Exit> {
    let (session, participation) = (SessionId(args.session), args.participation.map(ParticipationId));
    let people = runtime()?.block_on(async { answer(ask(&desk(config)?, session, participation, WallClock.now()).await) })?;
    if people.is_empty() {
        bail!("the store knows no session {session}{}", participation.map_or_else(String::new, |p| format!(" with a participation {p}")));
    }
    for person in &people {
        if json {
            println!("{}", serde_json::to_string(person)?);
        } else {
            print(person);
        }
    }
    Ok(Exit::Done)
}

fn print(person: &Person) {
    println!("Session {}, participation {} ({:?}), source {}", person.session_id, person.participation_id, person.role, person.source);
    println!("\n  Looked at, in this order:");
    for (name, value) in &person.inputs {
        println!("    {name:<26} {value}");
    }
    println!("\n  Decided now:");
    for said in &person.decisions {
        let due = said.due_at.as_ref().map_or_else(String::new, |t| format!(" at {}", seconds(t)));
        let why = said.reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let detail = said.detail.as_ref().map_or_else(String::new, |d| format!(" ({d})"));
        println!("    {:<26} {}{due}{why}{detail}", said.what, said.verdict);
    }
    println!("\n  In the outbox:");
    for notice in &person.notices {
        let reason = notice.reason.map_or_else(String::new, |r| format!(" ({r})"));
        let next = notice.next_attempt_at.as_ref().map_or_else(String::new, |t| format!(", next attempt {}", seconds(t)));
        println!(
            "    {:<26} {}{reason}, to {}, due {}{next}   {}",
            notice.what,
            notice.state,
            notice.to,
            seconds(&notice.due_at),
            notice.key
        );
        for row in &notice.history {
            let step =
                [row.from_state, row.to_state].into_iter().flatten().map(crate::entry::State::as_str).collect::<Vec<_>>().join(" -> ");
            println!(
                "      {}  {:<24} {step}  {}",
                seconds(&rfc3339(row.at)),
                event(&row.event),
                row.detail.as_deref().unwrap_or_default()
            );
        }
    }
    println!();
}

/// Without the parts of a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

/// The ledger's words, in those of people.
fn event(word: &str) -> &str {
    match word {
        "added" => "planned",
        "claimed" => "picked up",
        "begun" => "made",
        "doubted" => "handed to the server",
        "settled" => "answer came",
        "ended" => "not sent after all",
        other => other,
    }
}
