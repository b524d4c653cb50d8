//! What the server needs to know to plan a connection's statements, and when it plans them anew.
//!
//! A new practice grows from nothing to a whole list in a second, before the server has counted anything. Until then it takes a practice for one of 200:
//! all indexes begin with the practice, so each of them seems to lead to a few rows, and the wrong one leads to all. Three things keep it from that:
//!
//! - whoever adds the first list has the practices counted ([`COUNT`]);
//! - plans are made anew as the tables grow ([`Plans`]);
//! - a statement that is given rows has the practice beside each of them, in a table of its own: `(SELECT $1::integer AS practice, * FROM unnest(…) AS u (…)
//!   OFFSET 0) AS w`. Without `OFFSET 0` the server sees that the practice is always the same one, and may begin with all of its rows.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What is handed over was written lately, and is in memory: to look up a hundred rows costs less than to read thousands, one after another.
pub(super) const COST: &str = "random_page_cost = 1.1";
/// Plans are made for tables as large as they are then, and kept.
pub(super) const REPLAN: &str = "DISCARD PLANS";
/// Later than after so long nobody goes by an old one.
const REPLAN_AFTER: Duration = Duration::from_secs(60);

/// As many as the server itself waits for. Of a single row it would say that each row has a practice of its own.
const ENOUGH: usize = 50;

/// Of a connection. A plan is used for as many transactions as there were before it, at the most.
pub(super) struct Plans {
    transactions: Cell<u64>,
    made: Cell<Instant>,
    counted: Cell<bool>,
}

impl Plans {
    pub(super) fn new() -> Self {
        Self { transactions: Cell::new(0), made: Cell::new(Instant::now()), counted: Cell::new(false) }
    }

    /// Whether this connection, which has added so many notices at once, is to have the practices counted: once, if nobody did.
    pub(super) fn want_counts(&self, added: usize) -> bool {
        added >= ENOUGH && !self.counted.replace(true)
    }

    /// Asked at the beginning of each transaction.
    pub(super) fn are_old(&self) -> bool {
        let number = self.transactions.get() + 1;
        self.transactions.set(number);
        let old = number.is_power_of_two() || self.made.get().elapsed() > REPLAN_AFTER;
        if old {
            self.made.set(Instant::now());
        }
        old
    }
}

/// Whether somebody did.
pub(super) const IS_COUNTED: &str = "SELECT EXISTS (SELECT 1 FROM pg_stats
         WHERE schemaname = ANY (current_schemas(false)) AND tablename = 'notice' AND attname = 'practice' AND n_distinct > 0)";
/// Has the server count how many practices there are. This column alone: that takes no time, and the server counts the others later, as it would have. Who
/// does not own the tables gets a warning.
pub(super) const COUNT: &str = "ANALYZE session (practice), participant (practice), notice (practice)";
