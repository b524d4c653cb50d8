//! What the daemon does beside its work: notes how far the store has got, and removes what is past its time.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::ledger::Anchor;
use crate::outbox::StoreError;
use crate::zone::rfc3339;

/// From one mark to the next. A raw copy of the file that is younger than this, put back, is not known for one (`punctual backup` is, always).
const MARK_EVERY: Duration = Duration::from_secs(5);

/// From one anchor in the log to the next: what is cut off the ledger's end and was older shows.
const ANCHOR_EVERY: Duration = Duration::from_secs(3600);

impl Engine {
    /// Marks until it is dropped, and tells every hour how far the ledger has got: in the log, and outside.
    pub(super) async fn keep_marking(self: Arc<Self>) {
        let engine = Arc::clone(&self);
        let mark = move || {
            let outbox = Arc::clone(&engine.outbox);
            async move { outbox.mark().await }
        };
        let tell = move |head: Anchor| {
            let engine = Arc::clone(&self);
            // One of several nodes is enough.
            let leads = engine.membership.leads();
            if leads {
                // In the log, it is kept elsewhere: `ledger verify --anchor` can be held against it.
                tracing::info!(ledger = %head, "anchor");
                tokio::spawn(async move { engine.monitors.anchors.hand(format!("{} {head}", rfc3339(engine.clock.now()))).await });
            }
            leads
        };
        keep_marking(mark, tell).await;
    }

    /// Removes what is past its time, if this node leads.
    pub(super) async fn prune(&self) -> Result<(), StoreError> {
        if !self.membership.leads() {
            return Ok(());
        }
        let now = self.clock.now();
        let purged = self.outbox.purge(now, self.keep.at(now)).await?;
        // In the log, it is kept elsewhere: `ledger verify --anchor` can be held against it.
        let head = self.outbox.mark().await?.map_or_else(String::new, |head| head.to_string());
        tracing::info!(removed = purged.in_words(), ledger = head, "pruned");
        Ok(())
    }
}

/// `tell`: whether it was this one's to tell. A mark that cannot be written is told, and the next one is tried: it protects a restore, not today's messages. Never ends.
async fn keep_marking<E: Display, F: Future<Output = Result<Option<Anchor>, E>>>(mark: impl Fn() -> F, tell: impl Fn(Anchor) -> bool) {
    let (mut failed, mut anchored) = (false, None::<Instant>);
    loop {
        tokio::time::sleep(MARK_EVERY).await;
        match mark().await {
            Ok(head) => {
                failed = false;
                // (An older copy is marked once it is held.)
                if head.filter(|_| anchored.is_none_or(|then| then.elapsed() >= ANCHOR_EVERY)).is_some_and(&tell) {
                    anchored = Some(Instant::now());
                }
            }
            Err(error) if !failed => {
                tracing::error!(%error, "the store's mark cannot be written: an older copy put back would not be known for one");
                failed = true;
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::ledger::Link;

    #[tokio::test(start_paused = true)]
    async fn an_anchor_is_told_at_once_and_every_hour() {
        let (marks, told) = (Cell::new(0), RefCell::new(Vec::new()));
        let began = Instant::now();
        let mark = || async {
            marks.set(marks.get() + 1);
            // For a quarter of an hour the disk is full; a mark that fails is tried again.
            if (60..75).contains(&(began.elapsed().as_secs() / 60)) {
                Err("no space left")
            } else {
                Ok(Some(Anchor { seq: marks.get(), link: Link::START }))
            }
        };
        let tell = |head: Anchor| {
            told.borrow_mut().push((began.elapsed().as_secs() / 60, head.seq == marks.get()));
            true
        };
        let marking = keep_marking(mark, tell);
        tokio::time::timeout(Duration::from_secs(200 * 60), marking).await.unwrap_err();
        assert_eq!(*told.borrow(), [(0, true), (75, true), (135, true), (195, true)]);
        assert!(marks.get() > 2_000, "{} marks", marks.get());
    }

    /// A node that comes to lead tells at once how far the ledger has got.
    #[tokio::test(start_paused = true)]
    async fn whoever_leads_tells_the_anchor() {
        let (asked, told) = (Cell::new(0), Cell::new(0));
        let tell = |_| {
            asked.set(asked.get() + 1);
            told.set(told.get() + u32::from(asked.get() > 3));
            asked.get() > 3
        };
        let head = Anchor { seq: 1, link: Link::START };
        let marking = keep_marking(|| async move { Ok::<_, String>(Some(head)) }, tell);
        tokio::time::timeout(Duration::from_secs(1800), marking).await.unwrap_err();
        assert_eq!((asked.get(), told.get()), (4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_copy_tells_none_until_it_is_held() {
        let told = Cell::new(0);
        let tell = |_| {
            told.set(told.get() + 1);
            true
        };
        let marking = keep_marking(|| async { Ok::<_, String>(None) }, tell);
        tokio::time::timeout(Duration::from_secs(7200), marking).await.unwrap_err();
        assert_eq!(told.get(), 0);
    }
}
