//! The letters and words of a text, as they are compared: in lower case, without accents, without signs.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use super::reading::{not_ascii, plain};
use crate::render::sms::typography;

pub(super) fn alphanumeric(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The same as bytes, of a long text: without a jump for each of them.
pub(super) fn letters(text: &str) -> Vec<u8> {
    let mut out = vec![0; text.len()];
    let mut n = 0;
    for byte in text.bytes() {
        out[n] = byte.to_ascii_lowercase();
        n += usize::from(byte.is_ascii_alphanumeric());
    }
    out.truncate(n);
    out
}

/// The words of a text in lower case, without accents, with one blank around each.
pub(super) fn folded(text: &str) -> String {
    let mut out = " ".to_owned();
    unspaced(&plain(text)).split(' ').filter(|word| !word.is_empty()).for_each(|word| out.extend([word, " "]));
    out
}

/// The same with a blank for every sign, of a text that is plain.
pub(super) fn unspaced(plain: &str) -> String {
    let mut out = Vec::with_capacity(plain.len());
    let mut rest = plain;
    loop {
        let (ascii, other) = rest.split_at(not_ascii(rest.as_bytes()).unwrap_or(rest.len()));
        let from = out.len();
        out.extend_from_slice(ascii.as_bytes());
        for byte in &mut out[from..] {
            // A digit has the bit of small letters anyway.
            let small = *byte | 0x20;
            *byte = if small.is_ascii_lowercase() || byte.is_ascii_digit() { small } else { b' ' };
        }
        let mut others = other.chars();
        let Some(c) = others.next() else { break };
        let mut put = |c: char| {
            if c.is_alphanumeric() {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else if !is_combining_mark(c) {
                out.push(b' ');
            }
        };
        // As a text message writes them, too.
        decompose_canonical(c, |part| match typography(part) {
            Some(plain) => plain.chars().flat_map(char::to_lowercase).for_each(&mut put),
            None => part.to_lowercase().for_each(&mut put),
        });
        rest = others.as_str();
    }
    String::from_utf8(out).expect("whole characters were put together")
}
