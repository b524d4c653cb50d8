//! `outbox list / show / retry / hold / release / cancel`.

use anyhow::bail;

use super::preview::rfc3339;
use super::table::{Colors, Tone, table};
use super::{Exit, FilterArgs, OutboxCommand, desk, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::desk::Desk;
use crate::desk::notices::{Line, Opened, open};
use crate::notice::NoticeKey;
use crate::outbox::{Act, Entry, Filter, Outbox, State};
use crate::session::{ParticipationId, SessionId};

pub(super) fn outbox(config: Config, command: &OutboxCommand, json: bool, colors: Colors) -> anyhow::Result<Exit> {
    runtime()?.block_on(async {
        let desk = desk(config)?;
        let store = &desk.outbox;
        match command {
            OutboxCommand::List(args) => list(&store.list(&filter(args)).await?, json, colors)?,
            OutboxCommand::Show { key } => return show(&desk, *key, json).await,
            OutboxCommand::Retry(args) => act(&**store, args, Act::Retry, "due now").await?,
            OutboxCommand::Hold(args) => act(&**store, args, Act::Hold, "held").await?,
            OutboxCommand::Release(args) => act(&**store, args, Act::Release, "released").await?,
            OutboxCommand::Cancel(args) => act(&**store, args, Act::Cancel, "cancelled").await?,
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

fn list(entries: &[Entry], json: bool, colors: Colors) -> anyhow::Result<()> {
    if json {
        for entry in entries {
            println!("{}", serde_json::to_string(&Line::from(entry))?);
        }
        return Ok(());
    }
    let mut rows = table(colors, &["Due", "Session", "Participation", "What", "To", "State", "Next attempt", "Tries", "Answer"]);
    for e in entries {
        let line = Line::from(e);
        let what = line.rule.as_deref().map_or_else(|| line.occasion.to_owned(), |rule| format!("{} {rule}", line.occasion));
        let state = line.reason.map_or_else(|| line.state.to_owned(), |reason| format!("{} ({reason})", line.state));
        let tone = match e.state {
            State::Accepted => Tone::Good,
            State::Held | State::Unknown | State::Rejected | State::Lapsed => Tone::Bad,
            State::Cancelled | State::Superseded | State::Suppressed => Tone::Quiet,
            _ => Tone::Plain,
        };
        rows.add_row(
            [line.due_at, line.session_id.to_string(), line.participation_id.to_string(), what, e.notice.address.to_string()]
                .into_iter()
                .map(|t| colors.cell(t, Tone::Plain))
                .chain([
                    colors.cell(state, tone),
                    colors.cell(line.next_attempt_at.unwrap_or_default(), Tone::Plain),
                    colors.cell(line.attempts.to_string(), Tone::Plain),
                    colors.cell(line.server_reply.unwrap_or_default(), Tone::Quiet),
                ]),
        );
    }
    println!("{}", rows.trim_fmt());
    println!("{} notices", entries.len());
    Ok(())
}

async fn show(desk: &Desk, key: NoticeKey, json: bool) -> anyhow::Result<Exit> {
    let Some(Opened { shown, content, .. }) = open(desk, key).await? else { bail!("there is no notice {key}") };
    if json {
        println!("{}", serde_json::to_string(&shown)?);
        return Ok(Exit::Done);
    }
    let facts = serde_json::to_value(&shown)?;
    for (name, value) in facts.as_object().into_iter().flatten().filter(|(name, v)| *name != "deliveries" && !v.is_null()) {
        println!("{:<18} {}", name.replace('_', " "), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    println!("{:<18} {}", "content", content.map_or_else(|| "not kept".to_owned(), |bytes| format!("{} bytes", bytes.len())));
    for d in &shown.deliveries {
        let ended = d.ended_at.map_or_else(|| "no answer".to_owned(), rfc3339);
        println!(
            "attempt {}: {} to {ended}, {} over {}: {}",
            d.attempt,
            rfc3339(d.started_at),
            d.outcome.as_deref().unwrap_or("under way"),
            d.transport.as_deref().unwrap_or("?"),
            d.reply.as_deref().unwrap_or("")
        );
        if let (Some(fate), Some(at)) = (d.receipt, d.receipt_at) {
            let detail = d.receipt_detail.as_ref().map_or_else(String::new, |text| format!(": {text}"));
            println!("  receipt at {}: {fate}{detail}", rfc3339(at));
        }
    }
    Ok(Exit::Done)
}

async fn act(store: &dyn Outbox, args: &FilterArgs, act: Act, done: &str) -> anyhow::Result<()> {
    let named = args.session.is_some() || args.participant.is_some() || !args.state.is_empty() || args.occasion.is_some() || args.all;
    if args.keys.is_empty() && !args.all {
        bail!("names no notice: give keys, or --all{}", if named { " with the filter" } else { "" });
    }
    let keys: Vec<NoticeKey> = store.list(&filter(args)).await?.iter().map(|e| e.notice.key).collect();
    let changed = store.act(&keys, act, WallClock.now()).await?;
    println!("{changed} of {} notices {done}", keys.len());
    Ok(())
}
