//! Who is past the point of no return: an end that lets nobody else pass waits for these alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Counts those that have passed and are not back yet, and can be shut.
#[derive(Debug, Default)]
pub(super) struct Bar {
    beyond: AtomicUsize,
    shut: AtomicBool,
}

/// One that has passed; it is back when this is dropped.
pub(super) struct Passage(Arc<Bar>);

impl Bar {
    /// Lets one pass; `None`: it is shut.
    pub(super) fn pass(self: &Arc<Self>) -> Option<Passage> {
        // Counted first: whoever shuts it and then counts sees this one, or this one sees that it is shut.
        self.beyond.fetch_add(1, Ordering::SeqCst);
        let passed = Passage(Arc::clone(self));
        (!self.shut.load(Ordering::SeqCst)).then_some(passed)
    }

    /// Nobody passes any more.
    pub(super) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    /// How many have passed and are not back.
    pub(super) fn beyond(&self) -> usize {
        self.beyond.load(Ordering::SeqCst)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.0.beyond.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_passed_is_counted_and_nobody_passes_a_shut_bar() {
        let bar = Arc::new(Bar::default());
        let passed = bar.pass();
        assert!(passed.is_some() && bar.beyond() == 1);
        bar.shut();
        assert!(bar.pass().is_none() && bar.beyond() == 1);
        drop(passed);
        assert_eq!(bar.beyond(), 0);
    }
}
