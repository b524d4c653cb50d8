//! What is told of an attempt, without the recipient's name.
//!
//! Servers repeat the part of an address before the `@` alone (`550 5.1.1 trevor: no such user`), where it looks like any other word and no
//! pattern finds it. The outcome is decided on the server's own text first; this changes what is shown of it, and nothing else.

use crate::contact::EmailAddress;
use crate::outcome::Outcome;

/// The same outcome; each word of the recipient's local part is `(recipient)` in its text. Words without a letter stay: status codes are such.
pub(super) fn hiding(outcome: Outcome, to: &EmailAddress) -> Outcome {
    let local = to.expose().rsplit_once('@').map_or("", |(local, _)| local);
    let private: Vec<&str> = words(local).map(|(word, _)| word).filter(|word| word.contains(|c: char| c.is_alphabetic())).collect();
    let hidden = |word: &str| private.iter().any(|p| p.eq_ignore_ascii_case(word));
    let shown = |text: String| words(&text).flat_map(|(word, rest)| [if hidden(word) { "(recipient)" } else { word }, rest]).collect();
    match outcome {
        Outcome::Accepted { reply, reference } => Outcome::Accepted { reply: shown(reply), reference },
        Outcome::Rejected { reply, remember } => Outcome::Rejected { reply: shown(reply), remember },
        Outcome::Retry { why, after } => Outcome::Retry { why: shown(why), after },
        Outcome::ChannelFault { why, after } => Outcome::ChannelFault { why: shown(why), after },
        Outcome::Unknown { why } => Outcome::Unknown { why: shown(why) },
        Outcome::Fenced => Outcome::Fenced,
    }
}

/// Letters and digits, each time with what follows up to the next.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_inclusive(|c: char| !c.is_alphanumeric()).map(|piece| {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        (word, &piece[word.len()..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipients_words_and_no_others() {
        let to = EmailAddress::parse("ray.chalk_606@example.com").unwrap();
        for (said, shown) in [
            ("550 5.1.1 Ray.Chalk_606: unknown", "550 5.1.1 (recipient).(recipient)_606: unknown"),
            ("550 5.1.1 no mailbox 'CHALK'", "550 5.1.1 no mailbox '(recipient)'"),
            ("550 5.7.606 chalkboards and grays stay", "550 5.7.606 chalkboards and grays stay"),
            ("", ""),
        ] {
            let rejected = |reply: &str| Outcome::Rejected { reply: reply.to_owned(), remember: None };
            assert_eq!(hiding(rejected(said), &to), rejected(shown));
            let unknown = |why: &str| Outcome::Unknown { why: why.to_owned() };
            assert_eq!(hiding(unknown(said), &to), unknown(shown));
        }
    }
}
