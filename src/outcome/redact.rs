//! What may be kept and shown of a server's text.
//!
//! Servers repeat what they were sent: addresses, numbers, codes, links. What looks like one is replaced, and what staff need to mend a fault
//! (status codes, a provider's error codes, queue ids) stays readable. Where the two look alike, the text is hidden.

use crate::contact::EmailAddress;

/// Longest server text that is kept, in characters.
const REPLY_MAX: usize = 300;
/// Digits in a row from which a run counts as a number or a code.
const DIGITS_MIN: usize = 7;
/// Digits of the longest error code beside a status: Twilio's have 5.
const CODE_MAX: usize = 5;

/// A server's text, fit for the store and for staff: one line, 300 characters at most, and without
///
/// - addresses: any word with an `@`;
/// - links: of a URL only scheme and host stay, for its path and query may hold a code or a passkey;
/// - numbers and codes: any run of 7 digits or more, also one that is split by spaces, dots, hyphens, brackets, slashes and the like.
///
/// A status code, an enhanced one, and an error code of 5 digits beside a status are no part of such a run.
pub fn redacted(text: &str) -> String {
    let line: String =
        text.replace("\\/", "/").chars().filter(|&c| !is_invisible(c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<String> =
        line.split_whitespace().map(|w| if w.contains('@') { "(address)".to_owned() } else { without_path(w) }).collect();
    without_digit_runs(&words.join(" ")).chars().take(REPLY_MAX).collect()
}

/// Characters that show nothing: between two digits they would hide that these belong together.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A word; of a URL, with a scheme or without, only what stands before its path. An encoded one is hidden whole, and so is a passkey by itself.
fn without_path(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    if ["%2f", "%3f", "%3d", "passkey="].iter().any(|mark| lower.contains(mark)) && !lower.contains("://") {
        return "(link)".to_owned();
    }
    let host_at = word.find("://").map(|at| at + 3);
    let rest = &word[host_at.unwrap_or(0)..];
    let Some(path_at) = rest.find(['/', '?', '#']) else { return word.to_owned() };
    let (host, path) = rest.split_at(path_at);
    let is_link = host_at.is_some() || is_host(host) || (path.contains('?') && path.contains('=')) || (host.is_empty() && path.len() > 1);
    if is_link { format!("{}{host}/(link)", &word[..host_at.unwrap_or(0)]) } else { word.to_owned() }
}

/// `hub.example.com`, `www.example.com:8080`, also behind an opening bracket or quote: labels with dots, the last of letters.
fn is_host(text: &str) -> bool {
    let name = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(text, |(name, _)| name);
    let name = name.trim_start_matches(|c: char| !c.is_alphanumeric());
    let last = name.rsplit_once('.').map(|(_, last)| last);
    last.is_some_and(|last| last.len() > 1 && last.chars().all(char::is_alphabetic))
}

fn without_digit_runs(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut at = status_length(&chars);
    let mut out: String = chars[..at].iter().collect();
    while let Some(&c) = chars.get(at) {
        if !c.is_numeric() {
            out.push(c);
            at += 1;
            continue;
        }
        let run = &chars[at..at + run_length(&chars[at..])];
        let digits = run.iter().filter(|c| c.is_numeric()).count();
        if digits >= DIGITS_MIN && !is_status_and_code(run) {
            out.push_str("(number)");
        } else {
            out.extend(run);
        }
        at += run.len();
    }
    out
}

/// Characters of a run of digits, which begins and ends with one.
fn run_length(chars: &[char]) -> usize {
    let mut end = 0;
    for (n, &c) in chars.iter().enumerate() {
        let next = chars.get(n + 1).copied().unwrap_or(' ');
        if c.is_numeric() {
            end = n + 1;
        } else if !joins(c, next) {
            break;
        }
    }
    end
}

/// What may stand between the digits of one number. A comma or a colon before a space ends a clause.
fn joins(c: char, next: char) -> bool {
    match c {
        ',' | ':' | ';' => next.is_numeric(),
        ' ' | '.' | '-' | '(' | ')' | '/' | '_' | '+' | '*' | '\\' | '~' | '\u{b7}' | '\u{2022}' | '\u{2212}' => true,
        '\u{2010}'..='\u{2015}' => true,
        _ => false,
    }
}

/// `400 21211`: a status, and a provider's error code.
fn is_status_and_code(run: &[char]) -> bool {
    let groups: Vec<&[char]> = run.split(|&c| c == ' ').collect();
    matches!(groups[..], [status, code] if is_status(status) && code.len() == CODE_MAX && code.iter().all(char::is_ascii_digit))
}

/// 200 to 599: what HTTP and SMTP have.
fn is_status(group: &[char]) -> bool {
    group.len() == 3 && matches!(group[0], '2'..='5') && group.iter().all(char::is_ascii_digit)
}

/// Characters of the status that a text begins with: `550 5.7.606 ` and `5.7.606 ` (RFC 3463), or `400 ` if one short error code follows. They are
/// no part of what stands behind them.
fn status_length(chars: &[char]) -> usize {
    let words: Vec<&[char]> = chars.split(|&c| c == ' ').collect();
    let (first, second) = (words[0], words.get(1).copied().unwrap_or_default());
    let status = is_status(first);
    if is_enhanced(first, None) {
        return (first.len() + 1).min(chars.len());
    }
    if status && is_enhanced(second, first.first()) {
        return (first.len() + 1 + second.len() + 1).min(chars.len());
    }
    let code = second.iter().take_while(|c| c.is_ascii_digit()).count();
    let alone = words.get(2).and_then(|w| w.first()).is_none_or(|c| !c.is_numeric() && !matches!(c, '(' | '+'));
    let ends = second[code..].iter().all(|&c| matches!(c, ',' | ':' | '.' | ';'));
    if status && (1..=CODE_MAX).contains(&code) && ends && alone { first.len() + 1 + code } else { 0 }
}

/// `5.7.606`: class 2, 4 or 5 (that of the status before it), subject and detail of 3 digits at most.
fn is_enhanced(word: &[char], class: Option<&char>) -> bool {
    let parts: Vec<&[char]> = word.split(|&c| c == '.').collect();
    let short = |part: &[char]| (1..=3).contains(&part.len()) && part.iter().all(char::is_ascii_digit);
    matches!(parts[..], [[c], subject, detail] if matches!(c, '2' | '4' | '5') && class.is_none_or(|s| s == c) && short(subject) && short(detail))
}

/// The same text; each word of the recipient's local part is `(recipient)`. Servers repeat it without the rest of the address, where no pattern
/// finds it. Words without a letter stay: status codes are such.
pub fn without_recipient(text: &str, to: &EmailAddress) -> String {
    let local = to.expose().rsplit_once('@').map_or("", |(local, _)| local);
    let private: Vec<&str> = words(local).map(|(word, _)| word).filter(|word| word.contains(|c: char| c.is_alphabetic())).collect();
    let hidden = |word: &str| private.iter().any(|p| p.eq_ignore_ascii_case(word));
    words(text).flat_map(|(word, rest)| [if hidden(word) { "(recipient)" } else { word }, rest]).collect()
}

/// Letters and digits, each time with what follows up to the next.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_inclusive(|c: char| !c.is_alphanumeric()).map(|piece| {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        (word, &piece[word.len()..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_person_is_hidden() {
        for (raw, kept) in [
            ("550 5.1.1 <trevor@geemail.com>: no such user", "550 5.1.1 (address) no such user"),
            ("The number +1 (404) 111-3333 is not valid", "The number +(number) is not valid"),
            ("The 'To' number +14041113333 is not a valid", "The 'To' number +(number) is not a valid"),
            ("code 701-678-455\r\nsecond", "code (number) second"),
            ("code 701/678/455 or 701_678_455", "code (number) or (number)"),
            ("code 701\u{a0}678\u{a0}455", "code (number)"),
            ("code 701\u{202f}678\u{2009}455, 701\u{2011}678\u{2013}455", "code (number), (number)"),
            ("code 701\u{200b}678\u{ad}455", "code (number)"),
            ("code 701.678.455, 701,678,455; 701:678:455.", "code (number), (number); (number)."),
            ("code 701 / 678 / 455", "code (number)"),
            ("code \u{ff17}\u{ff10}\u{ff11}\u{ff16}\u{ff17}\u{ff18}\u{ff14}\u{ff15}\u{ff15}", "code (number)"),
            ("404 678 455", "(number)"),
            ("404 111 3333", "(number)"),
            ("404 111-3333 is busy", "(number) is busy"),
            ("404.111.3333", "(number)"),
            ("400 404 111 3333", "(number)"),
            ("555 0123456", "(number)"),
            ("call 555 0123", "call (number)"),
        ] {
            assert_eq!(redacted(raw), kept, "{raw}");
        }
    }

    #[test]
    fn of_a_link_only_the_host_stays() {
        for (raw, kept) in [
            ("see https://hub.example.com/Pass/Join/300000007?passkey=abcd.", "see https://hub.example.com/(link)"),
            ("<https://hub.example.com/Pass/Join/ab>", "<https://hub.example.com/(link)"),
            ("https:\\/\\/hub.example.com\\/Pass\\/Join\\/ab", "https://hub.example.com/(link)"),
            ("https://hub.example.com?passkey=abcd", "https://hub.example.com/(link)"),
            ("hub.example.com/Pass/Join/ab is blocked", "hub.example.com/(link) is blocked"),
            ("(hub.example.com:8080/Join)", "(hub.example.com:8080/(link)"),
            ("no page /Pass/Join/ab?passkey=abcd", "no page (link)"),
            ("Join?code=ab", "Join/(link)"),
            ("https%3A%2F%2Fhub.example.com%2FJoin%3Fpasskey%3Dabcd", "(link)"),
            ("passkey=abcd is wrong", "(link) is wrong"),
            ("see https://support.example.com for help", "see https://support.example.com for help"),
        ] {
            assert_eq!(redacted(raw), kept, "{raw}");
        }
    }

    #[test]
    fn what_staff_need_stays() {
        for text in [
            "250 2.0.0 Ok: queued as 4F1A22",
            "421 4.3.2 busy",
            "550 5.7.606 Access denied, banned sending IP",
            "5.7.606 Access denied, banned sending IP",
            "4.7.0 [TSS04] Messages temporarily deferred",
            "400 21211",
            "400 21211, The 'To' number is not valid",
            "21211, 400, The 'To' number is not valid",
            "twilio: 400 21211 is no number",
            "400 2121: no",
            "403 3: no",
            "text/html and/or SMTP/ESMTP",
            "size limit 10240 exceeded by 512",
        ] {
            assert_eq!(redacted(text), text);
        }
        assert_eq!(redacted(&"x".repeat(5000)).len(), 300);
    }
}
