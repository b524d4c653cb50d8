//! `diff OLD.toml NEW.toml`: who gains, loses or moves a message if the configuration changes. Counts first.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::preview::{rfc3339, snapshot};
use super::table::{Colors, Tone, table};
use super::{DiffArgs, Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::{self, Config};
use crate::daemon::{open_store, store_exists};
use crate::notice::{Decision, Occasion};
use crate::outbox::KnownMap;
use crate::plan::{self, Suppressions};
use crate::session::{ParticipationId, SessionId, Snapshot};

/// What is told to whom: the same thing under both configurations.
type Place = (SessionId, ParticipationId, Occasion, Option<String>);

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

pub(super) fn diff(args: &DiffArgs, json: bool, colors: Colors) -> anyhow::Result<Exit> {
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let said = snapshot(&new, args.sessions.as_deref())?;
    let now = args.at.unwrap_or_else(|| WallClock.now());
    let (known, suppressed) = runtime()?.block_on(memory(&new, &said))?;
    let due = |config: &Config| planned(config, &said, &known, &suppressed, now);
    let rows = compare(&due(&old), &due(&new));
    if json {
        for row in &rows {
            println!("{}", serde_json::to_string(row)?);
        }
        return Ok(Exit::Done);
    }
    let count = |change| rows.iter().filter(|r| r.change == change).count();
    println!("{} gained, {} lost, {} moved", count("gained"), count("lost"), count("moved"));
    let mut shown = table(colors, &["Change", "Session", "Person", "What", "Due before", "Due after"]);
    for row in &rows {
        let tone = if row.change == "lost" { Tone::Bad } else { Tone::Plain };
        let what = row.rule.as_ref().map_or_else(|| row.occasion.to_string(), |rule| format!("{} {rule}", row.occasion));
        let (session, person) = (row.session_id.to_string(), row.participation_id.to_string());
        let (before, after) = (row.old_due_at.clone().unwrap_or_default(), row.new_due_at.clone().unwrap_or_default());
        let cells = [row.change.to_owned(), session, person, what, before, after];
        shown.add_row(cells.into_iter().map(|t| colors.cell(t, tone)));
    }
    if !rows.is_empty() {
        println!("{}", shown.trim_fmt());
    }
    Ok(Exit::Done)
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

/// When each thing is due under a configuration.
fn planned(
    config: &Config,
    said: &Snapshot,
    known: &KnownMap,
    suppressed: &Suppressions,
    now: chrono::DateTime<chrono::Utc>,
) -> BTreeMap<Place, chrono::DateTime<chrono::Utc>> {
    let known = crate::walk::by_session(known.clone());
    let decisions = said.sessions.iter().flat_map(|session| {
        let known = plan::observe(session, known.get(&session.id).cloned().unwrap_or_default(), &config.policy, false, now);
        plan::plan_session(session, &known, &config.policy, suppressed, now)
    });
    decisions
        .filter_map(|d| match d {
            Decision::Send(n) => Some(((n.session, n.participation, n.occasion, n.rule), n.due_at)),
            Decision::Omit(_) => None,
        })
        .collect()
}

fn compare(old: &BTreeMap<Place, chrono::DateTime<chrono::Utc>>, new: &BTreeMap<Place, chrono::DateTime<chrono::Utc>>) -> Vec<Row> {
    let mut places: Vec<&Place> = old.keys().chain(new.keys()).collect();
    places.sort_unstable();
    places.dedup();
    let changed = places.into_iter().filter_map(|place| {
        let (before, after) = (old.get(place), new.get(place));
        let change = match (before, after) {
            (None, Some(_)) => "gained",
            (Some(_), None) => "lost",
            (Some(a), Some(b)) if a != b => "moved",
            _ => return None,
        };
        let (session_id, participation_id, occasion, rule) = place.clone();
        let (old_due_at, new_due_at) = (before.copied().map(rfc3339), after.copied().map(rfc3339));
        Some(Row { change, session_id, participation_id, occasion, rule, old_due_at, new_due_at })
    });
    changed.collect()
}
