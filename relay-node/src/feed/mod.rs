//! A broadcast's log, shared by the one that writes it and those that read it.

mod bookmark;
mod readers;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use broadcast::{Budget, Ingest, IngestFacts, Log, Onsets, StartPolicy, Stride, Warning};
use rtmp::flv::{self, Codec, TagClass};
use rtmp::{Capabilities, Message};
use shared::link::Protocol;

pub use bookmark::Bookmark;
use bookmark::Needs;
#[cfg(test)]
pub(crate) use readers::tests::growth;
pub use readers::{Enrolment, Reader};
use readers::{Pass, Readers};

use crate::clock;
use crate::shards::Shard;
use crate::wire::Batches;

/// The one place where ingest and egress meet: the publisher appends, every output reads at its
/// own cursor. The lock is held for a handful of pointers at a time and never across a wait.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    readers: Arc<Readers>,
    pass: Pass,
    gather: Duration,
    origin: Instant,
    shard: Shard,
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
    needs: Needs,
    /// What was read last.
    stride: Stride,
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
    /// A feed without a message, for its first publisher, of which what comes may wait for `gather`
    /// before the readers, which are to be on `shard`, are told of it. From `origin` on is counted what
    /// is common to all broadcasts.
    pub fn new(
        session: u64,
        encoder: Encoder,
        gather: Duration,
        budget: Budget,
        shard: Shard,
        origin: Instant,
    ) -> Self {
        let readers = Arc::<Readers>::default();
        Self {
            state: Mutex::new(State {
                log: Log::under(budget),
                needs: Needs::default(),
                stride: Stride::default(),
                session,
                encoder,
                heard: None,
                ingest: Ingest::new(clock::now()),
                onsets: Onsets::default(),
            }),
            pass: Pass::new(Arc::clone(&readers), &shard),
            gather,
            origin,
            readers,
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

    /// Puts messages of that session at the end; the readers are not told. Returns whether there is a
    /// keyframe among them, which outputs may be waiting for to begin.
    pub fn append(
        &self,
        session: u64,
        now: Instant,
        messages: impl IntoIterator<Item = Message>,
    ) -> bool {
        let mut state = self.lock();
        if state.session != session {
            return false;
        }
        let mut keyframe = false;
        for message in messages {
            let tag = flv::inspect(message.kind, &message.payload);
            state.ingest.observe(now, tag, &message);
            state.log.append_inspected(now, tag, message);
            let newest = state.log.entry(state.log.end() - 1);
            keyframe |= newest.is_some_and(|entry| entry.class == TagClass::VideoKeyframe);
        }
        let (needed, waits) = state.needs.all();
        state.log.forget(now, needed, waits);
        state.heard = Some(now);
        keyframe
    }

    /// Has the readers told, once and on their thread, that the log has grown.
    pub fn tell(&self) {
        self.pass.begin();
    }

    /// How long what was appended may wait before they are told.
    pub fn gather(&self) -> Duration {
        self.gather
    }

    /// From where beats that are common to all broadcasts are counted.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        self.readers.count()
    }

    /// Where its readers are to be.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// When the publisher last sent anything.
    pub fn heard(&self) -> Option<Instant> {
        self.lock().heard
    }

    /// The place of an output that is to begin as `policy` says.
    pub fn bookmark(self: &Arc<Self>, policy: StartPolicy) -> Bookmark {
        Bookmark::new(Arc::clone(self), policy)
    }

    /// What its readers write in common.
    pub fn batches(&self) -> &Batches {
        &self.readers.batches
    }

    /// Has `reader` told whenever the log has grown, on [`shard`](Self::shard).
    pub fn enrol(&self, reader: Arc<dyn Reader>) -> Enrolment {
        Readers::enrol(&self.readers, reader)
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

    /// How what the encoder sends is coded, as far as it is known.
    pub fn codecs(&self) -> Vec<Codec> {
        self.lock().ingest.codecs().collect()
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
