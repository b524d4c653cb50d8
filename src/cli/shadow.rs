//! `shadow`: what would have been sent (or was), beside what the provider's webhook says that it sent.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::since::TypedTime;
use super::table::{TableStyle, Tone, cell, table, text};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::config::raw::Mode;
use crate::daemon::open_store;
use crate::entry::State;
use crate::evidence::{self, Comparison, Ours, Row, Theirs};
use crate::ledger::Event;
use crate::outbox::{Filter, Outbox};

#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    /// Leave out what was before. Default: the provider's first report.
    #[arg(long, value_name = "TIME", value_parser = TypedTime::parse)]
    pub(super) since: Option<TypedTime>,
}

/// Ledger rows that are read at once.
const PAGE: usize = 10_000;

/// A row, with what the plan says of that person if nothing was sent here.
#[derive(Serialize)]
struct ShadowRow {
    #[serde(flatten)]
    row: Row,
    /// `24h: declined`
    not_sent_because: Vec<String>,
}

pub(super) fn shadow(config: Config, args: &ShadowArgs, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let rows = runtime()?.block_on(rows(&config, args.since.map(|since| since.on(&config.time_zone))))?;
    if json {
        for row in &rows {
            out!("{}", serde_json::to_string(row)?);
        }
    } else {
        print(&rows, &config, colors);
    }
    Ok(if rows.iter().all(|r| r.row.verdict == Comparison::Same) { Exit::Done } else { Exit::Attention })
}

async fn rows(config: &Config, since: Option<DateTime<Utc>>) -> anyhow::Result<Vec<ShadowRow>> {
    let store = open_store(config, false)?;
    let theirs = theirs(&*store).await?;
    // Before the provider's first report there is nothing to compare with.
    let Some(since) = since.or_else(|| theirs.iter().map(|t| t.evidence.at - evidence::TOLERANCE).min()) else { return Ok(Vec::new()) };
    let told = store.list(&Filter { states: vec![State::Accepted], ..Filter::default() }).await?;
    let ours: Vec<Ours> = told
        .into_iter()
        .filter_map(|e| {
            let n = e.notice;
            let at = e.accepted_at.filter(|at| *at >= since)?;
            Some(Ours { session: n.session, participation: n.participation, start: n.start, occasion: n.occasion, rule: n.rule, at })
        })
        .collect();
    let theirs: Vec<Theirs> = theirs.into_iter().filter(|t| t.evidence.at >= since).collect();
    let mut shown = Vec::new();
    for row in evidence::compare(&ours, &theirs) {
        let not_sent_because = if row.verdict == Comparison::Missing { reasons(&*store, &row).await? } else { Vec::new() };
        shown.push(ShadowRow { row, not_sent_because });
    }
    Ok(shown)
}

async fn theirs(store: &dyn Outbox) -> anyhow::Result<Vec<Theirs>> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = store.ledger(None, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.place;
        let kept = page.iter().filter(|row| row.event == Event::Evidence);
        found.extend(kept.filter_map(|row| {
            let evidence = row.detail.as_deref()?.parse().ok()?;
            Some(Theirs { about: row.session_id.zip(row.participation_id), evidence })
        }));
    }
}

/// Why the plan tells this person nothing, or not everything.
async fn reasons(store: &dyn Outbox, row: &Row) -> anyhow::Result<Vec<String>> {
    let Some((session, person)) = row.session_id.zip(row.participation_id) else {
        return Ok(vec!["no source lists that address at that time".to_owned()]);
    };
    let filter = Filter { session: Some(session), participation: Some(person), ..Filter::default() };
    let what =
        |o: &crate::notice::Omission| o.rule.clone().or(o.occasion.map(|x| x.to_string())).unwrap_or_else(|| "everything".to_owned());
    let reasons: BTreeSet<String> = store.omissions(&filter).await?.iter().map(|o| format!("{}: {}", what(o), o.reason)).collect();
    Ok(reasons.into_iter().collect())
}

fn print(rows: &[ShadowRow], config: &Config, colors: TableStyle) {
    let count = |verdict| rows.iter().filter(|r| r.row.verdict == verdict).count();
    out!(
        "{} the same, {} at another time, {} missing here, {} extra here",
        count(Comparison::Same),
        count(Comparison::TimeDiffers),
        count(Comparison::Missing),
        count(Comparison::Extra)
    );
    let now = WallClock.now();
    let time = |at: Option<DateTime<Utc>>| at.map_or_else(|| "-".to_owned(), |at| colors.time(at, &config.time_zone, now));
    let mut shown = table(colors, &["Starts", "Person", "Compared", "Ours", "At", "Theirs", "At", "Not sent here"]);
    for ShadowRow { row, not_sent_because } in rows.iter().filter(|r| r.row.verdict != Comparison::Same) {
        let id = |id: Option<String>| id.unwrap_or_else(|| "?".to_owned());
        let cells = [
            colors.time(row.start, &config.time_zone, now),
            format!("{}/{}", id(row.session_id.map(|s| s.to_string())), id(row.participation_id.map(|p| p.to_string()))),
            row.verdict.as_str().to_owned(),
            row.rule.clone().or(row.occasion.map(|o| o.to_string())).unwrap_or_else(|| "-".to_owned()),
            time(row.our_time),
            row.status.clone().unwrap_or_else(|| "-".to_owned()),
            time(row.their_time),
            not_sent_because.join(", "),
        ];
        let tone = if row.verdict == Comparison::Missing { Tone::Bad } else { Tone::Plain };
        shown.add_row(cells.into_iter().map(|t| cell(t, tone)));
    }
    if rows.iter().any(|r| r.row.verdict != Comparison::Same) {
        out!("{}", text(&shown));
    }
    if rows.is_empty() {
        out!("The provider's webhook has reported no message yet (docs/shadow.md).");
    } else if config.raw.run.mode == Mode::Shadow {
        out!("The provider sends nothing itself of what it reports in this way, and shadow mode neither: do not stay here for long.");
    }
}
