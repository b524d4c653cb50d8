//! `ledger verify / export`: the history, for auditors.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::table::counted_rows;
use super::{Exit, runtime};
use crate::config::Config;
use crate::daemon::{look_at_store, open_store};
use crate::entry::{Entry, State};
use crate::ledger::{Anchor, LedgerRow, Verified, csv};
use crate::notice::NoticeKey;
use crate::outbox::{Filter, Outbox};
use crate::session::SessionId;
use crate::zone::rfc3339;

#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Recomputes the chain over all rows. Exit code 3 if a row was changed or is missing, or if nothing beside the store shows that it is whole.
    Verify {
        /// Hold it against this earlier head too. Default: the one that the daemon noted beside the store.
        #[arg(long, value_name = "ROW:LINK")]
        anchor: Option<Anchor>,
    },
    /// Prints the rows, oldest first. Addresses are masked.
    Export {
        /// Only of this session: its delivery record.
        #[arg(long, value_name = "ID")]
        session: Option<i64>,
        /// What to print.
        #[arg(long, value_enum, default_value_t = LedgerFormat::Jsonl)]
        format: LedgerFormat,
    },
}

/// What `ledger export` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LedgerFormat {
    /// One object a line.
    Jsonl,
    /// For a spreadsheet: nothing in it is taken for a formula.
    Csv,
}

/// Rows that are read at once.
const PAGE: usize = 1_000;

pub(super) fn ledger(config: Config, command: &LedgerCommand, json: bool) -> anyhow::Result<Exit> {
    runtime()?.block_on(async {
        let store = look_at_store(&config)?;
        match command {
            LedgerCommand::Verify { anchor } => verify(&store.verify_ledger(*anchor).await?, *anchor, json),
            LedgerCommand::Export { session, format } => {
                // What the rows are worth is said; they are printed all the same, for whoever finds out what happened.
                if let Err(why) = open_store(&config, false) {
                    eprintln!("warning: {why}");
                }
                let out = BufWriter::new(io::stdout().lock());
                let rows = export(&*store, session.map(SessionId), *format, out).await?;
                if let Some(none) = session.filter(|_| rows == 0) {
                    bail!("the ledger knows no session {none}");
                }
                Ok(Exit::Done)
            }
        }
    })
}

/// `1 row, up to row 1`; `4711 rows, 2 chains of their own among them, after what was pruned up to row 200, up to row 4911`
fn extent(verified: &Verified) -> String {
    let pruned = if verified.pruned_to > 0 { format!(", after what was pruned up to row {}", verified.pruned_to) } else { String::new() };
    let chains = match verified.chains {
        0 => String::new(),
        1 => ", a chain of its own among them".to_owned(),
        n => format!(", {n} chains of their own among them"),
    };
    format!("{}{chains}{pruned}, up to row {}", counted_rows(verified.rows), verified.head.seq)
}

fn verify(verified: &Verified, anchor: Option<Anchor>, json: bool) -> anyhow::Result<Exit> {
    if json {
        out!("{}", serde_json::to_string(verified)?);
    } else {
        out!("{}", extent(verified));
        if let Some(from) = verified.keyed_from {
            out!("From row {from} on they are chained with the key of the store: nobody makes them without it");
        }
        for finding in &verified.findings {
            out!("WRONG: {finding}");
        }
        if let Some(anchor) = anchor.filter(|a| a.seq <= verified.pruned_to) {
            out!("Row {} was pruned since: nothing can be held against that anchor any more", anchor.seq);
        }
        if verified.findings.is_empty() && verified.copy {
            out!(
                "Every row follows from the one before it. The store says that it is a copy, and has no mark beside it:\nnothing here shows whether rows were cut off at the end (--anchor)."
            );
        } else if verified.findings.is_empty() {
            out!("The ledger is intact: every row follows from the one before it.");
        }
        if verified.findings.is_empty() {
            out!("To show later that nothing was rewritten, keep this elsewhere,\nand give it as --anchor:\n{}", verified.head);
        }
    }
    Ok(if verified.findings.is_empty() { Exit::Done } else { Exit::Attention })
}

/// What a row's notice is about. Not part of the chain.
#[derive(Serialize)]
struct AboutNotice {
    occasion: &'static str,
    rule: Option<String>,
    channel: &'static str,
    to: String,
}

impl From<&Entry> for AboutNotice {
    fn from(entry: &Entry) -> Self {
        let n = &entry.notice;
        Self {
            occasion: n.occasion.as_str(),
            rule: n.rule.clone(),
            channel: n.address.channel().as_str(),
            // Prints masked.
            to: n.address.to_string(),
        }
    }
}

/// One line: the row, and its notice as long as that is kept.
#[derive(Serialize)]
struct LedgerLine<'a> {
    #[serde(flatten)]
    row: &'a LedgerRow,
    notice: Option<&'a AboutNotice>,
}

const COLUMNS: [&str; 15] = [
    "seq",
    "at",
    "key",
    "session_id",
    "participation_id",
    "event",
    "from_state",
    "to_state",
    "reason",
    "detail",
    "occasion",
    "rule",
    "channel",
    "to",
    "chain",
];

async fn export(store: &dyn Outbox, session: Option<SessionId>, format: LedgerFormat, mut out: impl Write) -> anyhow::Result<usize> {
    if format == LedgerFormat::Csv {
        out.write_all(csv::line(COLUMNS).as_bytes())?;
    }
    let (mut after, mut rows) = (0, 0);
    loop {
        let page = store.ledger(session, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        (after, rows) = (last.place, rows + page.len());
        let about = about(store, &page).await?;
        for row in &page {
            let notice = row.key.as_ref().and_then(|key| about.get(key));
            match format {
                LedgerFormat::Jsonl => writeln!(out, "{}", serde_json::to_string(&LedgerLine { row, notice })?)?,
                LedgerFormat::Csv => out.write_all(in_cells(row, notice).as_bytes())?,
            }
        }
    }
    out.flush()?;
    Ok(rows)
}

/// The notices that a page is about.
async fn about(store: &dyn Outbox, page: &[LedgerRow]) -> anyhow::Result<HashMap<String, AboutNotice>> {
    let mut keys: Vec<NoticeKey> = page.iter().filter_map(|row| row.key.as_ref()?.parse().ok()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let entries = store.list(&Filter { keys, ..Filter::default() }).await?;
    Ok(entries.iter().map(|entry| (entry.notice.key.to_string(), AboutNotice::from(entry))).collect())
}

fn in_cells(row: &LedgerRow, notice: Option<&AboutNotice>) -> String {
    let number = |n: Option<i64>| n.map_or_else(String::new, |n| n.to_string());
    let cells = [
        row.seq.to_string(),
        rfc3339(row.at),
        row.key.clone().unwrap_or_default(),
        number(row.session_id.map(|s| s.0)),
        number(row.participation_id.map(|p| p.0)),
        row.event.to_string(),
        row.from_state.map_or("", State::as_str).to_owned(),
        row.to_state.map_or("", State::as_str).to_owned(),
        row.reason.map_or("", crate::notice::Reason::as_str).to_owned(),
        row.detail.clone().unwrap_or_default(),
        notice.map_or("", |n| n.occasion).to_owned(),
        notice.and_then(|n| n.rule.clone()).unwrap_or_default(),
        notice.map_or("", |n| n.channel).to_owned(),
        notice.map_or_else(String::new, |n| n.to.clone()),
        row.chain.map_or_else(String::new, |link| link.to_string()),
    ];
    csv::line(cells.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Link;

    #[test]
    fn one_row_is_a_row() {
        let said = |rows, chains, pruned_to| {
            let head = Anchor { seq: 7, link: Link::START };
            extent(&Verified { rows, pruned_to, keyed_from: None, copy: false, chains, head, findings: Vec::new() })
        };
        assert_eq!(said(1, 0, 0), "1 row, up to row 7");
        assert_eq!(said(2, 1, 5), "2 rows, a chain of its own among them, after what was pruned up to row 5, up to row 7");
        assert_eq!(said(3, 2, 0), "3 rows, 2 chains of their own among them, up to row 7");
    }
}
