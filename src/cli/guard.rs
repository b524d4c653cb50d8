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
    /// Lets it pass: what changed is applied within seconds; of a source that is pushed to, with its next list, if something else was pushed since the
    /// last one came, or the daemon that took that does not run any more, or was started since.
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
                    let decided = Decided::of(&*store, &config, (&before, source.as_deref())).await?;
                    let then = decided.when().map(|when| format!(": what changed is applied {when}")).unwrap_or_default();
                    out!("{} accepted{then}", counted(waiting, "session", "sessions"));
                    have_walked(&*store, &config, &decided).await?;
                }
                Ok(Exit::Done)
            }
            GuardCommand::Reject { source } => {
                let rejected = store.decide_guard(Verdict::Reject, Some(&account()), source.as_deref(), WallClock.now()).await?;
                if rejected == 0 {
                    out!("Nothing that can be rejected waits.");
                } else {
                    let decided = Decided::of(&*store, &config, (&before, source.as_deref())).await?;
                    let then = decided.when().map(|when| format!(" {when}")).unwrap_or_default();
                    out!(
                        "{} rejected: what was before is in force{then}, until the source says something else",
                        counted(rejected, "session", "sessions")
                    );
                    have_walked(&*store, &config, &decided).await?;
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

/// The sources of which something was decided.
struct Decided<'c> {
    /// A daemon runs.
    served: bool,
    /// Those that can be asked.
    asked: Vec<&'c Source>,
    /// Those that a node reads which does not run.
    away: Vec<&'c Source>,
    pushed: Vec<&'c Source>,
}

impl<'c> Decided<'c> {
    async fn of(store: &dyn Outbox, config: &'c Config, (before, of): (&[GuardRow], Option<&str>)) -> anyhow::Result<Self> {
        let (served, nodes) = (is_served(config), store.nodes().await?);
        let names: BTreeSet<&str> = before.iter().map(|row| row.source.as_str()).filter(|name| of.is_none_or(|of| of == *name)).collect();
        let is_pushed = |source: &&Source| matches!(source.kind, SourceKind::Push(_));
        let runs = |name: &String| nodes.iter().any(|node| node.name == *name && node.lives);
        let (pushed, asked): (Vec<_>, Vec<_>) =
            config.sources.iter().filter(|source| names.contains(source.name.as_str())).partition(is_pushed);
        let (away, asked) = asked.into_iter().partition(|source| served && source.node.as_ref().is_some_and(|node| !runs(node)));
        Ok(Self { served, asked, away, pushed })
    }

    /// Of those that can be asked. `None`: there are none, and of each of the others it is said by itself.
    fn when(&self) -> Option<&'static str> {
        let when = if self.served { "within seconds" } else { "when punctual is started" };
        (!self.asked.is_empty()).then_some(when)
    }
}

/// Has the daemon look at the sources of which something was decided. Nobody can ask one that is pushed to: the daemon that took its last list takes it once
/// more, while it has it and nothing else came since; else that is done with the next list.
async fn have_walked(store: &dyn Outbox, config: &Config, decided: &Decided<'_>) -> anyhow::Result<()> {
    for source in decided.asked.iter().chain(&decided.away) {
        store.want_look(&source.name).await?;
    }
    for Source { name, node, .. } in &decided.away {
        let node = node.as_deref().unwrap_or_default();
        out!(
            "{name}: node {node} reads it, and does not run. This is done within seconds once it does. Until then its messages stay held."
        );
    }
    let rows = store.sources().await?;
    let (by, unless) = match &config.raw.node.name {
        Some(_) => (" by the node that took it", "that node does not run any more, or was started since"),
        None => ("", "punctual was started since that came"),
    };
    for Source { name, .. } in &decided.pushed {
        let row = rows.iter().find(|row| row.name == *name);
        if !decided.served {
            out!("{name}: this is done with the next list that is pushed, once punctual is started. Until then its messages stay held.");
        } else if row.is_some_and(|row| row.heard_at > row.whole_at) {
            out!(
                "{name}: a single change was pushed since its last list, so this is done with the next list. Push the list again: until then its messages stay held."
            );
        } else {
            out!(
                "{name}: its last list is taken once more, within seconds{by}. If {unless}: with the next list. Push it again then: until that its messages stay held."
            );
        }
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
