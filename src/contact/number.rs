//! A telephone number as people write it, to the digits that are dialled.
//!
//! Read are digits (of any script), spaces, `+ - . ( )` in the forms that keyboards and word processors give them, and an extension at the end,
//! which is left out: the number before it is meant. Any other letter or sign is a fault: a spreadsheet's `4.04555012E9`, two numbers in one
//! field, a note.

use unicode_normalization::UnicodeNormalization;

use super::line::is_invisible;

/// Fewer digits than this are a short number, or a local one whose area nobody knows.
const DIGITS_MIN: usize = 7;
/// Digits of an extension at most, as RFC 3966's readers take them.
const EXTENSION_MAX: usize = 7;
/// What stands before an extension, the longer ones first.
const EXTENSIONS: [&str; 8] = ["extension", "interno", "anexo", "poste", "extn", "ext", "x", "#"];

/// The digits, with a plus before them if the number has one.
pub(super) fn dialled(raw: &str) -> Result<String, &'static str> {
    let plain: String = raw.nfkc().filter(|&c| !is_invisible(c)).map(plain).collect();
    let plain = plain.trim();
    let number = without_extension(plain).unwrap_or(plain);
    if number.chars().any(|c| !c.is_ascii_digit() && !" +-.()".contains(c)) {
        return Err("it has a letter or a sign that no number has");
    }
    if is_decimal(number) {
        return Err("it ends in .0, as a spreadsheet writes numbers: digits may be lost");
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < DIGITS_MIN {
        return Err("it has fewer than 7 digits");
    }
    match number.rfind('+') {
        None => Ok(digits),
        Some(at) if number[..at].chars().all(|c| " (".contains(c)) => Ok(format!("+{digits}")),
        Some(_) => Err("it has a plus in the middle: are these two numbers?"),
    }
}

/// What a keyboard without special characters would have given.
fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{00B7}' => '.',
        c if c.is_whitespace() => ' ',
        c => decimal(c).map_or(c.to_ascii_lowercase(), |digit| char::from(b'0' + digit)),
    }
}

/// The number before an extension: `ext 5`, `ext. 5`, `x5`, `#5`, `(ext 5)`, `;ext=5`. `None`: there is none.
fn without_extension(text: &str) -> Option<&str> {
    let inner = text.strip_suffix(')').unwrap_or(text).trim_end();
    let before = inner.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = inner.len() - before.len();
    let before = before.trim_end().trim_end_matches(['.', ':', '=']).trim_end();
    let number = EXTENSIONS.iter().find_map(|word| before.strip_suffix(word))?;
    let number = number.trim_end_matches([' ', ',', ';', '(']);
    let whole = number.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_MIN;
    (whole && (1..=EXTENSION_MAX).contains(&digits)).then_some(number)
}

/// `4045550123.0`
fn is_decimal(number: &str) -> bool {
    let whole = |digits: &str| digits.len() >= DIGITS_MIN && digits.bytes().all(|b| b.is_ascii_digit());
    number
        .trim_start_matches('+')
        .split_once('.')
        .is_some_and(|(before, after)| whole(before) && !after.is_empty() && after.bytes().all(|b| b == b'0'))
}

/// Where the digits of a script begin: ten characters each (Unicode 16, general category Nd, without those that NFKC turns into ASCII).
const ZEROS: [u32; 68] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20, 0x1040, 0x1090,
    0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
    0xFF10, 0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0, 0x116DA,
    0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1E140, 0x1E2F0, 0x1E4F0,
    0x1E5F1, 0x1E950,
];

/// The value of a decimal digit, in whatever script.
pub fn decimal(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| c as u8 - b'0');
    }
    let code = u32::from(c);
    let zero = ZEROS.iter().rev().find(|&&zero| zero <= code)?;
    u8::try_from(code - zero).ok().filter(|&digit| digit < 10)
}
