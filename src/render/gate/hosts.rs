//! What the hosts of a session are called: everybody meets them, whatever a patient is called.

use super::words::folded;
use crate::session::{Role, Session};

/// A host's name of more words than this is none: they have titles before it and degrees behind it.
const HOST_NAME_MAX: usize = 8;
/// Likewise of one that is written in small letters alone: more words are a sentence.
const SMALL_NAME_MAX: usize = 3;
/// Words of names that begin with a small letter.
const WITHIN_NAMES: [&str; 14] = ["al", "bin", "da", "de", "del", "della", "der", "di", "dos", "el", "la", "van", "von", "y"];
/// `(she/her/hers)`
const PRONOUNS_MAX: usize = 16;

/// Their names, folded, if nothing else is hidden in them.
pub(super) fn names(session: &Session) -> impl Iterator<Item = String> {
    let hosts = session.participants.iter().filter(|p| p.role == Role::Host).map(|p| p.name.expose());
    hosts.filter_map(|name| [name, called(name)].into_iter().find(|name| reads_like_a_name(name))).map(folded)
}

/// What somebody is called, without what they are or where: `Kay Smith | Elm Clinic`, `Kay Smith #2`, `Kay Smith,PhD`.
fn called(name: &str) -> &str {
    let signs = name.find([',', '|', '/', '(', '[', '#', ':']);
    let words = [" - ", " \u{2013} ", " & "].iter().filter_map(|sign| name.find(sign));
    name[..signs.into_iter().chain(words).min().unwrap_or(name.len())].trim()
}

/// Nothing else is hidden in a host's name: each word begins with a capital, or is one that stands within names; pronouns in brackets apart. Or it is
/// short, and all of it in small letters.
fn reads_like_a_name(name: &str) -> bool {
    let small =
        name.split_whitespace().count() <= SMALL_NAME_MAX && name.chars().all(|c| c.is_lowercase() || matches!(c, ' ' | '.' | '\'' | '-'));
    if small && !name.is_empty() {
        return true;
    }
    let is_word = |word: &str| {
        let letters = word.trim_matches(['.', ',']);
        let begins = letters.starts_with(char::is_uppercase) || WITHIN_NAMES.contains(&letters);
        begins && letters.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | '\'' | '\u{2019}' | '-'))
    };
    let in_brackets = |word: &str| word.starts_with('(') && word.ends_with(')') && word.len() <= PRONOUNS_MAX;
    let mut words = name.split_whitespace().filter(|word| !in_brackets(word)).peekable();
    words.peek().is_some() && words.clone().count() <= HOST_NAME_MAX && words.all(is_word)
}
