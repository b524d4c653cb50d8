//! What is kept of a text that somebody at the practice should read.

use unicode_normalization::UnicodeNormalization;

/// Longest text that is kept, in characters: ten segments.
const KEPT_MAX: usize = 1_600;

/// Letters of the shortest secret that is looked for: shorter ones stand in any text.
const SECRET_MIN: usize = 4;
/// Digits of a connect code.
const CODE: usize = 9;

/// One line, without what shows nothing or turns the direction, and without codes: a telephone may quote our own message. Nine digits are one, whoever's
/// it is, and so are these secrets (codes and passkeys of the sessions that it may be about), whatever stands between their letters.
pub fn kept(text: &str, secrets: &[String]) -> String {
    let shown = text.nfkc().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).filter(|c| !is_format(*c));
    let line = shown.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut chars: Vec<char> = line.chars().take(KEPT_MAX).collect();
    secrets.iter().for_each(|secret| hide(&mut chars, &secret.chars().collect::<Vec<_>>()));
    hide_codes(&mut chars);
    chars.into_iter().collect()
}

/// Nine digits in a row, with at most three spaces, points, hyphens or slashes between two of them. Telephone numbers have more, and stay.
fn hide_codes(chars: &mut [char]) {
    let mut run: Vec<usize> = Vec::new();
    for n in 0..=chars.len() {
        let next = chars.get(n).copied();
        let digit = next.is_some_and(|c| c.is_ascii_digit());
        let gap = run.last().map_or(0, |last| n - last - 1);
        let joins = next.is_some_and(|c| matches!(c, ' ' | '.' | '-' | '/') && gap < 3);
        if digit {
            run.push(n);
        } else if !joins {
            if run.len() == CODE {
                run.iter().for_each(|n| chars[*n] = '*');
            }
            run.clear();
        }
    }
}

/// Marks that nobody sees, or that turn the direction of what follows.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Each place in which the letters of a secret follow each other, with nothing but marks and spaces between them.
fn hide(chars: &mut [char], secret: &[char]) {
    let letters: Vec<usize> = (0..chars.len()).filter(|n| chars[*n].is_alphanumeric()).collect();
    let wanted: Vec<char> = secret.iter().copied().filter(|c| c.is_alphanumeric()).collect();
    if wanted.len() < SECRET_MIN {
        return;
    }
    let found: Vec<usize> = letters
        .windows(wanted.len())
        .filter(|places| places.iter().zip(&wanted).all(|(n, c)| chars[*n] == *c))
        .flatten()
        .copied()
        .collect();
    found.into_iter().for_each(|n| chars[n] = '*');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_not_kept() {
        let secrets = ["701678455".to_owned(), "Ab3-xyz".to_owned(), "an".to_owned(), String::new()];
        for (text, want) in [
            ("Can I come an hour later?", "Can I come an hour later?"),
            ("Call me:\n 404-555-0100\u{202e}!", "Call me: 404-555-0100!"),
            ("it says 701-678-455", "it says ***-***-***"),
            ("hub.example.com/Pass/Join/701678455?passkey=Ab3-xyz", "hub.example.com/Pass/Join/*********?passkey=***-***"),
            ("７０１ 678 455 and 701678456", "*** *** *** and *********"),
            ("my code is 123 - 456 - 789.", "my code is *** - *** - ***."),
            ("call 404.555.0100 or +1 404 555 0100, at 3", "call 404.555.0100 or +1 404 555 0100, at 3"),
            ("on 11/28 at 10", "on 11/28 at 10"),
            ("701\u{200b}678\u{200b}455", "*********"),
            ("", ""),
        ] {
            assert_eq!(kept(text, &secrets), want, "{text}");
        }
        assert_eq!(kept(&"é".repeat(5_000), &secrets).chars().count(), KEPT_MAX);
    }
}
