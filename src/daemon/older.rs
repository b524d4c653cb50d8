//! The list of a node that takes over the lead may be an older copy of the one that was read last: it would take back what that one said.
//!
//! In: what a node read, with what the store holds of the last one. Out: what was read, or why it is not believed: then the source counts as one that
//! cannot be read, and the last good list stays in force. A node believes each list of its own, also one that was put back; and a source that names its
//! node is believed on it.

use chrono::{DateTime, Utc};

use super::Engine;
use super::membership::SKEW_MAX;
use crate::outbox::{ReadFile, SourceLook, StoreError};
use crate::source::same::{Print, SourceRead};
use crate::source::{Source, SourceKind};

impl Engine {
    /// The node that reads it, if the list of another one may lie in its place.
    pub(super) fn read_by_any(&self, source: &Source) -> Option<&str> {
        let may_differ = matches!(source.kind, SourceKind::File(_)) && source.node.is_none();
        self.membership.node().filter(|_| may_differ)
    }

    /// What was read, unless another node read something newer.
    pub(super) fn unless_older(&self, source: &Source, known: &SourceLook, read: SourceRead) -> Result<SourceRead, String> {
        let (SourceRead::Now(_, Some(print)), Some(node), Some(last)) = (&read, self.read_by_any(source), &known.read) else {
            return Ok(read);
        };
        match print.written() {
            Some((written, said)) if is_older(node, (written, &said), last) => Err(format!(
                "what lies on this node ({node}) is older than what node {} read last, which was written {}: copy that one here. If this one is meant, \
                 say in the configuration which node reads the source: node = {node:?}",
                last.by,
                last.written.to_rfc3339()
            )),
            _ => Ok(read),
        }
    }

    /// For the node that leads after this one: what it walked.
    pub(super) async fn note_read(&self, source: &Source, known: &SourceLook, print: Option<&Print>) -> Result<(), StoreError> {
        let (Some(node), Some((written, said))) = (self.read_by_any(source), print.and_then(Print::written)) else { return Ok(()) };
        // (A clock that was ahead dates nothing for ever.)
        let file = ReadFile { by: node.to_owned(), written: written.min(self.clock.now()), said };
        let is_known = known.read.as_ref().is_some_and(|last| last.by == file.by && last.said == file.said);
        if is_known { Ok(()) } else { self.outbox.was_read(&source.name, file).await }
    }
}

/// Clocks of two machines may be apart, and the same list may have been written to each by itself.
fn is_older(node: &str, (written, said): (DateTime<Utc>, &str), last: &ReadFile) -> bool {
    last.by != node && last.said != said && written < last.written - SKEW_MAX
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_list_of_another_time_is_older_on_another_node_alone() {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds);
        let last = ReadFile { by: "a".to_owned(), written: at(0), said: "new".to_owned() };
        for (node, seconds, said, expected) in [
            ("b", -31, "old", true),
            ("b", -30, "old", false), // clocks that are apart
            ("b", 5, "newer", false),
            ("b", -9_000, "new", false), // a copy that kept another time
            ("a", -9_000, "old", false), // somebody put it back
        ] {
            assert_eq!(is_older(node, (at(seconds), said), &last), expected, "{node} {seconds} {said}");
        }
    }
}
