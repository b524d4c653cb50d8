//! Another key for a sealed practice: all that is sealed is sealed anew, in one transaction. Its daemon is stopped meanwhile.
//!
//! Whole or not at all: the old key opens it until the commit, the new one from then on. The ledger's chain goes on with the new one. The store's own key, and
//! what notices' keys are made with, stay as they were: with others, everything would be told again. What the old key sealed is in the server's log, its dead rows
//! and its backups as long as it keeps them.

use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use tokio_postgres::types::ToSql;

use super::carry::{array, has_chains, name, rows};
use super::connect::Server;
use super::db::{CHAIN, Patience, Tx};
use super::error::{Res, refused};
use super::heart::Heart;
use super::open::{self, Home};
use super::sealed::Sealer;
use super::visit::USERS;
use super::{chains, columns, history};
use crate::ledger::Event;
use crate::outbox::key::Keys;
use crate::outbox::rows::{Cells, Seal, SqlValue, TABLES, Table};
use crate::outbox::{Result, StoreKey};

/// Gives it another key; how many values were sealed anew. Blocks.
pub(super) fn rekey(
    (server, practice): (&Server, &str),
    (old, new): (&StoreKey, &StoreKey),
    now: DateTime<Utc>,
    progress: impl Fn(u64) + Send + 'static,
) -> Result<u64> {
    let (home, _) = open::open(server, practice, crate::outbox::Access::Daemon, Some(old))?;
    let _heart = Heart::start(&home)?;
    let home = Home { sealer: Sealer::new(Some(new)), ..home };
    let (old, new) = (old.clone(), new.clone());
    open::blocking(server, "rekey", async move |_| sealed_anew(&home, (&old, &new), now, &progress).await)
}

async fn sealed_anew(home: &Home, (old, new): (&StoreKey, &StoreKey), now: DateTime<Utc>, progress: &dyn Fn(u64)) -> Res<u64> {
    if new.notices_name() != old.notices_name() {
        return Err(refused("the new key was not made for this store: let `punctual store rekey` write its file"));
    }
    let db = home.connection().await?;
    db.stays_in(&home.lineage);
    db.endures(Patience::Endless).await?;
    let tx = Tx::begin(&db).await?;
    home.is_ours(&tx).await?;
    let (was, is) = (Keys::new(old.clone()), Keys::new(new.clone()));
    let mut done = 0;
    for table in TABLES.iter().filter(|table| table.columns.iter().any(|column| column.seal.is_some())) {
        done += table_anew(&tx, table, (&was, &is), &|rows| progress(done + rows)).await?;
    }
    identity_anew(&tx, (&Sealer::new(Some(old)), new)).await?;
    for chain in chains::all(&tx).await?.into_iter().filter(|chain| *chain != CHAIN) {
        keys_anew(&tx, chain, &Sealer::new(Some(old))).await?;
        let other = Tx::on(&tx, chain).await?;
        keyed(&other, (chain, new), now).await?;
        other.flush().await?;
    }
    keyed(&tx, (CHAIN, new), now).await?;
    tx.note(now, Event::Rekeyed, "the key before opens the store no more")?;
    tx.flush().await?;
    chains::seal(&tx, chains::NEWER).await?;
    if let Some(finding) = history::verify(&tx, None).await?.findings.first() {
        return Err(refused(format!("the ledger is not as it was written: {finding}; see punctual ledger verify. Nothing was changed")));
    }
    tx.commit().await?;
    Ok(done)
}

/// A chain goes on with the new key, and says so.
async fn keyed(tx: &Tx<'_>, (chain, new): (i32, &StoreKey), now: DateTime<Utc>) -> Res<()> {
    chains::put_key(tx, chain, tx.head().seq + 1, &new.chain()).await?;
    tx.note(now, Event::Keyed, "HMAC-SHA-256, with another key of the store from here on")
}

/// Those of a chain of a writer, which no other store has.
async fn keys_anew(tx: &Tx<'_>, chain: i32, was: &Sealer) -> Res<()> {
    let sql = "SELECT from_seq, key FROM ledger_key WHERE practice = $1 AND chain = $2";
    for row in tx.query(sql, &[&tx.practice, &chain]).await? {
        let from: i64 = columns::get(&row, 0)?;
        let sealed = tx.sealer.seal_bytes(
            "ledger_key",
            from.to_string(),
            &was.open_bytes("ledger_key", from.to_string(), columns::get(&row, 1)?)?,
        )?;
        let sql = "UPDATE ledger_key SET key = $4 WHERE practice = $1 AND chain = $2 AND from_seq = $3";
        tx.execute(sql, &[&tx.practice, &chain, &from, &sealed]).await?;
    }
    Ok(())
}

async fn identity_anew(tx: &Tx<'_>, (was, new): (&Sealer, &StoreKey)) -> Res<()> {
    let row = tx.one("SELECT reference_key, users FROM practice WHERE id = $1", &[&tx.practice]).await?;
    let plain = was.open_bytes("identity", "reference", columns::get(&row, 0)?)?;
    let reference = tx.sealer.seal_bytes("identity", "reference", &plain)?;
    let check = tx.sealer.seal("identity", "key", &open::check_of(new))?;
    let users = tx.sealer.seal(USERS.0, USERS.1, &was.open(USERS.0, USERS.1, columns::get(&row, 1)?)?)?;
    let sql = "UPDATE practice SET reference_key = $2, key_check = $3, users = $4 WHERE id = $1";
    tx.execute(sql, &[&tx.practice, &reference, &check, &users]).await?;
    Ok(())
}

async fn table_anew(tx: &Tx<'_>, table: &Table, keys: (&Keys, &Keys), progress: &dyn Fn(u64)) -> Res<u64> {
    // What rows are known by is sealed anew, too: they are read before the first of them changes.
    let is_known_by = table.columns.iter().any(|column| column.seal.is_some() && table.key.contains(&column.name));
    let (mut after, mut done, mut all) = (Cells::new(), 0, Vec::new());
    loop {
        let some = rows(tx, table, after).await?;
        let Some(last) = some.last() else { break };
        after = table.key_of(last);
        if is_known_by {
            all.extend(some);
            continue;
        }
        done += some.len() as u64;
        put_anew(tx, table, &some, keys).await?;
        progress(done);
    }
    for some in all.chunks(1000) {
        done += some.len() as u64;
        put_anew(tx, table, some, keys).await?;
        progress(done);
    }
    Ok(done)
}

/// `UPDATE notice AS kept SET address = given.s0, ... FROM unnest(...) AS given (k0, s0, ...) WHERE kept.practice = $1 AND kept.id = given.k0`
async fn put_anew(tx: &Tx<'_>, table: &Table, rows: &[Cells], keys: (&Keys, &Keys)) -> Res<()> {
    let sealed: Vec<usize> = (0..table.columns.len()).filter(|place| table.columns[*place].seal.is_some()).collect();
    let (mut arrays, mut names, mut sets, mut wheres) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, key) in table.key.iter().enumerate() {
        let place = table.place_of(key);
        arrays.push(array(table.columns[place].kind, rows.iter().map(|row| row[place].clone())));
        names.push(format!("k{number}"));
        wheres.push(format!("kept.{} = given.k{number}", name(table, key)));
    }
    for place in sealed {
        let column = &table.columns[place];
        let anew = rows.iter().map(|row| cell_anew(table, row, place, keys)).collect::<Res<Vec<SqlValue>>>()?;
        arrays.push(array(column.kind, anew.into_iter()));
        names.push(format!("s{place}"));
        sets.push(format!("{} = given.s{place}", name(table, column.name)));
    }
    if has_chains(table) {
        wheres.push(format!("kept.chain = {CHAIN}"));
    }
    let given: Vec<String> = arrays.iter().enumerate().map(|(place, (_, kind))| format!("${}::{kind}", place + 2)).collect();
    let sql = format!(
        "UPDATE {} AS kept SET {} FROM unnest({}) AS given ({}) WHERE kept.practice = $1 AND {}",
        table.name,
        sets.join(", "),
        given.join(", "),
        names.join(", "),
        wheres.join(" AND "),
    );
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&tx.practice];
    values.extend(arrays.iter().map(|(array, _)| &**array));
    if tx.execute(&sql, &values).await? == rows.len() as u64 { Ok(()) } else { Err(refused("a row went away meanwhile")) }
}

fn cell_anew(table: &Table, row: &Cells, place: usize, (was, is): (&Keys, &Keys)) -> Res<SqlValue> {
    let cell = &row[place];
    if *cell == SqlValue::None || matches!(cell, SqlValue::Text(text) if text.is_empty()) {
        return Ok(cell.clone());
    }
    let plain = table.opened(was, row, place).ok_or_else(|| {
        refused(format!("a value of its table {} does not open: it is damaged, or was put there by somebody else", table.name))
    })?;
    let seal = table.columns[place].seal.ok_or_else(|| refused("that column is not sealed"))?;
    let bound = table.bound(seal, row);
    let sealed = match seal {
        Seal::Row(..) => is.seal(&plain, &bound),
        Seal::Alike(_) => is.seal_alike(&plain, &bound),
    };
    let sealed = sealed.map_err(refused)?;
    Ok(if matches!(cell, SqlValue::Text(_)) { SqlValue::Text(BASE64.encode(&sealed)) } else { SqlValue::Bytes(sealed) })
}
