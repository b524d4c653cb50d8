//! Sources are asked beside each other: one that is slow, or hangs, holds up no other one. Only so many at a time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::Engine;
use crate::outbox::StoreError;

/// So many sources are asked at a time: a list may hold tens of thousands of sessions, and is parsed whole.
pub(super) const ASKED_AT_ONCE: usize = 8;

impl Engine {
    /// Asks all sources for a fresh look. Returns how many could not be read whole; a failure of the store, once all have ended.
    pub(super) async fn ask_all(&self) -> Result<usize, StoreError> {
        let walks = self.feeds.sources.iter().map(|asked| self.look_at(asked, true));
        let walked = all(walks).await.into_iter().collect::<Result<Vec<bool>, _>>()?;
        Ok(walked.into_iter().filter(|whole| !whole).count())
    }
}

/// What each of them gives, as they end.
async fn all<T, F: Future<Output = T> + Send>(futures: impl Iterator<Item = F>) -> Vec<T> {
    let mut running: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    let mut given = Vec::new();
    poll_fn(move |context| {
        running.retain_mut(|one| match one.as_mut().poll(context) {
            Poll::Ready(value) => {
                given.push(value);
                false
            }
            Poll::Pending => true,
        });
        if running.is_empty() { Poll::Ready(std::mem::take(&mut given)) } else { Poll::Pending }
    })
    .await
}
