//! The gate: no message leaves with something of another person in it.
//!
//! In: the final bytes, and the session that they speak of. Out: nothing, or a [`RenderError::Leak`] that names the kind of
//! thing and whose it is, never the thing.
//!
//! The bytes are taken apart again by another library than the one that wrote them, as a reader's program would: transfer
//! encodings and encoded words decoded, entities resolved, tags taken out, calendar lines unfolded, percent signs resolved.
//! A code is found however it is split: whatever stands between two digits, short of a letter, is passed over.
//!
//! Allowed is what is the recipient's own, and what the practice itself shows everyone (From, Reply-To, its contact): a
//! practice of one person has the host's own address as its sender.

use std::borrow::Cow;

use mailparse::ParsedMail;
use mailparse::body::Body;

use super::{Facts, RenderError, Settings, quoted};
use crate::contact::{ConnectCode, EmailAddress};
use crate::message::Content;
use crate::session::{Participant, Role};

/// Passes a message, or names what it would have shown.
pub(super) fn check(content: &Content, facts: &Facts<'_>, settings: &Settings) -> Result<(), RenderError> {
    let strangers = Strangers::of(facts, settings);
    if strangers.things.is_empty() {
        return Ok(());
    }
    match content {
        Content::Email { bytes, .. } => strangers.search_mail(bytes),
        Content::Sms { text, .. } => strangers.search(text),
    }
}

/// Stands where a tag was: two numbers beside it are two, and their digits are still read on.
const TAG: char = '\u{1}';
/// Fewer digits than this are a date or a price, not a telephone number.
const NUMBER_MIN: usize = 7;
/// A passkey from this length on is searched for anywhere; a shorter one only as a word of its own.
const PASSKEY_ANYWHERE: usize = 8;

/// What must not be in a message.
struct Strangers {
    things: Vec<Thing>,
    /// Digits that may be in it: they are taken out first, so that they cannot make up a stranger's together with what stands beside them.
    own: Vec<Vec<u8>>,
}

/// One thing of somebody else's.
struct Thing {
    kind: Kind,
    /// Digits, lower-case letters and digits, or a lower-case address.
    value: String,
    /// `the connect code of another participant (18620)`
    what: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Digits,
    Passkey,
    Address,
}

impl Strangers {
    fn of(facts: &Facts<'_>, settings: &Settings) -> Self {
        let own = Own::of(facts, settings);
        let mut things = Vec::new();
        let mut add = |kind, value: String, what: String| {
            if !value.is_empty() && !own.has(kind, &value) {
                things.push(Thing { kind, value, what });
            }
        };
        if let Some(code) = facts.session.code {
            add(Kind::Digits, code.expose(), "the connect code of the session itself".to_owned());
        }
        for unread in facts.session.unread.iter().filter(|unread| unread.id != Some(facts.participant.id)) {
            let whose = unread.id.map_or_else(String::new, |id| format!(" ({id})"));
            add(Kind::Digits, unread.code.expose(), format!("the connect code of a participant whose record is at fault{whose}"));
        }
        for person in facts.session.participants.iter().filter(|p| p.id != facts.participant.id) {
            let whose = whose(person);
            if let Some(code) = person.code {
                add(Kind::Digits, code.expose(), format!("the connect code of {whose}"));
            }
            if let Some(passkey) = &person.passkey {
                add(Kind::Passkey, alphanumeric(passkey.expose()), format!("the passkey of {whose}"));
            }
            add(Kind::Address, person.email.0.trim().to_lowercase(), format!("the e-mail address of {whose}"));
            let number = national(&person.sms_number.0);
            if number.len() >= NUMBER_MIN {
                add(Kind::Digits, number, format!("the telephone number of {whose}"));
            }
        }
        Self { things, own: own.digits.into_iter().map(String::into_bytes).collect() }
    }

    /// An e-mail: the headers that carry values, and each part as it is and as it reads.
    fn search_mail(&self, bytes: &[u8]) -> Result<(), RenderError> {
        let mail = mailparse::parse_mail(bytes).map_err(|_| unreadable())?;
        for header in &mail.headers {
            if !header.get_key_ref().eq_ignore_ascii_case("Date") {
                self.search(&header.get_value())?;
            }
        }
        mail.subparts.iter().try_for_each(|part| self.search_part(part))
    }

    fn search_part(&self, part: &ParsedMail<'_>) -> Result<(), RenderError> {
        let body = body_of(part)?;
        match part.ctype.mimetype.as_str() {
            "text/html" => {
                self.search(&html_escape::decode_html_entities(&body))?;
                // A tag parts digits and words no more than nothing does: once with a mark for each, once without.
                let marked = without_tags(&body);
                let read = html_escape::decode_html_entities(&marked);
                self.search(&read)?;
                let mut joined = read.into_owned();
                joined.retain(|c| c != TAG);
                self.search(&joined)
            }
            "text/calendar" => self.search(&unfolded(&body)),
            _ => self.search(&body),
        }
    }

    /// One reading of one text.
    fn search(&self, text: &str) -> Result<(), RenderError> {
        self.search_plain(text)?;
        if has_percent_escape(text) { self.search_plain(&percent_decoded(text)) } else { Ok(()) }
    }

    fn search_plain(&self, text: &str) -> Result<(), RenderError> {
        let mut digits = Digits::of(text);
        self.own.iter().for_each(|own| digits.take_out(own));
        let mut letters = None;
        for thing in &self.things {
            let found = match thing.kind {
                Kind::Digits => digits.contain(thing.value.as_bytes()),
                Kind::Passkey => holds_passkey(text, letters.get_or_insert_with(|| alphanumeric(text)), &thing.value),
                Kind::Address => holds_address(text, &thing.value),
            };
            if found {
                return Err(RenderError::Leak { what: thing.what.clone() });
            }
        }
        Ok(())
    }
}

/// What may be shown: the recipient's own, and the practice's.
struct Own {
    digits: Vec<String>,
    passkey: String,
    addresses: Vec<String>,
    /// The practice's contact as it is written: it may name several numbers and addresses.
    contact: String,
}

impl Own {
    fn of(facts: &Facts<'_>, settings: &Settings) -> Self {
        let person = facts.participant;
        let told = facts.notice.address.expose();
        let mut digits: Vec<String> = person.code.map(ConnectCode::expose).into_iter().collect();
        digits.extend([person.sms_number.0.as_str(), told].map(national).into_iter().filter(|n| n.len() >= NUMBER_MIN));
        let own = [person.email.0.trim(), told, settings.from.expose()].into_iter();
        let addresses = own.chain(settings.reply_to.as_ref().map(EmailAddress::expose)).map(str::to_lowercase).collect();
        let passkey = person.passkey.as_ref().map(|p| alphanumeric(p.expose())).unwrap_or_default();
        Self { digits, passkey, addresses, contact: settings.practice_contact.clone() }
    }

    fn has(&self, kind: Kind, value: &str) -> bool {
        match kind {
            Kind::Digits => self.digits.iter().any(|d| d == value) || Digits::of(&self.contact).contain(value.as_bytes()),
            Kind::Passkey => self.passkey == value,
            Kind::Address => self.addresses.iter().any(|a| a == value) || holds_address(&self.contact, value),
        }
    }
}

/// The digits of a text, in order, with a gap wherever a letter parts them.
struct Digits {
    /// `b'0'..=b'9'`, or [`GAP`].
    units: Vec<u8>,
    /// Whether a digit is the first after something that is no digit.
    first: Vec<bool>,
}

/// No digit: nothing is found across it.
const GAP: u8 = 0;
/// As many bytes as are looked at together.
const WORD: usize = size_of::<u64>();
/// The highest bit of each byte of a word.
const HIGH: u64 = each(0x80);

/// A word of one byte again and again.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; WORD])
}

/// The [`HIGH`] bits of those bytes of an ASCII word that lie in a range: none of the sums runs over into the next byte.
const fn bytes_in(word: u64, first: u8, last: u8) -> u64 {
    let at_least = word + each(0x80 - first);
    let above = word + each(0x7F - last);
    at_least & !above & HIGH
}

impl Digits {
    fn of(text: &str) -> Self {
        let mut digits = Self { units: Vec::with_capacity(1024), first: Vec::with_capacity(1024) };
        let (mut after_digit, mut after_letter) = (false, false);
        let mut at = 0;
        while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
            // Nearly all of a message is ASCII: the digits and letters of a word are found at once.
            let word = rest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).filter(|word| word & HIGH == 0);
            if let Some(word) = word {
                let mut ones = bytes_in(word, b'0', b'9');
                let mut letters = bytes_in(word | each(0x20), b'a', b'z');
                // The bit below which everything is behind us.
                let mut behind = 0;
                while ones != 0 {
                    let bit = ones.trailing_zeros();
                    after_letter |= letters & ((1 << bit) - 1) != 0;
                    digits.push(rest[bit as usize / WORD], after_digit && bit == behind + 7, after_letter);
                    (after_digit, after_letter) = (true, false);
                    behind = bit + 1;
                    ones &= ones - 1;
                    letters &= u64::MAX.checked_shl(behind).unwrap_or(0);
                }
                after_letter |= letters != 0;
                after_digit = behind == u64::BITS;
                at += WORD;
                continue;
            }
            let c = char_at(text, at);
            let digit = decimal(c);
            if let Some(digit) = digit {
                digits.push(b'0' + digit, after_digit, after_letter);
                after_letter = false;
            }
            after_letter |= c.is_alphabetic();
            after_digit = digit.is_some();
            at += c.len_utf8();
        }
        digits
    }

    fn push(&mut self, digit: u8, after_digit: bool, after_letter: bool) {
        if after_letter && !self.units.is_empty() {
            self.units.push(GAP);
            self.first.push(true);
        }
        self.units.push(digit);
        self.first.push(!after_digit);
    }

    /// Puts gaps where `own` stands as a number of its own, split or not.
    fn take_out(&mut self, own: &[u8]) {
        let n = own.len();
        let mut from = 0;
        while n > 0
            && let Some(found) = memchr::memmem::find(&self.units[from..], own)
        {
            let at = from + found;
            let whole = self.first[at] && self.first.get(at + n).copied().unwrap_or(true);
            if whole {
                self.units[at..at + n].fill(GAP);
            }
            from = if whole { at + n } else { at + 1 };
        }
    }

    fn contain(&self, needle: &[u8]) -> bool {
        memchr::memmem::find(&self.units, needle).is_some()
    }
}

/// A passkey, with or without its hyphens; a short one only where it is a word of its own. `letters` is the text without all else.
fn holds_passkey(text: &str, letters: &str, passkey: &str) -> bool {
    if passkey.len() >= PASSKEY_ANYWHERE {
        return memchr::memmem::find(letters.as_bytes(), passkey.as_bytes()).is_some();
    }
    text.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| alphanumeric(word) == passkey)
}

/// An address, and not the end or the beginning of a longer one.
fn holds_address(text: &str, address: &str) -> bool {
    let Some(local) = address.rfind('@') else { return false };
    memchr::memchr_iter(b'@', text.as_bytes()).any(|at| {
        let Some(start) = at.checked_sub(local) else { return false };
        let same = text.get(start..start + address.len()).is_some_and(|found| found.eq_ignore_ascii_case(address));
        same && !continues_left(&text[..start]) && !continues_right(&text[start + address.len()..])
    })
}

fn continues_left(before: &str) -> bool {
    before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
}

fn continues_right(after: &str) -> bool {
    let mut after = after.chars();
    match (after.next(), after.next()) {
        (Some('.'), Some(c)) => c.is_alphanumeric(),
        (Some(c), _) => c.is_alphanumeric() || c == '-',
        (None, _) => false,
    }
}

/// A part's body as a reader's program would decode it.
fn body_of(part: &ParsedMail<'_>) -> Result<String, RenderError> {
    match part.get_body_encoded() {
        Body::QuotedPrintable(body) => quoted::read(body.get_raw()).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable),
        _ => part.get_body().map_err(|_| unreadable()),
    }
}

/// The character that begins at this byte.
fn char_at(text: &str, at: usize) -> char {
    text.get(at..).and_then(|rest| rest.chars().next()).expect("the bytes before it are whole characters")
}

fn whose(person: &Participant) -> String {
    match person.role {
        Role::Host => format!("the host ({})", person.id),
        Role::Participant => format!("another participant ({})", person.id),
    }
}

/// The value of a decimal digit, also of the other scripts that a keyboard may write one in.
fn decimal(c: char) -> Option<u8> {
    let zero = match c {
        '0'..='9' => '0',
        '\u{0660}'..='\u{0669}' => '\u{0660}',
        '\u{06F0}'..='\u{06F9}' => '\u{06F0}',
        '\u{0966}'..='\u{096F}' => '\u{0966}',
        '\u{FF10}'..='\u{FF19}' => '\u{FF10}',
        _ => return None,
    };
    Some((u32::from(c) - u32::from(zero)) as u8)
}

/// The digits of a telephone number, without North America's country code, which may or may not be written.
fn national(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix('1') {
        Some(rest) if rest.len() == 10 => rest.to_owned(),
        _ => digits,
    }
}

fn alphanumeric(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
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

/// RFC 5545 3.1, 3.3.11: lines joined, then escapes resolved.
fn unfolded(calendar: &str) -> String {
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
    let mut pieces = joined.split('\\');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.strip_prefix(['n', 'N']) {
            Some(after) => out.extend(["\n", after]),
            None => out.push_str(piece),
        }
    }
    out
}

/// Whether anything in it would be read otherwise. (`width="100%"` would not.)
fn has_percent_escape(text: &str) -> bool {
    memchr::memchr_iter(b'%', text.as_bytes())
        .any(|at| text.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

/// `%41` as `A`; what is not UTF-8 then becomes a replacement character.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let pair = rest.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = pair.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            bytes = &rest[2..];
        } else {
            out.push(*first);
            bytes = rest;
        }
    }
    match String::from_utf8_lossy(&out) {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => text.to_owned(),
    }
}

fn unreadable() -> RenderError {
    RenderError::Leak { what: "something that cannot be read back, and so cannot be checked".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, one character after the other.
    fn slowly(text: &str) -> (Vec<u8>, Vec<bool>) {
        let (mut units, mut first) = (Vec::new(), Vec::new());
        let (mut after_digit, mut after_letter) = (false, false);
        for c in text.chars() {
            if let Some(digit) = decimal(c) {
                if after_letter && !units.is_empty() {
                    units.push(GAP);
                    first.push(true);
                }
                units.push(b'0' + digit);
                first.push(!after_digit);
                after_letter = false;
            }
            after_letter |= c.is_alphabetic();
            after_digit = decimal(c).is_some();
        }
        (units, first)
    }

    proptest! {
        #[test]
        fn digits_are_the_same_however_many_bytes_are_looked_at_together(pieces in proptest::collection::vec("[ -/:-@]{0,20}|[0-9]{1,20}|[0-9]|[a-zA-Z]{1,20}|[\\[-`{-\u{7f}]|[\u{0}-\u{1f}]|[é٣–]", 0..12)) {
            let text = pieces.concat();
            let digits = Digits::of(&text);
            prop_assert_eq!((digits.units, digits.first), slowly(&text));
        }
    }

    #[test]
    fn a_calendar_is_read_as_its_reader_would() {
        for (written, read) in [
            ("SUMMARY:Your ses\r\n sion\r\nX:1", "SUMMARY:Your session\r\nX:1"),
            ("A:7\n\t01\n 678", "A:701678"),
            ("D:one\\ntwo\\, three\\\\", "D:one\ntwo, three"),
            ("D:\\Nx\\;y\r\n", "D:\nx;y\r\n"),
            ("D:701\\\r\n n678", "D:701\n678"),
            ("", ""),
        ] {
            assert_eq!(unfolded(written), read, "{written:?}");
        }
    }
}
