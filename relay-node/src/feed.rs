//! A broadcast's log, shared by the one that writes it and those that read it.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use broadcast::{Backlog, Cursor, Ingest, IngestFacts, Log, Onsets, Read, Room, SendItem, Warning};
use rtmp::{Capabilities, Message};
use shared::link::Protocol;
use tokio::sync::watch;

use crate::clock;

/// The one place where ingest and egress meet: the publisher appends, every output reads at its
/// own cursor. The lock is held for a handful of pointers at a time and never across a wait.
#[derive(Debug)]
pub struct Feed {
    state: Mutex<State>,
    grown: watch::Sender<()>,
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
    /// A feed without a message, for its first publisher.
    pub fn new(session: u64, encoder: Encoder) -> Self {
        Self {
            state: Mutex::new(State {
                log: Log::default(),
                session,
                encoder,
                heard: None,
                ingest: Ingest::new(clock::now()),
                onsets: Onsets::default(),
            }),
            grown: watch::Sender::new(()),
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

    /// Puts messages of that session at the end, and wakes the readers once.
    pub fn append(&self, session: u64, now: Instant, messages: impl IntoIterator<Item = Message>) {
        {
            let mut state = self.lock();
            if state.session != session {
                return;
            }
            for message in messages {
                state.ingest.observe(now, &message);
                state.log.append(now, message);
            }
            state.heard = Some(now);
        }
        self.grown.send_replace(());
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
