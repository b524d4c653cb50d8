//! A server's words, made comparable: small letters without accents, one word after another, with a mark for each address, host and link.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Refusal;
use crate::outcome::EnhancedStatus;

/// So many characters are looked at: a long reply has some hundreds.
const CHARS_MAX: usize = 4_000;

/// Stand for what was there. No word of a server has their brackets.
const RECIPIENT: &str = "{to}";
const SENDER: &str = "{from}";
const OTHER: &str = "{other}";
const IP: &str = "{ip}";
const HOST: &str = "{host}";
const LIST: &str = "{list}";

/// Words beside a code that add nothing to it: they name the recipient, or say that it is refused.
const FILLERS: &str = "{to} {host} recipient address mailbox rcpt destination rejected refused is as a the this to for at host said says no permanent failure gsmtp";
/// Of those, the ones that name the recipient.
const NAMING: [&str; 6] = [RECIPIENT, "recipient", "address", "mailbox", "rcpt", "destination"];
/// Local parts that are words of any reply: they do not name us.
const ORDINARY: [&str; 14] = [
    "mail",
    "email",
    "user",
    "account",
    "mailbox",
    "message",
    "address",
    "host",
    "server",
    "smtp",
    "recipient",
    "support",
    "help",
    "postmaster",
];

/// Block lists, as they stand in hosts and links.
const LISTS: [&str; 11] =
    ["rbl", "dnsbl", "spamhaus", "spamcop", "barracudacentral", "sorbs", "uceprotect", "blocklist", "blacklist", "/bl", "dnswl"];
/// Mailboxes that replies refer to for help.
const HELPERS: [&str; 10] =
    ["postmaster", "abuse", "support", "help", "helpdesk", "hostmaster", "noc", "admin", "mailer-daemon", "unblock"];
/// Exchange's reasons look like hosts: their parts are words.
const REASONS: [&str; 7] = ["resolver", "transport", "storedrv", "routing", "queue", "agent", "smtpsend"];

pub(super) struct RefusalText {
    pub(super) words: Vec<String>,
    /// Enhanced codes of classes 4 and 5, wherever they stand.
    pub(super) codes: Vec<EnhancedStatus>,
    pub(super) names_recipient: bool,
    pub(super) names_sender: bool,
    /// An address that is neither, of another domain than the recipient's, and nobody's whom one asks for help.
    pub(super) names_stranger: bool,
    /// The sender's domain by itself, where it is not the recipient's too.
    pub(super) names_our_domain: bool,
    /// The sender's local part by itself, where it is not the recipient's too: `no such user (sessions)`.
    pub(super) names_our_local_part: bool,
}

impl RefusalText {
    pub(super) fn of(refusal: &Refusal<'_>) -> Self {
        let from: Vec<String> = refusal.from.iter().map(|address| address.to_lowercase()).collect();
        let to = refusal.to.map(str::to_lowercase);
        let mut heard = Self {
            words: Vec::new(),
            codes: Vec::new(),
            names_recipient: false,
            names_sender: false,
            names_stranger: false,
            names_our_domain: false,
            names_our_local_part: false,
        };
        for piece in folded(refusal.text).split_whitespace() {
            heard.piece(piece, &from, to.as_deref());
        }
        heard
    }

    /// Nothing, or the recipient alone: then the code speaks.
    pub(super) fn says_no_more(&self) -> bool {
        let named = self.words.iter().any(|word| NAMING.contains(&word.as_str()));
        let is_code = |word: &str| word.len() == 3 && word.starts_with(['4', '5']) && word.bytes().all(|b| b.is_ascii_digit());
        let says_nothing = |word: &String| FILLERS.split(' ').any(|filler| filler == word) || is_code(word);
        self.words.iter().all(|word| is_code(word)) || (named && self.words.iter().all(says_nothing))
    }

    /// One piece between two spaces.
    fn piece(&mut self, piece: &str, from: &[String], to: Option<&str>) {
        if let Some(at) = piece.find("http://").or_else(|| piece.find("https://")) {
            self.piece(&piece[..at], from, to);
            let link = &piece[at..];
            self.push(if is_list(link) { LIST } else { HOST });
            return;
        }
        for part in piece.split(['<', '>', '(', ')', '[', ']', '"', ',', ';', ':', '!', '?', '|']) {
            if part.contains('@') {
                self.address(part.trim_matches('.'), from, to);
            } else {
                part.split(['/', '#', '*', '=', '_', '-', '\\', '`', '+', '~', '%', '&', '$', '^', '{', '}'])
                    .for_each(|word| self.word(word.trim_matches('.'), part.trim_matches('.'), from, to));
            }
        }
    }

    fn address(&mut self, address: &str, from: &[String], to: Option<&str>) {
        let is = |ours: &str| !ours.is_empty() && (address == ours || address.strip_suffix(ours).is_some_and(|key| key.ends_with('=')));
        let (local, domain) = address.split_once('@').unwrap_or((address, ""));
        let theirs = to.and_then(|to| to.split_once('@')).is_some_and(|(_, of)| of == domain);
        let helps = HELPERS.contains(&local);
        let (sender, recipient) = (from.iter().any(|ours| is(ours)), to.is_some_and(is));
        self.names_sender |= sender;
        self.names_recipient |= recipient;
        self.names_stranger |= !sender && !recipient && !theirs && !helps;
        self.push(if recipient {
            RECIPIENT
        } else if sender {
            SENDER
        } else {
            OTHER
        });
    }

    /// `whole`: with what it is joined to by hyphens and the like, as hosts are.
    fn word(&mut self, word: &str, whole: &str, from: &[String], to: Option<&str>) {
        if word.is_empty() {
            return;
        }
        let is_local_part = |address: &str| [word, whole].iter().any(|name| local_part(address) == *name);
        if !ORDINARY.contains(&word) && from.iter().any(|address| is_local_part(address)) {
            self.names_our_local_part |= !to.is_some_and(is_local_part);
        }
        let labels: Vec<&str> = word.split('.').collect();
        if let Some(status) = EnhancedStatus::parse(word).filter(|status| matches!(status.0, 4 | 5)) {
            self.codes.push(status);
        } else if labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok()) {
            self.push(IP);
        } else if labels.len() > 1 && is_list(word) {
            self.push(LIST);
        } else if labels.len() > 1 && of_domain(from, whole) {
            self.names_our_domain |= !to.is_some_and(|to| of_domain(&[to.to_owned()], whole));
            self.push(HOST);
        } else if labels.len() > 1 && to.is_some_and(|to| of_domain(&[to.to_owned()], whole)) {
            self.push(HOST);
        } else if labels.len() == 2 || (labels.len() > 2 && REASONS.contains(&labels[0])) {
            labels.iter().filter(|label| !label.is_empty()).for_each(|label| self.push(label));
        } else if labels.len() > 2 {
            self.push(HOST);
        } else {
            self.push(word);
        }
    }

    fn push(&mut self, word: &str) {
        self.words.push(word.to_owned());
    }
}

fn is_list(name: &str) -> bool {
    LISTS.iter().any(|list| name.contains(list))
}

/// Without what is added to it behind a +.
pub(super) fn local_part(address: &str) -> &str {
    let local = address.split_once('@').map_or(address, |(local, _)| local);
    local.split_once('+').map_or(local, |(local, _)| local)
}

fn of_domain(addresses: &[String], name: &str) -> bool {
    addresses.iter().any(|address| address.split_once('@').is_some_and(|(_, domain)| domain == name))
}

/// Small letters, no accents; `doesn't` is `does not`.
pub(super) fn folded(text: &str) -> String {
    let plain: String = text.chars().take(CHARS_MAX).nfkd().filter(|c| !is_combining_mark(*c)).collect();
    let plain = plain.to_lowercase().replace('\u{df}', "ss").replace(['\u{2019}', '\u{b4}'], "'");
    let plain = plain.replace("can't", "cannot").replace("won't", "will not").replace("n't", " not");
    plain.chars().map(|c| if c == '\'' || c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RefusalText {
        RefusalText::of(&Refusal { code: Some(550), text, from: &["us@lakeside.example"], to: Some("pat@example.com") })
    }

    #[test]
    fn words_and_marks() {
        for (text, words) in [
            ("5.1.1 <Pat@Example.com>... User doesn't exist!", "{to} user does not exist"),
            ("#5.1.1 Adresse rejet\u{e9}e; Postfach geschlo\u{df}en", "adresse rejetee postfach geschlossen"),
            (
                "client host [192.0.2.7] blocked using zen.spamhaus.org; see https://www.example.org/x?y",
                "client host {ip} blocked using {list} see {host}",
            ),
            ("_is_blocked.__For_information", "is blocked for information"),
            ("RESOLVER.ADR.RecipNotFound; not found at mx1.example.net", "resolver adr recipnotfound not found at {host}"),
            ("from us@lakeside.example of lakeside.example", "from {from} of {host}"),
            ("", ""),
        ] {
            assert_eq!(read(text).words.join(" "), words, "{text}");
        }
    }

    #[test]
    fn codes_wherever_they_stand() {
        let codes = |text: &str| read(text).codes.iter().map(|c| format!("{}.{}.{}", c.0, c.1, c.2)).collect::<Vec<_>>().join(" ");
        for (text, all) in [
            ("5.1.1 no", "5.1.1"),
            ("sorry (#5.1.1), no 5.7.606", "5.1.1 5.7.606"),
            ("smtp;550-5.1.1/4.2.2", "5.1.1 4.2.2"),
            ("from 192.0.2.7, 2.0.0, 5.1, 5.1.1.1, 1.5.1", ""),
            ("see http://example.org/5.1.1", ""),
        ] {
            assert_eq!(codes(text), all, "{text}");
        }
    }
}
