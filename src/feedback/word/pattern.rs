//! Clauses, held against the patterns of [`super::wishes`].

use super::Language;
use super::around::{ASKS, BETWEEN, DENIES, LIMITS, SOMEBODY};
use super::classes::CLASSES;
use super::plain::{Clause, WORDS_MAX};
use super::wishes::{ClauseKind, DE, ES, FR, OPEN, PT, Pattern, WHOLE};

/// A word, and the classes that it is of: bit n for the nth of [`CLASSES`].
struct ClassedWord<'w> {
    text: &'w str,
    classes: u32,
}

impl<'w> ClassedWord<'w> {
    fn of(text: &'w str) -> Self {
        let classes = CLASSES.iter().enumerate().filter(|(_, (_, words))| words.split_whitespace().any(|word| word == text));
        Self { text, classes: classes.fold(0, |all, (n, _)| all | 1 << n) }
    }

    fn is(&self, class: &str) -> bool {
        CLASSES.iter().position(|(name, _)| *name == class).is_some_and(|n| self.classes & 1 << n != 0)
    }

    /// `stop|quit`, `@fill|to`
    fn fits(&self, alternatives: &str) -> bool {
        alternatives.split('|').any(|one| one.strip_prefix('@').map_or(one == self.text, |class| self.is(class)))
    }
}

/// What a clause comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClauseMeaning {
    pub(super) kind: ClauseKind,
    /// The language that it tells of.
    pub(super) language: Option<Language>,
    /// There are words in it that do not belong to that.
    pub(super) more: bool,
}

/// What a clause is.
pub(super) fn meaning_of(clause: &Clause) -> ClauseMeaning {
    let words: Vec<ClassedWord<'_>> = clause.words.iter().map(|word| ClassedWord::of(word)).collect();
    let (mut kind, mut language, mut more) = (ClauseKind::Else, None, false);
    if words.is_empty() || words.len() > WORDS_MAX {
        return ClauseMeaning { kind, language, more };
    }
    if let Some(whole) = WHOLE.iter().find(|pattern| ends(&words, 0, pattern.2) & 1 << words.len() != 0) {
        (kind, language) = (whole.0, whole.1);
    } else if let Some((open, rest)) = OPEN.iter().find_map(|pattern| Some((pattern, stands_open(&words, pattern)?))) {
        (kind, language, more) = (open.0, open.1, rest);
    } else if let Some(said) = by_words(&words) {
        (kind, language) = said;
    } else if words.iter().all(|word| word.is("polite")) {
        kind = ClauseKind::Courtesy;
    }
    // Questions of what would be an answer.
    let asks = clause.asks
        && matches!(
            kind,
            ClauseKind::Yes | ClauseKind::No | ClauseKind::Absent | ClauseKind::Courtesy | ClauseKind::Start | ClauseKind::WrongNumber
        );
    // A word that says something else, too, and asks: "Para?", "Fin?"
    let asks = asks || (clause.asks && kind == ClauseKind::StopBare && words.len() == 1 && !is_stop_alone(words[0].text));
    if asks { ClauseMeaning { kind: ClauseKind::Else, language: None, more: false } } else { ClauseMeaning { kind, language, more } }
}

fn is_stop_alone(word: &str) -> bool {
    word.starts_with("stop") || word.starts_with("unsub") || word == "optout"
}

/// Yes and No, with what goes with them.
fn by_words(words: &[ClassedWord<'_>]) -> Option<(ClauseKind, Option<Language>)> {
    let Some((at, yes)) = words.iter().enumerate().find(|(_, word)| word.is("yes")) else {
        let no = words.first().is_some_and(|first| first.is("no")) && words.iter().all(|word| word.is("no") || word.is("refusing"));
        return no.then_some((ClauseKind::No, None));
    };
    // A single letter is a word in some languages: it answers by itself.
    let class = if yes.text.len() == 1 { "polite" } else { "coming" };
    // "Please confirm" and "can you confirm" ask for it.
    let asked = words[..at].iter().any(|word| ["please", "pls", "plz", "can", "could", "would", "you", "u", "to"].contains(&word.text));
    let coming = words.iter().all(|word| word.is("yes") || word.is("polite") || word.is(class));
    let language = match yes.text {
        "si" | "sip" | "claro" | "vale" | "confirmo" | "confirmado" | "confirmada" | "perfecto" => ES,
        "oui" | "ouais" | "daccord" | "confirme" | "o" | "parfait" => FR,
        "ja" | "jawohl" => DE,
        "sim" => PT,
        _ => None,
    };
    (coming && !asked).then_some((ClauseKind::Yes, language))
}

/// Whether an open pattern stands somewhere, with nothing around it that takes it back; and whether more is said before or after it.
fn stands_open(words: &[ClassedWord<'_>], pattern: &Pattern) -> Option<bool> {
    let (first, text) = pattern.2.strip_prefix("^ ").map_or((false, pattern.2), |text| (true, text));
    let (orders, text) = text.strip_prefix("! ").map_or((false, text), |text| (true, text));
    let (last, text) = text.strip_suffix(" $").map_or((false, text), |text| (true, text));
    let (text, but) = text.split_once(" ~ ").unwrap_or((text, ""));
    (0..words.len()).find_map(|at| {
        let ends = ends(words, at, text);
        // The longest counts: what limits it comes after all that belongs to it.
        let end = (at + 1..=words.len()).rev().find(|end| ends & 1 << end != 0)?;
        let before = &words[..at];
        let limits = |next: &ClassedWord<'_>| LIMITS.contains(&next.text) || (!but.is_empty() && next.fits(but));
        let limited = words.get(end).is_some_and(limits);
        let fits = (!first || before.iter().all(|word| word.is("polite"))) && (!last || end == words.len());
        let told = orders && before.last().is_some_and(|word| SOMEBODY.contains(&word.text));
        let said = |word: &ClassedWord<'_>| word.is("polite") || word.is("rest");
        let more = !words[end..].iter().all(said) || !before.iter().all(|word| word.is("lead") || said(word));
        (fits && !limited && !told && !denied(before, pattern.1)).then_some(more)
    })
}

fn denied(before: &[ClassedWord<'_>], language: Option<Language>) -> bool {
    let denies = |word: &ClassedWord<'_>| DENIES.contains(&word.text) || (language == ES && word.text == "no");
    let close = before.iter().rev().find(|word| !BETWEEN.contains(&word.text) || denies(word));
    close.is_some_and(denies) || before.iter().any(|word| ASKS.contains(&word.text))
}

/// Where a pattern that begins at a word may end: bit n says before word n.
fn ends(words: &[ClassedWord<'_>], at: usize, pattern: &str) -> u64 {
    let mut places = 1_u64 << at;
    for element in pattern.split(' ') {
        let (body, repeats, may_miss) = match element.as_bytes().last() {
            Some(b'*') => (&element[..element.len() - 1], true, true),
            Some(b'?') => (&element[..element.len() - 1], false, true),
            _ => (element, false, false),
        };
        let mut next = if may_miss { places } else { 0 };
        for (n, word) in words.iter().enumerate().skip(at) {
            let from = if repeats { next } else { places };
            if from & 1 << n != 0 && word.fits(body) {
                next |= 1 << (n + 1);
            }
        }
        places = next;
        if places == 0 {
            break;
        }
    }
    places
}
