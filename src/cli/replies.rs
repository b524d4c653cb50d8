//! `replies list / read`: what people wrote that somebody at the practice should read.

use anyhow::bail;
use clap::Subcommand;
use serde::Serialize;

use super::accounts::account;
use super::table::{TableStyle, Tone, cell, table, text};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::open_store;
use crate::feedback::reply::Written;
use crate::notice::NoticeKey;
use crate::zone::{Zone, rfc3339};

#[derive(Debug, Subcommand)]
pub(super) enum RepliesCommand {
    /// Lists the texts, the oldest first. Exit code 3 if there are any.
    List,
    /// Marks them as read: they are listed no more.
    Read {
        /// Keys of the list.
        #[arg(required = true)]
        keys: Vec<NoticeKey>,
    },
}

/// Texts that are listed at once.
const LISTED_MAX: usize = 1000;

#[derive(Serialize)]
struct Row<'a> {
    key: String,
    at: String,
    from: &'a str,
    word: &'static str,
    about: Vec<PossibleSender>,
    text: &'a str,
}

/// Whose it may be.
#[derive(Serialize)]
struct PossibleSender {
    session_id: i64,
    participation_id: i64,
}

impl<'a> Row<'a> {
    fn of(said: &'a Written) -> Self {
        let about = said.said.about.iter().map(|p| PossibleSender { session_id: p.session.0, participation_id: p.participation.0 });
        Self {
            key: said.key.to_string(),
            at: rfc3339(said.at),
            from: &said.shown,
            word: said.word.as_str(),
            about: about.collect(),
            text: &said.said.text,
        }
    }
}

pub(super) fn replies(config: Config, command: &RepliesCommand, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let zone = config.time_zone.clone();
    runtime()?.block_on(async {
        let store = open_store(&config, false)?;
        match command {
            RepliesCommand::List => list(&store.unread(LISTED_MAX).await?, json, (colors, &zone)),
            RepliesCommand::Read { keys } => {
                let mut marked = 0;
                for key in keys {
                    marked += usize::from(store.mark_read(Some(&account()), *key, WallClock.now()).await?);
                }
                if marked == 0 {
                    bail!("none of these waits: see `punctual replies list`");
                }
                out!("{marked} marked as read");
                Ok(Exit::Done)
            }
        }
    })
}

fn list(all: &[Written], json: bool, (colors, zone): (TableStyle, &Zone)) -> anyhow::Result<Exit> {
    let now = WallClock.now();
    let rows: Vec<Row<'_>> = all.iter().map(Row::of).collect();
    if json {
        for row in &rows {
            out!("{}", serde_json::to_string(row)?);
        }
    } else if rows.is_empty() {
        out!("Nothing waits.");
    } else {
        let mut shown = table(colors, &["Came", "From", "Whose", "Key", "Text"]);
        for row in &rows {
            let whose: Vec<String> = row.about.iter().map(|a| format!("{}/{}", a.session_id, a.participation_id)).collect();
            let came = row.at.parse().map_or_else(|_| row.at.clone(), |at| colors.time(at, zone, now));
            let cells = [came, row.from.to_owned(), whose.join(", "), row.key.clone(), row.text.to_owned()];
            shown.add_row(cells.into_iter().map(|t| cell(t, Tone::Plain)));
        }
        out!("{}\n{} texts. Nobody answers them but you: call, then `punctual replies read KEY`.", text(&shown), rows.len());
    }
    Ok(if rows.is_empty() { Exit::Done } else { Exit::Attention })
}
