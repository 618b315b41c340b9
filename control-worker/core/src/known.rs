//! What an object has stored, kept in memory while it is awake, so that it need not be read.

use std::cell::{Cell, RefCell};

/// What is stored, as long as that is sure: whoever stores takes it away first and puts the new one there
/// once it is stored. Where that fails, nothing is known, and the next one reads.
#[derive(Debug)]
pub struct Known<T> {
    stored: RefCell<Option<T>>,
    /// How often it began to change.
    changes: Cell<u64>,
    /// How many changes have not come to an end.
    open: Cell<u32>,
}

/// When something began to be read.
#[derive(Clone, Copy, Debug)]
pub struct Since(u64);

impl<T: Clone> Known<T> {
    /// What is stored, where that is known.
    pub fn get(&self) -> Option<T> {
        self.stored.borrow().clone()
    }

    /// To be called before it is read.
    pub fn since(&self) -> Since {
        Since(self.changes.get())
    }

    /// That this was read. It may be older than what is stored where that began to change since, or
    /// changes now: then it is not kept.
    pub fn read(&self, since: Since, stored: &T) {
        if self.open.get() == 0 && since.0 == self.changes.get() {
            self.stored.replace(Some(stored.clone()));
        }
    }

    /// Stores something. `next` says what is stored then, of what is known before; none where it does not
    /// say.
    ///
    /// # Errors
    ///
    /// Those of `store`: whatever it left behind, nothing is known.
    pub async fn change<E>(
        &self,
        next: impl FnOnce(T) -> Option<T>,
        store: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let change = Change::of(self);
        let next = self.stored.take().and_then(next);
        let stored = store.await;
        drop(change);
        if stored.is_ok() && self.open.get() == 0 {
            self.stored.replace(next);
        }
        stored
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            stored: RefCell::new(None),
            changes: Cell::new(0),
            open: Cell::new(0),
        }
    }
}

/// A change, until it is dropped.
struct Change<'a, T>(&'a Known<T>);

impl<'a, T> Change<'a, T> {
    fn of(known: &'a Known<T>) -> Self {
        known.changes.set(known.changes.get().wrapping_add(1));
        known.open.set(known.open.get().saturating_add(1));
        Self(known)
    }
}

impl<T> Drop for Change<'_, T> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Storage, and what an object knows of it.
    #[derive(Default)]
    struct Object {
        known: Known<u32>,
        storage: Cell<u32>,
        reads: Cell<u32>,
    }

    impl Object {
        /// What an operation begins with: what is known, else what is read.
        fn value(&self) -> u32 {
            self.known.get().unwrap_or_else(|| {
                self.reads.set(self.reads.get() + 1);
                let (since, stored) = (self.known.since(), self.storage.get());
                self.known.read(since, &stored);
                stored
            })
        }

        /// Stores a value, or fails before or after it is stored.
        fn store(&self, value: u32, takes: bool, answers: bool) -> Result<(), ()> {
            let store = async {
                if takes {
                    self.storage.set(value);
                }
                if answers { Ok(()) } else { Err(()) }
            };
            now(self.known.change(|_| Some(value), store)).expect("nothing is waited for")
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_was_read_or_stored_is_read_no_more() {
        let object = Object::default();
        assert_eq!((object.value(), object.value()), (0, 0));
        assert_eq!(object.reads.get(), 1);
        assert_eq!(object.store(7, true, true), Ok(()));
        assert_eq!((object.value(), object.value()), (7, 7));
        assert_eq!(object.reads.get(), 1);
    }

    #[test]
    fn where_storing_fails_the_next_one_reads() {
        for takes in [false, true] {
            let object = Object::default();
            object.value();
            assert_eq!(object.store(7, takes, false), Err(()));
            // Whether it was stored or not.
            assert_eq!(object.value(), if takes { 7 } else { 0 });
            assert_eq!(object.reads.get(), 2);
        }
    }

    #[test]
    fn what_cannot_be_told_is_read() {
        let known = Known::default();
        known.read(known.since(), &1);
        assert_eq!(
            now(known.change(|_| None, ready(Ok::<_, ()>(())))),
            Some(Ok(()))
        );
        assert_eq!(known.get(), None);
    }

    #[test]
    fn what_was_read_before_a_change_or_during_one_is_not_kept() {
        let known = Known::default();
        let before = known.since();
        {
            let mut change = pin!(known.change(Some, pending::<Result<(), ()>>()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(change.as_mut().poll(&mut context).is_pending());
            known.read(before, &1);
            assert_eq!(known.get(), None);
            known.read(known.since(), &1);
            assert_eq!(known.get(), None);
        }
        // It was dropped before its end.
        assert_eq!(known.get(), None);
        known.read(before, &1);
        assert_eq!(known.get(), None);
        known.read(known.since(), &2);
        assert_eq!(known.get(), Some(2));
    }
}
