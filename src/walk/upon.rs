//! Upon how many walks one is planned ([`crate::outbox::Nodes::walks`]): other nodes may walk, too, and what is remembered of one number is not true of
//! the next.

use super::Elsewhere;
use crate::outbox::{self, Outbox};

impl Elsewhere {
    /// What is remembered is of that many walks ([`outbox::Nodes::walks`]), or nothing is.
    pub fn is_of(&mut self, walks: i64) {
        if self.walks != walks {
            *self = Self::default();
            self.walks = walks;
        }
    }

    /// The next walk is planned upon what was read at that number; it is refused if it is another one by then.
    pub fn expects(&mut self, walks: i64) {
        self.is_of(walks);
        self.expected = Some(walks);
    }

    /// Upon how many walks the next one is planned.
    pub(super) async fn now(&mut self, outbox: &dyn Outbox) -> outbox::Result<i64> {
        let walks = match self.expected.take() {
            Some(expected) => expected,
            None => outbox.walks().await?,
        };
        self.is_of(walks);
        Ok(walks)
    }

    /// The last walk was our own.
    pub(super) fn has_walked(&mut self, walks: i64) {
        self.walks = walks;
    }
}
