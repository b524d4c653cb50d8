//! How far long work has got: a bar on a terminal, and nothing where nobody looks. It stands on standard error and has no colours.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that appears by itself, and goes when it is dropped.
#[derive(Clone)]
pub(super) struct Progress(ProgressBar);

/// Redraws in a second.
const REDRAWS: u8 = 5;

impl Progress {
    /// Work whose end is not known yet.
    pub(super) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS));
        bar.set_style(ProgressStyle::with_template("{msg} {spinner} {pos}").expect("a constant that is read"));
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_secs(1) / u32::from(REDRAWS));
        Self(bar)
    }

    /// So much is done, of so much.
    pub(super) fn reached(&self, done: u64, all: u64) {
        if self.0.length() != Some(all) {
            self.0.set_style(ProgressStyle::with_template("{msg} [{bar:40}] {percent}% {eta}").expect("a constant that is read"));
            self.0.set_length(all);
        }
        self.0.set_position(done);
    }

    /// So much is done, of nobody knows how much.
    pub(super) fn counted(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Before anything else is printed.
    pub(super) fn done(&self) {
        self.0.finish_and_clear();
    }
}
