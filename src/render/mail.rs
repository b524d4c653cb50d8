//! An e-mail's bytes (RFC 5322, RFC 2045-2049).
//!
//! In: a [`MailParts`], everything rendered. Out: headers and body as they go over the wire: ASCII, CRLF, no line over 998 bytes,
//! encoded words of 75 at most. `multipart/alternative` holds the text, the HTML (with its logo, if there is one) and the calendar, plainest first.
//!
//! Invariants: the same letter gives the same bytes (the Message-ID, the Date and the boundary are part of it); no value of a
//! header can start another one. Written in one pass; byte for byte what the mail library makes of it (see the tests), which encodes
//! what is long or not ASCII. Fails only for an address that could not stand in a header.

use chrono::{DateTime, Datelike, Timelike, Utc};
use data_encoding::BASE64;
use lettre::message::header::{HeaderName, HeaderValue, Headers};

use super::calendar::Method;
use super::look::Logo;
use super::quoted;
use crate::contact::{EmailAddress, clean_line};

/// A rendered e-mail, before it is written down.
pub(super) struct MailParts<'a> {
    pub(super) from: (&'a str, &'a EmailAddress),
    pub(super) reply_to: Option<&'a EmailAddress>,
    pub(super) to: (&'a str, &'a EmailAddress),
    pub(super) subject: &'a str,
    pub(super) date: DateTime<Utc>,
    /// With the angle brackets.
    pub(super) message_id: &'a str,
    /// Names the message where a provider replaces its Message-ID: the part of it before the `@`.
    pub(super) reference: &'a str,
    /// A token that is this message's own.
    pub(super) boundary: &'a str,
    /// Content-Language (RFC 3282).
    pub(super) locale: &'a str,
    pub(super) text: &'a str,
    pub(super) html: &'a str,
    /// A picture that the HTML shows, and what it is called there.
    pub(super) logo: Option<(&'a Logo, &'a str)>,
    /// `None`: it is about no single session.
    pub(super) calendar: Option<(Method, &'a str)>,
}

/// The header that names the message: some providers replace the Message-ID, and their reports quote this one with the rest.
pub(super) const REFERENCE: &str = "X-Punctual-Ref";
/// The longest name that is written as it is, in bytes: with its quotes, and the header's own name before it, it fits on a line.
const PLAIN_NAME_MAX: usize = 60;
/// Bytes of a name in one encoded word: 52 characters of base64 and 12 around them, which leaves room for `Reply-To: ` in the
/// 76 that a line with encoded words may have (RFC 2047 2).
const WORD_BYTES: usize = 39;
/// What a line of a header should not exceed: 78 (RFC 5322 2.1.1), and 76 with encoded words on it (RFC 2047 2).
const LINE: usize = 76;

/// Writes it down. The error repeats no address.
pub(super) fn write(mail: &MailParts<'_>) -> Result<Vec<u8>, String> {
    let calendar = mail.calendar.map_or("", |(_, calendar)| calendar);
    let logo = mail.logo.map_or(0, |(logo, _)| logo.bytes.len() * 3 / 2);
    let written = mail.text.len() + mail.html.len() + calendar.len() + logo;
    let mut out = Vec::with_capacity(written + written / 8 + 2048);
    mailbox(&mut out, "From", mail.from)?;
    mailbox(&mut out, "To", mail.to)?;
    header(&mut out, "Subject", &clean_line(mail.subject));
    header(&mut out, "Date", &date(mail.date));
    header(&mut out, "Message-ID", mail.message_id);
    if let Some(address) = mail.reply_to {
        mailbox(&mut out, "Reply-To", (mail.from.0, address))?;
    }
    header(&mut out, REFERENCE, &clean_line(mail.reference));
    // RFC 3834 5.1, and what Exchange wants besides: no out-of-office answer comes back.
    header(&mut out, "Auto-Submitted", "auto-generated");
    header(&mut out, "X-Auto-Response-Suppress", "All");
    header(&mut out, "Content-Language", &clean_line(mail.locale));
    header(&mut out, "MIME-Version", "1.0");
    // "=_" cannot occur in quoted-printable text (RFC 2045 6.7), so no part can hold the boundary.
    put(&mut out, &["Content-Type: multipart/alternative;\r\n boundary=\"=_", mail.boundary, "\"\r\n\r\n"]);
    part(&mut out, mail.boundary, ["text/plain", "", ""], mail.text);
    match mail.logo {
        None => part(&mut out, mail.boundary, ["text/html", "", ""], mail.html),
        Some(logo) => pictured(&mut out, mail, logo),
    }
    if let Some((method, calendar)) = mail.calendar {
        part(&mut out, mail.boundary, ["text/calendar", "; method=", method.as_str()], calendar);
    }
    put(&mut out, &["--=_", mail.boundary, "--\r\n"]);
    Ok(out)
}

fn put(out: &mut Vec<u8>, pieces: &[&str]) {
    pieces.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
}

fn part(out: &mut Vec<u8>, boundary: &str, [kind, parameter, value]: [&str; 3], body: &str) {
    put(out, &["--=_", boundary, "\r\nContent-Type: ", kind, "; charset=utf-8", parameter, value, "\r\n"]);
    put(out, &["Content-Transfer-Encoding: quoted-printable\r\n\r\n"]);
    quoted::write(body, out);
    put(out, &["\r\n"]);
}

/// The HTML together with its picture (RFC 2387).
fn pictured(out: &mut Vec<u8>, mail: &MailParts<'_>, (logo, id): (&Logo, &str)) {
    // Not the beginning of the other boundary, nor that of it.
    let inner = ["logo", mail.boundary].concat();
    put(out, &["--=_", mail.boundary, "\r\nContent-Type: multipart/related; type=\"text/html\";\r\n boundary=\"=_", &inner, "\"\r\n\r\n"]);
    part(out, &inner, ["text/html", "", ""], mail.html);
    put(out, &["--=_", &inner, "\r\nContent-Type: ", logo.kind, "\r\nContent-ID: <", id, ">\r\n"]);
    put(out, &["Content-Disposition: inline; filename=\"", logo.file(), "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"]);
    for line in logo.bytes.chunks(LINE / 4 * 3) {
        put(out, &[&BASE64.encode(line), "\r\n"]);
    }
    put(out, &["--=_", &inner, "--\r\n\r\n"]);
}

/// A header: as it is, if it fits on its line and every reader takes it for what it says; else as the mail library encodes and folds it.
fn header(out: &mut Vec<u8>, name: &'static str, value: &str) {
    let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let apart = !value.starts_with(' ') && !value.ends_with(' ') && !value.contains("  ");
    if printable && apart && name.len() + ": ".len() + value.len() <= LINE && !value.contains("=?") {
        return put(out, &[name, ": ", value, "\r\n"]);
    }
    let mut one = Headers::new();
    one.insert_raw(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    put(out, &[&one.to_string()]);
}

/// `Mon, 14 Apr 2014 12:00:00 +0000`
fn date(at: DateTime<Utc>) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (day, month, clock) = (at.weekday(), MONTHS[at.month0() as usize], at.time());
    format!("{day}, {:02} {month} {:04} {:02}:{:02}:{:02} +0000", at.day(), at.year(), clock.hour(), clock.minute(), clock.second())
}

/// An address with its name, folded. The mail library would leave an address on the line of the last encoded word, and make it
/// longer than RFC 2047 allows.
pub(super) fn mailbox(out: &mut Vec<u8>, header: &str, (name, address): (&str, &EmailAddress)) -> Result<(), String> {
    let (name, address) = (phrase(&clean_line(name)), address.expose());
    if !address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>')) {
        return Err(format!("the message cannot be built: the address in {header} is none"));
    }
    let column = match name.rsplit_once('\n') {
        Some((_, last_line)) => last_line.len(),
        None => header.len() + ": ".len() + name.len(),
    };
    let between = match name.as_str() {
        "" => "",
        _ if column + 1 + address.len() + "<>".len() > LINE => "\r\n ",
        _ => " ",
    };
    put(out, &[header, ": ", &name, between, "<", address, ">\r\n"]);
    Ok(())
}

/// A display name (RFC 5322 3.2.5): quoted, or as encoded words if it is not ASCII or long.
fn phrase(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    // What looks like an encoded word would be decoded by lenient readers.
    if name.is_ascii() && name.len() <= PLAIN_NAME_MAX && !name.contains("=?") {
        return format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let word = |bytes: &str| format!("=?utf-8?b?{}?=", BASE64.encode(bytes.as_bytes()));
    pieces(name, WORD_BYTES).into_iter().map(word).collect::<Vec<_>>().join("\r\n ")
}

/// Pieces of so many bytes at most; no character is split, as RFC 2047 5 demands.
fn pieces(text: &str, max: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let end = (0..=max.min(rest.len())).rev().find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use lettre::message::header::{ContentTransferEncoding, ContentType};
    use lettre::message::{Body, Message, MultiPart, SinglePart};
    use proptest::prelude::*;

    use super::*;

    /// The same by the mail library, but for the mailboxes, which it folds otherwise.
    fn by_the_library(mail: &MailParts<'_>) -> Vec<u8> {
        let raw = |name: &'static str, (called, address): (&str, &EmailAddress)| {
            let mut written = Vec::new();
            mailbox(&mut written, name, (called, address)).unwrap();
            let value = String::from_utf8(written).unwrap()[name.len() + 2..].trim_end().to_owned();
            HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), format!("<{}>", address.expose()), value)
        };
        let plain = |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), clean_line(value));
        let part = |kind: &str, body: &str| {
            let mut encoded = Vec::new();
            quoted::write(body, &mut encoded);
            let body = Body::dangerous_pre_encoded(encoded, ContentTransferEncoding::QuotedPrintable);
            SinglePart::builder().header(ContentType::parse(kind).unwrap()).body(body)
        };
        let mut builder = Message::builder()
            .raw_header(raw("From", mail.from))
            .raw_header(raw("To", mail.to))
            .subject(clean_line(mail.subject))
            .date(mail.date.into())
            .message_id(Some(mail.message_id.to_owned()));
        if let Some(address) = mail.reply_to {
            builder = builder.raw_header(raw("Reply-To", (mail.from.0, address)));
        }
        builder = builder.raw_header(plain(REFERENCE, mail.reference)).raw_header(plain("Auto-Submitted", "auto-generated"));
        builder = builder.raw_header(plain("X-Auto-Response-Suppress", "All")).raw_header(plain("Content-Language", mail.locale));
        let mut parts = MultiPart::alternative()
            .boundary(format!("=_{}", mail.boundary))
            .singlepart(part("text/plain; charset=utf-8", mail.text))
            .singlepart(part("text/html; charset=utf-8", mail.html));
        if let Some((method, calendar)) = mail.calendar {
            parts = parts.singlepart(part(&format!("text/calendar; charset=utf-8; method={}", method.as_str()), calendar));
        }
        builder.multipart(parts).unwrap().formatted()
    }

    fn said() -> impl Strategy<Value = String> {
        prop_oneof!["[ -~]{0,100}", "([a-z]{1,9} ){0,14}", "[a-z]{60,120}", "\\PC{0,90}", "[ -~]{0,30}=\\?[ -~]{0,9}", any::<String>()]
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_writes(texts in proptest::array::uniform4(said()), seconds in 0..4_000_000_000_i64, domain in "[a-z]{1,60}", which in 0..4_u8) {
            let [subject, name, text, html] = texts;
            let [ann, desk] = ["ann@example.com", "desk@example.org"].map(|address| EmailAddress::parse(address).unwrap());
            let mail = MailParts {
                from: ("Lakeside", &desk),
                reply_to: (which & 1 == 0).then_some(&desk),
                to: (&name, &ann),
                subject: &subject,
                date: DateTime::from_timestamp(seconds, 0).unwrap(),
                message_id: &format!("<mzmjpyhvdzzekuaaa5o6b4qkpbl5ma35@{domain}.example>"),
                reference: "mzmjpyhvdzzekuaaa5o6b4qkpbl5ma35",
                boundary: "czftp5k75qewii5kk7nv2bb4rhtulcbt",
                locale: "fr-CA",
                text: &text,
                html: &html,
                logo: None,
                calendar: (which & 2 == 0).then_some((Method::Cancel, "BEGIN:VCALENDAR\r\n")),
            };
            let [ours, library] = [write(&mail).unwrap(), by_the_library(&mail)].map(|bytes| String::from_utf8(bytes).unwrap());
            prop_assert_eq!(ours, library);
        }
    }
}
