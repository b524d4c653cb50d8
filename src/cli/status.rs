//! `status`: counts, times, and what needs attention.

use std::collections::BTreeMap;

use serde::Serialize;

use super::table::{Colors, Tone, table};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::open_store;
use crate::outbox::{SourceStatus, State, Status};

#[derive(Serialize)]
struct Facts<'a> {
    states: BTreeMap<&'static str, u64>,
    omissions: BTreeMap<&'static str, u64>,
    next_due: Option<String>,
    sources: &'a [SourceStatus],
    quarantined: Vec<String>,
    guarded: usize,
    /// Messages of coming sessions that a provider or a mail server says did not arrive.
    undelivered: usize,
    suppressed: u64,
}

pub(super) fn status(config: Config, json: bool, colors: Colors) -> anyhow::Result<Exit> {
    let (status, guards, undelivered) = runtime()?.block_on(async {
        let store = open_store(&config, false)?;
        anyhow::Ok((store.status().await?, store.guards().await?, store.undelivered(WallClock.now()).await?))
    })?;
    let facts = facts(&status, guards.len(), undelivered.len());
    if json {
        println!("{}", serde_json::to_string(&facts)?);
    } else {
        print(&facts, colors);
    }
    Ok(if needs_attention(&status) || !guards.is_empty() || !undelivered.is_empty() { Exit::Attention } else { Exit::Done })
}

/// Something waits for a person.
pub(super) fn needs_attention(status: &Status) -> bool {
    let some = |state| status.by_state.get(&state).is_some_and(|n| *n > 0);
    some(State::Held) || some(State::Unknown) || !status.faults.is_empty()
}

fn facts(status: &Status, guarded: usize, undelivered: usize) -> Facts<'_> {
    Facts {
        states: status.by_state.iter().map(|(s, n)| (s.as_str(), *n)).collect(),
        omissions: status.by_reason.iter().map(|(r, n)| (r.as_str(), *n)).collect(),
        next_due: status.next_due.map(super::preview::rfc3339),
        sources: &status.sources,
        quarantined: status.faults.iter().map(|(source, fault)| format!("{source}: {fault}")).collect(),
        guarded,
        undelivered,
        suppressed: status.suppressed,
    }
}

fn print(facts: &Facts<'_>, colors: Colors) {
    let mut states = table(colors, &["Notices", ""]);
    for (state, n) in &facts.states {
        let tone = match *state {
            "accepted" => Tone::Good,
            "held" | "unknown" | "rejected" => Tone::Bad,
            _ => Tone::Plain,
        };
        states.add_row([colors.cell(*state, tone), colors.cell(n.to_string(), tone)]);
    }
    println!("{}", states.trim_fmt());
    println!("Next due: {}", facts.next_due.as_deref().unwrap_or("nothing waits"));
    for source in facts.sources {
        let at = source.last_snapshot_at.map_or_else(|| "never".to_owned(), super::preview::rfc3339);
        println!("Source {}: {} sessions, last snapshot {at}", source.name, source.sessions);
    }
    if !facts.omissions.is_empty() {
        let mut omissions = table(colors, &["Not sent because", ""]);
        for (reason, n) in &facts.omissions {
            omissions.add_row([colors.cell(*reason, Tone::Quiet), colors.cell(n.to_string(), Tone::Quiet)]);
        }
        println!("{}", omissions.trim_fmt());
    }
    if facts.guarded > 0 {
        println!("Guard: {} sessions changed at once and wait for somebody: punctual guard show", facts.guarded);
    }
    if facts.undelivered > 0 {
        println!("Undelivered: {} messages of coming sessions did not arrive: punctual unreachable", facts.undelivered);
    }
    for line in &facts.quarantined {
        println!("Quarantined: {line}");
    }
}
