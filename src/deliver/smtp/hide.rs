//! What is told of an attempt, without the recipient's name and without our log-in.
//!
//! Servers repeat the part of an address before the `@` alone (`550 5.1.1 trevor: no such user`), where it looks like any other word and no
//! pattern finds it; and some repeat the command that they refuse, AUTH with the password among them. The outcome is decided on the server's
//! own text first; this changes what is shown of it, and nothing else.

use data_encoding::BASE64;

use super::classify::SmtpAnswer;
use super::reply::SmtpReply;
use crate::contact::EmailAddress;
use crate::outcome::{Outcome, without_recipient};

/// The answer to a log-in, with `(log-in)` for what was sent of it: the password, as it is and in the forms of PLAIN and LOGIN (RFC 4954).
pub(super) fn log_in(answer: SmtpAnswer, username: &str, password: &str) -> SmtpAnswer {
    let sent = [BASE64.encode(format!("\0{username}\0{password}").as_bytes()), BASE64.encode(password.as_bytes()), password.to_owned()];
    let shown = |text: String| sent.iter().filter(|s| !s.is_empty()).fold(text, |text, secret| without(&text, secret));
    match answer {
        Ok(SmtpReply { code, text }) => Ok(SmtpReply { code, text: shown(text) }),
        Err(why) => Err(shown(why)),
    }
}

/// In any case of letters: some servers show commands in capitals.
fn without(text: &str, secret: &str) -> String {
    let (lower, secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let mut shown = String::new();
    let mut from = 0;
    for (at, found) in lower.match_indices(&secret) {
        shown.push_str(&text[from..at]);
        shown.push_str("(log-in)");
        from = at + found.len();
    }
    shown + &text[from..]
}

/// The same outcome, without the recipient's name in its text.
pub(super) fn hiding(outcome: Outcome, to: &EmailAddress) -> Outcome {
    outcome.retold(|text| without_recipient(&text, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_that_is_repeated_is_not_told() {
        for (said, shown) in [
            ("5.7.8 refused: AUTH PLAIN AHB1bmN0dWFsAGxldCBtZSBpbg==", "5.7.8 refused: AUTH PLAIN (log-in)"),
            ("5.7.8 refused: AUTH PLAIN AHB1BMN0DWFSAGXLDCBTZSBPBG==", "5.7.8 refused: AUTH PLAIN (log-in)"),
            ("no 'bGV0IG1lIGlu', nor 'let me in'", "no '(log-in)', nor '(log-in)'"),
            ("5.7.8 punctual may not let ME out", "5.7.8 punctual may not let ME out"),
        ] {
            let text = |text: &str| Ok(SmtpReply { code: 535, text: text.to_owned() });
            assert_eq!(log_in(text(said), "punctual", "let me in"), text(shown));
            assert_eq!(log_in(Err(said.to_owned()), "punctual", "let me in"), Err(shown.to_owned()));
        }
        assert_eq!(log_in(Err("silence".to_owned()), "punctual", ""), Err("silence".to_owned()));
    }

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
