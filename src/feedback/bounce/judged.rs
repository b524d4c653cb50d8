//! Whether a report says, of this mailbox, that it does not exist: only where its status, each code in the server's words and the words
//! themselves agree. Whoever is suppressed hears nothing more, so anything else is an undelivered message, and a person looks.

use crate::outcome::EnhancedStatus;

/// What a report says of one recipient.
pub(super) struct Words<'a> {
    /// The field Status.
    pub(super) status: &'a str,
    /// The field Diagnostic-Code: `smtp; 550 5.1.1 <nobody@example.com>: no such user`.
    pub(super) said: &'a str,
}

/// Words that speak of something else than whether there is such a mailbox, each with a reply that has it.
const OTHERWISE: [&str; 40] = [
    "quota",         // 552 5.2.2 Over quota
    "full",          // 550-'5.2.2 <pat@example.com>... Mailbox Full'
    "storage",       // 552 5.2.2 insufficient storage
    "exceed",        // 552 the message exceeds the size limit
    "too large",     // 552 5.3.4 message too large
    "too many",      // 550 too many messages from this sender
    "at a rate",     // 550-5.2.1 The user whom you write to is receiving mail at a rate that keeps more from delivery
    "receivingrate", // 550 5.2.1 https://help.example/?p=ReceivingRatePerm
    "rate limit",    // 550 5.7.1 rate limit reached
    "throttl",       // 550 throttled
    "try again",     // 550 5.1.1 user unknown, try again later
    "tempor",        // 550 temporarily unavailable
    "greylist",      // 550 greylisted
    "graylist",      // likewise
    "timed out",     // 550 verification timed out
    "timeout",       // 550 timeout while the recipient was looked up
    "spam",          // 550 5.1.1 spam
    "unsolicited",   // 550 unsolicited mail
    "virus",         // 550 virus found
    "malware",       // 550 malware
    "content",       // 554 5.6.0 the filter refused the content
    "polic",         // 550 5.1.1 rejected for policy reasons
    "block",         // 550 blocked
    "listed",        // 550 5.7.1 listed at bl.example.org
    "black",         // 550 blacklisted
    "reputation",    // 550 5.7.1 poor reputation
    "sender",        // 550 5.1.0 <bounces@lakeside.example> sender rejected
    "spf",           // 550 5.7.23 SPF
    "dkim",          // 550 5.7.20 DKIM
    "dmarc",         // 550 5.7.1 DMARC
    "authent",       // 530 5.7.0 authentication required
    "relay",         // 550 5.1.1 relay not permitted
    "permitted",     // 550 not permitted
    "permission",    // 550 5.7.1 no permission to send to this group
    "denied",        // 550 5.4.1 Recipient address rejected: Access denied
    "prohibit",      // 550 Administrative prohibition
    "unauthor",      // 550 5.7.1 unauthorized
    "aup#",          // 550 5.1.0 see the error codes. AUP#CDRBL
    "loop",          // 554 5.4.6 mail loop
    "suspicious",    // 550 suspicious
];

/// Words of a mailbox that was there and is closed: what a 5.2.1 must say, for it says as much of one that is busy.
const CLOSED: [&str; 9] =
    ["disabled", "inactive", "not active", "deactivated", "closed", "discontinued", "terminated", "no longer", "does not exist"];

/// Words that there is no such mailbox.
const UNKNOWN: [&str; 16] = [
    "unknown user",      // Recipient address rejected: unknown user
    "user unknown",      // 550 User unknown
    "unknown recipient", // likewise
    "recipient unknown", // likewise
    "unknown mailbox",   // likewise
    "no such",           // 550 no such user here
    "does not exist",    // The email account that you tried to reach does not exist
    "doesn't exist",     // likewise
    "not exist",         // likewise
    "not found",         // RESOLVER.ADR.RecipNotFound; not found
    "notfound",          // RESOLVER.ADR.RecipNotFound
    "invalid recipient", // 550 invalid recipient
    "invalid mailbox",   // 550 invalid mailbox
    "doesn't have a",    // This user doesn't have a ... account
    "no mailbox",        // 550 no mailbox here by that name
    "not our customer",  // 550 5.1.1 Not our Customer
];

/// See the module.
pub(super) fn is_gone(words: &Words<'_>) -> bool {
    let status = words.status.split_whitespace().next().and_then(EnhancedStatus::parse);
    // An address may hold any word, or any number.
    let said = words.said.to_lowercase();
    let said = said.split_whitespace().filter(|word| !word.contains('@')).collect::<Vec<_>>().join(" ");
    let says = |list: &[&str]| list.iter().any(|word| said.contains(word));
    if says(&OTHERWISE) || reply(&said).is_some_and(|code| !matches!(code, 550 | 551 | 553 | 556)) {
        return false;
    }
    // Exim's own status is 5.0.0 whatever happened: then the server before it must say more.
    let told: Vec<EnhancedStatus> =
        status.into_iter().chain(EnhancedStatus::all_in(&said)).filter(|code| *code != EnhancedStatus(5, 0, 0)).collect();
    let of_mailbox = !told.is_empty() && told.iter().all(|code| speaks_of_the_mailbox(*code));
    let busy = told.iter().all(|code| *code == EnhancedStatus(5, 2, 1));
    let by_words = told.is_empty() && reply(&said).is_some() && says(&UNKNOWN);
    status.is_some_and(|status| status.0 == 5) && (of_mailbox && (!busy || says(&CLOSED)) || by_words)
}

/// RFC 3463 3.2 and 3.3, RFC 7505: no such mailbox or domain, its address is none, it has moved, it takes no mail, it is disabled.
fn speaks_of_the_mailbox(code: EnhancedStatus) -> bool {
    matches!(code, EnhancedStatus(5, 1, 1 | 2 | 3 | 6 | 10) | EnhancedStatus(5, 2, 1))
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
            ("5.1.1", "", true),
            ("5.1.2", "smtp; 550 5.1.2 no such domain", true),
            ("5.1.3", "smtp; 553 5.1.3 bad destination mailbox address syntax", true),
            ("5.1.6", "smtp; 551 5.1.6 moved, and left no address", true),
            ("5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", true),
            ("5.0.0", "smtp; 550 5.1.1 no such user, call +1 404 555 0100", true),
            ("5.1.1", "smtp; 550 5.1.1 <spam.552@blocked.example> no such user", true),
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
            ("5.1.1", "smtp; 550 5.1.1 listed at bl.example.org", false),
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
            ("5.1.1", "smtp; 554 5.1.1 no such user", false),
            ("5.7.1", "smtp; 550 5.1.1 no such user", false),
            ("4.4.7", "smtp; 550 5.1.1 no such user", false),
            ("", "smtp; 550 5.1.1 no such user", false),
            ("5.1.1 5.2.2", "smtp; 550 5.1.1 5.2.2 no such user", false),
            ("5.0.0 (permanent failure)", "smtp; 5.1.0 - Unknown address error 550-'5.2.2 <pat@example.com>... Mailbox Full'", false),
            ("5.1.0", "smtp; 550 5.1.0 <bounces@lakeside.example> sender rejected, see the error codes. AUP#CDRBL", false),
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
            assert_eq!(is_gone(&Words { status, said }), gone, "{status}: {said}");
        }
    }
}
