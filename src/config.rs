//! Configuration: from a TOML file and the environment to what is true.
//!
//! Two types, so that no half-checked value travels: [`Raw`] is what was typed ([`raw`]), [`Config`] is what holds ([`check`]).
//! Every mistake is found in one pass and told with file, line, key, what was found and what was expected.
//! `PUNCTUAL__SECTION__KEY` overrides a key.

use std::fmt;
use std::path::{Path, PathBuf};

mod advice;
mod alerts;
mod callback;
mod check;
mod elsewhere;
mod email;
mod gateway;
mod key_path;
mod masked;
mod practice;
pub mod raw;
mod read;
mod relay;
mod secret;
mod server;
mod source;
mod span;
mod staff;

pub use check::{Config, Keep, StoreUrl};
pub use gateway::{Gateway, GatewaySettings};
pub use raw::Raw;
pub use relay::{Relay, RelaySettings};
pub use span::{Clock, Duration, Period};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_FILES: [&str; 3] = ["punctual.toml", "config/punctual.toml", "/etc/punctual/punctual.toml"];
/// The prefix of overriding environment variables.
pub const ENV_PREFIX: &str = "PUNCTUAL__";

/// One mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, or `environment`.
    pub file: String,
    /// 1 for the first; `None` when the mistake is that something is missing.
    pub line: Option<usize>,
    /// `email.relay[0].port`; empty for a syntax error.
    pub key: String,
    /// What was found and what was expected. Never a secret.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All mistakes of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Finds, reads and checks the configuration. No file named and none found: the built-in defaults, which can preview but not send.
pub fn load(named: Option<&Path>) -> Result<Config, Mistakes> {
    let environment: Vec<(String, String)> = std::env::vars().filter(|(k, _)| k.starts_with(ENV_PREFIX)).collect();
    let found = named.map(Path::to_path_buf).or_else(|| DEFAULT_FILES.iter().map(PathBuf::from).find(|p| p.exists()));
    let Some(file) = found else { return parse("", None, &environment) };
    let one = |message| Mistakes(vec![Mistake { file: file.display().to_string(), line: None, key: String::new(), message }]);
    let text = std::fs::read_to_string(&file).map_err(|e| one(format!("cannot be read: {e}")))?;
    parse(&text, Some(&file), &environment)
}

/// Reads and checks a configuration's text. Relative paths in it are relative to `file`'s folder.
pub fn parse(text: &str, file: Option<&Path>, environment: &[(String, String)]) -> Result<Config, Mistakes> {
    let mut document = read::Document::new(text, file, environment);
    let raw = document.read();
    let config = check::check(raw, file, &mut document);
    if document.mistakes.is_empty() { Ok(config) } else { Err(document.in_order()) }
}

/// The JSON Schema of the configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Raw).into()
}

/// A level, or a filter such as `punctual=debug`: several are set apart by commas. A word that is none would be the name of a part of the program,
/// and nothing would be logged.
pub(crate) fn log_level(text: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.contains(&word.trim().to_lowercase().as_str());
    let wrong = text.split(',').find(|part| !is_level(part.rsplit('=').next().unwrap_or_default()));
    wrong.map_or(Ok(()), |part| {
        Err(format!(
            "{:?} is no log level; expected error, warn, info, debug or trace, or a filter such as \"punctual=debug\"",
            part.trim()
        ))
    })
}

#[cfg(test)]
mod tests;
