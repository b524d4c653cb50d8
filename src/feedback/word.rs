//! What a reply says: one of the words that everybody knows, or none of them.
//!
//! A text is a word only if it says nothing else: "stop" and "Stop." are, "please stop by at 3" is not. Case, accents, and marks before and after do
//! not count. STOP and its kin are those of the carriers and of 47 CFR 64.1200(a)(10) (stop, quit, end, revoke, opt out, cancel, unsubscribe), those
//! of the providers' own lists, and their counterparts in the languages that messages are written in.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

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
    /// English
    English,
    /// Spanish
    Spanish,
    /// French
    French,
}

use Language::{English, French, Spanish};

/// Each word, and the language that it tells of; `None`: it is used in all of them.
const WORDS: [(Word, Option<Language>, &[&str]); 14] = [
    (Word::Stop, None, &["STOP", "STOPALL", "STOP ALL"]),
    (Word::Stop, Some(English), &["UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT", "OPT-OUT"]),
    (Word::Stop, Some(Spanish), &["ALTO", "PARAR", "PARE", "DETENER", "CANCELAR", "BAJA", "TERMINAR"]),
    (Word::Stop, Some(French), &["ARRET", "ARRETE", "ARRETER", "ARRETEZ", "ARRETT", "DESABONNER", "DESINSCRIRE", "ANNULER"]),
    (Word::Start, None, &["START", "UNSTOP"]),
    (Word::Start, Some(Spanish), &["INICIAR", "COMENZAR", "ALTA"]),
    (Word::Start, Some(French), &["COMMENCER", "DEBUT"]),
    (Word::Help, None, &["HELP", "INFO"]),
    (Word::Help, Some(Spanish), &["AYUDA"]),
    (Word::Help, Some(French), &["AIDE"]),
    (Word::Yes, None, &["Y", "YES"]),
    (Word::Yes, Some(Spanish), &["SI"]),
    (Word::Yes, Some(French), &["OUI", "O"]),
    (Word::No, None, &["N", "NO", "NON"]),
];

impl Word {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Stop, Self::Start, Self::Help, Self::Yes, Self::No, Self::Other];

    /// For the store.
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

    /// Reads a reply, and the language that it tells of.
    pub fn of(text: &str) -> (Self, Option<Language>) {
        let plain = plain(text);
        let known = WORDS.iter().find(|(_, _, words)| words.contains(&plain.as_str()));
        known.map_or((Self::Other, None), |(word, language, _)| (*word, *language))
    }
}

impl Language {
    /// BCP 47.
    pub fn as_str(self) -> &'static str {
        match self {
            English => "en",
            Spanish => "es",
            French => "fr",
        }
    }
}

/// Longest text that can be a word, in bytes: the rest is not looked at.
const WORD_MAX: usize = 64;

/// Capitals without accents, single spaces, and no marks around.
fn plain(text: &str) -> String {
    if text.len() > WORD_MAX {
        return String::new();
    }
    let bare: String = text.nfd().filter(|c| !is_combining_mark(*c)).collect::<String>().to_uppercase();
    let bare = bare.trim_matches(|c: char| !c.is_alphanumeric());
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (texts, word) in [
            (
                &["STOP", "stop", " Stop. ", "\"stop\"", "StopAll", "stop  all", "UNSUBSCRIBE", "Cancel", "END", "quit", "revoke"][..],
                Word::Stop,
            ),
            (
                &[
                    "optout",
                    "opt out",
                    "Opt-Out!",
                    "ALTO",
                    "parar",
                    "Cancelar",
                    "ARRET",
                    "Arrêt",
                    "arre\u{302}t",
                    "arrêter",
                    "ARRÊTEZ",
                    "arretez",
                    "ANNULER",
                ],
                Word::Stop,
            ),
            (&["START", "unstop", "Iniciar", "début"], Word::Start),
            (&["HELP", "help?", "info", "Ayuda", "aide"], Word::Help),
            (&["Y", "y!", "Yes", "si", "Sí", "¡Sí!", "OUI", "oui."], Word::Yes),
            (&["N", "no", "Non", "NO."], Word::No),
            (
                &["", "  ", "👍", "stop by at 3", "please stop", "yes please", "no problem, yes", "STOPP", "nope", "1", "s t o p"],
                Word::Other,
            ),
        ] {
            for text in texts {
                assert_eq!(Word::of(text).0, word, "{text}");
            }
        }
        assert_eq!(Word::of(&format!("{}stop", " ".repeat(1000))).0, Word::Other, "bounded");
        assert_eq!(Word::of("Sí").1, Some(Language::Spanish));
        assert_eq!((Word::of("arrêt").1, Word::of("STOP").1), (Some(Language::French), None));
    }
}
