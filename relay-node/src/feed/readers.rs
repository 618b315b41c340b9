//! Those who send what is on a feed, and when they are told that there is more.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::unconstrained;
use tokio_util::task::AbortOnDropHandle;

use crate::clock;
use crate::shards::Shard;
use crate::wire::Batches;

/// Somebody who sends what is on a feed.
pub trait Reader: Send + Sync {
    /// The log has grown: sends what can be sent at once. Never waits, and leaves what is left, and
    /// whatever goes wrong, to a task of its own; that is told too if this panics.
    fn grown(&self, now: Instant);

    /// [`grown`](Self::grown) has panicked.
    fn broken(&self);
}

/// A reader is told until this is dropped.
pub struct Enrolment {
    readers: Weak<Readers>,
    number: u64,
}

/// All of them.
#[derive(Default)]
pub(super) struct Readers {
    enrolled: Mutex<Enrolled>,
    /// What they write in common.
    pub(super) batches: Batches,
}

#[derive(Default)]
struct Enrolled {
    by_number: BTreeMap<u64, Arc<dyn Reader>>,
    last: u64,
}

/// Tells all readers of a broadcast, from the thread on which they are.
#[derive(Debug)]
pub(super) struct Pass {
    wanted: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Pass {
    pub(super) fn new(readers: Arc<Readers>, shard: &Shard) -> Self {
        let wanted = Arc::new(Notify::new());
        let asked = Arc::clone(&wanted);
        let pass = async move {
            loop {
                asked.notified().await;
                readers.tell();
            }
        };
        Self {
            wanted,
            // Tokio would take a long pass for a task that does not give way, and would tell its
            // last sockets that they are not ready.
            _task: AbortOnDropHandle::new(shard.spawn(unconstrained(pass))),
        }
    }

    /// There is something new.
    pub(super) fn begin(&self) {
        self.wanted.notify_one();
    }
}

impl Readers {
    pub(super) fn enrol(readers: &Arc<Self>, reader: Arc<dyn Reader>) -> Enrolment {
        let mut enrolled = readers.lock();
        enrolled.last += 1;
        let number = enrolled.last;
        enrolled.by_number.insert(number, reader);
        Enrolment {
            readers: Arc::downgrade(readers),
            number,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().by_number.len()
    }

    /// One pass over all of them.
    fn tell(&self) {
        let now = clock::now();
        for reader in self.lock().by_number.values() {
            // They are strangers to each other: what one does wrong is its own affair.
            if catch_unwind(AssertUnwindSafe(|| reader.grown(now))).is_err() {
                reader.broken();
            }
        }
        self.batches.put_away();
    }

    fn lock(&self) -> MutexGuard<'_, Enrolled> {
        self.enrolled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readers").field(&self.count()).finish()
    }
}

impl Drop for Enrolment {
    fn drop(&mut self) {
        if let Some(readers) = self.readers.upgrade() {
            // What it holds may be dropped with it, and is no longer told meanwhile.
            let reader = readers.lock().by_number.remove(&self.number);
            drop(reader);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use broadcast::Budget;
    use shared::link::Protocol;
    use tokio::sync::watch;

    use super::*;
    use crate::feed::{Encoder, Feed};
    use crate::shards::Shards;

    fn feed() -> Feed {
        Feed::new(
            1,
            Encoder::new(Protocol::Rtmp, None),
            Duration::ZERO,
            Budget::default(),
            Shards::here().pick(),
            clock::now(),
        )
    }

    /// Tells when it is told.
    #[derive(Default)]
    struct Told(watch::Sender<()>);

    impl Reader for Told {
        fn grown(&self, _: Instant) {
            self.0.send_replace(());
        }

        fn broken(&self) {}
    }

    /// What changes when a feed's readers are told, for as long as the first is kept.
    pub(crate) fn growth(feed: &Feed) -> (Enrolment, watch::Receiver<()>) {
        let told = Arc::new(Told::default());
        let growth = told.0.subscribe();
        (feed.enrol(told), growth)
    }

    #[tokio::test]
    async fn one_that_panics_takes_nobody_with_it_and_one_that_has_gone_is_not_told() {
        /// Breaks.
        struct Broken(AtomicBool);

        impl Reader for Broken {
            fn grown(&self, _: Instant) {
                panic!("as a bug would");
            }

            fn broken(&self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        let feed = feed();
        let (gone, mut no_growth) = growth(&feed);
        let broken = Arc::new(Broken(AtomicBool::new(false)));
        let _enrolment = feed.enrol(Arc::clone(&broken) as _);
        let (_enrolment, mut growth) = growth(&feed);
        drop(gone);
        feed.tell();
        growth.changed().await.unwrap();
        assert!(broken.0.load(Ordering::SeqCst));
        assert!(
            no_growth.changed().await.is_err(),
            "told though it had gone"
        );
    }
}
