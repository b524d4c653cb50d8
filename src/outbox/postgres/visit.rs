//! Who is logged in to the pages.

use super::columns::{at, get, ms};
use super::db::{Db, Tx, Values};
use super::error::{Res, refused};
use crate::access::logins::KeptLogin;

/// All of them.
pub(super) async fn list(db: &Db) -> Res<Vec<KeptLogin>> {
    let rows = db.query("SELECT digest, name, mark, began, seen FROM visit WHERE practice = $1", &[&db.practice]).await?;
    let digest = |bytes: &[u8]| bytes.try_into().map_err(|_| refused("a digest of a visit is not of 32 bytes"));
    let one = |row| {
        let (id, mark) = (digest(get(row, 0)?)?, digest(get(row, 2)?)?);
        Ok(KeptLogin { digest: id, name: get(row, 1)?, mark, began: at(row, 3)?, seen: at(row, 4)? })
    };
    rows.iter().map(one).collect()
}

/// One began, or was seen again.
pub(super) async fn put(tx: &Tx<'_>, visit: &KeptLogin) -> Res<()> {
    let sql = "INSERT INTO visit (practice, digest, name, mark, began, seen) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (practice, digest) DO UPDATE SET seen = excluded.seen";
    let KeptLogin { digest, name, mark, began, seen } = visit;
    let values: Values<'_> = &[&tx.practice, &&digest[..], name, &&mark[..], &ms(*began), &ms(*seen)];
    tx.execute(sql, values).await?;
    Ok(())
}

/// These are over.
pub(super) async fn end(tx: &Tx<'_>, digests: &[[u8; 32]]) -> Res<()> {
    let digests: Vec<&[u8]> = digests.iter().map(|digest| &digest[..]).collect();
    tx.execute("DELETE FROM visit WHERE practice = $1 AND digest = ANY($2)", &[&tx.practice, &digests]).await?;
    Ok(())
}
