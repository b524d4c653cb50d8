//! `config print`, `config schema`, `completions`, `man`.

use std::path::Path;

use anyhow::Context;
use clap::{Command, CommandFactory, Subcommand};

use super::{Cli, Exit};
use crate::config::{Config, schema as json_schema};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Prints the configuration as it holds: defaults filled in, secrets masked.
    Print,
    /// Prints the JSON Schema of the configuration file.
    Schema,
}

/// The commented starter, which is the reference too.
pub(super) const STARTER: &str = include_str!("../../config/punctual.toml");

pub(super) fn print(config: &Config, json: bool) -> anyhow::Result<Exit> {
    if json {
        out!("{}", serde_json::to_string(&config.raw)?);
        return Ok(Exit::Done);
    }
    let from = config.file.as_ref().map_or_else(|| "built-in defaults".to_owned(), |f| f.display().to_string());
    out!("# {from}");
    super::out::write(format_args!("{}", toml::to_string_pretty(&config.raw)?));
    Ok(Exit::Done)
}

pub(super) fn schema() -> anyhow::Result<Exit> {
    out!("{}", serde_json::to_string_pretty(&json_schema())?);
    Ok(Exit::Done)
}

pub(super) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "punctual", &mut script);
    super::out::write(format_args!("{}", String::from_utf8_lossy(&script)));
    Exit::Done
}

/// What stands at the end of each page.
const MANUAL: &str = r#".SH "EXIT STATUS"
.TP
0
done
.TP
1
failed
.TP
2
wrong usage
.TP
3
something needs attention: check found errors, preview met records at fault, something is held or overdue
.TP
74
the store or the output failed
.TP
78
the configuration has mistakes
.SH FILES
.TP
\&./punctual.toml, ./config/punctual.toml, /etc/punctual/punctual.toml
the configuration, the first of these that is there
.SH ENVIRONMENT
.TP
PUNCTUAL__SECTION__KEY
overrides a key of the configuration
.TP
PUNCTUAL_LOG
how much is logged
.TP
NO_COLOR
no colours
"#;

pub(super) fn man(dir: Option<&Path>) -> anyhow::Result<Exit> {
    let mut whole = without_help(Cli::command());
    whole.build();
    let Some(dir) = dir else {
        super::out::write(format_args!("{}", page(&whole, "punctual")?));
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    write_pages(&whole, "punctual", dir)
}

/// What `--help` says has no page of its own.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

/// A command's page, and those of the commands below it.
fn write_pages(command: &Command, name: &str, dir: &Path) -> anyhow::Result<Exit> {
    let file = dir.join(format!("{name}.1"));
    std::fs::write(&file, page(command, name)?).with_context(|| format!("cannot write {}", file.display()))?;
    out!("{}", file.display());
    for below in command.get_subcommands() {
        write_pages(below, &format!("{name}-{}", below.get_name()), dir)?;
    }
    Ok(Exit::Done)
}

fn page(command: &Command, name: &str) -> anyhow::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let typed = name.split('-').skip(1).collect::<Vec<_>>().join(" ").replace("send test", "send-test");
    let mut examples = ".SH EXAMPLES\n".to_owned();
    for (line, note) in super::examples::of(&typed) {
        let line = line.replace('\\', "\\\\").replace('-', "\\-");
        let note = if note.is_empty() { "\\&" } else { note };
        examples.extend([".TP\n", &line, "\n", note, "\n"]);
    }
    Ok(String::from_utf8_lossy(&page).into_owned() + MANUAL + &examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that begins with a dot or an apostrophe is none of the text.
    #[test]
    fn no_line_of_a_manual_page_is_swallowed() {
        let mut whole = without_help(Cli::command());
        whole.build();
        let page = page(&whole, "punctual").unwrap();
        let requests = ["TH", "SH", "TP", "IP", "PP", "RS", "RE", "br", "ie", "el"];
        let taken = page.lines().filter_map(|line| line.strip_prefix(['.', '\'']));
        let lost: Vec<&str> = taken.filter(|line| !requests.contains(&line.split(' ').next().unwrap_or_default())).collect();
        assert_eq!(lost, [] as [&str; 0]);
        assert!(page.contains("\n\\&./punctual.toml, "), "{page}");
    }
}
