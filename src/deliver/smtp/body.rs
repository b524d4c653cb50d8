//! The message as it stands between DATA and its answer: the rendered bytes, dot-stuffed, with the final dot.

use std::fmt;

/// Longest line that may go over the wire, without its CRLF (RFC 5321 4.5.3.1.6).
const LINE_MAX: usize = 998;

/// What servers disagree about.
const BARE: &str = "the message has a bare CR, a bare LF or a NUL";

/// What ends a body whose last line is whole.
const FINAL_DOT: &str = ".\r\n";

/// A message that is safe to write after 354: ASCII, whole lines, dot-stuffed (RFC 5321 4.5.2), ending in the final dot.
pub(super) struct Body(String);

impl Body {
    /// Takes final bytes. A last look: what is not ASCII, has a bare CR or LF, NUL or a line over 998 bytes is refused,
    /// because servers disagree about where such a message ends.
    pub(super) fn new(message: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(message).ok().filter(|text| text.is_ascii()).ok_or("the message is not ASCII")?;
        let mut framed = String::with_capacity(text.len() + text.len() / 64 + 8);
        let mut rest = text.strip_suffix("\r\n").unwrap_or(text);
        loop {
            let end = memchr::memchr(b'\n', rest.as_bytes());
            let line = match end {
                Some(end) => rest[..end].strip_suffix('\r').ok_or(BARE)?,
                None => rest,
            };
            if line.len() > LINE_MAX {
                return Err("the message has a line of more than 998 bytes");
            }
            if memchr::memchr2(b'\r', 0, line.as_bytes()).is_some() {
                return Err(BARE);
            }
            if line.starts_with('.') {
                framed.push('.');
            }
            framed.push_str(line);
            framed.push_str("\r\n");
            let Some(end) = end else { break };
            rest = &rest[end + 1..];
        }
        framed.push_str(FINAL_DOT);
        Ok(Self(framed))
    }

    /// Bytes on the wire before the final dot: as long as no more have left, the server has no message.
    pub(super) fn before_the_dot(&self) -> u64 {
        (self.0.len() - FINAL_DOT.len()) as u64
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing() {
        for (message, framed) in [
            ("A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n.\r\n"),
            ("text", "text\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("..a\r\n.b\r\nc.\r\n", "...a\r\n..b\r\nc.\r\n.\r\n"),
            ("a\r\n\r\n", "a\r\n\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            let body = Body::new(message.as_bytes()).unwrap();
            assert_eq!(body.to_string(), framed);
            assert_eq!(body.before_the_dot(), framed.len() as u64 - 3);
        }
    }

    #[test]
    fn what_servers_disagree_about_is_refused() {
        let long = "x".repeat(999);
        for bad in ["a\n.\nb", "a\r.\r\nb", "a\rb", "a\r\r\nb", "a\0b", "é", long.as_str()] {
            assert!(Body::new(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Body::new(&[0xff]).is_err());
    }
}
