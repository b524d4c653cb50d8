//! Rows of the table `look`.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::columns::{at, get, ms, number, opt_at, opt_ms};
use super::db::{Db, Tx};
use super::error::Res;
use crate::outbox::{ReadFile, SourceLook, UnreadSource};

/// One more is wanted. How many are by now.
pub(super) async fn want(tx: &Tx<'_>, source: &str) -> Res<i64> {
    let sql = "INSERT INTO look AS l (practice, source, wanted) VALUES ($1, $2, 1)
               ON CONFLICT (practice, source) DO UPDATE SET wanted = l.wanted + 1 RETURNING wanted";
    get(&tx.one(sql, &[&tx.practice, &source]).await?, 0)
}

/// It has had so many.
pub(super) async fn had(tx: &Tx<'_>, source: &str, wanted: i64) -> Res<()> {
    let sql = "UPDATE look SET had = greatest(had, least($3, wanted)) WHERE practice = $1 AND source = $2";
    tx.execute(sql, &[&tx.practice, &source, &wanted]).await.map(drop)
}

/// It is left alone until then.
pub(super) async fn leave_alone(tx: &Tx<'_>, source: &str, until: Option<DateTime<Utc>>, refusals: u32) -> Res<()> {
    let sql = "INSERT INTO look (practice, source, quiet_until, refusals) VALUES ($1, $2, $3, $4)
               ON CONFLICT (practice, source) DO UPDATE SET quiet_until = excluded.quiet_until, refusals = excluded.refusals";
    tx.execute(sql, &[&tx.practice, &source, &opt_ms(until), &i64::from(refusals)]).await.map(drop)
}

/// A node read that.
pub(super) async fn was_read(tx: &Tx<'_>, source: &str, file: &ReadFile) -> Res<()> {
    let sql = "INSERT INTO look (practice, source, read_by, written, said) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (practice, source) DO UPDATE SET read_by = excluded.read_by, written = excluded.written, said = excluded.said";
    tx.execute(sql, &[&tx.practice, &source, &file.by, &ms(file.written), &file.said]).await.map(drop)
}

/// What a node read last.
pub(super) async fn last_read(db: &Db, source: &str) -> Res<Option<ReadFile>> {
    let sql = "SELECT read_by, written, said FROM look WHERE practice = $1 AND source = $2 AND read_by IS NOT NULL";
    let row = db.first(sql, &[&db.practice, &source]).await?;
    row.map(|row| Ok(ReadFile { by: get(&row, 0)?, written: at(&row, 1)?, said: get(&row, 2)? })).transpose()
}

/// It could not be read, or can be again.
pub(super) async fn not_read(tx: &Tx<'_>, source: &str, unread: Option<&UnreadSource>) -> Res<()> {
    let sql = "INSERT INTO look (practice, source, unread_at, unread_why, unread_stays) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (practice, source) DO UPDATE
               SET unread_at = excluded.unread_at, unread_why = excluded.unread_why, unread_stays = excluded.unread_stays";
    let (since, why, stays) = (unread.map(|u| ms(u.since)), unread.map(|u| &*u.why), unread.is_some_and(|u| u.stays));
    tx.execute(sql, &[&tx.practice, &source, &since, &why, &stays]).await.map(drop)
}

/// All of them.
pub(super) async fn all(db: &Db) -> Res<Vec<SourceLook>> {
    let sql = "SELECT source, wanted, had, quiet_until, refusals, unread_at, unread_why, unread_stays FROM look WHERE practice = $1 ORDER BY source";
    let one = |row: &Row| {
        let (source, wanted, had) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
        let stays = get(row, 7)?;
        let unread = opt_at(row, 5)?.zip(get(row, 6)?).map(|(since, why)| UnreadSource { since, why, stays });
        Ok(SourceLook { source, wanted, had, quiet_until: opt_at(row, 3)?, refusals: number(row, 4)?, unread })
    };
    db.query(sql, &[&db.practice]).await?.iter().map(one).collect()
}
