//! One clean line of text, as a name or a topic should be.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// Graphemes of a line that are kept.
pub(super) const GRAPHEMES_MAX: usize = 120;
/// Combining marks kept on one letter: more than any orthography writes, fewer than a tower of them.
const MARKS_MAX: usize = 8;

/// One clean line of text: control, bidirectional and invisible format characters removed; NFC; space folded and trimmed; at most 120 graphemes.
pub fn clean_line(raw: &str) -> String {
    if is_plain(raw) { raw.to_owned() } else { cleaned(raw) }
}

fn cleaned(raw: &str) -> String {
    let kept = raw.chars().map(|c| if is_line_end(c) { ' ' } else { c }).filter(|&c| !c.is_control() && !is_invisible(c));
    // Only now: what was removed may have kept a letter and its accent apart.
    let composed: String = kept.nfc().collect();
    let folded = composed.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = folded.graphemes(true).take(GRAPHEMES_MAX).flat_map(with_few_marks).collect();
    short.trim().to_owned()
}

fn with_few_marks(grapheme: &str) -> impl Iterator<Item = char> + '_ {
    let mut marks = 0;
    grapheme.chars().filter(move |&c| {
        marks += usize::from(is_combining_mark(c));
        !is_combining_mark(c) || marks <= MARKS_MAX
    })
}

/// Nearly every line: printable ASCII and Latin letters with their accents on them, short enough, with nothing to compose, to fold or to trim.
fn is_plain(raw: &str) -> bool {
    let printable = raw.len() <= GRAPHEMES_MAX && raw.chars().all(|c| matches!(c, ' '..='~' | '\u{C0}'..='\u{24F}'));
    printable && !raw.starts_with(' ') && !raw.ends_with(' ') && !raw.contains("  ")
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}') || (c.is_control() && c.is_whitespace())
}

/// Bidirectional controls, and format characters and fillers that show nothing, with which a text can be disguised. The zero-width joiner and
/// non-joiner stay: Persian, Indic scripts and emoji need them.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}' | '\u{200B}' | '\u{200E}'
        | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_is_what_cleaning_makes_of_it() {
        for c in (' '..='~').chain('\u{C0}'..='\u{24F}') {
            let line = format!("a{c}e {c}z");
            assert!(!is_plain(&line) || cleaned(&line) == line, "{line:?}");
        }
        for other in ["e\u{301}", "a\u{A0}b", "a\u{AD}b", "a\u{85}b", "a\tb", "山", "a  b", " a", "a "] {
            assert!(!is_plain(other), "{other:?}");
        }
    }
}
