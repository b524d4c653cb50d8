//! The list of a node that takes over the lead may be an older copy of the one that was read last: it would take back what that one said.
//!
//! In: what a node read, with what the store holds of the last one. Out: what was read, or why it is not believed: then the source counts as one that
//! cannot be read, and the last good list stays in force. A node believes each list of its own, also one that was put back; and a source that names its
//! node is believed on it.

use super::Engine;
use super::faults::NotRead;
use super::membership::SKEW_MAX;
use crate::outbox::{ReadFile, StoreError};
use crate::source::copies::{ListCopy, older};
use crate::source::same::{Print, SourceRead};
use crate::source::{Source, SourceKind};

impl Engine {
    /// The node that reads it, if the list of another one may lie in its place.
    pub(super) fn read_by_any(&self, source: &Source) -> Option<&str> {
        let may_differ = matches!(source.kind, SourceKind::File(_)) && source.node.is_none();
        self.membership.node().filter(|_| may_differ)
    }

    /// What was read, unless another node read something newer.
    pub(super) async fn unless_older(&self, source: &Source, read: SourceRead) -> Result<Result<SourceRead, NotRead>, StoreError> {
        let (SourceRead::Now(_, Some(print)), Some(node)) = (&read, self.read_by_any(source)) else { return Ok(Ok(read)) };
        let Some(last) = self.outbox.last_read(&source.name).await? else {
            return Ok(Ok(read));
        };
        if last.by == node {
            return Ok(Ok(read));
        }
        let read_at = self.outbox.sources().await?.into_iter().find(|row| row.name == source.name).and_then(|row| row.heard_at);
        let there = ListCopy::noted(last.written, &last.said);
        Ok(match older(print, (&there, read_at.unwrap_or(last.written)), SKEW_MAX) {
            Some(older) => Err(NotRead::until_mended(format!(
                "what lies on this node ({node}) is older than what node {} read last ({older}): copy that one here, with the times of its files. If \
                 this one is meant, say in the configuration which node reads the source: node = {node:?}",
                last.by
            ))),
            None => Ok(read),
        })
    }

    /// For the node that leads after this one: what it walked.
    pub(super) async fn note_read(&self, source: &Source, print: Option<&Print>) -> Result<(), StoreError> {
        let read = print.and_then(|print| ListCopy::of(print, self.clock.now()));
        let (Some(node), Some(read)) = (self.read_by_any(source), read) else { return Ok(()) };
        let last = self.outbox.last_read(&source.name).await?;
        let before = last.as_ref().map(|last| ListCopy::noted(last.written, &last.said));
        let read = read.with_files_of(before.as_ref());
        let file = ReadFile { by: node.to_owned(), written: read.written, said: read.said() };
        if last.as_ref() == Some(&file) { Ok(()) } else { self.outbox.was_read(&source.name, file).await }
    }
}
