//! How statements reach the server.
//!
//! Named: each is prepared once on a connection, and goes by its name from then on. That needs one server behind one connection.
//!
//! Typed: each goes with the types of its values and leaves nothing behind, as a pooler needs it that gives every transaction another connection of its
//! own (PgBouncer, `pool_mode = transaction`). What types a statement takes the server says once for each process: the pooler's connections are shared,
//! so what is prepared for that has a name that nobody else draws, and is gone again in the same message.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement};

use super::error::{Res, refused};

pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How those of a connection go.
pub(super) enum Statements {
    Named(RefCell<HashMap<String, Statement>>),
    Typed(Arc<Types>),
}

impl Statements {
    pub(super) async fn query(&self, client: &Client, sql: &str, values: Values<'_>) -> Res<Vec<Row>> {
        match self {
            Self::Named(known) => Ok(client.query(&named(known, client, sql).await?, values).await?),
            Self::Typed(types) => Ok(client.query_typed(sql, &types.beside(client, sql, values).await?).await?),
        }
    }

    pub(super) async fn execute(&self, client: &Client, sql: &str, values: Values<'_>) -> Res<u64> {
        match self {
            Self::Named(known) => Ok(client.execute(&named(known, client, sql).await?, values).await?),
            Self::Typed(types) => Ok(client.execute_typed(sql, &types.beside(client, sql, values).await?).await?),
        }
    }
}

async fn named(known: &RefCell<HashMap<String, Statement>>, client: &Client, sql: &str) -> Res<Statement> {
    if let Some(statement) = known.borrow().get(sql) {
        return Ok(statement.clone());
    }
    let statement = client.prepare(sql).await?;
    known.borrow_mut().insert(sql.to_owned(), statement.clone());
    Ok(statement)
}

/// The types of the values of statements, as the server said them.
#[derive(Default)]
pub(super) struct Types {
    known: Mutex<HashMap<String, Arc<[Type]>>>,
    asked: AtomicU64,
}

impl Types {
    /// Each value with its type.
    async fn beside<'a>(&self, client: &Client, sql: &str, values: Values<'a>) -> Res<Vec<(&'a (dyn ToSql + Sync), Type)>> {
        let types = self.of(client, sql).await?;
        if types.len() != values.len() {
            return Err(refused(format!("a statement takes {} values, and was given {}: {sql}", types.len(), values.len())));
        }
        Ok(values.iter().copied().zip(types.iter().cloned()).collect())
    }

    async fn of(&self, client: &Client, sql: &str) -> Res<Arc<[Type]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(types) = known {
            return Ok(types);
        }
        let name = self.name()?;
        let ask = format!(
            "PREPARE {name} AS {sql}; SELECT parameter_types::oid[]::text FROM pg_prepared_statements WHERE name = '{name}'; DEALLOCATE {name}"
        );
        let said = client.simple_query(&ask).await?;
        let oids = said.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None });
        let types =
            oids.and_then(parsed).ok_or_else(|| refused(format!("the database does not say what types a statement takes: {sql}")))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.to_owned(), Arc::clone(&types));
        Ok(types)
    }

    /// One that no other connection has.
    fn name(&self) -> Res<String> {
        let mut drawn = [0; 8];
        getrandom::fill(&mut drawn).map_err(|e| refused(format!("the system gives no random bytes: {e}")))?;
        Ok(format!("punctual_{}_{}", HEXLOWER.encode(&drawn), self.asked.fetch_add(1, Ordering::Relaxed)))
    }
}

/// An array of type numbers as PostgreSQL writes it: `{20,25}`.
fn parsed(array: &str) -> Option<Arc<[Type]>> {
    let inner = array.strip_prefix('{')?.strip_suffix('}')?;
    let one = |oid: &str| oid.parse().ok().and_then(Type::from_oid);
    inner.split(',').filter(|oid| !oid.is_empty()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_by_their_numbers() {
        assert_eq!(parsed("{20,1009}").as_deref(), Some(&[Type::INT8, Type::TEXT_ARRAY][..]));
        assert_eq!(parsed("{}").as_deref(), Some(&[][..]));
        assert!(parsed("{999999}").is_none());
        assert!(parsed("20").is_none());
    }
}
