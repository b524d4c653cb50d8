//! `status`: counts, times, and what needs attention.

use serde::Serialize;

use super::table::{Colors, Tone, table};
use super::{Exit, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::config::raw::Mode;
use crate::desk::status::{Facts, status as ask};

/// How it runs, and how it stands.
#[derive(Serialize)]
struct Shown<'a> {
    mode: Mode,
    #[serde(flatten)]
    facts: &'a Facts,
}

pub(super) fn status(config: Config, json: bool, colors: Colors) -> anyhow::Result<Exit> {
    let (mode, zone, now) = (config.raw.run.mode, config.time_zone.clone(), WallClock.now());
    let facts = runtime()?.block_on(async { anyhow::Ok(ask(&desk(config)?, now).await?) })?;
    if json {
        println!("{}", serde_json::to_string(&Shown { mode, facts: &facts })?);
    } else {
        for outage in &facts.outages {
            println!("{}", colors.text(&outage.sentence(&zone, now), Tone::Bad));
        }
        print(&facts, mode, colors);
    }
    Ok(if facts.attention { Exit::Attention } else { Exit::Done })
}

fn print(facts: &Facts, mode: Mode, colors: Colors) {
    let mut states = table(colors, &["Notices", ""]);
    for (state, n) in &facts.states {
        let tone = match *state {
            "accepted" => Tone::Good,
            "held" | "unknown" | "rejected" | "lapsed" => Tone::Bad,
            _ => Tone::Plain,
        };
        states.add_row([colors.cell(*state, tone), colors.cell(n.to_string(), tone)]);
    }
    println!("{}", states.trim_fmt());
    if mode == Mode::Shadow {
        println!("Mode: shadow. Nothing is sent; what is accepted here was only rehearsed.");
    }
    println!("Next due: {}", facts.next_due.as_deref().unwrap_or("nothing waits"));
    for source in &facts.sources {
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
    if facts.lapsed > 0 {
        println!("Lapsed: {} messages of the last day were not sent in time: punctual unreachable", facts.lapsed);
    }
    if facts.undelivered > 0 {
        println!("Undelivered: {} messages of coming sessions did not arrive: punctual unreachable", facts.undelivered);
    }
    if facts.unread > 0 {
        println!("Replies: {} texts that people wrote wait for somebody to read them: punctual replies list", facts.unread);
    }
    for line in &facts.quarantined {
        println!("Quarantined: {line}");
    }
}
