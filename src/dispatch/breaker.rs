//! When refusals are believed. Pure.
//!
//! A relay whose table of addresses is gone, or that dislikes us in words that nobody knows, says so of each recipient in turn. So refusals of
//! several different recipients in the same words, with no acceptance between them, are about us, whatever they say: the last one counts as a
//! fault of the channel, and what the ones before it did is taken back.
//!
//! Two is several: a practice that sends three messages a day must not lose two of its people first. The price is small: two mailboxes that do not
//! exist, one right after the other, wait until the relay has taken anybody else's message. From then on it is *proven*: a relay that accepts
//! others means these two, and is believed when it says so again. Whoever is accepted is proven no more.
//!
//! It is the history of one relay, in order, folded. After a restart it is made anew out of the store's (`Attempts::settled_lately`), so `run --once`
//! from a timer sees what the runs before it saw.

use std::collections::{HashSet, VecDeque};

use crate::notice::NoticeKey;

/// Refusals that are remembered: more than any batch that was under way together.
const REFUSALS_MAX: usize = 1_000;
/// Recipients that are proven.
const PROVEN_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedMessage {
    pub(super) key: NoticeKey,
    /// The recipient, as the suppression list knows them.
    pub(super) who: String,
    /// See [`same_words`].
    pub(super) words: String,
}

/// Whether it is believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// It is about this recipient, or this message.
    Believed,
    /// It is about us; these were believed before, in the same words.
    AboutUs(Vec<NoticeKey>),
}

/// What one relay said lately.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Since its last acceptance, in order; and whether it was believed, and is to be taken back when it should not have been.
    refused: VecDeque<(RefusedMessage, bool)>,
    /// Who, in which words: refused while others were accepted.
    proven: HashSet<(String, String)>,
}

impl Breaker {
    pub(super) fn refused(&mut self, refusal: RefusedMessage) -> Belief {
        if self.is_proven(&refusal) {
            return Belief::Believed;
        }
        let about_us = self.refused.iter().any(|(before, _)| before.words == refusal.words && before.who != refusal.who);
        let mut back = Vec::new();
        for (before, believed) in self.refused.iter_mut().filter(|(before, _)| about_us && before.words == refusal.words) {
            if std::mem::replace(believed, false) {
                back.push(before.key);
            }
        }
        self.remember(refusal, !about_us);
        if about_us { Belief::AboutUs(back) } else { Belief::Believed }
    }

    /// It refused somebody before this process began; `rejected`: that was believed.
    pub(super) fn recall(&mut self, refusal: RefusedMessage, rejected: bool) {
        if !self.is_proven(&refusal) {
            self.remember(refusal, rejected);
        }
    }

    fn is_proven(&self, refusal: &RefusedMessage) -> bool {
        self.proven.contains(&(refusal.who.clone(), refusal.words.clone()))
    }

    fn remember(&mut self, refusal: RefusedMessage, believed: bool) {
        if self.refused.len() >= REFUSALS_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back((refusal, believed));
    }

    pub(super) fn accepted(&mut self, who: &str) {
        let refused = std::mem::take(&mut self.refused);
        if self.proven.len() >= PROVEN_MAX {
            self.proven.clear();
        }
        self.proven.retain(|(proven, _)| proven != who);
        self.proven.extend(refused.into_iter().filter(|(one, _)| one.who != who).map(|(one, _)| (one.who, one.words)));
    }

    /// An acceptance would tell it nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.refused.is_empty() && self.proven.is_empty()
    }
}

/// A reply's words, without what differs between two recipients: addresses, numbers, hosts, links, ids and what stands in brackets. Its codes stay.
/// It was redacted before.
pub(super) fn same_words(reply: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_usize;
    for c in reply.chars() {
        match c {
            '[' | '(' | '<' => depth += 1,
            ']' | ')' | '>' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ => plain.extend(c.to_lowercase()),
        }
    }
    let words = plain.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '@' | '*')));
    let words = words.map(|word| word.trim_matches('.')).filter(|word| !word.is_empty()).enumerate();
    let words = words.filter(|(at, word)| word.chars().all(char::is_alphabetic) || is_code(*at, word));
    words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// `550` and a gateway's `21211` at the beginning, `5.1.1` anywhere.
fn is_code(at: usize, word: &str) -> bool {
    let numbers: Vec<&str> = word.split('.').collect();
    let digits = |max: usize| numbers.iter().all(|n| (1..=max).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
    match numbers.len() {
        1 => at < 4 && digits(5) && numbers[0].len() >= 3,
        3 => digits(3),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a:no`: a is refused in these words. `a+`: a is accepted. Each with what is said of it: `.` believed, `!` about us, and whom that takes back.
    fn play(story: &str) -> String {
        let mut breaker = Breaker::default();
        let key = |who: &str| NoticeKey([who.as_bytes()[0]; 16]);
        let mut seen = Vec::new();
        for step in story.split(' ') {
            let Some((who, words)) = step.split_once(':') else {
                breaker.accepted(step.trim_end_matches('+'));
                continue;
            };
            let refused = RefusedMessage { key: key(who), who: who.to_owned(), words: words.to_owned() };
            seen.push(match breaker.refused(refused) {
                Belief::Believed => ".".to_owned(),
                Belief::AboutUs(back) => format!("!{}", back.iter().map(|key| char::from(key.0[0])).collect::<String>()),
            });
        }
        seen.join(" ")
    }

    #[test]
    fn the_table() {
        for (story, verdicts, why) in [
            ("a:no", ".", "one alone is believed"),
            ("a:no b:no c:no", ". !a !", "two in the same words are about us, and all that follow"),
            ("a:no a:no b:no", ". . !aa", "all of them are taken back, once"),
            ("a:no a:no", ". .", "the same person, of two sessions"),
            ("a:no b:never", ". .", "other words"),
            ("a:no b:never c:no", ". . !a", "other words between them change nothing"),
            ("a:no x+ b:no", ". .", "an acceptance between them: it means both"),
            ("a:no b:no x+ a:no b:no", ". !a . .", "it accepts others: these two are meant"),
            ("a:no b:no x+ a:never b:never", ". !a . !a", "in these words, not in others"),
            ("a:no b:no x+ c:no d:no", ". !a . !c", "nobody else"),
            ("a:no b:no a+ a:no b:no", ". !a . .", "who was accepted may be refused"),
            ("a:no b:no x+ a+ b+ a:no b:no", ". !a . !a", "the relay was mended, and broke again"),
        ] {
            assert_eq!(play(story), verdicts, "{story}: {why}");
        }
    }

    #[test]
    fn it_forgets() {
        let mut breaker = Breaker::default();
        for n in 0..REFUSALS_MAX + 10 {
            breaker.refused(RefusedMessage { key: NoticeKey([0; 16]), who: n.to_string(), words: n.to_string() });
        }
        assert_eq!(breaker.refused.len(), REFUSALS_MAX);
        breaker.accepted("x");
        assert!(breaker.refused.is_empty() && !breaker.is_quiet());
    }

    #[test]
    fn what_differs_between_two_recipients_is_left_out() {
        for (one, other) in [
            ("RCPT: 550 5.1.1 (address) User unknown in table", "RCPT: 550 5.1.1 <(recipient)>: user unknown in table!"),
            ("550 no (number) at mx1.example.com, id 4F1A22", "550 no (number) at mx2.example.net, id 77B3"),
            ("550 no [QxYz] a1b2-c3d4.12 - gsmtp", "550 no [AbCd] f9e8-d7c6.99 - gsmtp"),
            ("400 21211 The 'To' number *** is not valid", "400 21211, The 'To' number (number) is not valid"),
            ("550 see http://mail.example/(link)", "550 see http://mail.example/(link)"),
            ("550 later, try in 285 seconds", "550 later, try in 310 seconds"),
        ] {
            assert_eq!(same_words(one), same_words(other), "{one}");
        }
        assert_eq!(same_words("RCPT: 550 5.1.1 (address) User unknown"), "rcpt 550 5.1.1 user unknown");
        assert_ne!(same_words("550 5.1.1 no"), same_words("550 5.7.1 no"));
        assert_ne!(same_words("400 21211"), same_words("400 21614"));
        assert_eq!(same_words(""), "");
        assert_eq!(same_words(")]["), "");
    }
}
