//! The message as it stands between DATA and its answer: the rendered bytes, dot-stuffed, with the final dot; and what may follow it.

/// Longest line that may go over the wire, without its CRLF (RFC 5321 4.5.3.1.6).
const LINE_MAX: usize = 998;

/// What servers disagree about.
const BARE: &str = "the message has a bare CR, a bare LF or a NUL";

/// What ends a body whose last line is whole.
const FINAL_DOT: &[u8] = b".\r\n";

/// A message that is safe to write after 354: ASCII, whole lines, dot-stuffed (RFC 5321 4.5.2), ending in the final dot.
pub(super) struct Body {
    /// With what follows, as it goes over the wire.
    framed: Vec<u8>,
    /// Where the final dot stands.
    dot: usize,
}

/// What an envelope behind a body takes, mostly.
const ENVELOPE: usize = 200;

impl Body {
    /// Takes final bytes. A last look: what is not ASCII, has a bare CR or LF, NUL or a line over 998 bytes is refused,
    /// because servers disagree about where such a message ends.
    pub(super) fn new(message: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(message).ok().filter(|text| text.is_ascii()).ok_or("the message is not ASCII")?;
        let lines = text.strip_suffix("\r\n").unwrap_or(text);
        check_lines(lines.as_bytes())?;
        let mut framed = Vec::with_capacity(text.len() + text.len() / 64 + ENVELOPE);
        let mut rest = lines.as_bytes();
        if rest.starts_with(b".") {
            framed.push(b'.');
        }
        while let Some(end) = memchr::memmem::find(rest, b"\n.") {
            framed.extend_from_slice(&rest[..=end]);
            framed.push(b'.');
            rest = &rest[end + 1..];
        }
        framed.extend_from_slice(rest);
        framed.extend_from_slice(b"\r\n");
        let dot = framed.len();
        framed.extend_from_slice(FINAL_DOT);
        Ok(Self { framed, dot })
    }

    /// All of it, as it goes over the wire.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.framed
    }

    /// These commands leave behind the final dot, in the same write (RFC 2920 3.1 allows it where PIPELINING is offered).
    pub(super) fn follow(&mut self, commands: &[String]) {
        commands.iter().for_each(|command| self.framed.extend_from_slice(command.as_bytes()));
    }

    /// Commands of the next message leave behind it.
    pub(super) fn is_followed(&self) -> bool {
        self.framed.len() > self.dot + FINAL_DOT.len()
    }

    /// Bytes on the wire before the final dot: as long as no more have left, the server has no message.
    pub(super) fn before_the_dot(&self) -> u64 {
        self.dot as u64
    }
}

/// Lines end in CRLF, and neither of the two stands anywhere else; none is too long.
fn check_lines(text: &[u8]) -> Result<(), &'static str> {
    let (mut start, mut ends) = (0, 0);
    for end in memchr::memchr_iter(b'\n', text).chain([text.len() + 1]) {
        let whole = end < text.len();
        if whole && (end == start || text[end - 1] != b'\r') {
            return Err(BARE);
        }
        if end - 1 - start > LINE_MAX {
            return Err("the message has a line of more than 998 bytes");
        }
        ends += usize::from(whole);
        start = end + 1;
    }
    let bare = memchr::memchr_iter(b'\r', text).count() != ends || memchr::memchr(0, text).is_some();
    if bare { Err(BARE) } else { Ok(()) }
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
            assert_eq!(body.bytes(), framed.as_bytes());
            assert_eq!(body.before_the_dot(), framed.len() as u64 - 3);
            let mut followed = Body::new(message.as_bytes()).unwrap();
            followed.follow(&["A\r\n".to_owned(), "B\r\n".to_owned()]);
            assert_eq!(followed.bytes(), format!("{framed}A\r\nB\r\n").as_bytes());
            assert_eq!(followed.before_the_dot(), body.before_the_dot());
            assert!(followed.is_followed() && !body.is_followed());
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
