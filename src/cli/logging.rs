//! The log: our own lines alone, on stderr.

use super::Color;
use crate::config;

/// Logs go to standard error. Only our own lines pass, at every level: what libraries log may hold addresses.
pub(super) fn start(level: &str, format: config::raw::LogFormat, color: Color) -> Result<(), String> {
    use std::io::IsTerminal;
    use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    use tracing_subscriber::util::SubscriberInitExt;
    let asked = EnvFilter::try_new(level).map_err(|e| format!("{level:?} is no log level or filter: {e}"))?;
    let ours = filter_fn(|meta| meta.target().split("::").next() == Some("punctual"));
    let ansi = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    let layer = match format {
        config::raw::LogFormat::Text => lines.with_target(false).boxed(),
        config::raw::LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(asked.and(ours))).try_init().map_err(|e| e.to_string())
}
