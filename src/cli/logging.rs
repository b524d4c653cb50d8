//! The log: our own lines alone, on stderr.
//!
//! The daemon's lines are written in pieces: a line for each message costs a system call and a lock otherwise, and both are felt. What warns is
//! written at once, with all that was said before it.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{EnvFilter, FilterExt, Filtered, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

use super::ColorWhen;
use crate::config;
use crate::config::raw::LogFormat;

/// What is logged, and how.
pub(super) struct Log {
    /// What was typed at the start, which comes before what a configuration says.
    typed: Option<String>,
    handle: Handle<Lined, Registry>,
    waits: bool,
    ansi: bool,
}

/// Our lines, as far as a filter lets them pass.
type Lined = Filtered<Box<dyn Layer<Registry> + Send + Sync>, Level, Registry>;
/// What of our own is asked for.
type Level = Box<dyn Filter<Registry> + Send + Sync>;

/// Logs go to standard error. Only our own lines pass, at every level: what libraries log may hold addresses. `typed`: the level or filter, which
/// comes before `usual`. `in_pieces`: lines that do not warn may wait for a moment; [`flush`] writes what waits.
pub(super) fn start(typed: Option<String>, usual: &str, format: LogFormat, color: ColorWhen, in_pieces: bool) -> Result<Log, String> {
    use std::io::IsTerminal;
    let level = level(typed.as_deref().unwrap_or(usual))?;
    let ansi = match color {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    // Without the thread nobody would write them.
    let waits = in_pieces && std::thread::Builder::new().name("log".to_owned()).spawn(|| LINES.serve()).is_ok();
    let (layer, handle) = reload::Layer::new(lines(format, waits, ansi).with_filter(level));
    tracing_subscriber::registry().with(layer).try_init().map_err(|e| e.to_string())?;
    Ok(Log { typed, handle, waits, ansi })
}

impl Log {
    /// As another configuration says.
    pub(super) fn change(&self, said: &config::raw::Log) -> Result<(), String> {
        let level = level(self.typed.as_deref().unwrap_or(&said.level))?;
        let lines = lines(said.format, self.waits, self.ansi);
        let changed = self.handle.modify(|layer| {
            *layer.filter_mut() = level;
            *layer.inner_mut() = lines;
        });
        changed.map_err(|e| e.to_string())
    }
}

fn level(asked: &str) -> Result<Level, String> {
    config::log_level(asked)?;
    let asked = EnvFilter::try_new(asked).map_err(|e| format!("{asked:?} is no log level or filter: {e}"))?;
    Ok(asked.and(filter_fn(|meta| meta.target().split("::").next() == Some("punctual"))).boxed())
}

fn lines(format: LogFormat, waits: bool, ansi: bool) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(Stderr { waits }).with_ansi(ansi);
    match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}

/// Writes the lines that wait: before the process ends, or something else is said on standard error.
pub(super) fn flush() {
    LINES.locked().write_to(&mut io::stderr());
}

/// Lines that wait are written together, so many bytes of them at most.
const PIECE: usize = 16 * 1024;
/// Nor do they wait longer.
const WAIT: Duration = Duration::from_millis(20);

static LINES: LogLines = LogLines { waiting: Mutex::new(Unwritten(Vec::new())), some: Condvar::new() };

struct LogLines {
    waiting: Mutex<Unwritten>,
    /// The first one waits.
    some: Condvar,
}

struct Unwritten(Vec<u8>);

impl Unwritten {
    /// Nobody is told of a log that cannot be written.
    fn write_to(&mut self, out: &mut impl Write) {
        out.write_all(&self.0).ok();
        self.0.clear();
    }
}

impl LogLines {
    fn locked(&self) -> MutexGuard<'_, Unwritten> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: &[u8], at_once: bool, out: &mut impl Write) {
        let mut waiting = self.locked();
        let first = waiting.0.is_empty();
        waiting.0.extend_from_slice(line);
        if at_once || waiting.0.len() >= PIECE {
            waiting.write_to(out);
        } else if first {
            self.some.notify_one();
        }
    }

    fn serve(&self) {
        loop {
            drop(self.some.wait_while(self.locked(), |waiting| waiting.0.is_empty()).unwrap_or_else(PoisonError::into_inner));
            std::thread::sleep(WAIT);
            self.locked().write_to(&mut io::stderr());
        }
    }
}

/// Makes a writer for each line.
struct Stderr {
    waits: bool,
}

struct LogLine {
    at_once: bool,
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { at_once: true }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> LogLine {
        LogLine { at_once: !self.waits || *meta.level() <= tracing::Level::WARN }
    }
}

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES.put(line, self.at_once, &mut io::stderr());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_order_and_a_warning_waits_for_nobody() {
        let lines = LogLines { waiting: Mutex::new(Unwritten(Vec::new())), some: Condvar::new() };
        let mut out = Vec::new();
        lines.put(b"one\n", false, &mut out);
        lines.put(b"two\n", false, &mut out);
        assert_eq!(out, b"");
        lines.put(b"a warning\n", true, &mut out);
        assert_eq!(out, b"one\ntwo\na warning\n");
        lines.put(&[b'x'; PIECE], false, &mut out);
        assert_eq!(out.len(), 18 + PIECE, "as much as a piece does not wait");
        lines.put(b"the last\n", false, &mut out);
        lines.locked().write_to(&mut out);
        assert!(out.ends_with(b"the last\n"));
    }
}
