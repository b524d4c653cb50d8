//! What a text needs on the air: GSM 03.38 (3GPP TS 23.038) septets or UCS-2 code units, and the segments they fill.
//!
//! In: a text. Out: a [`Load`] (encoding and segments), and, where a text is in UCS-2, the character that is to blame.
//! [`fold`] writes a text in the GSM alphabet where nothing but accents and typography stands in the way.
//! Never fails.
//!
//! Invariant: an escape pair (two septets) and a surrogate pair (two code units) never straddle two segments, so a segment
//! can hold one unit less than it has room for. Counting by division alone is wrong there.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::message::SmsEncoding;

/// The GSM 7 bit default alphabet (3GPP TS 23.038, 6.2.1), without the escape (0x1B) itself.
const BASIC: &str =
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its extension table (6.2.1.1): each costs an escape and a septet.
const EXTENSION: &str = "\u{0C}^{}\\[~]|€";

/// Septets of a text in one piece (140 octets).
const GSM_SINGLE: u32 = 160;
/// Septets of each part of a longer one: six octets go to the header that joins the parts.
const GSM_PART: u32 = 153;
/// UCS-2 code units of a text in one piece.
const UCS2_SINGLE: u32 = 70;
/// UCS-2 code units of each part of a longer one.
const UCS2_PART: u32 = 67;

/// What a text weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// GSM 7 bit if every character is in that alphabet.
    pub(super) encoding: SmsEncoding,
    /// Septets, or UCS-2 code units.
    pub(super) units: u32,
    /// Parts on the air, at least 1.
    pub(super) segments: u32,
}

pub(super) fn load(text: &str) -> Load {
    if let Some(septets) = text.chars().map(septets).collect::<Option<Vec<u32>>>() {
        return fill(&septets, SmsEncoding::Gsm7, GSM_SINGLE, GSM_PART);
    }
    let code_units: Vec<u32> = text.chars().map(|c| c.len_utf16() as u32).collect();
    fill(&code_units, SmsEncoding::Ucs2, UCS2_SINGLE, UCS2_PART)
}

/// Fills segments, character by character: none is ever split.
fn fill(characters: &[u32], encoding: SmsEncoding, single: u32, part: u32) -> Load {
    let units: u32 = characters.iter().sum();
    if units <= single {
        return Load { encoding, units, segments: 1 };
    }
    let (mut segments, mut room) = (1, part);
    for &width in characters {
        if width > room {
            segments += 1;
            room = part;
        }
        room -= width;
    }
    Load { encoding, units, segments }
}

/// Septets of a character: 1, or 2 with its escape; `None` outside the alphabet.
fn septets(c: char) -> Option<u32> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENSION.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// The first character that keeps a text out of the GSM alphabet.
pub(super) fn first_outside(text: &str) -> Option<char> {
    text.chars().find(|&c| septets(c).is_none())
}

/// The text in the GSM alphabet, if nothing but accents and typography keeps it out of it ("sábado" -> "sabado"): one such
/// letter would more than halve what a segment holds, and readers of texts are used to bare letters. A text in another
/// script, or with an emoji, comes back as it was: there is nothing to gain, and its accents stay.
pub(super) fn fold(text: &str) -> String {
    if first_outside(text).is_none() {
        return text.to_owned();
    }
    let folded = fold_letters(text);
    if first_outside(&folded).is_none() { folded } else { text.to_owned() }
}

/// What of a text can be written in the GSM alphabet: accents folded, all else left out.
pub(super) fn gsm_only(text: &str) -> String {
    fold_letters(text).chars().filter(|&c| septets(c).is_some()).collect::<String>().trim().to_owned()
}

fn fold_letters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if septets(c).is_some() {
            out.push(c);
        } else if let Some(plain) = typography(c) {
            out.push_str(plain);
        } else {
            out.extend(std::iter::once(c).nfd().filter(|&part| !is_combining_mark(part)));
        }
    }
    out
}

/// Typographic characters and letters without a decomposition, as a typewriter writes them.
pub(super) fn typography(c: char) -> Option<&'static str> {
    Some(match c {
        '‘' | '’' | '‚' | '′' | 'ʼ' => "'",
        '“' | '”' | '„' | '«' | '»' | '″' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '−' => "-",
        '…' => "...",
        '•' | '·' => "-",
        '\u{00A0}' | '\u{2009}' | '\u{202F}' | '\t' => " ",
        'œ' => "oe",
        'Œ' => "OE",
        'ł' => "l",
        'Ł' => "L",
        'đ' => "d",
        'Đ' => "D",
        'ı' => "i",
        'ª' => "a",
        'º' | '°' => "o",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use SmsEncoding::{Gsm7, Ucs2};

    #[test]
    fn counts() {
        for (text, encoding, units, segments) in [
            (String::new(), Gsm7, 0, 1),
            ("a".repeat(160), Gsm7, 160, 1),
            ("a".repeat(161), Gsm7, 161, 2),
            ("a".repeat(306), Gsm7, 306, 2),
            ("a".repeat(307), Gsm7, 307, 3),
            ("€".repeat(80), Gsm7, 160, 1),
            ("€".repeat(81), Gsm7, 162, 2),
            // 152 septets leave room for one: the pair goes to the next part, whole.
            (format!("{}€{}", "a".repeat(152), "a".repeat(151)), Gsm7, 305, 2),
            (format!("{}€{}", "a".repeat(152), "a".repeat(152)), Gsm7, 306, 3),
            ("€".repeat(153), Gsm7, 306, 3),
            ("é".repeat(160), Gsm7, 160, 1),
            ("á".repeat(70), Ucs2, 70, 1),
            ("á".repeat(71), Ucs2, 71, 2),
            ("á".repeat(134), Ucs2, 134, 2),
            ("á".repeat(135), Ucs2, 135, 3),
            ("😀".repeat(35), Ucs2, 70, 1),
            ("😀".repeat(36), Ucs2, 72, 2),
            // 33 pairs are 66 units: the 34th pair does not fit into 67.
            ("😀".repeat(66), Ucs2, 132, 2),
            ("😀".repeat(67), Ucs2, 134, 3),
            (format!("{}’", "a".repeat(69)), Ucs2, 70, 1),
            ("漢".repeat(71), Ucs2, 71, 2),
        ] {
            assert_eq!(load(&text), Load { encoding, units, segments }, "{} characters of {:?}", text.chars().count(), text.chars().next());
        }
    }

    #[test]
    fn the_alphabet_is_the_standards() {
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        for (text, outside) in [
            ("¡Hola! ¿Señor? à é è ù ì ò ñ Ñ ü Ö Ç ß @ £ $ ¥", None),
            ("€ [x] {y} ~ | \\ ^", None),
            ("garçon", Some('ç')),
            ("sábado", Some('á')),
            ("it’s", Some('’')),
            ("a`b", Some('`')),
            ("a\tb", Some('\t')),
            ("août", Some('û')),
        ] {
            assert_eq!(first_outside(text), outside, "{text}");
        }
    }

    #[test]
    fn folding_is_for_accents_and_typography_alone() {
        for (text, folded) in [
            ("sáb, 17 de abr", "sab, 17 de abr"),
            ("l’été… “ça” – août", "l'été... \"ca\" - aout"),
            ("señor José", "señor José"),
            ("cœur", "coeur"),
            ("sábado 😀", "sábado 😀"),
            ("García 山田", "García 山田"),
        ] {
            assert_eq!(fold(text), folded);
        }
        assert_eq!(gsm_only("Clínica 山田 😀"), "Clinica");
    }
}
