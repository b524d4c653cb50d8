//! What somebody else left behind, or did meanwhile: attempts of a process that is gone, and sessions that another node walked.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::Dispatcher;
use crate::contact::Channel;
use crate::notice::NoticeKey;
use crate::outbox::{self, Claim, Filter};
use crate::retry::{DoubtPolicy, after_doubt};
use crate::session::live::HOLDS_FOR;
use crate::session::{Session, SessionId};
use crate::source::stored;

/// Sessions that are read at once, for their codes.
const READ_AT_ONCE: usize = 1_000;

impl Dispatcher {
    /// At a start: takes back what an earlier process left behind, and decides about what it left in doubt. How many had not left.
    pub async fn recover(&self, doubt: impl Fn(Channel) -> DoubtPolicy) -> outbox::Result<usize> {
        let found = self.outbox.recover(&self.owner, self.clock.now(), true).await?;
        self.resolve(found.in_doubt, doubt).await?;
        Ok(found.returned)
    }

    /// Decides about what was taken back in doubt.
    pub async fn resolve(&self, in_doubt: Vec<NoticeKey>, doubt: impl Fn(Channel) -> DoubtPolicy) -> outbox::Result<()> {
        if in_doubt.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let filter = Filter { keys: in_doubt, ..Filter::default() };
        let resends = self.outbox.list(&filter).await?.into_iter().map(|e| {
            let n = &e.notice;
            tracing::warn!(key = %n.key, session = %n.session, "in doubt: the process ended between the hand-over and the answer");
            let channel = n.address.channel();
            (n.key, after_doubt(doubt(channel), n, e.attempts > 1, now))
        });
        self.outbox.resolve_doubt(now, resends.collect()).await
    }

    /// What the sources said last of whoever may still join: no message leaves with a code of theirs, also before they are asked again.
    pub async fn recall_codes(&self) -> outbox::Result<()> {
        // Asked first: what is walked meanwhile is read again.
        let walks = self.outbox.walks().await?;
        for source in self.outbox.sources().await? {
            let from = self.clock.now() - HOLDS_FOR;
            let Some(seen) = self.outbox.seen_from(&source.name, from).await? else { continue };
            let ids: Vec<SessionId> = seen.sessions.into_keys().collect();
            self.read_codes(&source.name, &ids).await?;
        }
        self.walks.store(walks, Ordering::Relaxed);
        Ok(())
    }

    /// The codes of what other nodes have walked, before anything that was claimed is looked at.
    pub(super) async fn learn_codes(&self, claims: &[Claim]) -> outbox::Result<()> {
        let known = self.walks.load(Ordering::Relaxed);
        let walks = if claims.is_empty() { known } else { self.outbox.walks().await? };
        if walks == known {
            return Ok(());
        }
        let mut of: BTreeMap<String, Vec<SessionId>> = BTreeMap::new();
        for (source, id) in self.outbox.walked_since(known).await? {
            of.entry(source).or_default().push(id);
        }
        for (source, ids) in of {
            self.read_codes(&source, &ids).await?;
        }
        self.walks.fetch_max(walks, Ordering::Relaxed);
        Ok(())
    }

    /// A walk of this node's is applied, and was planned upon so many: if nobody else's came between, there is nothing to learn.
    pub fn has_walked(&self, (before, after): (i64, i64)) {
        self.walks.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed).ok();
    }

    /// Never all of them at once.
    async fn read_codes(&self, source: &str, ids: &[SessionId]) -> outbox::Result<()> {
        for some in ids.chunks(READ_AT_ONCE) {
            let sessions: Vec<Session> = self.outbox.sessions(source, Some(some)).await?.iter().filter_map(stored::session).collect();
            self.renderer.live_codes().put(source, &sessions, self.clock.now());
        }
        Ok(())
    }
}
