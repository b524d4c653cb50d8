//! `config print`, `config schema`, `init`, `completions`, `man`.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use super::{Cli, Exit};
use crate::config::{Config, schema as json_schema};

/// The commented starter, which is the reference too.
pub(super) const STARTER: &str = include_str!("../../config/punctual.toml");

pub(super) fn print(config: &Config) -> anyhow::Result<Exit> {
    let from = config.file.as_ref().map_or_else(|| "built-in defaults".to_owned(), |f| f.display().to_string());
    println!("# {from}");
    print!("{}", toml::to_string_pretty(&config.raw)?);
    Ok(Exit::Done)
}

pub(super) fn schema() -> anyhow::Result<Exit> {
    println!("{}", serde_json::to_string_pretty(&json_schema())?);
    Ok(Exit::Done)
}

pub(super) fn init(file: &Path) -> anyhow::Result<Exit> {
    let mut out = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(file)
        .with_context(|| format!("cannot write {} (an existing file is never overwritten)", file.display()))?;
    out.write_all(STARTER.as_bytes())?;
    println!("Wrote {}. Next:", file.display());
    println!("  punctual --config {} check", file.display());
    println!("  punctual --config {} preview", file.display());
    Ok(Exit::Done)
}

pub(super) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "punctual", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Exit::Done
}

pub(super) fn man() -> anyhow::Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print!("{}", String::from_utf8_lossy(&page));
    Ok(Exit::Done)
}
