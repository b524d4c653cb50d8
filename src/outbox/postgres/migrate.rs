//! The schema, and its versions. A daemon never changes it by itself: `punctual store migrate` does, one at a time.

use super::columns::get;
use super::db::Db;
use super::error::{Res, refused};

/// Each brings the schema from the version before it to its own.
const MIGRATIONS: [&str; 8] = [
    include_str!("schema/0001_outbox.sql"),
    include_str!("schema/0002_moved.sql"),
    include_str!("schema/0003_outgoing.sql"),
    include_str!("schema/0004_nodes.sql"),
    include_str!("schema/0005_chains.sql"),
    include_str!("schema/0006_transport.sql"),
    include_str!("schema/0007_users.sql"),
    include_str!("schema/0008_idle.sql"),
];

/// What this program needs.
pub(super) const VERSION: i32 = MIGRATIONS.len() as i32;

/// Nobody else brings a schema of ours up to date meanwhile.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7064837165)";

/// The version of the schema that is there; 0: none.
pub(super) async fn version(db: &Db) -> Res<i32> {
    let there = db.one("SELECT to_regclass('punctual_schema') IS NOT NULL", &[]).await?;
    if !get::<bool>(&there, 0)? {
        return Ok(0);
    }
    get(&db.one("SELECT coalesce(max(version), 0) FROM punctual_schema", &[]).await?, 0)
}

/// Whether this program can go on with it; else what to do.
pub(super) fn fits(version: i32) -> Result<(), String> {
    match version {
        VERSION => Ok(()),
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
    let from = version(db).await?;
    if from > VERSION {
        return Err(refused(fits(from).err().unwrap_or_default()));
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
        db.execute("INSERT INTO punctual_schema VALUES ($1, clock_timestamp())", &[&version]).await?;
    }
    db.say("COMMIT").await?;
    Ok((from, VERSION))
}

/// Whether that is the text of a function that the migrations make.
pub(super) fn has_body(text: &str) -> bool {
    MIGRATIONS.iter().any(|sql| sql.split("$$").skip(1).step_by(2).any(|body| body == text))
}
