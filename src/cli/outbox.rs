//! `outbox list / show / retry / hold / release / cancel / restore / resend`.

use std::io::IsTerminal;

use anyhow::bail;
use chrono::DateTime;
use clap::{Args, Subcommand};

use super::accounts::account;
use super::since::Since;
use super::table::{TableStyle, Tone, cell, counted, in_lines, table, text};
use super::{Exit, Usage, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::contact::Address;
use crate::desk::notices::{Line, OpenedNotice, open};
use crate::desk::outage::is_overdue;
use crate::desk::resend::{self as wish, ResendRequest, ResendResult, refused_since};
use crate::desk::{Desk, called, what, words};
use crate::entry::{AttemptEnd, Entry, State};
use crate::known::resend::Resent;
use crate::notice::{NoticeKey, Occasion};
use crate::outbox::{Action, Filter, Outbox};
use crate::session::{ParticipationId, SessionId};
use crate::zone::{Zone, rfc3339};

#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// Lists notices.
    List(FilterArgs),
    /// Shows one notice with its deliveries.
    Show {
        /// The notice's key.
        key: NoticeKey,
    },
    /// Makes what waits for its back-off due now; sends again what is unknown.
    Retry(ActArgs),
    /// Holds what waits.
    Hold(ActArgs),
    /// Releases what is held.
    Release(ActArgs),
    /// Cancels what waits, is held or is unknown: it is not sent, and not planned again.
    Cancel {
        #[command(flatten)]
        which: ActArgs,
        /// They were told in another way: by telephone, or by a store that was lost. What it says counts as told.
        #[arg(long)]
        told: bool,
        /// Does not ask on a terminal. Needed elsewhere for --all without a filter.
        #[arg(long)]
        yes: bool,
    },
    /// Takes a cancel back, while the message is of use.
    Restore(ActArgs),
    /// Hands over again what was accepted or rejected, as a new notice: made anew, and checked as every other one.
    Resend(ResendArgs),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(false).args(["keys", "rejected"])))]
pub(super) struct ResendArgs {
    /// These notices.
    #[arg(value_name = "KEY")]
    pub(super) keys: Vec<NoticeKey>,
    /// To this e-mail address or telephone number instead of their own. Of one participant.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "rejected")]
    pub(super) to: Option<String>,
    /// All that servers refused, and that is still of use: after the mend of a relay.
    #[arg(long)]
    pub(super) rejected: bool,
    /// Why, for the ledger. Name nobody.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
    /// Of those, what was refused since then: a time, or so long ago (2h). Default: all.
    #[arg(long, value_name = "TIME", requires = "rejected", value_parser = Since::parse)]
    pub(super) since: Option<Since>,
}

#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// These notices.
    #[arg(value_name = "KEY")]
    pub(super) keys: Vec<NoticeKey>,
    /// Of this session.
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<i64>,
    /// Of this participation.
    #[arg(long, value_name = "ID")]
    pub(super) participant: Option<i64>,
    /// In this state. May be given several times.
    #[arg(long, value_name = "STATE")]
    pub(super) state: Vec<State>,
    /// Of this occasion.
    #[arg(long, value_name = "OCCASION")]
    pub(super) occasion: Option<Occasion>,
    /// All that the filter names. Needed to change notices without naming their keys.
    #[arg(long)]
    pub(super) all: bool,
}

/// Which notices are changed, and why.
#[derive(Debug, Args)]
pub(super) struct ActArgs {
    #[command(flatten)]
    pub(super) which: FilterArgs,
    /// Why, for the ledger. Name nobody.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

impl ActArgs {
    /// `jane: the host is ill`
    fn by(&self) -> String {
        called::with_reason(&account(), &self.reason)
    }
}

impl FilterArgs {
    /// Some of all are meant.
    fn filters(&self) -> bool {
        self.narrows() || !self.state.is_empty()
    }

    /// Those of a person, a session or an occasion. All that waits, for one, is everything.
    fn narrows(&self) -> bool {
        !self.keys.is_empty() || self.session.is_some() || self.participant.is_some() || self.occasion.is_some()
    }
}

pub(super) fn outbox(config: Config, command: &OutboxCommand, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    let zone = config.time_zone.clone();
    runtime()?.block_on(async {
        let desk = desk(config)?;
        let store = &desk.outbox;
        match command {
            OutboxCommand::List(args) => list(&store.list(&filter(args)).await?, json, (colors, &zone))?,
            OutboxCommand::Show { key } => return show(&desk, *key, json).await,
            OutboxCommand::Retry(args) => act(&**store, args, Action::Retry, "due now").await?,
            OutboxCommand::Hold(args) => act(&**store, args, Action::Hold, "held").await?,
            OutboxCommand::Release(args) => act(&**store, args, Action::Release, "released").await?,
            OutboxCommand::Cancel { which, told, yes } => cancel(&**store, which, *told, *yes).await?,
            OutboxCommand::Restore(args) => act(&**store, args, Action::Restore, "restored").await?,
            OutboxCommand::Resend(args) => return resend(&desk, args).await,
        }
        Ok(Exit::Done)
    })
}

fn filter(args: &FilterArgs) -> Filter {
    Filter {
        session: args.session.map(SessionId),
        participation: args.participant.map(ParticipationId),
        states: args.state.clone(),
        occasion: args.occasion,
        keys: args.keys.clone(),
        ..Filter::default()
    }
}

fn list(entries: &[Entry], json: bool, (colors, zone): (TableStyle, &Zone)) -> anyhow::Result<()> {
    if json {
        for entry in entries {
            out!("{}", serde_json::to_string(&Line::from(entry))?);
        }
        return Ok(());
    }
    let now = WallClock.now();
    let mut headings = vec!["Due", "Person", "What", "To", "State"];
    if colors.is_wide() {
        headings.extend(["Next attempt", "Tries", "Key", "Answer"]);
    }
    let mut rows = table(colors, &headings);
    for e in entries {
        let n = &e.notice;
        let time = |at| colors.time(at, zone, now);
        let overdue = is_overdue(e.state, n.due_at, n.useful_until, now);
        let tone = match e.state {
            _ if overdue => Tone::Bad,
            State::Accepted => Tone::Good,
            State::Held | State::Unknown | State::Rejected | State::Lapsed => Tone::Bad,
            State::Cancelled | State::Superseded | State::Suppressed => Tone::Quiet,
            _ => Tone::Plain,
        };
        let person = format!("{}/{}", n.session, n.participation);
        let plain = [time(n.due_at), person, what(n.occasion, n.rule.as_deref()), n.address.to_string()];
        let mut cells: Vec<_> = plain.into_iter().map(|text| cell(text, Tone::Plain)).collect();
        cells.push(cell(state(e, overdue), tone));
        if colors.is_wide() {
            let next = e.next_attempt_at.map(time).unwrap_or_default();
            let more = [next, e.attempts.to_string(), n.key.to_string(), e.server_reply.clone().unwrap_or_default()];
            cells.extend(more.into_iter().map(|text| cell(text, Tone::Plain)));
        }
        rows.add_row(cells);
    }
    out!("{}", text(&rows));
    out!("{}", counted(entries.len(), "notice", "notices"));
    Ok(())
}

/// `Held: Too much changed at once [guard]`
fn state(entry: &Entry, overdue: bool) -> String {
    let word = if overdue { words::OVERDUE } else { words::state(entry.state) };
    entry.reason.map_or_else(|| word.to_owned(), |reason| format!("{word}: {}", words::with_code(reason.as_str(), None)))
}

/// Its lines are read by scripts: times are RFC 3339.
async fn show(desk: &Desk, key: NoticeKey, json: bool) -> anyhow::Result<Exit> {
    let Some(OpenedNotice { shown, content, .. }) = open(desk, key).await? else { bail!("there is no notice {key}") };
    if json {
        out!("{}", serde_json::to_string(&shown)?);
        return Ok(Exit::Done);
    }
    let facts = serde_json::to_value(&shown)?;
    for (name, value) in facts.as_object().into_iter().flatten().filter(|(name, v)| *name != "deliveries" && !v.is_null()) {
        let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out!("{}", in_lines(&format!("{:<18} {said}", name.replace('_', " ")), 19));
    }
    out!("{:<18} {}", "content", content.map_or_else(|| "not kept".to_owned(), |bytes| format!("{} bytes", bytes.len())));
    for d in &shown.deliveries {
        let line = format!(
            "attempt {}: {} to {}, {} over {}: {}",
            d.attempt,
            rfc3339(d.started_at),
            d.ended_at.map_or_else(|| "no answer".to_owned(), rfc3339),
            d.outcome.as_ref().map_or("under way", AttemptEnd::as_str),
            d.transport.as_deref().unwrap_or("?"),
            d.reply.as_deref().unwrap_or("")
        );
        out!("{}", in_lines(line.trim_end(), 2));
        if let (Some(status), Some(at)) = (d.receipt, d.receipt_at) {
            let detail = d.receipt_detail.as_ref().map_or_else(String::new, |text| format!(": {text}"));
            out!("{}", in_lines(&format!("  receipt at {}: {status}{detail}", rfc3339(at)), 4));
        }
    }
    Ok(Exit::Done)
}

/// Fails if none is handed over again.
async fn resend(desk: &Desk, args: &ResendArgs) -> anyhow::Result<Exit> {
    let now = WallClock.now();
    let since = args.since.map_or(DateTime::UNIX_EPOCH, |since| since.before(now));
    let keys = if args.rejected { refused_since(desk, since, now).await? } else { args.keys.clone() };
    let to =
        args.to.as_deref().map(|to| Address::parse(to, &desk.policy.region)).transpose().map_err(|why| anyhow::anyhow!("--to: {why}"))?;
    if to.is_some() {
        of_one_person(desk, &keys).await?;
    }
    let answers = wish::resend(desk, &ResendRequest { keys, to, who: Some(called::with_reason(&account(), &args.reason)) }, now).await?;
    let mut refused = 0;
    for (key, answer) in &answers {
        match (answer.refusal(), answer) {
            (Some(why), _) => {
                refused += 1;
                eprintln!("{key}: {why}");
            }
            (None, ResendResult::Store(Resent::As(new))) => out!("{key} again as {new}"),
            (None, _) => {}
        }
    }
    out!("{} of {} notices are handed over again", answers.len() - refused, answers.len());
    Ok(if refused > 0 && refused == answers.len() { Exit::Failed } else { Exit::Done })
}

/// What goes to another address is about one participant: nobody gets what belongs to somebody else by a slip.
async fn of_one_person(desk: &Desk, keys: &[NoticeKey]) -> anyhow::Result<()> {
    let entries = desk.outbox.list(&Filter { keys: keys.to_vec(), ..Filter::default() }).await?;
    let mut people = entries.iter().map(|e| (e.notice.session, e.notice.participation));
    let first = people.next();
    if people.any(|other| Some(other) != first) {
        bail!("--to is for the notices of one participant: these are of several");
    }
    Ok(())
}

/// Asks first, where somebody sits at a terminal. Elsewhere it cancels what is named; everything, only by `--yes`.
async fn cancel(store: &dyn Outbox, args: &ActArgs, told: bool, yes: bool) -> anyhow::Result<()> {
    let sits = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !yes && !sits && args.which.all && !args.which.narrows() {
        let says = "this may cancel everything: say --yes, or name a session, participant or occasion";
        return Err(Usage(says.to_owned()).into());
    }
    let entries = named(store, &args.which).await?;
    let keys: Vec<NoticeKey> = entries.iter().map(|e| e.notice.key).collect();
    if !yes && sits {
        eprint!("{} notices: cancel those that are not sent yet? [y/N] ", keys.len());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            bail!("nothing was cancelled");
        }
    }
    let (act, done) = if told { (Action::CancelTold, "cancelled, and count as told") } else { (Action::Cancel, "cancelled") };
    let changed = store.act_by(Some(&args.by()), &keys, act, WallClock.now()).await?;
    none_of_those(&args.which, &entries, changed, done)?;
    out!("{changed} of {} notices {done}", keys.len());
    Ok(())
}

/// Whoever names notices, and changes none of them, has made a mistake.
fn none_of_those(args: &FilterArgs, entries: &[Entry], changed: usize, done: &str) -> anyhow::Result<()> {
    if args.keys.is_empty() || changed > 0 {
        return Ok(());
    }
    match entries.first() {
        Some(entry) => bail!("0 of {} notices {done}: {} is {}", entries.len(), entry.notice.key, entry.state),
        None => bail!("0 notices {done}: there is none with that key: see `punctual outbox list`"),
    }
}

async fn act(store: &dyn Outbox, args: &ActArgs, act: Action, done: &str) -> anyhow::Result<()> {
    let by = args.by();
    let args = &args.which;
    let entries = named(store, args).await?;
    let keys: Vec<NoticeKey> = entries.iter().map(|e| e.notice.key).collect();
    let changed = store.act_by(Some(&by), &keys, act, WallClock.now()).await?;
    let over = entries.iter().find(|e| matches!(e.state, State::Accepted | State::Rejected));
    if let Some(entry) = over.filter(|_| changed == 0 && !args.keys.is_empty() && matches!(act, Action::Retry | Action::Release)) {
        bail!("{} is {}: `punctual outbox resend {0}` hands it over again", entry.notice.key, entry.state);
    }
    none_of_those(args, &entries, changed, done)?;
    out!("{changed} of {} notices {done}", keys.len());
    Ok(())
}

/// What a command means.
async fn named(store: &dyn Outbox, args: &FilterArgs) -> anyhow::Result<Vec<Entry>> {
    if args.keys.is_empty() && !args.all {
        let filter = if args.filters() { " with the filter" } else { "" };
        return Err(Usage(format!("names no notice: give keys, or --all{filter}")).into());
    }
    Ok(store.list(&filter(args)).await?)
}
