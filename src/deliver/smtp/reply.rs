//! A server's reply, and what can still be read from half of one.

/// One reply (RFC 5321 4.2), its lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SmtpReply {
    /// 200 to 559.
    pub(super) code: u16,
    /// As the server sent it: not fit for logs before [`redacted`](crate::outcome::redacted).
    pub(super) text: String,
}

impl SmtpReply {
    /// 2yz.
    pub(super) fn is_done(&self) -> bool {
        self.code / 100 == 2
    }

    /// The server's own id of a message that it took, where it is said in one of the usual ways:
    /// `Ok: queued as 4F1A22` (Postfix), `OK id=1tXyz-0001` (Exim), `2.0.0 4Abc Message accepted for delivery` (Sendmail).
    pub(super) fn queue_id(&self) -> Option<String> {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let after = |lead: &[&str]| {
            let at = words.windows(lead.len()).position(|w| w.iter().zip(lead).all(|(a, b)| a.eq_ignore_ascii_case(b)))?;
            words.get(at + lead.len()).copied()
        };
        let before = |tail: &[&str]| words.windows(tail.len() + 1).find(|w| w[1..] == *tail).map(|w| w[0]);
        let id = after(&["queued", "as"])
            .or_else(|| words.iter().find_map(|w| w.strip_prefix("id=")))
            .or_else(|| before(&["Message", "accepted", "for", "delivery"]))?;
        let id = id.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (!id.is_empty() && id.len() <= QUEUE_ID_MAX && id.chars().all(plain)).then(|| id.to_owned())
    }
}

/// Longest queue id taken, in characters.
const QUEUE_ID_MAX: usize = 80;

/// The code of a reply that may have been cut off anywhere after its first three digits: nothing after them changes what it means
/// (RFC 5321 4.2). `None` if lines disagree or this is no reply at all.
pub(super) fn code_of(heard: &[u8]) -> Option<u16> {
    let code = heard.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit) && (b'2'..=b'5').contains(&code[0]))?;
    let agrees = |line: &[u8]| {
        line.get(..3).map_or(code.starts_with(line), |c| c == code) && matches!(line.get(3), None | Some(b' ' | b'-' | b'\r' | b'\n'))
    };
    let whole = heard.strip_suffix(b"\n").unwrap_or(heard);
    if !whole.split(|&b| b == b'\n').all(agrees) {
        return None;
    }
    std::str::from_utf8(code).ok()?.parse().ok()
}

/// As far as the first whole reply goes; all of it, if there is none.
pub(super) fn first_of(heard: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in heard.split_inclusive(|&b| b == b'\n') {
        end += line.len();
        if line.ends_with(b"\n") && line.get(3) != Some(&b'-') {
            return &heard[..end];
        }
    }
    heard
}

/// The whole replies in what was heard, in their order; reading ends at the first that is none.
pub(super) fn replies(heard: &[u8]) -> Vec<SmtpReply> {
    let mut all = Vec::new();
    let mut lines: Vec<&[u8]> = Vec::new();
    for line in heard.split_inclusive(|&b| b == b'\n') {
        lines.push(line);
        if !line.ends_with(b"\n") || line.get(3) == Some(&b'-') {
            continue;
        }
        let Some(code) = code_of(&lines.concat()) else { break };
        let text = |line: &[u8]| decoded(line.get(4..).unwrap_or_default()).trim_end().to_owned();
        all.push(SmtpReply { code, text: lines.drain(..).map(text).collect::<Vec<_>>().join(" ") });
    }
    all
}

/// UTF-8, or Latin-1 where it is none: old servers speak their country's language so.
fn decoded(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|&b| char::from(b)).collect(), str::to_owned)
}

/// Whether this is one reply, whole, and nothing after it: then, and only then, the exchange is in step.
pub(super) fn is_one_reply(heard: &[u8]) -> bool {
    let Some(lines) = heard.strip_suffix(b"\n") else { return false };
    let continues = |line: &[u8]| line.get(3) == Some(&b'-');
    let mut lines = lines.rsplit(|&b| b == b'\n');
    code_of(heard).is_some() && lines.next().is_some_and(|last| !continues(last)) && lines.all(continues)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, text: &str) -> SmtpReply {
        SmtpReply { code, text: text.to_owned() }
    }

    #[test]
    fn several_replies() {
        let codes = |heard: &str| replies(heard.as_bytes()).into_iter().map(|r| format!("{} {}", r.code, r.text)).collect::<Vec<_>>();
        assert_eq!(codes("250 2.1.0 Ok\r\n550 5.1.1 no\r\n354 go\r\n"), ["250 2.1.0 Ok", "550 5.1.1 no", "354 go"]);
        assert_eq!(codes("250-one\r\n250 two\r\n354"), ["250 one two"]);
        assert_eq!(codes("250 ok\r\n<html>\r\n250 ok\r\n"), ["250 ok"]);
        assert_eq!(codes(""), [] as [&str; 0]);
        assert_eq!(replies(b"550 bo\xeete pleine\n")[0].text, "bo\u{ee}te pleine", "Latin-1, and a line end of LF alone");
        assert_eq!(codes("550-bo\u{ee}te\r\n550\r\n"), ["550 bo\u{ee}te "]);
    }

    #[test]
    fn the_first_of_several() {
        for (heard, first) in [
            ("250 ok\r\n250 ok\r\n354", "250 ok\r\n"),
            ("250-a\r\n250 b\r\n550 no\r\n", "250-a\r\n250 b\r\n"),
            ("250\n250\n", "250\n"),
            ("250-a\r\n250 b", "250-a\r\n250 b"),
            ("<html>\r\n250 ok\r\n", "<html>\r\n"),
            ("", ""),
        ] {
            assert_eq!(first_of(heard.as_bytes()), first.as_bytes(), "{heard:?}");
        }
    }

    #[test]
    fn queue_ids() {
        for (text, id) in [
            ("2.0.0 Ok: queued as 4F1A22", Some("4F1A22")),
            ("OK id=1tXyz0-0001ab-2C", Some("1tXyz0-0001ab-2C")),
            ("2.0.0 4ANa1bcd Message accepted for delivery", Some("4ANa1bcd")),
            ("2.6.0 <x@example.com> [InternalId=1, Hostname=h] Queued mail for delivery", None),
            ("OK", None),
            ("queued as", None),
            ("queued as trevor@example.com", None),
        ] {
            assert_eq!(reply(250, text).queue_id().as_deref(), id, "{text}");
        }
    }

    #[test]
    fn a_code_is_whole_before_its_reply_is() {
        for (heard, code) in [
            ("250", Some(250)),
            ("250 2.0.0 queued", Some(250)),
            ("250\r\n", Some(250)),
            ("250-one\r\n250 two\r\n", Some(250)),
            ("250-one\r\n25", Some(250)),
            ("450 later", Some(450)),
            ("25", None),
            ("", None),
            ("250-one\r\n550 two\r\n", None),
            ("250ok\r\n", None),
            ("999 what\r\n", None),
            ("<html>", None),
        ] {
            assert_eq!(code_of(heard.as_bytes()), code, "{heard:?}");
        }
    }

    #[test]
    fn one_reply_is_all_that_may_come() {
        for whole in ["250\r\n", "250 ok\r\n", "250-a\r\n250 b\r\n", "220 go\n"] {
            assert!(is_one_reply(whole.as_bytes()), "{whole:?}");
        }
        for not in ["", "250", "250 ok", "250-a\r\n", "220 go\r\n250 more\r\n", "220 go\r\n220 go\r\n", "220 go\r\n250"] {
            assert!(!is_one_reply(not.as_bytes()), "{not:?}");
        }
    }
}
