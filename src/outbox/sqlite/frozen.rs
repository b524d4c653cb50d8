//! Frozen messages in the file: see [`Packed`].

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::columns::misread;
use crate::outbox::frozen::Packed;

/// Keeps them as those of a notice's latest attempt.
pub(super) fn put(packed: &Packed<'_>, connection: &Connection, notice: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO content (notice_id, packed, size, sample) VALUES (?1, seal('message', ?1, ?2), ?3, ?4)
               ON CONFLICT (notice_id) DO UPDATE SET packed = excluded.packed, size = excluded.size, sample = excluded.sample";
    connection.prepare_cached(sql)?.execute(params![notice, packed.bytes, packed.size, packed.sample])?;
    Ok(())
}

/// Reads columns 0, the bytes as they lie, 1, their size, and 2, the number of their sample.
pub(super) fn unpacked(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    let packed = Packed { bytes: row.get_ref(0)?.as_blob()?.into(), size: row.get(1)?, sample: row.get(2)? };
    packed.unpacked().map_err(|why| misread(0, Type::Blob, why))
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
        put(&Packed::of(b"an attempt before"), &connection, 1)?;
        put(&Packed::of(bytes), &connection, 1)?;
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
        let message = String::from_utf8_lossy(include_bytes!("../sample_1.eml"))
            .replace("Trevor", "Zoë")
            .replace("378174671", "701678455")
            .replace("MacGuffin", "Gondor");
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
