//! Tables for people.

use std::io::IsTerminal;

use comfy_table::{Cell, Color as Ink, ContentArrangement, LineStyle, Table, TableStyle};

/// Columns apart, a line below the headings, and no other lines.
const STYLE: TableStyle = comfy_table::presets::NOTHING.header_separator(LineStyle::new(' ', '─', '─', ' '));

/// Columns of a table that is not printed to a terminal.
const WIDTH: u16 = 130;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colors(bool);

impl From<super::Color> for Colors {
    fn from(color: super::Color) -> Self {
        Self(match color {
            super::Color::Always => true,
            super::Color::Never => false,
            super::Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        })
    }
}

/// How a cell is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// As it should be.
    Good,
    /// Not sent, for a reason that is no fault.
    Quiet,
    /// Needs somebody.
    Bad,
}

impl Colors {
    /// A cell in that tone.
    pub(super) fn cell(self, text: impl Into<String>, tone: Tone) -> Cell {
        let cell = Cell::new(text.into());
        match (self.0, tone) {
            (true, Tone::Good) => cell.fg(Ink::Green),
            (true, Tone::Quiet) => cell.fg(Ink::DarkGrey),
            (true, Tone::Bad) => cell.fg(Ink::Red),
            _ => cell,
        }
    }

    /// A line in that tone.
    pub(super) fn text(self, line: &str, tone: Tone) -> String {
        match (self.0, tone) {
            (true, Tone::Good) => format!("\x1b[32m{line}\x1b[0m"),
            (true, Tone::Quiet) => format!("\x1b[90m{line}\x1b[0m"),
            (true, Tone::Bad) => format!("\x1b[31m{line}\x1b[0m"),
            _ => line.to_owned(),
        }
    }

    /// A picture of characters, black on white whatever the terminal's own colours are.
    pub(super) fn picture(self, lines: &str) -> String {
        let line = |line: &str| if self.0 { format!("\x1b[30;107m{line}\x1b[0m\n") } else { format!("{line}\n") };
        lines.lines().map(line).collect()
    }
}

/// An empty table with those headings, as wide as the terminal at most. (Programs read the JSON.)
pub(super) fn table(colors: Colors, headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if colors.0 {
        table.enforce_styling();
    }
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(headings.iter().copied());
    table
}
