//! What an answer means: one table for each side of the final dot.

use mailparse::{MailHeaderMap, parse_headers};

use super::reply::SmtpReply;
use crate::contact::EmailAddress;
use crate::outcome::refusal::{About, Refusal, about};
use crate::outcome::{ASK_ANOTHER, Outcome, redacted};
use crate::suppression::Suppression;

/// Where an exchange was when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SmtpPhase {
    /// TCP.
    Connect,
    /// Banner and EHLO.
    Greeting,
    /// STARTTLS, the handshake, the certificate.
    Tls,
    Auth,
    Mail,
    Rcpt,
    /// The 354.
    Data,
}

impl SmtpPhase {
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
pub(super) type SmtpAnswer = Result<SmtpReply, String>;

/// Who was named to the server.
#[derive(Clone, Copy)]
pub(super) struct Parties<'a> {
    /// The envelope's sender.
    pub(super) from: &'a EmailAddress,
    /// The envelope's recipient.
    pub(super) to: &'a EmailAddress,
    /// The message, whose header may name another sender.
    pub(super) bytes: &'a [u8],
}

impl Parties<'_> {
    fn about(&self, reply: &SmtpReply) -> About {
        let header = sender_in_header(self.bytes);
        let from: Vec<&str> = [Some(self.from.expose()), header.as_deref()].into_iter().flatten().collect();
        about(&Refusal { code: Some(reply.code), text: &reply.text, from: &from, to: Some(self.to.expose()) })
    }
}

impl Parties<'_> {
    /// It speaks of an account, and does not name the recipient.
    fn leaves_open_whose_account(&self, reply: &SmtpReply) -> bool {
        let text = reply.text.to_lowercase();
        text.contains("account") && !text.contains(&self.to.expose().to_lowercase())
    }
}

/// The address of the From field.
fn sender_in_header(bytes: &[u8]) -> Option<String> {
    let (headers, _) = parse_headers(bytes).ok()?;
    let field = headers.get_first_value("From")?;
    let address = field.rsplit('<').next()?.trim().trim_end_matches('>').to_owned();
    address.contains('@').then_some(address)
}

/// Before a message is spoken of, whatever fails is the channel's. (MAIL is: see [`before_the_dot`].)
pub(super) fn before_a_message(phase: SmtpPhase, answer: &SmtpAnswer) -> Outcome {
    match answer {
        Err(why) => Outcome::ChannelFault { why: format!("{}: {why}", phase.word()), after: None },
        Ok(reply) => channel_fault(phase, reply),
    }
}

/// Before the final dot nothing was sent.
///
/// | phase | none, garbage | 421 | 4yz | 5yz |
/// |---|---|---|---|---|
/// | connect, greeting, TLS, log-in | channel | channel | channel | channel |
/// | MAIL | retry | channel | channel | channel; 552: rejected, the message is too large (RFC 1870) |
/// | RCPT | retry | channel | by whom it is about: [`refused`] | likewise |
/// | DATA | retry | channel | likewise | likewise; 501: channel |
pub(super) fn before_the_dot(phase: SmtpPhase, answer: &SmtpAnswer, parties: &Parties<'_>) -> Outcome {
    let about_the_message = matches!(phase, SmtpPhase::Rcpt | SmtpPhase::Data);
    match answer {
        Err(why) if about_the_message || phase == SmtpPhase::Mail => {
            Outcome::Retry { why: format!("{}: {why}", phase.word()), after: None }
        }
        Ok(reply) if about_the_message => match reply.code {
            421 => channel_fault(phase, reply),
            501 if phase == SmtpPhase::Data => channel_fault(phase, reply),
            400..=599 => refused(phase.word(), reply, parties),
            // A server that says yes to what was not asked is out of step.
            _ => Outcome::Retry { why: said(phase, reply), after: None },
        },
        // Of a size, it is the message's; of a mailbox that is full, it is the sender's.
        Ok(reply) if phase == SmtpPhase::Mail && reply.code == 552 && !reply.text.contains("5.2.2") => {
            Outcome::Rejected { reply: said(phase, reply), remember: None }
        }
        _ => before_a_message(phase, answer),
    }
}

fn channel_fault(phase: SmtpPhase, reply: &SmtpReply) -> Outcome {
    Outcome::ChannelFault { why: said(phase, reply), after: None }
}

fn said(phase: SmtpPhase, reply: &SmtpReply) -> String {
    at(phase.word(), reply)
}

fn at(place: &str, reply: &SmtpReply) -> String {
    format!("{place}: {} {}", reply.code, redacted(&reply.text))
}

/// What the server says of one message, to RCPT, to DATA or after the dot, by whom it is about ([`about`]):
///
/// | about | 4yz | 5yz |
/// |---|---|---|
/// | us | channel: the next relay is tried, and another message may ask this one at once | likewise |
/// | this mailbox | retry | rejected, and remembered as bounced (but an unnamed account, once the recipient was taken, is nobody's that we know) |
/// | this message, or nobody is said | retry | rejected, nothing is remembered |
/// | greylisting | retry | retry |
fn refused(place: &str, reply: &SmtpReply, parties: &Parties<'_>) -> Outcome {
    let (about, said) = (parties.about(reply), at(place, reply));
    match (about, reply.code) {
        // Whoever took the recipient knew them: an account that is unknown then may be ours.
        (About::Mailbox, 500..=599) if place != SmtpPhase::Rcpt.word() && parties.leaves_open_whose_account(reply) => {
            Outcome::Rejected { reply: said, remember: None }
        }
        (About::Us, _) => Outcome::ChannelFault { why: said, after: Some(ASK_ANOTHER) },
        (About::Later, _) | (_, 400..=499) => Outcome::Retry { why: said, after: None },
        (About::Mailbox, _) => Outcome::Rejected { reply: said, remember: Some(Suppression::Bounced) },
        (About::Message | About::Unsaid, _) => Outcome::Rejected { reply: said, remember: None },
    }
}

/// How the body's exchange ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The answer to the final dot.
    pub(super) answer: SmtpAnswer,
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
/// | 4yz, 5yz | by whom it is about: [`refused`]. The server says that it does not have it |
/// | none, garbage | unknown; retry if the dot had not left us |
pub(super) fn after_the_dot(ended: &Ended, parties: &Parties<'_>) -> Outcome {
    match (&ended.answer, ended.half) {
        (Ok(reply), _) => match reply.code {
            200..=299 => Outcome::Accepted { reply: format!("{} {}", reply.code, redacted(&reply.text)), reference: reply.queue_id() },
            400..=599 => refused("after the body", reply, parties),
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

    fn answer(text: &str) -> SmtpAnswer {
        match text.split_once(' ') {
            Some((code, text)) if code.len() == 3 => Ok(SmtpReply { code: code.parse().unwrap(), text: text.to_owned() }),
            _ => Err(text.to_owned()),
        }
    }

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn before(phase: SmtpPhase, said: &str) -> Outcome {
        let (from, to) = (address("bounces@lakeside.example"), address("x@example.com"));
        let bytes = b"From: Lakeside <sessions@lakeside.example>\r\n\r\n";
        before_the_dot(phase, &answer(said), &Parties { from: &from, to: &to, bytes })
    }

    fn after(said: &str, dotted: bool, half: Option<u16>) -> Outcome {
        let (from, to) = (address("bounces@lakeside.example"), address("x@example.com"));
        after_the_dot(&Ended { answer: answer(said), dotted, half }, &Parties { from: &from, to: &to, bytes: b"no mail" })
    }

    fn kind(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::ChannelFault { after: Some(ASK_ANOTHER), .. } => "us",
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
        use SmtpPhase::{Auth, Connect, Data, Greeting, Mail, Rcpt, Tls};
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
            (Mail, "552 5.2.2 Sender mailbox full", "channel"),
            (Auth, "550 Unknown account", "channel"),
            (Mail, "550 Unknown account", "channel"),
            (Rcpt, "550 Unknown account", "bounced"),
            (Data, "550 Unknown account", "rejected"),
            (Data, "550 5.1.1 <x@example.com>: Unknown account", "bounced"),
            (Rcpt, "closed", "retry"),
            (Rcpt, "421 4.3.2 busy", "channel"),
            (Rcpt, "450 4.2.1 busy", "retry"),
            (Rcpt, "550 5.1.1 no such user", "bounced"),
            (Rcpt, "550 no such user", "bounced"),
            (Rcpt, "550 5.2.1 disabled", "bounced"),
            (Rcpt, "552 5.2.2 full", "rejected"),
            (Rcpt, "550 5.7.1 no", "rejected"),
            (Rcpt, "550 5.7.1 policy", "us"),
            (Rcpt, "556 5.1.10 null MX", "bounced"),
            (Rcpt, "551 5.1.6 moved", "bounced"),
            (Rcpt, "550 5.4.4 Host or domain name not found", "rejected"),
            (Rcpt, "550 5.1.9 not conforming", "rejected"),
            (Rcpt, "553 no such user", "bounced"),
            (Rcpt, "550 mailbox unavailable", "rejected"),
            (Rcpt, "550 5.1.1 <x@relay.example.com>: no such user", "rejected"),
            (Rcpt, "550 5.1.1 <x@example.com>: User unknown in relay recipient table", "bounced"),
            (Rcpt, "550 <bounces@lakeside.example>: no such user", "us"),
            (Rcpt, "550 <sessions@lakeside.example>: no such user", "us"),
            (Rcpt, "553 5.1.8 bad sender", "us"),
            (Rcpt, "554 5.7.1 <x@example.com>: Relay access denied", "us"),
            (Rcpt, "530 5.7.0 Authentication required", "us"),
            (Rcpt, "503 5.5.1 MAIL first", "us"),
            (Rcpt, "500 what", "us"),
            (Rcpt, "454 4.7.1 <x@example.com>: Relay access denied", "us"),
            (Rcpt, "450 4.2.0 Greylisted", "retry"),
            (Rcpt, "550 5.7.1 Greylisted", "retry"),
            (Rcpt, "501 bad address", "rejected"),
            (Rcpt, "552 5.3.4 too large", "rejected"),
            (Rcpt, "550 5.4.1 Recipient address rejected: Access denied", "rejected"),
            (Rcpt, "554 no", "rejected"),
            (Rcpt, "354 what", "retry"),
            (Data, "closed", "retry"),
            (Data, "451 later", "retry"),
            (Data, "554 no", "rejected"),
            (Data, "550 5.1.1 no such user", "bounced"),
            (Data, "501 what", "channel"),
            (Data, "503 5.5.1 RCPT first", "us"),
            (Data, "421 bye", "channel"),
            (Data, "250 what", "retry"),
        ] {
            assert_eq!(kind(&before(phase, said)), want, "{phase:?} {said}");
        }
    }

    #[test]
    fn the_table_after_the_dot() {
        for (said, dotted, half, want) in [
            ("250 2.0.0 Ok: queued as 4F1A22", true, None, "accepted"),
            ("451 later", true, None, "retry"),
            ("421 bye", true, None, "retry"),
            ("421 4.7.0 too many messages", true, None, "us"),
            ("451 4.7.1 ratelimit exceeded", true, None, "us"),
            ("554 5.7.1 spam", true, None, "rejected"),
            ("554 5.2.252 SendAsDenied", true, None, "us"),
            ("550 5.1.1 no such user", true, None, "bounced"),
            ("550 Unknown account", true, None, "rejected"),
            ("550 No such account here", true, None, "rejected"),
            ("550 5.7.1 greylisted", true, None, "retry"),
            ("354 what", true, None, "unknown"),
            ("closed", true, None, "unknown"),
            ("closed", true, Some(250), "accepted"),
            ("closed", true, Some(451), "unknown"),
            ("closed", false, None, "retry"),
        ] {
            assert_eq!(kind(&after(said, dotted, half)), want, "{said} {dotted} {half:?}");
        }
        let queued = after("250 2.0.0 Ok: queued as 4F1A22", true, None);
        assert!(matches!(queued, Outcome::Accepted { reference: Some(id), .. } if id == "4F1A22"));
    }
}
