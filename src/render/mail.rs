//! An e-mail's bytes (RFC 5322, RFC 2045-2049).
//!
//! In: a [`Letter`], everything rendered. Out: headers and body as they go over the wire: ASCII, CRLF, no line over 998 bytes,
//! encoded words of 75 at most. `multipart/alternative` holds the text, the HTML and the calendar, plainest first.
//!
//! Invariants: the same letter gives the same bytes (the Message-ID, the Date and the boundary are part of it); no value of a
//! header can start another one. Fails only for an address that the mail library does not take.

use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Message, MultiPart, SinglePart};

use super::calendar::Method;
use super::quoted;
use crate::contact::{EmailAddress, clean_line};

/// A rendered e-mail, before it is written down.
pub(super) struct Letter<'a> {
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
    /// `None`: it is about no single session.
    pub(super) calendar: Option<(Method, &'a str)>,
}

/// The header that names the message: some providers replace the Message-ID, and their reports quote this one with the rest.
const REFERENCE: &str = "X-Punctual-Ref";
/// The longest name that is written as it is, in bytes: with its quotes, and the header's own name before it, it fits on a line.
const PLAIN_NAME_MAX: usize = 60;
/// Bytes of a name in one encoded word: 52 characters of base64 and 12 around them, which leaves room for `Reply-To: ` in the
/// 76 that a line with encoded words may have (RFC 2047 2).
const WORD_BYTES: usize = 39;
/// What a line of a header should not exceed: 78 (RFC 5322 2.1.1), and 76 with encoded words on it (RFC 2047 2).
const LINE: usize = 76;

/// Writes it down. The error repeats no address.
pub(super) fn write(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let mut builder = Message::builder()
        .raw_header(mailbox("From", letter.from.0, letter.from.1))
        .raw_header(mailbox("To", letter.to.0, letter.to.1))
        .subject(clean_line(letter.subject))
        .date(letter.date.into())
        .message_id(Some(letter.message_id.to_owned()));
    if let Some(address) = letter.reply_to {
        builder = builder.raw_header(mailbox("Reply-To", letter.from.0, address));
    }
    builder = builder.raw_header(plain_header(REFERENCE, letter.reference));
    // RFC 3834 5.1, and what Exchange wants besides: no out-of-office answer comes back.
    builder = builder.raw_header(plain_header("Auto-Submitted", "auto-generated"));
    builder = builder.raw_header(plain_header("X-Auto-Response-Suppress", "All"));
    builder = builder.raw_header(plain_header("Content-Language", letter.locale));
    // "=_" cannot occur in quoted-printable text (RFC 2045 6.7), so no part can hold the boundary.
    let mut parts = MultiPart::alternative()
        .boundary(format!("=_{}", letter.boundary))
        .singlepart(part("text/plain; charset=utf-8", letter.text)?)
        .singlepart(part("text/html; charset=utf-8", letter.html)?);
    if let Some((method, calendar)) = letter.calendar {
        parts = parts.singlepart(part(&format!("text/calendar; charset=utf-8; method={}", method.as_str()), calendar)?);
    }
    Ok(builder.multipart(parts).map_err(|e| format!("the message cannot be built: {e}"))?.formatted())
}

fn part(content_type: &str, body: &str) -> Result<SinglePart, String> {
    let kind = ContentType::parse(content_type).map_err(|_| format!("{content_type} is no content type"))?;
    let body = Body::dangerous_pre_encoded(quoted::write(body), ContentTransferEncoding::QuotedPrintable);
    Ok(SinglePart::builder().header(kind).body(body))
}

/// An address with its name, folded. The mail library would leave an address on the line of the last encoded word, and make it
/// longer than RFC 2047 allows.
fn mailbox(header: &'static str, name: &str, address: &EmailAddress) -> HeaderValue {
    let name = phrase(&clean_line(name));
    let address = format!("<{}>", address.expose());
    let column = match name.rsplit_once('\n') {
        Some((_, last_line)) => last_line.len(),
        None => header.len() + ": ".len() + name.len(),
    };
    let between = match name.as_str() {
        "" => "",
        _ if column + 1 + address.len() > LINE => "\r\n ",
        _ => " ",
    };
    let name_of_header = HeaderName::new_from_ascii_str(header);
    HeaderValue::dangerous_new_pre_encoded(name_of_header, address.clone(), format!("{name}{between}{address}"))
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

fn plain_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), clean_line(value))
}
