//! `guard show / accept / reject`: what waits because too much changed at once.

use std::collections::BTreeSet;

use clap::Subcommand;

use super::accounts::account;
use super::table::{TableStyle, Tone, cell, counted, table, text};
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::{is_served, open_store};
use crate::guard::{GuardRow, Verdict};
use crate::outbox::Outbox;
use crate::source::{Source, SourceKind};
use crate::zone::Zone;

#[derive(Debug, Subcommand)]
pub(super) enum GuardCommand {
    /// Lists what waits. Exit code 3 if anything does.
    Show,
    /// Lets it pass: what changed is applied within seconds.
    Accept {
        /// Only of this source.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
    /// Rejects it: messages go out as the list stood before, until the source says something else than what was rejected.
    Reject {
        /// Only of this source.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
}

pub(super) fn guard(config: Config, command: &GuardCommand, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let zone = config.time_zone.clone();
    runtime()?.block_on(async {
        let store = open_store(&config, false)?;
        let before = store.guards().await?;
        match command {
            GuardCommand::Show => show(&store.guards().await?, json, (colors, &zone)),
            GuardCommand::Accept { source } => {
                let waiting = store.decide_guard(Verdict::Accept, Some(&account()), source.as_deref(), WallClock.now()).await?;
                if waiting == 0 {
                    out!("Nothing waits.");
                } else {
                    out!("{} accepted: what changed is applied {}", counted(waiting, "session", "sessions"), when(&config));
                    have_walked(&*store, &config, &before, source.as_deref()).await?;
                }
                Ok(Exit::Done)
            }
            GuardCommand::Reject { source } => {
                let rejected = store.decide_guard(Verdict::Reject, Some(&account()), source.as_deref(), WallClock.now()).await?;
                if rejected == 0 {
                    out!("Nothing that can be rejected waits.");
                } else {
                    out!(
                        "{} rejected: what was before is in force {}, until the source says something else",
                        counted(rejected, "session", "sessions"),
                        when(&config)
                    );
                    have_walked(&*store, &config, &before, source.as_deref()).await?;
                }
                let of_source = |row: &GuardRow| source.as_ref().is_none_or(|named| *named == row.source);
                if store.guards().await?.iter().any(of_source) {
                    out!(
                        "What the zone data or the configuration changed cannot be rejected: correct that, and it clears. It waits: punctual guard show"
                    );
                    return Ok(Exit::Attention);
                }
                Ok(Exit::Done)
            }
        }
    })
}

fn when(config: &Config) -> &'static str {
    if is_served(config) { "within seconds" } else { "when punctual is started" }
}

/// Has the daemon look at the sources of which something was decided. (Of one that is pushed to, it looks by itself.)
async fn have_walked(store: &dyn Outbox, config: &Config, decided: &[GuardRow], of: Option<&str>) -> anyhow::Result<()> {
    let names: BTreeSet<&str> = decided.iter().map(|row| row.source.as_str()).filter(|name| of.is_none_or(|of| of == *name)).collect();
    let is_pushed = |source: &&Source| matches!(source.kind, SourceKind::Push(_));
    let (pushed, asked): (Vec<&Source>, _) =
        config.sources.iter().filter(|source| names.contains(source.name.as_str())).partition(is_pushed);
    for source in asked {
        store.want_look(&source.name).await?;
    }
    for source in pushed {
        out!(
            "{}: its last list is taken once more. If punctual was started since that came: with the next list, and until then its messages stay held.",
            source.name
        );
    }
    Ok(())
}

fn show(rows: &[GuardRow], json: bool, (colors, zone): (TableStyle, &Zone)) -> anyhow::Result<Exit> {
    let now = WallClock.now();
    if json {
        for row in rows {
            out!("{}", serde_json::to_string(row)?);
        }
    } else if rows.is_empty() {
        out!("Nothing waits.");
    } else {
        let mut shown = table(colors, &["Source", "Session", "What", "Since"]);
        for row in rows {
            let cells = [row.source.clone(), row.session_id.to_string(), row.kind.to_string(), colors.time(row.since, zone, now)];
            shown.add_row(cells.into_iter().map(|t| cell(t, Tone::Bad)));
        }
        out!("{}", text(&shown));
        out!("Nothing is sent for these.");
        out!("If the source is right: punctual guard accept");
        out!("If it is wrong, correct it there, or go on as before: punctual guard reject");
    }
    Ok(if rows.is_empty() { Exit::Done } else { Exit::Attention })
}
