//! Those who send what is on a feed, and when they are told that there is more.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::unconstrained;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::shards::Shard;

/// Somebody who sends what is on a feed.
pub trait Reader: Send + Sync {
    /// The log has grown: sends what can be sent at once. Never waits, and leaves what is left, and
    /// whatever goes wrong, to a task of its own; that is told too if this panics.
    fn grown(&self);

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
pub(super) struct Readers(Mutex<Enrolled>);

#[derive(Default)]
struct Enrolled {
    by_number: BTreeMap<u64, Arc<dyn Reader>>,
    last: u64,
}

/// Wakes all readers of a broadcast, from the thread on which they are, and by one deadline.
#[derive(Debug)]
pub(super) struct Gatherer {
    waiting: Arc<Waiting>,
    _task: AbortOnDropHandle<()>,
}

/// Whether something is on the log that the readers have not been told of.
#[derive(Debug, Default)]
struct Waiting {
    something: AtomicBool,
    /// Whether it is worth a wake-up of its own.
    urgent: AtomicBool,
    begun: Notify,
}

impl Gatherer {
    pub(super) fn new(gather: Duration, readers: Arc<Readers>, shard: &Shard) -> Self {
        let waiting = Arc::new(Waiting::default());
        let gathered = Arc::clone(&waiting);
        let pass = async move {
            loop {
                gathered.begun.notified().await;
                if !gather.is_zero() && !gathered.urgent.load(Ordering::SeqCst) {
                    // While something waits, only what is urgent is told.
                    let _ = timeout(gather, gathered.begun.notified()).await;
                }
                gathered.urgent.store(false, Ordering::SeqCst);
                // What comes from here on waits anew, though it may be read with the rest.
                gathered.something.store(false, Ordering::SeqCst);
                readers.tell();
            }
        };
        Self {
            waiting,
            // Tokio would take a long pass for a task that does not give way, and would tell its
            // last sockets that they are not ready.
            _task: AbortOnDropHandle::new(shard.spawn(unconstrained(pass))),
        }
    }

    /// Something new waits; the readers are told when it has been gathered, or at once.
    pub(super) fn begin(&self, urgent: bool) {
        let waiting = &self.waiting;
        let hurries = urgent && !waiting.urgent.swap(true, Ordering::SeqCst);
        if !waiting.something.swap(true, Ordering::SeqCst) || hurries {
            waiting.begun.notify_one();
        }
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

    /// One pass over all of them.
    fn tell(&self) {
        for reader in self.lock().by_number.values() {
            // They are strangers to each other: what one does wrong is its own affair.
            if catch_unwind(AssertUnwindSafe(|| reader.grown())).is_err() {
                reader.broken();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Enrolled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readers")
            .field(&self.lock().by_number.len())
            .finish()
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
mod tests {
    use std::time::Instant;

    use broadcast::Budget;
    use bytes::Bytes;
    use rtmp::{Message, MessageType};
    use shared::link::Protocol;
    use tokio::sync::watch;
    use tokio::time::{self, sleep};

    use super::*;
    use crate::feed::{Encoder, Feed};
    use crate::shards::Shards;

    fn feed(gather: Duration) -> Feed {
        Feed::new(
            1,
            Encoder::new(Protocol::Rtmp, None),
            gather,
            Budget::default(),
            Shards::here().pick(),
        )
    }

    fn message(payload: &'static [u8]) -> Message {
        Message {
            kind: MessageType::VIDEO,
            timestamp: 0,
            stream_id: 1,
            payload: Bytes::from_static(payload),
        }
    }

    /// Tells when it is told.
    #[derive(Default)]
    struct Told(watch::Sender<()>);

    impl Reader for Told {
        fn grown(&self) {
            self.0.send_replace(());
        }

        fn broken(&self) {}
    }

    fn growth(feed: &Feed) -> (Enrolment, watch::Receiver<()>) {
        let told = Arc::new(Told::default());
        let growth = told.0.subscribe();
        (feed.enrol(told), growth)
    }

    /// How long after the append of `payload` the readers are told.
    async fn told(feed: &Feed, payload: &'static [u8]) -> Duration {
        let (_enrolment, mut growth) = growth(feed);
        let began = time::Instant::now();
        feed.append(1, Instant::now(), [message(payload)]);
        growth.changed().await.unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn readers_are_told_when_enough_has_been_gathered() {
        let gather = Duration::from_millis(20);
        let feed = feed(gather);
        let (_enrolment, mut growth) = growth(&feed);
        let began = time::Instant::now();
        for _ in 0..3 {
            feed.append(1, Instant::now(), [message(b"\x27\x01\0\0\0")]);
            sleep(gather / 4).await;
        }
        assert!(!growth.has_changed().unwrap());
        growth.changed().await.unwrap();
        assert_eq!(began.elapsed(), gather);
        // All of it was told at once, and the next one waits as long again.
        sleep(gather).await;
        assert!(!growth.has_changed().unwrap());
        assert_eq!(told(&feed, b"\x27\x01\0\0\0").await, gather);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_behind_a_keyframe_or_where_nothing_is_gathered() {
        let gathering = feed(Duration::from_millis(20));
        assert_eq!(told(&gathering, b"\x17\x01\0\0\0").await, Duration::ZERO);
        let began = time::Instant::now();
        let (_enrolment, mut growth) = growth(&gathering);
        gathering.append(1, Instant::now(), [message(b"\x27\x01\0\0\0")]);
        gathering.append(1, Instant::now(), [message(b"\x17\x01\0\0\0")]);
        growth.changed().await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO, "it waited with another");
        let at_once = feed(Duration::ZERO);
        assert_eq!(told(&at_once, b"\x27\x01\0\0\0").await, Duration::ZERO);
    }

    #[tokio::test]
    async fn one_that_panics_takes_nobody_with_it_and_one_that_has_gone_is_not_told() {
        /// Breaks.
        struct Broken(AtomicBool);

        impl Reader for Broken {
            fn grown(&self) {
                panic!("as a bug would");
            }

            fn broken(&self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        let feed = feed(Duration::ZERO);
        let (gone, mut no_growth) = growth(&feed);
        let broken = Arc::new(Broken(AtomicBool::new(false)));
        let _enrolment = feed.enrol(Arc::clone(&broken) as _);
        let (_enrolment, mut growth) = growth(&feed);
        drop(gone);
        feed.append(1, Instant::now(), [message(b"\x27\x01\0\0\0")]);
        growth.changed().await.unwrap();
        assert!(broken.0.load(Ordering::SeqCst));
        assert!(
            no_growth.changed().await.is_err(),
            "told though it had gone"
        );
    }
}
