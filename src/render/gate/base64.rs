//! What of a text is text in base64: in one word, or in pieces.
//!
//! In: a text. Out: what it decodes to. Nearly all that is tried decodes to bytes that are no text, and most by its first byte.

use std::collections::BTreeSet;

use super::bytes::{WORD, ascii_word, bytes_in, digits_and_letters, first_of, many};

/// The shortest text that is tried as base64: nine digits make twelve.
const SHORTEST: usize = 8;
/// What it makes.
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
    let mut read = |alphabet: Alphabet| {
        alphabet.each(text.as_bytes(), |found| {
            decoded.insert(found.to_owned());
        });
    };
    // A sign is a part of it, or stands between two pieces.
    read(Alphabet { sextets: &PLAIN, padded: false });
    if text.bytes().any(is_sign) {
        read(Alphabet { sextets: &WITH_SIGNS, padded: false });
    }
    if is_padded(text.as_bytes()) {
        read(Alphabet { sextets: &WITH_SIGNS, padded: true });
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

/// What belongs to it.
struct Alphabet {
    sextets: &'static [u8; 256],
    /// A `=` ends a text, and another one follows: what both decode to stands together.
    padded: bool,
}

impl Alphabet {
    /// Visits each text that begins where a word does.
    fn each(&self, text: &[u8], mut visit: impl FnMut(&str)) {
        // How far each of the four ways to divide all parts by four was text already: what begins before that is a part of it.
        let mut read = [0; 4];
        let mut begins = |at: usize, count: usize| {
            if count >= read[count % 4] && (self.padded || (self.may_begin(&text[at..]) && self.begins_text(&text[at..]))) {
                read[count % 4] = count + self.text_from(&text[at..], &mut visit) / 3 * 4;
            }
        };
        // Parts so far, and whether the last byte was one.
        let (mut count, mut within) = (0_usize, false);
        let mut at = 0;
        while at < text.len() {
            // Where words begin in eight bytes is found at once.
            if let Some(word) = ascii_word(text, at).filter(|_| !self.padded) {
                let parts = self.parts(word);
                let mut starts = parts & !(parts << 8 | u64::from(within) << 7);
                while starts != 0 {
                    begins(at + first_of(starts), count + many(parts & ((starts & starts.wrapping_neg()) - 1)));
                    starts &= starts - 1;
                }
                count += many(parts);
                within = parts >> 63 == 1;
                at += WORD;
                continue;
            }
            let part = self.sextets[usize::from(text[at])] != NO_SEXTET;
            if part && !within {
                begins(at, count);
            }
            count += usize::from(part);
            if self.padded && text[at] == b'=' {
                count = count.next_multiple_of(4);
            }
            within = part;
            at += 1;
        }
    }

    /// The bytes of an ASCII word that belong to it.
    fn parts(&self, word: u64) -> u64 {
        let (digits, letters) = digits_and_letters(word);
        let sign = |sign: u8| if self.sextets[usize::from(sign)] == NO_SEXTET { 0 } else { bytes_in(word, sign, sign) };
        digits | letters | sign(b'+') | sign(b'-') | sign(b'/') | sign(b'_')
    }

    /// The quickest look: the first two bytes of a text, of three parts beside each other. Nearly every word ends it.
    #[inline]
    fn may_begin(&self, text: &[u8]) -> bool {
        let sextet = |byte: u8| Some(self.sextets[usize::from(byte)]).filter(|sextet| *sextet != NO_SEXTET);
        let (Some(first), second) = (text.first().and_then(|byte| sextet(*byte)), text.get(1)) else { return false };
        let Some(second) = second.and_then(|byte| sextet(*byte)) else { return second.is_some() };
        let mut character = Character::default();
        let goes_on = character.goes_on(first << 2 | second >> 4);
        match text.get(2).and_then(|byte| sextet(*byte)) {
            Some(third) => goes_on && character.goes_on(second << 4 | third >> 2),
            None => goes_on,
        }
    }

    /// A quick look: six bytes of text.
    fn begins_text(&self, text: &[u8]) -> bool {
        let mut character = Character::default();
        let (mut bits, mut held, mut bytes) = (0_u32, 0, 0);
        for sextet in text.iter().map(|byte| self.sextets[usize::from(*byte)]).filter(|sextet| *sextet != NO_SEXTET) {
            (bits, held) = (bits << 6 | u32::from(sextet), held + 6);
            if held < 8 {
                continue;
            }
            held -= 8;
            if !character.goes_on((bits >> held) as u8) {
                return false;
            }
            bytes += 1;
            if bytes == LEAST {
                return true;
            }
        }
        false
    }

    /// Decodes from here as long as it is text: how many bytes. Visits it if it is long enough.
    fn text_from(&self, text: &[u8], visit: &mut impl FnMut(&str)) -> usize {
        let mut bytes = Vec::new();
        // How many bytes were whole where each piece ended but the last.
        let mut ends = Vec::new();
        let mut character = Character::default();
        let (mut four, mut held, mut last) = ([0; 4], 0_usize, 0);
        for (at, byte) in text.iter().enumerate() {
            let is_end = self.padded && *byte == b'=' && held > 0;
            let sextet = self.sextets[usize::from(*byte)];
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
        bytes.len()
    }
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
    /// Whether a text may go on so. Control characters are in none.
    fn goes_on(&mut self, byte: u8) -> bool {
        self.left = match byte {
            b'\t'..=b'\r' | b' '..=b'~' if self.left == 0 => 0,
            0xC2..=0xDF if self.left == 0 => 1,
            0xE0..=0xEF if self.left == 0 => 2,
            0xF0..=0xF4 if self.left == 0 => 3,
            0x80..=0xBF if self.left > 0 => self.left - 1,
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
