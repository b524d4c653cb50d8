//! `diff OLD.toml NEW.toml`: who gains, loses or moves a message if the configuration changes. Counts first.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::preview::snapshot;
use super::since::TypedTime;
use super::table::{TableStyle, Tone, cell, table, text};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::{self, Config};
use crate::daemon::{open_store, store_exists};
use crate::known::KnownMap;
use crate::notice::Occasion;
use crate::plan::Suppressions;
use crate::plan::compare::{MessageChange, PlannedMessage, compare, dues, is_much};
use crate::session::{ParticipationId, SessionId, Snapshot};
use crate::zone::rfc3339;

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The configuration as it is.
    #[arg(value_name = "OLD.toml")]
    pub(super) old: PathBuf,
    /// The configuration as it would be.
    #[arg(value_name = "NEW.toml")]
    pub(super) new: PathBuf,
    /// Read this file or folder instead of the new configuration's sources.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) sessions: Option<PathBuf>,
    /// Pretend that it is this time. Default: now.
    #[arg(long, value_name = "TIME", value_parser = TypedTime::parse)]
    pub(super) at: Option<TypedTime>,
}

/// One change.
#[derive(Serialize)]
struct Row {
    change: &'static str,
    session_id: SessionId,
    participation_id: ParticipationId,
    occasion: Occasion,
    rule: Option<String>,
    old_due_at: Option<String>,
    new_due_at: Option<String>,
}

pub(super) fn diff(args: &DiffArgs, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let now = args.at.map_or_else(|| WallClock.now(), |at| at.on(&new.time_zone));
    let said = snapshot(&new, args.sessions.as_deref(), now)?;
    let (known, suppressed) = runtime()?.block_on(memory(&new, &said))?;
    let known = crate::known::by_session(known);
    let due = |config: &Config| dues(said.sessions.iter(), &known, &config.policy, &suppressed, now);
    let (before, after) = (due(&old), due(&new));
    let rows: Vec<Row> = compare(&before, &after).into_iter().map(row).collect();
    let left_out = if args.sessions.is_some() { Vec::new() } else { left_out(&old, &new) };
    let unread = unread(&said);
    let exit = if left_out.is_empty() && unread == 0 { Exit::Done } else { Exit::Attention };
    if json {
        for row in &rows {
            out!("{}", serde_json::to_string(row)?);
        }
        return Ok(exit);
    }
    let count = |change| rows.iter().filter(|r| r.change == change).count();
    out!("{} gained, {} lost, {} moved", count("gained"), count("lost"), count("moved"));
    if !left_out.is_empty() {
        out!("Not compared: what is told for sessions of {}", left_out.join(", "));
    }
    if unread > 0 {
        out!("Not compared: {unread} records or files that cannot be read");
    }
    let mut shown = table(colors, &["Change", "Person", "What", "Due before", "Due after"]);
    for row in &rows {
        let tone = if row.change == "lost" { Tone::Bad } else { Tone::Plain };
        let what = row.rule.as_ref().map_or_else(|| row.occasion.to_string(), |rule| format!("{} {rule}", row.occasion));
        let person = format!("{}/{}", row.session_id, row.participation_id);
        let time = |at: &Option<String>| {
            at.as_deref().and_then(|at| at.parse().ok()).map_or_else(String::new, |at| colors.time(at, &new.time_zone, now))
        };
        let cells = [row.change.to_owned(), person, what, time(&row.old_due_at), time(&row.new_due_at)];
        shown.add_row(cells.into_iter().map(|t| cell(t, tone)));
    }
    if !rows.is_empty() {
        out!("{}", text(&shown));
    }
    if is_much(rows.len(), before.len()) {
        out!(
            "A reload takes so much only if the new file says that you have seen it:\n  [run]\n  accept_change = \"{}\"",
            new.policy.digest()
        );
    }
    Ok(exit)
}

/// Sources that are not looked at: those that another node reads ([`snapshot`] says so), and those that the new configuration does not have.
fn left_out(old: &Config, new: &Config) -> Vec<String> {
    let stays = |name: &str| new.sources.iter().any(|source| source.name == name || source.was.as_deref() == Some(name));
    let mut left_out: Vec<String> =
        new.sources.iter().filter(|source| !source.is_read_by(new.raw.node.name.as_deref())).map(|source| source.name.clone()).collect();
    for source in old.sources.iter().filter(|source| !stays(&source.name)) {
        let name = &source.name;
        eprintln!(
            "Source {name}: it is not in the new configuration, and what waits of it would be held. If it has another name there, say was = {name:?}."
        );
        left_out.push(name.clone());
    }
    left_out
}

/// How many records and files cannot be read; says which.
fn unread(said: &Snapshot) -> usize {
    let told = said.told();
    let words = told.first.iter().filter(|fault| fault.is_word()).count();
    told.lines().iter().filter(|fault| !fault.is_word()).for_each(|fault| eprintln!("Cannot be read: {fault}."));
    told.count - words
}

fn load(file: &Path) -> anyhow::Result<Config> {
    Ok(config::load(Some(file))?)
}

/// What the store knows; nothing, if there is none yet.
async fn memory(config: &Config, said: &Snapshot) -> anyhow::Result<(KnownMap, Suppressions)> {
    let mut known = KnownMap::new();
    if !store_exists(config) {
        return Ok((known, Suppressions::default()));
    }
    let store = open_store(config, false)?;
    let ids: Vec<SessionId> = said.sessions.iter().map(|s| s.id).collect();
    for source in &config.sources {
        known.extend(store.known(&source.name, &ids).await?);
    }
    Ok((known, Suppressions(store.suppressions().await?)))
}

fn row(((session_id, participation_id, occasion, rule), change): (PlannedMessage, MessageChange)) -> Row {
    let (change, before, after) = match change {
        MessageChange::Gained(after) => ("gained", None, Some(after)),
        MessageChange::Lost(before) => ("lost", Some(before), None),
        MessageChange::Moved(before, after) => ("moved", Some(before), Some(after)),
    };
    Row { change, session_id, participation_id, occasion, rule, old_due_at: before.map(rfc3339), new_due_at: after.map(rfc3339) }
}
