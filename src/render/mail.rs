//! An e-mail's bytes (RFC 5322, RFC 2045-2049).
//!
//! In: a [`Letter`], everything rendered. Out: headers and body as they go over the wire: ASCII, CRLF, no line over 998 bytes,
//! encoded words of 75 at most. `multipart/alternative` holds the text, the HTML and the calendar, plainest first.
//!
//! Invariants: the same letter gives the same bytes (the Message-ID, the Date and the boundary are part of it); no value of a
//! header can start another one. Fails only for an address that the mail library does not take.

use chrono::{DateTime, Utc};
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};

use super::calendar::Method;
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
    /// A token that is this message's own.
    pub(super) boundary: &'a str,
    /// Content-Language (RFC 3282).
    pub(super) locale: &'a str,
    pub(super) text: &'a str,
    pub(super) html: &'a str,
    pub(super) calendar: &'a str,
    pub(super) method: Method,
}

/// Writes it down. The error repeats no address.
pub(super) fn write(letter: &Letter<'_>) -> Result<Vec<u8>, String> {
    let mut builder = Message::builder()
        .from(mailbox(letter.from.0, letter.from.1)?)
        .to(mailbox(letter.to.0, letter.to.1)?)
        .subject(clean_line(letter.subject))
        .date(letter.date.into())
        .message_id(Some(letter.message_id.to_owned()));
    if let Some(address) = letter.reply_to {
        builder = builder.reply_to(mailbox(letter.from.0, address)?);
    }
    // RFC 3834 5.1, and what Exchange wants besides: no out-of-office answer comes back.
    builder = builder.raw_header(plain_header("Auto-Submitted", "auto-generated"));
    builder = builder.raw_header(plain_header("X-Auto-Response-Suppress", "All"));
    builder = builder.raw_header(plain_header("Content-Language", letter.locale));
    let calendar_type = format!("text/calendar; charset=utf-8; method={}", letter.method.as_str());
    // "=_" cannot occur in quoted-printable text (RFC 2045 6.7), so no part can hold the boundary.
    let parts = MultiPart::alternative()
        .boundary(format!("=_{}", letter.boundary))
        .singlepart(part("text/plain; charset=utf-8", letter.text)?)
        .singlepart(part("text/html; charset=utf-8", letter.html)?)
        .singlepart(part(&calendar_type, letter.calendar)?);
    Ok(builder.multipart(parts).map_err(|e| format!("the message cannot be built: {e}"))?.formatted())
}

fn part(content_type: &str, body: &str) -> Result<SinglePart, String> {
    let kind = ContentType::parse(content_type).map_err(|_| format!("{content_type} is no content type"))?;
    let body = Body::new_with_encoding(body.to_owned(), ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| "the body does not fit its encoding".to_owned())?;
    Ok(SinglePart::builder().header(kind).body(body))
}

/// An address with its name. The name is cleaned again: CR and LF in one would survive inside an encoded word.
fn mailbox(name: &str, address: &EmailAddress) -> Result<Mailbox, String> {
    let parsed = address.expose().parse().map_err(|_| "an address is not one that the mail library takes".to_owned())?;
    let name = clean_line(name);
    Ok(Mailbox::new(Some(name).filter(|n| !n.is_empty()), parsed))
}

fn plain_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), clean_line(value))
}
