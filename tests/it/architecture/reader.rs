//! A small reader of Rust: which paths a file names, without its comments, its strings and its tests. It knows no macros and no types, and needs none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// One file below `src`.
pub(super) struct File {
    /// `src/plan/diff.rs`
    pub(super) path: String,
    /// `["plan", "diff"]`
    pub(super) module: Vec<String>,
    /// What the program is made of: comments and strings are blank, tests are gone.
    pub(super) code: String,
}

impl File {
    /// A file's text, as it is read.
    pub(super) fn of(path: &str, text: &str) -> Self {
        let name = path.trim_start_matches("src/").trim_end_matches(".rs");
        Self { path: path.to_owned(), module: name.split('/').map(str::to_owned).collect(), code: without_tests(&blank(text)) }
    }

    /// `plan`, of `src/plan/diff.rs`.
    pub(super) fn room(&self) -> &str {
        &self.module[0]
    }

    /// What it names that begins with that: `std::fs::read`.
    pub(super) fn names(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        let begins = |found: &Vec<String>| found.len() >= wanted.len() && found.iter().zip(&wanted).all(|(is, wanted)| is == wanted);
        paths(&self.code).iter().any(begins)
    }
}

/// Every file of the program, but for the two that only put it together, and for tests.
pub(super) fn files() -> Vec<File> {
    let is_program = |path: &str| path.starts_with("src/") && !is_test(path) && !matches!(path, "src/lib.rs" | "src/main.rs");
    sources().into_iter().filter(|(path, _)| is_program(path)).map(|(path, text)| File::of(&path, &text)).collect()
}

/// Every file of tests, and how many lines it has.
pub(super) fn test_files() -> Vec<(String, usize)> {
    sources().into_iter().filter(|(path, _)| is_test(path)).map(|(path, text)| (path, text.lines().count())).collect()
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs") || part.ends_with("_tests.rs"))
}

/// Paths and texts, in the order of the paths.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    let mut folders = vec![root.join("src"), root.join("tests/it"), root.join("tests/lives")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// Arrows: from whom to whom.
pub(super) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Which file names which other one. A file's arrows to its own parts are not told: a part may use what the whole declares.
pub(super) fn arrows_of_files(files: &[File]) -> Arrows {
    let is_there: BTreeSet<&[String]> = files.iter().map(|file| file.module.as_slice()).collect();
    let mut arrows = Arrows::new();
    for file in files {
        for path in paths(&file.code) {
            let Some(place) = resolved(&file.module, &path) else { continue };
            let Some(target) = (1..=place.len()).rev().map(|n| &place[..n]).find(|place| is_there.contains(place)) else { continue };
            if !target.starts_with(&file.module) {
                arrows.entry(file.module.join("/")).or_default().insert(target.join("/"));
            }
        }
    }
    arrows
}

/// Which room names which other one.
pub(super) fn arrows_of_rooms(files: &Arrows) -> Arrows {
    let room = |file: &str| file.split('/').next().unwrap().to_owned();
    let mut arrows = Arrows::new();
    for (from, to) in files {
        let others = to.iter().map(|file| room(file)).filter(|to| *to != room(from));
        arrows.entry(room(from)).or_default().extend(others);
    }
    arrows
}

/// A path from the crate's root; `None`: it does not begin there.
fn resolved(module: &[String], path: &[String]) -> Option<Vec<String>> {
    if path[0] == "crate" {
        return Some(path[1..].to_vec());
    }
    let ups = path.iter().take_while(|part| *part == "super").count();
    let own = usize::from(path[0] == "self");
    if ups + own == 0 || ups > module.len() {
        return None;
    }
    Some(module[..module.len() - ups].iter().chain(&path[ups + own..]).cloned().collect())
}

/// Some cycle, if there is one: `a -> b -> a`.
pub(super) fn cycle(arrows: &Arrows) -> Option<String> {
    let mut left = arrows.clone();
    // Whoever points at nobody who is left is in no cycle.
    loop {
        let ends: Vec<String> =
            left.iter().filter(|(_, to)| !to.iter().any(|to| left.contains_key(to))).map(|(from, _)| from.clone()).collect();
        if ends.is_empty() {
            break;
        }
        ends.iter().for_each(|end| drop(left.remove(end)));
    }
    let mut way = vec![left.keys().next()?.clone()];
    loop {
        let next = left[way.last()?].iter().find(|to| left.contains_key(*to))?.clone();
        let before = way.iter().position(|seen| *seen == next);
        way.push(next);
        if let Some(first) = before {
            return Some(way[first..].join(" -> "));
        }
    }
}

/// Every path of two names or more, those of a group one by one: `crate::{a, b::c}` is two.
pub(super) fn paths(code: &str) -> Vec<Vec<String>> {
    let letters: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let before = at.checked_sub(1).map_or(' ', |n| letters[n]);
        let begins = is_name(letters[at]) && !letters[at].is_ascii_digit() && !is_name(before) && !matches!(before, ':' | '.' | '\'');
        at = if begins { tree(&letters, at, &[], &mut found) } else { at + 1 };
    }
    found.retain(|path| path.len() > 1);
    found
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// One path, or a group of them; returns where it ends.
fn tree(letters: &[char], mut at: usize, above: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let is = |at: usize, what: &str| what.chars().enumerate().all(|(n, letter)| letters.get(at + n) == Some(&letter));
    let mut path = above.to_vec();
    loop {
        let end = (at..letters.len()).find(|n| !is_name(letters[*n])).unwrap_or(letters.len());
        path.push(letters[at..end].iter().collect());
        at = end;
        if !is(at, "::") {
            break;
        }
        at += 2;
        match letters.get(at) {
            Some('{') => {
                at += 1;
                while let Some(letter) = letters.get(at).filter(|letter| **letter != '}') {
                    at = if is_name(*letter) { group_member(letters, at, &path, found) } else { at + 1 };
                }
                return at + 1;
            }
            Some(letter) if is_name(*letter) => {}
            _ => break,
        }
    }
    found.push(path);
    at
}

/// A member of a group; `as name` belongs to it, and `self` is the path itself.
fn group_member(letters: &[char], at: usize, above: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let known = found.len();
    let end = tree(letters, at, above, found);
    if let Some(path) = found[known..].last_mut().filter(|path| path.last().is_some_and(|last| last == "self")) {
        path.pop();
    }
    let rest: String = letters[end..].iter().take_while(|letter| !matches!(letter, ',' | '}')).collect();
    end + if rest.trim_start().starts_with("as ") { rest.chars().count() } else { 0 }
}

/// The text with blanks for comments and for what stands in strings; lines stay lines.
pub(super) fn blank(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = passed(&letters, at);
        let blank = |letter: &char| if *letter == '\n' { '\n' } else { ' ' };
        match end {
            Some(end) => out.extend(letters[at..end].iter().map(blank)),
            None => out.push(letters[at]),
        }
        at = end.unwrap_or(at + 1);
    }
    out
}

/// Where a comment, a string or a letter in quotes that begins here ends; `None`: none does.
fn passed(letters: &[char], at: usize) -> Option<usize> {
    let is = |at: usize, what: &str| what.chars().enumerate().all(|(n, letter)| letters.get(at + n) == Some(&letter));
    let until = |from: usize, what: &str| (from..letters.len()).find(|n| is(*n, what)).map_or(letters.len(), |n| n + what.len());
    if is(at, "//") {
        return Some((at..letters.len()).find(|n| letters[*n] == '\n').unwrap_or(letters.len()));
    }
    if is(at, "/*") {
        return Some(until(at, "*/"));
    }
    let after_name = at > 0 && is_name(letters[at - 1]);
    if letters[at] == 'r' && !after_name || is(at, "br") {
        let from = at + if letters[at] == 'b' { 2 } else { 1 };
        let marks = letters[from.min(letters.len())..].iter().take_while(|letter| **letter == '#').count();
        if letters.get(from + marks) == Some(&'"') {
            return Some(until(from + marks + 1, &format!("\"{}", "#".repeat(marks))));
        }
    }
    if letters[at] == '"' {
        let mut end = at + 1;
        while end < letters.len() && letters[end] != '"' {
            end += if letters[end] == '\\' { 2 } else { 1 };
        }
        return Some(end + 1);
    }
    if letters[at] == '\'' {
        let from = at + if letters.get(at + 1) == Some(&'\\') { 3 } else { 2 };
        let close = (from..(from + 12).min(letters.len())).find(|n| letters[*n] == '\'');
        // A lifetime has no second quote right behind it.
        return close.filter(|close| *close == from || letters[at + 1] == '\\').map(|close| close + 1);
    }
    None
}

/// Without what is compiled for tests only.
fn without_tests(code: &str) -> String {
    let mut left = code.to_owned();
    while let Some(at) = left.find("#[cfg(test)]") {
        let rest = &left[at..];
        let ends = end_of_item(rest).unwrap_or(rest.len() - 1);
        let length = if rest[ends..].starts_with('{') { closing(rest, ends) } else { ends };
        left.replace_range(at..=at + length, "");
    }
    left
}

/// Where an item opens its braces or ends: a field ends at its comma.
fn end_of_item(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (n, letter) in code.char_indices().skip("#[cfg(test)]".len()) {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' | ';' | ',' if depth == 0 => return Some(n),
            _ => {}
        }
    }
    None
}

/// Where the body of a function that begins here opens; `None`: it has none.
fn opening(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (n, letter) in code.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(n),
            ';' | '}' if depth <= 0 => return None,
            _ => {}
        }
    }
    None
}

/// Where the bracket that opens here is closed.
pub(super) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (n, letter) in code[open..].char_indices() {
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + n;
        }
    }
    panic!("a bracket that nobody closes: {}", &code[open..(open + 60).min(code.len())])
}

/// Lines of a file without its tests.
pub(super) fn lines(file: &File) -> usize {
    file.code.lines().count()
}

/// Functions with their names and how many lines they have.
pub(super) fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let begins = code[..at].chars().next_back().is_none_or(|before| !is_name(before));
        let name: String = code[at + 3..].chars().take_while(|letter| is_name(*letter)).collect();
        if !begins || name.is_empty() {
            continue;
        }
        let Some(opens) = opening(&code[at..]).map(|n| at + n) else { continue };
        found.push((name, code[at..=closing(code, opens)].lines().count()));
    }
    found
}

/// Functions with their names and how many parameters they have, beside `self`.
pub(super) fn parameters(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let begins = code[..at].chars().next_back().is_none_or(|before| !is_name(before));
        let name: String = code[at + 3..].chars().take_while(|letter| is_name(*letter)).collect();
        let after = at + 3 + name.len();
        let Some(opens) = begins.then(|| behind_generics(&code[after..])).flatten().filter(|_| !name.is_empty()) else { continue };
        let each = split_at_commas(&code[after + opens + 1..]);
        let is_itself =
            |one: &&String| one.split(':').next().is_some_and(|name| name.split_whitespace().any(|word| word.ends_with("self")));
        found.push((name, each.iter().filter(|one| !is_itself(one)).count()));
    }
    found
}

/// Where the parameters open, behind `<...>` if there are any.
fn behind_generics(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let mut before = ' ';
    for (at, letter) in code.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            '(' if depth == 0 => return Some(at),
            ' ' | '\n' => {}
            _ if depth == 0 => return None,
            _ => {}
        }
        before = letter;
    }
    None
}

/// The parameters, up to the bracket that closes them.
fn split_at_commas(code: &str) -> Vec<String> {
    let (mut depth, mut before, mut all) = (0_i32, ' ', vec![String::new()]);
    for letter in code.chars() {
        match letter {
            ')' if depth == 0 => break,
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' && before != '=' => depth -= 1,
            ',' if depth == 0 => {
                all.push(String::new());
                before = letter;
                continue;
            }
            _ => {}
        }
        before = letter;
        if let Some(last) = all.last_mut() {
            last.push(letter);
        }
    }
    all.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
}
