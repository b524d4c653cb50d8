//! The words of a text that are text in base64.
//!
//! In: a text. Out: what such words decode to. Nearly every word decodes to bytes that are no text, and most are told by their first byte.

use std::borrow::Cow;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

use super::runs::each_run;

/// The shortest word that is tried as base64: nine digits make twelve.
const SHORTEST: usize = 8;

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
    let six = |byte: u8| SEXTETS[usize::from(byte)];
    // Bytes of a character that are yet to come.
    let mut left = 0;
    let mut is_text = |byte: u8| {
        left = match byte {
            b'\t'..=b'\r' | b' '..=b'~' if left == 0 => 0,
            0xC2..=0xDF if left == 0 => 1,
            0xE0..=0xEF if left == 0 => 2,
            0xF0..=0xF4 if left == 0 => 3,
            0x80..=0xBF if left > 0 => left - 1,
            _ => return false,
        };
        true
    };
    let four = |[a, b, c, d]: &[u8; 4]| {
        is_text(six(*a) << 2 | six(*b) >> 4) && is_text(six(*b) << 4 | six(*c) >> 2) && is_text(six(*c) << 6 | six(*d))
    };
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
