//! What of a text is text in base64: in one word, or in pieces.
//!
//! In: a text. Out: what it decodes to. Nearly every word decodes to bytes that are no text, and most are told by their first byte.

use std::borrow::Cow;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

use super::runs::each_run;

/// The shortest word that is tried as base64: nine digits make twelve.
const SHORTEST: usize = 8;
/// What it makes.
const LEAST: usize = SHORTEST / 4 * 3;
/// Words that are no base64 seldom make more text than this.
const BEHIND: usize = 16;

/// The words that are text in base64, decoded, each in a line of its own. `None`: there are none.
pub(super) fn base64(text: &str) -> Option<Cow<'_, str>> {
    let mut decoded = String::new();
    let mut read = |word: &[u8]| {
        if may_be_base64(word)
            && let Some(found) = decoded_word(word)
        {
            decoded.extend([found.as_str(), "\n"]);
        }
    };
    each_run(
        text.as_bytes(),
        SHORTEST,
        |byte| SEXTETS[usize::from(byte)] != NO_SEXTET,
        |word| {
            let word = &text.as_bytes()[word];
            // Text makes no word of small letters alone.
            if word.iter().all(u8::is_ascii_lowercase) {
                return;
            }
            read(word);
            if word.len() > SHORTEST && word.iter().any(|byte| is_sign(*byte)) {
                word.split(|byte| is_sign(*byte)).filter(|part| part.len() >= SHORTEST).for_each(&mut read);
            }
        },
    );
    (!decoded.is_empty()).then_some(Cow::Owned(decoded))
}

/// What the pieces decode to that a text of base64 was broken into, from wherever one begins and as far as it is text; each in a line of its own.
/// A reader's program passes over whatever is no base64 (RFC 2045 6.8). `None`: there are none.
pub(super) fn in_pieces(text: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut read = |is_part: fn(u8) -> bool| each_in_pieces(text.as_bytes(), is_part, |found| decoded.extend([found, "\n"]));
    // A sign is a part of it, or stands between two pieces.
    read(|byte| SEXTETS[usize::from(byte)] != NO_SEXTET);
    let has = |one: u8, other: u8| memchr::memchr2(one, other, text.as_bytes()).is_some();
    let (standard, url) = (has(b'+', b'/'), has(b'-', b'_'));
    if standard || url {
        read(|byte| byte.is_ascii_alphanumeric());
    }
    if standard && url {
        read(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        read(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    }
    (!decoded.is_empty()).then_some(decoded)
}

/// Visits each text that two pieces or more make up together.
fn each_in_pieces(text: &[u8], is_part: impl Fn(u8) -> bool, mut visit: impl FnMut(&str)) {
    // How far each of the four ways to divide all parts by four was text already: what begins before that is a part of it.
    let mut read = [0; 4];
    // Parts so far, and whether the last byte was one.
    let (mut count, mut within) = (0, false);
    for (at, byte) in text.iter().enumerate() {
        let part = is_part(*byte);
        if part && !within && count >= read[count % 4] {
            let length = text_from(&text[at..], &is_part, &mut visit);
            read[count % 4] = count + length / 3 * 4;
        }
        count += usize::from(part);
        within = part;
    }
}

/// Decodes from here as long as it is text: how many bytes. Visits it if it came from two pieces or more.
fn text_from(text: &[u8], is_part: impl Fn(u8) -> bool, visit: &mut impl FnMut(&str)) -> usize {
    let mut bytes = Vec::new();
    // How many bytes were whole where each piece ended but the last.
    let mut ends = Vec::new();
    let mut character = Character::default();
    let (mut four, mut held, mut count, mut last) = ([0; 4], 0, 0, 0);
    for at in (0..text.len()).filter(|at| is_part(text[*at])) {
        if at > last + 1 {
            ends.push(count * 3 / 4);
        }
        (four[held], held, count, last) = (SEXTETS[usize::from(text[at])], held + 1, count + 1, at);
        if held == four.len() {
            let whole = bytes.len() + 3;
            bytes.extend(bytes_of(&four).take_while(|byte| character.goes_on(*byte)));
            if bytes.len() < whole {
                break;
            }
            held = 0;
        }
    }
    if held < four.len() {
        bytes.extend(bytes_of(&four[..held]).take_while(|byte| character.goes_on(*byte)));
    }
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    // One word alone is read as such.
    if text.len() >= LEAST && ends.first().is_some_and(|end| *end < text.len()) {
        visit(text);
        // What stands behind the last piece may go on as text for a moment.
        let cuts = ends.into_iter().skip(1).filter(|cut| *cut >= LEAST && *cut < text.len() && cut + BEHIND >= text.len());
        cuts.filter_map(|cut| text.get(..cut)).for_each(visit);
    }
    bytes.len()
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

/// What base64 has beside letters and digits, in both alphabets.
fn is_sign(byte: u8) -> bool {
    byte == b'+' || byte == b'-' || byte == b'/' || byte == b'_'
}

/// The six bits that a character of base64 stands for, in both alphabets.
const SEXTETS: [u8; 256] = sextets();
const NO_SEXTET: u8 = 64;

const fn sextets() -> [u8; 256] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut all = [NO_SEXTET; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        all[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    all[b'-' as usize] = 62;
    all[b'_' as usize] = 63;
    all
}

/// A quick look, which lets everything pass that [`decoded_word`] decodes: nearly all words make bytes that are no text.
fn may_be_base64(word: &[u8]) -> bool {
    let mut character = Character::default();
    let four = |four: &[u8; 4]| bytes_of(&four.map(|byte| SEXTETS[usize::from(byte)])).all(|byte| character.goes_on(byte));
    word.len() % 4 != 1 && word.as_chunks().0.iter().all(four)
}

fn decoded_word(word: &[u8]) -> Option<String> {
    let bytes = BASE64_NOPAD.decode(word).or_else(|_| BASE64URL_NOPAD.decode(word)).ok()?;
    String::from_utf8(bytes).ok().filter(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every word of it, one after the other.
    fn base64_slowly(text: &str) -> String {
        let in_word = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
        let long = |word: &&str| word.len() >= SHORTEST;
        let words = text.split(|c| !in_word(c)).filter(long).filter(|word| !word.bytes().all(|b| b.is_ascii_lowercase()));
        let parts = |word: &'_ str| word.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
        words
            .flat_map(|word| {
                let parts = parts(word).into_iter().filter(|part| part.len() >= SHORTEST && part.len() < word.len());
                std::iter::once(word.to_owned()).chain(parts)
            })
            .filter_map(|word| decoded_word(word.as_bytes()))
            .map(|text| text + "\n")
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_word_of_base64_is_overlooked(pieces in proptest::collection::vec(piece(), 0..12)) {
            let text = pieces.concat();
            prop_assert_eq!(base64(&text).unwrap_or_default(), base64_slowly(&text));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_text_in_pieces_is_overlooked(
            text in "[ -~é–]{6,30}", before in "([A-Za-z]{1,8} ){0,3}", after in "( [A-Za-z]{1,8}){0,3}",
            cuts in proptest::collection::vec((any::<proptest::sample::Index>(), "[ .,:<>\n\u{1}é]{1,3}"), 1..6),
        ) {
            let mut pieces = BASE64_NOPAD.encode(text.as_bytes());
            for (cut, sign) in cuts {
                // Not into another sign.
                let places: Vec<usize> = (1..pieces.len()).filter(|at| pieces.is_char_boundary(*at)).collect();
                pieces.insert_str(places[cut.index(places.len())], &sign);
            }
            let found = in_pieces(&format!("{before}{pieces}{after}")).unwrap_or_default();
            prop_assert!(found.contains(&text), "{pieces:?}: {found:?}");
        }
    }

    #[test]
    fn a_sign_is_a_part_or_stands_between() {
        for written in ["Mzc4-MTc0-Njcx", "Mzc4/MTc0/Njcx", "Mzc4 MTc0 Njcx", "M.z.c.4.M.T.c.0.N.j.c.x", "see Mzc4MTc0\u{1}Njcx\u{1}==."] {
            assert!(in_pieces(written).is_some_and(|found| found.contains("378174671")), "{written}");
        }
        assert!(in_pieces("Pz8/ - Pj4+ - fn5+").is_some_and(|found| found.contains("???>>>~~~")));
        assert!(in_pieces("Pz8/ Pj4+ fn5+").is_some_and(|found| found.contains("???>>>~~~")));
        assert_eq!(in_pieces("Please come to your session on Monday at 3:15 PM, if you can."), None);
        assert_eq!(in_pieces("Mzc4MTc0Njcx"), None, "it is one word");
    }

    /// Words, and texts in base64 beside each other.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z0-9+/_-]{0,12}",
            "[ -~]{0,4}",
            "[ -~é–\n\u{85}]{4,14}".prop_map(|text| BASE64_NOPAD.encode(text.as_bytes())),
            "[ -~é–]{4,14}".prop_map(|text| BASE64URL_NOPAD.encode(text.as_bytes())),
            proptest::collection::vec(any::<u8>(), 6..12).prop_map(|bytes| BASE64_NOPAD.encode(&bytes)),
            any::<char>().prop_map(String::from),
        ]
    }
}
