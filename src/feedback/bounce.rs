//! Bounces: what mail servers tell of a mail that they had taken.
//!
//! In: the bytes of a mail, from anybody. Out: which of our messages it speaks of, and what became of it. What servers send is a report (RFC 3464,
//! in a multipart/report of RFC 6522, once 3462: [`report`]), or a letter in their own words ([`plain`]). A letter is believed in what it says of
//! the message, and never in what that says of the address. A report whose fields cannot be read is read as a letter.
//!
//! Which message it is: the return path of VERP that the mail was sent to; else, of what it returns or quotes, our own header, or the Message-ID;
//! else what it answers (In-Reply-To, References), which says nothing of an address. Each holds a reference that nobody can guess, so a made-up bounce
//! leads nowhere. What answers by itself (an absence, a challenge), read receipts and complaints are no bounces: whoever reads that mailbox looks at
//! them.
//!
//! Only the outer parts are looked at, three deep at most, and of these a bounded number. Never panics.

use mailparse::{MailHeader, MailHeaderMap, ParsedContentType, parse_content_type, parse_headers};

use super::{DeliveryReport, is_reference};

mod judged;
mod plain;
mod report;

/// So many bytes of a mail are looked at: the status comes first, then the head of the mail that came back.
pub const BOUNCE_MAX: usize = 512 << 10;
/// Parts that are looked at: a report has three.
const PARTS_MAX: usize = 10;
/// Parts within parts: a report, within what a filter put around it.
const DEPTH_MAX: usize = 3;
/// Our own header, whose value is the message's reference. Some providers replace the Message-ID, and none does this one.
const OUR_HEADER: &str = "X-Punctual-Ref";

/// Reads a bounce. `Err`: why it is none that we can use.
pub fn read(mail: &[u8]) -> Result<DeliveryReport, &'static str> {
    let mail = &mail[..mail.len().min(BOUNCE_MAX)];
    let (headers, _) = parse_headers(mail).map_err(|_| "it is no mail")?;
    let mut leaves = Vec::new();
    open(mail, DEPTH_MAX, &mut leaves);
    let of = |kinds: &[&str]| leaves.iter().find(|leaf| kinds.contains(&leaf.kind.mimetype.as_str()));
    if of(&["message/feedback-report"]).is_some() {
        return Err("it is a complaint: somebody called a message of ours unwanted; ask them, before anything is sent again");
    }
    if of(&["message/disposition-notification", "message/global-disposition-notification"]).is_some() {
        return Err("it is a read receipt");
    }
    let is_report = content_type(&headers).mimetype == "multipart/report" || leaves.iter().any(|leaf| leaf.in_report);
    let parts = leaves.iter().filter(|leaf| leaf.is_status()).map(Leaf::text);
    let said = match report::said(parts, is_report) {
        Some(said) => said,
        None if plain::is_automatic(&headers) => return Err("it answers by itself: nobody says that the message did not arrive"),
        None => plain::said(&headers, &leaves)?,
    };
    if let Some(ours) = by_return_path(&headers).or_else(|| returned(&leaves)).or_else(|| quoted(&leaves)) {
        return Ok(DeliveryReport { ours: Some(ours), ..said });
    }
    let ours = answered(&headers).ok_or("it names no message of ours")?;
    Ok(DeliveryReport { ours: Some(ours), remember: None, ..said })
}

/// A part that holds no others.
struct Leaf<'m> {
    kind: ParsedContentType,
    /// What holds it, or what holds that, is a multipart/report.
    in_report: bool,
    /// Its head, and its body as it stands.
    whole: &'m [u8],
    body: &'m [u8],
}

impl Leaf<'_> {
    /// Its body, decoded; UTF-8 also where it says something else, or nothing. A part that cannot be decoded is read as it stands.
    fn text(&self) -> String {
        let Ok(part) = mailparse::parse_mail(self.whole) else { return String::from_utf8_lossy(self.body).into_owned() };
        let utf8 = part.get_body_raw().ok().and_then(|bytes| String::from_utf8(bytes).ok());
        utf8.or_else(|| part.get_body().ok()).unwrap_or_else(|| String::from_utf8_lossy(self.body).into_owned())
    }

    fn is_status(&self) -> bool {
        matches!(self.kind.mimetype.as_str(), "message/delivery-status" | "message/global-delivery-status")
    }

    /// What came back: a mail of ours, or its head.
    fn is_returned(&self) -> bool {
        matches!(self.kind.mimetype.as_str(), "text/rfc822-headers" | "message/rfc822" | "message/global" | "message/global-headers")
    }
}

fn content_type(headers: &[MailHeader<'_>]) -> ParsedContentType {
    parse_content_type(&headers.get_first_value("Content-Type").unwrap_or_else(|| "text/plain".to_owned()))
}

/// The parts of a mail, or of a part, that hold no others.
fn open<'m>(part: &'m [u8], deeper: usize, leaves: &mut Vec<Leaf<'m>>) {
    let Ok((headers, start)) = parse_headers(part) else { return };
    let (kind, body) = (content_type(&headers), part.get(start..).unwrap_or_default());
    let boundary = kind.params.get("boundary").filter(|b| kind.mimetype.starts_with("multipart/") && !b.is_empty() && deeper > 0);
    let Some(boundary) = boundary else {
        if leaves.len() < PARTS_MAX {
            leaves.push(Leaf { kind, in_report: false, whole: part, body });
        }
        return;
    };
    let before = leaves.len();
    for inner in parts(body, boundary) {
        open(inner, deeper - 1, leaves);
    }
    if kind.mimetype == "multipart/report" {
        leaves[before..].iter_mut().for_each(|leaf| leaf.in_report = true);
    }
}

/// What stands between boundaries.
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

/// Parts an address from what is added to it (RFC 5233).
const DETAIL: char = '+';

/// VERP: the bounce went to `bounces+REFERENCE@practice.example`.
fn by_return_path(headers: &[MailHeader<'_>]) -> Option<String> {
    let names = ["X-Original-To", "Delivered-To", "Envelope-To", "To", "Return-Path"];
    names.into_iter().flat_map(|name| headers.get_all_values(name)).find_map(|value| {
        let mut after = value.split(DETAIL).skip(1).filter_map(|rest| rest.split_once('@'));
        after.find_map(|(reference, _)| reference_of(reference))
    })
}

/// The message that it answers.
fn answered(headers: &[MailHeader<'_>]) -> Option<String> {
    let names = ["In-Reply-To", "References"];
    let values = names.into_iter().flat_map(|name| headers.get_all_values(name));
    values.flat_map(|value| value.split(['<', '>', ' ', '\t']).map(str::to_owned).collect::<Vec<_>>()).find_map(|id| reference_of(&id))
}

/// What a text says after our header's name, or as the first part of an id.
fn reference_of(text: &str) -> Option<String> {
    let reference = text.trim().trim_start_matches('<').split('@').next()?.to_ascii_lowercase();
    is_reference(&reference).then_some(reference)
}

/// The head of the mail that came back: our own header, which nobody replaces, then its Message-ID.
fn returned(leaves: &[Leaf<'_>]) -> Option<String> {
    leaves.iter().filter(|leaf| leaf.is_returned()).find_map(|leaf| {
        // A head alone has no line after it.
        let head = [leaf.body, b"\r\n\r\n"].concat();
        let (headers, _) = parse_headers(&head).ok()?;
        [OUR_HEADER, "Message-ID"].iter().find_map(|name| reference_of(&headers.get_first_value(name)?))
    })
}

/// What a server quotes of our mail in its own words: our header, or an address that only a message of ours has.
fn quoted(leaves: &[Leaf<'_>]) -> Option<String> {
    let texts: Vec<String> =
        leaves.iter().filter(|leaf| leaf.is_returned() || leaf.kind.mimetype.starts_with("text/")).map(Leaf::text).collect();
    let header = |line: &str| {
        let (name, value) = line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).split_once(':')?;
        name.eq_ignore_ascii_case(OUR_HEADER).then(|| reference_of(value))?
    };
    let address = |line: &str| {
        let mut before = line.rsplit('@').skip(1).map(|text| text.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default());
        before.find_map(reference_of)
    };
    let lines = || texts.iter().flat_map(|text| text.lines());
    lines().find_map(header).or_else(|| lines().find_map(address))
}

#[cfg(test)]
mod tests;
