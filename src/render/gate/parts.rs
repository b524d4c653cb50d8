//! The parts of a message of exactly the form in which we write them.
//!
//! In: its headers and its body. Out: the parts, each with its own headers; nothing if one byte stands where it should not: the mail library then
//! finds them, and takes its time.

use mailparse::body::Body;
use mailparse::{MailHeader, MailHeaderMap, ParsedMail};

use crate::render::quoted;

/// What we say of a message of parts. Its boundary goes on with letters and digits; quoted-printable text cannot hold its first two signs.
const OURS: &[u8] = b"multipart/alternative;\r\n boundary=\"=_";

/// What a part of ours is.
const KINDS: [&str; 3] = ["text/plain", "text/html", "text/calendar"];

/// Every byte of the body is one of a part or of a line between two.
pub(super) fn split<'m>(headers: &[MailHeader<'_>], body: &'m [u8]) -> Option<Vec<&'m [u8]>> {
    let kind = headers.get_first_header("Content-Type")?.get_value_raw();
    let boundary = kind.strip_prefix(OURS)?.strip_suffix(b"\"")?;
    if !boundary.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let between = [b"\r\n--=_", boundary].concat();
    let next = memchr::memmem::Finder::new(&between);
    let mut rest = body.strip_prefix(&between[2..])?.strip_prefix(b"\r\n")?;
    let mut parts = Vec::new();
    loop {
        let end = next.find(rest)?;
        parts.push(&rest[..end]);
        let after = &rest[end + between.len()..];
        if after == b"--\r\n" {
            return Some(parts);
        }
        rest = after.strip_prefix(b"\r\n")?;
    }
}

/// A part with the headers that we write, and no other one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MimePart<'m> {
    /// `text/html`
    pub(super) kind: &'static str,
    /// In quoted-printable.
    pub(super) body: &'m [u8],
}

impl<'m> MimePart<'m> {
    /// `None`: it is of another form.
    pub(super) fn of_our_form(part: &'m [u8]) -> Option<Self> {
        let said = part.strip_prefix(b"Content-Type: ")?;
        let kind = KINDS.into_iter().find(|kind| said.starts_with(kind.as_bytes()))?;
        let said = said[kind.len()..].strip_prefix(b"; charset=utf-8")?;
        let methods: [&[u8]; 2] = [b"; method=REQUEST", b"; method=CANCEL"];
        let said = methods.into_iter().find_map(|method| said.strip_prefix(method)).unwrap_or(said);
        Some(Self { kind, body: said.strip_prefix(b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")? })
    }
}

/// A part's body as a reader's program would decode it. `None`: it cannot be.
pub(super) fn body_of(part: &ParsedMail<'_>) -> Option<String> {
    match part.get_body_encoded() {
        Body::QuotedPrintable(body) => decoded(body.get_raw()),
        _ => part.get_body().ok(),
    }
}

/// Quoted-printable.
pub(super) fn decoded(body: &[u8]) -> Option<String> {
    quoted::read(body).and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(mail: &str) -> Option<Vec<String>> {
        let (headers, body) = mailparse::parse_headers(mail.as_bytes()).unwrap();
        let parts = split(&headers, &mail.as_bytes()[body..])?;
        Some(parts.into_iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect())
    }

    const MAIL: &str = "From: a@example.com\r\nContent-Type: multipart/alternative;\r\n boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain\r\n\r\none\r\n\r\n--=_b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--=_b--\r\n";

    #[test]
    fn parts_are_those_that_the_library_finds() {
        let found = mailparse::parse_mail(MAIL.as_bytes()).unwrap();
        let found: Vec<String> = found.subparts.iter().map(|part| String::from_utf8(part.raw_bytes.to_vec()).unwrap()).collect();
        assert_eq!(parts(MAIL).unwrap(), found);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_part_of_our_form_is_what_the_library_reads() {
        let end = "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        for (head, ours) in [
            ("Content-Type: text/plain; charset=utf-8\r\n", Some("text/plain")),
            ("Content-Type: text/html; charset=utf-8\r\n", Some("text/html")),
            ("Content-Type: text/calendar; charset=utf-8; method=CANCEL\r\n", Some("text/calendar")),
            ("Content-Type: text/calendar; charset=utf-16\r\n", None),
            ("Content-Type: text/htmlx; charset=utf-8\r\n", None),
            ("Content-Type: text/html; charset=utf-8\r\nX: y\r\n", None),
            ("X: y\r\nContent-Type: text/html; charset=utf-8\r\n", None),
            ("Content-Type: text/html; charset=utf-8\r\nContent-Disposition: attachment\r\n", None),
        ] {
            let part = format!("{head}{end}a=20b\r\n");
            let found = MimePart::of_our_form(part.as_bytes());
            assert_eq!(found.as_ref().map(|part| part.kind), ours, "{head}");
            let Some(found) = found else { continue };
            let library = mailparse::parse_mail(part.as_bytes()).unwrap();
            let mailparse::body::Body::QuotedPrintable(body) = library.get_body_encoded() else { panic!("{head}") };
            assert_eq!(
                (library.ctype.mimetype.as_str(), library.ctype.charset.as_str(), body.get_raw()),
                (found.kind, "utf-8", found.body)
            );
        }
        assert_eq!(MimePart::of_our_form(b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"), None);
    }

    #[test]
    fn what_is_of_another_form_is_left_to_the_library() {
        for (ours, other) in [
            ("--=_b--\r\n", "--=_b--\r\nmore"),
            ("--=_b--\r\n", "--=_b--"),
            ("--=_b--\r\n", ""),
            ("\r\n\r\n--=_b\r\n", "\r\n\r\nbefore\r\n--=_b\r\n"),
            ("one", "one\r\n--=_b x\r\n"),
            ("one", "one\r\n--=_bx"),
            ("one\r\n\r\n--=_b\r\n", "one\r\n\r\n--=_b \r\n"),
            ("one\r\n\r\n--=_b\r\n", "one\r\n\r\n--=_b\n"),
            ("multipart/alternative", "multipart/mixed"),
            ("multipart/alternative;\r\n boundary=\"=_b\"", "text/plain"),
        ] {
            assert!(MAIL.contains(ours), "{ours:?}");
            assert_eq!(parts(&MAIL.replacen(ours, other, 1)), None, "{other:?}");
        }
        assert_eq!(parts(&MAIL.replace("=_b", "b")), None);
    }
}
