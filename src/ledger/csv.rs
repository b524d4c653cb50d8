//! Comma-separated values (RFC 4180) that a spreadsheet shows and does not run.
//!
//! What begins like a formula gets a leading apostrophe: what a server answered, or a name that somebody chose, must not become a command on the
//! machine of whoever opens the file. Where the practice's language writes a decimal comma, spreadsheets separate cells by semicolons, and see
//! no quotation mark but at a cell's start: a semicolon, a tab or a line's end within a cell begins another one there. What follows it is guarded, too.

/// What begins a formula, or a cell that hides one, in some spreadsheet. (The wide forms: those that Japanese ones take for the others.)
const FORMULA: [char; 12] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫'];
/// What begins a cell, in some spreadsheet.
const BEGINS: [char; 4] = [';', '\t', '\r', '\n'];
/// A cell that holds one of these stands in quotation marks.
const QUOTED: [char; 7] = [',', ';', '"', '\'', '\t', '\r', '\n'];

/// One line, with its end.
pub fn line<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 1);
    for part in text.split_inclusive(BEGINS) {
        if is_formula(part) || (safe.is_empty() && part.starts_with(['\t', '\r', '\n'])) {
            safe.push('\'');
        }
        safe.push_str(part);
    }
    if safe.contains(QUOTED) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

/// It begins like one, or behind what a spreadsheet may drop: spaces, quotation marks, what nobody sees.
fn is_formula(part: &str) -> bool {
    let dropped =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    part.trim_start_matches(dropped).starts_with(FORMULA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        for (text, written) in [
            ("", ""),
            ("settled", "settled"),
            ("a, b", "\"a, b\""),
            ("250 \"Ok\"", "\"250 \"\"Ok\"\"\""),
            ("250-first\r\n250 last", "\"250-first\r\n250 last\""),
            ("=1+1", "\"'=1+1\""),
            ("+1*****0108", "\"'+1*****0108\""),
            ("-5", "\"'-5\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t'=1\""),
            ("\r=1", "\"'\r'=1\""),
            ("\n=1", "\"'\n'=1\""),
            ("\tx", "\"'\tx\""),
            ("5=5", "5=5"),
            ("queued; 5=5", "\"queued; 5=5\""),
            (";=1+1", "\";'=1+1\""),
            ("x;=cmd|'/C calc'!A0;y", "\"x;'=cmd|'/C calc'!A0;y\""),
            ("x; \"=1+1\"", "\"x;' \"\"=1+1\"\"\""),
            ("x\n=1+1", "\"x\n'=1+1\""),
            ("＝1+1", "\"'＝1+1\""),
            ("＋1", "\"'＋1\""),
            ("－1", "\"'－1\""),
            ("＠A1", "\"'＠A1\""),
            (" =1", "\"' =1\""),
            ("\u{feff}=1", "\"'\u{feff}=1\""),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
        assert_eq!(line(["1", "=A1,B1"]), "1,\"'=A1,B1\"\r\n");
    }

    /// As it is read with any separator, whether quotation marks are understood where they stand or not.
    #[test]
    fn nothing_begins_a_formula_however_the_line_is_split() {
        const PIECES: [&str; 14] = ["=1+1", "+", "-", "@", "＝", ";", ",", "\t", "\r", "\n", "\"", "'", " ", "x"];
        for number in 0..PIECES.len().pow(4) {
            let text: String = (0..4).map(|place| PIECES[number / PIECES.len().pow(place) % PIECES.len()]).collect();
            let line = line(["Ann", &text, "x"]);
            for part in line.split(BEGINS) {
                assert!(!part.trim_start_matches(['"', ' ']).starts_with(FORMULA), "{text:?}: {line:?}");
            }
            let inside = line.strip_prefix("Ann,").and_then(|rest| rest.strip_suffix(",x\r\n")).unwrap();
            let unquoted = inside
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .map_or_else(|| inside.to_owned(), |i| i.replace("\"\"", "\""));
            assert!(!unquoted.starts_with(FORMULA), "{text:?}: {line:?}");
        }
    }
}
