//! Bounces: what mail servers tell of a mail that they had taken (RFC 3464, in a multipart/report of RFC 6522, once 3462).
//!
//! In: the bytes of a mail, from anybody. Out: which of our messages it speaks of, and what became of it. Our Message-ID and the return path of
//! VERP hold a reference that nobody can guess, so a made-up report leads nowhere. Only the outermost parts are looked at, and of these a bounded
//! number: nothing is nested, so nothing can be nested too deep. Never panics.

use mailparse::{MailHeader, MailHeaderMap, parse_content_type, parse_headers};

use super::{Report, is_reference};
use crate::outbox::receipt::Fate;
use crate::outcome::{EnhancedStatus, Suppression, redacted};
use crate::session::RawContact;

/// So many bytes of a mail are looked at: the status comes first, then the head of the mail that came back.
pub const BOUNCE_MAX: usize = 512 << 10;
/// Parts that are looked at: a report has three.
const PARTS_MAX: usize = 10;
/// Recipients of a report that are looked at: our mail has one, and an alias may lead to some more.
const RECIPIENTS_MAX: usize = 50;

/// What is said of one recipient.
struct Status {
    fate: Fate,
    remember: Option<Suppression>,
    detail: String,
    /// The mailbox that failed.
    recipient: Option<RawContact>,
}

/// Reads a report. `Err`: why it is none that we can use.
pub fn read(mail: &[u8]) -> Result<Report, &'static str> {
    let mail = &mail[..mail.len().min(BOUNCE_MAX)];
    let (headers, body) = parse_headers(mail).map_err(|_| "it is no mail")?;
    let content = parse_content_type(&headers.get_first_value("Content-Type").unwrap_or_default());
    if content.mimetype != "multipart/report" {
        return Err("it is no report (multipart/report)");
    }
    let boundary = content.params.get("boundary").filter(|b| !b.is_empty()).ok_or("its parts have no boundary")?;
    let (mut statuses, mut ours) = (Vec::new(), by_return_path(&headers));
    for part in parts(&mail[body..], boundary) {
        let Ok((headers, start)) = parse_headers(part) else { continue };
        match parse_content_type(&headers.get_first_value("Content-Type").unwrap_or_default()).mimetype.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => statuses.extend(status(&part[start..])),
            "text/rfc822-headers" | "message/rfc822" | "message/global" | "message/global-headers" => {
                ours = ours.or_else(|| by_message_id(&part[start..]));
            }
            _ => {}
        }
    }
    let ours = ours.ok_or("it names no message of ours")?;
    let some_arrived = statuses.iter().any(|s| s.fate == Fate::Delivered);
    // A mail that reached one mailbox of several has arrived; else the worst counts.
    let said = statuses.into_iter().max_by_key(|s| s.fate).ok_or("it holds no status")?;
    Ok(Report {
        reference: None,
        ours: Some(ours),
        fate: said.fate,
        detail: Some(said.detail),
        remember: said.remember.filter(|_| !some_arrived),
        recipient: said.recipient,
    })
}

/// The outermost parts, without their boundaries.
fn parts<'m>(body: &'m [u8], boundary: &str) -> Vec<&'m [u8]> {
    let delimiter = format!("--{boundary}");
    let (mut parts, mut start, mut at) = (Vec::new(), None, 0);
    while at < body.len() && parts.len() < PARTS_MAX {
        let end = body[at..].iter().position(|b| *b == b'\n').map_or(body.len(), |n| at + n + 1);
        let line = body[at..end].trim_ascii_end();
        let is_end = line.strip_suffix(b"--") == Some(delimiter.as_bytes());
        if line == delimiter.as_bytes() || is_end {
            parts.extend(start.map(|start| &body[start..at]));
            start = Some(end);
            if is_end {
                return parts;
            }
        }
        at = end;
    }
    parts.extend(start.filter(|start| *start < body.len() && parts.len() < PARTS_MAX).map(|start| &body[start..]));
    parts
}

/// Groups of fields (RFC 3464 2.1): one of the message, then one for each recipient.
fn status(part: &[u8]) -> Vec<Status> {
    let text = String::from_utf8_lossy(part).replace("\r\n", "\n");
    let groups = text.trim_start_matches('\n').split("\n\n").skip(1).take(RECIPIENTS_MAX);
    groups.filter_map(|group| recipient(format!("{}\n\n", group.trim_matches('\n')).as_bytes())).collect()
}

fn recipient(group: &[u8]) -> Option<Status> {
    let (fields, _) = parse_headers(group).ok()?;
    let status = fields.get_first_value("Status").unwrap_or_default();
    let code = status.split_whitespace().next().unwrap_or_default().to_owned();
    let fate = match fields.get_first_value("Action")?.trim().to_ascii_lowercase().as_str() {
        "failed" => Fate::Undelivered,
        "delivered" | "expanded" => Fate::Delivered,
        "delayed" | "relayed" => Fate::Sent,
        _ => return None,
    };
    let said = fields.get_first_value("Diagnostic-Code").unwrap_or_default();
    // Exim's status is 5.0.0 whatever happened: what the server before it said, says more.
    let meant = if code == "5.0.0" { EnhancedStatus::first_in(&said) } else { EnhancedStatus::parse(&code) };
    let recipient = fields.get_first_value("Final-Recipient").and_then(|field| mailbox(&field));
    // Whose mailbox it is must be said: a mail that was forwarded says nothing of the address that it was sent to.
    let gone = fate == Fate::Undelivered && recipient.is_some() && meant.is_some_and(EnhancedStatus::says_that_the_mailbox_is_gone);
    let remember = gone.then_some(Suppression::Bounced);
    Some(Status { fate, remember, detail: redacted(format!("{code} {said}").trim()), recipient })
}

/// Of `rfc822; trevor@example.com` (RFC 3464 2.3.2), the address.
fn mailbox(field: &str) -> Option<RawContact> {
    let (kind, address) = field.split_once(';')?;
    let known = ["rfc822", "utf-8"].iter().any(|k| kind.trim().eq_ignore_ascii_case(k));
    let address = address.trim().trim_start_matches('<').trim_end_matches('>');
    (known && address.contains('@')).then(|| RawContact(address.to_owned()))
}

/// VERP: the report went to `bounces+REFERENCE@practice.example`.
fn by_return_path(headers: &[MailHeader<'_>]) -> Option<String> {
    let to = ["X-Original-To", "Delivered-To", "To"].into_iter().flat_map(|name| headers.get_all_values(name));
    to.into_iter().find_map(|value| {
        let candidates =
            value.split('+').skip(1).filter_map(|rest| rest.split_once('@')).map(|(reference, _)| reference.to_ascii_lowercase());
        candidates.into_iter().find(|reference| is_reference(reference))
    })
}

/// The Message-ID of the mail that came back.
fn by_message_id(head: &[u8]) -> Option<String> {
    let (headers, _) = parse_headers(head).ok()?;
    let id = headers.get_first_value("Message-ID")?;
    let reference = id.trim().trim_start_matches('<').split('@').next()?.to_owned();
    is_reference(&reference).then_some(reference)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REFERENCE: &str = "abcdefghijklmnopqrstuvwxyz234567";

    fn report(recipients: &str, original: &str) -> String {
        format!(
            "From: MAILER-DAEMON@mx.example.org\r\nTo: sessions@practice.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"B.1/mx\"\r\n\r\nA report.\r\n\r\n\
             --B.1/mx\r\nContent-Type: text/plain\r\n\r\nIt did not work.\r\n\r\n\
             --B.1/mx\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n{recipients}\r\n\
             --B.1/mx\r\nContent-Type: {original}\r\n\r\nSubject: Your session\r\nMessage-ID: <{REFERENCE}@practice.example>\r\n\r\n\
             --B.1/mx--\r\n"
        )
    }

    fn of(action: &str, status: &str) -> String {
        format!(
            "Final-Recipient: rfc822; nobody@example.com\r\nAction: {action}\r\nStatus: {status}\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 <nobody@example.com>:\r\n no such user\r\n"
        )
    }

    #[test]
    fn what_servers_tell() {
        for (action, status, fate, remember) in [
            ("failed", "5.1.1", Fate::Undelivered, true),
            ("Failed", "5.1.10 (none)", Fate::Undelivered, true),
            ("failed", "5.2.1", Fate::Undelivered, true),
            ("failed", "5.4.4", Fate::Undelivered, true),
            ("failed", "5.0.0", Fate::Undelivered, true),
            ("failed", "5.1.7", Fate::Undelivered, false),
            ("failed", "5.1.8", Fate::Undelivered, false),
            ("failed", "5.2.0", Fate::Undelivered, false),
            ("failed", "5.2.2", Fate::Undelivered, false),
            ("failed", "5.4.1", Fate::Undelivered, false),
            ("failed", "5.3.4", Fate::Undelivered, false),
            ("failed", "5.7.1", Fate::Undelivered, false),
            ("failed", "4.4.1", Fate::Undelivered, false),
            ("failed", "", Fate::Undelivered, false),
            ("delayed", "4.4.1", Fate::Sent, false),
            ("relayed", "2.0.0", Fate::Sent, false),
            ("delivered", "2.0.0", Fate::Delivered, false),
        ] {
            for original in ["text/rfc822-headers", "message/rfc822", "Text/RFC822-Headers; charset=us-ascii"] {
                let read = read(report(&of(action, status), original).as_bytes()).unwrap();
                assert_eq!((read.fate, read.remember.is_some()), (fate, remember), "{action} {status}");
                assert_eq!(read.ours.as_deref(), Some(REFERENCE));
                assert!(read.detail.unwrap().ends_with("smtp; 550 5.1.1 (address) no such user"));
            }
        }
        let bare_lines = report(&of("failed", "5.1.1"), "message/rfc822").replace("\r\n", "\n");
        assert_eq!(read(bare_lines.as_bytes()).unwrap().remember, Some(Suppression::Bounced));
    }

    /// Exim's own status says nothing.
    #[test]
    fn a_status_that_says_nothing_is_read_in_the_servers_words() {
        for (said, remember) in [
            ("smtp; 550 5.1.1 <nobody@example.com>", true),
            ("smtp; 550-5.1.1 no such user", true),
            ("smtp; 550 5.7.1 listed at bl.example.org", false),
            ("smtp; 552 5.2.2 mailbox full", false),
            ("smtp; 550 Administrative prohibition", false),
            ("smtp; 550 our host 10.1.1.1 is unwelcome", false),
        ] {
            let group = of("failed", "5.0.0").replace("smtp; 550 5.1.1 <nobody@example.com>:\r\n no such user", said);
            let read = read(report(&group, "message/rfc822").as_bytes()).unwrap();
            assert_eq!(read.remember.is_some(), remember, "{said}");
        }
    }

    #[test]
    fn nobody_is_suppressed_who_is_not_named() {
        for (field, named) in [
            ("Final-Recipient: rfc822; nobody@example.com", Some("nobody@example.com")),
            ("Final-Recipient: RFC822;<nobody@example.com>", Some("nobody@example.com")),
            ("Final-Recipient: x400; /g=nobody/", None),
            ("Final-Recipient: rfc822; nobody", None),
            ("Original-Recipient: rfc822; nobody@example.com", None),
        ] {
            let group = of("failed", "5.1.1").replace("Final-Recipient: rfc822; nobody@example.com", field);
            let read = read(report(&group, "message/rfc822").as_bytes()).unwrap();
            assert_eq!(read.recipient.map(|r| r.0), named.map(str::to_owned), "{field}");
            assert_eq!(read.remember.is_some(), named.is_some(), "{field}");
        }
    }

    #[test]
    fn an_alias_that_reached_somebody_is_not_suppressed() {
        let both = format!("{}\r\n{}", of("failed", "5.1.1"), of("delivered", "2.0.0"));
        let read = read(report(&both, "message/rfc822").as_bytes()).unwrap();
        assert_eq!((read.fate, read.remember), (Fate::Delivered, None));
    }

    #[test]
    fn the_return_path_names_the_message_too() {
        let good = report(&of("failed", "5.1.1"), "text/plain");
        assert_eq!(read(good.as_bytes()), Err("it names no message of ours"));
        let verp = good.replace("To: sessions@", &format!("To: <bounces+{}@", REFERENCE.to_uppercase()));
        assert_eq!(read(verp.as_bytes()).unwrap().ours.as_deref(), Some(REFERENCE));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let good = report(&of("failed", "5.1.1"), "message/rfc822");
        for (mail, why) in [
            (String::new(), "no report"),
            ("Subject: hello\r\n\r\nhello".to_owned(), "no report"),
            (good.replace("multipart/report", "multipart/mixed"), "no report"),
            (good.replace("\tboundary=\"B.1/mx\"", "\tb=c"), "no boundary"),
            (good.replace("Action: failed", "Action: lost"), "no status"),
            (good.replace(REFERENCE, "somebody-elses"), "no message of ours"),
        ] {
            let said = read(mail.as_bytes()).expect_err("it is refused");
            assert!(said.contains(why), "{said}: {mail}");
        }
    }

    #[test]
    fn hostile_mail_is_bounded() {
        let deep = "Content-Type: multipart/report; boundary=a\r\n\r\n--a\r\n".repeat(20_000);
        assert!(read(deep.as_bytes()).is_err());
        let wide = format!("Content-Type: multipart/report; boundary=a\r\n\r\n{}", "--a\r\n\r\n".repeat(100_000));
        assert!(read(wide.as_bytes()).is_err());
        let many = of("failed", "5.1.1") + &format!("\r\n{}", of("failed", "5.1.1")).repeat(10_000);
        assert!(read(report(&many, "message/rfc822").as_bytes()).is_err(), "the head of the mail lies beyond what is looked at");
        let body = vec![b'x'; BOUNCE_MAX * 2];
        assert!(read(&body).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            drop(read(&bytes));
        }

        /// A report with some of its bytes changed, or cut.
        #[test]
        fn broken_reports_are_read_without_a_panic(changes in proptest::collection::vec((0_usize..900, any::<u8>()), 0..20), cut in 0_usize..900) {
            let mut bytes = report(&of("failed", "5.1.1"), "message/rfc822").into_bytes();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(cut.min(bytes.len()));
            drop(read(&bytes));
        }
    }
}
