//! Standard output. A reader that has seen enough (`preview | head`) ends the command quietly; anything else that is wrong with it is told.

use std::fmt;
use std::io::{ErrorKind, Write, stdout};

use super::OUTPUT_FAILED;

/// Writes a line: instead of `println!`, which panics when nobody reads any more.
macro_rules! out {
    () => { $crate::cli::out::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes, or ends the process: 0 if the reader went away, 74 (sysexits.h EX_IOERR) if the output cannot be written.
pub(super) fn write(text: fmt::Arguments<'_>) {
    let Err(error) = stdout().write_fmt(text) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("punctual: standard output: {error}");
    std::process::exit(OUTPUT_FAILED.into());
}
