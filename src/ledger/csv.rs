//! Comma-separated values (RFC 4180) that a spreadsheet shows and does not run.
//!
//! A cell that begins like a formula gets a leading apostrophe: what a server answered, or a name that somebody chose, must not become
//! a command on the machine of whoever opens the file.

/// A cell that begins with one of these is taken for a formula, or hides one, by some spreadsheet.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// One line, with its end.
pub fn line<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let safe = if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', '"', '\r', '\n', '\'']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
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
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            ("5=5", "5=5"),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
        assert_eq!(line(["1", "=A1,B1"]), "1,\"'=A1,B1\"\r\n");
    }
}
