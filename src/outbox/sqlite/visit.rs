//! Who is logged in to the pages.

use rusqlite::{Connection, Row, params};

use super::columns::{at, ms};
use super::tx::Tx;
use crate::access::logins::KeptLogin;

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<KeptLogin>> {
    let one =
        |row: &Row<'_>| Ok(KeptLogin { digest: row.get(0)?, name: row.get(1)?, mark: row.get(2)?, began: at(row, 3)?, seen: at(row, 4)? });
    connection.prepare_cached("SELECT digest, name, mark, began, seen FROM visit")?.query_map([], one)?.collect()
}

/// One began, or was seen again.
pub(super) fn put(connection: &Tx<'_>, visit: &KeptLogin) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO visit (digest, name, mark, began, seen) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET seen = excluded.seen";
    let KeptLogin { digest, name, mark, began, seen } = visit;
    connection.prepare_cached(sql)?.execute(params![digest, name, mark, ms(*began), ms(*seen)])?;
    Ok(())
}

pub(super) fn end(connection: &Tx<'_>, digests: &[[u8; 32]]) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM visit WHERE digest = ?1")?;
    digests.iter().try_for_each(|digest| delete.execute([digest]).map(|_| ()))
}
