//! A connection on which a daemon says that it lives.

use std::time::Duration;

use tokio::sync::oneshot;

use super::db::Db;
use super::error::Failure;
use super::node::Node;
use super::open::Home;

/// How often it says so.
const BEAT: Duration = Duration::from_secs(5);
/// Says that this daemon lives, on a connection of its own, until it is dropped: then that it does not.
pub(super) struct Heart {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Heart {
    /// `None` for a command: nobody waits for it.
    pub(super) fn start(home: &Home) -> crate::outbox::Result<Option<Self>> {
        let Some(node) = home.node.clone() else { return Ok(None) };
        let (stop, stopped) = oneshot::channel();
        let home = home.clone();
        let thread = super::thread::thread("outbox-heart", async move || live(&home, &node, stopped).await)?;
        Ok(Some(Self { stop: Some(stop), thread: Some(thread) }))
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

async fn live(home: &Home, node: &Node, mut stopped: oneshot::Receiver<()>) {
    let mut db: Option<Db> = None;
    loop {
        let beat = async {
            let held = match db.take().filter(|db| !db.is_closed()) {
                Some(held) => held,
                None => home.connection().await?,
            };
            node.beat(&held).await?;
            db = Some(held);
            Ok::<(), Failure>(())
        };
        if let Ok(Err(failure)) = tokio::time::timeout(BEAT, beat).await {
            tracing::warn!(why = failure.in_words(), "the database did not hear that this daemon lives");
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
