//! Who may use the pages, who is logged in to them, and how often that was tried.

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::Row;

use super::columns::{at, get, ms};
use super::db::{Db, Tx, Values};
use super::error::{Res, refused};
use crate::access::logins::KeptLogin;

const SELECT: &str = "SELECT digest, name, mark, began, seen FROM visit WHERE practice = $1";

/// What their text is bound to where it is sealed.
pub(super) const USERS: (&str, &str) = ("identity", "users");

/// Who may use the pages and the API, unless that is known.
pub(super) async fn users(db: &Db, known: i64) -> Res<Option<(i64, String)>> {
    let sql = "SELECT users_version, users FROM practice WHERE id = $1 AND users_version <> $2";
    let Some(row) = db.first(sql, &[&db.practice, &known]).await? else { return Ok(None) };
    Ok(Some((get(&row, 0)?, db.sealer.open(USERS.0, USERS.1, get(&row, 1)?)?)))
}

/// `false`: that version is not the last one.
pub(super) async fn put_users(tx: &Tx<'_>, known: i64, text: &str) -> Res<bool> {
    let sealed = tx.sealer.seal(USERS.0, USERS.1, text)?;
    let sql = "UPDATE practice SET users = $3, users_version = users_version + 1 WHERE id = $1 AND users_version = $2";
    Ok(tx.execute(sql, &[&tx.practice, &known, &sealed]).await? == 1)
}

pub(super) async fn list(db: &Db) -> Res<Vec<KeptLogin>> {
    db.query(SELECT, &[&db.practice]).await?.iter().map(login).collect()
}

pub(super) async fn find(db: &Db, digest: &[u8; 32]) -> Res<Option<KeptLogin>> {
    db.first(&format!("{SELECT} AND digest = $2"), &[&db.practice, &&digest[..]]).await?.as_ref().map(login).transpose()
}

fn login(row: &Row) -> Res<KeptLogin> {
    let digest = |bytes: &[u8]| bytes.try_into().map_err(|_| refused("a digest of a visit is not of 32 bytes"));
    let (id, mark) = (digest(get(row, 0)?)?, digest(get(row, 2)?)?);
    Ok(KeptLogin { digest: id, name: get(row, 1)?, mark, began: at(row, 3)?, seen: at(row, 4)? })
}

/// A log-in is tried. So long it has to wait, if it was tried too often; then it does not count.
pub(super) async fn attempt(tx: &Tx<'_>, of: &[([u8; 32], u32)], within: TimeDelta, now: DateTime<Utc>) -> Res<Option<TimeDelta>> {
    let window = ms(now - within);
    for (digest, most) in of {
        let sql = "SELECT since FROM log_in_try WHERE practice = $1 AND digest = $2 AND since > $3 AND count >= $4";
        if let Some(row) = tx.first(sql, &[&tx.practice, &&digest[..], &window, &i64::from(*most)]).await? {
            return Ok(Some(within - (now - at(&row, 0)?)));
        }
    }
    tx.execute("DELETE FROM log_in_try WHERE practice = $1 AND since <= $2", &[&tx.practice, &window]).await?;
    for (digest, _) in of {
        let sql = "INSERT INTO log_in_try AS t (practice, digest, count, since) VALUES ($1, $2, 1, $3)
                   ON CONFLICT (practice, digest) DO UPDATE SET count = t.count + 1";
        tx.execute(sql, &[&tx.practice, &&digest[..], &ms(now)]).await?;
    }
    Ok(None)
}

/// It was the right password.
pub(super) async fn succeeded(tx: &Tx<'_>, of: &[[u8; 32]], anew: &[[u8; 32]]) -> Res<()> {
    let slices = |all: &[[u8; 32]]| all.iter().map(|one| one.to_vec()).collect::<Vec<_>>();
    let sql = "UPDATE log_in_try SET count = greatest(count - 1, 0) WHERE practice = $1 AND digest = ANY($2)";
    tx.execute(sql, &[&tx.practice, &slices(of)]).await?;
    tx.execute("DELETE FROM log_in_try WHERE practice = $1 AND digest = ANY($2)", &[&tx.practice, &slices(anew)]).await?;
    Ok(())
}

/// A one-time code is used. `false`: it was before, or a later one.
pub(super) async fn use_code(tx: &Tx<'_>, name: &str, step: i64) -> Res<bool> {
    let sql = "INSERT INTO code_used AS c (practice, name, step) VALUES ($1, $2, $3)
               ON CONFLICT (practice, name) DO UPDATE SET step = excluded.step WHERE c.step < excluded.step";
    Ok(tx.execute(sql, &[&tx.practice, &name, &step]).await? == 1)
}

/// One began, or was seen again.
pub(super) async fn put(tx: &Tx<'_>, visit: &KeptLogin) -> Res<()> {
    let sql = "INSERT INTO visit (practice, digest, name, mark, began, seen) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (practice, digest) DO UPDATE SET seen = greatest(visit.seen, excluded.seen)";
    let KeptLogin { digest, name, mark, began, seen } = visit;
    let values: Values<'_> = &[&tx.practice, &&digest[..], name, &&mark[..], &ms(*began), &ms(*seen)];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn end(tx: &Tx<'_>, digests: &[[u8; 32]]) -> Res<()> {
    let digests: Vec<&[u8]> = digests.iter().map(|digest| &digest[..]).collect();
    tx.execute("DELETE FROM visit WHERE practice = $1 AND digest = ANY($2)", &[&tx.practice, &digests]).await?;
    Ok(())
}
