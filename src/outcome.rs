//! How a hand-over ended. Never a bool: each transport maps each answer to one of these, in one table.

use std::time::Duration;

/// The end of one attempt to hand a message over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server said that it has the message.
    Accepted {
        /// The server's text, as [`redacted`].
        reply: String,
        /// The server's own id of the message (Twilio's sid, Postfix's queue id), if it gave one.
        reference: Option<String>,
    },
    /// The server refused this message or this recipient for good. Nothing was sent; no attempt will change that.
    Rejected {
        /// The server's text, as [`redacted`].
        reply: String,
        /// What to remember about the address.
        remember: Option<Suppression>,
    },
    /// Nothing was sent, for now: try this message again later.
    Retry {
        /// What happened, as [`redacted`].
        why: String,
        /// Not before this long, if the server named a time.
        after: Option<Duration>,
    },
    /// Nothing was sent, and no message would fare better: the channel is at fault (log-in, TLS, a 5yz to MAIL, 429).
    /// The channel pauses; the message keeps its turn and is not counted as tried.
    ChannelFault {
        /// What happened, as [`redacted`].
        why: String,
        /// Not before this long, if the server named a time.
        after: Option<Duration>,
    },
    /// The point of no return was passed and no answer came: nobody can know whether it was accepted.
    Unknown {
        /// What happened, as [`redacted`].
        why: String,
    },
    /// The store did not let the attempt pass its point of no return: the notice is no longer ours, or no longer true. Nothing was sent.
    Fenced,
}

/// What a rejection says about the address, for later messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// A 5yz to RCPT, or a bounce: the mailbox does not exist or does not take mail.
    Bounced,
    /// The person asked for no more messages (STOP; Twilio 21610).
    OptedOut,
}

impl Suppression {
    /// The reason as the plan names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounced => "bounced",
            Self::OptedOut => "opted_out",
        }
    }
}

/// Longest server text that is kept, in characters.
const REPLY_MAX: usize = 300;

/// A server's text, fit for the store and for staff: one line, 300 characters at most, and without what looks like an address,
/// a number or a code (anything with an `@`, any run of 7 digits or more, also split by spaces, dots, hyphens or brackets).
pub fn redacted(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<String> = line.split_whitespace().map(|w| if w.contains('@') { "(address)".to_owned() } else { w.to_owned() }).collect();
    let line = mask_digit_runs(&words.join(" "));
    line.chars().take(REPLY_MAX).collect()
}

/// Digits in a row from which a run counts as a number or a code.
const DIGITS_MIN: usize = 7;

fn mask_digit_runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    let close = |run: &mut String, out: &mut String| {
        let digits = run.chars().filter(char::is_ascii_digit).count();
        if digits >= DIGITS_MIN {
            let kept = run.trim_end_matches([' ', '.', '-', '(', ')']);
            out.push_str("(number)");
            out.push_str(&run[kept.len()..]);
        } else {
            out.push_str(run);
        }
        run.clear();
    };
    for c in text.chars() {
        let joins = c.is_ascii_digit() || (!run.is_empty() && matches!(c, ' ' | '.' | '-' | '(' | ')'));
        if joins {
            run.push(c);
        } else {
            close(&mut run, &mut out);
            out.push(c);
        }
    }
    close(&mut run, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_texts_are_redacted() {
        for (raw, kept) in [
            ("550 5.1.1 <trevor@geemail.com>: no such user", "550 5.1.1 (address) no such user"),
            ("The number +1 (404) 111-3333 is not valid", "The number +(number) is not valid"),
            ("The 'To' number +14041113333 is not a valid", "The 'To' number +(number) is not a valid"),
            ("code 701-678-455\r\nsecond", "code (number) second"),
            ("250 2.0.0 Ok: queued as 4F1A22", "250 2.0.0 Ok: queued as 4F1A22"),
            ("421 4.3.2 busy", "421 4.3.2 busy"),
        ] {
            assert_eq!(redacted(raw), kept);
        }
        assert_eq!(redacted(&"x".repeat(5000)).len(), 300);
    }
}
