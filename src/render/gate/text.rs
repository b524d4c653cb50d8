//! One reading of a text, and whether it holds something of somebody's.

use std::borrow::Cow;
use std::sync::OnceLock;

use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use super::digits::{Digits, LONG, value};
use super::reading::{not_ascii, plain};
use super::tags::TAG;
use crate::contact::{EmailAddress, PhoneNumber};
use crate::render::sms::typography;

/// Fewer digits than this are a date or a price, not a telephone number.
const NUMBER_MIN: usize = LONG;
/// So many digits at its end a number has in every spelling: what is written before them differs at home and abroad.
const TAIL: usize = 6;
/// A number of so many digits is found anywhere; a shorter one only as a number of its own.
const NUMBER_ANYWHERE: usize = 10;
/// A passkey from this length on is searched for anywhere; a shorter one only in links.
const PASSKEY_ANYWHERE: usize = 8;
/// Signs between two groups of a number.
const BETWEEN_MAX: usize = 3;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    /// A connect code's digits.
    Code(String),
    /// The digits of a telephone number that are dialled in its country, without zeros before them.
    Number(String),
    /// Letters and digits in lower case.
    Passkey(String),
    /// Likewise, of a short one.
    ShortPasskey(String),
    /// What stands before the @, and the spellings of what stands behind it, in lower case.
    Address(String, Vec<String>),
    /// The words of a name in lower case, in the orders in which it may be written, a blank around each.
    Name(Vec<String>),
}

impl Thing {
    pub(super) fn passkey(raw: &str) -> Option<Self> {
        let value = alphanumeric(raw);
        match value.len() {
            0 => None,
            n if n < PASSKEY_ANYWHERE => Some(Self::ShortPasskey(value)),
            _ if value.bytes().all(|b| b.is_ascii_digit()) => Some(Self::Number(value)),
            _ => Some(Self::Passkey(value)),
        }
    }

    /// An address as its source has it, be it at fault.
    pub(super) fn address(raw: &str) -> Option<Self> {
        let parsed = EmailAddress::parse(raw).ok();
        let whole = parsed.map_or_else(|| raw.trim().to_lowercase(), |address| address.canonical().into_owned());
        let (local, domain) = whole.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty())?;
        let mut domains = vec![domain.to_owned()];
        let (unicode, _) = idna::domain_to_unicode(domain);
        domains.extend(Some(unicode).filter(|unicode| unicode != domain));
        Some(Self::Address(local.to_owned(), domains))
    }

    /// A number as its source has it, be it at fault: its country is known only if it says so.
    pub(super) fn number(raw: &str) -> Option<Self> {
        let plain = plain(raw);
        let abroad = plain.trim_start_matches(|c: char| c.is_whitespace() || c == '(').starts_with('+');
        let number = if abroad { PhoneNumber::possible(&plain, "US").ok() } else { None };
        let national = number.map(|number| number.national());
        let all = national.unwrap_or_else(|| plain.chars().filter_map(value).map(|digit| char::from(b'0' + digit)).collect());
        let core = all.trim_start_matches('0');
        let core = core.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(core);
        (core.len() >= NUMBER_MIN).then(|| Self::Number(core.to_owned()))
    }

    /// A full name: of two words or more, titles apart. `titles`: what is none.
    pub(super) fn name(raw: &str, titles: &[&str]) -> Option<Self> {
        let mut words: Vec<String> = raw.split_whitespace().map(|word| folded(word).trim().to_owned()).collect();
        words.retain(|word| !word.is_empty() && !titles.contains(&word.as_str()));
        if words.len() < 2 {
            return None;
        }
        let mut orders = Vec::with_capacity(words.len());
        for _ in 0..words.len() {
            words.rotate_left(1);
            orders.push(format!(" {} ", words.join(" ")));
        }
        // One person, whichever word comes first.
        orders.sort();
        Some(Self::Name(orders))
    }
}

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
    groups: OnceLock<Vec<Group>>,
}

/// Digits without anything between them.
struct Group {
    start: usize,
    end: usize,
    digits: String,
}

impl<'t> Text<'t> {
    /// `out`: digits that count for nothing where they stand alone.
    pub(super) fn of(text: &'t str, out: &'t [Vec<u8>]) -> Self {
        Self::new(plain(text), out)
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

    pub(super) fn holds(&self, thing: &Thing) -> bool {
        match thing {
            Thing::Code(code) => self.digits.contain(code.as_bytes()),
            // Nearly always this is all.
            Thing::Number(number) if !self.digits.contain(number.as_bytes()) => false,
            Thing::Number(number) if number.len() >= NUMBER_ANYWHERE => self.undated().contain(number.as_bytes()),
            Thing::Number(number) => self.holds_short_number(number),
            Thing::Passkey(passkey) => memchr::memmem::find(self.letters(), passkey.as_bytes()).is_some(),
            Thing::ShortPasskey(passkey) => self.links().any(|part| alphanumeric(part) == *passkey),
            Thing::Address(local, domains) => self.holds_address(local, domains),
            Thing::Name(orders) => self.holds_name(orders),
        }
    }

    /// The same without each place where one of these names stands, folded as [`folded`] does: what is left is looked at again.
    pub(super) fn without_names(&self, names: &[String]) -> Text<'static> {
        // Two that follow each other share no blank.
        let apart = |text: &str| text.replace(' ', "  ");
        Text::owned(&names.iter().fold(apart(&folded(&self.plain)), |text, name| text.replace(&apart(name), " and ")))
    }

    /// A quick look, by the number as its source has it. False: [`Thing::number`] of it is not held.
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
        let last = raw.rsplit_once('@').and_then(|(local, _)| local.chars().next_back());
        let ends =
            |at: usize| last.is_some_and(|last| walked(self.plain[..at].chars().rev(), std::iter::once(last.to_ascii_lowercase())).is_ok());
        memchr::memchr_iter(b'@', self.plain.as_bytes()).any(|at| last.is_some_and(|last| !last.is_ascii()) || ends(at))
    }

    fn groups(&self) -> &[Group] {
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

    /// Letters and digits in lower case, and nothing else.
    fn letters(&self) -> &[u8] {
        self.letters.get_or_init(|| letters(&self.plain))
    }

    /// Wherever the longest of its words stands, those around it are looked at. Nearly always it stands nowhere.
    fn holds_name(&self, orders: &[String]) -> bool {
        let Some(order) = orders.first() else { return false };
        let longest = order.split(' ').max_by_key(|word| word.len()).unwrap_or_default();
        let text = self.unspaced.get_or_init(|| unspaced(&self.plain));
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
            let (before, after) = (&self.plain[..at], &self.plain[at + 1..]);
            walked(before.chars().rev(), local.chars().rev()).is_ok_and(|left| !continues_left(left))
                && domains.iter().any(|domain| begins_with_domain(after, domain))
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
    fn is_number(&self, groups: &[Group], prefix: &str) -> bool {
        let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return false };
        let before = self.plain[..first.start].chars().next_back();
        let alone = !before.is_some_and(char::is_alphanumeric) && !self.plain[last.end..].chars().next().is_some_and(char::is_alphanumeric);
        let abroad = before == Some('+') || prefix.starts_with("00") || prefix.starts_with("011");
        alone && (matches!(prefix, "" | "0") || (abroad && prefix.len() <= 7)) && !groups.windows(3).any(|three| self.is_date(three))
    }

    /// `2026-11-28`, `28/11/2026`
    fn is_date(&self, groups: &[Group]) -> bool {
        let [a, b, c] = groups else { return false };
        let between = |one: &Group, other: &Group| &self.plain[one.end..other.start];
        let number = |group: &Group| group.digits.parse::<u32>().unwrap_or(u32::MAX);
        let year = |group: &Group| group.digits.len() == 4 && (1900..2100).contains(&number(group));
        let day = |group: &Group| group.digits.len() <= 2 && (1..=31).contains(&number(group));
        let same = between(a, b) == between(b, c) && matches!(between(a, b), "-" | "/" | "." | " " | ". ");
        same && ((year(a) && day(b) && day(c)) || (day(a) && day(b) && year(c)))
    }
}

fn without(mut digits: Digits, out: &[Vec<u8>]) -> Digits {
    out.iter().for_each(|own| digits.take_out(own));
    digits
}

/// A text does not begin so.
struct Differs;

/// What comes behind these characters in a text, blanks and tags between them left out.
fn walked(text: impl Iterator<Item = char>, wanted: impl Iterator<Item = char>) -> Result<Option<char>, Differs> {
    let mut text = text.flat_map(char::to_lowercase).map(|c| if c == '。' { '.' } else { c });
    for wanted in wanted {
        let next = text.by_ref().find(|c| !c.is_whitespace() && *c != TAG).ok_or(Differs)?;
        if next != wanted {
            return Err(Differs);
        }
    }
    Ok(text.next())
}

fn continues_left(before: Option<char>) -> bool {
    before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
}

/// The domain, and not the beginning of a longer one: `.example` goes on, a full stop does not.
fn begins_with_domain(text: &str, domain: &str) -> bool {
    let Ok(next) = walked(text.chars(), domain.chars()) else { return false };
    match next {
        Some('.') => {
            let mut dotted = domain.to_owned();
            dotted.push('.');
            !walked(text.chars(), dotted.chars()).ok().flatten().is_some_and(char::is_alphanumeric)
        }
        Some(c) => !(c.is_ascii_alphanumeric() || c == '-'),
        None => true,
    }
}

/// The digits of a text, group by group.
fn groups(text: &str) -> Vec<Group> {
    let mut all: Vec<Group> = Vec::new();
    for (at, c) in text.char_indices() {
        let Some(digit) = value(c) else { continue };
        let digit = char::from(b'0' + digit);
        match all.last_mut().filter(|group| group.end == at) {
            Some(group) => {
                group.digits.push(digit);
                group.end = at + c.len_utf8();
            }
            None => all.push(Group { start: at, end: at + c.len_utf8(), digits: digit.to_string() }),
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

pub(super) fn alphanumeric(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The same as bytes, of a long text: without a jump for each of them.
fn letters(text: &str) -> Vec<u8> {
    let mut out = vec![0; text.len()];
    let mut n = 0;
    for byte in text.bytes() {
        out[n] = byte.to_ascii_lowercase();
        n += usize::from(byte.is_ascii_alphanumeric());
    }
    out.truncate(n);
    out
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

/// The words of a text in lower case, without accents, with one blank around each.
pub(super) fn folded(text: &str) -> String {
    let mut out = " ".to_owned();
    unspaced(&plain(text)).split(' ').filter(|word| !word.is_empty()).for_each(|word| out.extend([word, " "]));
    out
}

/// The same with a blank for every sign, of a text that is plain.
fn unspaced(plain: &str) -> String {
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
