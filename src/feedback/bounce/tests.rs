//! What servers send, in reports and letters; and what else comes to a return path.

use proptest::prelude::*;

use super::*;

use crate::receipt::DeliveryStatus;
use crate::suppression::Suppression;

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

/// A letter to the return path of our message, with that head and text.
fn letter(head: &str, text: &str) -> String {
    format!("To: bounces+{REFERENCE}@practice.example\r\n{head}\r\n\r\n{text}\r\n")
}

#[test]
fn what_servers_tell() {
    for (action, status, became, remember) in [
        ("failed", "5.1.1", DeliveryStatus::Undelivered, true),
        ("Failed", "5.1.10 (none)", DeliveryStatus::Undelivered, true),
        ("failed", "5.2.1", DeliveryStatus::Undelivered, true),
        ("failed", "5.4.4", DeliveryStatus::Undelivered, false),
        ("failed", "5.0.0", DeliveryStatus::Undelivered, true),
        ("failed", "5.1.0", DeliveryStatus::Undelivered, true),
        ("failed", "5.1.7", DeliveryStatus::Undelivered, false),
        ("failed", "5.1.8", DeliveryStatus::Undelivered, false),
        ("failed", "5.2.0", DeliveryStatus::Undelivered, true),
        ("failed", "5.2.2", DeliveryStatus::Undelivered, false),
        ("failed", "5.4.1", DeliveryStatus::Undelivered, false),
        ("failed", "5.3.4", DeliveryStatus::Undelivered, false),
        ("failed", "5.7.1", DeliveryStatus::Undelivered, false),
        ("failed", "4.4.1", DeliveryStatus::Undelivered, false),
        ("failed", "", DeliveryStatus::Undelivered, false),
        ("delayed", "4.4.1", DeliveryStatus::Sent, false),
        ("relayed", "2.0.0", DeliveryStatus::Sent, false),
        ("delivered", "2.0.0", DeliveryStatus::Delivered, false),
    ] {
        for original in ["text/rfc822-headers", "message/rfc822", "Text/RFC822-Headers; charset=us-ascii"] {
            let read = read(report(&of(action, status), original).as_bytes()).unwrap();
            assert_eq!((read.status, read.remember.is_some()), (became, remember), "{action} {status}");
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
        ("smtp; 550 no such user here", true),
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
    assert_eq!((read.status, read.remember), (DeliveryStatus::Delivered, None));
}

#[test]
fn the_return_path_names_the_message_too() {
    let good = report(&of("failed", "5.1.1"), "message/rfc822").replace(&format!("<{REFERENCE}@"), "<0102@");
    assert_eq!(read(good.as_bytes()), Err("it names no message of ours"));
    let verp = good.replace("To: sessions@", &format!("To: <bounces+{}@", REFERENCE.to_uppercase()));
    assert_eq!(read(verp.as_bytes()).unwrap().ours.as_deref(), Some(REFERENCE));
}

#[test]
fn what_is_no_report_is_refused() {
    let good = report(&of("failed", "5.1.1"), "message/rfc822");
    for (mail, why) in [
        (String::new(), "no mail system"),
        ("Subject: hello\r\n\r\nhello".to_owned(), "no mail system"),
        (good.replace("\tboundary=\"B.1/mx\"", "\tb=c"), "no message of ours"),
        (good.replace(REFERENCE, "somebody-elses"), "no message of ours"),
    ] {
        let said = read(mail.as_bytes()).expect_err("it is refused");
        assert!(said.contains(why), "{said}: {mail}");
    }
}

/// Servers that send no report: their word is believed of the message, and never of the address.
#[test]
fn letters_of_servers() {
    let gone = "<trevor@example.com>: 550 5.1.1 no such user";
    for (head, text, became) in [
        // qmail.
        (
            "From: MAILER-DAEMON@mx.example\r\nSubject: failure notice",
            format!("This is a permanent error; I've given up.\r\n{gone}"),
            DeliveryStatus::Undelivered,
        ),
        // Exim.
        (
            "From: Mail Delivery System <Mailer-Daemon@mx.example>\r\nSubject: Mail delivery failed: returning message to sender\r\nAuto-Submitted: auto-replied\r\nX-Failed-Recipients: trevor@example.com",
            gone.to_owned(),
            DeliveryStatus::Undelivered,
        ),
        (
            "From: Mail Delivery System <Mailer-Daemon@mx.example>\r\nSubject: Warning: message 1abcDE-0001 delayed 24 hours",
            "It has not yet been delivered. No action is required.".to_owned(),
            DeliveryStatus::Sent,
        ),
        // Postfix, as plain text.
        (
            "From: MAILER-DAEMON@mx.example (Mail Delivery System)\r\nSubject: Undelivered Mail Returned to Sender",
            gone.to_owned(),
            DeliveryStatus::Undelivered,
        ),
        // sendmail, and Gmail's old one.
        (
            "From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example>\r\nSubject: Returned mail: see transcript for details",
            gone.to_owned(),
            DeliveryStatus::Undelivered,
        ),
        (
            "From: Mail Delivery Subsystem <mailer-daemon@mail.example>\r\nSubject: Delivery Status Notification (Failure)",
            "Delivery to the following recipient failed permanently".to_owned(),
            DeliveryStatus::Undelivered,
        ),
        (
            "From: Mail Delivery Subsystem <mailer-daemon@mail.example>\r\nSubject: Delivery Status Notification (Delay)",
            "It will be retried for 2 more days".to_owned(),
            DeliveryStatus::Sent,
        ),
        // Exchange, in four languages, and Domino.
        (
            "From: System Administrator <postmaster@practice.example>\r\nSubject: Undeliverable: Your video session",
            "#5.1.1".to_owned(),
            DeliveryStatus::Undelivered,
        ),
        (
            "From: Postmaster <postmaster@praxis.example>\r\nSubject: Unzustellbar: Your video session",
            String::new(),
            DeliveryStatus::Undelivered,
        ),
        ("From: admin@cabinet.example\r\nSubject: =?utf-8?b?Tm9uIHJlbWlzwqA6IFNlc3Npb24=?=", String::new(), DeliveryStatus::Undelivered),
        ("From: correo@clinica.example\r\nSubject: No entregado: Your video session", String::new(), DeliveryStatus::Undelivered),
        (
            "From: Postmaster@mx.example\r\nSubject: DELIVERY FAILURE: User trevor not listed in Domino Directory",
            String::new(),
            DeliveryStatus::Undelivered,
        ),
        // A mail system that calls itself otherwise, marks its bounce as an answer, or has no name.
        (
            "From: noreply@mx.example\r\nSubject: Mail delivery failed\r\nAuto-Submitted: auto-replied",
            gone.to_owned(),
            DeliveryStatus::Undelivered,
        ),
        ("From: <>\r\nSubject: About your message", gone.to_owned(), DeliveryStatus::Undelivered),
        // A mail system in words that nobody knows here.
        ("From: MAILER-DAEMON@mx.example\r\nSubject: =?utf-8?b?6YWN5L+h5LiN6IO9?=", "?".to_owned(), DeliveryStatus::Undelivered),
        (
            "From: MAILER-DAEMON@mx.example\r\nSubject: Ihre Nachricht",
            "Die Zustellung verzögert sich, wir versuchen es weiter.".to_owned(),
            DeliveryStatus::Sent,
        ),
        (
            "From: MAILER-DAEMON@mx.example\r\nSubject: Ihre Nachricht",
            "Sie konnte nicht zugestellt werden.".to_owned(),
            DeliveryStatus::Undelivered,
        ),
    ] {
        let read = read(letter(head, &text).as_bytes()).unwrap_or_else(|why| panic!("{why}: {head}"));
        assert_eq!((read.status, read.remember, read.ours.as_deref()), (became, None, Some(REFERENCE)), "{head}");
        assert!(!read.detail.unwrap().contains("trevor"), "{head}");
    }
    let read = read(letter("From: MAILER-DAEMON@mx.example\r\nSubject: failure notice", &format!("Hello.\r\nIt said: {gone}")).as_bytes());
    assert_eq!(read.unwrap().detail.as_deref(), Some("It said: (address) 550 5.1.1 no such user"));
}

/// What also comes to the return path of a message, and says nothing of whether it arrived; or is about nothing of ours.
#[test]
fn what_is_no_bounce() {
    for (head, text, why) in [
        (
            "From: pat@example.com\r\nSubject: Automatic reply: Your video session\r\nAuto-Submitted: auto-replied",
            "I am away.",
            "answers by itself",
        ),
        (
            "From: pat@example.com\r\nSubject: Re: Your video session\r\nAuto-Submitted: auto-replied (vacation)",
            "I am away.",
            "answers by itself",
        ),
        ("From: pat@example.com\r\nSubject: Your video session\r\nPrecedence: auto_reply", "I am away.", "answers by itself"),
        ("From: pat@example.com\r\nSubject: Your video session\r\nX-Autoreply: yes", "I am away.", "answers by itself"),
        ("From: pat@example.com\r\nSubject: Out of Office: Your video session", "I am away.", "answers by itself"),
        ("From: pat@example.com\r\nSubject: Abwesenheitsnotiz: Your video session", "Ich bin nicht da.", "answers by itself"),
        ("From: pat@example.com\r\nSubject: =?utf-8?q?R=C3=A9ponse_automatique?=", "Je suis absent.", "answers by itself"),
        ("From: pat@example.com\r\nSubject: =?utf-8?q?Respuesta_autom=C3=A1tica?=", "No estoy.", "answers by itself"),
        ("From: pat@example.com\r\nSubject: Please confirm your message", "It was not delivered until you click.", "answers by itself"),
        ("From: pat@example.com\r\nSubject: Re: Your video session", "Thank you, I will be there.", "no mail system"),
        ("From: pat@example.com\r\nSubject: Je serai en retard", "Bonjour.", "no mail system"),
        ("From: MAILER-DAEMON@mx.example\r\nSubject: Delivery Status Notification (Success)", "It arrived.", "arrived"),
    ] {
        let said = read(letter(head, text).as_bytes()).expect_err(head);
        assert!(said.contains(why), "{said}: {head}");
    }
    let part = |kind: &str| {
        format!(
            "To: bounces+{REFERENCE}@practice.example\r\nFrom: <>\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nIt was not delivered.\r\n\
                 --b\r\nContent-Type: {kind}\r\n\r\nFinal-Recipient: rfc822; pat@example.com\r\nAction: failed\r\n\r\n--b--\r\n"
        )
    };
    for (kind, why) in [("message/feedback-report", "complaint"), ("message/disposition-notification", "read receipt")] {
        let said = read(part(kind).as_bytes()).expect_err(kind);
        assert!(said.contains(why), "{said}: {kind}");
    }
    let dmarc = "From: postmaster@mail.example\r\nTo: dmarc@practice.example\r\nSubject: Report domain: practice.example\r\n\r\nIt was rejected.\r\n";
    assert_eq!(read(dmarc.as_bytes()), Err("it names no message of ours"));
}

/// The message is named by the return path, or within what came back.
#[test]
fn a_letter_names_its_message() {
    let plain = |quoted: &str| {
        format!("From: MAILER-DAEMON@mx.example\r\nTo: sessions@practice.example\r\nSubject: failure notice\r\n\r\nSorry.\r\n{quoted}\r\n")
    };
    let mixed = |kind: &str, head: &str| {
        format!(
            "From: MAILER-DAEMON@mx.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: {kind}\r\n\r\n{head}\r\n--b--\r\n"
        )
    };
    let base64 = data_encoding::BASE64.encode(format!("Nicht zugestellt.\nMessage-ID: <{REFERENCE}@practice.example>\n").as_bytes());
    for (mail, named) in [
        (plain(&format!("Message-ID: <{REFERENCE}@practice.example>")), true),
        (plain(&format!("> Message-Id: <{REFERENCE}@practice.example>")), true),
        (plain(&format!("Message-ID:\r\n <{REFERENCE}@practice.example>")), true),
        (plain(&format!("Return-Path: <bounces+{REFERENCE}@practice.example>")), true),
        (plain(&format!("Message-ID: <0102@provider.example>\r\nX-Punctual-Ref: {REFERENCE}")), true),
        (plain(REFERENCE), false),
        (plain("Message-ID: <0102@provider.example>"), false),
        (mixed("message/rfc822", &format!("Message-ID: <{REFERENCE}@practice.example>\r\n\r\nHi")), true),
        (mixed("text/rfc822-headers", &format!("Message-ID: <0102@provider.example>\r\nX-Punctual-Ref: {REFERENCE}")), true),
        (mixed("text/plain", &format!("Message-ID: <{REFERENCE}@practice.example>")), true),
        (mixed("application/pdf", &format!("Message-ID: <{REFERENCE}@practice.example>")), false),
        (format!("From: MAILER-DAEMON@mx.example\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64}\r\n"), true),
        (format!("From: MAILER-DAEMON@mx.example\r\nReturn-Path: <bounces+{REFERENCE}@practice.example>\r\n\r\nSorry."), true),
        (format!("From: MAILER-DAEMON@mx.example\r\nX-Original-To: bounces+{REFERENCE}@practice.example\r\n\r\nSorry."), true),
    ] {
        let read = read(mail.as_bytes()).map(|report| (report.ours, report.remember));
        let ours = if named { Ok((Some(REFERENCE.to_owned()), None)) } else { Err("it names no message of ours") };
        assert_eq!(read, ours, "{mail}");
    }
    let (another, replaced) = ("b".repeat(32), report(&of("failed", "5.1.1"), "message/rfc822"));
    let replaced = replaced.replace("Message-ID: ", &format!("X-Punctual-Ref: {another}\r\nMessage-ID: "));
    assert_eq!(read(replaced.as_bytes()).unwrap().ours, Some(another), "our own header is nobody else's");
}

/// What servers make of RFC 3464. Each was lost: whoever it was for is not reached, and nobody is suppressed by a guess.
#[test]
fn a_report_in_an_odd_form_is_undelivered_all_the_same() {
    let good = report(&of("failed", "5.1.1"), "message/rfc822");
    let message_group = "Reporting-MTA: dns; mx.example.org\r\n\r\n";
    let fields = format!("{message_group}{}", of("failed", "5.1.1"));
    let base64 = format!("Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", data_encoding::BASE64.encode(fields.as_bytes()));
    let two = of("failed", "5.1.1") + &of("failed", "5.1.1").replace("nobody@", "somebody@");
    for (what, mail, gone) in [
        ("as it should be", good.clone(), true),
        ("base64", good.replace(&format!("\r\n{fields}"), &base64), true),
        ("a comment at the action", good.replace("Action: failed", "Action: failed (permanent)"), true),
        ("a stop behind the action", good.replace("Action: failed", "Action: Failed;"), true),
        (
            "no line between the groups",
            good.replace(message_group, message_group.trim_end_matches("\r\n\r\n"))
                .replace("mx.example.orgFinal", "mx.example.org\r\nFinal"),
            true,
        ),
        ("no group of the message", good.replace(message_group, ""), true),
        ("more lines between the groups", good.replace(message_group, &format!("{message_group}\r\n \r\n")), true),
        ("spaces between the groups", good.replace(message_group, "Reporting-MTA: dns; mx.example.org\r\n \t\r\n"), true),
        ("no action", good.replace("Action: failed\r\n", ""), false),
        ("an action that nobody knows", good.replace("Action: failed", "Action: lost"), false),
        ("neither action nor status", good.replace("Action: failed\r\nStatus: 5.1.1\r\n", ""), false),
        ("no action, and a status that says little", good.replace("Action: failed\r\nStatus: 5.1.1", "Status: 4.4.7"), false),
        ("no line between two recipients", good.replace(&of("failed", "5.1.1"), &two), false),
        ("no fields at all", good.replace(&fields, "?\r\n"), false),
    ] {
        let read = read(mail.as_bytes()).unwrap_or_else(|why| panic!("{what}: {why}\n{mail}"));
        assert_eq!((read.status, read.ours.as_deref()), (DeliveryStatus::Undelivered, Some(REFERENCE)), "{what}\n{mail}");
        assert_eq!(read.remember.is_some(), gone, "{what}\n{mail}");
    }
    for (from, to, became) in [
        ("Action: failed", "Action: delayed (4 hours)", DeliveryStatus::Sent),
        ("Action: failed\r\nStatus: 5.1.1", "Status: 2.0.0", DeliveryStatus::Delivered),
    ] {
        let read = read(good.replace(from, to).as_bytes()).unwrap();
        assert_eq!((read.status, read.remember), (became, None), "{to}");
    }
}

/// A bounce whose only trace is the message that it answers. A person who answers is no bounce.
#[test]
fn what_a_bounce_answers_names_the_message_and_suppresses_nobody() {
    let id = format!("<{REFERENCE}@practice.example>");
    let letter =
        |head: &str| format!("From: MAILER-DAEMON@mx.example\r\nSubject: failure notice\r\n{head}\r\n\r\n550 5.1.1 no such user\r\n");
    let whole = report(&of("failed", "5.1.1"), "message/rfc822").replace(&format!("Message-ID: {id}"), "X: y");
    for mail in [
        letter(&format!("In-Reply-To: {id}")),
        letter(&format!("In-Reply-To: Your message {id} of today")),
        letter(&format!("References: <0102@provider.example>\r\n {id}")),
        format!("In-Reply-To: {id}\r\n{whole}"),
    ] {
        let read = read(mail.as_bytes()).unwrap_or_else(|why| panic!("{why}: {mail}"));
        assert_eq!((read.status, read.remember, read.ours.as_deref()), (DeliveryStatus::Undelivered, None, Some(REFERENCE)), "{mail}");
    }
    assert!(read(letter("In-Reply-To: <0102@provider.example>").as_bytes()).is_err());
    for subject in ["Re: Your video session", "Re: my parcel was undelivered", "AW: konnte nicht kommen"] {
        let mail = format!("From: pat@example.com\r\nSubject: {subject}\r\nIn-Reply-To: {id}\r\n\r\nHello.\r\n");
        assert!(read(mail.as_bytes()).is_err(), "{subject}");
    }
}

/// What somebody put around a report, or made of it.
#[test]
fn a_report_in_other_clothes_is_read_and_suppresses_only_as_a_report() {
    let whole = report(&of("failed", "5.1.1"), "message/rfc822");
    let mixed = whole.replace("multipart/report", "multipart/mixed");
    let wrapped = format!(
        "From: filter@practice.example\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n{whole}\r\n--outer\r\n\r\nScanned.\r\n--outer--\r\n"
    );
    for (mail, remember) in [(whole, true), (mixed, false), (wrapped, true)] {
        let read = read(mail.as_bytes()).unwrap();
        assert_eq!(
            (read.status, read.ours.as_deref(), read.remember.is_some()),
            (DeliveryStatus::Undelivered, Some(REFERENCE), remember),
            "{mail}"
        );
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
