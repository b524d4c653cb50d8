//! What of a text is text in base64: in one word, or in pieces.
//!
//! In: a text. Out: what it decodes to. Nearly all that is tried decodes to bytes that are no text, and most by its first byte.

use std::collections::BTreeSet;

use crate::render::bytes::{WORD, ascii_word, digits_and_letters, first_of};

/// The shortest text that is tried as base64: nine digits make twelve.
const SHORTEST: usize = 8;
/// The bytes that it makes.
const LEAST: usize = SHORTEST / 4 * 3;
/// Words that are no base64 seldom make more text than this.
const BEHIND: usize = 16;

/// What a text decodes to wherever base64 begins in it, as far as it is text. It may have been broken into pieces: a reader's program passes over
/// whatever is no base64 (RFC 2045 6.8).
pub(super) fn base64(text: &str) -> BTreeSet<String> {
    let mut decoded = BTreeSet::new();
    if text.len() < SHORTEST {
        return decoded;
    }
    let mut visit = |found: &str| {
        decoded.insert(found.to_owned());
    };
    Both::default().each(text.as_bytes(), &mut visit);
    if is_padded(text.as_bytes()) {
        each_padded(text.as_bytes(), &mut visit);
    }
    decoded
}

/// A run of it has the length that a `=` ends, or two.
fn is_padded(text: &[u8]) -> bool {
    memchr::memchr_iter(b'=', text).any(|at| {
        let run = text[..at].iter().rev().take_while(|byte| WITH_SIGNS[usize::from(**byte)] != NO_SEXTET).count();
        matches!((run % 4, text.get(at + 1) == Some(&b'=')), (3, false) | (2, true))
    })
}

/// What base64 has beside letters and digits, in both alphabets (RFC 4648 4, 5).
const fn is_sign(byte: u8) -> bool {
    matches!(byte, b'+' | b'-' | b'/' | b'_')
}

/// The six bits that a character of base64 stands for, in both alphabets.
static WITH_SIGNS: [u8; 256] = sextets(true);
/// The same without signs.
static PLAIN: [u8; 256] = sextets(false);
/// A bit that no sextet has.
const NO_SEXTET: u8 = 64;

const fn sextets(signs: bool) -> [u8; 256] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut all = [NO_SEXTET; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        if signs || !is_sign(ALPHABET[value]) {
            all[ALPHABET[value] as usize] = value as u8;
        }
        value += 1;
    }
    if signs {
        all[b'-' as usize] = 62;
        all[b'_' as usize] = 63;
    }
    all
}

/// What a byte of a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    /// The first of so many bytes of a character.
    First(u8),
    Further,
    None,
}

/// By its value. Control characters are in no text.
static BYTES: [Byte; 256] = {
    let mut all = [Byte::None; 256];
    let mut value = 0;
    while value < 256 {
        all[value] = match value as u8 {
            b'\t'..=b'\r' | b' '..=b'~' => Byte::First(0),
            0xC2..=0xDF => Byte::First(1),
            0xE0..=0xEF => Byte::First(2),
            0xF0..=0xF4 => Byte::First(3),
            0x80..=0xBF => Byte::Further,
            _ => Byte::None,
        };
        value += 1;
    }
    all
};

/// Whether a text may begin so: for each first character of base64, the second ones with which its first byte is one of text, and its second byte may
/// be. (No sign may begin one.)
static MAY_BEGIN: [u64; 64] = {
    let mut all = [0; 64];
    let mut two = 0;
    while two < 64 * 64 {
        let (first, second) = (two / 64, two % 64);
        let mut rest = 0;
        while rest < 16 {
            let mut character = Character { left: 0 };
            if character.goes_on((first << 2 | second >> 4) as u8) && character.goes_on((second << 4 | rest) as u8) {
                all[first] |= 1 << second;
            }
            rest += 1;
        }
        two += 1;
    }
    all
};

/// The quickest look, at the word that begins there.
#[inline]
fn may_begin(text: &[u8], at: usize) -> bool {
    let seconds = MAY_BEGIN[usize::from(PLAIN[usize::from(text[at])] & 63)];
    let second = text.get(at + 1).map_or(NO_SEXTET, |byte| PLAIN[usize::from(*byte)]);
    if second == NO_SEXTET { seconds != 0 } else { seconds >> second & 1 == 1 }
}

/// Both alphabets: a sign is a part of it, or stands between two pieces. Of each, what was read.
#[derive(Default)]
struct Both {
    plain: Reads,
    signed: Reads,
}

impl Both {
    /// Visits each text that begins where a word does.
    fn each(&mut self, text: &[u8], visit: &mut impl FnMut(&str)) {
        // Whether the last byte was a letter or a digit.
        let mut within = false;
        let mut at = 0;
        while at < text.len() {
            // Where words begin in eight bytes is found at once.
            if let Some(word) = ascii_word(text, at) {
                let (digits, letters) = digits_and_letters(word);
                let parts = digits | letters;
                let mut starts = parts & !(parts << 8 | u64::from(within) << 7);
                while starts != 0 {
                    let start = at + first_of(starts);
                    if may_begin(text, start) {
                        self.begins(text, start, visit);
                    }
                    starts &= starts - 1;
                }
                within = parts >> 63 == 1;
                at += WORD;
                continue;
            }
            let part = PLAIN[usize::from(text[at])] != NO_SEXTET;
            if part && !within && may_begin(text, at) {
                self.begins(text, at, visit);
            }
            within = part;
            at += 1;
        }
    }

    /// A word begins there. Nearly always no text does.
    fn begins(&mut self, text: &[u8], at: usize, visit: &mut impl FnMut(&str)) {
        let FirstParts { is_text, passed_sign } = begins_text(&text[at..], &PLAIN);
        if !is_text && !passed_sign {
            return;
        }
        let end = if is_text { self.plain.read(text, at, &PLAIN, visit) } else { at };
        // Where no sign was passed, both are one.
        let may_differ = passed_sign || text[at..end].iter().copied().any(is_sign);
        let is_start = at == 0 || !is_sign(text[at - 1]);
        if may_differ && is_start && begins_text(&text[at..], &WITH_SIGNS).is_text {
            self.signed.read(text, at, &WITH_SIGNS, visit);
        }
    }
}

/// From where so many parts were decoded to a text: what begins within, a multiple of four parts behind the first, is a part of what that made.
#[derive(Default)]
struct Reads(Vec<Decoded>);

struct Decoded {
    from: usize,
    /// Parts that were decoded.
    parts: usize,
    /// Behind the last byte of what was looked at.
    end: usize,
}

impl Reads {
    /// Decodes from there, unless that was done already. Behind the last byte of what was looked at.
    fn read(&mut self, text: &[u8], at: usize, sextets: &[u8; 256], visit: &mut impl FnMut(&str)) -> usize {
        let parts = |from: usize| text[from..at].iter().filter(|byte| sextets[usize::from(**byte)] != NO_SEXTET).count();
        let is_within = |read: &&Decoded| {
            let before = parts(read.from);
            before < read.parts && before.is_multiple_of(4)
        };
        if let Some(read) = self.0.iter().find(is_within) {
            return read.end;
        }
        let DecodedSpan { bytes, end } = text_from(&text[at..], sextets, false, visit);
        self.0.push(Decoded { from: at, parts: bytes / 3 * 4, end: at + end });
        at + end
    }
}

/// A `=` ends a text, and another one follows: what both decode to stands together.
fn each_padded(text: &[u8], visit: &mut impl FnMut(&str)) {
    // The parts so far, and how far each of the four ways to divide them by four was text already.
    let (mut count, mut read) = (0_usize, [0; 4]);
    let mut within = false;
    for (at, byte) in text.iter().enumerate() {
        let part = WITH_SIGNS[usize::from(*byte)] != NO_SEXTET;
        if part && !within && count >= read[count % 4] {
            read[count % 4] = count + text_from(&text[at..], &WITH_SIGNS, true, visit).bytes / 3 * 4;
        }
        count += usize::from(part);
        if *byte == b'=' {
            count = count.next_multiple_of(4);
        }
        within = part;
    }
}

/// What the first parts show.
struct FirstParts {
    /// The first bytes are some of a text.
    is_text: bool,
    /// A sign stands between two of the parts that were looked at.
    passed_sign: bool,
}

/// A quick look: six bytes of text. Nearly every word ends it with its second or third.
fn begins_text(text: &[u8], sextets: &[u8; 256]) -> FirstParts {
    let mut character = Character::default();
    let (mut bytes, mut rest) = (0, text);
    // As long as four parts stand beside each other.
    while let Some((four, behind)) = rest.split_first_chunk::<4>() {
        let [a, b, c, d] = four.map(|byte| sextets[usize::from(byte)]);
        if (a | b | c | d) & NO_SEXTET != 0 {
            break;
        }
        if !(character.goes_on(a << 2 | b >> 4) && character.goes_on(b << 4 | c >> 2) && character.goes_on(c << 6 | d)) {
            return FirstParts { is_text: false, passed_sign: false };
        }
        bytes += 3;
        if bytes == LEAST {
            return FirstParts { is_text: true, passed_sign: false };
        }
        rest = behind;
    }
    let (mut bits, mut held, mut passed_sign) = (0_u32, 0, false);
    for byte in rest {
        let sextet = sextets[usize::from(*byte)];
        if sextet == NO_SEXTET {
            passed_sign |= is_sign(*byte);
            continue;
        }
        (bits, held) = (bits << 6 | u32::from(sextet), held + 6);
        if held < 8 {
            continue;
        }
        held -= 8;
        if !character.goes_on((bits >> held) as u8) {
            break;
        }
        bytes += 1;
        if bytes == LEAST {
            break;
        }
    }
    FirstParts { is_text: bytes == LEAST, passed_sign }
}

/// How far a text was decoded.
struct DecodedSpan {
    /// Of the text that it makes: what begins behind that is no part of it.
    bytes: usize,
    /// Behind the last byte of what was read.
    end: usize,
}

/// Decodes from here as long as it is text. Visits it if it is long enough. `padded`: a `=` ends a piece.
fn text_from(text: &[u8], sextets: &[u8; 256], padded: bool, visit: &mut impl FnMut(&str)) -> DecodedSpan {
    let mut bytes = Vec::new();
    // How many bytes were whole where each piece ended but the last.
    let mut ends = Vec::new();
    let mut character = Character::default();
    let (mut four, mut held, mut last, mut end) = ([0; 4], 0_usize, 0, text.len());
    for (at, byte) in text.iter().enumerate() {
        let is_end = padded && *byte == b'=' && held > 0;
        let sextet = sextets[usize::from(*byte)];
        if sextet != NO_SEXTET {
            if at > last + 1 {
                ends.push(bytes.len() + held.saturating_sub(1));
            }
            (four[held], held, last) = (sextet, held + 1, at);
        }
        if held == four.len() || is_end {
            let whole = bytes.len() + held - 1;
            bytes.extend(bytes_of(&four[..held]).take_while(|byte| character.goes_on(*byte)));
            held = 0;
            if bytes.len() < whole {
                end = at + 1;
                break;
            }
        }
    }
    bytes.extend(bytes_of(&four[..held]).take_while(|byte| character.goes_on(*byte)));
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    if text.len() >= LEAST {
        visit(text);
        // What stands behind the last piece may go on as text for a moment.
        let cuts = ends.into_iter().filter(|cut| *cut >= LEAST && *cut < text.len() && cut + BEHIND >= text.len());
        cuts.filter_map(|cut| text.get(..cut)).for_each(visit);
    }
    DecodedSpan { bytes: text.len(), end }
}

/// The bytes of four characters; of three or two at the end, the whole ones.
fn bytes_of(four: &[u8]) -> impl Iterator<Item = u8> {
    let [a, b, c, d] = std::array::from_fn(|n| four.get(n).copied().unwrap_or(0));
    [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d].into_iter().take(four.len().saturating_sub(1))
}

/// A character of UTF-8, as its bytes come.
#[derive(Default)]
struct Character {
    /// Bytes of it that are yet to come.
    left: u8,
}

impl Character {
    /// Whether a text may go on so.
    #[inline]
    const fn goes_on(&mut self, byte: u8) -> bool {
        self.left = match BYTES[byte as usize] {
            Byte::First(further) if self.left == 0 => further,
            Byte::Further if self.left > 0 => self.left - 1,
            _ => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_text_is_overlooked(
            text in "[ -~é–]{6,30}", url in any::<bool>(), before in "([A-Za-z]{1,8} ){0,3}", after in "( [A-Za-z]{1,8}){0,3}",
            cuts in proptest::collection::vec((any::<proptest::sample::Index>(), "[ .,:<>\n\u{1}é]{1,3}"), 0..6),
        ) {
            let mut pieces = if url { BASE64URL_NOPAD.encode(text.as_bytes()) } else { BASE64_NOPAD.encode(text.as_bytes()) };
            for (cut, sign) in cuts {
                // Not into another sign.
                let places: Vec<usize> = (1..pieces.len()).filter(|at| pieces.is_char_boundary(*at)).collect();
                pieces.insert_str(places[cut.index(places.len())], &sign);
            }
            let found = base64(&format!("{before}{pieces}{after}"));
            prop_assert!(found.iter().any(|found| found.contains(&text)), "{pieces:?}: {found:?}");
        }
    }

    /// What each word of either alphabet makes.
    fn slowly(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for sextets in [&PLAIN, &WITH_SIGNS] {
            let part = |at: usize| sextets[usize::from(text.as_bytes()[at])] != NO_SEXTET;
            for at in (0..text.len()).filter(|at| part(*at) && (*at == 0 || !part(*at - 1))) {
                text_from(&text.as_bytes()[at..], sextets, false, &mut |found| all.push(found.to_owned()));
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn whatever_a_word_makes_is_found(pieces in proptest::collection::vec(prop_oneof!["[ -~é–]{3,12}".prop_map(|text| BASE64_NOPAD.encode(text.as_bytes())), "[?>~]{1,4}[a-z]{2,6}".prop_map(|text| BASE64URL_NOPAD.encode(text.as_bytes())), "[A-Za-z0-9]{1,7}", "[ +/_.-]{1,2}", "é"], 0..12)) {
            let text = pieces.concat();
            let found = base64(&text);
            for one in slowly(&text) {
                prop_assert!(text.len() < SHORTEST || found.iter().any(|found| found.contains(&one)), "{text:?}: {one:?}: {found:?}");
            }
        }
    }

    #[test]
    fn a_sign_is_a_part_or_stands_between() {
        for written in [
            "Mzc4MTc0Njcx",
            "/Mzc4MTc0Njcx/",
            "Mzc4-MTc0-Njcx",
            "Mzc4/MTc0/Njcx",
            "Mzc4 MTc0 Njcx",
            "M.z.c.4.M.T.c.0.N.j.c.x",
            "see Mzc4MTc0\u{1}Njcx\u{1}==.",
            "Mzc4MTc0Njcx8",
            "Mzc4MQ==NzQ2NzE=",
            "Mzc4MQ== NzQ2NzE=",
            "Mw==Nw==OA==MQ==Nw==NA==Ng==Nw==MQ==",
        ] {
            assert!(base64(written).iter().any(|found| found.contains("378174671")), "{written}");
        }
        assert!(base64("Pz8/ Pj4+ fn5+").iter().any(|found| found.contains("???>>>~~~")));
        assert!(base64("Please come to your session on Monday at 3:15 PM, if you can.").is_empty());
    }
}
