//! The digits of a text, however they are written and split.
//!
//! In: plain text ([`super::reading::plain`]). Out: its digits in order, with a gap wherever a letter parts them.

use crate::contact::decimal;

/// No digit: nothing is found across it.
const GAP: u8 = 0;
/// Digits of a connect code.
const CODE: usize = 9;

/// The digits of a text, in order, with a gap wherever a letter parts them.
pub(super) struct Digits {
    /// `b'0'..=b'9'`, or [`GAP`].
    units: Vec<u8>,
    /// Whether a digit is the first after something that is no digit.
    first: Vec<bool>,
}

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
    pub(super) fn of(text: &str) -> Self {
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
            let digit = value(c);
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
    pub(super) fn take_out(&mut self, own: &[u8]) {
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

    pub(super) fn contain(&self, needle: &[u8]) -> bool {
        memchr::memmem::find(&self.units, needle).is_some()
    }

    /// The digits between two gaps.
    pub(super) fn runs(&self) -> Vec<Vec<u8>> {
        self.units.split(|unit| *unit == GAP).filter(|run| !run.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// All numbers of nine digits that stand in it, also within longer ones.
    pub(super) fn nines(&self) -> impl Iterator<Item = u32> {
        let (mut run, mut number) = (0, 0);
        self.units.iter().filter_map(move |unit| {
            if *unit == GAP {
                run = 0;
                return None;
            }
            run += 1;
            number = (number * 10 + u64::from(unit - b'0')) % 10u64.pow(CODE as u32);
            (run >= CODE).then_some(number as u32)
        })
    }
}

/// The character that begins at this byte.
fn char_at(text: &str, at: usize) -> char {
    text.get(at..).and_then(|rest| rest.chars().next()).expect("the bytes before it are whole characters")
}

/// The value of a digit: decimal digits of all scripts, and those that stand in circles or for digits alone (Unicode's Numeric_Type=Digit) and that
/// NFKC leaves as they are.
pub(super) fn value(c: char) -> Option<u8> {
    /// The first of a row, how many there are, and its value.
    const ROWS: [(u32, u32, u8); 12] = [
        (0x1369, 9, 1),
        (0x19DA, 1, 1),
        (0x24F5, 9, 1),
        (0x24FF, 1, 0),
        (0x2776, 9, 1),
        (0x2780, 9, 1),
        (0x278A, 9, 1),
        (0x10A40, 4, 1),
        (0x10E60, 9, 1),
        (0x11052, 9, 1),
        (0x1F10B, 1, 0),
        (0x1F10C, 1, 0),
    ];
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
            after_letter |= c.is_alphabetic();
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

    #[test]
    fn every_nine_digits_in_a_row_are_found() {
        let nines = |text: &str| Digits::of(text).nines().collect::<Vec<u32>>();
        assert_eq!(nines("12345678"), Vec::<u32>::new());
        assert_eq!(nines("1234567890"), [123_456_789, 234_567_890]);
        assert_eq!(nines("12-34 56.789"), [123_456_789]);
        assert_eq!(nines("1234a56789 000000001"), [567_890_000, 678_900_000, 789_000_000, 890_000_000, 900_000_000, 1]);
    }

    #[test]
    fn a_digit_is_one_in_a_circle_too() {
        for (c, digit) in [('③', None), ('❸', Some(3)), ('⓿', Some(0)), ('➆', Some(7)), ('፩', Some(1)), ('٣', Some(3)), ('x', None)]
        {
            assert_eq!(value(c), digit, "{c}");
        }
    }
}
