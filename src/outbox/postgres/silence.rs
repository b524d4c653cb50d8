//! How long the answer to a statement is waited for.
//!
//! A server that takes connections and says nothing cannot be told from a busy one by waiting. A daemon waits long; a command asks every few seconds
//! whether it still greets somebody else, and so does a daemon that could go to another host.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use super::connect::Server;
use super::error::{Failure, Res};

/// A statement that takes longer gets no answer any more: whoever asked has given up by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// So often it is looked whether somebody is there who might answer.
const LOOK: Duration = Duration::from_secs(10);

/// The answers on one connection.
pub(super) struct Silence {
    /// At which of its hosts it is looked; `None`: a daemon's that has one host, which hears that from its heart.
    looks: Option<(Server, usize)>,
    /// A statement had no answer: nothing that is said after it has one.
    fell: Cell<bool>,
}

impl Silence {
    pub(super) fn of(server: &Server, host: usize) -> Self {
        let looks = server.hurries() || server.has_several_hosts();
        Self { looks: looks.then(|| (server.clone(), host)), fell: Cell::new(false) }
    }

    /// Nobody answers on that connection any more.
    pub(super) fn fell(&self) -> bool {
        self.fell.get()
    }

    /// The answer to a statement, or that there was none.
    pub(super) async fn broken_by<T>(&self, mut statement: Pin<&mut impl Future<Output = Res<T>>>) -> Res<T> {
        if self.fell() {
            return Err(Failure::Silent(ANSWER_WITHIN.as_secs()));
        }
        let since = Instant::now();
        let looks = if self.looks.is_some() { LOOK } else { ANSWER_WITHIN };
        loop {
            if let Ok(answer) = tokio::time::timeout(looks, &mut statement).await {
                return answer;
            }
            if since.elapsed() >= ANSWER_WITHIN || !self.somebody_greets().await {
                self.fell.set(true);
                return Err(Failure::Silent(since.elapsed().as_secs()));
            }
        }
    }

    async fn somebody_greets(&self) -> bool {
        let Some((server, host)) = &self.looks else { return false };
        server.greets(*host).await
    }
}
