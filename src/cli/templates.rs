//! `templates list / copy / diff / watch`: what the program says by itself, and what a practice's own templates say in its place.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use self::watch::WatchArgs;
use super::Exit;
use super::table::{TableStyle, Tone, cell, table, text};
use crate::config::Config;
use crate::render::shipped_templates;

mod watch;

#[derive(Debug, Subcommand)]
pub(super) enum TemplatesCommand {
    /// Lists all templates, and which of them are the practice's own.
    List {
        /// Of this language: de-DE.
        #[arg(long, value_name = "LOCALE")]
        locale: Option<String>,
    },
    /// Writes templates as they came into a folder, to be changed there. Overwrites nothing.
    Copy(CopyArgs),
    /// Shows what the practice's own templates say otherwise than those that came with the program. Exit code 3 if there is any.
    Diff,
    /// Shows each message in a browser, on this machine alone, and again whenever a file is saved. What is wrong stands on the page.
    Watch(WatchArgs),
}

#[derive(Debug, Args)]
pub(super) struct CopyArgs {
    /// Where to: the folder of [templates] dir.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// These: en-US/reminder/sms.txt. Default: all of the language.
    #[arg(value_name = "FILE", required_unless_present = "locale")]
    files: Vec<String>,
    /// All of this language.
    #[arg(long, value_name = "LOCALE", conflicts_with = "files")]
    locale: Option<String>,
}

#[derive(Serialize)]
struct Row {
    file: String,
    /// `shipped`, `changed`, `same` as shipped, or `own`: there is none of that name in the program.
    state: &'static str,
}

pub(super) fn templates(config: &Config, command: &TemplatesCommand, json: bool, look: TableStyle) -> anyhow::Result<Exit> {
    match command {
        TemplatesCommand::List { locale } => list(config, locale.as_deref(), json, look),
        TemplatesCommand::Copy(args) => copy(args),
        TemplatesCommand::Diff => diff(config, json, look),
        TemplatesCommand::Watch(args) => watch::watch(config, args),
    }
}

fn rows(config: &Config) -> anyhow::Result<Vec<Row>> {
    let own = own(config)?;
    let shipped = shipped_templates();
    let state = |name: &str, source: &str| match own.iter().find(|(of, _)| of == name) {
        None => "shipped",
        Some((_, text)) if text == source => "same",
        Some(_) => "changed",
    };
    let mut rows: Vec<Row> = shipped.iter().map(|(name, source)| Row { file: (*name).to_owned(), state: state(name, source) }).collect();
    let strange = own.iter().filter(|(name, _)| shipped.iter().all(|(known, _)| known != name));
    rows.extend(strange.map(|(name, _)| Row { file: name.clone(), state: "own" }));
    rows.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(rows)
}

/// Path below the practice's folder, and text.
fn own(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    let Some(dir) = &config.render.template_dir else { return Ok(Vec::new()) };
    let (mut found, mut folders) = (Vec::new(), vec![dir.clone()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let below = path.strip_prefix(dir).unwrap_or(&path);
            found.push((below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"), text));
        }
    }
    Ok(found)
}

fn list(config: &Config, locale: Option<&str>, json: bool, look: TableStyle) -> anyhow::Result<Exit> {
    let of_locale = |row: &Row| locale.is_none_or(|locale| row.file.starts_with(&format!("{locale}/")));
    let rows: Vec<Row> = rows(config)?.into_iter().filter(of_locale).collect();
    if rows.is_empty() {
        bail!("there are no templates for {}; expected one of {}", locale.unwrap_or_default(), locales().join(", "));
    }
    if json {
        for row in &rows {
            out!("{}", serde_json::to_string(row)?);
        }
        return Ok(Exit::Done);
    }
    let mut shown = table(look, &["Template", ""]);
    for row in &rows {
        let (says, tone) = match row.state {
            "changed" => ("the practice's own", Tone::Good),
            "same" => ("copied, and not changed", Tone::Quiet),
            "own" => ("the practice's own; none came with the program", Tone::Good),
            _ => ("", Tone::Plain),
        };
        shown.add_row([cell(row.file.as_str(), tone), cell(says, tone)]);
    }
    out!("{}", text(&shown));
    if let Some(dir) = &config.render.template_dir {
        out!("Your own are in {}", dir.display());
    } else {
        out!("None of your own: [templates] dir is not set.");
        out!("`punctual templates copy DIR --locale en-US` makes a folder of them.");
    }
    Ok(Exit::Done)
}

/// The languages that come with the program.
fn locales() -> Vec<&'static str> {
    let mut found: Vec<&str> = shipped_templates().into_iter().filter_map(|(name, _)| name.strip_suffix("/layout.txt")).collect();
    found.sort_unstable();
    found
}

fn copy(args: &CopyArgs) -> anyhow::Result<Exit> {
    let shipped = shipped_templates();
    let wanted: Vec<&(&str, &str)> = match &args.locale {
        Some(locale) => shipped.iter().filter(|(name, _)| name.starts_with(&format!("{locale}/"))).collect(),
        None => shipped.iter().filter(|(name, _)| args.files.iter().any(|file| file == name)).collect(),
    };
    if let Some(unknown) = args.files.iter().find(|file| shipped.iter().all(|(name, _)| name != *file)) {
        bail!("no template that came with the program is called {unknown}: see `punctual templates list`");
    }
    if wanted.is_empty() {
        bail!("there are no templates for {}; expected one of {}", args.locale.as_deref().unwrap_or_default(), locales().join(", "));
    }
    let mut written = 0;
    for (name, source) in wanted {
        let to = args.dir.join(name);
        if to.exists() {
            eprintln!("{}: is there already, and stays as it is", to.display());
            continue;
        }
        write(&to, source)?;
        out!("{}", to.display());
        written += 1;
    }
    if written == 0 {
        bail!("nothing was written");
    }
    out!("Change them, then: punctual check; punctual preview. ([templates] dir = {:?})", args.dir.display().to_string());
    Ok(Exit::Done)
}

fn write(to: &Path, source: &str) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(to, source).with_context(|| format!("cannot write {}", to.display()))
}

fn diff(config: &Config, json: bool, look: TableStyle) -> anyhow::Result<Exit> {
    let (mut differs, all) = (false, shipped_templates());
    for (name, text) in own(config)? {
        let shipped = all.iter().find(|(of, _)| *of == name).map_or("", |(_, source)| *source);
        let changes = changes(shipped, &text);
        if changes.is_empty() {
            continue;
        }
        differs = true;
        if json {
            let of = |sign: char| changes.iter().filter(|(s, _)| *s == sign).map(|(_, line)| *line).collect::<Vec<_>>();
            out!("{}", serde_json::json!({ "file": name, "shipped": of('-'), "own": of('+') }));
            continue;
        }
        out!("{name}");
        for (sign, line) in &changes {
            out!("{}", look.text(&format!("{sign} {line}"), if *sign == '+' { Tone::Good } else { Tone::Bad }));
        }
    }
    if !differs && !json {
        match &config.render.template_dir {
            Some(dir) => out!("The templates in {} say what came with the program.", dir.display()),
            None => out!("No folder is named ([templates] dir): messages say what came with the program."),
        }
    }
    Ok(if differs { Exit::Attention } else { Exit::Done })
}

/// Lines that only the first has (`-`), and only the second (`+`), in their order: what stands in both, in order, is left out.
fn changes<'a>(before: &'a str, after: &'a str) -> Vec<(char, &'a str)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // Of the longest common sequence of the lines from each place on: a template has some dozens of them.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            found.push(('-', old[i]));
            i += 1;
        } else {
            found.push(('+', new[j]));
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_shown_line_by_line() {
        for (before, after, says) in [
            ("a\nb\nc", "a\nb\nc", vec![]),
            ("a\nb\nc", "a\nB\nc", vec![('-', "b"), ('+', "B")]),
            ("", "a\nb", vec![('+', "a"), ('+', "b")]),
            ("a\nb\nc", "b\nc\nd", vec![('-', "a"), ('+', "d")]),
        ] {
            assert_eq!(changes(before, after), says, "{before:?} {after:?}");
        }
    }
}
