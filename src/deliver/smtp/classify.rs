//! What an answer means: one table for each side of the final dot.

use super::reply::Reply;
use crate::outcome::{EnhancedStatus, Outcome, Suppression, redacted};

/// Where an exchange was when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// TCP.
    Connect,
    /// Banner and EHLO.
    Greeting,
    /// STARTTLS, the handshake, the certificate.
    Tls,
    /// Log-in.
    Auth,
    /// The sender.
    Mail,
    /// The recipient.
    Rcpt,
    /// The 354.
    Data,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Tls => "TLS",
            Self::Auth => "log-in",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
        }
    }
}

/// An answer, or why there was none. The reason holds nothing of the server's text.
pub(super) type Answer = Result<Reply, String>;

/// Before the final dot nothing was sent.
///
/// | phase | none, garbage | 421 | 4yz | 5yz |
/// |---|---|---|---|---|
/// | connect, greeting, TLS, log-in | channel | channel | channel | channel |
/// | MAIL | retry | channel | channel | channel; 552: rejected, the message is too large (RFC 1870) |
/// | RCPT | retry | channel | retry | see [`refused_recipient`] |
/// | DATA | retry | channel | retry | rejected; 500 to 504: channel |
pub(super) fn before_the_dot(phase: Phase, answer: &Answer) -> Outcome {
    let about_the_message = matches!(phase, Phase::Rcpt | Phase::Data);
    match answer {
        Err(why) if about_the_message || phase == Phase::Mail => Outcome::Retry { why: format!("{}: {why}", phase.word()), after: None },
        Err(why) => Outcome::ChannelFault { why: format!("{}: {why}", phase.word()), after: None },
        Ok(reply) => match reply.code {
            421 => channel_fault(phase, reply),
            400..=499 if about_the_message => Outcome::Retry { why: said(phase, reply), after: None },
            552 if phase == Phase::Mail => Outcome::Rejected { reply: said(phase, reply), remember: None },
            500..=599 if phase == Phase::Rcpt => refused_recipient(reply),
            // Syntax, or commands out of order: between us and the server, not of this message.
            500..=504 if phase == Phase::Data => channel_fault(phase, reply),
            500..=599 if phase == Phase::Data => Outcome::Rejected { reply: said(phase, reply), remember: None },
            400..=599 => channel_fault(phase, reply),
            // A server that says yes to what was not asked is out of step.
            _ if about_the_message => Outcome::Retry { why: said(phase, reply), after: None },
            _ => channel_fault(phase, reply),
        },
    }
}

fn channel_fault(phase: Phase, reply: &Reply) -> Outcome {
    Outcome::ChannelFault { why: said(phase, reply), after: None }
}

fn said(phase: Phase, reply: &Reply) -> String {
    format!("{}: {} {}", phase.word(), reply.code, redacted(&reply.text))
}

/// A 5yz to RCPT, by its enhanced status code (RFC 3463 and its registry) where there is one, and by its basic code otherwise:
///
/// | reply | says | outcome |
/// |---|---|---|
/// | 5.1.0 to 5.1.6, 5.1.10, 5.2.1, 5.4.4; 556 (RFC 7504) | no such mailbox or domain, moved, takes no mail | rejected, remembered as bounced |
/// | 550, 551, 553 without an enhanced code | the same | rejected, remembered as bounced |
/// | x.1.7, x.1.8 | the *sender's* address is bad | channel fault |
/// | x.5.z; 500, 502 to 504 without an enhanced code | protocol | channel fault |
/// | 530, 534, 535, 538; x.7.8, x.7.9, x.7.11, x.7.57 | log in first | channel fault |
/// | x.7.54, x.7.64; x.7.z or no enhanced code, and "relay" in the text | the server does not relay for us | channel fault |
/// | any other: full (x.2.2), too large (x.3.4), policy (x.7.1) | not this message, not now | rejected, nothing remembered |
///
/// A server that does not relay for us says so to each recipient in turn. Were that taken for a fault of the recipients, one wrong setting
/// would reject all messages for good, and suppress everybody's address (Exim: `550 relay not permitted`). Its codes are shared with refusals of
/// one recipient (554 5.7.1), so the word in the text has to tell them apart; wrongly found, it only delays. A policy refusal is no bounce: the
/// next message may be welcome, and a suppressed patient would hear nothing more.
fn refused_recipient(reply: &Reply) -> Outcome {
    let everybodys = match reply.enhanced() {
        _ if matches!(reply.code, 530 | 534 | 535 | 538) => true,
        Some(EnhancedStatus(_, 1, 7 | 8) | EnhancedStatus(_, 5, _) | EnhancedStatus(_, 7, 8 | 9 | 11 | 54 | 57 | 64)) => true,
        Some(EnhancedStatus(_, 7, _)) => speaks_of_relaying(&reply.text),
        Some(_) => false,
        None => matches!(reply.code, 500 | 502..=504) || speaks_of_relaying(&reply.text),
    };
    if everybodys {
        return channel_fault(Phase::Rcpt, reply);
    }
    let gone = match reply.enhanced() {
        _ if reply.code == 556 => true,
        Some(status) => status.says_that_the_mailbox_is_gone(),
        None => matches!(reply.code, 550 | 551 | 553),
    };
    Outcome::Rejected { reply: said(Phase::Rcpt, reply), remember: gone.then_some(Suppression::Bounced) }
}

/// The word itself, not an address or a host that has it in its name.
fn speaks_of_relaying(text: &str) -> bool {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')' | '\'' | '"'));
    words.map(|word| word.trim_end_matches('.')).any(|word| ["relay", "relaying", "relayed"].iter().any(|w| word.eq_ignore_ascii_case(w)))
}

/// How the body's exchange ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The answer to the final dot.
    pub(super) answer: Answer,
    /// The final dot, or a part of it, may have left us.
    pub(super) dotted: bool,
    /// The code of an answer that was cut off after it.
    pub(super) half: Option<u16>,
}

impl Ended {
    /// The connection can be used again.
    pub(super) fn is_in_step(&self) -> bool {
        self.answer.as_ref().is_ok_and(|reply| reply.code != 421)
    }
}

/// After the final dot:
///
/// | answer | outcome |
/// |---|---|
/// | 2yz, also if the connection ended right after the code | accepted |
/// | 4yz | retry: the server says that it does not have it |
/// | 5yz | rejected |
/// | none, garbage | unknown; retry if the dot had not left us |
pub(super) fn after_the_dot(ended: &Ended) -> Outcome {
    match (&ended.answer, ended.half) {
        (Ok(reply), _) => match reply.code {
            200..=299 => Outcome::Accepted { reply: format!("{} {}", reply.code, redacted(&reply.text)), reference: reply.queue_id() },
            400..=499 => Outcome::Retry { why: format!("after the body: {} {}", reply.code, redacted(&reply.text)), after: None },
            500..=599 => Outcome::Rejected { reply: format!("after the body: {} {}", reply.code, redacted(&reply.text)), remember: None },
            code => Outcome::Unknown { why: format!("after the body: {code}, which is no answer to it") },
        },
        (Err(_), Some(code @ 200..=299)) => {
            Outcome::Accepted { reply: format!("{code} (the connection ended within the answer)"), reference: None }
        }
        (Err(why), _) if !ended.dotted => Outcome::Retry { why: format!("within the body: {why}"), after: None },
        (Err(why), _) => Outcome::Unknown { why: format!("after the body: {why}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        match text.split_once(' ') {
            Some((code, text)) if code.len() == 3 => Ok(Reply { code: code.parse().unwrap(), text: text.to_owned() }),
            _ => Err(text.to_owned()),
        }
    }

    fn kind(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Rejected { remember: Some(Suppression::Bounced), .. } => "bounced",
            Outcome::Rejected { .. } => "rejected",
            Outcome::Retry { .. } => "retry",
            Outcome::ChannelFault { .. } => "channel",
            Outcome::Unknown { .. } => "unknown",
            Outcome::Fenced => "fenced",
        }
    }

    #[test]
    fn the_table_before_the_dot() {
        use Phase::{Auth, Connect, Data, Greeting, Mail, Rcpt, Tls};
        for (phase, said, want) in [
            (Connect, "refused", "channel"),
            (Greeting, "closed", "channel"),
            (Greeting, "554 no", "channel"),
            (Greeting, "450 later", "channel"),
            (Tls, "certificate", "channel"),
            (Tls, "454 not now", "channel"),
            (Auth, "535 5.7.8 no", "channel"),
            (Mail, "closed", "retry"),
            (Mail, "550 5.7.1 no", "channel"),
            (Mail, "451 later", "channel"),
            (Mail, "452 4.3.1 no room", "channel"),
            (Mail, "552 5.3.4 too large", "rejected"),
            (Rcpt, "closed", "retry"),
            (Rcpt, "421 4.3.2 busy", "channel"),
            (Rcpt, "450 4.2.1 busy", "retry"),
            (Rcpt, "550 5.1.1 no such user", "bounced"),
            (Rcpt, "550 no such user", "bounced"),
            (Rcpt, "550 5.2.1 disabled", "bounced"),
            (Rcpt, "552 5.2.2 full", "rejected"),
            (Rcpt, "550 5.7.1 policy", "rejected"),
            (Rcpt, "550 5.1.10 null MX", "bounced"),
            (Rcpt, "556 5.7.27 takes no mail", "bounced"),
            (Rcpt, "551 5.1.6 moved", "bounced"),
            (Rcpt, "550 5.4.4 Host or domain name not found", "bounced"),
            (Rcpt, "550 5.1.9 not conforming", "rejected"),
            (Rcpt, "553 no such user", "bounced"),
            (Rcpt, "550 5.1.1 <x@relay.example.com>: no such user", "bounced"),
            (Rcpt, "550 5.1.1 <x@example.com>: User unknown in relay recipient table", "bounced"),
            (Rcpt, "553 5.1.8 bad sender", "channel"),
            (Rcpt, "553 5.1.7 bad sender", "channel"),
            (Rcpt, "554 5.7.1 <x@example.com>: Relay access denied", "channel"),
            (Rcpt, "550 relay not permitted", "channel"),
            (Rcpt, "550 5.7.1 Relaying denied. IP name lookup failed", "channel"),
            (Rcpt, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "channel"),
            (Rcpt, "550 5.7.64 TenantAttribution", "channel"),
            (Rcpt, "530 5.7.0 Authentication required", "channel"),
            (Rcpt, "503 5.5.1 MAIL first", "channel"),
            (Rcpt, "500 what", "channel"),
            (Rcpt, "501 bad address", "rejected"),
            (Rcpt, "552 5.3.4 too large", "rejected"),
            (Rcpt, "550 5.4.1 Recipient address rejected: Access denied", "rejected"),
            (Rcpt, "554 no", "rejected"),
            (Rcpt, "354 what", "retry"),
            (Data, "closed", "retry"),
            (Data, "451 later", "retry"),
            (Data, "554 no", "rejected"),
            (Data, "503 5.5.1 RCPT first", "channel"),
            (Data, "421 bye", "channel"),
            (Data, "250 what", "retry"),
        ] {
            assert_eq!(kind(&before_the_dot(phase, &answer(said))), want, "{phase:?} {said}");
        }
    }

    #[test]
    fn the_table_after_the_dot() {
        for (said, dotted, half, want) in [
            ("250 2.0.0 Ok: queued as 4F1A22", true, None, "accepted"),
            ("451 later", true, None, "retry"),
            ("421 bye", true, None, "retry"),
            ("554 5.7.1 spam", true, None, "rejected"),
            ("354 what", true, None, "unknown"),
            ("closed", true, None, "unknown"),
            ("closed", true, Some(250), "accepted"),
            ("closed", true, Some(451), "unknown"),
            ("closed", false, None, "retry"),
        ] {
            assert_eq!(kind(&after_the_dot(&Ended { answer: answer(said), dotted, half })), want, "{said} {dotted} {half:?}");
        }
        let queued = after_the_dot(&Ended { answer: answer("250 2.0.0 Ok: queued as 4F1A22"), dotted: true, half: None });
        assert!(matches!(queued, Outcome::Accepted { reference: Some(id), .. } if id == "4F1A22"));
    }
}
