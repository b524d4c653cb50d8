//! Several nodes.

use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::super::PostgresOutbox;
use super::super::db::Tx;
use super::super::heart::Heart;
use super::super::node::Node;
use super::super::tend::{self, Look};
use super::super::visit;
use crate::access::logins::KeptLogin;
use crate::outbox::{NodeRow, Nodes, Recovered, Result, Tended};
use crate::session::SessionId;

#[async_trait]
impl Nodes for PostgresOutbox {
    async fn tend(&self, settings: &str, idle: Option<&str>, now: DateTime<Utc>) -> Result<Tended> {
        let Some(node) = self.node.clone() else { return Ok(Tended::alone()) };
        let look = self.look_at_others(&node, settings, idle).await?;
        // After a database that was away all are late: whoever is heard first lets the others be heard.
        let late = self.heart.as_ref().is_some_and(Heart::is_steady);
        let forgets = late && look.forgotten;
        // A node that stands idle takes nothing back: its clock may be wrong, and with it when a message goes again, and the time in the ledger.
        let takes_back = look.gone && idle.is_none();
        if !look.may_lead && !takes_back && !look.stale && !forgets {
            return Ok(look.tended(Recovered::default()));
        }
        let (may_lead, with, me) = (look.may_lead, settings.to_owned(), node.clone());
        let why = idle.map(str::to_owned);
        let tend = async move |tx: &Tx<'_>| {
            me.goes_on(tx).await?;
            tend::stand(tx, me.boot(), why.as_deref()).await?;
            if may_lead {
                tend::lead(tx, me.boot(), &with).await?;
            }
            let recovered = if takes_back { tend::take_back(tx, late, now).await? } else { Recovered::default() };
            if forgets {
                tend::forget(tx).await?;
            }
            Ok(recovered)
        };
        let recovered = self.writer.write("tend", tend).await?;
        Ok(self.look_at_others(&node, settings, idle).await?.tended(recovered))
    }

    async fn store_now(&self) -> Result<Option<DateTime<Utc>>> {
        self.readers.read("store_now", async |db| db.now().await.map(Some)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRow>> {
        let boot = self.node.as_ref().map(|node| node.boot().to_owned()).unwrap_or_default();
        self.readers.read("nodes", async move |db| tend::nodes(db, &boot).await).await
    }

    fn is_shared(&self) -> bool {
        self.node.as_ref().is_some_and(Node::has_name)
    }

    async fn users(&self, known: i64) -> Result<Option<(i64, String)>> {
        self.readers.read("users", async move |db| visit::users(db, known).await).await
    }

    async fn put_users(&self, known: i64, text: &str) -> Result<bool> {
        let text = text.to_owned();
        self.writer.write("put_users", async move |tx| visit::put_users(tx, known, &text).await).await
    }

    async fn kept_login(&self, digest: [u8; 32]) -> Result<Option<KeptLogin>> {
        self.readers.read("kept_login", async move |db| visit::find(db, &digest).await).await
    }

    async fn try_log_in(&self, of: Vec<([u8; 32], u32)>, within: TimeDelta, now: DateTime<Utc>) -> Result<Option<TimeDelta>> {
        self.writer.write("try_log_in", async move |tx| visit::attempt(tx, &of, within, now).await).await
    }

    async fn logged_in(&self, of: Vec<[u8; 32]>, anew: Vec<[u8; 32]>) -> Result<()> {
        self.writer.write("logged_in", async move |tx| visit::succeeded(tx, &of, &anew).await).await
    }

    async fn use_code(&self, name: &str, step: i64) -> Result<bool> {
        let name = name.to_owned();
        self.writer.write("use_code", async move |tx| visit::use_code(tx, &name, step).await).await
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn cut_off_since(&self) -> Option<Instant> {
        self.reach.lost_since()
    }

    async fn walks(&self) -> Result<i64> {
        self.readers.read("walks", async |db| tend::walks(db).await).await
    }

    async fn walks_of(&self, source: &str) -> Result<i64> {
        let source = source.to_owned();
        self.readers.read("walks", async move |db| tend::walks_of(db, &source).await).await
    }

    async fn walked_since(&self, walks: i64) -> Result<Vec<(String, SessionId)>> {
        self.readers.read("walked_since", async move |db| tend::walked_since(db, walks).await).await
    }
}

impl PostgresOutbox {
    async fn look_at_others(&self, node: &Node, settings: &str, idle: Option<&str>) -> Result<Look> {
        let (boot, settings, idle) = (node.boot().to_owned(), settings.to_owned(), idle.map(str::to_owned));
        self.readers.read("tend", async move |db| Look::take(db, &boot, &settings, idle.as_deref()).await).await
    }
}
