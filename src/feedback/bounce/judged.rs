//! Whether a report says, of this mailbox, that it does not exist: only where its status, the server's reply and each of its words agree, by the same
//! reading as of a refusal ([`crate::outcome::refusal`]). Whoever is suppressed hears nothing more, so anything else is an undelivered message, and a
//! person looks.

use crate::outcome::EnhancedStatus;
use crate::outcome::refusal::{About, Refusal, about};

/// What a report says of one recipient.
pub(super) struct ReportWords<'a> {
    pub(super) status: &'a str,
    /// The field Diagnostic-Code: `smtp; 550 5.1.1 <nobody@example.com>: no such user`.
    pub(super) said: &'a str,
    /// Final-Recipient: the mailbox.
    pub(super) recipient: &'a str,
}

pub(super) fn is_gone(words: &ReportWords<'_>) -> bool {
    let Some(status) = words.status.split_whitespace().next().and_then(EnhancedStatus::parse) else { return false };
    let said = match words.said.split_once(';') {
        // Its type (RFC 3464 2.3.6), which some servers leave out.
        Some((kind, said)) if kind.trim().starts_with(|c: char| c.is_ascii_alphabetic()) && !kind.trim().contains(' ') => said,
        _ => words.said,
    };
    let reads = |text: &str| about(&Refusal { code: reply(said), text, from: &[], to: Some(words.recipient) }) == About::Mailbox;
    let EnhancedStatus(class, subject, detail) = status;
    // A mailbox that is disabled, and one that is busy, have the same code: the server's words must tell.
    let told = |text: &str| if (subject, detail) == (2, 1) { reads(&without_codes(text)) } else { true };
    class == 5 && reads(&format!("{class}.{subject}.{detail} {said}")) && told(said)
}

/// A server's words alone.
fn without_codes(said: &str) -> String {
    let is_code = |word: &&str| !word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    said.split_whitespace().filter(is_code).collect::<Vec<_>>().join(" ")
}

/// The SMTP reply: the first number of three digits that can be one. `550-5.1.1` begins with it.
fn reply(said: &str) -> Option<u16> {
    let words = said.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_matches('.'));
    words.filter(|word| word.len() == 3).filter_map(|word| word.parse().ok()).find(|code| (400..560).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gone_is_what_codes_and_words_agree_upon() {
        for (status, said, gone) in [
            // They agree.
            ("5.1.1", "smtp; 550 5.1.1 <pat@example.com>: Recipient address rejected: unknown user", true),
            ("5.1.1", "smtp; 550-5.1.1 The email account that you tried to reach does not exist.\n 550 5.1.1 - gsmtp", true),
            ("5.1.1", "X-Postfix; unknown user: \"pat\"", true),
            ("5.0.0", "550 5.1.1 no such user; it was never here", true),
            ("5.1.1", "552 5.2.2 over quota; try another", false),
            ("5.1.1", "", true),
            ("5.1.2", "smtp; 550 5.1.2 no such domain", true),
            ("5.1.3", "smtp; 553 5.1.3 bad destination mailbox address syntax", true),
            ("5.1.6", "smtp; 551 5.1.6 moved, and left no address", true),
            ("5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", true),
            ("5.0.0", "smtp; 550 5.1.1 no such user, call +1 404 555 0100", true),
            ("5.1.1", "smtp; 550 5.1.1 <PAT@example.com> no such user", true),
            ("5.1.10", "smtp; 556 5.1.10 takes no mail", true),
            ("5.2.1", "smtp; 550 5.2.1 The email account that you tried to reach is disabled", true),
            ("5.2.1", "smtp; 550 5.1.1 no such user", true),
            ("5.0.0", "smtp; 550 5.1.1 <pat@example.com>", true),
            ("5.0.0", "smtp; 550 No such user here", true),
            ("5.0.0 (permanent failure)", "smtp; 550 User unknown", true),
            // The words speak of something else.
            ("5.1.1", "smtp; 550 5.1.1 rejected for policy reasons", false),
            ("5.1.1", "smtp; 550 5.1.1 your sender is not welcome", false),
            ("5.1.1", "smtp; 550 5.1.1 user is receiving mail at a rate", false),
            ("5.1.1", "smtp; 550 5.1.1 mailbox full", false),
            ("5.1.1", "smtp; 550 5.1.1 relay not permitted", false),
            ("5.1.1", "smtp; 550 5.1.1 user unknown, try again later", false),
            (
                "5.2.1",
                "smtp; 550-5.2.1 The user is receiving mail at a rate that 550-5.2.1 keeps more from delivery ReceivingRatePerm",
                false,
            ),
            ("5.2.1", "smtp; 550 5.2.1 Mailbox unavailable", false),
            ("5.2.1", "", false),
            // The codes do not agree.
            ("5.1.1", "smtp; 552 5.2.2 Over quota", false),
            ("5.1.1", "smtp; 550 5.7.1 no such user", false),
            ("5.1.1", "smtp; 450 4.2.1 no such user", false),
            ("5.7.1", "smtp; 550 5.1.1 no such user", false),
            ("4.4.7", "smtp; 550 5.1.1 no such user", false),
            ("", "smtp; 550 5.1.1 no such user", false),
            ("5.1.1 5.2.2", "smtp; 550 5.1.1 5.2.2 no such user", false),
            ("5.0.0 (permanent failure)", "smtp; 5.1.0 - Unknown address error 550-'5.2.2 <pat@example.com>... Mailbox Full'", false),
            ("5.1.0", "smtp; 550 5.1.0 <bounces@lakeside.example> sender rejected, see the error codes. AUP#CDRBL", false),
            ("5.1.1", "smtp; 550 5.1.1 return path invalid", false),
            ("5.1.1", "smtp; 550 5.1.1 Database error", false),
            ("5.1.1", "smtp; 550 5.1.1 recipient verification failed", false),
            ("5.1.1", "smtp; 550 5.1.1 Originator unknown", false),
            ("5.1.1", "smtp; 550 5.1.1 something went wrong", false),
            ("5.1.2", "smtp; DNS timeout", false),
            ("5.1.1", "smtp; 550 5.1.1 user unknown (in reply to MAIL FROM command)", false),
            // Nothing says whom it is about.
            ("5.0.0", "", false),
            ("5.0.0", "smtp; 550 Not today", false),
            ("5.0.0", "smtp; 550 our host 10.1.1.1 is unwelcome", false),
            ("5.1.0", "smtp; 550 5.1.0 address rejected", false),
            ("5.1.7", "smtp; 550 5.1.7 bad address", false),
            ("5.4.4", "smtp; host not found", false),
            ("5.7.1", "smtp; 550 5.7.1 <pat@example.com>: no access", false),
            ("5.5.0", "smtp; 550 5.5.0 Requested action not taken: mailbox unavailable", false),
        ] {
            assert_eq!(is_gone(&ReportWords { status, said, recipient: "pat@example.com" }), gone, "{status}: {said}");
        }
    }
}
