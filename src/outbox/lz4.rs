//! LZ4 blocks (the format: `lz4_Block_format.md` of the LZ4 project), written against a sample whose places are looked up once.
//!
//! In: a message. Out: a block that any reader of the format unpacks, given the same sample. The library that reads them here would look up the
//! sample's places anew for each message.

/// Slots for places, by what stands there.
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 13;
/// Places of sample and message together, so that each fits into 16 bits, as what is said of a copy does.
const PLACES_MAX: usize = 1 << 16;
/// What is looked up together: copies of fewer bytes would not pay.
const WORD: usize = size_of::<u64>();
/// After so many bytes without a copy, each one more is passed over.
const HURRY: usize = 64;
/// The shortest copy that a block can hold.
const COPY_SHORTEST: usize = 4;
/// The last bytes of a block are no copy (the format's rules), and no copy begins within so many of its end.
const AS_THEY_ARE: usize = 5;
const NO_COPY: usize = 12;
/// What a token holds of a length; more follows in bytes of their own.
const IN_TOKEN: usize = 15;

/// A sample, and where what stands in it.
pub(super) struct Sample {
    text: &'static [u8],
    places: Box<[u16; SLOTS]>,
}

impl Sample {
    /// The sample has more than a [`WORD`], and less than 64 KiB.
    pub(super) fn new(text: &'static [u8]) -> Self {
        let mut places = Box::new([0; SLOTS]);
        for (at, word) in text.windows(WORD).enumerate() {
            places[slot(word_at(word, 0))] = at as u16;
        }
        Self { text, places }
    }

    /// The block. `None`: sample and message together are too long.
    pub(super) fn pack(&self, message: &[u8]) -> Option<Vec<u8>> {
        if self.text.len() + message.len() > PLACES_MAX {
            return None;
        }
        let (before, mut places) = (self.text.len(), self.places.clone());
        let mut out = Vec::with_capacity(message.len() / 4);
        let (mut at, mut from) = (0, 0);
        while at + NO_COPY <= message.len() {
            let word = word_at(message, at);
            let place = usize::from(std::mem::replace(&mut places[slot(word)], (before + at) as u16));
            let (source, there) = if place < before { (self.text, place) } else { (message, place - before) };
            if word != word_at(source, there) {
                at += 1 + (at - from) / HURRY;
                continue;
            }
            let length = alike(&source[there..], &message[at..message.len() - AS_THEY_ARE]);
            let earlier = alike_before(&source[..there], &message[from..at]);
            put(&mut out, &message[from..at - earlier], Some((before + at - place, length + earlier)));
            at += length;
            from = at;
        }
        put(&mut out, &message[from..], None);
        Some(out)
    }
}

/// The bytes that stand there, the first one lowest; 0: there are fewer.
fn word_at(text: &[u8], at: usize) -> u64 {
    text.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word))
}

fn slot(word: u64) -> usize {
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    (word.wrapping_mul(SPREAD) >> (u64::BITS - SLOT_BITS)) as usize
}

/// How many bytes are the same.
fn alike(one: &[u8], other: &[u8]) -> usize {
    let most = one.len().min(other.len());
    let (one, other) = (&one[..most], &other[..most]);
    let mut length = 0;
    while length + WORD <= most {
        let differ = word_at(one, length) ^ word_at(other, length);
        if differ != 0 {
            return length + differ.trailing_zeros() as usize / 8;
        }
        length += WORD;
    }
    length + one[length..].iter().zip(&other[length..]).take_while(|(a, b)| a == b).count()
}

/// Likewise, backwards from their ends.
fn alike_before(one: &[u8], other: &[u8]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Bytes as they are, and then a copy of what stands so far back and is so long.
fn put(out: &mut Vec<u8>, plain: &[u8], copy: Option<(usize, usize)>) {
    let longer = copy.map_or(0, |(_, length)| length - COPY_SHORTEST);
    out.push((plain.len().min(IN_TOKEN) << 4 | longer.min(IN_TOKEN)) as u8);
    put_rest(out, plain.len());
    out.extend_from_slice(plain);
    if let Some((back, _)) = copy {
        out.extend_from_slice(&(back as u16).to_le_bytes());
        put_rest(out, longer);
    }
}

/// What the token has no room for.
fn put_rest(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(IN_TOKEN) else { return };
    while rest >= 255 {
        out.push(255);
        rest -= 255;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &[u8] = include_bytes!("sample_1.eml");

    /// A message that has some pieces of the sample, and others of its own.
    fn messages() -> impl Strategy<Value = Vec<u8>> {
        let of_sample =
            (0..SAMPLE.len(), 0..3_000_usize).prop_map(|(from, length)| SAMPLE[from..(from + length).min(SAMPLE.len())].to_vec());
        let own = proptest::collection::vec(any::<u8>(), 0..40);
        let again = (any::<u8>(), 0..600_usize).prop_map(|(byte, length)| vec![byte; length]);
        proptest::collection::vec(prop_oneof![3 => of_sample, 2 => own, 1 => again], 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_library_reads_what_is_written(message in messages()) {
            let packed = Sample::new(SAMPLE).pack(&message).unwrap();
            prop_assert_eq!(lz4_flex::block::decompress_with_dict(&packed, message.len(), SAMPLE).unwrap(), message);
        }

        #[test]
        fn it_is_as_short_as_what_the_library_writes(name in "\\PC{0,30}", code in "[0-9]{9}", words in "([a-z]{1,9} ){0,30}") {
            let message = String::from_utf8_lossy(SAMPLE).replace("Trevor", &name).replace("378174671", &code).replace("MacGuffin", &words);
            let [ours, theirs] = [Sample::new(SAMPLE).pack(message.as_bytes()).unwrap(), lz4_flex::block::compress_with_dict(message.as_bytes(), SAMPLE)];
            prop_assert!(ours.len() * 100 <= theirs.len() * 102, "{} and {}", ours.len(), theirs.len());
        }
    }

    #[test]
    fn what_is_too_long_is_left_to_the_library() {
        let sample = Sample::new(SAMPLE);
        assert!(sample.pack(&vec![b'x'; PLACES_MAX - SAMPLE.len()]).is_some());
        assert!(sample.pack(&vec![b'x'; PLACES_MAX - SAMPLE.len() + 1]).is_none());
    }
}
