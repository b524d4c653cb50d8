//! Rows of a practice, as every store has them ([`crate::outbox::rows`]): read, and put.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::columns::get;
use super::db::{CHAIN, Db};
use super::error::Res;
use crate::outbox::rows::{Cells, Column, ColumnKind, SqlValue, Table};

/// Rows at a time.
const ROWS: usize = 1000;

/// Its name here.
pub(super) fn name(table: &Table, column: &str) -> String {
    if table.name == "ledger" && column == "chain" { "link".to_owned() } else { column.to_owned() }
}

/// Whether its rows are of one chain of several.
pub(super) fn has_chains(table: &Table) -> bool {
    table.name.starts_with("ledger")
}

/// As it is read: a number, text or bytes.
fn read(table: &Table, column: &Column) -> String {
    let here = name(table, column.name);
    match column.kind {
        ColumnKind::Lease => format!("(extract(epoch FROM {here}) * 1000)::bigint"),
        ColumnKind::Flag => format!("{here}::integer::bigint"),
        _ if is_state(table, column) => {
            format!("CASE WHEN {here} <> 'flying' THEN {here} WHEN phase IS NULL THEN 'claimed' ELSE 'sending' END")
        }
        ColumnKind::Int | ColumnKind::Text | ColumnKind::Bytes => here,
    }
}

/// As it is put, from a value of that name.
fn written(table: &Table, column: &Column) -> String {
    let given = format!("given.{}", name(table, column.name));
    match column.kind {
        ColumnKind::Lease => format!("to_timestamp({given} / 1000.0)"),
        ColumnKind::Flag => format!("{given} <> 0"),
        _ if is_state(table, column) => format!("CASE WHEN {given} IN ('claimed', 'sending') THEN 'flying' ELSE {given} END"),
        ColumnKind::Int | ColumnKind::Text | ColumnKind::Bytes => given,
    }
}

/// An attempt's steps change no column that an index has: here, one word stands for two.
fn is_state(table: &Table, column: &Column) -> bool {
    table.name == "notice" && column.name == "state"
}

/// The next ones behind that key; of nothing: the first ones. Of the ledger and its keys, those of the first chain.
pub(super) async fn rows(db: &Db, table: &Table, after: Cells) -> Res<Vec<Cells>> {
    let columns: Vec<String> = table.columns.iter().map(|column| read(table, column)).collect();
    let key = table.key.join(", ");
    let places = (2..after.len() + 2).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
    let beyond = if after.is_empty() { "TRUE".to_owned() } else { format!("({key}) > ({places})") };
    let chain = if has_chains(table) { format!("AND chain = {CHAIN}") } else { String::new() };
    let sql =
        format!("SELECT {} FROM {} WHERE practice = $1 {chain} AND {beyond} ORDER BY {key} LIMIT {ROWS}", columns.join(", "), table.name);
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&db.practice];
    values.extend(after.iter().map(value));
    let row = |row: &Row| table.columns.iter().enumerate().map(|(place, column)| cell(row, place, column.kind)).collect();
    db.query(&sql, &values).await?.iter().map(row).collect()
}

fn value(cell: &SqlValue) -> &(dyn ToSql + Sync) {
    match cell {
        SqlValue::None => &None::<i64>,
        SqlValue::Int(number) => number,
        SqlValue::Text(text) => text,
        SqlValue::Bytes(bytes) => bytes,
    }
}

fn cell(row: &Row, place: usize, kind: ColumnKind) -> Res<SqlValue> {
    Ok(match kind {
        ColumnKind::Int | ColumnKind::Flag | ColumnKind::Lease => get::<Option<i64>>(row, place)?.map_or(SqlValue::None, SqlValue::Int),
        ColumnKind::Text => get::<Option<String>>(row, place)?.map_or(SqlValue::None, SqlValue::Text),
        ColumnKind::Bytes => get::<Option<Vec<u8>>>(row, place)?.map_or(SqlValue::None, SqlValue::Bytes),
    })
}

/// A column of many rows, as a statement takes it; and its type there.
pub(super) fn array(kind: ColumnKind, cells: impl Iterator<Item = SqlValue>) -> (Box<dyn ToSql + Sync>, &'static str) {
    match kind {
        ColumnKind::Int | ColumnKind::Flag | ColumnKind::Lease => {
            let number = |cell| if let SqlValue::Int(number) = cell { Some(number) } else { None };
            (Box::new(cells.map(number).collect::<Vec<Option<i64>>>()), "bigint[]")
        }
        ColumnKind::Text => {
            let text = |cell| if let SqlValue::Text(text) = cell { Some(text) } else { None };
            (Box::new(cells.map(text).collect::<Vec<Option<String>>>()), "text[]")
        }
        ColumnKind::Bytes => {
            let bytes = |cell| if let SqlValue::Bytes(bytes) = cell { Some(bytes) } else { None };
            (Box::new(cells.map(bytes).collect::<Vec<Option<Vec<u8>>>>()), "bytea[]")
        }
    }
}

pub(super) async fn put(db: &Db, table: &Table, rows: Vec<Cells>) -> Res<()> {
    let arrays: Vec<_> =
        table.columns.iter().enumerate().map(|(place, column)| array(column.kind, rows.iter().map(|row| row[place].clone()))).collect();
    let names: Vec<String> = table.columns.iter().map(|column| name(table, column.name)).collect();
    let given: Vec<String> = arrays.iter().enumerate().map(|(place, (_, kind))| format!("${}::{kind}", place + 2)).collect();
    let written: Vec<String> = table.columns.iter().map(|column| written(table, column)).collect();
    let (chain, one) = match table.name {
        "ledger" => ("chain, place, ", format!("{CHAIN}, given.seq, ")),
        _ if has_chains(table) => ("chain, ", format!("{CHAIN}, ")),
        _ => ("", String::new()),
    };
    let sql = format!(
        "INSERT INTO {} (practice, {chain}{names}) OVERRIDING SYSTEM VALUE SELECT $1, {one}{} FROM unnest({}) AS given ({names})",
        table.name,
        written.join(", "),
        given.join(", "),
        names = names.join(", "),
    );
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&db.practice];
    values.extend(arrays.iter().map(|(array, _)| &**array));
    db.execute(&sql, &values).await.map(drop)
}

/// New notices and rows of the ledger get numbers behind those that were put. (One sequence serves every practice; a number is of one practice.)
pub(super) async fn numbers_go_on(db: &Db) -> Res<()> {
    for (table, column) in [("notice", "id"), ("ledger", "place")] {
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), put.last + 1)
             FROM (SELECT max({column}) AS last FROM {table} WHERE practice = $1) AS put
             WHERE put.last >= nextval(pg_get_serial_sequence('{table}', '{column}'))"
        );
        db.query(&sql, &[&db.practice]).await?;
    }
    Ok(())
}
