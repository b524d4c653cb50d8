//! Entities of HTML, as a browser resolves them.
//!
//! In: a text. Out: the text with each entity as the character that it stands for, also where its semicolon is missing (WHATWG HTML 13.2.5.72, 13.5).

use std::borrow::Cow;

/// Those that need no semicolon.
const UNCLOSED: &str = "AElig AMP Aacute Acirc Agrave Aring Atilde Auml COPY Ccedil ETH Eacute Ecirc Egrave Euml GT Iacute Icirc Igrave Iuml LT Ntilde \
     Oacute Ocirc Ograve Oslash Otilde Ouml QUOT REG THORN Uacute Ucirc Ugrave Uuml Yacute aacute acirc acute aelig agrave amp aring atilde auml brvbar \
     ccedil cedil cent copy curren deg divide eacute ecirc egrave eth euml frac12 frac14 frac34 gt iacute icirc iexcl igrave iquest iuml laquo lt macr \
     micro middot nbsp not ntilde oacute ocirc ograve ordf ordm oslash otilde ouml para plusmn pound quot raquo reg sect shy sup1 sup2 sup3 szlig thorn \
     times uacute ucirc ugrave uml uuml yacute yen yuml";
/// The longest of them.
const UNCLOSED_MAX: usize = 6;
/// What numbers from 128 to 159 stand for: Windows-1252, where that has a character.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8D}Ž\u{8F}\u{90}‘’“”•–—˜™š›œ\u{9D}žŸ";

/// Entities resolved. `None`: there are none.
pub(super) fn entities(text: &str) -> Option<Cow<'_, str>> {
    memchr::memchr(b'&', text.as_bytes())?;
    let closed = closed(&numbered(text));
    let decoded = html_escape::decode_html_entities(&closed).into_owned();
    (decoded != text).then_some(Cow::Owned(decoded))
}

/// `&#51;`, `&#x33;`, `&#51`
fn numbered(text: &str) -> String {
    let mut pieces = text.split("&#");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (radix, digits) = piece.strip_prefix(['x', 'X']).map_or((10, piece), |hex| (16, hex));
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        if end == 0 {
            out.extend(["&#", piece]);
            continue;
        }
        out.push(numbered_by(u32::from_str_radix(&digits[..end], radix).ok()));
        out.push_str(digits[end..].strip_prefix(';').unwrap_or(&digits[end..]));
    }
    out
}

/// The character of this number; `None`: it is too large for any.
fn numbered_by(number: Option<u32>) -> char {
    let windows = number.and_then(|number| WINDOWS.chars().nth(usize::try_from(number.checked_sub(0x80)?).ok()?));
    windows.or_else(|| number.filter(|number| *number > 0).and_then(char::from_u32)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A byte that is no UTF-8, as a program reads it that knows no other character set.
pub(super) fn of_windows(byte: u8) -> char {
    numbered_by(Some(u32::from(byte)))
}

/// A semicolon behind each that needs none.
fn closed(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let word = piece.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(piece.len());
        let is_closed = piece[word..].starts_with(';');
        let known = |end: &usize| UNCLOSED.split_ascii_whitespace().any(|name| name == &piece[..*end]);
        let name = (2..=word.min(UNCLOSED_MAX)).rev().find(known).filter(|_| !is_closed).unwrap_or(0);
        out.extend(["&", &piece[..name], if name > 0 { ";" } else { "" }, &piece[name..]]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_read_as_a_browser_reads_them() {
        for (written, read) in [
            ("378&#32;174", "378 174"),
            ("378&#x20;174", "378 174"),
            ("378&nbsp174", "378\u{A0}174"),
            ("&shy7&shy;8", "\u{AD}7\u{AD}8"),
            ("Zo&eacute N&uacute&ntildeez", "Zoé Núñez"),
            ("&#138;imon", "Šimon"),
            ("7&#99999999;8&#xD800;9&#0;", "7\u{FFFD}8\u{FFFD}9\u{FFFD}"),
            ("&amp;#51;", "&#51;"),
            ("&notin;&#;", "∉&#;"),
        ] {
            assert_eq!(entities(written).as_deref(), Some(read), "{written}");
        }
        for plain in ["R&D", "a & b", "fish&chips", "378"] {
            assert_eq!(entities(plain), None, "{plain}");
        }
    }
}
