//! Reading a TOML document with all its mistakes: each one is noted with its line, what it stands on is set aside, and the rest is read on.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::Raw;
use super::{ENV_PREFIX, Mistake, Mistakes, masked};

/// So many mistakes are told; a file with more is another kind of file.
const MISTAKES_MAX: usize = 50;

/// What serde says of an unknown key, with the key that was probably meant.
fn with_guess(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(typed) = quoted.next().filter(|_| message.starts_with("unknown field")) else { return message.to_owned() };
    let nearest = quoted.map(|key| (distance(typed, key), key)).min().filter(|(far, _)| *far <= 1 + typed.len() / 4);
    match nearest {
        Some((_, key)) => message.replacen(&format!("`{typed}`"), &format!("`{typed}` (did you mean `{key}`?)"), 1),
        None => message.to_owned(),
    }
}

/// What serde says of a value of another kind repeats it: not under a key that may hold a secret.
fn without_value(key: &str, message: &str) -> String {
    let parts = message.split_once(": ").filter(|(says, _)| says.starts_with("invalid ") && masked::is_secret_key(key));
    let Some((says, found)) = parts else { return message.to_owned() };
    // The value stands between the kind of what was found and what was expected.
    let kind = found.split([' ', ',']).next().unwrap_or_default();
    let expected = found.rfind(", expected ").map_or("", |at| &found[at..]);
    format!("{says}: {kind}{expected}")
}

/// Letters to add, take away or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

/// A configuration text, and what is wrong with it.
pub(super) struct Document<'t> {
    text: &'t str,
    file: String,
    environment: &'t [(String, String)],
    /// In the order in which they were found.
    pub(super) mistakes: Vec<Mistake>,
}

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str, file: Option<&Path>, environment: &'t [(String, String)]) -> Self {
        let file = file.map_or_else(|| "built-in defaults".to_owned(), |f| f.display().to_string());
        Self { text, file, environment, mistakes: Vec::new() }
    }

    /// What was typed, less what is wrong.
    pub(super) fn read(&mut self) -> Raw {
        let text = self.text;
        let (tree, errors) = DeTable::parse_recoverable(text);
        for e in errors {
            self.note_at(e.span(), String::new(), e.message().to_owned());
        }
        let mut tree = tree.into_inner();
        for (n, (name, value)) in self.environment.iter().enumerate() {
            // What the environment sets stands behind the end of the file.
            let place = text.len() + 1 + n;
            self.set(&mut tree, name, value, place..place + 1);
        }
        for _ in 0..MISTAKES_MAX {
            let error = match Raw::deserialize(toml::Deserializer::from(Spanned::new(0..text.len(), tree.clone()))) {
                Ok(raw) => return raw,
                Err(e) => e,
            };
            let Some(span) = error.span() else {
                self.note_at(None, String::new(), error.message().to_owned());
                break;
            };
            let Some(key) = set_aside(&mut tree, &span, "") else {
                self.note_at(Some(span), String::new(), error.message().to_owned());
                break;
            };
            let message = with_guess(&without_value(&key, error.message()));
            self.note_at(Some(span), key, message);
        }
        Raw::default()
    }

    /// Sets one key from the environment: a TOML value, or a string.
    fn set(&mut self, tree: &mut DeTable<'t>, name: &'t str, value: &'t str, place: Range<usize>) {
        let path: Vec<String> = name.trim_start_matches(ENV_PREFIX).split("__").map(str::to_lowercase).collect();
        let parsed = DeValue::parse(value).map_or_else(|_| DeValue::String(value.into()), Spanned::into_inner);
        if let Err(why) = insert(tree, &path, Spanned::new(place, parsed)) {
            let key = path.join(".");
            self.mistakes.push(Mistake { file: "environment".to_owned(), line: None, key, message: format!("{name}: {why}") });
        }
    }

    fn note_at(&mut self, span: Option<Range<usize>>, key: String, message: String) {
        let elsewhere = span.as_ref().is_some_and(|s| s.start > self.text.len());
        let line = span.filter(|_| !elsewhere).map(|s| self.line(s.start));
        let file = if elsewhere { "environment".to_owned() } else { self.file.clone() };
        self.mistakes.push(Mistake { file, line, key, message });
    }

    fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count() + 1
    }

    /// Notes a mistake of a checked key: `email.relay[0].host`. The line is the key's, or its nearest parent's.
    /// What was set aside is not missed as well, nor is what it was a part of judged without it.
    pub(super) fn note(&mut self, key: &str, message: impl Into<String>) {
        let within = format!("{key}.");
        if self.mistakes.iter().any(|m| m.key == key || m.key.starts_with(&within)) {
            return;
        }
        let overridden =
            self.environment.iter().any(|(name, _)| key == name.trim_start_matches(ENV_PREFIX).replace("__", ".").to_lowercase());
        let line = DeTable::parse(self.text).ok().and_then(|tree| offset(tree.get_ref(), key)).map(|o| self.line(o));
        let (file, line) = if overridden { ("environment".to_owned(), None) } else { (self.file.clone(), line) };
        self.mistakes.push(Mistake { file, line, key: key.to_owned(), message: message.into() });
    }

    /// All of them, by line.
    pub(super) fn in_order(self) -> Mistakes {
        let mut all = self.mistakes;
        all.sort_by_key(|m| m.line.unwrap_or(0));
        all.dedup();
        Mistakes(all)
    }
}

fn insert<'t>(tree: &mut DeTable<'t>, path: &[String], value: Spanned<DeValue<'t>>) -> Result<(), String> {
    let Some((last, parents)) = path.split_last() else { return Err("names no key".to_owned()) };
    let mut table = tree;
    for parent in parents {
        let key = Spanned::new(0..0, parent.clone().into());
        let entry = table.entry(key).or_insert_with(|| Spanned::new(0..0, DeValue::Table(DeTable::new())));
        match entry.get_mut() {
            DeValue::Table(t) => table = t,
            _ => return Err(format!("{parent} is no section whose keys can be overridden")),
        }
    }
    table.insert(Spanned::new(value.span(), last.clone().into()), value);
    Ok(())
}

/// Removes the innermost entry that the span stands on; says which it was.
fn set_aside(table: &mut DeTable<'_>, span: &Range<usize>, path: &str) -> Option<String> {
    let inside = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let names: Vec<_> = table.keys().cloned().collect();
    for name in &names {
        let full = join(name.get_ref());
        let by_key = name.span() == *span;
        let value = table.get_mut(name)?;
        if !by_key {
            let deeper = match value.get_mut() {
                DeValue::Table(inner) => set_aside(inner, span, &full),
                DeValue::Array(items) => items.iter_mut().enumerate().find_map(|(n, item)| match item.get_mut() {
                    DeValue::Table(inner) => set_aside(inner, span, &format!("{full}[{n}]")),
                    _ => None,
                }),
                _ => None,
            };
            if deeper.is_some() {
                return deeper;
            }
        }
        if by_key || (inside(value.span()) && !matches!(value.get_ref(), DeValue::Table(t) if t.iter().any(|(k, _)| k.span() == *span))) {
            table.remove(name);
            return Some(full);
        }
    }
    None
}

/// Where a key stands, or its nearest parent.
fn offset(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, index) = head.split_once('[').map_or((head, None), |(n, i)| (n, i.trim_end_matches(']').parse::<usize>().ok()));
    let (key, value) = table.iter().find(|(k, _)| k.get_ref() == name)?;
    let value = match (value.get_ref(), index) {
        (DeValue::Array(items), Some(n)) => items.get(n)?,
        _ => value,
    };
    let here = if index.is_some() { value.span().start } else { key.span().start };
    match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => offset(inner, rest).or(Some(here)),
        _ => Some(here),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_key_is_guessed() {
        let said = |typed: &str| with_guess(&format!("unknown field `{typed}`, expected one of `name`, `contact`, `time_zone`"));
        assert!(said("contct").starts_with("unknown field `contct` (did you mean `contact`?), expected one of"));
        assert!(said("timezone").contains("did you mean `time_zone`?"));
        assert!(!said("colour").contains("did you mean"));
        assert_eq!(with_guess("invalid type: integer `1`, expected a string"), "invalid type: integer `1`, expected a string");
    }
}
