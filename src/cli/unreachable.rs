//! `unreachable`: upcoming participants who will not be reached, and why, so that somebody can call them in time.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::table::{TableStyle, Tone, cell, table, text};
use super::{Exit, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::desk::unreachable::{Row, unreachable as ask};
use crate::desk::words;
use crate::zone::Zone;

pub(super) fn unreachable(config: Config, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let (zone, now) = (config.time_zone.clone(), WallClock.now());
    let rows = runtime()?.block_on(async { anyhow::Ok(ask(&desk(config)?, now).await?) })?;
    if json {
        for row in &rows {
            out!("{}", serde_json::to_string(row)?);
        }
    } else {
        let mut shown = table(colors, &["Starts", "Person", "Because"]);
        for row in &rows {
            let why = words::with_code(&row.reason, row.detail.as_deref());
            let person = row.participation_id.map_or_else(|| "?".to_owned(), |p| p.to_string());
            let start = row.start.as_ref().map_or_else(|| "unknown".to_owned(), |start| in_time(start, colors, (&zone, now)));
            let cells = [start, format!("{}/{person}", row.session_id), why];
            shown.add_row(cells.into_iter().map(|t| cell(t, Tone::Bad)));
        }
        let people = people(&rows);
        let them = if people == 1 { "1 person".to_owned() } else { format!("{people} people") };
        out!("{}\n{them} will not be reached", text(&shown));
    }
    Ok(if rows.is_empty() { Exit::Done } else { Exit::Attention })
}

fn in_time(start: &str, look: TableStyle, (zone, now): (&Zone, DateTime<Utc>)) -> String {
    start.parse::<DateTime<Utc>>().map_or_else(|_| start.to_owned(), |at| look.time(at, zone, now))
}

/// How many they are: several messages of one person are one person's. Whose id could not be read is one more.
fn people(rows: &[Row]) -> usize {
    let known: HashSet<_> = rows.iter().filter_map(|row| Some((row.session_id, row.participation_id?))).collect();
    known.len() + rows.iter().filter(|row| row.participation_id.is_none()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{ParticipationId, SessionId};

    #[test]
    fn somebody_who_is_listed_twice_is_one() {
        let row = |session, participation: Option<i64>| Row {
            session_id: SessionId(session),
            participation_id: participation.map(ParticipationId),
            start: None,
            reason: "lapsed".to_owned(),
            detail: None,
        };
        for (rows, wanted) in [
            (vec![], 0),
            (vec![row(1, Some(11)), row(1, Some(11))], 1),
            (vec![row(1, Some(11)), row(2, Some(11)), row(1, Some(12))], 3),
            (vec![row(1, None), row(1, None), row(1, Some(11))], 3),
        ] {
            assert_eq!(people(&rows), wanted, "{rows:?}");
        }
    }
}
