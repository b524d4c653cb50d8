//! Servers that follow a script, on loopback, at ports that the system gives out. They end with the test's runtime.

use std::sync::Arc;

use tokio::sync::Semaphore;

pub(crate) mod http;
pub(crate) mod smtp;

/// A server waits at it until the test lets it go on.
#[derive(Debug)]
pub(crate) struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub(crate) fn shut() -> Arc<Self> {
        Arc::new(Self { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Until a server waits at it.
    pub(crate) async fn is_reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// One server may go on.
    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }
}
