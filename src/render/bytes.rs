//! Eight bytes of a text at once.

/// As many bytes as are looked at together.
pub(super) const WORD: usize = size_of::<u64>();
/// The highest bit of each byte of a word.
pub(super) const HIGH: u64 = each(0x80);

/// A word of one byte again and again.
pub(super) const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; WORD])
}

/// The [`HIGH`] bits of those bytes of an ASCII word that lie in a range: none of the sums runs over into the next byte.
pub(super) const fn bytes_in(word: u64, first: u8, last: u8) -> u64 {
    let at_least = word + each(0x80 - first);
    let above = word + each(0x7F - last);
    at_least & !above & HIGH
}

/// How many of the [`HIGH`] bits are set.
pub(super) const fn many(bits: u64) -> usize {
    ((bits >> 7).wrapping_mul(each(1)) >> (u64::BITS - 8)) as usize
}

/// The number of the first byte of which one is set. One must be.
pub(super) const fn first_of(bits: u64) -> usize {
    bits.trailing_zeros() as usize / WORD
}

/// The bytes that stand there, the first one lowest. `None`: there are fewer.
pub(super) fn word_at(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The digits of an ASCII word, and its letters.
pub(super) const fn digits_and_letters(word: u64) -> (u64, u64) {
    (bytes_in(word, b'0', b'9'), bytes_in(word | each(0x20), b'a', b'z'))
}

/// The next bytes, if they are ASCII. Nearly all of a message is.
pub(super) fn ascii_word(text: &[u8], at: usize) -> Option<u64> {
    word_at(text, at).filter(|word| word & HIGH == 0)
}

/// Where a byte stands first, if that is near: what is far away is found faster by more bytes at once.
pub(super) fn find_near(text: &[u8], byte: u8) -> Option<usize> {
    const NEAR: usize = 4 * WORD;
    let mut at = 0;
    while at < NEAR
        && let Some(word) = word_at(text, at)
    {
        let other = word ^ each(byte);
        let found = !(((other & !HIGH) + each(0x7F)) | other) & HIGH;
        if found != 0 {
            return Some(at + first_of(found));
        }
        at += WORD;
    }
    memchr::memchr(byte, &text[at..]).map(|found| at + found)
}
