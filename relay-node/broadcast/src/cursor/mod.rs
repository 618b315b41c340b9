//! One output's place in a log, and what it is sent from there.

mod in_step;
mod running;

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtmp::MessageType;

use crate::lag::Lag;
use crate::log::Log;
use running::{Behind, Running};

pub use in_step::Stride;
pub(crate) use running::LOOK_BACK;

/// How far an output may lag at the keyframe at which it goes on after a skip. More, and it would
/// soon skip again.
pub const RESUME_LAG: Duration = Duration::from_secs(1);

/// How long an output may take, sent audio alone, until it lags [`RESUME_LAG`] at most; one that
/// cannot do that is too slow for the stream at any picture rate.
pub const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// How old the newest keyframe may be for a late output to begin with it, by the time it came. An
/// older one would be more delay than waiting for the next is.
pub const CACHED_GOP_AGE: Duration = Duration::from_secs(3);

/// How far back the publisher's first keyframe may be for an output that was waiting to begin with
/// it. A destination that never answers a publish costs 5 s of grace; beyond
/// [`LAG_MAX`](crate::LAG_MAX) the output would begin with a skip.
pub const FIRST_KEYFRAME_LAG: Duration = Duration::from_secs(6);

/// How long an input must have sent audio and no video to be taken for audio only.
pub const AUDIO_ALONE: Duration = Duration::from_secs(1);

/// One output's place in a [`Log`].
///
/// From where it starts, a cursor that keeps up is given every message exactly once, in order, with
/// its payload untouched. One that lags beyond [`LAG_MAX`](crate::LAG_MAX) or
/// [`LAG_MAX_BYTES`](crate::LAG_MAX_BYTES) skips video to a keyframe, is given its audio in order
/// meanwhile, and again what has changed of the headers.
#[derive(Debug)]
pub struct Cursor {
    policy: StartPolicy,
    running: Option<Running>,
    skipped: Skipped,
}

/// Where an output begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPolicy {
    /// At the publisher's very first keyframe, for outputs that were waiting when it came; if that
    /// is more than [`FIRST_KEYFRAME_LAG`] back, as the other policy says.
    FirstKeyframe,
    /// At the newest keyframe if it is younger than [`CACHED_GOP_AGE`], else at the next one.
    CachedGop,
}

/// What an output needs of a log beyond what any output may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// The publisher's first keyframe.
    First,
    /// Everything from that entry on.
    From(u64),
}

/// What has been read and is not known to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes that the shell has yet to write to the socket.
    pub unwritten: u64,
    /// Bytes in the kernel that the peer's has not acknowledged.
    pub unacknowledged: u64,
    /// Whether some of them may have been acknowledged meanwhile. What must not be decided on such
    /// a number is not: [`Read::Unsure`].
    pub may_be_less: bool,
}

/// How much one read may give; its last message may go over the bytes, and the messages with which
/// an output starts are given whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Messages.
    pub messages: usize,
    /// Bytes of payload.
    pub bytes: usize,
}

/// A message for one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendItem {
    /// Its type.
    pub kind: MessageType,
    /// Milliseconds since the output's first media, modulo 2^32.
    pub timestamp: u32,
    /// Its payload, shared with the log.
    pub payload: Bytes,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Read {
    /// There is nothing more until the log grows.
    CaughtUp,
    /// The room is full, and there may be more.
    Full,
    /// The output seems to lag, and the backlog may be less than was said: read again with what it
    /// is.
    Unsure,
    /// From here on the stream has another format: end the connection cleanly, and make another.
    FormatChanged,
    /// The output cannot keep up even with audio alone: disconnect it.
    TooSlow,
}

/// What an output was not sent, because it lagged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How often it began to skip.
    pub times: u64,
    /// For how much media it had no picture.
    pub media: Duration,
    /// Messages.
    pub messages: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Cursor {
    /// A cursor that begins as `policy` says, once the log has what it needs.
    pub fn new(policy: StartPolicy) -> Self {
        Self {
            policy,
            running: None,
            skipped: Skipped::default(),
        }
    }

    /// Appends to `out` what the output is to be sent next, up to `room`.
    ///
    /// To be called when everything read before is written and the log has grown, or the socket
    /// takes more; it never waits, and its cost does not depend on the length of the log.
    pub fn read(
        &mut self,
        log: &Log,
        now: Instant,
        backlog: Backlog,
        room: Room,
        out: &mut Vec<SendItem>,
    ) -> Read {
        let mut batch = Batch {
            out,
            room,
            messages: 0,
            bytes: 0,
        };
        let running = match &mut self.running {
            Some(running) => running,
            None => match Running::begin(self.policy, log, now, &mut batch) {
                Some(running) => self.running.insert(running),
                None => return Read::CaughtUp,
            },
        };
        if running.is_past_a_break(log) {
            return Read::FormatChanged;
        }
        match running.keep_up(log, now, backlog, &mut self.skipped, &mut batch) {
            Ok(()) => {}
            Err(Behind::Unsure) => return Read::Unsure,
            Err(Behind::TooSlow) => return Read::TooSlow,
        }
        while let Some(entry) = log.entry(running.next) {
            if log.breaks_within(running.began, entry.seq) {
                return Read::FormatChanged;
            }
            if batch.is_full() {
                return Read::Full;
            }
            running.take(entry, log, backlog, &mut self.skipped, &mut batch);
        }
        Read::CaughtUp
    }

    /// Whether the output has been given anything yet.
    pub fn has_started(&self) -> bool {
        self.running.is_some()
    }

    /// How far the output is behind the newest message, what is on its way included.
    pub fn lag(&self, log: &Log, backlog: Backlog) -> Lag {
        match &self.running {
            Some(running) => log.lag(running.next, backlog.total()),
            None => Lag::default(),
        }
    }

    /// What it needs of the log, with so much on its way, and whatever it reads next.
    pub fn need(&self, log: &Log, backlog: Backlog) -> Need {
        match (&self.running, self.policy) {
            (Some(running), _) => Need::From(log.undelivered(running.next, backlog.total())),
            (None, StartPolicy::FirstKeyframe) => Need::First,
            (None, StartPolicy::CachedGop) => Need::Nothing,
        }
    }

    /// What was skipped so far.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }
}

struct Batch<'a> {
    out: &'a mut Vec<SendItem>,
    room: Room,
    messages: usize,
    bytes: usize,
}

impl Batch<'_> {
    fn push(&mut self, item: SendItem) {
        self.messages += 1;
        self.bytes += item.payload.len();
        self.out.push(item);
    }

    fn is_full(&self) -> bool {
        self.messages >= self.room.messages || self.bytes >= self.room.bytes
    }
}

impl Backlog {
    fn total(self) -> u64 {
        self.unwritten.saturating_add(self.unacknowledged)
    }
}

impl Room {
    /// Messages in one read: with headers and continuation bytes they stay within the 1024 slices
    /// that one vectored write takes (`IOV_MAX`).
    pub const DEFAULT_MESSAGES: usize = 256;

    /// Bytes in one read: a second at 2 Mbit/s. A blocked output holds no more of the log in memory
    /// than that.
    pub const DEFAULT_BYTES: usize = 256 * 1024;
}

impl Default for Room {
    fn default() -> Self {
        Self {
            messages: Self::DEFAULT_MESSAGES,
            bytes: Self::DEFAULT_BYTES,
        }
    }
}

#[cfg(test)]
mod forgetting;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
