//! The words that a refusal is known by: words.tsv, each row with the reply that taught it to us, in our own paraphrase.
//!
//! A row names words that stand one after another. `a|b` is either, `a*` any word that begins so, `~3` up to three words in between; `{to}` is the
//! recipient's address, `{from}` ours, `{ip}` a host's number, `{list}` a block list in a host or a link. They are written as
//! [`folded`](super::text::folded) makes them.

use std::sync::LazyLock;

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// It is about us.
    Us,
    /// It is, if nothing else is said; and who has no mailbox is not sure beside it.
    PerhapsUs,
    /// It is, if nothing else is said.
    FaintlyUs,
    /// It is about this message, or the room that is left, or not for good.
    Message,
    /// There is no such mailbox.
    Nobody,
    /// There is none, if it names the recipient: else it may be our account.
    NobodyIfNamed,
    /// There is none, beside the code of [`Row::with`]: alone these words say too little.
    NobodyWithCode,
    /// Who has no mailbox is not sure beside it: a failure, a log-in, a sender.
    Doubt,
    /// It is about us, where a gateway says it: of mail it is said of mailboxes.
    UsAtGateway,
    Later,
}

/// Words one after another.
pub(super) struct Row {
    pub(super) says: Says,
    /// Subject and detail of the code that it needs: `nobody with 1.2`.
    pub(super) with: Option<(u16, u16)>,
    steps: Vec<PatternStep>,
    #[cfg(test)]
    line: &'static str,
}

struct PatternStep {
    /// Words that may stand before it.
    gap: usize,
    any_of: Vec<&'static str>,
}

impl PatternStep {
    fn is(&self, word: &str) -> bool {
        self.any_of.iter().any(|one| one.strip_suffix('*').map_or(*one == word, |stem| word.starts_with(stem)))
    }
}

impl Row {
    /// Whether they stand somewhere in these.
    pub(super) fn fits(&self, words: &[String]) -> bool {
        (0..words.len())
            .any(|at| self.steps.first().is_some_and(|first| first.is(&words[at])) && follow(&self.steps[1..], &words[at + 1..]))
    }
}

fn follow(steps: &[PatternStep], words: &[String]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    let reach = words.len().min(step.gap + 1);
    (0..reach).any(|at| step.is(&words[at]) && follow(rest, &words[at + 1..]))
}

pub(super) static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| include_str!("words.tsv").lines().skip(1).filter_map(row).collect());

/// A test sees to it that each line is one.
fn row(line: &'static str) -> Option<Row> {
    let mut fields = line.split('\t');
    let kind = fields.next()?;
    let with =
        kind.strip_prefix("nobody with ").and_then(|code| code.split_once('.')).and_then(|(y, z)| Some((y.parse().ok()?, z.parse().ok()?)));
    let says = match kind {
        "us" => Says::Us,
        "perhaps us" => Says::PerhapsUs,
        "faintly us" => Says::FaintlyUs,
        "message" => Says::Message,
        "nobody" => Says::Nobody,
        "nobody if named" => Says::NobodyIfNamed,
        "doubt" => Says::Doubt,
        "us at a gateway" => Says::UsAtGateway,
        "later" => Says::Later,
        _ if with.is_some() => Says::NobodyWithCode,
        _ => return None,
    };
    let (mut steps, mut gap) = (Vec::new(), 0);
    for word in fields.next()?.split(' ') {
        match word.strip_prefix('~') {
            Some(words) => gap = words.parse().ok()?,
            None => steps.push(PatternStep { gap: std::mem::take(&mut gap), any_of: word.split('|').collect() }),
        }
    }
    let row = Row {
        says,
        with,
        steps,
        #[cfg(test)]
        line,
    };
    (!row.steps.is_empty()).then_some(row)
}

#[cfg(test)]
mod tests {
    use super::super::Refusal;
    use super::super::text::{RefusalText, folded};
    use super::*;

    #[test]
    fn each_row_knows_the_reply_that_taught_it() {
        let lines: Vec<&str> = include_str!("words.tsv").lines().skip(1).collect();
        assert_eq!(TABLE.len(), lines.len(), "each line is a row");
        for row in TABLE.iter() {
            let fields: Vec<&str> = row.line.split('\t').collect();
            assert_eq!(fields.len(), 3, "{}", row.line);
            assert_eq!(folded(fields[1]), fields[1], "written as words are compared");
            let from = ["sessions@lakeside.example"];
            let refusal = Refusal { code: Some(550), text: fields[2], from: &from, to: Some("pat@example.com") };
            assert!(row.fits(&RefusalText::of(&refusal).words), "{}: {:?}", row.line, RefusalText::of(&refusal).words);
        }
    }

    #[test]
    fn patterns() {
        let fits = |pattern: &'static str, text: &str| {
            let line: &'static str = Box::leak(format!("us\t{pattern}\t").into_boxed_str());
            row(line).unwrap().fits(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
        };
        for (pattern, text, right) in [
            ("user|box ~1 unknown", "the user is unknown here", true),
            ("user|box ~1 unknown", "box unknown", true),
            ("user|box ~1 unknown", "user is quite unknown", false),
            ("block* list", "our blocked list", true),
            ("block* list", "list blocked", false),
            ("a ~2 b c", "a a b b c", true),
            ("a", "", false),
        ] {
            assert_eq!(fits(pattern, text), right, "{pattern}: {text}");
        }
    }
}
