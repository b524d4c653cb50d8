//! `unreachable`: upcoming participants who will not be reached, and why, so that somebody can call them in time.

use serde::Serialize;

use super::preview::rfc3339;
use super::table::{Colors, Tone, table};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::open_store;
use crate::digest;
use crate::session::{ParticipationId, SessionId};
use crate::staff::{Concern, Kind, by_start};

/// One person who will not be reached.
#[derive(Serialize)]
struct Row {
    session_id: Option<SessionId>,
    participation_id: Option<ParticipationId>,
    start: Option<String>,
    reason: &'static str,
    detail: Option<String>,
}

impl From<Concern> for Row {
    fn from(c: Concern) -> Self {
        Self {
            session_id: c.session,
            participation_id: c.participation,
            start: c.start.map(rfc3339),
            reason: c.why.as_str(),
            detail: c.detail,
        }
    }
}

pub(super) fn unreachable(config: Config, json: bool, colors: Colors) -> anyhow::Result<Exit> {
    let names: Vec<String> = config.sources.iter().map(|s| s.name.clone()).collect();
    let mut found = runtime()?.block_on(async {
        let store = open_store(&config, false)?;
        anyhow::Ok(digest::gather(&*store, &names, &config.policy, None, WallClock.now()).await?)
    })?;
    found.retain(|c| c.kind == Kind::Person);
    found.sort_by(by_start);
    let rows: Vec<Row> = found.into_iter().map(Row::from).collect();
    if json {
        for row in &rows {
            println!("{}", serde_json::to_string(row)?);
        }
    } else {
        let mut shown = table(colors, &["Starts (UTC)", "Session", "Person", "Because"]);
        for row in &rows {
            let why = row.detail.as_ref().map_or_else(|| row.reason.to_owned(), |d| format!("{} ({d})", row.reason));
            let id = |id: Option<String>| id.unwrap_or_else(|| "?".to_owned());
            let ids = [id(row.session_id.map(|s| s.to_string())), id(row.participation_id.map(|p| p.to_string()))];
            let cells = [vec![id(row.start.clone())], ids.to_vec(), vec![why]].concat();
            shown.add_row(cells.into_iter().map(|t| colors.cell(t, Tone::Bad)));
        }
        println!("{}\n{} people will not be reached", shown.trim_fmt(), rows.len());
    }
    Ok(if rows.is_empty() { Exit::Done } else { Exit::Attention })
}
