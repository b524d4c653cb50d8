//! A text as clauses of plain words: lower case, no accents, no apostrophes, no marks; without signatures and what it quotes.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// So many characters of a text are read: ten segments have 1,600.
const TEXT_MAX: usize = 2_000;
/// Clauses that are read.
const CLAUSES_MAX: usize = 30;
/// Words of a clause that are read: positions of words are bits of a number.
pub(super) const WORDS_MAX: usize = 60;
/// What stands in quotation marks and is longer than this, in characters, is a message of ours.
const QUOTED_MIN: usize = 20;

/// Words between two marks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Clause {
    pub(super) words: Vec<String>,
    /// It ends in a question mark.
    pub(super) asks: bool,
    /// A sentence, or a line, begins with it.
    pub(super) begins: bool,
    /// A sentence, or a line, ends with it.
    pub(super) ends: bool,
}

/// Begins of lines that a telephone or mail program adds, after which nothing is the sender's. As they are once they are plain.
const SIGNATURES: [&str; 10] = [
    "sent from",
    "sent via",
    "get outlook for",
    "envoye de mon",
    "envoye depuis",
    "envoye a partir",
    "enviado desde",
    "enviado de mi",
    "enviado con",
    "-- ",
];

/// The clauses, and whether that is all of it.
pub(super) fn clauses(text: &str) -> (Vec<Clause>, bool) {
    let whole = text.chars().nth(TEXT_MAX).is_none();
    let text: String = text.chars().take(TEXT_MAX).collect();
    let own = without_quotes(&plain(&text));
    let mut clauses: Vec<Clause> = Vec::new();
    let mut begins = true;
    for line in own.lines() {
        let line = line.trim();
        if SIGNATURES.iter().any(|signature| line.starts_with(signature))
            || line == "--"
            || (line.starts_with("on ") && line.ends_with("wrote:"))
        {
            break;
        }
        if line.starts_with('>') {
            continue;
        }
        for clause in of_line(line, &mut begins) {
            clauses.push(clause);
        }
        begins = true;
        if let Some(last) = clauses.last_mut() {
            last.ends = true;
        }
    }
    let spelled: Vec<&str> = clauses.iter().flat_map(|clause| clause.words.iter().map(String::as_str)).collect();
    // S.T.O.P., and s t o p
    if spelled.len() > 2 && spelled.iter().all(|word| word.len() == 1 && word.bytes().all(|b| b.is_ascii_alphabetic())) {
        return (vec![Clause { words: vec![spelled.concat()], begins: true, ends: true, asks: false }], whole);
    }
    let read = whole && clauses.len() <= CLAUSES_MAX && clauses.iter().all(|clause| clause.words.len() <= WORDS_MAX);
    clauses.truncate(CLAUSES_MAX);
    (clauses, read)
}

/// Lower case, without accents, apostrophes and what shows nothing; a raised thumb is a word.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let shown = text.chars().filter(|c| !matches!(c, '\'' | '’' | '‘' | 'ʼ' | '′' | '`' | '´' | '＇') && !is_invisible(*c));
    for c in shown.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            '👍' | '👌' | '✅' | '✔' | '☑' => plain.push_str(" thumbsup "),
            '🛑' => plain.push_str(" stop "),
            'œ' => plain.push_str("oe"),
            c => plain.extend(c.to_lowercase()),
        }
    }
    plain
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Without what stands in quotation marks, if it is as long as a message: many telephones send `Liked “...”` with all of ours in it.
fn without_quotes(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['"', '“', '«', '„']) {
        let opening = rest[at..].chars().next().unwrap_or('"');
        let inner = &rest[at + opening.len_utf8()..];
        let closing: &[char] = match opening {
            '“' | '„' => &['”', '“'],
            '«' => &['»'],
            _ => &['"'],
        };
        let end = inner.find(closing).unwrap_or(inner.len());
        let quoted = &inner[..end];
        out.push_str(&rest[..at]);
        if quoted.chars().nth(QUOTED_MIN).is_none() {
            out.push(' ');
            out.push_str(quoted);
        }
        out.push(' ');
        rest = inner[end..].trim_start_matches(closing);
    }
    out + rest
}

/// Clauses of one line. `begins`: a sentence begins with the next one.
fn of_line(line: &str, begins: &mut bool) -> Vec<Clause> {
    let (mut clauses, mut clause, mut word) = (Vec::new(), Clause { begins: *begins, ..Clause::default() }, String::new());
    let mut close = |clause: &mut Clause, (ends, asks): (bool, bool)| {
        if !clause.words.is_empty() {
            clauses.push(Clause { asks, ends, ..std::mem::take(clause) });
            clause.begins = ends;
        } else if let Some(last) = clauses.last_mut() {
            let last: &mut Clause = last;
            last.ends |= ends;
            last.asks |= asks;
            clause.begins |= ends;
        }
    };
    for c in line.chars().chain(std::iter::once('\n')) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            clause.words.push(squeezed(&std::mem::take(&mut word)));
        }
        match c {
            '.' | '!' | ';' | '…' | '¡' | '¿' | '。' | '！' | '|' | '\n' => close(&mut clause, (true, false)),
            '?' | '？' => close(&mut clause, (true, true)),
            ',' | ':' | '(' | ')' | '–' | '—' | '，' => close(&mut clause, (false, false)),
            _ => {}
        }
    }
    clauses
}

/// `stoppp` and `noooo`: a letter that stands thrice or more stands once.
fn squeezed(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    let mut out = String::with_capacity(word.len());
    let mut at = 0;
    while at < letters.len() {
        let same = letters[at..].iter().take_while(|c| **c == letters[at]).count();
        out.extend(std::iter::repeat_n(letters[at], if same > 2 && letters[at].is_alphabetic() { 1 } else { same }));
        at += same;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_what_stands_between_marks() {
        for (text, want) in [
            ("Stop. Thanks", vec!["stop", "thanks"]),
            ("STOP\n\nSent from my phone", vec!["stop"]),
            ("> Reply STOP to opt out\nok", vec!["ok"]),
            ("Don’t  text—me, O.K.?", vec!["dont text", "me", "o", "k"]),
            ("Liked “Lakeside: your session is at 3. Reply STOP to opt out.”", vec!["liked"]),
            ("\"stop\"", vec!["stop"]),
            ("S.T.O.P.", vec!["stop"]),
            ("ＳＴＯＰ\u{200b}!!!", vec!["stop"]),
            ("Arrêtez s'il vous plaît", vec!["arretez sil vous plait"]),
            ("noooo 👍🏽", vec!["no thumbsup"]),
            ("On Tue Pat wrote:\nstop", vec![]),
            ("", vec![]),
        ] {
            let (clauses, whole) = clauses(text);
            assert_eq!(clauses.iter().map(|clause| clause.words.join(" ")).collect::<Vec<_>>(), want, "{text}");
            assert!(whole, "{text}");
        }
        assert!(!clauses(&"stop. ".repeat(1000)).1, "bounded");
        assert!(!clauses(&"stop ".repeat(70)).1, "bounded");
    }

    #[test]
    fn marks_tell_questions_and_sentences() {
        let (clauses, _) = clauses("Hello, stop? Now.");
        let told: Vec<_> = clauses.iter().map(|c| (c.asks, c.begins, c.ends)).collect();
        assert_eq!(told, [(false, true, false), (true, false, true), (false, true, true)]);
    }
}
