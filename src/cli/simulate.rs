//! `simulate`: a rehearsal, as a timeline.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;

use super::preview::snapshot;
use super::progress::Progress;
use super::since::TypedTime;
use super::table::{TableStyle, Tone, cell, table, text};
use super::{Exit, runtime};
use crate::config::Config;
use crate::entry::{AttemptEnd, State};
use crate::render::Renderer;
use crate::simulate::{Happened, Rehearsal, TimelineEntry as Played, script, simulate_with_progress as play};
use crate::zone::Zone;

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The beginning.
    #[arg(long, value_name = "TIME", value_parser = TypedTime::parse)]
    pub(super) from: TypedTime,
    /// The end.
    #[arg(long, value_name = "TIME", value_parser = TypedTime::parse)]
    pub(super) until: TypedTime,
    /// Read this file or folder instead of the configured sources.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) sessions: Option<PathBuf>,
    /// What happens in between: a TOML file.
    #[arg(long, value_name = "FILE")]
    pub(super) script: Option<PathBuf>,
}

pub(super) fn simulate(config: Config, args: &SimulateArgs, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let (zone, (from, until)) = (config.time_zone.clone(), (args.from.on(&config.time_zone), args.until.on(&config.time_zone)));
    let said = snapshot(&config, args.sessions.as_deref(), from)?;
    let script = match &args.script {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            script::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))?
        }
        None => script::Script::default(),
    };
    let sessions = said.sessions.iter().filter_map(|s| serde_json::from_str(&s.record.text).ok()).collect();
    let renderer = Renderer::new(config.render.clone()).map_err(|mistakes| anyhow::anyhow!("{}", mistakes.join("\n")))?;
    let request = Rehearsal {
        sessions,
        policy: Arc::new(config.policy),
        renderer: Arc::new(renderer),
        from,
        until,
        script,
        doubt: (config.email_in_doubt, config.sms_in_doubt),
    };
    // The dispatcher renders on a worker thread.
    let bar = Progress::new("played");
    let (shown, whole) = (bar.clone(), (until - from).num_seconds().max(1) as u64);
    let told = move |at: DateTime<Utc>| shown.reached((at - from).num_seconds().max(0) as u64, whole);
    let played = runtime()?.block_on(async { tokio::spawn(play(request, told)).await });
    bar.done();
    let timeline = played??;
    if json {
        for moment in &timeline {
            out!("{}", serde_json::to_string(moment)?);
        }
    } else {
        print(&timeline, colors, (&zone, from));
    }
    Ok(Exit::Done)
}

fn print(timeline: &[Played], colors: TableStyle, (zone, from): (&Zone, DateTime<Utc>)) {
    let mut rows = table(colors, &["When", "Their clock", "Person", "What", "Outcome", "Says"]);
    for m in timeline {
        let tone = match &m.outcome {
            Happened::Ended(AttemptEnd::Accepted) => Tone::Good,
            Happened::Ended(
                AttemptEnd::Rejected
                | AttemptEnd::Unknown
                | AttemptEnd::ChannelFault
                | AttemptEnd::Retry
                | AttemptEnd::Ended(State::Held | State::Lapsed),
            ) => Tone::Bad,
            Happened::Event => Tone::Plain,
            Happened::Ended(_) | Happened::Omitted => Tone::Quiet,
        };
        let what = m.occasion.map_or_else(String::new, |o| m.rule.as_ref().map_or_else(|| o.to_string(), |rule| format!("{o} {rule}")));
        let word = m.outcome.as_str();
        let outcome = m.reason.map_or_else(|| word.to_owned(), |reason| format!("{word} [{reason}]"));
        let cells = [
            m.at.as_deref().and_then(|at| at.parse().ok()).map_or_else(String::new, |at| colors.time(at, zone, from)),
            m.local.as_deref().map_or_else(String::new, |t| t[11..16].to_owned()),
            [m.session_id.map(|s| s.0), m.participation_id.map(|p| p.0)]
                .into_iter()
                .flatten()
                .map(|n| n.to_string())
                .collect::<Vec<_>>()
                .join("/"),
            what,
            outcome,
            m.detail.clone().unwrap_or_default(),
        ];
        rows.add_row(cells.into_iter().map(|t| cell(t, tone)));
    }
    out!("{}", text(&rows));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    timeline.iter().for_each(|m| *counts.entry(m.outcome.as_str()).or_default() += 1);
    let counted: Vec<String> = counts.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
    out!("{}", counted.join(", "));
}
