//! Frozen messages, as they lie in the store: packed, because what a commit has to write is what it costs.
//!
//! LZ4 with a sample of an e-mail at hand, which is most of any other one, leaves a tenth of it at a price of microseconds; what it cannot
//! shorten is kept as it is. What comes out is what went in, or an error: a resend is never made of anything else.
//!
//! The sample comes with the program, and speaks of nobody. Rows say which one they were packed against: a sample is never changed, and a
//! better one is added beside it with the next number.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::columns::misread;

/// An invite as the embedded templates make it. (That rows can be read depends on every byte of it.)
const SAMPLE_1: &[u8] = include_bytes!("sample_1.eml");
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

/// Frozen bytes, ready to be written.
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Unpacked, in bytes; `None`: they are not packed.
    size: Option<i64>,
    /// See [`sample`].
    sample: Option<i64>,
}

impl Packed {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let (packed, sample) = if bytes.len() < SAMPLE_FROM {
            (lz4_flex::compress(bytes), None)
        } else {
            (lz4_flex::block::compress_with_dict(bytes, SAMPLE_1), Some(1))
        };
        if packed.len() < bytes.len() {
            Self { bytes: packed, size: Some(bytes.len() as i64), sample }
        } else {
            Self { bytes: bytes.to_vec(), size: None, sample: None }
        }
    }

    /// Keeps them as those of a notice's latest attempt.
    pub(super) fn put(&self, connection: &Connection, notice: i64) -> rusqlite::Result<()> {
        let sql = "INSERT INTO content (notice_id, packed, size, sample) VALUES (?1, seal('message', ?1, ?2), ?3, ?4)
                   ON CONFLICT (notice_id) DO UPDATE SET packed = excluded.packed, size = excluded.size, sample = excluded.sample";
        connection.prepare_cached(sql)?.execute(params![notice, self.bytes, self.size, self.sample])?;
        Ok(())
    }
}

/// Reads columns 0, the bytes as they lie, 1, their size, and 2, the number of their sample.
pub(super) fn unpacked(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    let Some(size) = row.get::<_, Option<u32>>(1)? else { return row.get(0) };
    let packed = row.get_ref(0)?.as_blob()?;
    let number = row.get(2)?;
    let sample = sample(number).ok_or_else(|| misread(2, Type::Integer, "its sample is of a newer program".to_owned()))?;
    let bytes = lz4_flex::block::decompress_with_dict(packed, size as usize, sample)
        .map_err(|e| misread(0, Type::Blob, format!("a frozen message is damaged: {e}")))?;
    if bytes.len() == size as usize { Ok(bytes) } else { Err(misread(0, Type::Blob, "a frozen message is not whole".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::sqlite::sealed::Sealer;

    /// What is read back of what was put for notice 1.
    fn read_back(bytes: &[u8], change: &str) -> rusqlite::Result<Vec<u8>> {
        let connection = Connection::open_in_memory()?;
        Sealer::new(None).install(&connection)?;
        connection.execute_batch(
            "CREATE TABLE content (notice_id INTEGER PRIMARY KEY, packed BLOB NOT NULL, size INTEGER, sample INTEGER) STRICT",
        )?;
        Packed::of(b"an attempt before").put(&connection, 1)?;
        Packed::of(bytes).put(&connection, 1)?;
        connection.execute_batch(change)?;
        connection.query_row("SELECT packed, size, sample FROM content", [], unpacked)
    }

    #[test]
    fn what_comes_out_is_what_went_in() {
        let message = "<td style=\"padding: 0 0 16px\">Your session</td>\r\n".repeat(200);
        for bytes in ["", "x", "Your code is 701-678-455.", &message] {
            assert_eq!(read_back(bytes.as_bytes(), "").unwrap(), bytes.as_bytes());
        }
        assert!(Packed::of(message.as_bytes()).bytes.len() < message.len() / 2);
    }

    #[test]
    fn an_e_mail_is_packed_to_a_tenth() {
        let message =
            String::from_utf8_lossy(SAMPLE_1).replace("Trevor", "Zoë").replace("378174671", "701678455").replace("MacGuffin", "Gondor");
        assert_eq!(read_back(message.as_bytes(), "").unwrap(), message.as_bytes());
        let packed = Packed::of(message.as_bytes());
        assert!(packed.bytes.len() * 10 < message.len(), "{} of {}", packed.bytes.len(), message.len());
    }

    #[test]
    fn rows_from_before_there_was_a_sample_are_read() {
        let message = "<td>Your session</td>\r\n".repeat(200);
        let packed = data_encoding::HEXLOWER.encode(&lz4_flex::compress(message.as_bytes()));
        assert_eq!(
            read_back(message.as_bytes(), &format!("UPDATE content SET packed = x'{packed}', sample = NULL")).unwrap(),
            message.as_bytes()
        );
    }

    /// Every row that was packed against it would be lost.
    #[test]
    fn the_sample_is_never_changed() {
        use sha2::{Digest, Sha256};
        assert_eq!(
            data_encoding::HEXLOWER.encode(&Sha256::digest(SAMPLE_1)),
            "e0b2b711c0bad58b918f2ea97d445fba9b9a92d112abd402daca4fb72efcd14f"
        );
    }

    #[test]
    fn a_damaged_message_is_an_error() {
        let message = "<td>Your session</td>\r\n".repeat(200);
        for change in [
            "UPDATE content SET sample = 2",
            "UPDATE content SET size = size + 1",
            "UPDATE content SET size = size - 1",
            "UPDATE content SET packed = x'ffff'",
        ] {
            assert!(read_back(message.as_bytes(), change).is_err(), "{change}");
        }
    }
}
