//! Tables for people.

use std::io::IsTerminal;

use chrono::{DateTime, Utc};
use comfy_table::{Cell, Color as Ink, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

use crate::zone::Zone;
use crate::zone::rfc3339;

/// Columns apart, a line below the headings, and no other lines.
const STYLE: TableStyle = comfy_table::presets::NOTHING.header_separator(LineStyle::new(' ', '─', '─', ' '));

/// Columns of a table that is not printed to a terminal.
const WIDTH: u16 = 80;

/// How tables look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    color: bool,
    /// All columns, as wide as they are.
    wide: bool,
    /// Times as programs write them, UTC.
    utc: bool,
}

impl Look {
    pub(super) fn new(color: super::Color, wide: bool, utc: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = match color {
            super::Color::Always => true,
            super::Color::Never => false,
            super::Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && !dumb,
        };
        Self { color, wide, utc }
    }

    /// All columns.
    pub(super) fn is_wide(self) -> bool {
        self.wide
    }

    /// `10:15 PM` on the practice's clock, with the day where it is another one: `Sat 10:15 PM`, `Dec 24 10:15 PM`.
    pub(super) fn time(self, at: DateTime<Utc>, zone: &Zone, now: DateTime<Utc>) -> String {
        if self.utc {
            return rfc3339(at);
        }
        let (local, today) = (zone.local(at).civil, zone.local(now).civil.date());
        let pattern = match (local.date() - today).num_days() {
            0 => "%-I:%M %p",
            -6..=6 => "%a %-I:%M %p",
            _ => "%b %-d %-I:%M %p",
        };
        local.format(pattern).to_string()
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

impl Look {
    /// A cell in that tone.
    pub(super) fn cell(self, text: impl Into<String>, tone: Tone) -> Cell {
        let cell = Cell::new(text.into());
        match (self.color, tone) {
            (true, Tone::Good) => cell.fg(Ink::Green),
            (true, Tone::Quiet) => cell.fg(Ink::DarkGrey),
            (true, Tone::Bad) => cell.fg(Ink::Red),
            _ => cell,
        }
    }

    /// A line in that tone.
    pub(super) fn text(self, line: &str, tone: Tone) -> String {
        match (self.color, tone) {
            (true, Tone::Good) => format!("\x1b[32m{line}\x1b[0m"),
            (true, Tone::Quiet) => format!("\x1b[90m{line}\x1b[0m"),
            (true, Tone::Bad) => format!("\x1b[31m{line}\x1b[0m"),
            _ => line.to_owned(),
        }
    }

    /// A picture of characters, black on white whatever the terminal's own colours are.
    pub(super) fn picture(self, lines: &str) -> String {
        let line = |line: &str| if self.color { format!("\x1b[30;107m{line}\x1b[0m\n") } else { format!("{line}\n") };
        lines.lines().map(line).collect()
    }
}

/// An empty table with those headings, as wide as the terminal at most. (Programs read the JSON.)
pub(super) fn table(colors: Look, headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if colors.color {
        table.enforce_styling();
    }
    if colors.wide {
        table.set_width(u16::MAX);
    } else if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(headings.iter().copied());
    table
}

/// The table as text: only its last column wraps, between words.
pub(super) fn text(mut table: Table) -> String {
    let last = table.column_count().saturating_sub(1);
    for n in 0..last {
        if let Some(column) = table.column_mut(n) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Settings, Zones};

    const PLAIN: Look = Look { color: false, wide: false, utc: false };

    #[test]
    fn a_table_keeps_to_eighty_columns_and_breaks_no_word() {
        let mut rows = table(PLAIN, &["Due", "Person", "What", "To", "State"]);
        let says = "Held: Too much changed at once [guard]";
        rows.add_row(["Sat 10:15 PM", "4101/5101", "reminder 24h", "a*****@lakeside.example", says]);
        let shown = text(rows);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for word in ["Sat 10:15 PM", "4101/5101", "reminder 24h", "a*****@lakeside.example", "Held:", "changed", "[guard]"] {
            assert!(shown.contains(word), "{word} is broken: {shown}");
        }
    }

    #[test]
    fn times_are_on_the_practices_clock() {
        let zones = Zones::load(&Settings { fallback: Some("America/New_York".to_owned()), ..Settings::default() }).unwrap();
        let zone = zones.resolve("").unwrap().zone;
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-28T15:00:00Z");
        for (when, says) in [
            ("2026-11-28T15:05:00Z", "10:05 AM"),
            ("2026-11-29T03:15:00Z", "10:15 PM"),
            ("2026-11-29T15:15:00Z", "Sun 10:15 AM"),
            ("2026-12-24T15:15:00Z", "Dec 24 10:15 AM"),
        ] {
            assert_eq!(PLAIN.time(at(when), &zone, now), says);
        }
        assert_eq!(Look { utc: true, ..PLAIN }.time(now, &zone, now), "2026-11-28T15:00:00Z");
    }
}
