//! Whom a refusal is about: this mailbox, this message, or us. Pure.
//!
//! In: a server's basic code, its words, and the addresses that were named to it. Out: [`About`]. Three witnesses are heard: the basic code
//! (RFC 5321), each enhanced code wherever it stands (`5.1.1`, `#5.1.1`, `(5.7.1)`; RFC 3463), and the words ([`words`]), in which our own address
//! and the recipient's are told apart. Only where all of them agree that there is no such mailbox is it about the mailbox: whoever is
//! suppressed hears nothing more, and a relay that dislikes our sender says so of each recipient in turn. A code alone is evidence where the server
//! adds nothing but the recipient; beside words that nobody knows here it is none: relays say 550 5.1.1 for failures of all kinds.

use super::EnhancedStatus;

mod plain;
mod text;
mod words;

use text::RefusalText;
use words::Says;

/// Whom a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// This mailbox does not exist, or takes no mail any more.
    Mailbox,
    /// This message: its size, its content, the room that is left in the mailbox; or who it is about is contradicted.
    Message,
    /// Us: sender, log-in, HELO, relaying, block lists, policy, rate, quota, account.
    Us,
    /// Not for good, whatever the code says: greylisting.
    Later,
    /// Nothing says whom.
    Unsaid,
}

/// A refusal, and what was said to the server before.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The basic code; `None`: there was none, as in a bounce.
    pub code: Option<u16>,
    /// What the server said behind it, as it is.
    pub text: &'a str,
    /// Our addresses: of the envelope, and of the header.
    pub from: &'a [&'a str],
    pub to: Option<&'a str>,
}

/// What a code points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Points {
    Mailbox,
    Message,
    Us,
    /// The way in which we speak to it: ours, or the message's.
    Protocol,
    /// Something that is not allowed: not that there is no mailbox.
    Policy,
    Nothing,
}

/// By the enhanced code:
///
/// | code | points at |
/// |---|---|
/// | x.1.1, x.1.2, x.1.3, x.1.6, x.1.10, x.2.1 | the mailbox |
/// | x.1.7, x.1.8, x.1.90, x.2.252, 5.3.1, 5.3.2, x.3.5, x.4.5 | us: the sender, the daily limit, the server's own state |
/// | x.5.1 and above | the protocol |
/// | x.7.8 to x.7.11, 13, 14, 20 to 32, 40, 54, 57, 60, 64, 68, 500 and above | us: log-in, authentication, relaying, block lists, the tenant |
/// | any other x.7.z | policy: something is not allowed |
/// | x.1.4, x.1.5, x.1.9, x.2.2 and above, x.3.3, x.3.4, x.4.z, x.6.z, x.7.504, x.7.505, x.7.512 | the message |
/// | x.y.0 and the rest | nothing |
fn enhanced(status: EnhancedStatus) -> Points {
    match (status.1, status.2) {
        (1, 1..=3 | 6 | 10) | (2, 1) => Points::Mailbox,
        (3, 1 | 2) if status.0 == 4 => Points::Nothing,
        (1, 7 | 8 | 90) | (2, 252) | (3, 1 | 2 | 5) | (4, 5) => Points::Us,
        (5, 0) => Points::Nothing,
        (5, _) => Points::Protocol,
        (7, 504 | 505 | 512) => Points::Message,
        (7, 8..=11 | 13 | 14 | 20..=32 | 40 | 54 | 57 | 60 | 64 | 68 | 500..) => Points::Us,
        (7, _) => Points::Policy,
        (1, 4 | 5 | 9) | (2, 2..) | (3, 3 | 4) | (4 | 6, _) => Points::Message,
        _ => Points::Nothing,
    }
}

/// By the basic code: the log-in and a host that takes no mail are ours; 552 is a storage allocation, the message's.
fn basic(code: u16) -> Points {
    match code {
        500 | 502..=504 => Points::Protocol,
        521 | 530 | 534 | 535 | 538 => Points::Us,
        552 => Points::Message,
        _ => Points::Nothing,
    }
}

/// The first row that applies:
///
/// | the server | about |
/// |---|---|
/// | says that it is greylisting | later |
/// | has words about us, or names our address and not the recipient's | us |
/// | has a code that points at us, or at the protocol | us; the message, if its words say that there is no mailbox, or at the protocol are about the message |
/// | has words or a code about the message | the message |
/// | has words that say that there is no such mailbox, some of them only beside the code for it; or that code, and names nothing but the recipient | the mailbox; the message, if anything contradicts: another class, a policy code, our address or a stranger's beside it, words that may be about us, words of a failure, a log-in or a sender |
/// | has a code that says that there is no such mailbox, and words that are not known | the message |
/// | has words that may be about us | us |
/// | says nothing of all that | unsaid |
pub fn about(refusal: &Refusal<'_>) -> About {
    let heard = RefusalText::of(refusal);
    let says = |kind| words::TABLE.iter().any(|row| row.says == kind && row.fits(&heard.words));
    let class = refusal.code.map(|code| code / 100);
    let codes: Vec<Points> = heard.codes.iter().map(|status| enhanced(*status)).chain(refusal.code.map(basic)).collect();
    let points = |at| codes.contains(&at);
    let nobody = || says(Says::Nobody) || (heard.names_recipient && says(Says::NobodyIfNamed));
    if says(Says::Later) {
        return About::Later;
    }
    if says(Says::Us) || (heard.names_sender && !heard.names_recipient) {
        return About::Us;
    }
    if points(Points::Us) {
        return if nobody() { About::Message } else { About::Us };
    }
    if points(Points::Protocol) {
        return if nobody() || says(Says::Message) { About::Message } else { About::Us };
    }
    if says(Says::Message) || points(Points::Message) {
        return About::Message;
    }
    let perhaps_us = || heard.names_our_domain || says(Says::PerhapsUs);
    if points(Points::Mailbox) || nobody() {
        let by_code = |at: (u16, u16)| heard.codes.iter().any(|status| (status.1, status.2) == at);
        // A disabled account may be the one that we log in with: of the recipient's only if it is named.
        let may_be_ours = || !heard.names_recipient && heard.words.iter().any(|word| word.starts_with("account"));
        let meant = |at: (u16, u16)| by_code(at) && (at != DISABLED || !may_be_ours());
        let coded = || words::TABLE.iter().any(|row| row.with.is_some_and(meant) && row.fits(&heard.words));
        let named = |word: &str| refusal.to.is_some_and(|to| text::local_part(to).to_lowercase() == word);
        // Beside the recipient's address, or in a reply that says nothing else.
        let sure = heard.names_recipient || heard.words.iter().all(|word| plain::is_plain(word) || named(word));
        let clear = ((nobody() || coded()) && sure) || (heard.says_no_more() && !by_code(DISABLED));
        let classes_disagree = class.is_some_and(|class| heard.codes.iter().any(|status| status.0 != class));
        let names_others = heard.names_sender || heard.names_our_local_part || (heard.names_stranger && !heard.names_recipient);
        let doubtful = classes_disagree || points(Points::Policy) || names_others || says(Says::Doubt) || perhaps_us();
        return if clear && !doubtful { About::Mailbox } else { About::Message };
    }
    if perhaps_us() || says(Says::FaintlyUs) { About::Us } else { About::Unsaid }
}

/// x.2.1 is said of a mailbox that is disabled, and of one that is busy: the words must tell.
const DISABLED: (u16, u16) = (2, 1);

/// Whether a gateway's words say that our account or our sender is at fault: by the same table, where nothing is said of a mailbox.
pub fn is_ours(text: &str) -> bool {
    let heard = RefusalText::of(&Refusal { code: None, text, from: &[], to: None });
    words::TABLE.iter().any(|row| matches!(row.says, Says::Us | Says::FaintlyUs | Says::UsAtGateway) && row.fits(&heard.words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [&str; 2] = ["sessions@lakeside.example", "Sessions+abc=1@Lakeside.example"];

    fn of(reply: &str, to: &str) -> About {
        let (code, text) = reply.split_at(3);
        let text = text.trim_start_matches([' ', '-']).replace(&format!("\\n{code}-"), " ").replace(&format!("\\n{code} "), " ");
        about(&Refusal { code: code.parse().ok(), text: &text, from: &OURS, to: Some(to) })
    }

    fn word(about: About) -> &'static str {
        match about {
            About::Mailbox => "mailbox",
            About::Message => "message",
            About::Us => "us",
            About::Later => "later",
            About::Unsaid => "unsaid",
        }
    }

    /// replies.tsv: what servers say, and whom it is about; of several, one must be seen.
    #[test]
    fn what_servers_say() {
        let rows: Vec<Vec<&str>> = include_str!("refusal/replies.tsv").lines().skip(1).map(|line| line.split('\t').collect()).collect();
        let wrong: Vec<String> = rows
            .iter()
            .filter_map(|row| {
                let seen = word(of(row[0], "pat@example.com"));
                (!row[1].split('|').any(|right| right == seen)).then(|| format!("{}: {seen}, not {}: {}", row[2], row[1], row[0]))
            })
            .collect();
        assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), rows.len(), wrong.join("\n"));
        assert!(rows.len() >= 200);
    }

    #[test]
    fn whose_address_is_named_decides() {
        for (reply, right) in [
            ("550 5.1.1 <pat@example.com>: user unknown", "mailbox"),
            ("550 5.1.1 <PAT@Example.com>... User unknown", "mailbox"),
            ("550 5.1.1 rcpt=pat@example.com; user unknown", "mailbox"),
            ("550 5.1.1 user unknown", "mailbox"),
            ("550 5.1.1 user unknown, ask postmaster@example.net", "mailbox"),
            ("550 5.1.1 <pat.example@example.com>: user unknown", "mailbox"),
            ("550 5.1.1 <sessions@lakeside.example>: user unknown", "us"),
            ("550 5.1.1 <sessions+ABC=1@lakeside.example>: user unknown", "us"),
            ("550 User sessions@lakeside.example does not exist", "us"),
            ("550 5.1.1 <sessions@lakeside.example> to <pat@example.com>: user unknown", "message"),
            ("550 5.1.1 <chris@forward.example>: user unknown", "message"),
            ("550 user unknown at lakeside.example", "message"),
        ] {
            assert_eq!(word(of(reply, "pat@example.com")), right, "{reply}");
        }
        assert_eq!(word(of("550 5.1.1 <front@lakeside.example>: user unknown in lakeside.example", "front@lakeside.example")), "mailbox");
        assert_eq!(word(of("550 5.1.1 <sessions@lakeside.example>: user unknown", "sessions@lakeside.example")), "message");
    }

    #[test]
    fn what_contradicts_itself_is_not_about_the_mailbox() {
        for reply in [
            "550 4.1.1 user unknown",
            "552 5.1.1 user unknown",
            "550 5.1.1 mailbox full",
            "550 5.2.1 over quota",
            "550 5.7.1 user unknown",
            "550 5.4.1 no such user",
            "550 5.6.0 no such user",
            "550 5.5.1 user unknown",
            "535 user unknown",
            "550 5.1.1 rejected by policy",
            "550 5.1.1 mailbox temporarily disabled",
        ] {
            assert_ne!(of(reply, "pat@example.com"), About::Mailbox, "{reply}");
        }
    }

    #[test]
    fn nothing_that_a_server_says_makes_it_panic() {
        for text in ["", " ", "\u{0}", "5.1.", "@", "<@>", "a@", "http://", "1.2.3.4.5", "....", &"x ".repeat(100_000), &"5".repeat(10_000)]
        {
            about(&Refusal { code: Some(550), text, from: &[""], to: Some("") });
            about(&Refusal { code: None, text, from: &[], to: None });
        }
    }
}
