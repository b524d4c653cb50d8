//! The schema, and its versions. A daemon never changes it by itself: `punctual store migrate` does, one at a time.
//!
//! A schema says which is the oldest one whose programs may go on with it ([`SERVES`]): a change that only adds lets the nodes be brought up to date one
//! after the other, and back.

use super::columns::get;
use super::db::Db;
use super::error::{Res, refused};

/// Each brings the schema from the version before it to its own.
const MIGRATIONS: [&str; 12] = [
    include_str!("schema/0001_outbox.sql"),
    include_str!("schema/0002_moved.sql"),
    include_str!("schema/0003_outgoing.sql"),
    include_str!("schema/0004_nodes.sql"),
    include_str!("schema/0005_chains.sql"),
    include_str!("schema/0006_transport.sql"),
    include_str!("schema/0007_users.sql"),
    include_str!("schema/0008_idle.sql"),
    include_str!("schema/0009_serves.sql"),
    include_str!("schema/0010_look.sql"),
    include_str!("schema/0011_read.sql"),
    include_str!("schema/0012_unread.sql"),
];

/// Programs that need this schema, or a later one, may go on with today's: it only adds what they do not know.
const SERVES: i32 = 9;

/// What this program needs.
pub(super) const VERSION: i32 = MIGRATIONS.len() as i32;

/// Nobody else brings a schema of ours up to date meanwhile.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7064837165)";

/// A schema that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schema {
    /// 0: there is none.
    pub(super) version: i32,
    /// The oldest one whose programs may go on with it.
    serves: i32,
}

/// The one that is there.
pub(super) async fn schema(db: &Db) -> Res<Schema> {
    let there = db.one("SELECT to_regclass('punctual_schema') IS NOT NULL", &[]).await?;
    if !get::<bool>(&there, 0)? {
        return Ok(Schema { version: 0, serves: 0 });
    }
    // An older one has no such column.
    let sql = "SELECT version, coalesce((to_jsonb(punctual_schema) ->> 'serves')::integer, version) FROM punctual_schema ORDER BY version DESC LIMIT 1";
    match db.first(sql, &[]).await? {
        Some(row) => Ok(Schema { version: get(&row, 0)?, serves: get(&row, 1)? }),
        None => Ok(Schema { version: 0, serves: 0 }),
    }
}

/// Whether this program can go on with it; else what to do.
pub(super) fn fits(schema: Schema) -> Result<(), String> {
    match schema.version {
        VERSION => Ok(()),
        newer if newer > VERSION && schema.serves <= VERSION => Ok(()),
        0 => Err("there is no store in it yet: say `punctual store migrate` once".to_owned()),
        older if older < VERSION => {
            Err(format!("its schema is version {older}, and this punctual needs {VERSION}: say `punctual store migrate` once"))
        }
        newer => {
            Err(format!("its schema is version {newer}, and this punctual knows {VERSION} at most: run the newer punctual that wrote it"))
        }
    }
}

/// Brings it up to date, whole or not at all. The versions before and after.
pub(super) async fn migrate(db: &Db) -> Res<(i32, i32)> {
    db.begin("BEGIN").await?;
    db.say(LOCK).await?;
    // Nobody waits behind us for a table that somebody else uses.
    db.say("SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0").await?;
    let there = schema(db).await?;
    let from = there.version;
    if from > VERSION {
        // One that serves this program stays as it is.
        return fits(there).map(|()| (from, from)).map_err(refused);
    }
    if from == 0 {
        let strangers =
            "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace = current_schema()::regnamespace LIMIT 1";
        if let Some(other) = db.first(strangers, &[]).await? {
            return Err(refused(format!(
                "the database has tables of something else ({}): make one for punctual alone, CREATE DATABASE punctual OWNER punctual",
                get::<String>(&other, 0)?
            )));
        }
        db.say("CREATE TABLE punctual_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL)").await?;
    }
    for version in from + 1..=VERSION {
        db.say(MIGRATIONS[version as usize - 1]).await?;
        db.execute("INSERT INTO punctual_schema (version, applied_at) VALUES ($1, clock_timestamp())", &[&version]).await?;
    }
    db.execute("UPDATE punctual_schema SET serves = $2 WHERE version = $1", &[&VERSION, &SERVES]).await?;
    db.say("COMMIT").await?;
    Ok((from, VERSION))
}

/// Whether that is the text of a function that the migrations make.
pub(super) fn has_body(text: &str) -> bool {
    MIGRATIONS.iter().any(|sql| sql.split("$$").skip(1).step_by(2).any(|body| body == text))
}
