//! Who reads which source, of several nodes. The lists that lie on their machines may differ, and an older one would take back what a newer one said:
//! so a file is read by the node that leads, or by the one that it names, and by no other. A server says the same to all: the one that leads asks it by
//! its cron expression and at the start, and any of them when somebody needs a fresh look.
//!
//! In: a wish to have a source looked at. Out: a look; or, of a source that this node may not read, the wish stands in the store
//! ([`want_look`](crate::outbox::Walks::want_look)) until the node that may has looked, seconds later. Commands wish in the same way. The only daemon of
//! a practice reads all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use super::Engine;
use super::cron::watched;
use crate::dispatch::looks::Ticket;
use crate::outbox::{SourceLook, StoreError};
use crate::source::{Source, SourceKind};

/// From one look to the next whether it is known again who leads.
const REST: Duration = Duration::from_millis(100);

/// A source that is asked.
pub(super) struct Asked {
    pub(super) name: String,
    /// When: its cron expression.
    pub(super) poll: String,
    is_server: bool,
    /// It names this node.
    is_ours: bool,
    /// Locked while it is read.
    source: Mutex<Source>,
}

/// A look that this node waits for: so many were wanted by then.
pub(super) type Awaited = (i64, Ticket);

impl Asked {
    /// One of those that this node may read.
    pub(super) fn new(source: Source) -> Self {
        let (name, poll) = (source.name.clone(), source.poll.clone());
        let (is_server, is_ours) = (matches!(source.kind, SourceKind::Http(_)), source.node.is_some());
        Self { name, poll, is_server, is_ours, source: Mutex::new(source) }
    }
}

impl Engine {
    /// Whether this node reads it. `fresh`: somebody needs to know what it says now. Waits while it is not known who leads.
    async fn reads(&self, asked: &Asked, fresh: bool) -> bool {
        if asked.is_ours || (fresh && asked.is_server) {
            return true;
        }
        while self.membership.is_out_of_date(self.clock.uptime()) {
            tokio::time::sleep(REST).await;
        }
        self.membership.leads()
    }

    /// Looks at it by its cron expression. A look that is still running is not begun twice.
    pub(super) async fn poll(&self, asked: &Asked) -> Result<(), StoreError> {
        let Ok(source) = asked.source.try_lock() else { return Ok(()) };
        if self.reads(asked, false).await {
            return self.walk(&source).await.map(drop);
        }
        // Whether it can be read is told where it is.
        self.feeds.unread.note(&asked.name, Ok(()), self.clock.now());
        Ok(())
    }

    /// Somebody needs a fresh look. One that is still running is not begun twice.
    pub(super) async fn refresh(&self, asked: &Asked) -> Result<(), StoreError> {
        let Ok(source) = asked.source.try_lock() else { return Ok(()) };
        if self.reads(asked, true).await { self.walk(&source).await.map(drop) } else { self.want(asked).await }
    }

    /// Looks at it after whatever looks at it now, or has that done. Whether it could be read whole.
    pub(super) async fn look_at(&self, asked: &Asked, fresh: bool) -> Result<bool, StoreError> {
        let source = asked.source.lock().await;
        if self.reads(asked, fresh).await { self.walk(&source).await } else { self.want(asked).await.map(|()| true) }
    }

    /// Has the node look that may, and waits for that as for a look of its own.
    async fn want(&self, asked: &Asked) -> Result<(), StoreError> {
        let begun = self.feeds.looks.begin();
        if self.membership.idle().is_some() {
            self.feeds.looks.end_of(&asked.name, begun);
            return Ok(());
        }
        let wanted = self.outbox.want_look(&asked.name).await?;
        self.feeds.awaited().insert(asked.name.clone(), (wanted, begun));
        Ok(())
    }

    /// Likewise, of what lies on other nodes: nothing waits for those.
    pub(super) async fn want_elsewhere(&self) -> Result<(), StoreError> {
        for source in &self.feeds.read_elsewhere {
            self.outbox.want_look(source).await?;
        }
        Ok(())
    }

    /// Takes the looks that somebody wants, and hears of those that others took.
    pub(super) async fn take_looks(self: &Arc<Self>, failed: &mpsc::Sender<StoreError>) -> Result<(), StoreError> {
        let may_take = self.membership.leads() || self.feeds.sources.iter().any(|asked| asked.is_ours);
        if self.membership.idle().is_some() || !(may_take || !self.feeds.awaited().is_empty()) {
            return Ok(());
        }
        for look in self.outbox.looks().await? {
            let had = self.feeds.awaited().extract_if(|source, (wanted, _)| *source == look.source && *wanted <= look.had).next();
            if let Some((source, (_, begun))) = had {
                self.feeds.looks.end_of(&source, begun);
            }
            if look.had < look.wanted {
                let engine = Arc::clone(self);
                tokio::spawn(watched(failed.clone(), async move { engine.take_look(look).await }));
            }
        }
        Ok(())
    }

    /// One of them, if it is this node's to take. What is being read may be older than the wish: then it is taken later.
    async fn take_look(&self, look: SourceLook) -> Result<(), StoreError> {
        match self.feeds.sources.iter().find(|asked| asked.name == look.source) {
            Some(asked) => {
                let Ok(source) = asked.source.try_lock() else { return Ok(()) };
                if !self.reads(asked, false).await {
                    return Ok(());
                }
                self.walk(&source).await?;
            }
            None if self.feeds.is_pushed(&look.source) && self.membership.leads() => self.plan_again(&look.source).await?,
            None => return Ok(()),
        }
        self.outbox.had_look(&look.source, look.wanted).await
    }
}
