//! Words of a session that a server repeats, and that neither the log nor the history shall hold.
//!
//! In: the names of its people and its topic. Out: texts without any of their words. What an answer means was decided before, on the server's own
//! words; this changes what is kept of it.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Outcome;

/// Letters of a name that is found in whatever company. Shorter ones (`Li`, `de`, `MD`) are so where they stand beside another, or as names do, with a
/// capital.
const WORD_MIN: usize = 3;
/// Letters of a name that is found within a word that is put together of names and initials (`alicep`, `AliceKay`).
const PART_MIN: usize = 4;
/// Letters of an initial, or two.
const INITIALS_MAX: usize = 2;

/// Words that are not repeated, in plain letters.
#[derive(Clone, Default)]
pub struct Unsaid {
    words: HashSet<String>,
    short: HashSet<String>,
    /// Of scripts that set no blanks between words.
    unspaced: Vec<String>,
}

impl std::fmt::Debug for Unsaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsaid")
    }
}

impl Unsaid {
    /// The words of these texts.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut unsaid = Self::default();
        for (word, _) in texts.flat_map(pieces).filter(|(word, _)| word.contains(char::is_alphabetic)) {
            if word.chars().any(|c| c.is_alphabetic() && !c.is_lowercase() && !c.is_uppercase()) {
                unsaid.unspaced.push(word.nfkc().collect());
            }
            for plain in [plain(word), plain(&typed(word))] {
                let all = if plain.chars().count() < WORD_MIN { &mut unsaid.short } else { &mut unsaid.words };
                all.insert(plain);
            }
        }
        unsaid
    }

    /// A text with `(...)` in place of them, however they are written: in capitals, without accents, between digits, run together. What is encoded as
    /// in a header (RFC 2047) is left out whole.
    pub fn left_out(&self, text: &str) -> String {
        let text = &without_encoded(text);
        let pieces: Vec<(&str, &str)> = pieces(text).collect();
        let hidden: Vec<bool> = pieces.iter().map(|(word, _)| self.is_said_in(word)).collect();
        let is_short = |at: usize| pieces.get(at).is_some_and(|(word, _)| self.short.contains(&plain(word)));
        let mut out = String::with_capacity(text.len());
        for (at, (word, rest)) in pieces.iter().enumerate() {
            let beside = |at: Option<usize>| at.is_some_and(|at| is_short(at) || hidden.get(at) == Some(&true));
            let as_a_name = || word.chars().next().is_some_and(char::is_uppercase) && word.chars().skip(1).any(char::is_lowercase);
            let short = || is_short(at) && (as_a_name() || beside(at.checked_sub(1)) || beside(Some(at + 1)));
            out.push_str(if hidden[at] || short() { "(...)" } else { word });
            out.push_str(rest);
        }
        out
    }

    /// Whether a word is one of them, or put together of them.
    fn is_said_in(&self, word: &str) -> bool {
        let whole = plain(word);
        let bare = whole.trim_matches(char::is_numeric);
        if self.words.contains(&whole) || self.words.contains(bare) {
            return true;
        }
        if !self.unspaced.is_empty() {
            let composed: String = word.nfkc().collect();
            if self.unspaced.iter().any(|part| composed.contains(part)) {
                return true;
            }
        }
        bare.chars().all(char::is_alphabetic) && self.words.iter().any(|part| part.len() >= PART_MIN && self.is_rest(bare, part))
    }

    /// What a word has beside that name is a name, too, or initials of one.
    fn is_rest(&self, word: &str, part: &str) -> bool {
        let rest = [word.strip_prefix(part), word.strip_suffix(part)];
        rest.into_iter().flatten().any(|rest| {
            let initials = rest.chars().count() <= INITIALS_MAX;
            self.words.contains(rest) || self.short.contains(rest) || (initials && self.words.iter().any(|word| word.starts_with(rest)))
        })
    }
}

/// Words, each with what follows up to the next. A mark that stands behind its letter is part of the word.
fn pieces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_sign = |c: char| !c.is_alphanumeric() && !is_combining_mark(c);
    text.split_inclusive(is_sign).map(move |piece| {
        let word = piece.trim_end_matches(is_sign);
        (word, &piece[word.len()..])
    })
}

/// In small letters without accents.
fn plain(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(word.len());
    for c in word.nfkd().flat_map(char::to_lowercase).filter(|c| !is_combining_mark(*c)) {
        match c {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'þ' => out.push_str("th"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' | 'ð' => out.push('d'),
            'ı' => out.push('i'),
            _ => out.push(c),
        }
    }
    out
}

/// With two letters for one, as where there is no key for it: `Mueller`, `Soerensen`, `Aase`.
fn typed(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(word.len());
    for c in word.nfc().flat_map(char::to_lowercase) {
        match c {
            'ä' => out.push_str("ae"),
            'ö' | 'ø' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'å' => out.push_str("aa"),
            _ => out.push(c),
        }
    }
    out
}

/// Without `=?utf-8?B?...?=`.
fn without_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, encoded)) = rest.split_once("=?") {
        out.push_str(before);
        // Charset, encoding, text. One that is cut off is left out to its end.
        let mut parts = encoded.splitn(3, '?');
        let (charset, encoding, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
        let Some(text) = text.filter(|_| !charset.contains(char::is_whitespace) && matches!(encoding, "b" | "B" | "q" | "Q")) else {
            out.push_str("=?");
            rest = encoded;
            continue;
        };
        out.push_str("(...)");
        rest = text.split_once("?=").map_or_else(|| text.split_once(' ').map_or("", |(_, rest)| rest), |(_, rest)| rest);
    }
    out + rest
}

impl Outcome {
    /// The same outcome, with nothing of these in what the server said.
    #[must_use]
    pub fn without(self, unsaid: &Unsaid) -> Self {
        self.retold(|text| unsaid.left_out(&text))
    }

    /// The same outcome, with its text as `told` makes it.
    #[must_use]
    pub(crate) fn retold(self, told: impl Fn(String) -> String) -> Self {
        match self {
            Self::Accepted { reply, reference } => Self::Accepted { reply: told(reply), reference },
            Self::Rejected { reply, remember } => Self::Rejected { reply: told(reply), remember },
            Self::Retry { why, after } => Self::Retry { why: told(why), after },
            Self::ChannelFault { why, after } => Self::ChannelFault { why: told(why), after },
            Self::Unknown { why } => Self::Unknown { why: told(why) },
            Self::Fenced => Self::Fenced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_name_or_a_topic_is_repeated() {
        let names = ["Alice O'Patient-Núñez", "Dr. Kay", "550 Grief group", "Li Wu", "Jörg Weiß-Sørensen", "李明", "4f9a-77-doorway"];
        let unsaid = Unsaid::of(names.into_iter());
        for (said, told) in [
            ("550 5.7.1 Message for ALICE refused", "550 5.7.1 Message for (...) refused"),
            ("subject: grief Group, by kay", "subject: (...) (...), by (...)"),
            ("patient_núñez", "(...)_(...)"),
            ("NUNEZ, nu\u{301}n\u{303}ez", "(...), (...)"),
            ("no mailbox JOERG WEISS or jorg.soerensen, Sorensen", "no mailbox (...) (...) or (...).(...), (...)"),
            ("Alice%20Patient, Patient7, 7alice", "(...)%(...), (...), (...)"),
            ("alicep apatient AliceNunez kayalice", "(...) (...) (...) (...)"),
            ("patiently, alicee, malice, okay", "patiently, alicee, malice, okay"),
            ("user Li Wu; li wu; Wu unknown; we li", "user (...) (...); (...) (...); (...) unknown; we li"),
            ("用户李明不存在", "(...)"),
            ("To: =?utf-8?B?TsO6w7Fleg==?= is full", "To: (...) is full"),
            ("=?UTF-8?q?N=C3=BA=C3=B1ez", "(...)"),
            ("a =? b", "a =? b"),
            ("passkey 4F9A-77-Doorway", "passkey (...)-77-(...)"),
            ("250 2.0.0 ok: queued as 4XkAlice1", "250 2.0.0 ok: queued as 4XkAlice1"),
            ("", ""),
        ] {
            assert_eq!(unsaid.left_out(said), told);
        }
    }
}
