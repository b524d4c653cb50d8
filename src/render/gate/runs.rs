//! Runs of bytes of one kind, found many bytes at a time: nearly all of a message is looked at for nothing.

use std::ops::Range;

/// Visits the runs of so many bytes of a kind, or more. `least`: 5 to 8.
pub(super) fn each_run(text: &[u8], least: usize, is_in: impl Fn(u8) -> bool, mut visit: impl FnMut(Range<usize>)) {
    if text.len() < least {
        return;
    }
    let kind: Vec<u8> = text.iter().map(|byte| u8::from(is_in(*byte))).collect();
    // Where two of them stand beside each other, where four, where as many as that.
    let begins = beside(&beside(&beside(&kind, 1), 2), least - 4);
    let mut at = 0;
    while let Some(found) = begins.get(at..).and_then(|begins| memchr::memchr(1, begins)) {
        let start = at + found;
        at = start + least + kind[start + least..].iter().take_while(|one| **one == 1).count();
        visit(start..at);
    }
}

fn beside(begins: &[u8], step: usize) -> Vec<u8> {
    begins.iter().zip(&begins[step..]).map(|(one, other)| one & other).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_all_that_are_long_enough(text in "([a-z]{0,9}[ .]{0,2}){0,12}", least in 5..=8_usize) {
            let mut found = Vec::new();
            each_run(text.as_bytes(), least, |byte| byte.is_ascii_lowercase(), |run| found.push(&text.as_bytes()[run]));
            let all: Vec<&[u8]> = text.as_bytes().split(|byte| !byte.is_ascii_lowercase()).filter(|run| run.len() >= least).collect();
            prop_assert_eq!(found, all);
        }
    }
}
