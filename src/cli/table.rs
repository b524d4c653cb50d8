//! Tables and long lines for people: as wide as the terminal, or 80 columns where there is none, and no word is broken.
//!
//! What does not fit beside the others stands below its row, set in: the last column if it is long, and as many columns before it as must.

use std::io::IsTerminal;

use chrono::{DateTime, Utc};
use unicode_width::UnicodeWidthStr;

use crate::zone::Zone;
use crate::zone::rfc3339;

/// Columns where no terminal says how many it has.
const WIDTH: usize = 80;
/// Before each line.
const MARGIN: usize = 2;
/// Between two columns.
const GAP: usize = 3;
/// Before what stands below its row.
const BELOW: usize = 6;
/// The last column is not wrapped into less than that: then it stands below.
const LAST_MIN: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableStyle {
    color: bool,
    /// All columns, as wide as they are.
    wide: bool,
    /// Times as programs write them, UTC.
    utc: bool,
}

impl TableStyle {
    pub(super) fn new(color: super::ColorWhen, wide: bool, utc: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = match color {
            super::ColorWhen::Always => true,
            super::ColorWhen::Never => false,
            super::ColorWhen::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && !dumb,
        };
        Self { color, wide, utc }
    }

    /// All columns are shown.
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
    /// It says nothing of itself.
    Plain,
    /// As it should be.
    Good,
    /// Not sent, for a reason that is no fault.
    Quiet,
    /// Somebody must see to it.
    Bad,
}

/// What stands in one column of one row.
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

/// A cell in that tone.
pub(super) fn cell(text: impl Into<String>, tone: Tone) -> Cell {
    let text: String = text.into();
    Cell { text: text.split_whitespace().collect::<Vec<_>>().join(" "), tone }
}

impl TableStyle {
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

/// Rows below their headings. (Programs read the JSON.)
pub(super) struct Table {
    look: TableStyle,
    width: usize,
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// An empty table with those headings.
pub(super) fn table(look: TableStyle, headings: &[&str]) -> Table {
    let width = if look.wide { usize::MAX } else { columns() };
    Table { look, width, headings: headings.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new() }
}

/// How the columns of a table are laid out.
struct Layout {
    /// Of each column that stands beside the others.
    widths: Vec<usize>,
    /// The last of them has that room, and is wrapped or stands below.
    last: Option<usize>,
}

impl Table {
    /// One row: a cell for each heading.
    pub(super) fn add_row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn layout(&self) -> Layout {
        let count = self.headings.len();
        let of = |n: usize| self.rows.iter().filter_map(|row| row.get(n)).map(|cell| wide(&cell.text)).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..count).map(|n| of(n).max(wide(&self.headings[n]))).collect();
        let used = |widths: &[usize]| MARGIN + widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        if used(&widths) <= self.width || count < 2 {
            return Layout { widths, last: None };
        }
        let room = self.width.saturating_sub(used(&widths[..count - 1]) + GAP);
        if room >= wide(&self.headings[count - 1]).max(4) {
            widths[count - 1] = room;
            return Layout { widths, last: Some(room) };
        }
        while widths.len() > 1 && used(&widths) > self.width {
            widths.pop();
        }
        Layout { widths, last: None }
    }

    /// `To: a*****@example.com; State: Sent`
    fn below(&self, row: &[Cell], from: usize) -> Vec<String> {
        let tone = row.last().map_or(Tone::Plain, |cell| cell.tone);
        let named = self.headings.iter().zip(row).skip(from).filter(|(_, cell)| !cell.text.is_empty());
        // What stands there alone needs no name.
        let alone = from + 1 == self.headings.len();
        let name = |(heading, cell): (&String, &Cell)| if alone { cell.text.clone() } else { format!("{heading}: {}", cell.text) };
        let named: Vec<String> = named.map(name).collect();
        let lines = broken(&named.join("; "), 0, self.width.saturating_sub(BELOW)).into_iter().filter(|line| !line.is_empty());
        lines.map(|line| format!("{:BELOW$}{}", "", self.look.text(&line, tone))).collect()
    }

    fn row(&self, row: &[Cell], layout: &Layout) -> Vec<String> {
        let count = layout.widths.len();
        let (mut beside, mut last) = (count, Vec::new());
        if let (Some(room), Some(cell)) = (layout.last, row.get(count - 1)) {
            last = broken(&cell.text, 0, room);
            if last.len() > 1 && room < LAST_MIN || last.iter().any(|line| wide(line) > room) {
                (beside, last) = (count - 1, Vec::new());
            }
        }
        let shown = row.iter().zip(&layout.widths).take(beside).enumerate().map(|(n, (cell, width))| {
            let text = last.first().filter(|_| n + 1 == count).unwrap_or(&cell.text);
            let (gap, fill) = (if n == 0 { MARGIN } else { GAP }, if n + 1 == beside { 0 } else { width.saturating_sub(wide(text)) });
            format!("{:gap$}{}{:fill$}", "", self.look.text(text, cell.tone), "")
        });
        let mut lines = vec![shown.collect::<String>().trim_end().to_owned()];
        let set_in = MARGIN + layout.widths.iter().take(count - 1).map(|width| width + GAP).sum::<usize>();
        lines.extend(last.iter().skip(1).map(|line| format!("{:set_in$}{}", "", self.look.text(line, row[count - 1].tone))));
        lines.extend(self.below(row, beside));
        lines
    }
}

/// The table as text.
pub(super) fn text(table: &Table) -> String {
    if table.rows.is_empty() {
        return " Nothing to show.".to_owned();
    }
    let layout = table.layout();
    let headings = table.headings.iter().zip(&layout.widths).enumerate();
    let gap = |n: usize| if n == 0 { MARGIN } else { GAP };
    let headings: Vec<String> = headings.map(|(n, (heading, width))| format!("{:gap$}{heading:width$}", "", gap = gap(n))).collect();
    let headings = headings.concat();
    let line = MARGIN + layout.widths.iter().sum::<usize>() + GAP * (layout.widths.len() - 1);
    let mut lines = vec![headings.trim_end().to_owned(), format!(" {}", "\u{2500}".repeat(line.min(table.width) - 1))];
    lines.extend(table.rows.iter().flat_map(|row| table.row(row, &layout)));
    lines.join("\n")
}

/// Columns of a terminal that it takes: two for each letter of Chinese, none for an accent of its own.
fn wide(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `1 session`, `5 sessions`.
pub(super) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// `1 row`, `2 rows`: of the ledger.
pub(super) fn counted_rows(n: u64) -> String {
    format!("{n} {}", if n == 1 { "row" } else { "rows" })
}

/// The terminal's, if somebody sits at one.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|_| std::io::stdout().is_terminal());
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

/// Where a word may be broken that is longer than a line, as the path of a field is: behind one of these.
const SIGNS: [char; 8] = ['.', ']', '/', ',', '_', '@', '=', '&'];

/// A line as it is; on a terminal, on lines of its width, each but the first one set in by so much.
pub(super) fn in_lines(text: &str, set_in: usize) -> String {
    if std::io::stdout().is_terminal() { broken(text, set_in, columns()).join("\n") } else { text.to_owned() }
}

/// Likewise, of what goes to standard error.
pub(super) fn in_lines_of_errors(text: &str, set_in: usize) -> String {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok().filter(|_| std::io::stderr().is_terminal());
    let Some(columns) = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0) else { return text.to_owned() };
    text.lines().flat_map(|line| broken(line, set_in, columns)).collect::<Vec<_>>().join("\n")
}

/// Lines of so many columns at most, broken between words; each but the first one is set in by so much.
fn broken(text: &str, set_in: usize, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (n, word) in text.split(' ').enumerate() {
        let mut gap = if n == 0 { "" } else { " " };
        // A link that is broken leads nowhere.
        let may_break = wide(word) > width.saturating_sub(set_in) && !word.contains("://");
        let parts: Vec<&str> = if may_break { word.split_inclusive(SIGNS).collect() } else { vec![word] };
        for part in parts {
            match lines.last_mut() {
                Some(line) if wide(line) + gap.len() + wide(part) <= width || line.trim().is_empty() => {
                    line.push_str(gap);
                    line.push_str(part);
                }
                _ => lines.push(format!("{:set_in$}{part}", "")),
            }
            gap = "";
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Settings, Zones};

    const PLAIN: TableStyle = TableStyle { color: false, wide: false, utc: false };

    fn shown(width: usize, headings: &[&str], row: &[&str]) -> String {
        let mut rows = Table { width, ..table(PLAIN, headings) };
        rows.add_row(row.iter().map(|text| cell(*text, Tone::Plain)));
        text(&rows)
    }

    #[test]
    fn a_table_keeps_to_its_width_and_breaks_no_word() {
        let headings = ["Due", "Person", "What", "To", "State"];
        let row = ["Sat 10:15 PM", "4101/5101", "reminder 24h", "a*****@lakeside.example", "Held: Too much changed at once [guard]"];
        for (width, lines) in [(80, 4), (60, 5), (40, 7), (200, 3)] {
            let shown = shown(width, &headings, &row);
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{width}:\n{shown}");
            assert_eq!(shown.lines().count(), lines, "{width}:\n{shown}");
            for word in row.iter().flat_map(|cell| cell.split(' ')) {
                assert!(shown.contains(word), "{width}: {word} is broken:\n{shown}");
            }
        }
        let path = "[quarantined] ([2].Participants[4].ParticipantTimeZoneWindowsId: \"Lakeside Time\" is no time zone id)";
        let shown = shown(72, &["Starts", "Person", "Because"], &["Sat 10:15 PM", "4101/5101", path]);
        let words =
            "Starts Person Because Sat 10:15 PM 4101/5101 [quarantined] ([2].Participants[4]. ParticipantTimeZoneWindowsId: \"Lakeside";
        let seen: Vec<_> = shown.split_whitespace().filter(|word| !word.starts_with('\u{2500}')).collect();
        assert!(seen.join(" ").starts_with(words), "{shown}");
    }

    #[test]
    fn columns_stand_below_each_other_in_any_script() {
        let mut rows = Table { width: 80, ..table(PLAIN, &["Person", "State"]) };
        for name in ["\u{674e}\u{5c0f}\u{9f99}", "Zoe\u{308} Trevor"] {
            rows.add_row([cell(name, Tone::Plain), cell("Sent", Tone::Plain)]);
        }
        let at: Vec<usize> =
            text(&rows).lines().filter_map(|line| line.split("Sent").next().filter(|_| line.contains("Sent")).map(wide)).collect();
        assert_eq!(at, [15, 15], "{}", text(&rows));
    }

    #[test]
    fn a_long_line_goes_on_below() {
        let text = format!("note  bounces: email.return_path {}", "is not set, and that means much ".repeat(6));
        let shown = broken(text.trim_end(), 6, 80).join("\n");
        assert!(shown.lines().count() > 2 && shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert_eq!(shown.split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
        assert_eq!(broken("    ok    store: opens", 6, 80), ["    ok    store: opens"]);
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
        assert_eq!(TableStyle { utc: true, ..PLAIN }.time(now, &zone, now), "2026-11-28T15:00:00Z");
    }
}
