//! One reading of a text, and whether it holds something of somebody's.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::digits::{Digits, value};
use super::identifiers::Identifier;
use super::reading::plain;
use super::tags::TAG;
use super::words::{alphanumeric, folded, letters, unspaced};
use crate::render::context::TITLES;

/// So many digits at its end a number has in every spelling: what is written before them differs at home and abroad.
const TAIL: usize = 6;
/// A number of so many digits is found anywhere; a shorter one only as a number of its own.
const NUMBER_ANYWHERE: usize = 10;
/// Signs between two groups of a number.
const BETWEEN_MAX: usize = 3;

/// A text to be searched.
pub(super) struct Text<'t> {
    plain: Cow<'t, str>,
    /// What is taken out of all digits first.
    out: &'t [Vec<u8>],
    pub(super) digits: Digits,
    /// Without those of dates.
    undated: OnceLock<Digits>,
    letters: OnceLock<Vec<u8>>,
    /// See [`unspaced`].
    unspaced: OnceLock<String>,
    groups: OnceLock<Vec<DigitRun>>,
}

/// Digits without anything between them.
struct DigitRun {
    start: usize,
    end: usize,
    digits: String,
}

impl<'t> Text<'t> {
    /// What [`plain`] made. `out`: digits that count for nothing where they stand alone.
    pub(super) fn of_plain(text: &'t str, out: &'t [Vec<u8>]) -> Self {
        Self::new(Cow::Borrowed(text), out)
    }

    /// One that is kept.
    pub(super) fn owned(text: &str) -> Text<'static> {
        Text::new(Cow::Owned(plain(text).into_owned()), &[])
    }

    fn new(plain: Cow<'t, str>, out: &'t [Vec<u8>]) -> Self {
        let digits = without(Digits::long(&plain), out);
        let (letters, unspaced, groups) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { plain, out, digits, undated: OnceLock::new(), letters, unspaced, groups }
    }

    pub(super) fn holds(&self, identifier: &Identifier) -> bool {
        match identifier {
            Identifier::Code(code) => self.digits.contain(code.as_bytes()),
            // Nearly always this is all.
            Identifier::Number(number) if !self.digits.contain(number.as_bytes()) => false,
            Identifier::Number(number) if number.len() >= NUMBER_ANYWHERE => self.undated().contain(number.as_bytes()),
            Identifier::Number(number) => self.holds_short_number(number),
            Identifier::NumberEnd(end) => self.digits.contain(end.as_bytes()) && self.undated().contain(end.as_bytes()),
            Identifier::Passkey(passkey) => memchr::memmem::find(self.letters(), passkey.as_bytes()).is_some(),
            Identifier::ShortPasskey(passkey) => self.links().any(|part| alphanumeric(part) == *passkey),
            Identifier::Address(local, domains) => self.holds_address(local, domains),
            Identifier::Name(orders) => self.holds_name(orders),
        }
    }

    /// The same without each place where one of these names stands, folded as [`folded`] does: what is left is looked at again.
    pub(super) fn without_names(&self, names: &[String]) -> Text<'static> {
        // Two that follow each other share no blank.
        let apart = |text: &str| text.replace(' ', "  ");
        Text::owned(&names.iter().fold(apart(&folded(&self.plain)), |text, name| text.replace(&apart(name), " and ")))
    }

    /// A quick look, by the number as its source has it. False: none of [`Identifier::numbers`] is held.
    pub(super) fn may_hold_number(&self, raw: &str) -> bool {
        if self.digits.is_empty() {
            return false;
        }
        if !raw.bytes().all(|byte| byte.is_ascii_digit() || b" +-.()".contains(&byte)) {
            return true;
        }
        let mut tail: Vec<u8> = raw.bytes().rev().filter(u8::is_ascii_digit).take(TAIL).collect();
        tail.reverse();
        tail.len() == TAIL && self.digits.contain(&tail)
    }

    /// Likewise, by the address as its source has it: what stands before an @ ends as it does.
    pub(super) fn may_hold_address(&self, raw: &str) -> bool {
        // More than one address, or none that is well formed: that is looked at in full.
        if raw.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b"@.-_+'".contains(&byte)) || raw.matches('@').count() != 1 {
            return memchr::memchr(b'@', self.plain.as_bytes()).is_some();
        }
        let last = raw.rsplit_once('@').and_then(|(local, _)| local.chars().next_back());
        let ends = |at: usize| last.is_some_and(|last| before(&self.plain[..at], last.encode_utf8(&mut [0; 4])).is_some());
        memchr::memchr_iter(b'@', self.plain.as_bytes()).any(|at| last.is_some_and(|last| !last.is_ascii()) || ends(at))
    }

    /// Likewise, by the name as its source has it. Of two words nothing is left out, and each letter of ASCII stays one, whatever stands beside it.
    pub(super) fn may_hold_name(&self, raw: &str) -> bool {
        let words: Vec<&str> = raw.split_whitespace().collect();
        let is_title = |word: &&str| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            TITLES.iter().any(|title| word.eq_ignore_ascii_case(title))
        };
        if words.len() != 2 || raw.contains(['(', ')', '[', ']', ',']) || words.iter().any(is_title) {
            return true;
        }
        let letters = raw.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()).max_by_key(|letters| letters.len()).unwrap_or_default();
        letters.is_empty() || memchr::memmem::find(self.unspaced().as_bytes(), &letters.to_ascii_lowercase()).is_some()
    }

    fn groups(&self) -> &[DigitRun] {
        self.groups.get_or_init(|| groups(&self.plain))
    }

    /// Its digits without those of dates.
    fn undated(&self) -> &Digits {
        self.undated.get_or_init(|| {
            let mut text = String::with_capacity(self.plain.len());
            let mut from = 0;
            for date in self.groups().windows(3).filter(|three| self.is_date(three)) {
                if date[0].start < from {
                    continue;
                }
                text.extend([&self.plain[from..date[0].start], "and"]);
                from = date[2].end;
            }
            text.push_str(&self.plain[from..]);
            without(Digits::long(&text), self.out)
        })
    }

    /// See [`unspaced`].
    fn unspaced(&self) -> &str {
        self.unspaced.get_or_init(|| unspaced(&self.plain))
    }

    /// Letters and digits in lower case, and nothing else.
    fn letters(&self) -> &[u8] {
        self.letters.get_or_init(|| letters(&self.plain))
    }

    /// Wherever the longest of its words stands, those around it are looked at. Nearly always it stands nowhere.
    fn holds_name(&self, orders: &[String]) -> bool {
        let Some(order) = orders.first() else { return false };
        let longest = order.split(' ').max_by_key(|word| word.len()).unwrap_or_default();
        let text = self.unspaced();
        memchr::memmem::find_iter(text.as_bytes(), longest.as_bytes()).any(|at| {
            let (before, after) = (&text[..at], &text[at + longest.len()..]);
            let is_word = (before.is_empty() || before.ends_with(' ')) && (after.is_empty() || after.starts_with(' '));
            is_word && orders.iter().any(|order| stands_around((before, after), order, longest))
        })
    }

    /// The parts of all that looks like a link.
    fn links(&self) -> impl Iterator<Item = &str> {
        let words = self.plain.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | TAG));
        let links = words.filter(|word| word.contains("://") || word.contains("www.") || word.contains("passkey"));
        links.flat_map(|link| link.split(['/', '?', '&', '=', '#', ';', ':', ',']))
    }

    /// An address, whatever blanks and line ends split it, and not the end or the beginning of a longer one.
    fn holds_address(&self, local: &str, domains: &[String]) -> bool {
        memchr::memchr_iter(b'@', self.plain.as_bytes()).any(|at| {
            let (left, after) = (&self.plain[..at], &self.plain[at + 1..]);
            before(left, local).is_some_and(|left| !continues_left(left)) && domains.iter().any(|domain| begins_with_domain(after, domain))
        })
    }

    /// Few digits may be anything: they count only as a number of their own, neither a date nor part of a word.
    fn holds_short_number(&self, number: &str) -> bool {
        let groups = self.groups();
        (0..groups.len()).any(|first| {
            let mut digits = String::new();
            for (n, group) in groups[first..].iter().enumerate() {
                let last = first + n;
                if n > 0 && !joins(&self.plain[groups[last - 1].end..group.start]) {
                    return false;
                }
                digits.push_str(&group.digits);
                if digits.len() > number.len() + 7 {
                    return false;
                }
                if digits.ends_with(number) && self.is_number(&groups[first..=last], &digits[..digits.len() - number.len()]) {
                    return true;
                }
            }
            false
        })
    }

    /// These groups are written as a number of its own, `prefix` before it.
    fn is_number(&self, groups: &[DigitRun], prefix: &str) -> bool {
        let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
        let before = self.plain[..first.start].chars().next_back();
        let alone = !before.is_some_and(char::is_alphanumeric) && !self.plain[last.end..].chars().next().is_some_and(char::is_alphanumeric);
        let abroad = before == Some('+') || prefix.starts_with("00") || prefix.starts_with("011");
        alone && (matches!(prefix, "" | "0") || (abroad && prefix.len() <= 7)) && !groups.windows(3).any(|three| self.is_date(three))
    }

    /// `2026-11-28`, `28/11/2026`
    fn is_date(&self, groups: &[DigitRun]) -> bool {
        let [a, b, c] = groups else { return false };
        let between = |one: &DigitRun, other: &DigitRun| &self.plain[one.end..other.start];
        let number = |group: &DigitRun| group.digits.parse::<u32>().unwrap_or(u32::MAX);
        let year = |group: &DigitRun| group.digits.len() == 4 && (1900..2100).contains(&number(group));
        let day = |group: &DigitRun| group.digits.len() <= 2 && (1..=31).contains(&number(group));
        let same = between(a, b) == between(b, c) && matches!(between(a, b), "-" | "/" | "." | " " | ". ");
        same && ((year(a) && day(b) && day(c)) || (day(a) && day(b) && year(c)))
    }
}

fn without(mut digits: Digits, out: &[Vec<u8>]) -> Digits {
    out.iter().for_each(|own| digits.take_out(own));
    digits
}

/// Signs around and within an address that no program takes for a part of it, or that somebody put there to keep programs from it.
fn is_passed_over(c: char) -> bool {
    c.is_whitespace() || matches!(c, TAG | '"' | '*' | '[' | ']' | '(' | ')' | '{' | '}' | '<' | '>' | '\\' | '`')
}

/// One of the letters of a text as an address has it: in lower case.
fn is_letter(c: char, wanted: char) -> bool {
    let wanted_stop = wanted == '.' && c == '。';
    wanted_stop || c.to_lowercase().eq(std::iter::once(wanted)) || c == wanted
}

/// What stands before this end of a text, signs within it passed over. `None`: it does not end so. `wanted`: in lower case.
fn before<'t>(text: &'t str, wanted: &str) -> Option<&'t str> {
    let mut all = text.char_indices().rev();
    let mut from = text.len();
    for wanted in wanted.to_lowercase().chars().rev() {
        let (at, c) = all.by_ref().find(|(_, c)| *c == wanted || !is_passed_over(*c))?;
        if !is_letter(c, wanted) {
            return None;
        }
        from = at;
    }
    Some(&text[..from])
}

/// What stands behind this beginning of a text, likewise.
fn behind<'t>(text: &'t str, wanted: &str) -> Option<&'t str> {
    let mut all = text.char_indices();
    let mut to = 0;
    for wanted in wanted.chars() {
        let (at, c) = all.by_ref().find(|(_, c)| *c == wanted || !is_passed_over(*c))?;
        if !is_letter(c, wanted) {
            return None;
        }
        to = at + c.len_utf8();
    }
    Some(&text[to..])
}

/// A longer address ends so: letters, with one sign of those between them that it may have.
fn continues_left(left: &str) -> bool {
    let word = left.trim_end_matches(|c: char| ".!#$%&'*+-/=?^_`{|}~".contains(c));
    word.ends_with(|c: char| c.is_ascii_alphanumeric()) && !left[word.len()..].contains("..")
}

/// The domain, and not the beginning of a longer one: `.example` goes on, a full stop does not, nor does a sentence behind it (`.Please`).
fn begins_with_domain(text: &str, domain: &str) -> bool {
    let Some(rest) = behind(text, domain) else { return false };
    let in_small_letters = !text[..text.len() - rest.len()].contains(char::is_uppercase);
    let mut next = rest.chars();
    match next.next() {
        Some('.') => !next.next().is_some_and(|c| c.is_alphanumeric() && !(in_small_letters && c.is_uppercase())),
        Some('-') => !next.next().is_some_and(char::is_alphanumeric),
        Some(c) => !c.is_ascii_alphanumeric(),
        None => true,
    }
}

/// The digits of a text, group by group.
fn groups(text: &str) -> Vec<DigitRun> {
    let mut all: Vec<DigitRun> = Vec::new();
    for (at, c) in text.char_indices() {
        let Some(digit) = value(c) else { continue };
        let digit = char::from(b'0' + digit);
        match all.last_mut().filter(|group| group.end == at) {
            Some(group) => {
                group.digits.push(digit);
                group.end = at + c.len_utf8();
            }
            None => all.push(DigitRun { start: at, end: at + c.len_utf8(), digits: digit.to_string() }),
        }
    }
    all
}

/// What stands between two groups of one number.
fn joins(between: &str) -> bool {
    let sign =
        |c: char| c.is_whitespace() || matches!(c, '-' | '.' | '(' | ')' | '/' | '\u{B7}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | TAG);
    between.chars().count() <= BETWEEN_MAX && between.chars().all(sign)
}

/// The words of a name beside one of them stand beside it in a text, too.
fn stands_around((before, after): (&str, &str), order: &str, word: &str) -> bool {
    fn words<'t>(text: impl Iterator<Item = &'t str>) -> impl Iterator<Item = &'t str> {
        text.filter(|word| !word.is_empty())
    }
    let all: Vec<&str> = words(order.split(' ')).collect();
    let places = all.iter().enumerate().filter(|(_, one)| **one == word);
    places.map(|(place, _)| (&all[..place], &all[place + 1..])).any(|(left, right)| {
        let left_is_there = left.iter().rev().copied().eq(words(before.rsplit(' ')).take(left.len()));
        left_is_there && right.iter().copied().eq(words(after.split(' ')).take(right.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_field_holds_is_searched_for() {
        for (field, shown) in [
            ("312-555-0142 x12", "312-555-0142"),
            ("312-555-0142 ext. 1234567", "(312) 555 0142"),
            ("312-555-0142 or 312-555-0143", "3125550143"),
            ("312-555-0142/312-555-0143", "3125550143"),
            ("404-555-0123 (mobile), 312-555-0142 (home)", "+1 312 555 0142"),
            ("4045550123.0", "404-555-0123"),
            ("4.045550123E9", "404-555-0123"),
            ("8 912 345 67 89", "+7 912 345 67 89"),
            ("06301234567", "30 123 4567"),
            ("011 44 20 7946 0958", "+44 20 7946 0958"),
            ("0044 20 7946 0958", "020 7946 0958"),
            ("442079460958 (UK)", "020 7946 0958"),
            ("tel:+44 20 7946 0958", "020 7946 0958"),
            ("030/1234567", "030 1234567"),
            ("312-555-4001 415-555-4002", "312-555-4001"),
            ("312-555-4001 415-555-4002", "+1 415 555 4002"),
            ("312-555-4001 - 415-555-4002", "415 555 4002"),
        ] {
            let text = Text::owned(&format!("call {shown}, please"));
            assert!(
                Identifier::numbers(field).iter().any(|identifier| text.holds(identifier)),
                "{field}: {shown}: {:?}",
                Identifier::numbers(field)
            );
        }
        for field in [
            "Alice <rc101@example.com>",
            "<rc101@example.com>",
            "mailto:rc101@example.com",
            "sam@example.org, rc101@example.com",
            "rc101@example.com sam@example.org",
            "rc101@example.com;",
            "rc101@example.com (work)",
            "rc101 @example.com",
            "'rc101@example.com'",
            "rc101@@example.com",
            "rc101@example..com",
            "rc101@example,com",
            "e-mail:rc101@example.com",
            "email=rc101@example.com",
            "\u{201C}rc101@example.com\u{201D}",
            "sam@example.org/rc101@example.com",
        ] {
            let text = Text::owned("write to rc101@example.com");
            assert!(
                Identifier::addresses(field).iter().any(|identifier| text.holds(identifier)),
                "{field}: {:?}",
                Identifier::addresses(field)
            );
        }
        for field in
            ["Alice Marie Patient", "Alice M. Patient", "Alice Patient (Ally)", "Alice Patient, MD", "Patient, Alice", "Alice Patient"]
        {
            let text = Text::owned("with Alice Patient today");
            assert!(Identifier::names(field, &["dr"]).iter().any(|identifier| text.holds(identifier)), "{field}");
        }
        for field in ["Alice", "Dr. Alice", ""] {
            assert!(
                !Identifier::names(field, &["dr"]).iter().any(|identifier| Text::owned("with Alice Patient").holds(identifier)),
                "{field}"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_name_that_is_held_is_one_that_may_be(
            name in "(Dr\\.? |Ms )?[A-Za-zéÉłŁøßſKﬁ'.-]{1,7}( [A-Za-zéŁ]{1,3})? [A-Za-zéÉŁß'.-]{1,7}(, [A-Z]{2}| \\(a\\)| [Jj]r\\.?)?",
            form in 0..4_u8, around in "[ -~é]{0,6}",
        ) {
            let shown = match form {
                0 => name.to_uppercase(),
                1 => name.to_lowercase().replace(' ', "\u{A0}"),
                2 => unicode_normalization::UnicodeNormalization::nfd(name.as_str()).collect(),
                _ => name.split_once(' ').map(|(first, last)| format!("{last}, {first}")).unwrap_or_default(),
            };
            let text = Text::owned(&format!("{around} {shown} {around}"));
            let is_held = Identifier::names(&name, &TITLES).iter().any(|name| text.holds(name));
            proptest::prop_assert!(!is_held || text.may_hold_name(&name), "{name}: {shown}");
        }
    }

    #[test]
    fn an_address_is_found_beside_whatever_sign() {
        let identifier = &Identifier::addresses("rc101@example.com")[0];
        for text in [
            "-rc101@example.com",
            "ask\u{2026}rc101@example.com",
            "_rc101@example.com_",
            "+rc101@example.com",
            "rc101@example.com-",
            "rc101@example.com.Please",
            "\"rc101\"@example.com",
            "**rc101**@example.com",
            "rc101[@]example[.]com",
            "RC101@EXAMPLE.COM.",
        ] {
            assert!(Text::owned(text).holds(identifier), "{text}");
        }
        for other in [
            "arc101@example.com",
            "a.rc101@example.com",
            "a-rc101@example.com",
            "rc101@example.com.au",
            "rc101@example.community",
            "rc101@example.com-x.org",
        ] {
            assert!(!Text::owned(other).holds(identifier), "{other}");
        }
    }
}
