//! Runs of bytes of one kind, found without a look at most others: words are short.

use std::ops::Range;

/// Visits the runs of so many bytes of a kind, or more.
pub(super) fn each_run(text: &[u8], least: usize, is_in: impl Fn(u8) -> bool, mut visit: impl FnMut(Range<usize>)) {
    // No run that is long enough begins before this byte and reaches it.
    let mut at = 0;
    while let Some(window) = text.get(at..at + least) {
        // Looked at from its end: what breaks it off there is passed at once.
        if let Some(out) = window.iter().rposition(|byte| !is_in(*byte)) {
            at += out + 1;
            continue;
        }
        let start = at;
        at += least + text[at + least..].iter().take_while(|byte| is_in(**byte)).count();
        visit(start..at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_all_that_are_long_enough(text in "([a-z]{0,9}[ .]{0,2}){0,12}", least in 1..=9_usize) {
            let mut found = Vec::new();
            each_run(text.as_bytes(), least, |byte| byte.is_ascii_lowercase(), |run| found.push(&text.as_bytes()[run]));
            let all: Vec<&[u8]> = text.as_bytes().split(|byte| !byte.is_ascii_lowercase()).filter(|run| run.len() >= least).collect();
            prop_assert_eq!(found, all);
        }
    }
}
