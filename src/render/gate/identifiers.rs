//! What is searched for: what a record has of somebody, in each form in which a message could show it.
//!
//! In: a field of a record as its source has it, be it at fault. Out: the [`Identifier`]s in it. A field may hold more than one number or address, and
//! words around them: each that a person would read out of it is one.

use std::collections::BTreeSet;

use super::digits::{LONG, value};
use super::reading::plain;
use super::words::{alphanumeric, folded};
use crate::contact::{EmailAddress, PhoneNumber};

/// Fewer digits than this are a date or a price, not a telephone number.
const NUMBER_MIN: usize = LONG;
/// More digits than this are two numbers.
const NUMBER_MAX: usize = 17;
/// So many digits at the end of a longer number stand in it however it is written: at home, abroad, with whatever is dialled before it.
const NUMBER_END: usize = 9;
/// A passkey from this length on is searched for anywhere; a shorter one only in links.
const PASSKEY_ANYWHERE: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identifier {
    /// A connect code's digits.
    Code(String),
    /// The digits of a telephone number, without zeros before them.
    Number(String),
    /// The last ones of a long one.
    NumberEnd(String),
    /// Letters and digits in lower case.
    Passkey(String),
    /// Likewise, of a short one.
    ShortPasskey(String),
    /// What stands before the @, and the spellings of what stands behind it, in lower case.
    Address(String, Vec<String>),
    /// The words of a name in lower case, in the orders in which it may be written, a blank around each.
    Name(Vec<String>),
}

impl Identifier {
    pub(super) fn passkey(raw: &str) -> Option<Self> {
        let value = alphanumeric(raw);
        match value.len() {
            0 => None,
            n if n < PASSKEY_ANYWHERE => Some(Self::ShortPasskey(value)),
            _ if value.bytes().all(|b| b.is_ascii_digit()) => Some(Self::Number(value)),
            _ => Some(Self::Passkey(value)),
        }
    }

    /// Whoever shows this one shows the other one, too: it is the same, or a part of it.
    pub(super) fn shows(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(own) | Self::NumberEnd(own), Self::Number(other) | Self::NumberEnd(other)) => {
                own.ends_with(other) || other.ends_with(own)
            }
            // Such as that of a gateway from mail to texts.
            (Self::Address(own, _), Self::Number(other) | Self::NumberEnd(other)) => digits_of(own).ends_with(other),
            (Self::Address(own, domains), Self::Address(other, theirs)) => {
                // No letter more: a host's longer address is another one, and shows nobody's.
                let is_sign = |signs: &str| !signs.contains(char::is_alphanumeric);
                own.strip_suffix(other.as_str()).is_some_and(is_sign) && domains.iter().any(|one| theirs.contains(one))
            }
            (Self::Passkey(own), Self::Passkey(other) | Self::Number(other)) => own.contains(other),
            (Self::Number(own), Self::Passkey(other)) => own.contains(other),
            _ => self == other,
        }
    }

    /// The addresses of a field.
    pub(super) fn addresses(raw: &str) -> Vec<Self> {
        let mut all: BTreeSet<Self> = EmailAddress::parse(raw).ok().and_then(|parsed| address(&parsed.canonical())).into_iter().collect();
        let is_apart = |c: char| c.is_whitespace() || ",;<>()[]\"|:=/&*?!\u{201C}\u{201D}\u{2018}\u{2019}".contains(c);
        if all.is_empty() || raw.contains(is_apart) {
            let raw = raw.to_lowercase().replace("mailto:", " ");
            let words = raw.split(is_apart).map(|word| word.trim_matches(['\'', '.']));
            all.extend(words.filter_map(address));
            // Written in two words, or with a comma for the stop.
            let whole: String = raw.chars().filter(|c| !c.is_whitespace()).collect();
            all.extend([address(&whole), address(&whole.replace(',', "."))].into_iter().flatten());
        }
        all.into_iter().collect()
    }

    /// The numbers of a field. The country of one is known only if it says so.
    pub(super) fn numbers(raw: &str) -> Vec<Self> {
        let plain = plain(raw);
        let abroad = plain.trim_start_matches(|c: char| c.is_whitespace() || c == '(').starts_with('+');
        let parsed = if abroad { PhoneNumber::possible(&plain, "US").ok() } else { None };
        if let Some(number) = parsed {
            return number_of(&number.national()).into_iter().collect();
        }
        let mut all = BTreeSet::new();
        // As a spreadsheet keeps it.
        if let Some(number) = plain.trim().parse::<f64>().ok().filter(|number| *number < 1e17 && plain.contains(['.', 'E', 'e'])) {
            all.extend(number_of(&format!("{number:.0}")));
        }
        let is_apart = |c: char| c.is_alphabetic() || matches!(c, ',' | ';' | '|' | '#' | '\n');
        let parts =
            plain.split(is_apart).chain(plain.split(|c: char| is_apart(c) || matches!(c, '/' | '&' | '\t'))).chain(plain.split(" - "));
        all.extend(parts.filter_map(number_of));
        all.extend(two_numbers(&plain));
        all.into_iter().collect()
    }

    /// The names of a person, of two words or more each: in full; without what stands in brackets or behind a comma; without those in the middle.
    /// `titles`: words that are none.
    pub(super) fn names(raw: &str, titles: &[&str]) -> Vec<Self> {
        let words = |raw: &str| -> Vec<String> {
            let words = raw.split_whitespace().map(|word| folded(word).trim().to_owned());
            words.filter(|word| !word.is_empty() && !titles.contains(&word.as_str())).collect()
        };
        let full = words(raw);
        let mut all: Vec<Self> = in_any_order(full.clone()).into_iter().collect();
        let mut add = |words: Vec<String>| all.extend(in_any_order(words).filter(|name| !all.contains(name)));
        let bare = without_brackets(raw);
        if bare != raw {
            add(words(&bare));
        }
        match bare.split_once(',') {
            // `Patient, Alice`, or `Alice Patient, MD`.
            Some((name, _)) if words(name).len() >= 2 => {
                let words = words(name);
                add(first_and_last(&words));
                add(words);
            }
            Some(_) => {}
            None => add(first_and_last(&words(&bare))),
        }
        all
    }
}

fn first_and_last(words: &[String]) -> Vec<String> {
    match words {
        [first, _, .., last] => vec![first.clone(), last.clone()],
        _ => Vec::new(),
    }
}

/// `Alice Patient (Ally)`
fn without_brackets(raw: &str) -> String {
    let mut depth = 0_u32;
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// One person, whichever word comes first.
fn in_any_order(mut words: Vec<String>) -> Option<Identifier> {
    if words.len() < 2 {
        return None;
    }
    let mut orders = Vec::with_capacity(words.len());
    for _ in 0..words.len() {
        words.rotate_left(1);
        orders.push(format!(" {} ", words.join(" ")));
    }
    orders.sort();
    Some(Identifier::Name(orders))
}

/// One address, in lower case; signs that were doubled by mistake are one.
fn address(raw: &str) -> Option<Identifier> {
    let mut whole = String::with_capacity(raw.len());
    for c in raw.trim().chars() {
        if !(matches!(c, '@' | '.') && whole.ends_with(c)) {
            whole.push(c);
        }
    }
    let (local, domain) =
        whole.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty() && !local.contains('@'))?;
    let mut domains = vec![domain.to_owned()];
    let (unicode, _) = idna::domain_to_unicode(domain);
    domains.extend(Some(unicode).filter(|unicode| unicode != domain));
    Some(Identifier::Address(local.to_owned(), domains))
}

fn digits_of(text: &str) -> String {
    text.chars().filter_map(value).map(|digit| char::from(b'0' + digit)).collect()
}

/// Two numbers with nothing between them that is in none: the first one's end is where a number's may be, the second one's is known.
fn two_numbers(text: &str) -> Vec<Identifier> {
    let all = digits_of(text);
    if all.len() < 2 * NUMBER_END {
        return Vec::new();
    }
    let first = (NUMBER_END..=NUMBER_END + 3).map(|end| all[end - NUMBER_END..end].to_owned());
    first.chain([all[all.len() - NUMBER_END..].to_owned()]).map(Identifier::NumberEnd).collect()
}

/// One number: its digits, whatever stands between them.
fn number_of(text: &str) -> Option<Identifier> {
    let all = digits_of(text);
    let core = all.trim_start_matches('0');
    let core = core.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(core);
    match core.len() {
        n if !(NUMBER_MIN..=NUMBER_MAX).contains(&n) => None,
        n if n > NUMBER_END => Some(Identifier::NumberEnd(core[n - NUMBER_END..].to_owned())),
        _ => Some(Identifier::Number(core.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_address_does_not_show_a_shorter_one() {
        let [theirs, own, longer] =
            ["lee@example.com", "_lee@example.com", "drlee@example.com"].map(|raw| Identifier::addresses(raw).remove(0));
        assert!(own.shows(&theirs) && theirs.shows(&theirs) && !longer.shows(&theirs));
        let number = Identifier::numbers("312 555 4077").remove(0);
        assert!(Identifier::addresses("3125554077@example.com")[0].shows(&number) && !longer.shows(&number));
    }
}
