//! All the ways in which one text can be read: as it stands, and with what a reader's program, or a reader who tries, would decode.
//!
//! In: a part of a message. Out: each reading of it, once; [`plain`] makes a reading fit to be searched.
//!
//! A text that was encoded again and again is decoded [`DEPTH`] times. Invariant: nothing is lost, a decoded text is read beside the one that it
//! was made of.

use std::borrow::Cow;
use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use super::base64::base64;
use super::entities::{entities, of_windows};
use super::tags::{Markup, apart, as_shown, has_tag, within_tags, without_marks, without_tags};
use crate::contact::is_invisible;

/// A code in HTML in a link in an encoded word: nobody goes further.
const DEPTH: u32 = 4;

/// Text without what nobody sees: compatibility forms resolved (NFKC), invisible characters out, and the boxes around digits of a keypad.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let seen = |c: &char| !is_invisible(*c) && !matches!(c, '\u{200C}' | '\u{200D}' | '\u{20E3}' | '\u{FE00}'..='\u{FE0F}');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Nothing composes with an ASCII character but what stands behind it.
    while let Some(other) = not_ascii(rest.as_bytes()) {
        let from = other.saturating_sub(1);
        let end = rest.as_bytes()[other..].iter().position(u8::is_ascii).map_or(rest.len(), |n| other + n);
        out.push_str(&rest[..from]);
        out.extend(rest[from..end].nfkc().filter(seen));
        rest = &rest[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Where the first byte stands that is not ASCII.
pub(super) fn not_ascii(text: &[u8]) -> Option<usize> {
    const MANY: usize = 32;
    let ascii = text.chunks_exact(MANY).take_while(|chunk| chunk.is_ascii()).count() * MANY;
    text[ascii..].iter().position(|byte| !byte.is_ascii()).map(|n| ascii + n)
}

/// What is done with each reading, until it fails.
pub(super) type Visit<'v, E> = &'v mut dyn FnMut(&str) -> Result<(), E>;

/// What is undone of a text beside entities and escapes.
#[derive(Clone, Copy)]
struct Undo {
    /// It is read without its tags, too.
    tags: bool,
    /// Base64 in it is decoded: unless another reading has the same letters, the text with a mark for each tag, or without what nobody sees.
    base64: bool,
}

const ALL: Undo = Undo { tags: true, base64: true };
/// Without tags it is read anyway.
const WITH_TAGS: Undo = Undo { tags: false, base64: true };
/// With marks it was read before.
const WITHOUT_MARKS: Undo = Undo { tags: true, base64: false };

/// Visits every reading of a text, each as [`plain`] makes it, until one visit fails.
pub(super) fn each_of_text<E>(text: &str, visit: Visit<'_, E>) -> Result<(), E> {
    deeper(text, DEPTH, ALL, visit)
}

/// Visits what a text shows that nobody hid anything in, be it HTML or not.
pub(super) fn each_shown(text: &str, visit: &mut impl FnMut(&str)) {
    visit(text);
    let marked = without_tags(text);
    let read = entities(&marked).unwrap_or(Cow::Borrowed(&marked));
    visit(&read);
    visit(&without_marks(&read));
    entities(text).iter().for_each(|read| visit(read));
}

/// Likewise every reading of HTML: what stands in its tags, and what is read.
pub(super) fn each_of_html<E>(html: &str, markup: &Markup, visit: Visit<'_, E>) -> Result<(), E> {
    let (written, read) = apart(html, markup);
    // What its own tags hold is read as it is, and not without them once more.
    if let Some(decoded) = entities(&written) {
        within_tags(&written).map_or(Ok(()), |within| deeper(&within, DEPTH, ALL, visit))?;
        deeper(&decoded, DEPTH - 1, WITH_TAGS, visit)?;
    } else {
        deeper(&written, DEPTH - 1, WITH_TAGS, visit)?;
    }
    // A tag parts digits and words no more than nothing does: once with a mark for each, once without.
    let read = entities(&read).unwrap_or(Cow::Borrowed(&read));
    shown_twice(&read, DEPTH - 1, visit)?;
    as_shown(&written).map_or(Ok(()), |shown| shown_twice(&shown, DEPTH, visit))
}

/// A tag parts words no more than nothing does.
fn shown_twice<E>(marked: &str, depth: u32, visit: Visit<'_, E>) -> Result<(), E> {
    deeper(marked, depth, ALL, visit)?;
    deeper(&without_marks(marked), depth, WITHOUT_MARKS, visit)
}

fn deeper<E>(text: &str, depth: u32, undo: Undo, visit: Visit<'_, E>) -> Result<(), E> {
    let seen = plain(text);
    visit(&seen)?;
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    // Whoever hid what it is written with, hid it from whoever decodes.
    match seen {
        Cow::Owned(seen) if seen != text => {
            undone(text, depth, Undo { base64: false, ..undo }, visit)?;
            undone(&seen, depth, undo, visit)
        }
        _ => undone(text, depth, undo, visit),
    }
}

/// Each encoding undone once, and read on.
fn undone<E>(text: &str, depth: u32, undo: Undo, visit: Visit<'_, E>) -> Result<(), E> {
    for decoded in [entities(text), percent(text), quoted(text)].into_iter().flatten() {
        deeper(&decoded, depth, Undo { base64: true, ..undo }, visit)?;
    }
    let decoded = if undo.base64 { base64(text) } else { BTreeSet::new() };
    for decoded in decoded {
        deeper(&decoded, depth, ALL, visit)?;
    }
    if !has_tag(text) {
        return Ok(());
    }
    if let Some(within) = within_tags(text) {
        deeper(&within, depth, ALL, visit)?;
    }
    if undo.tags {
        shown_twice(&without_tags(text), depth, visit)?;
        as_shown(text).map_or(Ok(()), |shown| shown_twice(&shown, depth, visit))?;
    }
    Ok(())
}

/// `%41` as `A`; what is not UTF-8 then is read as Windows-1252. `None`: nothing in it is written so. (`width="100%"` is not.)
fn percent(text: &str) -> Option<Cow<'_, str>> {
    escaped(text, b'%')
}

/// Quoted-printable: `=41` as `A`, and lines that end in `=` joined.
fn quoted(text: &str) -> Option<Cow<'_, str>> {
    let all = text.as_bytes();
    let softly = |at: usize| match all.get(at + 1) {
        Some(b'\n') => true,
        Some(b'\r') => all.get(at + 2) == Some(&b'\n'),
        _ => false,
    };
    // Nearly everything that an = stands before is a word in quotes.
    let first = memchr::memchr_iter(b'=', all).find(|at| softly(*at) || escaped_byte(all, *at).is_some())?;
    if memchr::memchr_iter(b'=', &all[first..]).any(|at| softly(first + at)) {
        let joined = text.replace("=\r\n", "").replace("=\n", "");
        return Some(Cow::Owned(escaped(&joined, b'=').map_or_else(|| joined.clone(), Cow::into_owned)));
    }
    escaped(text, b'=')
}

/// A sign and two hexadecimal digits are one byte.
fn escaped(text: &str, sign: u8) -> Option<Cow<'_, str>> {
    let all = text.as_bytes();
    let mut out = Vec::new();
    let mut from = 0;
    for at in memchr::memchr_iter(sign, all) {
        if at >= from
            && let Some(byte) = escaped_byte(all, at)
        {
            out.extend_from_slice(&all[from..at]);
            out.push(byte);
            from = at + 3;
        }
    }
    if from == 0 {
        return None;
    }
    out.extend_from_slice(&all[from..]);
    Some(Cow::Owned(String::from_utf8(out).unwrap_or_else(|e| lossily(e.as_bytes()))))
}

/// What the two digits behind a sign stand for.
fn escaped_byte(text: &[u8], sign: usize) -> Option<u8> {
    Some(hex(*text.get(sign + 1)?)? << 4 | hex(*text.get(sign + 2)?)?)
}

/// As `String::from_utf8_lossy`; but each byte that is no text is one of Windows-1252.
fn lossily(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Err(e) = std::str::from_utf8(rest) {
        let (valid, bad) = rest.split_at(e.valid_up_to());
        out.push_str(std::str::from_utf8(valid).unwrap_or_default());
        let bad_ones = e.error_len().unwrap_or(bad.len());
        out.extend(bad[..bad_ones].iter().copied().map(of_windows));
        rest = &bad[bad_ones..];
    }
    out.push_str(std::str::from_utf8(rest).unwrap_or_default());
    out
}

/// The value of a hexadecimal digit.
fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

/// Properties of a calendar that hold what we reckoned, and nothing that somebody wrote.
const STAMPS: [&str; 7] = ["DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "UID", "TRIGGER", "CREATED"];

/// What each says of its reader, between two texts.
const OF_ITS_READER: &str = ";CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=FALSE:";

/// RFC 5545 3.1, 3.3.11: lines joined, what we wrote of times and counts and of every reader left out, then escapes resolved.
pub(super) fn unfolded(calendar: &str) -> String {
    let mut joined = String::with_capacity(calendar.len());
    for line in lines(calendar) {
        match line.strip_prefix([' ', '\t']) {
            Some(more) => {
                joined.truncate(joined.trim_end_matches(['\r', '\n']).len());
                joined.push_str(more);
            }
            None => joined.push_str(line),
        }
    }
    let told: String = lines(&joined).filter(|line| !STAMPS.iter().any(|stamp| line.starts_with(stamp))).collect();
    let told = match memchr::memmem::find(told.as_bytes(), OF_ITS_READER.as_bytes()) {
        Some(at) => [&told[..at], &told[at..].replace(OF_ITS_READER, " and ")].concat(),
        None => told,
    };
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

/// Each with its end.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
    let mut from = 0;
    ends.chain([text.len()]).map(move |end| &text[std::mem::replace(&mut from, end)..end]).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_calendar_is_read_as_its_reader_would() {
        for (written, read) in [
            ("SUMMARY:Your ses\r\n sion\r\nX:1", "SUMMARY:Your session\r\nX:1"),
            ("A:7\n\t01\n 678", "A:701678"),
            ("D:one\\ntwo\\, three\\\\", "D:one\ntwo, three"),
            ("D:\\Nx\\;y\r\n", "D:\nx;y\r\n"),
            ("D:701\\\r\n n678", "D:701\n678"),
            (
                "ATTENDEE;CN=\"A\";CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-\r\n PARTICIPANT;RSVP=FALSE:mailto:b",
                "ATTENDEE;CN=\"A\" and mailto:b",
            ),
            ("A;RSVP=FALSE:x", "A;RSVP=FALSE:x"),
            ("DTSTART:20261128T150000Z\r\nSUMMARY:x\\nDTSTART:1\r\n", "SUMMARY:x\nDTSTART:1\r\n"),
            ("", ""),
        ] {
            assert_eq!(unfolded(written), read, "{written:?}");
        }
    }

    fn readings(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        each_of_text(text, &mut |reading| {
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
            "\u{FF2D}zc4IDE3NA",
            "Mzc4\u{AD}IDE\u{200B}3NA",
            "378\u{FF05}20174",
            "378\u{FF06}\u{FF03}32;174",
            "378%\u{AD}20174",
            "378&#3\u{AD}2;174",
            "Mzc4I DE3NA",
            "Mzc4<b></b>IDE3NA",
            "<i title='378 &lt;b&gt;174'>",
            "<i title=378&lt;b&gt;&#32;174>",
            "<a href='data:text/html;base64,MzxpPjc4IDE8L2k+NzQ='>",
            "37<i title='a>b'>8 174",
            "37<style>a</style>8 174",
        ] {
            let all = readings(written);
            assert!(all.iter().any(|reading| reading.contains("378 174")), "{written}: {all:?}");
            assert!(all.iter().any(|reading| *reading == plain(written)));
        }
        for once in ["378 174, 100% & more", "a < b = c", "https://example.com/a?b", ""] {
            assert_eq!(readings(once), [once]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_plain_is_the_same_however_much_is_ascii(text in "([a-c ]{0,3}|[e\u{301}\u{327}é가각\u{1100}\u{1161}\u{11A8}]{0,3}|[３③\u{200B}\u{FE0F}﷐ﬁﷺ]|\\PC)*") {
            let seen = |c: &char| !is_invisible(*c) && !matches!(c, '\u{200C}' | '\u{200D}' | '\u{20E3}' | '\u{FE00}'..='\u{FE0F}');
            prop_assert_eq!(plain(&text), text.nfkc().filter(seen).collect::<String>());
        }

        #[test]
        fn what_is_no_text_is_replaced_where_the_library_does(pieces in proptest::collection::vec(prop_oneof!["[ -~é–😀]{0,6}".prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..5)], 0..9)) {
            let bytes = pieces.concat();
            let mut replaced = String::new();
            for chunk in bytes.utf8_chunks() {
                replaced.push_str(chunk.valid());
                replaced.extend(chunk.invalid().iter().copied().map(of_windows));
            }
            prop_assert_eq!(lossily(&bytes), replaced);
        }

        #[test]
        fn the_first_byte_that_is_not_ascii_is_found(before in "[ -~]{0,100}", after in "(é[ -~]{0,9})?") {
            prop_assert_eq!(not_ascii(format!("{before}{after}").as_bytes()), (!after.is_empty()).then_some(before.len()));
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
