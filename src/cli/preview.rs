//! `preview`: what would be sent, and what not and why. It opens no transport.

use std::path::{Path, PathBuf};

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};

use super::accounts::account;
use super::private_folder::PrivateFolder;
use super::progress::Progress;
use super::since::TypedTime;
use super::table::{TableStyle, Tone, cell, in_lines, table, text};
use super::{Exit, gallery, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::daemon::{open_store, pushed, store_exists};
use crate::desk::words as desk_words;
use crate::known::KnownMap;
use crate::ledger::Event;
use crate::notice::Reason;
use crate::plan::Suppressions;
use crate::preview::{PreviewLine, PreviewRequest, each_line, lines};
use crate::render::Renderer;
use crate::session::{SessionId, Snapshot, SnapshotKind};
use crate::source::words::Dictionary;
use crate::source::{SourceKind, ambiguity, file, meaning};

#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// Read this file or folder instead of the configured sources.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) sessions: Option<PathBuf>,
    /// Pretend that it is this time: 2026-11-29, "2026-11-29 15:00" on the practice's clock, or 2026-11-29T20:00:00Z. Default: now.
    #[arg(long, value_name = "TIME", value_parser = TypedTime::parse)]
    pub(super) at: Option<TypedTime>,
    /// Show what is due until then. Default: the last start.
    #[arg(long, value_name = "TIME", value_parser = TypedTime::parse)]
    pub(super) until: Option<TypedTime>,
    /// Only this session.
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<i64>,
    /// Only this participation.
    #[arg(long, value_name = "ID")]
    pub(super) participant: Option<i64>,
    /// As if all sessions were new. Default: what the store knows counts, where there is one: what was told already, when sessions were first seen.
    #[arg(long)]
    pub(super) fresh: bool,
    /// The default. Older scripts say it.
    #[arg(long, hide = true, conflicts_with = "fresh")]
    pub(super) store: bool,
    /// What to print.
    #[arg(long, value_enum, default_value_t = PreviewFormat::Table)]
    pub(super) format: PreviewFormat,
    /// html, eml: the folder to write. Default: ./preview
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Show addresses and connect codes. (Is written to the ledger.)
    #[arg(long)]
    pub(super) reveal: bool,
}

/// What `preview` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PreviewFormat {
    /// For people.
    Table,
    /// One object a line.
    Json,
    /// A gallery that opens in a browser.
    Html,
    /// A file for each message.
    Eml,
}

pub(super) fn preview(config: Config, args: &PreviewArgs, json: bool, colors: TableStyle) -> anyhow::Result<Exit> {
    if args.format == PreviewFormat::Eml && !args.reveal {
        bail!("--format eml writes the messages as they are, with their codes: add --reveal");
    }
    let now = args.at.map_or_else(|| WallClock.now(), |at| at.on(&config.time_zone));
    let snapshot = snapshot(&config, args.sessions.as_deref(), now)?;
    // (What another node reads is left out, and said so.)
    let leaves_out = args.sessions.is_none() && config.sources.iter().any(|source| !source.is_read_by(config.raw.node.name.as_deref()));
    let is_whole = snapshot.kind == SnapshotKind::Full && !leaves_out;
    let (known, suppressed, reference_key) = runtime()?.block_on(memory(&config, args, &snapshot))?;
    let settings = crate::render::Settings { reference_key, ..config.render.clone() };
    let renderer = Renderer::new(settings).map_err(|mistakes| anyhow::anyhow!("{}", mistakes.join("\n")))?;
    renderer.live_codes().put("", &snapshot.sessions, now);
    let request = PreviewRequest {
        snapshot: &snapshot,
        known,
        policy: &config.policy,
        suppressed: &suppressed,
        renderer: &renderer,
        now,
        until: args.until.map(|until| until.on(&config.time_zone)),
        session: args.session,
        participant: args.participant,
        reveal: args.reveal,
    };
    let quarantined = |line: &PreviewLine| line.reason == Some(Reason::Quarantined.as_str());
    if args.format == PreviewFormat::Json || (args.format == PreviewFormat::Table && json) {
        let attention = print_json(request, quarantined)?;
        return Ok(if attention || !is_whole { Exit::Attention } else { Exit::Done });
    }
    let lines = lines(request);
    if args.format != PreviewFormat::Eml && !args.fresh {
        say_what_counts(&config);
    }
    if lines.is_empty() && (args.session.is_some() || args.participant.is_some()) {
        bail!("no source has that session or participation");
    }
    let out = args.out.clone().unwrap_or_else(|| "preview".into());
    match args.format {
        PreviewFormat::Html => out!("{}", gallery::write(&lines, &config, now, &out)?.display()),
        PreviewFormat::Eml => out!("{} files in {}", write_files(&lines, &out)?, out.display()),
        PreviewFormat::Table | PreviewFormat::Json => print_table(&lines, colors, &|at| colors.time(at, &config.time_zone, now)),
    }
    let quarantined = lines.iter().any(quarantined);
    Ok(if quarantined || !is_whole { Exit::Attention } else { Exit::Done })
}

/// The sessions: of the named file or folder, else of every configured source.
pub(super) fn snapshot(config: &Config, named: Option<&Path>, now: DateTime<Utc>) -> anyhow::Result<Snapshot> {
    let mut whole = Snapshot::default();
    if let Some(path) = named {
        let bar = Progress::new("files read");
        let read = file::read_with_progress(&file::Settings { path: path.to_path_buf() }, &|done, all| bar.reached(done, all));
        bar.done();
        whole = read.map_err(anyhow::Error::msg)?;
        meaning::apply(&mut whole, &Dictionary::of_all(config.sources.iter().map(|source| &source.words)));
        ambiguity::mark(&mut whole, now);
    } else if config.sources.is_empty() {
        bail!("there is no source: name one in the configuration, or use --sessions FILE");
    } else {
        for source in &config.sources {
            if let Some(why) = source.left_out(config.raw.node.name.as_deref()) {
                eprintln!("Source {}: {why}.", source.name);
                continue;
            }
            let mut part = match source.kind {
                SourceKind::Push(_) => runtime()?.block_on(pushed(config, source, now))?,
                _ => runtime()?.block_on(source.read()).map_err(anyhow::Error::msg)?,
            };
            ambiguity::mark(&mut part, now);
            whole.join(source.name.clone(), part);
        }
        ambiguity::mark_together(&mut whole, now);
    }
    Ok(whole)
}

/// A preview that says something else than `run` does would mislead: what it takes into account, and what `run` would do.
fn say_what_counts(config: &Config) {
    if store_exists(config) {
        let text = "As the store knows it: what was told already is left out. (--fresh: as if all sessions were new.)";
        eprintln!("{}", in_lines(text, 0));
    } else if !config.policy.adopt_invites && !config.sources.is_empty() {
        let text = "All sessions are taken for new. The first start takes those that are there for announced by somebody else, \
                    and sends them no invites, unless [adopt] invites = true.";
        eprintln!("{}", in_lines(text, 0));
    }
}

/// What the store knows, where there is one. Revealing is written to its ledger.
async fn memory(config: &Config, args: &PreviewArgs, snapshot: &Snapshot) -> anyhow::Result<(KnownMap, Suppressions, [u8; 32])> {
    let mut known = KnownMap::new();
    let recorded = store_exists(config);
    if args.reveal && !recorded {
        eprintln!("There is no store yet: no ledger tells of this look. By {}", account());
    }
    if !args.store && (!recorded || (args.fresh && !args.reveal)) {
        return Ok((known, Suppressions::default(), [0; 32]));
    }
    let store = open_store(config, false)?;
    if args.reveal {
        let what = format!("preview of {} sessions, by {}", snapshot.sessions.len(), account());
        store.record_event(WallClock.now(), Event::Reveal, &what).await?;
    }
    if args.fresh {
        return Ok((known, Suppressions::default(), [0; 32]));
    }
    let ids: Vec<SessionId> = snapshot.sessions.iter().map(|s| s.id).collect();
    for source in &config.sources {
        known.extend(store.known(&source.name, &ids).await?);
    }
    Ok((known, Suppressions(store.suppressions().await?), store.reference_key().await?))
}

/// One object a line; whether one of them is of that kind.
fn print_json(request: PreviewRequest<'_>, of_that_kind: impl Fn(&PreviewLine) -> bool) -> anyhow::Result<bool> {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut found = false;
    each_line(request, |line| {
        found |= of_that_kind(&line);
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")
    })?;
    out.flush()?;
    Ok(found)
}

fn print_table(lines: &[PreviewLine], colors: TableStyle, time: &dyn Fn(DateTime<Utc>) -> String) {
    let mut headings = vec!["Due", "Person", "What", "Says"];
    if colors.is_wide() {
        headings.extend(["To", "Starts, on their clock"]);
    }
    let mut rows = table(colors, &headings);
    for line in lines {
        let sends = line.verdict == "send";
        let tone = match line.reason {
            None => Tone::Good,
            Some(
                "quarantined" | "ambiguous" | "invalid_email" | "invalid_number" | "no_email" | "no_number" | "no_connect_code" | "leak"
                | "template",
            ) => Tone::Bad,
            Some(_) => Tone::Quiet,
        };
        let says = if sends {
            line.subject.clone().or_else(|| line.sms.clone()).unwrap_or_default()
        } else {
            format!("not sent: {}", in_words(line))
        };
        let id = |n: Option<i64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let host = if line.role == Some(crate::session::Role::Host) { " host" } else { "" };
        let plain = [
            line.due_at.as_deref().and_then(|at| at.parse().ok()).map_or_else(String::new, time),
            format!("{}/{}{host}", id(line.session_id), id(line.participation_id)),
            line.what(),
        ];
        let tone_of_plain = if sends { Tone::Plain } else { tone };
        let mut cells: Vec<_> = plain.into_iter().map(|t| cell(t, tone_of_plain)).collect();
        cells.push(cell(says, tone));
        if colors.is_wide() {
            let starts = line.local_start.as_deref().map_or_else(String::new, |t| format!("{} {}", &t[..10], &t[11..16]));
            let to = line.to.clone().or_else(|| line.channel.map(str::to_owned)).unwrap_or_default();
            cells.extend([to, starts].map(|t| cell(t, tone_of_plain)));
        }
        rows.add_row(cells);
    }
    out!("{}", text(&rows));
    let sent = lines.iter().filter(|l| l.verdict == "send").count();
    out!("{sent} would be sent, {} not.", lines.len() - sent);
}

/// `Booked too late for this reminder [booked_late]`, and the detail if there is one.
fn in_words(line: &PreviewLine) -> String {
    desk_words::with_code(line.reason.unwrap_or_default(), line.detail.as_deref())
}

/// A file for each message: `0001-9636-18620-invite.eml`.
fn write_files(lines: &[PreviewLine], out: &Path) -> anyhow::Result<usize> {
    let folder = PrivateFolder::open(out)?;
    let messages = lines.iter().filter_map(|l| Some((l, l.bytes.as_ref()?)));
    let mut count = 0;
    for (n, (line, bytes)) in messages.enumerate() {
        let kind = if line.channel == Some("email") { "eml" } else { "txt" };
        let ids = [line.session_id, line.participation_id].map(|n| n.unwrap_or_default().to_string()).join("-");
        let name = format!("{:04}-{ids}-{}.{kind}", n + 1, line.what().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        folder.write(&name, bytes)?;
        count += 1;
    }
    Ok(count)
}
