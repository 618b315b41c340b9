//! What a publisher sent, once, for all outputs.

mod append;
mod headers;
mod media_clock;
mod seam;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtmp::MessageType;
use rtmp::flv::{StreamFormat, TagClass};

pub use headers::{HEADER_MAX_BYTES, HEADERS_MAX, Header, Headers, METADATA_MAX_BYTES};
pub use seam::{SEAM_MAX, SEAM_MAX_BYTES};

use crate::budget::{Budget, Share};
use crate::cursor::{CACHED_GOP_AGE, FIRST_KEYFRAME_LAG, LOOK_BACK};
use crate::lag::{LAG_MAX, Lag};
use crate::timeline::Timeline;
use media_clock::MediaClock;
use seam::Seam;

/// How much media a log keeps, in media time. It covers what the slowest cursor may lag
/// ([`LAG_MAX`]) and what it sends of it in the wake-up that finds the bound passed; the cached GOP
/// (3 s) lies within. A GOP without an end is cut like any other.
pub const LOG_MAX_AGE: Duration = Duration::from_secs(LAG_MAX.as_secs() + 2);

/// How much a log keeps, in bytes, each entry counted with [`ENTRY_COST`]. At 12 Mbit/s, the
/// bitrate recommended to users, [`LOG_MAX_AGE`] takes 15 MB; the bound holds against encoders that
/// send faster than that, or whose timestamps stand still.
pub const LOG_MAX_BYTES: usize = 32 * 1024 * 1024;

/// What an entry costs beyond its payload, in bytes: the entry itself, its place among the
/// keyframes, the payload's bookkeeping. So a flood of empty messages is bounded as well.
pub const ENTRY_COST: usize = 256;

/// The messages of one live input on air, newest last; each payload is kept once, and shared with
/// every output that has not sent it yet. The tail of the log is the GOP cache.
///
/// Publishers' sessions follow each other on it ([`Log::begin_session`]): each goes on where the
/// last one ended, at its first keyframe, with metadata and headers before it. So does a session
/// whose clock jumps.
///
/// Entries are numbered from 0 without a gap. The front is trimmed to [`LOG_MAX_AGE`] and
/// [`LOG_MAX_BYTES`]; a [`Cursor`](crate::Cursor) that was further back skips. What nobody needs is
/// forgotten sooner, where somebody says what that is ([`Log::forget`]).
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    /// The number of the first of `entries`.
    front: u64,
    /// What `entries` cost, payloads included, of what all logs of the node may.
    cost: Share,
    /// Bytes of payload ever appended.
    offset: u64,
    timeline: Timeline,
    /// What waits for the timeline to be anchored, where it is to be.
    seam: Option<Seam>,
    format: StreamFormat,
    /// Whether an output may go on where the format changes.
    format_may_change: bool,
    /// The numbers of the entries that begin another format.
    breaks: VecDeque<u64>,
    clock: MediaClock,
    headers: Arc<Headers>,
    points: VecDeque<Point>,
    first_point: Option<u64>,
    first_audio: Option<Point>,
    last_video: Option<Instant>,
}

/// One message on the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// What it is to a relay.
    pub class: TagClass,
    /// Its type on the wire.
    pub kind: MessageType,
    /// Its time on the broadcast's timeline, in milliseconds.
    pub timestamp: u64,
    /// When it came.
    pub arrived: Instant,
    /// Its payload, exactly as it came.
    pub payload: Bytes,
    /// Media time since the log began, jumps left out.
    elapsed: Duration,
    /// Bytes of payload appended before it.
    offset: u64,
    cost: usize,
}

/// A place where an output may begin: a keyframe, or the first of several at one time (there is
/// one per track).
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// The number of its entry.
    pub(crate) seq: u64,
    /// The time of its entry.
    pub(crate) timestamp: u64,
    /// When it came.
    pub(crate) arrived: Instant,
    /// What holds there, the entry itself left out.
    pub(crate) headers: Arc<Headers>,
}

impl Log {
    /// A log that shares a budget with others.
    pub fn under(budget: Budget) -> Self {
        Self {
            cost: Share::of(budget),
            ..Self::default()
        }
    }

    /// The number of the oldest entry kept.
    pub fn front(&self) -> u64 {
        self.front
    }

    /// The number that the next entry will have.
    pub fn end(&self) -> u64 {
        self.front + self.entries.len() as u64
    }

    /// The entry of that number, if it is kept.
    pub fn entry(&self, seq: u64) -> Option<&Entry> {
        let index = seq.checked_sub(self.front)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// What the log costs in memory, in bytes, as counted against [`LOG_MAX_BYTES`].
    pub fn cost(&self) -> usize {
        self.cost.held()
    }

    /// How far an output may lag at this moment, in media time.
    pub fn lag_max(&self) -> Duration {
        self.cost.budget().lag_max()
    }

    /// How far a reader is behind that would read `seq` next while `unacknowledged` bytes of what
    /// it wrote are still on their way; those are taken to be the entries before `seq`.
    pub fn lag(&self, seq: u64, unacknowledged: u64) -> Lag {
        self.lag_from(self.undelivered(seq, unacknowledged), seq, unacknowledged)
    }

    /// The same, where what is [`undelivered`](Self::undelivered) is known.
    pub(crate) fn lag_from(&self, undelivered: u64, seq: u64, unacknowledged: u64) -> Lag {
        let (next, _) = self.position(seq.max(self.front));
        let media = match self.entry(undelivered) {
            Some(entry) => self.clock.elapsed().saturating_sub(entry.elapsed),
            None => Duration::ZERO,
        };
        Lag {
            media,
            bytes: (self.offset - next).saturating_add(unacknowledged),
        }
    }

    /// The number of the oldest entry kept that such a reader's peer may not have.
    pub(crate) fn undelivered(&self, seq: u64, unacknowledged: u64) -> u64 {
        let seq = seq.max(self.front);
        let (next, _) = self.position(seq);
        let delivered = next.saturating_sub(unacknowledged);
        let oldest = self
            .entries
            .partition_point(|entry| entry.seq < seq && entry.end() <= delivered);
        self.front + oldest as u64
    }

    /// Forgets what nobody needs any more, once there was a keyframe: what comes before the entry
    /// `needed`, but for what an output that is yet to come begins with. That is the newest keyframe,
    /// while it is young enough, and, where an output `waits` for it, the first.
    pub fn forget(&mut self, now: Instant, needed: u64, waits: bool) {
        if self.first_point.is_none() {
            return;
        }
        // What was heard before a keyframe that is yet to come may belong after it.
        let mut needed = needed.min(self.end().saturating_sub(LOOK_BACK));
        if let Some(newest) = self.points.back()
            && now.saturating_duration_since(newest.arrived) < CACHED_GOP_AGE
        {
            needed = needed.min(newest.seq.saturating_sub(LOOK_BACK));
        }
        if waits
            && let Some(first) = self.first_point().or_else(|| self.first_audio())
            && self.lag(first.seq, 0).media <= FIRST_KEYFRAME_LAG
        {
            needed = needed.min(first.seq.saturating_sub(LOOK_BACK));
        }
        while self.front < needed {
            self.forget_oldest();
        }
        self.forget_marks();
    }

    /// Bytes of payload and media time before the entry of that number; the log's own at its end.
    pub(crate) fn position(&self, seq: u64) -> (u64, Duration) {
        match self.entry(seq) {
            Some(entry) => (entry.offset, entry.elapsed),
            None => (self.offset, self.clock.elapsed()),
        }
    }

    /// The time of the newest entry.
    pub(crate) fn newest_time(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.timestamp)
    }

    pub(crate) fn headers(&self) -> &Arc<Headers> {
        &self.headers
    }

    /// The publisher's very first keyframe, while it is kept.
    pub(crate) fn first_point(&self) -> Option<&Point> {
        self.point(self.first_point?)
    }

    pub(crate) fn newest_point(&self) -> Option<&Point> {
        self.points.back()
    }

    pub(crate) fn point(&self, seq: u64) -> Option<&Point> {
        let index = self.points.partition_point(|point| point.seq < seq);
        self.points.get(index).filter(|point| point.seq == seq)
    }

    /// The first audio frame, while it is kept.
    pub(crate) fn first_audio(&self) -> Option<&Point> {
        self.first_audio
            .as_ref()
            .filter(|point| point.seq >= self.front)
    }

    /// Whether another format begins after the entry `since` and not after the entry `until`.
    pub(crate) fn breaks_within(&self, since: u64, until: u64) -> bool {
        self.breaks.iter().any(|&seq| since < seq && seq <= until)
    }

    /// Whether all from that entry on is of one format.
    pub(crate) fn is_whole_from(&self, seq: u64) -> bool {
        self.breaks.back().is_none_or(|&last| last <= seq)
    }

    /// How long there has been audio and no video; nothing without audio.
    pub(crate) fn audio_alone(&self, now: Instant) -> Option<Duration> {
        let since = self.first_audio.as_ref()?.arrived;
        let since = self.last_video.map_or(since, |video| video.max(since));
        Some(now.saturating_duration_since(since))
    }

    pub(crate) fn has_video(&self) -> bool {
        self.last_video.is_some()
    }

    fn trim(&mut self) {
        let age_max = self.cost.budget().age_max();
        while let Some(oldest) = self.entries.front()
            && (self.cost.held() > LOG_MAX_BYTES
                || self.clock.elapsed().saturating_sub(oldest.elapsed) > age_max)
        {
            self.forget_oldest();
        }
        self.forget_marks();
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.cost.give_back(oldest.cost);
        }
        self.front += 1;
    }

    /// Forgets what was noted of entries that are gone.
    fn forget_marks(&mut self) {
        while self
            .points
            .front()
            .is_some_and(|point| point.seq < self.front)
        {
            self.points.pop_front();
        }
        // The last one is kept for cursors that are further back than the log.
        while self.breaks.len() > 1 && self.breaks.front().is_some_and(|&seq| seq < self.front) {
            self.breaks.pop_front();
        }
    }
}

impl Entry {
    /// Media time since the log began when it came, jumps of the encoder's clock left out.
    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Bytes of payload on the log up to and with it.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.payload.len() as u64
    }
}

#[cfg(test)]
mod seam_properties;
#[cfg(test)]
mod seam_tests;
#[cfg(test)]
mod tests;
