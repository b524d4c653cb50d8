//! One write that somebody asks of the writer, and what becomes of it when nobody waits any more.
//!
//! What was asked is done, also when whoever asked has gone; unless the database was away meanwhile and it was not done before: then it was given up.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;

use tokio::sync::oneshot;

use super::db::Tx;
use super::error::Res;
use crate::outbox::{Result, StoreError};

/// What runs inside a transaction, again if it has to.
pub(super) trait Run: Send {
    fn run<'a>(&'a self, tx: &'a Tx<'a>) -> Pin<Box<dyn Future<Output = Res<()>> + 'a>>;
    fn answer(self: Box<Self>, outcome: std::result::Result<(), StoreError>);
    /// Not done any more, if whoever asked has gone.
    fn give_up(&self);
    fn is_given_up(&self) -> bool;
}

/// One write, and who waits for it.
pub(super) struct Ask<F, T> {
    op: F,
    value: RefCell<Option<T>>,
    answer: oneshot::Sender<Result<T>>,
    given_up: Cell<bool>,
}

impl<F, T> Ask<F, T> {
    pub(super) fn new(op: F, answer: oneshot::Sender<Result<T>>) -> Self {
        Self { op, value: RefCell::new(None), answer, given_up: Cell::new(false) }
    }
}

impl<F, T> Run for Ask<F, T>
where
    F: AsyncFn(&Tx<'_>) -> Res<T> + Send,
    T: Send,
{
    fn run<'a>(&'a self, tx: &'a Tx<'a>) -> Pin<Box<dyn Future<Output = Res<()>> + 'a>> {
        Box::pin(async move {
            if !self.given_up.get() {
                let value = (self.op)(tx).await?;
                self.value.replace(Some(value));
            }
            Ok(())
        })
    }

    fn answer(self: Box<Self>, outcome: std::result::Result<(), StoreError>) {
        let Self { value, answer, .. } = *self;
        // The caller may be gone; what it asked is done all the same, unless the database was away meanwhile.
        match (outcome, value.into_inner()) {
            (Ok(()), Some(value)) => drop(answer.send(Ok(value))),
            (Ok(()), None) => {}
            (Err(error), _) => drop(answer.send(Err(error))),
        }
    }

    fn give_up(&self) {
        self.given_up.set(self.answer.is_closed());
    }

    fn is_given_up(&self) -> bool {
        self.given_up.get()
    }
}
