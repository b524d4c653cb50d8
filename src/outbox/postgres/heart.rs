//! A connection on which a daemon says that it lives.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::db::Db;
use super::error::{Failure, refused};
use super::node::Node;
use super::open::{Home, QUORUM};

/// How often it says so.
const BEAT: Duration = Duration::from_secs(5);
/// RefusalText for so long without a gap, the others had the time to be heard as well.
const STEADY: Duration = Duration::from_secs(20);

/// Says that this daemon lives, on a connection of its own, until it is dropped: then that it does not.
pub(super) struct Heart {
    heard: Arc<LastHeard>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Heart {
    /// `None` for a command: nobody waits for it.
    pub(super) fn start(home: &Home) -> crate::outbox::Result<Option<Self>> {
        let Some(node) = home.node.clone() else { return Ok(None) };
        let (stop, stopped) = oneshot::channel();
        let (home, heard) = (home.clone(), Arc::<LastHeard>::default());
        let hears = Arc::clone(&heard);
        let thread = super::thread::thread("outbox-heart", async move || live(&home, &node, &hears, stopped).await)?;
        Ok(Some(Self { heard, stop: Some(stop), thread: Some(thread) }))
    }

    /// The database heard it for so long that whoever was silent meanwhile is gone, and not only late as all of them.
    pub(super) fn is_steady(&self) -> bool {
        self.heard.is_steady(Instant::now())
    }
}

/// When the database heard it.
#[derive(Default)]
struct LastHeard(Mutex<Option<(Instant, Instant)>>);

impl LastHeard {
    /// The database heard it at that time, too.
    fn note(&self, now: Instant) {
        let mut span = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = span.filter(|(_, last)| now.saturating_duration_since(*last) < STEADY).map_or(now, |(since, _)| since);
        *span = Some((since, now));
    }

    /// The database did not hear it.
    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_steady(&self, now: Instant) -> bool {
        let span = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        span.is_some_and(|(since, last)| last.saturating_duration_since(since) >= STEADY && now.saturating_duration_since(last) < STEADY)
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn live(home: &Home, node: &Node, heard: &LastHeard, mut stopped: oneshot::Receiver<()>) {
    let mut db: Option<Db> = None;
    loop {
        let beat = async {
            let held = match db.take().filter(|db| !db.is_closed()) {
                Some(held) => held,
                None => home.connection().await?,
            };
            held.begin("BEGIN").await?;
            // On another server: before it has all that was said, nothing is said there that looks as if it had.
            if node.is_known(&held).await? == Some(false) {
                return Err(refused("it is an older copy of the one that this daemon spoke to"));
            }
            let said = node.beat(&held).await?;
            held.execute(QUORUM, &[&held.practice]).await?;
            held.commit().await?;
            node.was_heard(said);
            db = Some(held);
            Ok::<(), Failure>(())
        };
        let (began, host) = (Instant::now(), home.server.next());
        match tokio::time::timeout(BEAT, beat).await {
            Ok(Ok(())) => {
                home.reach.found();
                heard.note(Instant::now());
            }
            Ok(Err(failure)) => {
                heard.forget();
                if failure.is_lost() {
                    home.reach.lost(began);
                }
                tracing::warn!(why = failure.in_words(), "the database did not hear that this daemon lives");
            }
            Err(_) => {
                heard.forget();
                home.server.moves_on(host);
                home.reach.lost(began);
            }
        }
        if tokio::time::timeout(BEAT, &mut stopped).await.is_ok() {
            break;
        }
    }
    let leave = async {
        let db = match db.filter(|db| !db.is_closed()) {
            Some(db) => db,
            None => home.connection().await?,
        };
        node.leave(&db).await
    };
    drop(tokio::time::timeout(BEAT, leave).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_not_heard_is_steady_later() {
        let (heard, began) = (LastHeard::default(), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        (0..=15).step_by(5).for_each(|seconds| heard.note(at(seconds)));
        assert!(!heard.is_steady(at(15)));
        heard.note(at(20));
        assert!(heard.is_steady(at(21)));
        assert!(!heard.is_steady(at(45)), "it slept, and so did its heart");
        heard.note(at(60));
        assert!(!heard.is_steady(at(60)), "after a gap it begins anew");
        heard.note(at(65));
        heard.forget();
        heard.note(at(70));
        heard.note(at(85));
        assert!(!heard.is_steady(at(85)), "and after a beat that was not heard");
    }
}
