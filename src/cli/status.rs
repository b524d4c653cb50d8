//! `status`: counts, times, and what needs attention.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::table::{TableStyle, Tone, cell, in_lines, table, text};
use super::{Exit, desk, health, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::config::raw::Mode;
use crate::daemon::is_served;
use crate::desk::outage::{Outage, What};
use crate::desk::status::{Facts, status as ask};
use crate::desk::{nodes, words};
use crate::outbox::NodeRow;

/// How it runs, and how it stands.
#[derive(Serialize)]
struct Shown<'a> {
    mode: Mode,
    /// A daemon has the store open.
    daemon: bool,
    /// What it warns of, if it listens: a source that cannot be read now.
    warnings: &'a [String],
    #[serde(flatten)]
    facts: &'a Facts,
}

pub(super) fn status(config: Config, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let (mode, zone, now) = (config.raw.run.mode, config.time_zone.clone(), WallClock.now());
    let facts = runtime()?.block_on(async { anyhow::Ok(ask(&desk(config.clone())?, now).await?) })?;
    let daemon = is_served(&config);
    let warnings = if daemon { health::warnings(&config) } else { Vec::new() };
    if json {
        out!("{}", serde_json::to_string(&Shown { mode, daemon, warnings: &warnings, facts: &facts })?);
    } else {
        for outage in &facts.outages {
            out!("{}", colors.text(&in_lines(&outage.sentence(&zone, now), 2), Tone::Bad));
        }
        // (What the store tells of a source is said by now.)
        for warning in warnings.iter().filter(|warning| !is_said(warning, &facts.outages)) {
            let warning = words::clocked(warning, &|at| colors.time(at, &zone, now));
            out!("{}", colors.text(&in_lines(&words::capital(&warning), 2), Tone::Bad));
        }
        if !daemon {
            let says = "No daemon runs: nothing is sent until one is started (punctual run).";
            out!("{}", colors.text(&in_lines(says, 2), Tone::Quiet));
        }
        print(&facts, mode, colors, &|at| colors.time(at, &zone, now));
        if !facts.nodes.is_empty() {
            let shown = |node: &NodeRow| shown(node, &|at| colors.time(at, &zone, now));
            out!("{}", in_lines(&format!("Nodes: {}", facts.nodes.iter().map(shown).collect::<Vec<_>>().join(", ")), 2));
        }
    }
    Ok(if facts.attention || !warnings.is_empty() { Exit::Attention } else { Exit::Done })
}

/// The store tells it, too: a source that cannot be read.
fn is_said(warning: &str, outages: &[Outage]) -> bool {
    let of = |name: &str| warning.starts_with(&format!("source {name} cannot be read since"));
    outages.iter().any(|outage| outage.why.is_some() && matches!(&outage.what, What::Source(name) if of(name)))
}

/// `a (leads)`, `b`, `c (gone since 14:02: ...)`, `d (does nothing since 14:02: its messages are not those of node a, ...)`.
fn shown(node: &NodeRow, time: &dyn Fn(DateTime<Utc>) -> String) -> String {
    let more = nodes::standing(node, time).map(|says| format!(" ({says})")).unwrap_or_default();
    format!("{}{more}", node.name)
}

fn print(facts: &Facts, mode: Mode, colors: TableStyle, time: &dyn Fn(DateTime<Utc>) -> String) {
    let mut states = table(colors, &["", "Messages"]);
    for (state, n) in &facts.states {
        let tone = match *state {
            "accepted" => Tone::Good,
            "held" | "unknown" | "rejected" | "lapsed" => Tone::Bad,
            _ => Tone::Plain,
        };
        let word = state.parse().map_or(*state, words::state);
        let named = format!("{word} [{state}]");
        states.add_row([cell(n.to_string(), tone), cell(named, tone)]);
    }
    out!("{}", text(&states));
    if mode == Mode::Shadow {
        out!("Mode: shadow. Nothing is sent; what is accepted here was only rehearsed.");
    }
    let next = facts.next_due.as_deref().and_then(|at| at.parse().ok()).map_or_else(|| "nothing waits".to_owned(), time);
    out!("Next due: {next}");
    for source in &facts.sources {
        let at = source.last_snapshot_at.map_or_else(|| "never".to_owned(), time);
        out!("Source {}: {} sessions, last snapshot {at}", source.name, source.sessions);
    }
    if !facts.omissions.is_empty() {
        let mut omissions = table(colors, &["", "Not sent because"]);
        for (reason, n) in &facts.omissions {
            omissions.add_row([n.to_string(), words::with_code(reason, None)].map(|text| cell(text, Tone::Quiet)));
        }
        out!("{}", text(&omissions));
    }
    if facts.guarded > 0 {
        out!("{}", in_lines(&format!("Guard: {} sessions changed at once and wait for somebody: punctual guard show", facts.guarded), 2));
    }
    if facts.lapsed > 0 {
        out!(
            "{}",
            in_lines(&format!("Too late: {} messages of the last day were not sent in time: punctual unreachable", facts.lapsed), 2)
        );
    }
    if facts.undelivered > 0 {
        out!(
            "{}",
            in_lines(&format!("Undelivered: {} messages of coming sessions did not arrive: punctual unreachable", facts.undelivered), 2)
        );
    }
    if facts.unread > 0 {
        out!(
            "{}",
            in_lines(
                &format!("Replies: {} texts that people wrote wait for somebody to read them: punctual replies list", facts.unread),
                2
            )
        );
    }
    for line in &facts.quarantined {
        out!("{}", in_lines(&format!("Record at fault: {line}"), 2));
    }
}
