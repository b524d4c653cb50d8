//! `unreachable`: upcoming participants who will not be reached, and why, so that somebody can call them in time.

use super::table::{Colors, Tone, table};
use super::{Exit, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::desk::unreachable::unreachable as ask;

pub(super) fn unreachable(config: Config, json: bool, colors: Colors) -> anyhow::Result<Exit> {
    let rows = runtime()?.block_on(async { anyhow::Ok(ask(&desk(config)?, WallClock.now()).await?) })?;
    if json {
        for row in &rows {
            println!("{}", serde_json::to_string(row)?);
        }
    } else {
        let mut shown = table(colors, &["Starts (UTC)", "Session", "Person", "Because"]);
        for row in &rows {
            let why = row.detail.as_ref().map_or_else(|| row.reason.clone(), |d| format!("{} ({d})", row.reason));
            let person = row.participation_id.map_or_else(|| "?".to_owned(), |p| p.to_string());
            let cells = [row.start.clone(), row.session_id.to_string(), person, why];
            shown.add_row(cells.into_iter().map(|t| colors.cell(t, Tone::Bad)));
        }
        println!("{}\n{} people will not be reached", shown.trim_fmt(), rows.len());
    }
    Ok(if rows.is_empty() { Exit::Done } else { Exit::Attention })
}
