//! Quoted-printable (RFC 2045 6.7), written and read in one pass each: the bodies of a message are most of its bytes, and the gate reads every
//! one of them again.
//!
//! What is written is, byte for byte, what the mail library would have written; what is read is checked against another library (see the
//! tests). The reader is strict: what it does not understand nobody has checked, so it is an error.

/// The longest line, without its CRLF; a soft line break's `=` is on it.
const LINE: usize = 76;

/// Writes text: its line ends become CRLF, no line is longer than [`LINE`], and no blank stands at the end of one.
pub(super) fn write(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(end) = memchr::memchr(b'\n', rest) {
        write_line(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), out);
        out.extend_from_slice(b"\r\n");
        rest = &rest[end + 1..];
    }
    write_line(rest, out);
}

/// One line, with soft line breaks where it is too long.
fn write_line(line: &[u8], out: &mut Vec<u8>) {
    let (mut rest, mut start) = (line, out.len());
    while let [first, tail @ ..] = rest {
        let used = out.len() - start;
        let literal = literals(rest);
        if literal == 0 {
            let escape = [b'=', HEX[usize::from(first >> 4)], HEX[usize::from(first & 15)]];
            if used + escape.len() + usize::from(!tail.is_empty()) > LINE {
                start = break_softly(out);
            }
            out.extend_from_slice(&escape);
            rest = tail;
            continue;
        }
        // The last character may stand where the `=` of a soft line break would.
        let room = LINE - used - usize::from(literal < rest.len() || used + literal > LINE);
        let (now, later) = rest.split_at(literal.min(room));
        out.extend_from_slice(now);
        rest = later;
        if literal > room {
            start = break_softly(out);
        }
    }
}

/// Ends a line that goes on; where the next one begins.
fn break_softly(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(b"=\r\n");
    out.len()
}

/// How many bytes at the beginning of a line stand for themselves, counted as far as one line can hold.
fn literals(line: &[u8]) -> usize {
    let head = &line[..line.len().min(LINE + 1)];
    let head = &head[..memchr::memchr(b'=', head).unwrap_or(head.len())];
    // Nearly always all of them do, and that is seen many bytes at a time.
    let all = head.iter().fold(true, |all, byte| all & is_literal(*byte));
    let found = if all { head.len() } else { head.iter().take_while(|byte| is_literal(**byte)).count() };
    // A blank at the end of a line may be lost on the way.
    found - usize::from(found == line.len() && matches!(line.last(), Some(b' ' | b'\t')))
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
