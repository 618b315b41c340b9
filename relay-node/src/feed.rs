//! A broadcast's log, shared by the one that writes it and those that read it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use broadcast::{
    Backlog, Budget, Cursor, Ingest, IngestFacts, Log, Onsets, Read, Room, SendItem, Warning,
};
use rtmp::flv::TagClass;
use rtmp::{Capabilities, Message};
use shared::link::Protocol;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::clock;
use crate::shards::Shard;

/// The one place where ingest and egress meet: the publisher appends, every output reads at its
/// own cursor. The lock is held for a handful of pointers at a time and never across a wait.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    grown: watch::Sender<()>,
    gatherer: Gatherer,
    shard: Shard,
}

/// Wakes all readers of a broadcast, from the thread on which they are, and by one deadline.
#[derive(Debug)]
struct Gatherer {
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

/// What is known of the encoder that feeds it.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// How it is connected.
    pub protocol: Protocol,
    /// Its name and version, as it gives them.
    pub name: String,
    /// What it knows of Enhanced RTMP; destinations are told in its place.
    pub capabilities: Capabilities,
}

#[derive(Debug)]
struct State {
    log: Log,
    /// The publisher's session; what comes from another is by somebody who was replaced.
    session: u64,
    encoder: Encoder,
    /// When it last sent anything.
    heard: Option<Instant>,
    ingest: Ingest,
    onsets: Onsets,
}

impl Encoder {
    /// One that has not said anything of itself yet.
    pub fn new(protocol: Protocol, address: Option<IpAddr>) -> Self {
        Self {
            address,
            protocol,
            name: String::new(),
            capabilities: Capabilities::default(),
        }
    }
}

impl Feed {
    /// A feed without a message, for its first publisher. What comes waits for `gather` before the
    /// readers, which are to be on `shard`, are told of it.
    pub fn new(
        session: u64,
        encoder: Encoder,
        gather: Duration,
        budget: Budget,
        shard: Shard,
    ) -> Self {
        let grown = watch::Sender::new(());
        Self {
            state: Mutex::new(State {
                log: Log::under(budget),
                session,
                encoder,
                heard: None,
                ingest: Ingest::new(clock::now()),
                onsets: Onsets::default(),
            }),
            gatherer: Gatherer::new(gather, grown.clone(), &shard),
            grown,
            shard,
        }
    }

    /// Goes on with another publisher's session; see [`Log::begin_session`].
    pub fn begin_session(&self, session: u64, encoder: Encoder) {
        let mut state = self.lock();
        state.log.begin_session();
        state.ingest.begin_session(clock::now());
        (state.session, state.encoder, state.heard) = (session, encoder, None);
    }

    /// See [`Log::let_format_change`].
    pub fn let_format_change(&self, may_change: bool) {
        self.lock().log.let_format_change(may_change);
    }

    /// Puts messages of that session at the end, and wakes the readers once: now, or when
    /// enough has been gathered.
    pub fn append(&self, session: u64, now: Instant, messages: impl IntoIterator<Item = Message>) {
        let mut keyframe = false;
        {
            let mut state = self.lock();
            if state.session != session {
                return;
            }
            for message in messages {
                state.ingest.observe(now, &message);
                state.log.append(now, message);
                let newest = state.log.entry(state.log.end() - 1);
                keyframe |= newest.is_some_and(|entry| entry.class == TagClass::VideoKeyframe);
            }
            state.heard = Some(now);
        }
        // A keyframe fills a write by itself, and outputs wait for it to begin.
        self.gatherer.waiting.begin(keyframe);
    }

    /// Where its readers are to be.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// When the publisher last sent anything.
    pub fn heard(&self) -> Option<Instant> {
        self.lock().heard
    }

    /// Reads at `cursor`; see [`Cursor::read`].
    pub fn read(
        &self,
        cursor: &mut Cursor,
        now: Instant,
        backlog: Backlog,
        room: Room,
        items: &mut Vec<SendItem>,
    ) -> Read {
        cursor.read(&self.lock().log, now, backlog, room, items)
    }

    /// Tells whenever the log has grown.
    pub fn growth(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }

    /// What is known of the encoder.
    pub fn encoder(&self) -> Encoder {
        self.lock().encoder.clone()
    }

    /// Bytes of payload received, and how many bits of them a second lately.
    pub fn received(&self, now: Instant) -> (u64, u64) {
        self.lock().ingest.received(now)
    }

    /// What there is to know of what the encoder sends.
    pub fn facts(&self, now: Instant) -> IngestFacts {
        self.lock().ingest.facts(now)
    }

    /// How many bits a second come, once there was time to measure them.
    pub fn steady_bitrate(&self, now: Instant) -> Option<u64> {
        self.lock().ingest.steady_bitrate(now)
    }

    /// Of these warnings, those that have just begun.
    pub fn onsets(&self, now: Instant, warnings: &[Warning]) -> Vec<Warning> {
        self.lock().onsets.of(now, warnings)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two messages leaves the log whole; the publisher's task is gone with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gatherer {
    fn new(gather: Duration, grown: watch::Sender<()>, shard: &Shard) -> Self {
        let waiting = Arc::new(Waiting::default());
        let gathered = Arc::clone(&waiting);
        let task = shard.spawn(async move {
            loop {
                gathered.begun.notified().await;
                if !gather.is_zero() && !gathered.urgent.load(Ordering::SeqCst) {
                    // While something waits, only what is urgent is told.
                    let _ = timeout(gather, gathered.begun.notified()).await;
                }
                gathered.urgent.store(false, Ordering::SeqCst);
                // What comes from here on waits anew, though it may be read with the rest.
                gathered.something.store(false, Ordering::SeqCst);
                grown.send_replace(());
            }
        });
        Self {
            waiting,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

impl Waiting {
    fn begin(&self, urgent: bool) {
        let hurries = urgent && !self.urgent.swap(true, Ordering::SeqCst);
        if !self.something.swap(true, Ordering::SeqCst) || hurries {
            self.begun.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rtmp::MessageType;
    use shared::link::Protocol;
    use tokio::time::{self, sleep};

    use super::*;
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

    /// How long after the append of `payload` the readers are woken.
    async fn woken(feed: &Feed, payload: &'static [u8]) -> Duration {
        let mut growth = feed.growth();
        let began = time::Instant::now();
        feed.append(1, Instant::now(), [message(payload)]);
        growth.changed().await.unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn readers_are_woken_when_enough_has_been_gathered() {
        let gather = Duration::from_millis(20);
        let feed = feed(gather);
        let mut growth = feed.growth();
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
        assert_eq!(woken(&feed, b"\x27\x01\0\0\0").await, gather);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_behind_a_keyframe_or_where_nothing_is_gathered() {
        let gathering = feed(Duration::from_millis(20));
        assert_eq!(woken(&gathering, b"\x17\x01\0\0\0").await, Duration::ZERO);
        let began = time::Instant::now();
        let mut growth = gathering.growth();
        gathering.append(1, Instant::now(), [message(b"\x27\x01\0\0\0")]);
        gathering.append(1, Instant::now(), [message(b"\x17\x01\0\0\0")]);
        growth.changed().await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO, "it waited with another");
        let at_once = feed(Duration::ZERO);
        assert_eq!(woken(&at_once, b"\x27\x01\0\0\0").await, Duration::ZERO);
    }
}
