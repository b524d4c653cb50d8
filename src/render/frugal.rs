//! What a template may ask of the program that renders it: nothing in Tera ends a loop that goes on and on, and one message that is never rendered
//! stops its whole channel.
//!
//! In: the text of a template that somebody typed into a page. Out: what of it could take too long, or too much memory. Templates that an engineer
//! puts into the folder are not held to this.

use std::collections::HashSet;

/// Blocks of one template. (The longest that the program brings has a quarter.)
const BLOCKS_MAX: usize = 200;
/// A variable may be doubled as often.
const SETS_MAX: usize = 5;
/// Lists of lists are read, of which the letter to the practice has three.
const DEPTH_MAX: usize = 3;
/// What makes text longer, again and again.
const REPLACED_MAX: usize = 2;

/// Why it may be too much; `None`: it is not.
pub(super) fn too_much(text: &str) -> Option<String> {
    let blocks: Vec<&str> =
        text.split("{%").skip(1).map(|rest| rest.split("%}").next().unwrap_or(rest).trim_matches(['-', ' ', '\n'])).collect();
    if blocks.len() > BLOCKS_MAX {
        return Some(format!("it has {} blocks ({{% ... %}}); expected {BLOCKS_MAX} at most", blocks.len()));
    }
    let word = |block: &str| block.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    let words: Vec<String> = blocks.iter().map(|block| word(block)).collect();
    for (never, instead) in [("set_global", "set"), ("macro", "include"), ("filter", "a filter behind a value")] {
        if words.iter().any(|word| word == never) {
            return Some(format!("it has a block {never}, which can go on and on; expected {instead}"));
        }
    }
    let set: HashSet<String> = blocks.iter().filter_map(|block| block.strip_prefix("set ")).map(|rest| word(rest.trim_start())).collect();
    if words.iter().filter(|word| *word == "set").count() > SETS_MAX {
        return Some(format!("it sets more than {SETS_MAX} variables"));
    }
    for (long, most) in [("range(", 0), ("replace(", REPLACED_MAX)] {
        if text.matches(long).count() > most {
            return Some(format!("it has {long}...) more than {most} times: that can make it as long as one likes"));
        }
    }
    let mut depth = 0_usize;
    for (block, word) in blocks.iter().zip(&words) {
        match word.as_str() {
            "for" => depth += 1,
            "endfor" => depth = depth.saturating_sub(1),
            _ => continue,
        }
        let over = block.split_once(" in ").map_or("", |(_, over)| over.trim());
        let is_data = over.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
            && !set.contains(over.split('.').next().unwrap_or_default());
        if word == "for" && !is_data {
            return Some(format!(
                "its loop over `{over}` may never end; expected one over a list that a message has, such as session.participant_names"
            ));
        }
        if depth > DEPTH_MAX {
            return Some(format!("it has more than {DEPTH_MAX} loops within each other"));
        }
    }
    let small = text.to_ascii_lowercase();
    let elsewhere = ["src=\"http", "src='http", "src=http", "<script"].into_iter().find(|part| small.contains(part));
    elsewhere.map(|part| {
        format!("it has {part}...: mail programs run no scripts, and a picture from elsewhere tells its owner who reads the message")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::templates::shipped;

    #[test]
    fn what_never_ends_is_refused() {
        let elif = format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}x".repeat(300));
        for (text, says) in [
            (elif.as_str(), "302 blocks"),
            ("{% set_global x = 'a' %}", "set_global"),
            ("{%- macro again() -%}{{ self::again() }}{% endmacro %}", "macro"),
            ("{% for i in range(end=1000) %}x{% endfor %}", "range("),
            ("{% for i in [1,2,3] %}x{% endfor %}", "loop over `[1,2,3]`"),
            ("{% set a = [1,2] %}{% for i in a %}x{% endfor %}", "loop over `a`"),
            (&"{% set x = x ~ x %}".repeat(6), "more than 5"),
            (&"{% for a in list %}".repeat(4), "more than 3 loops"),
            (&"{{ x | replace(from=\"a\", to=\"aaaaa\") }}".repeat(3), "replace("),
            ("<IMG SRC=\"https://evil.example/x.png\">", "src=\"http"),
            ("<script>alert(1)</script>", "<script"),
        ] {
            assert!(too_much(text).is_some_and(|why| why.contains(says)), "{says}: {:?}", too_much(text));
        }
    }

    #[test]
    fn the_programs_own_templates_are_not_too_much() {
        for (name, text) in shipped() {
            assert_eq!(too_much(text), None, "{name}");
        }
    }
}
