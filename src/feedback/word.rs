//! What a reply says, in people's own words: that they want no more texts, want them again, ask who we are, are coming, or are not.
//!
//! In: a text. Out: the word that it comes to, the language that it tells of, and whether somebody should read it. Pure.
//!
//! A wish to stop may be said in any reasonable way (47 CFR 64.1200(a)(10)). So a clause is held against patterns of how people say it ([`wishes`]),
//! from its first word to its last: "stop texting me please" is one, "don't stop", "can I stop by at 3?" and "please cancel my appointment" are
//! none. Whatever is left over, or fits nothing, is for a person to read: a machine that guesses would lose it.
//!
//! | it comes to | if |
//! |---|---|
//! | stop | any clause is a wish to stop: whoever adds a reason wants it no less. CANCEL, END and QUIT are one only by themselves: else they are about the session |
//! | start, help | the whole text is, but for courtesies |
//! | yes, no | each clause is, or is a courtesy; or one is, and the others are for staff to read. "Yes, but" is neither |
//!
//! Case, accents, apostrophes, marks, doubled letters and signatures do not count; lines that quote our own message are left out ([`plain`]).

use std::str::FromStr;

mod around;
mod classes;
mod pattern;
mod plain;
mod wishes;

use pattern::{ClauseMeaning, meaning_of};
use plain::Clause;
use wishes::ClauseKind;

/// What a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// No more texts.
    Stop,
    /// Texts again.
    Start,
    /// Who is this?
    Help,
    /// I am coming.
    Yes,
    /// I am not.
    No,
    /// Anything else.
    Other,
}

/// A language that answers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Spanish,
    French,
    German,
    Portuguese,
}

/// How a reply was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Understood {
    /// What it comes to.
    pub word: Word,
    /// The language that it tells of; `None`: it is said so in all of them.
    pub language: Option<Language>,
    /// It says more than the word, or something else: somebody at the practice should read it.
    pub more: bool,
}

impl Word {
    pub const ALL: [Self; 6] = [Self::Stop, Self::Start, Self::Help, Self::Yes, Self::No, Self::Other];

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Help => "help",
            Self::Yes => "yes",
            Self::No => "no",
            Self::Other => "other",
        }
    }
}

impl FromStr for Word {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|word| word.as_str() == s).ok_or_else(|| format!("{s:?} is no word"))
    }
}

impl Language {
    /// BCP 47.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
            Self::French => "fr",
            Self::German => "de",
            Self::Portuguese => "pt",
        }
    }
}

pub fn understand(text: &str) -> Understood {
    let (clauses, all_read) = plain::clauses(text);
    let meanings: Vec<ClauseMeaning> = clauses.iter().map(meaning_of).collect();
    let first = |wanted: &[ClauseKind]| meanings.iter().find(|meaning| wanted.contains(&meaning.kind)).copied();
    let all = |wanted: &[ClauseKind]| meanings.iter().all(|m| !m.more && (wanted.contains(&m.kind) || m.kind == ClauseKind::Courtesy));
    let read = |word, meaning: ClauseMeaning, more| Understood { word, language: meaning.language, more: more || !all_read };
    if let Some(stop) = stop(&clauses, &meanings) {
        return read(Word::Stop, stop, !all(&[ClauseKind::Stop, ClauseKind::StopBare, ClauseKind::StopAlone, ClauseKind::No]));
    }
    if let Some(start) = first(&[ClauseKind::Start]).filter(|_| all(&[ClauseKind::Start, ClauseKind::Yes])) {
        return read(Word::Start, start, false);
    }
    if let Some(help) = first(&[ClauseKind::Help, ClauseKind::Plea]).filter(|_| all(&[ClauseKind::Help, ClauseKind::Plea])) {
        return read(Word::Help, help, help.kind == ClauseKind::Plea);
    }
    match (first(&[ClauseKind::Yes]), first(&[ClauseKind::Absent]).or(first(&[ClauseKind::No]))) {
        (Some(yes), None) if all(&[ClauseKind::Yes]) => read(Word::Yes, yes, false),
        (None, Some(no)) if all(&[ClauseKind::No, ClauseKind::Absent]) => read(Word::No, no, false),
        // Whoever says why, or asks for another time, still is not coming; a mere No may be an answer to anything.
        (None, Some(no)) if no.kind == ClauseKind::Absent && !doubted(&clauses) => read(Word::No, no, true),
        _ => Understood { word: Word::Other, language: None, more: true },
    }
}

/// The wish to stop. A mere "stop" between two commas may belong to what stands around it.
fn stop(clauses: &[Clause], meanings: &[ClauseMeaning]) -> Option<ClauseMeaning> {
    let last = meanings.len().saturating_sub(1);
    let wish = clauses.iter().zip(meanings).enumerate().find(|(at, (clause, meaning))| match meaning.kind {
        ClauseKind::Stop | ClauseKind::WrongNumber => true,
        // Between full stops it is a sentence of its own.
        ClauseKind::StopBare => *at == 0 || *at == last || (clause.begins && clause.ends),
        ClauseKind::StopAlone => meanings.iter().all(|other| other.kind == ClauseKind::StopAlone),
        _ => false,
    });
    wish.map(|(_, (_, meaning))| *meaning)
}

/// "But", questions of whether it could be after all, and what tells of a page or a device that does not do what it should: whoever writes "I can't
/// come in, the page is blank" wants to.
fn doubted(clauses: &[Clause]) -> bool {
    const DOUBTS: &str = "but unless until if maybe pero quizas tal mais peut";
    const TROUBLE: &str = "link links page pages screen code password passcode error errors blank invalid expired loading loads load website site browser \
                           app button click camera mic microphone audio video wifi connection connect host waiting says asks \
                           enlace pagina pantalla codigo contrasena error carga lien ecran mot passe erreur charge";
    let is_doubt = |word: &str| DOUBTS.split(' ').chain(TROUBLE.split_whitespace()).any(|doubt| doubt == word);
    clauses.iter().any(|clause| clause.words.iter().any(|word| is_doubt(word)))
}

#[cfg(test)]
mod tests;
