//! What a server offers: its answer to EHLO (RFC 5321 4.1.1.1), as far as it matters here.

/// The keywords of an EHLO answer; after HELO, or where the server says nothing of them, none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EhloCapabilities {
    /// How the server calls itself.
    pub(super) name: String,
    /// STARTTLS (RFC 3207).
    pub(super) starttls: bool,
    /// AUTH PLAIN (RFC 4616).
    pub(super) plain: bool,
    /// AUTH LOGIN is offered.
    pub(super) login: bool,
    /// PIPELINING (RFC 2920).
    pub(super) pipelining: bool,
    /// SIZE (RFC 1870) is known.
    pub(super) sized: bool,
    /// The largest message that it takes, in bytes; `None`: it names no limit.
    pub(super) size_max: Option<u64>,
}

impl EhloCapabilities {
    /// Reads a whole reply. Keywords have no case (RFC 5321 2.4); `AUTH=` is what old servers say.
    pub(super) fn parse(reply: &[u8]) -> Self {
        let text = String::from_utf8_lossy(reply);
        let mut lines = text.lines().filter_map(|line| line.get(4..));
        let name = lines.next().and_then(|line| line.split_whitespace().next()).unwrap_or_default().to_owned();
        let mut capabilities = Self { name, ..Self::default() };
        for line in lines {
            let upper = line.to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
            let mut words = upper.split_whitespace();
            match words.next() {
                Some("STARTTLS") => capabilities.starttls = true,
                Some("PIPELINING") => capabilities.pipelining = true,
                Some("AUTH") => {
                    for mechanism in words {
                        capabilities.plain |= mechanism == "PLAIN";
                        capabilities.login |= mechanism == "LOGIN";
                    }
                }
                Some("SIZE") => {
                    capabilities.sized = true;
                    // 0: no fixed limit (RFC 1870 4).
                    capabilities.size_max = words.next().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
                }
                _ => {}
            }
        }
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_in_any_case_and_order() {
        let capabilities = EhloCapabilities::parse(b"250-mail.example.org hello\r\n250-size 10240000\r\n250-StartTLS\r\n250-auth=login\r\n250-AUTH CRAM-MD5 PLAIN\r\n250 Pipelining\r\n");
        let all = EhloCapabilities {
            name: "mail.example.org".to_owned(),
            starttls: true,
            plain: true,
            login: true,
            pipelining: true,
            sized: true,
            size_max: Some(10_240_000),
        };
        assert_eq!(capabilities, all);
    }

    #[test]
    fn what_is_not_said_is_not_offered() {
        for reply in [
            "250 mail.example.org",
            "250 mail.example.org\r\n",
            "250-mail.example.org\r\n250 XSIZE 5\r\n",
            "250-mail.example.org\r\n250-\r\n250 x\r\n",
        ] {
            assert_eq!(
                EhloCapabilities::parse(reply.as_bytes()),
                EhloCapabilities { name: "mail.example.org".to_owned(), ..EhloCapabilities::default() },
                "{reply:?}"
            );
        }
        // The first line is a greeting, whatever it says.
        assert!(!EhloCapabilities::parse(b"250-STARTTLS\r\n250 x\r\n").starttls);
    }

    #[test]
    fn a_size_without_a_limit() {
        for (line, max) in
            [("SIZE", None), ("SIZE 0", None), ("SIZE many", None), ("SIZE 99999999999999999999999", None), ("SIZE 512", Some(512))]
        {
            let capabilities = EhloCapabilities::parse(format!("250-x\r\n250 {line}\r\n").as_bytes());
            assert_eq!((capabilities.sized, capabilities.size_max), (true, max), "{line}");
        }
    }
}
