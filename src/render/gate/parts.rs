//! The parts of a message of exactly the form in which we write them.
//!
//! In: its headers and its body. Out: the parts, each with its own headers; nothing if one byte stands where it should not: the mail library then
//! finds them, and takes its time.

use mailparse::{MailHeader, MailHeaderMap, parse_content_type};

/// What a boundary of ours begins with: quoted-printable text cannot hold it.
const OURS: &str = "=_";

/// Every byte of the body is one of a part or of a line between two.
pub(super) fn split<'m>(headers: &[MailHeader<'_>], body: &'m [u8]) -> Option<Vec<&'m [u8]>> {
    let kind = parse_content_type(&headers.get_first_value("Content-Type")?);
    let boundary = kind.params.get("boundary").filter(|_| kind.mimetype == "multipart/alternative")?;
    if !boundary.starts_with(OURS) {
        return None;
    }
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(&between.as_bytes()[2..])?.strip_prefix(b"\r\n")?;
    let mut parts = Vec::new();
    loop {
        let end = memchr::memmem::find(rest, between.as_bytes())?;
        parts.push(&rest[..end]);
        let after = &rest[end + between.len()..];
        if after == b"--\r\n" {
            return Some(parts);
        }
        rest = after.strip_prefix(b"\r\n")?;
    }
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
