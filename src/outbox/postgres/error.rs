//! What goes wrong between us and the server: what may be done again, and what it is called.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

/// What the client says of a server that is none to write to.
const READS: &str = "database does not allow writes";

/// What was prepared is not there, or somebody else prepared it.
const FORGOTTEN: [SqlState; 2] = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT];

/// What to do about a pooler that nobody named.
pub(super) const SHARED: &str = "its connections are shared with others between two statements, as a pooler in transaction mode does it: say so, [store] pooler = \"transaction\"";

/// What to do about one that takes each statement for a transaction.
pub(super) const STATEMENTS: &str = "the pooler before it takes no transactions, as PgBouncer in statement mode does it: set pool_mode = transaction there, and [store] pooler = \"transaction\" here";

/// Such a pooler refused to begin one.
pub(super) fn is_of_statements(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| said.message().contains("statement pooling mode"))
}

/// What a statement answers.
pub(super) type Res<T> = Result<T, Failure>;

/// Why a statement or a transaction failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said no, or is not there.
    Database(tokio_postgres::Error),
    /// What it said is not what we wrote, or not what we can go on with.
    Refused(String),
    /// It is committed here, and its standby does not have it.
    Unconfirmed,
    /// This node was taken for gone: it takes part again in a transaction that holds the practice alone.
    Apart,
    /// No answer within this many seconds.
    Silent(u64),
    /// The pooler led to another server than before, or to a standby.
    Elsewhere,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    /// The connection is no more, or is good for nothing any more: another one may do.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Elsewhere => true,
            Self::Refused(_) | Self::Unconfirmed | Self::Apart => false,
            Self::Database(e) if is_of_statements(e) => false,
            Self::Database(e) => e.is_closed() || e.code().is_none_or(is_of_the_connection),
        }
    }

    /// A start had better wait: nobody is there, or it does not answer, starts, ends, has too many connections, or only reads. A certificate that does not
    /// hold, or a log-in that is refused, stays so.
    pub(super) fn may_pass(&self) -> bool {
        let Self::Database(e) = self else { return matches!(self, Self::Silent(_)) };
        match (e.code(), e.source().and_then(|cause| cause.downcast_ref::<std::io::Error>())) {
            (Some(code), _) => is_of_the_connection(code),
            (None, Some(cause)) => cause.kind() != std::io::ErrorKind::InvalidData,
            (None, None) => e.is_closed(),
        }
    }

    /// By the server itself.
    pub(super) fn was_said(&self) -> bool {
        matches!(self, Self::Database(e) if e.as_db_error().is_some())
    }

    /// The transaction was in another one's way: nothing of it is there.
    pub(super) fn is_a_collision(&self) -> bool {
        let Self::Database(e) = self else { return false };
        e.code().is_some_and(|code| {
            [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE].contains(code)
        })
    }

    /// In words, without a value of a row: the server's detail may hold one.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Refused(why) => why.clone(),
            Self::Database(e) if is_of_statements(e) => STATEMENTS.to_owned(),
            Self::Apart => "this node does not take part".to_owned(),
            Self::Unconfirmed => {
                "the database committed without its standby: it is not known whether that outlives a switch-over".to_owned()
            }
            Self::Silent(seconds) => format!("the database gave no answer within {seconds} seconds"),
            Self::Elsewhere => "the pooler led to another server than before, or to a standby".to_owned(),
            Self::Database(e) if e.code().is_some_and(|code| FORGOTTEN.contains(code)) => {
                SHARED.to_owned()
            }
            Self::Database(e) => match (e.as_db_error(), e.source()) {
                (Some(said), _) => format!("the database says: {} ({})", said.message(), said.code().code()),
                (None, Some(cause)) if cause.to_string() == READS => {
                    "no server of it takes writes: it is a standby, or default_transaction_read_only is on. Name the primary, or all servers of it, in [store] url".to_owned()
                }
                (None, Some(cause)) => format!("{e}: {cause}"),
                (None, None) => e.to_string(),
            },
        }
    }
}

/// Class 08: the connection; 57P: it stops or starts; 53300: too many connections; 25006: it only reads, for it is no primary any more; 25P03 and 25P04: it
/// ended the connection of a process that stood still in a transaction (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_of_the_connection(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08") || code.starts_with("57P") || ["53300", "25006", "25P03", "25P04"].contains(&code)
}

/// What does not belong there.
pub(super) fn refused(why: impl Into<String>) -> Failure {
    Failure::Refused(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_connection_ends_no_process() {
        let codes = [
            ("08006", true),
            ("57P01", true), // somebody ended it
            ("57P02", true), // another process of the server crashed
            ("57P03", true), // it starts
            ("57P05", true), // it was idle
            ("53300", true),
            ("25006", true),
            ("25P03", true), // in a transaction: a node that was stopped
            ("25P04", true),
            ("57014", false), // a statement took too long
            ("40001", false),
            ("53100", false), // the disk is full
            ("42P01", false),
            ("23505", false),
            ("XX001", false),
        ];
        for (code, is_lost) in codes {
            assert_eq!(is_of_the_connection(&SqlState::from_code(code)), is_lost, "{code}");
        }
    }
}
