//! Frozen messages, packed: because what a commit has to write is what it costs.
//!
//! LZ4 with a sample of an e-mail at hand, which is most of any other one, leaves a tenth of it at a price of microseconds; what it cannot
//! shorten is kept as it is. What comes out is what went in, or an error: a resend is never made of anything else.
//!
//! The sample comes with the program, and speaks of nobody. Rows say which one they were packed against: a sample is never changed, and a
//! better one is added beside it with the next number.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::lz4::Sample;

/// An invite as the embedded templates make it. (That rows can be read depends on every byte of it.)
const SAMPLE_1: &[u8] = include_bytes!("sample_1.eml");
/// The same, ready to be packed against.
static READY_1: LazyLock<Sample> = LazyLock::new(|| Sample::new(SAMPLE_1));
/// Shorter than this is a text message: the sample would not pay.
const SAMPLE_FROM: usize = 1_000;

/// The sample of a row; `None` is the empty one, of rows from before there was any.
fn sample(number: Option<i64>) -> Option<&'static [u8]> {
    match number {
        None => Some(&[]),
        Some(1) => Some(SAMPLE_1),
        Some(_) => None,
    }
}

/// Frozen bytes, as they lie in a store.
pub(super) struct Packed<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Unpacked, in bytes; `None`: they are not packed.
    pub(super) size: Option<i64>,
    /// Of which sample; `None`: none.
    pub(super) sample: Option<i64>,
}

impl Packed<'static> {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let (packed, sample) = if bytes.len() < SAMPLE_FROM {
            (lz4_flex::compress(bytes), None)
        } else {
            let by_the_library = || lz4_flex::block::compress_with_dict(bytes, SAMPLE_1);
            (READY_1.pack(bytes).unwrap_or_else(by_the_library), Some(1))
        };
        if packed.len() < bytes.len() {
            Self { bytes: packed.into(), size: Some(bytes.len() as i64), sample }
        } else {
            Self { bytes: bytes.to_vec().into(), size: None, sample: None }
        }
    }
}

impl Packed<'_> {
    /// What was packed; the error says why it cannot be had.
    pub(super) fn unpacked(self) -> Result<Vec<u8>, String> {
        let Some(size) = self.size else { return Ok(self.bytes.into_owned()) };
        let size = u32::try_from(size).map_err(|_| "a frozen message is damaged: its size is none".to_owned())? as usize;
        let sample = sample(self.sample).ok_or("its sample is of a newer program")?;
        let bytes =
            lz4_flex::block::decompress_with_dict(&self.bytes, size, sample).map_err(|e| format!("a frozen message is damaged: {e}"))?;
        if bytes.len() == size { Ok(bytes) } else { Err("a frozen message is not whole".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row that was packed against it would be lost.
    #[test]
    fn the_sample_is_never_changed() {
        use sha2::{Digest, Sha256};
        assert_eq!(
            data_encoding::HEXLOWER.encode(&Sha256::digest(SAMPLE_1)),
            "e0b2b711c0bad58b918f2ea97d445fba9b9a92d112abd402daca4fb72efcd14f"
        );
    }
}
