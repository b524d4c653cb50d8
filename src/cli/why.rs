//! `why SESSION [PARTICIPATION]`: what was, will or will not be sent to whom, and why, as a text.

use anyhow::bail;
use clap::Args;

use super::table::{TableStyle, in_lines};
use super::{Exit, answer, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::desk::why::{Person, why as ask};
use crate::desk::words;
use crate::entry::State;
use crate::session::{ParticipationId, SessionId};
use crate::zone::rfc3339;

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// SessionId.
    pub(super) session: i64,
    /// ParticipationId. Default: everybody in the session.
    pub(super) participation: Option<i64>,
}

pub(super) fn why(config: Config, args: &WhyArgs, json: bool, look: TableStyle) -> anyhow::Result<Exit> {
    let (session, participation) = (SessionId(args.session), args.participation.map(ParticipationId));
    let (zone, now) = (config.time_zone.clone(), WallClock.now());
    let (people, faults) = runtime()?.block_on(async {
        let desk = desk(config)?;
        let people = answer(ask(&desk, session, participation, now).await)?;
        anyhow::Ok((people, desk.outbox.faults().await?))
    })?;
    if people.is_empty() {
        let whom = participation.map_or_else(String::new, |p| format!(" with a participation {p}"));
        match faults.iter().find(|(_, fault)| fault.session == Some(session)) {
            Some((source, fault)) => bail!(
                "session {session}{whom}: its record in source {source} cannot be read, and nobody is told anything from it: {fault}. \
                 Correct it where sessions are booked; `punctual unreachable` lists it until then"
            ),
            None => bail!("the store knows no session {session}{whom}"),
        }
    }
    for person in &people {
        if json {
            out!("{}", serde_json::to_string(person)?);
        } else {
            print(person, &|text| words::clocked(text, &|at| look.time(at, &zone, now)));
        }
    }
    Ok(Exit::Done)
}

fn print(person: &Person, time: &dyn Fn(&str) -> String) {
    let say = |line: String, set_in: usize| out!("{}", in_lines(&line, set_in));
    out!("Session {}, participation {} ({:?}), source {}", person.session_id, person.participation_id, person.role, person.source);
    out!("\n  Looked at, in this order:");
    for (name, value) in &person.inputs {
        say(format!("    {name:<26} {}", time(value)), 31);
    }
    out!("\n  Decided now:");
    for said in &person.decisions {
        let due = said.due_at.as_ref().map_or_else(String::new, |t| format!(" at {}", time(t)));
        let why = said.reason.map_or_else(String::new, |reason| format!(": {}", words::with_code(reason.as_str(), said.detail.as_deref())));
        say(format!("    {:<26} {}{due}{why}", said.what, said.verdict), 31);
    }
    out!("\n  In the outbox:");
    for notice in &person.notices {
        let reason = notice.reason.map_or_else(String::new, |r| format!(": {}", words::with_code(r.as_str(), None)));
        let state = notice.state.parse().map_or(notice.state, words::state);
        say(format!("    {:<26} {state} [{}]{reason}, to {}", notice.what, notice.state, notice.to), 31);
        let due = format!("due {}", time(&notice.due_at));
        let next = notice.next_attempt_at.as_ref().map(|t| time(t)).map_or_else(String::new, |t| format!(", next attempt {t}"));
        out!("      {due}{next}");
        out!("      key {}", notice.key);
        for row in &notice.history {
            let step = [row.from_state, row.to_state].into_iter().flatten().map(State::as_str).collect::<Vec<_>>().join(" -> ");
            let detail = row.detail.as_deref().map_or_else(String::new, time);
            say(format!("      {:<16} {:<24} {step}  {}", time(&rfc3339(row.at)), words::event(&row.event), detail), 23);
        }
    }
    out!();
}
