//! What every section needs: where a path begins, where a mistake is noted, how a secret and a cron expression are read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::read::Document;
use super::secret::{self, Secret};

/// How often a source, or a folder of bounces, is polled when nothing is said.
pub(super) const POLL: &str = "*/30 * * * * *";
/// Connections at once when nothing is said.
pub(super) const CONNECTIONS: u16 = 4;
/// A gateway that has not answered by then may or may not have taken the text.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// Shortest token, in characters: with 64 kinds of them that is 144 bits, and 96 if it is hexadecimal.
const TOKEN_MIN: usize = 24;

/// Relative paths are relative to the configuration file's folder.
pub(super) struct Base<'a>(pub(super) Option<&'a Path>);

impl Base<'_> {
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        match self.0.and_then(Path::parent) {
            Some(folder) if path.is_relative() => folder.join(path),
            _ => path.to_path_buf(),
        }
    }
}

/// One relay's or gateway's keys, and where its mistakes are noted.
pub(super) struct KeyPath<'a, 'd, 't> {
    pub(super) key: String,
    pub(super) base: &'a Base<'a>,
    pub(super) document: &'d mut Document<'t>,
}

impl KeyPath<'_, '_, '_> {
    pub(super) fn note(&mut self, field: &str, message: impl Into<String>) {
        let key = if field.is_empty() { self.key.clone() } else { format!("{}.{field}", self.key) };
        self.document.note(&key, message);
    }

    /// A key that this kind needs.
    pub(super) fn needed(&mut self, field: &str, value: Option<&String>, expected: &str) -> Option<String> {
        let found = value.filter(|v| !v.trim().is_empty()).cloned();
        if found.is_none() {
            self.note(field, format!("is missing; expected {expected}"));
        }
        found
    }

    pub(super) fn folder(&mut self, path: Option<&PathBuf>) -> Option<PathBuf> {
        if path.is_none() {
            self.note("path", "is missing; expected the folder for the messages");
        }
        path.map(|p| self.base.resolve(p))
    }

    /// A secret that was typed, or stands in a file. `None`: neither, or a mistake that was noted.
    pub(super) fn secret(&mut self, field: &str, typed: Option<&Secret>, file: Option<&PathBuf>) -> Option<SecretString> {
        match (typed, file) {
            (Some(_), Some(_)) => {
                self.note(field, format!("stands beside {field}_file; expected one of the two"));
                None
            }
            (Some(secret), None) => Some(secret.0.clone()),
            (None, Some(path)) => secret::read(path, &self.base.resolve(path)).map_err(|why| self.note(&format!("{field}_file"), why)).ok(),
            (None, None) => None,
        }
    }

    /// A secret that stands in an address or a header: long enough that nobody finds it by trying.
    pub(super) fn token(&mut self, field: &str, typed: Option<&Secret>, file: Option<&PathBuf>) -> Option<SecretString> {
        let token = self.secret(field, typed, file)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let good = token.expose_secret().len() >= TOKEN_MIN && token.expose_secret().bytes().all(plain);
        if !good {
            self.note(field, format!("expected {TOKEN_MIN} or more of letters, digits and - . _ ~ (such as from `openssl rand -hex 32`)"));
        }
        good.then_some(token)
    }

    /// Keys of another kind: they would do nothing, and somebody meant something by them.
    pub(super) fn foreign(&mut self, kind: &str, fields: &[(&str, bool)]) {
        for (field, typed) in fields {
            if *typed {
                self.note(field, format!("does nothing for kind = \"{kind}\""));
            }
        }
    }
}

/// Explains what the scheduler would refuse without a word.
pub(super) fn cron(expression: &str) -> Result<croner::Cron, String> {
    let fields = expression.split_whitespace().count();
    if fields != 6 {
        return Err(format!(
            "{expression:?} has {fields} fields; expected six: second, minute, hour, day, month, weekday (\"*/30 * * * * *\" is every 30 seconds)"
        ));
    }
    croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Required)
        .build()
        .parse(expression)
        .map_err(|e| format!("{expression:?} is no cron expression: {e}"))
}
