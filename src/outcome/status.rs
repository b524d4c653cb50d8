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
    }
}
