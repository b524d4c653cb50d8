//! Enhanced status codes (RFC 3463), of a relay's reply and of a bounce alike.

/// Class, subject and detail: `5.1.1` is (5, 1, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnhancedStatus(pub(crate) u16, pub(crate) u16, pub(crate) u16);

impl EnhancedStatus {
    /// Reads a word that is one and nothing more; each of its numbers has one to three digits (RFC 3463 2).
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let mut numbers = word.split('.').map(|digits| {
            let fits = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| digits.parse().ok()).flatten()
        });
        let status = Self(numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(status)
    }

    /// All of them in a server's words, whatever stands around them: `550-'5.2.2 <...>` holds one. An address of four numbers is none, nor is a
    /// program's version.
    pub(crate) fn all_in(said: &str) -> impl Iterator<Item = Self> {
        let words = said.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_matches('.'));
        words.filter_map(Self::parse).filter(|code| matches!(code.0, 2 | 4 | 5) && code.1 <= 7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(EnhancedStatus::parse("5.1.1"), Some(EnhancedStatus(5, 1, 1)));
        assert_eq!(EnhancedStatus::parse("5.7.606"), Some(EnhancedStatus(5, 7, 606)));
        for word in ["", "5", "5.1", "5.1.", "5.1.1.1", "5.1.1000", "5.1.x", "+5.1.1", "5.1.1:"] {
            assert_eq!(EnhancedStatus::parse(word), None, "{word}");
        }
        let all = |said| EnhancedStatus::all_in(said).collect::<Vec<_>>();
        assert_eq!(all("smtp; 550-'5.1.1 no such user (5.2.2)."), [EnhancedStatus(5, 1, 1), EnhancedStatus(5, 2, 2)]);
        assert_eq!(all("550 at 192.0.2.1, exim 4.96.1: no such user"), []);
    }
}
