//! Waiting within an object for something that another of its events brings.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Rings for all who wait.
#[derive(Default)]
pub(crate) struct Bell {
    times: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.times.set(self.times.get().wrapping_add(1));
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Until it rings again after this call.
    pub(crate) fn next(&self) -> impl Future<Output = ()> + '_ {
        let before = self.times.get();
        poll_fn(move |context| {
            if self.times.get() != before {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
    }
}
