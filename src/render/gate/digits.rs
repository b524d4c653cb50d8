//! The digits of a text, however they are written and split.
//!
//! In: plain text ([`super::reading::plain`]). Out: its digits in order, with a gap wherever a letter parts them.

use unicode_normalization::char::is_combining_mark;

use crate::contact::decimal;
use crate::render::bytes::{WORD, ascii_word, digits_and_letters, first_of, many};

/// No digit: nothing is found across it.
const GAP: u8 = 0;
/// Digits of a connect code.
const CODE: usize = 9;
/// Fewer digits than this without a letter between them are nothing that is searched for.
pub(super) const LONG: usize = 7;

/// The digits of a text, in order, with a gap wherever a letter parts them.
pub(super) struct Digits {
    /// `b'0'..=b'9'`, or [`GAP`].
    units: Vec<u8>,
    /// Whether a digit is the first after something that is no digit.
    first: Vec<bool>,
}

impl Digits {
    /// Those of [`LONG`] or more without a letter between them: what could be a number, a passkey or a code.
    pub(super) fn long(text: &str) -> Self {
        let mut digits = Self { units: Vec::new(), first: Vec::new() };
        each_long_run(text, |run| {
            if digits.units.is_empty() {
                digits.units.reserve(64);
                digits.first.reserve(64);
            } else {
                digits.push_gap();
            }
            digits.push_all(run);
        });
        digits
    }

    pub(super) fn of(text: &str) -> Self {
        let mut digits = Self { units: Vec::with_capacity(text.len()), first: Vec::with_capacity(text.len()) };
        digits.push_all(text);
        digits
    }

    fn push_all(&mut self, text: &str) {
        let (mut after_digit, mut after_letter) = (false, false);
        let mut at = 0;
        while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
            // The digits and letters of a word are found at once.
            if let Some(word) = ascii_word(rest, 0) {
                let (mut ones, mut letters) = digits_and_letters(word);
                // The bit below which everything is behind us.
                let mut behind = 0;
                while ones != 0 {
                    let bit = ones.trailing_zeros();
                    after_letter |= letters & ((1 << bit) - 1) != 0;
                    self.push(rest[bit as usize / WORD], after_digit && bit == behind + 7, after_letter);
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
            let (kind, length) = one_of(text, at);
            if let CharKind::Digit(digit) = kind {
                self.push(b'0' + digit, after_digit, after_letter);
            }
            after_letter = kind == CharKind::Letter || (after_letter && kind == CharKind::Sign);
            after_digit = matches!(kind, CharKind::Digit(_));
            at += length;
        }
    }

    fn push(&mut self, digit: u8, after_digit: bool, after_letter: bool) {
        if after_letter && !self.units.is_empty() {
            self.push_gap();
        }
        self.units.push(digit);
        self.first.push(!after_digit);
    }

    fn push_gap(&mut self) {
        self.units.push(GAP);
        self.first.push(true);
    }

    /// Puts gaps where `own` stands as a number of its own, split or not.
    pub(super) fn take_out(&mut self, own: &[u8]) {
        let n = own.len();
        if !(1..=self.units.len()).contains(&n) {
            return;
        }
        let own = memchr::memmem::Finder::new(own);
        let mut from = 0;
        while let Some(found) = own.find(&self.units[from..]) {
            let at = from + found;
            let whole = self.first[at] && self.first.get(at + n).copied().unwrap_or(true);
            if whole {
                self.units[at..at + n].fill(GAP);
            }
            from = if whole { at + n } else { at + 1 };
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub(super) fn contain(&self, needle: &[u8]) -> bool {
        self.units.len() >= needle.len() && memchr::memmem::find(&self.units, needle).is_some()
    }

    /// The digits between two gaps.
    pub(super) fn runs(&self) -> Vec<Vec<u8>> {
        self.units.split(|unit| *unit == GAP).filter(|run| !run.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// All numbers of nine digits that stand in it, also within longer ones.
    pub(super) fn nines(&self) -> impl Iterator<Item = u32> {
        let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        self.units.split(|unit| *unit == GAP).flat_map(move |run| run.windows(CODE).map(number))
    }
}

/// Visits what stands between two letters, from its first digit on, where it has digits enough.
fn each_long_run(text: &str, mut visit: impl FnMut(&str)) {
    // The first digit since the last letter, and how many there are.
    let (mut start, mut count) = (0, 0);
    let mut at = 0;
    while at < text.len() {
        if let Some(word) = ascii_word(text.as_bytes(), at) {
            let (ones, letters) = digits_and_letters(word);
            // Nearly all words have no digit.
            if ones | u64::from(count > 0) == 0 {
                at += WORD;
                continue;
            }
            start = if count == 0 { at + first_of(ones) } else { start };
            if letters == 0 {
                count += many(ones);
            } else {
                // Those before the lowest bit of the letters, and those above the highest.
                if count + many(ones & (letters - 1) & !letters) >= LONG {
                    visit(&text[start..at + first_of(letters)]);
                }
                let left = ones & !(u64::MAX >> letters.leading_zeros());
                (start, count) = (at + if left == 0 { 0 } else { first_of(left) }, many(left));
            }
            at += WORD;
            continue;
        }
        let (kind, length) = one_of(text, at);
        match kind {
            CharKind::Digit(_) => {
                start = if count == 0 { at } else { start };
                count += 1;
            }
            CharKind::Letter => {
                if count >= LONG {
                    visit(&text[start..at]);
                }
                count = 0;
            }
            CharKind::Sign => {}
        }
        at += length;
    }
    if count >= LONG {
        visit(&text[start..]);
    }
}

/// What a character is to the digits around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CharKind {
    Digit(u8),
    /// It parts them.
    Letter,
    Sign,
}

/// Of the character that begins at this byte, and how many bytes it has.
fn one_of(text: &str, at: usize) -> (CharKind, usize) {
    let byte = text.as_bytes()[at];
    match byte {
        b'0'..=b'9' => (CharKind::Digit(byte - b'0'), 1),
        b'A'..=b'Z' | b'a'..=b'z' => (CharKind::Letter, 1),
        _ if byte.is_ascii() => (CharKind::Sign, 1),
        _ => {
            let c = char_at(text, at);
            match c {
                '\u{D7}' | '\u{F7}' | '\u{2010}'..='\u{2027}' => return (CharKind::Sign, c.len_utf8()),
                '\u{C0}'..='\u{17F}' => return (CharKind::Letter, c.len_utf8()),
                _ => {}
            }
            let other = if is_letter(c) { CharKind::Letter } else { CharKind::Sign };
            (value(c).map_or(other, CharKind::Digit), c.len_utf8())
        }
    }
}

/// The character that begins at this byte.
fn char_at(text: &str, at: usize) -> char {
    text.get(at..).and_then(|rest| rest.chars().next()).expect("the bytes before it are whole characters")
}

/// A letter that parts digits; not what only looks like a sign between them: combining marks, modifier letters (a Japanese keyboard's long vowel
/// stands where others have a dash), clicks.
fn is_letter(c: char) -> bool {
    const SIGNS: [std::ops::RangeInclusive<u32>; 20] = [
        0x1C0..=0x1C3,
        0x2B0..=0x2FF,
        0x374..=0x374,
        0x559..=0x559,
        0x640..=0x640,
        0x6E5..=0x6E6,
        0x7F4..=0x7FA,
        0x971..=0x971,
        0xE46..=0xE46,
        0xEC6..=0xEC6,
        0x1D2C..=0x1D6A,
        0x2C7C..=0x2C7D,
        0x2D6F..=0x2D6F,
        0x2E2F..=0x2E2F,
        0x3005..=0x3005,
        0x3031..=0x303B,
        0x309D..=0x309E,
        0x30FC..=0x30FE,
        0xA700..=0xA71F,
        0xA78B..=0xA78F,
    ];
    c.is_alphabetic() && !is_combining_mark(c) && !SIGNS.iter().any(|signs| signs.contains(&u32::from(c)))
}

/// The value of a digit: decimal digits of all scripts, and those that stand in circles or for digits alone (Unicode's Numeric_Type=Digit) and that
/// NFKC leaves as they are.
pub(super) fn value(c: char) -> Option<u8> {
    /// The first of a row, how many there are, and its value.
    const ROWS: [(u32, u32, u8); 16] = [
        (0x1369, 9, 1),
        (0x19DA, 1, 1),
        (0x24F5, 9, 1),
        (0x24FF, 1, 0),
        (0x2776, 9, 1),
        (0x2780, 9, 1),
        (0x278A, 9, 1),
        (0x3007, 1, 0),
        (0x3021, 9, 1),
        (0x10A40, 4, 1),
        (0x10E60, 9, 1),
        (0x11052, 9, 1),
        (0x11DE0, 10, 0),
        (0x16130, 10, 0),
        (0x1F10B, 1, 0),
        (0x1F10C, 1, 0),
    ];
    if c.is_ascii() {
        return decimal(c);
    }
    if let Some(digit) = decimal(c) {
        return Some(digit);
    }
    let code = u32::from(c);
    let row = ROWS.iter().find(|(first, many, _)| (*first..first + many).contains(&code))?;
    Some(row.2 + u8::try_from(code - row.0).unwrap_or(0))
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
            if let Some(digit) = value(c) {
                if after_letter && !units.is_empty() {
                    units.push(GAP);
                    first.push(true);
                }
                units.push(b'0' + digit);
                first.push(!after_digit);
                after_letter = false;
            }
            after_letter |= value(c).is_none() && is_letter(c);
            after_digit = value(c).is_some();
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

    /// Every run of enough digits, and how it is written.
    fn long_runs((units, first): (Vec<u8>, Vec<bool>)) -> Vec<Vec<(u8, bool)>> {
        let all: Vec<(u8, bool)> = units.into_iter().zip(first).collect();
        all.split(|(unit, _)| *unit == GAP).filter(|run| run.len() >= LONG).map(<[_]>::to_vec).collect()
    }

    proptest! {
        #[test]
        fn long_ones_are_all_that_are_long(pieces in proptest::collection::vec("[ -/:-@]{0,3}|[0-9]{1,9}|[a-zA-Z]{1,9}|[é٣–]", 0..24)) {
            let text = pieces.concat();
            let digits = Digits::long(&text);
            prop_assert!(!digits.units.starts_with(&[GAP]) && !digits.units.ends_with(&[GAP]));
            prop_assert_eq!(long_runs((digits.units, digits.first)), long_runs(slowly(&text)));
        }
    }

    #[test]
    fn every_nine_digits_in_a_row_are_found() {
        let nines = |text: &str| Digits::of(text).nines().collect::<Vec<u32>>();
        assert_eq!(nines("12345678"), Vec::<u32>::new());
        assert_eq!(nines("1234567890"), [123_456_789, 234_567_890]);
        assert_eq!(nines("12-34 56.789"), [123_456_789]);
        assert_eq!(nines("1234a56789 000000001"), [567_890_000, 678_900_000, 789_000_000, 890_000_000, 900_000_000, 1]);
    }

    #[test]
    fn what_looks_like_a_sign_parts_no_digits() {
        for between in ["-", "ー", "\u{FF70}", "\u{5B4}", "\u{64E}", "\u{363}", "ـ", "ʼ", "ː", "ǀ", "\u{A78F}", " "] {
            let text = format!("741{between}681{between}838");
            assert!(Digits::long(&super::super::reading::plain(&text)).contain(b"741681838"), "{between:?}");
        }
        for letter in ["x", "é", "三", "א"] {
            assert!(!Digits::long(&format!("7416{letter}81838")).contain(b"741681838"), "{letter}");
        }
    }

    #[test]
    fn letters_and_signs_that_are_known_at_once_are_what_they_are() {
        for c in ('\u{80}'..='\u{24F}').chain('\u{2000}'..='\u{206F}') {
            let slow = if is_letter(c) { CharKind::Letter } else { CharKind::Sign };
            assert_eq!(one_of(&c.to_string(), 0), (value(c).map_or(slow, CharKind::Digit), c.len_utf8()), "{c:?}");
        }
    }

    #[test]
    fn a_digit_is_one_in_a_circle_too() {
        for (c, digit) in
            [('③', None), ('❸', Some(3)), ('⓿', Some(0)), ('➆', Some(7)), ('፩', Some(1)), ('٣', Some(3)), ('〧', Some(7)), ('x', None)]
        {
            assert_eq!(value(c), digit, "{c}");
        }
    }
}
