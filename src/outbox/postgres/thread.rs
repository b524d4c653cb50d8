//! Threads that have a runtime of their own.

use std::thread::JoinHandle;

use crate::outbox::{Result, StoreError};

/// A thread with a runtime of its own: nothing on it need be sent elsewhere.
pub(super) fn thread<F>(name: &str, run: F) -> Result<JoinHandle<()>>
where
    F: AsyncFnOnce() + Send + 'static,
{
    let fail = |e: std::io::Error| StoreError { action: format!("start of the thread {name}"), cause: e.to_string() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let run = move || tokio::task::LocalSet::new().block_on(&runtime, run());
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(fail)
}
