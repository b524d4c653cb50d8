//! All the ways in which one text can be read: as it stands, and with what a reader's program, or a reader who tries, would decode.
//!
//! In: a part of a message. Out: each reading of it, once; [`plain`] makes a reading fit to be searched.
//!
//! A text that was encoded again and again is decoded [`DEPTH`] times. Invariant: nothing is lost, a decoded text is read beside the one that it
//! was made of.

use std::borrow::Cow;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use unicode_normalization::UnicodeNormalization;

use crate::contact::is_invisible;

/// Stands where a tag was: two numbers beside it are two, and their digits are still read on.
pub(super) const TAG: char = '\u{1}';
/// A code in HTML in a link in an encoded word: nobody goes further.
const DEPTH: u32 = 4;
/// The shortest word that is tried as base64: nine digits make twelve.
const BASE64_MIN: usize = 8;

/// Text without what nobody sees: compatibility forms resolved (NFKC), invisible characters out, and the boxes around digits of a keypad.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let seen = |c: &char| !is_invisible(*c) && !matches!(c, '\u{200C}' | '\u{200D}' | '\u{20E3}' | '\u{FE00}'..='\u{FE0F}');
    let mut out = String::with_capacity(text.len());
    // Nothing composes across a line's end, and nearly all lines are ASCII.
    for line in text.split_inclusive('\n') {
        if line.is_ascii() {
            out.push_str(line);
        } else {
            out.extend(line.nfkc().filter(seen));
        }
    }
    Cow::Owned(out)
}

/// Visits every reading of a text, until one visit fails.
pub(super) fn each<E>(text: &str, visit: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    deeper(text, DEPTH, true, visit)
}

/// Visits what a text shows that nobody hid anything in, be it HTML or not.
pub(super) fn each_shown(text: &str, visit: &mut impl FnMut(&str)) {
    visit(text);
    let marked = without_tags(text);
    let read = entities(&marked).unwrap_or(Cow::Borrowed(&marked));
    visit(&read);
    visit(&read.replace(TAG, ""));
    entities(text).iter().for_each(|read| visit(read));
}

/// Visits every reading of HTML: what stands in its tags, and what is read.
pub(super) fn each_of_html<E>(html: &str, visit: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    // What its own tags hold is read as it is, and not without them once more.
    deeper(&entities(html).unwrap_or(Cow::Borrowed(html)), DEPTH - 1, false, visit)?;
    // A tag parts digits and words no more than nothing does: once with a mark for each, once without.
    let marked = without_tags(html);
    let read = entities(&marked).unwrap_or(Cow::Borrowed(&marked));
    deeper(&read, DEPTH - 1, true, visit)?;
    deeper(&read.replace(TAG, ""), DEPTH - 1, true, visit)
}

fn deeper<E>(text: &str, depth: u32, tags: bool, visit: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    visit(text)?;
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    for decoded in [entities(text), percent(text), quoted(text), base64(text)].into_iter().flatten() {
        deeper(&decoded, depth, tags, visit)?;
    }
    if tags && has_tag(text) {
        let marked = without_tags(text);
        deeper(&marked, depth, true, visit)?;
        deeper(&marked.replace(TAG, ""), depth, true, visit)?;
    }
    Ok(())
}

/// Entities resolved, those without a semicolon too. `None`: there are none.
fn entities(text: &str) -> Option<Cow<'_, str>> {
    memchr::memchr(b'&', text.as_bytes())?;
    let numbered = numbered_entities(text);
    let decoded = html_escape::decode_html_entities(&numbered).into_owned();
    (decoded != text).then_some(Cow::Owned(decoded))
}

/// `&#51;`, `&#x33;`, `&#51`
fn numbered_entities(text: &str) -> String {
    let mut pieces = text.split("&#");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (radix, digits) = piece.strip_prefix(['x', 'X']).map_or((10, piece), |hex| (16, hex));
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let c = u32::from_str_radix(&digits[..end], radix).ok().and_then(char::from_u32);
        match c {
            Some(c) => {
                out.push(c);
                out.push_str(digits[end..].strip_prefix(';').unwrap_or(&digits[end..]));
            }
            None => out.extend(["&#", piece]),
        }
    }
    out
}

/// `%41` as `A`; what is not UTF-8 then becomes a replacement character. `None`: nothing in it is written so. (`width="100%"` is not.)
fn percent(text: &str) -> Option<Cow<'_, str>> {
    escaped(text, b'%')
}

/// Quoted-printable: `=41` as `A`, and lines that end in `=` joined.
fn quoted(text: &str) -> Option<Cow<'_, str>> {
    let softly = |at: usize| text.as_bytes()[at + 1..].starts_with(b"\n") || text.as_bytes()[at + 1..].starts_with(b"\r\n");
    if memchr::memchr_iter(b'=', text.as_bytes()).any(softly) {
        let joined = text.replace("=\r\n", "").replace("=\n", "");
        return Some(escaped(&joined, b'=').map_or(Cow::Owned(joined.clone()), |decoded| Cow::Owned(decoded.into_owned())));
    }
    escaped(text, b'=')
}

/// A sign and two hexadecimal digits are one byte.
fn escaped(text: &str, sign: u8) -> Option<Cow<'_, str>> {
    let byte = |at: usize| {
        let hex = text.as_bytes().get(at + 1..at + 3).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))?;
        u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    let mut out = Vec::new();
    let mut from = 0;
    for at in memchr::memchr_iter(sign, text.as_bytes()) {
        if at >= from
            && let Some(byte) = byte(at)
        {
            out.extend_from_slice(&text.as_bytes()[from..at]);
            out.push(byte);
            from = at + 3;
        }
    }
    if from == 0 {
        return None;
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    Some(Cow::Owned(String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())))
}

/// The words that are text in base64, decoded, each in a line of its own. `None`: there are none.
fn base64(text: &str) -> Option<Cow<'_, str>> {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let mut decoded = String::new();
    for word in text.as_bytes().split(|byte| !in_word(byte)).filter(|word| word.len() >= BASE64_MIN) {
        // Text makes no word of small letters alone.
        if word.iter().all(u8::is_ascii_lowercase) {
            continue;
        }
        let parts = word.split(|byte| !byte.is_ascii_alphanumeric()).filter(|part| part.len() >= BASE64_MIN && part.len() < word.len());
        for found in std::iter::once(word).chain(parts).filter_map(decoded_word) {
            decoded.extend([found.as_str(), "\n"]);
        }
    }
    (!decoded.is_empty()).then_some(Cow::Owned(decoded))
}

fn decoded_word(word: &[u8]) -> Option<String> {
    let bytes = BASE64_NOPAD.decode(word).or_else(|_| BASE64URL_NOPAD.decode(word)).ok()?;
    String::from_utf8(bytes).ok().filter(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace()))
}

/// Something in it would be taken for a tag or a comment.
fn has_tag(text: &str) -> bool {
    memchr::memchr_iter(b'<', text.as_bytes())
        .any(|at| text.as_bytes().get(at + 1).is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!')))
}

/// HTML as it reads: without tags and comments.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        out.push(TAG);
        let tag = &rest[start..];
        let end = if tag.starts_with("<!--") { tag.find("-->").map(|at| at + 3) } else { tag.find('>').map(|at| at + 1) };
        rest = end.map_or("", |end| &tag[end..]);
    }
    out.push_str(rest);
    out
}

/// Properties of a calendar that hold what we reckoned, and nothing that somebody wrote.
const STAMPS: [&str; 7] = ["DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "UID", "TRIGGER", "CREATED"];

/// RFC 5545 3.1, 3.3.11: lines joined, those that we wrote of times and counts left out, then escapes resolved.
pub(super) fn unfolded(calendar: &str) -> String {
    let mut joined = String::with_capacity(calendar.len());
    for line in calendar.split_inclusive('\n') {
        match line.strip_prefix([' ', '\t']) {
            Some(more) => {
                joined.truncate(joined.trim_end_matches(['\r', '\n']).len());
                joined.push_str(more);
            }
            None => joined.push_str(line),
        }
    }
    let told: String = joined.split_inclusive('\n').filter(|line| !STAMPS.iter().any(|stamp| line.starts_with(stamp))).collect();
    let mut pieces = told.split('\\');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.strip_prefix(['n', 'N']) {
            Some(after) => out.extend(["\n", after]),
            None => out.push_str(piece),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_read_as_its_reader_would() {
        for (written, read) in [
            ("SUMMARY:Your ses\r\n sion\r\nX:1", "SUMMARY:Your session\r\nX:1"),
            ("A:7\n\t01\n 678", "A:701678"),
            ("D:one\\ntwo\\, three\\\\", "D:one\ntwo, three"),
            ("D:\\Nx\\;y\r\n", "D:\nx;y\r\n"),
            ("D:701\\\r\n n678", "D:701\n678"),
            ("DTSTART:20261128T150000Z\r\nSUMMARY:x\\nDTSTART:1\r\n", "SUMMARY:x\nDTSTART:1\r\n"),
            ("", ""),
        ] {
            assert_eq!(unfolded(written), read, "{written:?}");
        }
    }

    fn readings(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        each(text, &mut |reading| {
            all.push(reading.to_owned());
            Ok::<(), ()>(())
        })
        .unwrap();
        all
    }

    #[test]
    fn what_is_encoded_is_decoded_however_often() {
        for written in [
            "378 174",
            "378&#32;174",
            "378&#x20;174",
            "378&amp;#32;174",
            "378%20174",
            "378%2520174",
            "378=20174",
            "37=\n8 174",
            "37=\r\n8=20174",
            "Mzc4IDE3NA",
            "x: Mzc4IDE3NA==.",
            "/Mzc4IDE3NA/",
            "3<b>78 1</b>74",
            "378&lt;i&gt; &lt;/i&gt;174",
            "378<!-- x --> 174",
            "TXpjNElERTNOQQ",
        ] {
            let all = readings(written);
            assert!(all.iter().any(|reading| reading.contains("378 174")), "{written}: {all:?}");
            assert!(all.iter().any(|reading| reading == written));
        }
        for once in ["378 174, 100% & more", "a < b = c", "https://example.com/a?b", ""] {
            assert_eq!(readings(once), [once]);
        }
    }

    #[test]
    fn what_nobody_sees_is_not_there() {
        for (written, read) in
            [("3\u{AD}7\u{200B}8", "378"), ("３７８", "378"), ("③⑦⑧", "378"), ("3\u{FE0F}\u{20E3}", "3"), ("𝟑７⁸", "378"), ("é", "é")]
        {
            assert_eq!(plain(written), read);
        }
    }
}
