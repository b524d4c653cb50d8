//! Frozen messages, as they lie in the store: packed, because what a commit has to write is what it costs.
//!
//! LZ4 halves a message or better at a price of microseconds; what it cannot shorten is kept as it is. What comes out is what went in,
//! or an error: a resend is never made of anything else.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::columns::misread;

/// Frozen bytes, ready to be written.
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Unpacked, in bytes; `None`: they are not packed.
    size: Option<i64>,
}

impl Packed {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let packed = lz4_flex::compress(bytes);
        if packed.len() < bytes.len() {
            Self { bytes: packed, size: Some(bytes.len() as i64) }
        } else {
            Self { bytes: bytes.to_vec(), size: None }
        }
    }

    /// Keeps them as those of a notice's latest attempt.
    pub(super) fn put(&self, connection: &Connection, notice: i64) -> rusqlite::Result<()> {
        let sql = "INSERT INTO content (notice_id, packed, size) VALUES (?1, seal('message', ?1, ?2), ?3)
                   ON CONFLICT (notice_id) DO UPDATE SET packed = excluded.packed, size = excluded.size";
        connection.prepare_cached(sql)?.execute(params![notice, self.bytes, self.size])?;
        Ok(())
    }
}

/// Reads columns 0, the bytes as they lie, and 1, their size.
pub(super) fn unpacked(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    let Some(size) = row.get::<_, Option<u32>>(1)? else { return row.get(0) };
    let packed = row.get_ref(0)?.as_blob()?;
    let bytes =
        lz4_flex::decompress(packed, size as usize).map_err(|e| misread(0, Type::Blob, format!("a frozen message is damaged: {e}")))?;
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
        connection.execute_batch("CREATE TABLE content (notice_id INTEGER PRIMARY KEY, packed BLOB NOT NULL, size INTEGER) STRICT")?;
        Packed::of(b"an attempt before").put(&connection, 1)?;
        Packed::of(bytes).put(&connection, 1)?;
        connection.execute_batch(change)?;
        connection.query_row("SELECT packed, size FROM content", [], unpacked)
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
    fn a_damaged_message_is_an_error() {
        let message = "<td>Your session</td>\r\n".repeat(200);
        for change in ["UPDATE content SET size = size + 1", "UPDATE content SET size = size - 1", "UPDATE content SET packed = x'ffff'"] {
            assert!(read_back(message.as_bytes(), change).is_err(), "{change}");
        }
    }
}
