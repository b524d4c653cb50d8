//! The suppression list: addresses that get no messages, by digest.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::columns::{at, get, key, key_of, ms, word};
use super::db::{Db, Tx, Values};
use super::error::{Res, refused};
use super::open::reference_key;
use crate::contact::Address;
use crate::ledger::Event;
use crate::notice::NoticeKey;
use crate::outbox::feedback::NewSuppression;
use crate::session::SessionId;
use crate::suppression::{SaidBy, SuppressedAddress, Suppression, keyed_name, suppression_key};

/// Puts an address on the list. `false`: it is there already. An opt-out replaces a bounce, and is never weakened to one.
pub(super) async fn put(tx: &Tx<'_>, new: &NewSuppression<'_>) -> Res<bool> {
    let listed = new.listed();
    let put = insert(tx, &listed, new.notice).await?;
    if put {
        fence(tx, &listed.key, new.notice).await?;
    }
    Ok(put)
}

/// What a session's notices were decided upon has changed: it is planned again at the next walk, and attempts that were decided before are fenced.
pub(super) const UNSETTLE: &str =
    "UPDATE session SET revision = revision + 1, replan = replan + 1 WHERE practice = $1 AND source = $2 AND id = $3";

/// Notices on their way: few, for they are as many as connections.
pub(super) const LEAVING: &str = "SELECT key, source, session_id, channel, address FROM notice WHERE practice = $1 AND state = 'flying'";

/// What is on its way to a suppressed address, and has not passed the point of no return, was decided before. `notice`: whose rejection says so.
async fn fence(tx: &Tx<'_>, suppressed: &str, notice: Option<NoticeKey>) -> Res<()> {
    for row in tx.query(LEAVING, &[&tx.practice]).await? {
        let address = Address::restore(word(&row, 3)?, &tx.sealer.open("address", "", get(&row, 4)?)?);
        if suppression_key(&address) == suppressed && Some(key(&row, 0)?) != notice {
            tx.execute(UNSETTLE, &[&tx.practice, &get::<&str>(&row, 1)?, &get::<i64>(&row, 2)?]).await?;
        }
    }
    Ok(())
}

/// `notice`: whose rejection or receipt says so, if it is of this store.
async fn insert(tx: &Tx<'_>, one: &SuppressedAddress, notice: Option<NoticeKey>) -> Res<bool> {
    let sql =
        "INSERT INTO suppression AS s (practice, address_key, kind, since, shown, notice_key, said_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (practice, address_key) DO UPDATE
               SET kind = excluded.kind, since = excluded.since, notice_key = excluded.notice_key, said_by = excluded.said_by
               WHERE s.kind = 'bounced' AND excluded.kind = 'opted_out'";
    let sealed = tx.sealer.seal_alike("suppression", &one.key)?;
    let notice = notice.as_ref().map(|key| &key.0[..]);
    let values: Values<'_> = &[&tx.practice, &sealed, &one.kind.as_str(), &ms(one.since), &one.shown, &notice, &one.said_by.as_str()];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Takes over those of another store: how many of them are new here. Their notices are that store's.
pub(super) async fn import(tx: &Tx<'_>, now: DateTime<Utc>, from: &[SuppressedAddress]) -> Res<usize> {
    let mut added = 0;
    for one in from {
        added += usize::from(insert(tx, one, None).await?);
    }
    tx.note(now, Event::Suppressed, &format!("{added} taken over from another store"))?;
    Ok(added)
}

/// A person puts one on it: somebody at the practice, or its owner.
pub(super) async fn suppress(tx: &Tx<'_>, now: DateTime<Utc>, address: &Address, kind: Suppression, said_by: SaidBy) -> Res<bool> {
    let put = put(tx, &NewSuppression { address, kind, since: now, said_by, notice: None }).await?;
    if put {
        let named = named(tx, &suppression_key(address)).await?;
        tx.note(now, Event::Suppressed, &format!("{}: {named}", kind.as_str()))?;
    }
    Ok(put)
}

/// One session is planned again at the next walk.
pub(super) const PLAN_ONE_AGAIN: &str = "UPDATE session SET replan = replan + 1 WHERE practice = $1 AND source = $2 AND id = $3";

/// A coming session is planned again at the next walk, although its source says nothing new.
pub(super) async fn plan_again(tx: &Tx<'_>, source: &str, session: SessionId, now: DateTime<Utc>) -> Res<()> {
    tx.execute(&format!("{PLAN_ONE_AGAIN} AND start_at > $4"), &[&tx.practice, &source, &session.0, &ms(now)]).await?;
    Ok(())
}

/// Likewise, coming sessions that left somebody out because of the list. Whose address it was is not known: the list holds digests.
pub(super) const PLAN_LEFT_OUT: &str = "UPDATE session SET replan = replan + 1 WHERE practice = $1 AND start_at > $2 AND (source, id) IN (
     SELECT source, session_id FROM omission WHERE practice = $1 AND reason IN ('bounced', 'opted_out')
     UNION SELECT source, session_id FROM notice WHERE practice = $1 AND state = 'suppressed' AND reason IN ('bounced', 'opted_out'))";

/// A person takes one off. Sessions that left somebody out are planned again at the next walk, although their source says nothing new.
pub(super) async fn unsuppress(tx: &Tx<'_>, now: DateTime<Utc>, of: &str) -> Res<bool> {
    let sealed = tx.sealer.seal_alike("suppression", of)?;
    let removed = tx.execute("DELETE FROM suppression WHERE practice = $1 AND address_key = $2", &[&tx.practice, &sealed]).await? == 1;
    if removed {
        tx.execute(PLAN_LEFT_OUT, &[&tx.practice, &ms(now)]).await?;
        let named = named(tx, of).await?;
        tx.note(now, Event::Unsuppressed, &named)?;
    }
    Ok(removed)
}

/// Takes off the list what this message put there by that word, which was wrong. Whether that was anything.
pub(super) async fn forget_refuted(tx: &Tx<'_>, of: NoticeKey, said_by: SaidBy, now: DateTime<Utc>) -> Res<bool> {
    let sql = "DELETE FROM suppression WHERE practice = $1 AND notice_key = $2 AND kind = 'bounced' AND said_by = $3";
    let removed = tx.execute(sql, &[&tx.practice, &&of.0[..], &said_by.as_str()]).await? > 0;
    if removed {
        tx.execute(PLAN_LEFT_OUT, &[&tx.practice, &ms(now)]).await?;
    }
    Ok(removed)
}

/// By address.
pub(super) async fn map(db: &Db) -> Res<HashMap<String, Suppression>> {
    let rows = db.query("SELECT address_key, kind FROM suppression WHERE practice = $1", &[&db.practice]).await?;
    rows.iter().map(|row| Ok((db.sealer.open("suppression", "", get(row, 0)?)?, kind(row, 1)?))).collect()
}

/// All of it, the newest first.
pub(super) async fn list(db: &Db) -> Res<Vec<SuppressedAddress>> {
    let sql = "SELECT address_key, kind, since, shown, notice_key, said_by FROM suppression WHERE practice = $1";
    let rows = db.query(sql, &[&db.practice]).await?;
    let mut all: Vec<SuppressedAddress> = rows.iter().map(|row| one(db, row)).collect::<Res<_>>()?;
    all.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.key.cmp(&b.key)));
    Ok(all)
}

fn one(db: &Db, row: &Row) -> Res<SuppressedAddress> {
    let notice = get::<Option<&[u8]>>(row, 4)?.map(key_of).transpose()?;
    Ok(SuppressedAddress {
        key: db.sealer.open("suppression", "", get(row, 0)?)?,
        kind: kind(row, 1)?,
        since: at(row, 2)?,
        shown: get(row, 3)?,
        notice: notice.map(|key| key.to_string()),
        said_by: word(row, 5)?,
    })
}

/// How the ledger, which is not sealed and leaves the store by itself, names an address: by what nobody without a key of the store can try.
async fn named(db: &Db, of: &str) -> Res<String> {
    Ok(keyed_name(&reference_key(db).await?, of))
}

/// The word of a suppression.
fn kind(row: &Row, column: usize) -> Res<Suppression> {
    let text: &str = get(row, column)?;
    let all = [Suppression::Bounced, Suppression::OptedOut];
    all.into_iter().find(|s| s.as_str() == text).ok_or_else(|| refused(format!("{text:?} is no suppression")))
}
