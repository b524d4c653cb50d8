//! `suppress list / add / remove / import`: addresses that get no messages.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Subcommand, ValueEnum};

use super::accounts::account;
use super::table::{TableStyle, Tone, cell, counted, table, text};
use super::{Exit, address, runtime, typed};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::{open_store, take_over_suppressions};
use crate::outbox::Feedback;
use crate::outbox::sqlite::{Access, SqliteOutbox};
use crate::suppression::{SaidBy, SuppressedAddress, Suppression, suppression_key};
use crate::zone::Zone;

#[derive(Debug, Subcommand)]
pub(super) enum SuppressCommand {
    /// Lists the addresses, masked, the newest first.
    List,
    /// Adds an address.
    Add {
        /// An e-mail address or a telephone number; `-`: read from standard input, so that the list of processes does not show it.
        address: String,
        /// Why.
        #[arg(long, value_enum, default_value_t = SuppressKind::OptedOut, value_name = "WHY")]
        kind: SuppressKind,
    },
    /// Removes an address.
    Remove {
        /// An e-mail address, a telephone number, or a key of the list; `-`: read from standard input.
        address: String,
    },
    /// Takes over the list of an older store that is not sealed, while no daemon runs; makes the new store if there is none yet.
    Import {
        /// The older store's file.
        file: PathBuf,
    },
}

/// Why an address gets no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SuppressKind {
    /// The person asked for no more.
    #[value(name = "opted_out")]
    OptedOut,
    /// Mail to it comes back.
    Bounced,
}

pub(super) fn suppress(config: Config, command: &SuppressCommand, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    runtime()?.block_on(async {
        let store = || open_store(&config, false);
        let now = WallClock.now();
        match command {
            SuppressCommand::Import { file } => import(&config, file).await?,
            SuppressCommand::List => list(&store()?.suppressed().await?, json, (colors, &config.time_zone))?,
            SuppressCommand::Add { address: raw, kind } => {
                let kind = match kind {
                    SuppressKind::OptedOut => Suppression::OptedOut,
                    SuppressKind::Bounced => Suppression::Bounced,
                };
                let (store, address) = (store()?, address(&typed(raw)?, &config)?);
                // Masked, as everywhere.
                let deed = format!("{address}, by {}", account());
                let added = store.suppress(now, &address, kind, Some(&deed)).await?;
                out!("{}", if added { "added" } else { "was there already" });
            }
            SuppressCommand::Remove { address: raw } => {
                // A key of the list, or the address itself.
                let raw = typed(raw)?;
                let key = if raw.len() == 32 && !raw.contains('@') { raw } else { suppression_key(&address(&raw, &config)?) };
                let store = store()?;
                if !store.unsuppress(now, &key, Some(&format!("by {}", account()))).await? {
                    bail!("it is not on the list");
                }
                out!("removed: planned messages go again from the next walk on");
            }
        }
        Ok(Exit::Done)
    })
}

/// As the pages say it.
fn in_words(kind: Suppression) -> &'static str {
    match kind {
        Suppression::OptedOut => "asked for no more",
        Suppression::Bounced => "messages come back",
    }
}

fn who(said_by: SaidBy) -> &'static str {
    match said_by {
        SaidBy::Refusal => "a server, refusing a message",
        SaidBy::Receipt => "a receipt or a bounce",
        SaidBy::Reply => "its owner, by text",
        SaidBy::Person => "somebody at the practice",
    }
}

/// Opts nobody back in who begins with a new store.
async fn import(config: &Config, file: &Path) -> anyhow::Result<()> {
    if !file.is_file() {
        bail!("{}: there is no file of that name; expected the store whose list is taken over", file.display());
    }
    let from = SqliteOutbox::open(&format!("sqlite://{}", file.display()), Access::Command)?.suppressed().await?;
    let all = from.len();
    let added = take_over_suppressions(config, from, WallClock.now()).await?;
    out!("{added} of {all} addresses taken over; the others were there already");
    Ok(())
}

fn list(all: &[SuppressedAddress], json: bool, (colors, zone): (TableStyle, &Zone)) -> anyhow::Result<()> {
    let now = WallClock.now();
    if json {
        for one in all {
            out!("{}", serde_json::to_string(one)?);
        }
        return Ok(());
    }
    let mut rows = table(colors, &["Address", "Why", "Said by", "Since", "Key"]);
    for one in all {
        let cells = [
            one.shown.clone(),
            format!("{} [{}]", in_words(one.kind), one.kind.as_str()),
            who(one.said_by).to_owned(),
            colors.time(one.since, zone, now),
            one.key.clone(),
        ];
        rows.add_row(cells.into_iter().map(|t| cell(t, Tone::Plain)));
    }
    out!("{}\n{}", text(&rows), counted(all.len(), "address", "addresses"));
    Ok(())
}
