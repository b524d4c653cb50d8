//! Opening: what must be true of a database before a daemon trusts it, and errors that say what to do.

use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use super::columns::{at, get};
use super::connect::{Server, greeted};
use super::db::{CHAIN, Db, Patience, Tx};
use super::error::{Failure, Res, refused};
use super::lineage::Lineage;
use super::migrate;
use super::node::Node;
use super::reach::Reach;
use super::sealed::Sealer;
use super::thread::thread;
use crate::outbox::key::StoreKey;
use crate::outbox::nodes::AWAY;
use crate::outbox::origin::StoreOrigin;
use crate::outbox::words::refusal;
use crate::outbox::{Access, Result, StoreError};

/// PostgreSQL before this is not looked after any more.
const SERVER_MIN: i32 = 140_000;

/// Where a practice's store is, and as what we are there: what each of our connections needs.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) server: Server,
    pub(super) practice: i32,
    pub(super) sealer: Sealer,
    /// As the daemon; `None`: as a command.
    pub(super) node: Option<Node>,
    /// Which database this is.
    pub(super) lineage: Lineage,
    pub(super) reach: Arc<Reach>,
}

impl Home {
    /// One of several nodes lives on while the database is away: another one may reach it. What is to end by itself does not wait.
    pub(super) fn waits(&self) -> bool {
        !self.server.hurries() && self.node.as_ref().is_some_and(Node::has_name)
    }

    /// A command that asks something: of a server that says nothing it is told so, and can be said again.
    pub(super) fn only_asks(&self) -> bool {
        self.server.hurries() && self.node.is_none()
    }

    /// A connection of ours.
    pub(super) async fn connection(&self) -> Res<Db> {
        greeted(Db::connect(&self.server, self.practice, self.sealer.clone())).await
    }

    /// Likewise, to write: to the same database as before, or one that has taken its place, and takes writes.
    pub(super) async fn writer(&mut self) -> Res<Db> {
        let db = self.connection().await?;
        let lineage = db.ask_lineage().await?;
        if lineage != self.lineage {
            self.follow(&db, lineage).await?;
        }
        db.stays_in(&self.lineage);
        db.endures(Patience::Short).await?;
        if self.node.is_some() {
            db.begin("BEGIN").await?;
            db.execute(QUORUM, &[&db.practice]).await?;
            db.commit().await?;
        }
        Ok(db)
    }

    /// Goes on at another server, if each commit waited for one when that was last looked at, and this one has all that this node ever said: it was promoted.
    async fn follow(&mut self, db: &Db, lineage: Lineage) -> Res<()> {
        db.stays_in(&lineage);
        db.begin("BEGIN").await?;
        // (The first one of several nodes that did so has said it.)
        let sql = "SELECT quorum OR followed = $2 FROM practice WHERE id = $1";
        let waited: bool = get(&db.one(sql, &[&db.practice, &lineage.0]).await?, 0)?;
        let is_promoted = waited && lineage.is_beside(&self.lineage);
        let known = match &self.node {
            Some(node) => is_promoted && node.is_known(db).await? == Some(true),
            // What a command says is told once at most.
            None => is_promoted,
        };
        if !known {
            return Err(refused(
                "the database was switched over to another server, or restored: what was told last may be gone. Start punctual again, which holds what may have been told",
            ));
        }
        let sql = "UPDATE practice SET lineage = $2, followed = $2 WHERE id = $1 AND lineage = $3";
        db.execute(sql, &[&db.practice, &lineage.0, &self.lineage.0]).await?;
        db.commit().await?;
        tracing::warn!(store = self.server.shown(), "another server has taken the database's place, and has all that was told");
        self.lineage = lineage;
        Ok(())
    }

    /// In a transaction of the writer: we may write.
    pub(super) async fn is_ours(&self, tx: &Tx<'_>) -> Res<()> {
        match &self.node {
            Some(node) if !tx.is_beside() => node.takes_part(tx).await,
            Some(node) => node.is_there(tx).await?.then_some(()).ok_or(Failure::Apart),
            // A command that waited until the practice was copied to another store.
            None => match tx.first("SELECT moved_to FROM practice WHERE id = $1 AND moved_to IS NOT NULL", &[&tx.practice]).await? {
                Some(row) => Err(refused(refusal(get(&row, 0)?))),
                None => Ok(()),
            },
        }
    }

    pub(super) fn shown(&self) -> &str {
        self.server.shown()
    }

    pub(super) fn explain(&self, action: &str, failure: &Failure) -> StoreError {
        explain(&self.server, action, failure)
    }
}

/// See [`super::PostgresOutbox::away`].
pub(super) fn away(server: &Server) -> Option<String> {
    let asked = blocking(server, "open", async |server| {
        let failed = greeted(Db::connect(server, 0, Sealer::new(None))).await.err();
        Ok(failed.filter(Failure::may_pass).map(|failure| failure.in_words()))
    });
    asked.ok().flatten()
}

fn explain(server: &Server, action: &str, failure: &Failure) -> StoreError {
    let away = if failure.may_pass() { AWAY } else { "" };
    StoreError { action: format!("{action} ({})", server.shown()), cause: format!("{away}{}", failure.in_words()) }
}

/// Runs it on a thread of its own, and waits.
pub(super) fn blocking<T, F>(server: &Server, action: &str, run: F) -> Result<T>
where
    T: Send + 'static,
    F: AsyncFnOnce(&Server) -> Res<T> + Send + 'static,
{
    let (answer, answered) = std::sync::mpsc::channel();
    let there = server.clone();
    let worker = thread("outbox-open", async move || drop(answer.send(run(&there).await)))?;
    let outcome = answered.recv().unwrap_or_else(|_| Err(refused("its thread ended in a panic")));
    drop(worker.join());
    outcome.map_err(|failure| explain(server, action, &failure))
}

/// Opens a practice's store.
pub(super) fn open(server: &Server, practice: &str, access: Access, key: Option<&StoreKey>) -> Result<(Home, StoreOrigin)> {
    let (practice, key) = (practice.to_owned(), key.cloned());
    let moved = access == Access::Look;
    blocking(server, "open", async move |server| opened(server, &practice, access, (key.as_ref(), moved)).await)
}

/// Likewise, as the daemon, of one that may have been left for another place.
pub(super) fn open_moved(server: &Server, practice: &str, key: Option<&StoreKey>) -> Result<(Home, StoreOrigin)> {
    let (practice, key) = (practice.to_owned(), key.cloned());
    blocking(server, "open", async move |server| opened(server, &practice, Access::Daemon, (key.as_ref(), true)).await)
}

/// What is wrong with the server or its schema, one line each; empty: nothing. An error: it cannot be reached.
pub(super) fn look(server: &Server) -> Result<Vec<String>> {
    blocking(server, "open", async |server| {
        if let Some(misfit) = greeted(server.misfit()).await? {
            return Ok(vec![misfit.to_owned()]);
        }
        let db = Db::connect(server, 0, Sealer::new(None)).await?;
        let mut found = settings(&db).await?;
        found.extend(migrate::fits(migrate::schema(&db).await?).err());
        Ok(found)
    })
}

/// How a practice's store stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStanding {
    /// A daemon has made it.
    pub made: bool,
    /// A daemon has it open, or ended a moment ago without a word.
    pub served: bool,
}

pub(super) fn stands(server: &Server, practice: &str) -> Result<ServerStanding> {
    let practice = practice.to_owned();
    blocking(server, "open", async move |server| {
        let db = Db::connect(server, 0, Sealer::new(None)).await?;
        if migrate::schema(&db).await?.version == 0 {
            return Ok(ServerStanding { made: false, served: false });
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM practice WHERE name = $1),
                          EXISTS (SELECT 1 FROM practice AS p JOIN node AS n ON n.practice = p.id WHERE p.name = $1 AND n.alive_until > clock_timestamp())";
        let row = db.one(sql, &[&practice]).await?;
        Ok(ServerStanding { made: get(&row, 0)?, served: get(&row, 1)? })
    })
}

/// Brings the schema up to date. The versions before and after.
pub(super) fn migrate(server: &Server) -> Result<(i32, i32)> {
    blocking(server, "migrate", async |server| {
        if let Some(misfit) = greeted(server.misfit()).await? {
            return Err(refused(misfit));
        }
        let db = Db::connect(server, 0, Sealer::new(None)).await?;
        match settings(&db).await?.into_iter().next() {
            Some(first) => Err(refused(first)),
            None => migrate::migrate(&db).await,
        }
    })
}

/// See [`super::PostgresOutbox::begin`].
pub(super) fn begin(server: &Server, practice: &str, key: Option<&StoreKey>) -> Result<()> {
    let (practice, key) = (practice.to_owned(), key.cloned());
    blocking(server, "open", async move |server| admitted(server, &practice, Access::Daemon, key.as_ref()).await.map(drop))
}

/// `moved`: also if it was left for another place.
async fn opened(server: &Server, practice: &str, access: Access, (key, moved): (Option<&StoreKey>, bool)) -> Res<(Home, StoreOrigin)> {
    let (db, id, lineage) = admitted(server, practice, access, key).await?;
    let sealer = db.sealer.clone();
    if let Some(to) = get::<Option<String>>(&db.one("SELECT moved_to FROM practice WHERE id = $1", &[&id]).await?, 0)?.filter(|_| !moved) {
        return Err(refused(refusal(&to)));
    }
    let mut home = Home { server: server.clone(), practice: id, sealer, node: None, lineage, reach: Arc::default() };
    let mut origin = StoreOrigin::Own;
    if access == Access::Daemon {
        let db = home.connection().await?;
        db.stays_in(&home.lineage);
        home.node = Some(Node::join(&db, &home.lineage.0, home.server.node()).await?);
        let sql =
            "SELECT lineage = $2, (SELECT at FROM ledger WHERE practice = $1 ORDER BY place DESC LIMIT 1) FROM practice WHERE id = $1";
        let row = db.one(sql, &[&id, &home.lineage.0]).await?;
        if !get::<bool>(&row, 0)? {
            origin = StoreOrigin::Copy(get::<Option<i64>>(&row, 1)?.map(|_| at(&row, 1)).transpose()?);
        }
    }
    Ok((home, origin))
}

/// What must not be so, and what to do.
async fn settings(db: &Db) -> Res<Vec<String>> {
    let sql = "SELECT current_setting('server_version_num')::integer, pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
                      current_setting('fsync') = 'on', current_setting('synchronous_commit') IN ('off', 'local'), current_setting('full_page_writes') = 'on'";
    let row = db.one(sql, &[]).await?;
    let version: i32 = get(&row, 0)?;
    let wrong = [
        (version < SERVER_MIN, "PostgreSQL 14 or later is needed: bring the server up to date"),
        (get(&row, 1)?, "it is a standby, which takes no writes: name the primary, or all servers of it in [store] url"),
        (get(&row, 2)?, "it only reads (default_transaction_read_only): set that to off for punctual's user"),
        (!get::<bool>(&row, 3)?, "fsync is off: what was told would be lost with the power. Set fsync = on in postgresql.conf"),
        (
            get(&row, 4)?,
            "synchronous_commit is off, or local: what was told could be lost. Say ALTER ROLE punctual SET synchronous_commit = on, or set it in postgresql.conf",
        ),
        (!get::<bool>(&row, 5)?, "full_page_writes is off: a power cut could damage it. Set full_page_writes = on in postgresql.conf"),
    ];
    Ok(wrong.into_iter().filter(|(is_so, _)| *is_so).map(|(_, says)| says.to_owned()).collect())
}

/// Whether each commit waits for another server, while that is so.
pub(super) const QUORUM: &str = "UPDATE practice SET quorum = current_setting('synchronous_standby_names') <> ''
     WHERE id = $1 AND quorum <> (current_setting('synchronous_standby_names') <> '')";

/// What a newer program would seal otherwise.
const CHECK: &str = "punctual 2 ";

/// A connection to a database that is to be trusted, and the practice's number there. A daemon makes what is not there.
async fn admitted(server: &Server, practice: &str, access: Access, key: Option<&StoreKey>) -> Res<(Db, i32, Lineage)> {
    if access == Access::Daemon
        && let Some(misfit) = greeted(server.misfit()).await?
    {
        return Err(refused(misfit));
    }
    let db = Db::connect(server, 0, Sealer::new(key)).await?;
    let schema = migrate::schema(&db).await?;
    let wrong = settings(&db).await?.into_iter().next().or_else(|| migrate::fits(schema).err());
    if let Some(wrong) = wrong {
        return Err(refused(wrong));
    }
    let lineage = db.ask_lineage().await?;
    db.stays_in(&lineage);
    let id = number(&db, practice, access, key, &lineage).await?;
    Ok((db, id, lineage))
}

/// The practice's number, if the key, or none, is its own.
async fn number(db: &Db, practice: &str, access: Access, key: Option<&StoreKey>, lineage: &Lineage) -> Res<i32> {
    let sql = "SELECT id, key_check FROM practice WHERE name = $1";
    let row = match db.first(sql, &[&practice]).await? {
        Some(row) => row,
        None if access == Access::Daemon => {
            create(db, practice, key, lineage).await?;
            db.one(sql, &[&practice]).await?
        }
        None => return Err(refused("there is no store of this practice yet: the daemon makes it at its first start")),
    };
    match (key, get::<Option<&str>>(&row, 1)?) {
        (None, None) => {}
        (None, Some(_)) => return Err(refused("it is sealed: set [store] key_file to the key that it was made with")),
        (Some(_), None) => {
            return Err(refused(
                "it was made without a key, and [store] key_file names one: take that out, or begin a new store (see docs/security.md, Encryption)",
            ));
        }
        (Some(key), Some(check)) => {
            let says = db.sealer.open("identity", "key", check).map_err(|_| {
                refused("it is sealed with another key than that of [store] key_file: give it the key that it was made with")
            })?;
            if says != check_of(key) {
                return Err(refused(
                    "the key is its own, but the second line of [store] key_file is not: take the file with both of its lines",
                ));
            }
        }
    }
    get(&row, 0)
}

/// What is sealed in a practice that has this key.
pub(super) fn check_of(key: &StoreKey) -> String {
    format!("{CHECK}{}", key.notices_name())
}

async fn create(db: &Db, practice: &str, key: Option<&StoreKey>, lineage: &Lineage) -> Res<()> {
    let mut reference = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *reference).map_err(|e| refused(format!("the system gives no random bytes: {e}")))?;
    let reference = db.sealer.seal_bytes("identity", "reference", &*reference)?;
    let check = key.map(|key| db.sealer.seal("identity", "key", &check_of(key))).transpose()?;
    db.begin("BEGIN").await?;
    let sql = "INSERT INTO practice (name, reference_key, key_check, lineage) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id";
    if let Some(row) = db.first(sql, &[&practice, &reference, &check, &lineage.0]).await? {
        let id: i32 = get(&row, 0)?;
        db.execute("INSERT INTO chain (practice, id, seq, link) VALUES ($1, $2, 0, $3)", &[&id, &CHAIN, &&[0_u8; 32][..]]).await?;
        if let Some(chain) = db.sealer.chain() {
            let sealed = db.sealer.seal_bytes("ledger_key", "1", &*chain)?;
            let sql = "INSERT INTO ledger_key (practice, chain, from_seq, key) VALUES ($1, $2, 1, $3)";
            db.execute(sql, &[&id, &CHAIN, &sealed]).await?;
        }
    }
    db.say("COMMIT").await
}

/// The key that the store drew when it was made: messages are known by what it makes.
pub(super) async fn reference_key(db: &Db) -> Res<[u8; 32]> {
    let row = db.one("SELECT reference_key FROM practice WHERE id = $1", &[&db.practice]).await?;
    let key = db.sealer.open_bytes("identity", "reference", get(&row, 0)?)?;
    key.try_into().map_err(|_| refused("the store's own key is not of 32 bytes"))
}
