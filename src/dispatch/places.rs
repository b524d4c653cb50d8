//! How many attempts a transport may have at a time: its connections, or this node's share of them. The share may change while attempts are under way:
//! those that are too many end as they would, and their places with them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

pub(super) struct Places {
    free: Semaphore,
    sum: Mutex<Sum>,
}

struct Sum {
    /// How many there may be.
    wanted: usize,
    /// Of those that are taken: so many are not free again afterwards.
    owed: usize,
}

/// One of them, until it is dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
    permit: Option<SemaphorePermit<'a>>,
}

impl Places {
    pub(super) fn new(wanted: usize) -> Self {
        Self { free: Semaphore::new(wanted), sum: Mutex::new(Sum { wanted, owed: 0 }) }
    }

    fn sum(&self) -> MutexGuard<'_, Sum> {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there may be so many.
    pub(super) fn resize(&self, wanted: usize) {
        let mut sum = self.sum();
        let before = std::mem::replace(&mut sum.wanted, wanted);
        if wanted < before {
            let fewer = before - wanted;
            sum.owed += fewer - self.free.forget_permits(fewer);
        } else {
            let more = wanted - before;
            let kept = more.min(sum.owed);
            sum.owed -= kept;
            self.free.add_permits(more - kept);
        }
    }

    /// Waits until one is free.
    pub(super) async fn take(&self) -> Place<'_> {
        // It is never closed.
        Place { places: self, permit: self.free.acquire().await.ok() }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut sum = self.places.sum();
        if sum.owed > 0
            && let Some(permit) = self.permit.take()
        {
            sum.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_smaller_share_holds_once_those_who_are_too_many_have_left() {
        let places = Places::new(4);
        let free = || places.free.available_permits();
        let mut taken = vec![places.take().await, places.take().await, places.take().await];
        places.resize(2);
        assert_eq!(free(), 0);
        taken.pop();
        assert_eq!(free(), 0, "two are there yet");
        taken.pop();
        assert_eq!(free(), 1);
        places.resize(1);
        assert_eq!(free(), 0);
        places.resize(3);
        assert_eq!(free(), 2);
        drop(taken);
        assert_eq!(free(), 3);
        // Taken back before they left.
        let mut taken = vec![places.take().await, places.take().await, places.take().await];
        places.resize(1);
        places.resize(3);
        taken.clear();
        assert_eq!(free(), 3);
    }
}
