//! What a node does for the others: it takes back the claims of those that are gone, and leads if nobody else does.
//!
//! Invariants: a claim is taken back only if the node that made it has not said for a while that it lives, and never by one that was itself cut off
//! just now: after a database that was away all of them are late, and say so again first. What was before its point of no return waits again under
//! another epoch; what may have left is in doubt, and its own node may still bring the answer.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::claim;
use super::columns::get;
use super::db::{Db, Tx};
use super::error::Res;
use super::node::ALIVE;
use crate::outbox::{Leader, NodeRow, Recovered, Tended};
use crate::session::SessionId;

/// Whether a claim's node is gone, or its time is over. (A command's claim has no node.)
const IS_GONE: &str = "(o.lease_until <= clock_timestamp()
    OR (o.owner LIKE '% %' AND NOT EXISTS (SELECT 1 FROM node AS n
        WHERE n.practice = $1 AND n.boot = split_part(o.owner, ' ', 1) AND n.alive_until >= clock_timestamp())))";

/// Whether there are such claims.
fn gone() -> String {
    format!(
        "EXISTS (SELECT 1 FROM notice AS o WHERE o.practice = $1 AND o.state = 'flying' AND {IS_GONE})
         OR EXISTS (SELECT 1 FROM outgoing AS o WHERE o.practice = $1 AND o.kind IN ('letter', 'answer') AND o.next_attempt_at IS NOT NULL
             AND o.owner IS NOT NULL AND {IS_GONE})"
    )
}

/// A node that leads goes on to: it lives, and does not stand idle.
const LEADS: &str = "n.alive_until >= clock_timestamp() AND n.idle_since IS NULL";

/// Nodes that ended without a word, and were silent for so long that nobody asks for them any more: whoever was only cut off takes part again.
const FORGOTTEN: &str = "practice = $1 AND alive_until < clock_timestamp() - interval '1 hour'";

/// How it stands, and what is to be done: nearly always nothing.
pub(super) struct Look {
    pub(super) leads: bool,
    /// Nobody leads who lives, or we do by other settings.
    pub(super) may_lead: bool,
    /// Something is to be taken back, or to be decided.
    pub(super) gone: bool,
    /// A node was gone for so long that it is to be forgotten.
    pub(super) forgotten: bool,
    /// What the others see of this node's idleness is not so any more.
    pub(super) stale: bool,
    other: Option<Leader>,
    store_now: DateTime<Utc>,
    /// Those that live, and work; this one counts in any case.
    nodes: usize,
}

impl Look {
    /// Reads it all in one statement.
    pub(super) async fn take(db: &Db, boot: &str, settings: &str, idle: Option<&str>) -> Res<Self> {
        let sql = format!(
            "SELECT coalesce(l.boot = $2, false), n.boot IS NOT NULL, coalesce(l.settings, ''), coalesce(n.name, ''),
                 coalesce(me.idle_why IS DISTINCT FROM $3, false), {}
                 OR EXISTS (SELECT 1 FROM notice WHERE practice = $1 AND doubt = 'undecided'), clock_timestamp(),
                 EXISTS (SELECT 1 FROM node WHERE {FORGOTTEN}),
                 1 + (SELECT count(*) FROM node AS n WHERE n.practice = $1 AND n.boot <> $2 AND {LEADS})
             FROM practice AS p LEFT JOIN leader AS l ON l.practice = p.id
             LEFT JOIN node AS n ON n.practice = p.id AND n.boot = l.boot AND {LEADS}
             LEFT JOIN node AS me ON me.practice = p.id AND me.boot = $2 WHERE p.id = $1",
            gone()
        );
        let row = db.one(&sql, &[&db.practice, &boot, &idle]).await?;
        let (is_ours, lives): (bool, bool) = (get(&row, 0)?, get(&row, 1)?);
        let leader = Leader { settings: get(&row, 2)?, name: get(&row, 3)? };
        let (stale, gone, store_now, forgotten) = (get(&row, 4)?, get(&row, 5)?, get(&row, 6)?, get(&row, 7)?);
        let is_alike = leader.settings == settings;
        let leads = is_ours && lives && is_alike && idle.is_none();
        let may_lead = !leads && (is_ours || !lives) && idle.is_none();
        let nodes = usize::try_from(get::<i64>(&row, 8)?).unwrap_or(1);
        Ok(Self { leads, may_lead, gone, forgotten, stale, other: (lives && !is_alike).then_some(leader), store_now, nodes })
    }

    pub(super) fn tended(self, recovered: Recovered) -> Tended {
        Tended { leads: self.leads, other: self.other, store_now: Some(self.store_now), recovered, nodes: self.nodes }
    }
}

/// Leads from now on, unless somebody else does by now. (The schema asks for a term, which nothing goes by: a walk that was overtaken is refused by the
/// number of walks.)
pub(super) async fn lead(tx: &Tx<'_>, boot: &str, settings: &str) -> Res<bool> {
    let sql = format!(
        "INSERT INTO leader AS l (practice, boot, term, settings) VALUES ($1, $2, 1, $3)
         ON CONFLICT (practice) DO UPDATE SET boot = excluded.boot, settings = excluded.settings
         WHERE l.boot = excluded.boot OR NOT EXISTS (SELECT 1 FROM node AS n WHERE n.practice = $1 AND n.boot = l.boot AND {LEADS})"
    );
    Ok(tx.execute(&sql, &[&tx.practice, &boot, &settings]).await? == 1)
}

/// What the others see of a node from now on: why it does nothing, or that it works.
pub(super) async fn stand(tx: &Tx<'_>, boot: &str, idle: Option<&str>) -> Res<()> {
    let sql = "UPDATE node SET idle_why = $3, idle_since = CASE WHEN $3::text IS NOT NULL THEN coalesce(idle_since, clock_timestamp()) END
               WHERE practice = $1 AND boot = $2";
    tx.execute(sql, &[&tx.practice, &boot, &idle]).await?;
    Ok(())
}

/// Takes back the claims of nodes that are gone: `late`: also of those that have not said that they end, and are silent for too long.
pub(super) async fn take_back(tx: &Tx<'_>, late: bool, now: DateTime<Utc>) -> Res<Recovered> {
    let sql = "SELECT boot FROM node WHERE practice = $1 AND (NOT $2 OR alive_until >= clock_timestamp())";
    let there: HashSet<String> = tx.query(sql, &[&tx.practice, &late]).await?.iter().map(|row| get(row, 0)).collect::<Res<_>>()?;
    let store_now = tx.now().await?;
    // (A command's claim has no node: it is over with its lease.)
    let is_gone = |owner: &str| owner.split_once(' ').is_some_and(|(boot, _)| !there.contains(boot));
    claim::take_back(tx, |held| held.lease_until <= store_now || is_gone(&held.owner), now).await
}

/// Forgets nodes that are gone for long, behind [`take_back`].
pub(super) async fn forget(tx: &Tx<'_>) -> Res<u64> {
    tx.execute(&format!("DELETE FROM node WHERE {FORGOTTEN}"), &[&tx.practice]).await
}

/// At a start: of those that are not there any more; all of them, if this is the only node.
pub(super) async fn recover(tx: &Tx<'_>, (boot, owner): (&str, &str), now: DateTime<Utc>) -> Res<Recovered> {
    if tx.exists("SELECT 1 FROM node WHERE practice = $1 AND boot <> $2", &[&tx.practice, &boot]).await? {
        return take_back(tx, false, now).await;
    }
    let store_now = tx.now().await?;
    claim::take_back(tx, |held| held.is_gone(owner, store_now, true), now).await
}

/// Those that have names, for the one that asks.
pub(super) async fn nodes(db: &Db, boot: &str) -> Res<Vec<NodeRow>> {
    let sql = format!(
        "SELECT n.name, n.says, coalesce(l.boot = n.boot, false), n.alive_until >= clock_timestamp(), n.idle_why,
             CASE WHEN n.alive_until >= clock_timestamp() THEN n.idle_since ELSE n.alive_until - {ALIVE} END, n.boot = $2
         FROM node AS n LEFT JOIN leader AS l ON l.practice = n.practice WHERE n.practice = $1 AND n.name IS NOT NULL ORDER BY n.name, n.boot"
    );
    let one = |row: &Row| {
        let (name, says, lives): (String, String, bool) = (get(row, 0)?, get(row, 1)?, get(row, 3)?);
        let at = says.split_once(", ").map_or(says.as_str(), |(_, at)| at).to_owned();
        let idle = get::<Option<String>>(row, 4)?.filter(|_| lives);
        let leads = get::<bool>(row, 2)? && lives && idle.is_none();
        Ok(NodeRow { name, at, leads, lives, is_own: get(row, 6)?, idle, since: get(row, 5)? })
    };
    db.query(&sql, &[&db.practice, &boot]).await?.iter().map(one).collect()
}

/// Walks that were applied so far.
pub(super) async fn walks(db: &Db) -> Res<i64> {
    get(&db.one("SELECT walks FROM practice WHERE id = $1", &[&db.practice]).await?, 0)
}

/// The last one of a source.
pub(super) async fn walks_of(db: &Db, source: &str) -> Res<i64> {
    let found = db.first("SELECT walks FROM source WHERE practice = $1 AND name = $2", &[&db.practice, &source]).await?;
    found.map_or(Ok(0), |row| get(&row, 0))
}

/// Sessions that were walked since.
pub(super) async fn walked_since(db: &Db, walks: i64) -> Res<Vec<(String, SessionId)>> {
    let sql = "SELECT source, id FROM session WHERE practice = $1 AND walks > $2 ORDER BY source, id";
    let rows = db.query(sql, &[&db.practice, &walks]).await?;
    rows.iter().map(|row| Ok((get(row, 0)?, super::columns::session(row, 1)?))).collect()
}
