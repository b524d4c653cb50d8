//! Quoted-printable (RFC 2045 6.7), written and read in one pass each: the bodies of a message are most of its bytes, and the gate reads every
//! one of them again.
//!
//! What is written is, byte for byte, what the mail library would have written; what is read is checked against another library (see the
//! tests). The reader is strict: what it does not understand nobody has checked, so it is an error.

use super::bytes::{HIGH, WORD, each, first_of, word_at};

/// The longest line, without its CRLF; a soft line break's `=` is on it.
const LINE: usize = 76;

/// Writes text: its line ends become CRLF, no line is longer than [`LINE`], and no blank stands at the end of one.
pub(super) fn write(text: &str, out: &mut Vec<u8>) {
    let text = text.as_bytes();
    let mut line = QuotedLine { start: out.len(), out };
    let mut at = 0;
    while at < text.len() {
        let next = at + literals(&text[at..]);
        let end = line_end(text, next);
        // A blank at the end of a line may be lost on the way.
        let is_blank = end.is_some() && next > at && matches!(text[next - 1], b' ' | b'\t');
        let whole = next - usize::from(is_blank);
        line.put(&text[at..whole], end.is_some() && !is_blank);
        at = next;
        if let Some(length) = end {
            if is_blank {
                line.escape(text[whole], true);
            }
            if length > 0 {
                line.end();
            }
            at += length;
        } else {
            at += 1;
            line.escape(text[next], line_end(text, at).is_some());
        }
    }
}

/// How many bytes end a line there, or the text: none. `None`: it goes on.
fn line_end(text: &[u8], at: usize) -> Option<usize> {
    match text[at..] {
        [] => Some(0),
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// A line that is being written.
struct QuotedLine<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl QuotedLine<'_> {
    /// Bytes that stand for themselves, with soft line breaks where there are too many. `last`: nothing stands behind them.
    fn put(&mut self, literals: &[u8], last: bool) {
        let mut rest = literals;
        loop {
            let used = self.out.len() - self.start;
            // The last character may stand where the `=` of a soft line break would.
            if used + rest.len() + usize::from(!last) <= LINE {
                return self.out.extend_from_slice(rest);
            }
            let (now, later) = rest.split_at(LINE - 1 - used);
            self.out.extend_from_slice(now);
            self.break_softly();
            rest = later;
        }
    }

    fn escape(&mut self, byte: u8, last: bool) {
        let escape = [b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        if self.out.len() - self.start + escape.len() + usize::from(!last) > LINE {
            self.break_softly();
        }
        self.out.extend_from_slice(&escape);
    }

    /// Ends a line that goes on.
    fn break_softly(&mut self) {
        self.out.extend_from_slice(b"=\r\n");
        self.start = self.out.len();
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.start = self.out.len();
    }
}

/// How many bytes at the beginning of a text stand for themselves, seen eight at a time.
fn literals(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word_at(text, at) {
        let ascii = word & !HIGH;
        // Below a blank, the `=`, above `~`.
        let small = !(ascii + each(0x80 - b' '));
        let others = (small | !((ascii ^ each(b'=')) + each(0x7F)) | (ascii + each(1)) | word) & HIGH;
        if others == 0 {
            at += WORD;
            continue;
        }
        at += first_of(others);
        if text[at] != b'\t' {
            return at;
        }
        at += 1;
    }
    at + text[at..].iter().take_while(|byte| is_literal(**byte)).count()
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn is_literal(byte: u8) -> bool {
    matches!(byte, b' '..=b'<' | b'>'..=b'~' | b'\t')
}

/// Reads what [`write()`] wrote. `None`: it is something else.
pub(super) fn read(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = match &rest[at + 1..] {
            [b'\r', b'\n', after @ ..] => after,
            [high, low, after @ ..] => {
                out.push(digit(*high)? << 4 | digit(*low)?);
                after
            }
            _ => return None,
        };
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lettre::message::Body;
    use lettre::message::header::ContentTransferEncoding::QuotedPrintable;
    use proptest::prelude::*;

    use super::read;

    fn write(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        super::write(text, &mut out);
        out
    }

    fn by_the_library(text: &str) -> Vec<u8> {
        Body::new_with_encoding(text.to_owned(), QuotedPrintable).unwrap().into_vec()
    }

    /// Lines around the length at which they are broken, with everything at their ends that is written otherwise.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[ -~]{0,80}",
            "[a-z]{70,80}",
            "[=é\u{2009} \t]{0,30}",
            Just(" ".to_owned()),
            Just("\t".to_owned()),
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just("\r".to_owned()),
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn it_is_what_the_library_writes(text in text()) {
            prop_assert_eq!(String::from_utf8(write(&text)).unwrap(), String::from_utf8(by_the_library(&text)).unwrap());
        }

        #[test]
        fn what_is_read_is_what_was_written_by_two_readers(text in text()) {
            let written = write(&text);
            let lines = String::from_utf8(read(&written).unwrap()).unwrap();
            prop_assert_eq!(lines.replace("\r\n", "\n"), text.replace("\r\n", "\n"));
            let head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
            let mail = [head.as_slice(), &written].concat();
            prop_assert_eq!(mailparse::parse_mail(&mail).unwrap().get_body_raw().unwrap(), lines.into_bytes());
        }
    }

    #[test]
    fn a_line_is_broken_before_the_character_that_does_not_fit() {
        let long = |n: usize| "x".repeat(n);
        for (text, written) in [
            (long(76), long(76)),
            (long(77), format!("{}=\r\nxx", long(75))),
            (format!("{}=", long(73)), format!("{}=3D", long(73))),
            (format!("{}=", long(74)), format!("{}=\r\n=3D", long(74))),
            (format!("{}=x", long(73)), format!("{}=\r\n=3Dx", long(73))),
            (format!("{} \n", long(75)), format!("{}=\r\n=20\r\n", long(75))),
            ("a \n\tb".to_owned(), "a=20\r\n\tb".to_owned()),
        ] {
            assert_eq!(String::from_utf8(write(&text)).unwrap(), written, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_quoted_printable_is_not_read() {
        for bad in ["=", "=3", "=3d", "=\n", "a=zz", "=\r"] {
            assert_eq!(read(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(read(b"=3D=\r\n=C3=A9").unwrap(), "=é".as_bytes());
    }
}
