//! A cursor that has begun.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtmp::MessageType;
use rtmp::flv::{self, TagClass};

use super::{
    AUDIO_ALONE, Backlog, Batch, CACHED_GOP_AGE, CATCH_UP_MAX, FIRST_KEYFRAME_LAG, RESUME_LAG,
    SendItem, Skipped, StartPolicy,
};
use crate::lag::{LAG_MAX, LAG_MAX_BYTES};
use crate::log::{Entry, Log, Point};

/// How many messages before the first keyframe are searched for audio that belongs after it:
/// encoders that interleave loosely write audio a little ahead of the picture it is heard with.
pub(crate) const LOOK_BACK: u64 = 128;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// The number of the entry that it began with.
    pub(super) began: u64,
    /// The number of the entry to be read next.
    pub(super) next: u64,
    /// Bytes on the log before that.
    offset: u64,
    /// Media time on the log up to that.
    elapsed: Duration,
    /// The time that the output calls 0; set with its first media.
    base: Option<u64>,
    audio_begun: bool,
    video: Video,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Video {
    Pass,
    /// Audio began alone: video begins at any keyframe. Its entries from `from` on were not sent.
    Await {
        from: u64,
    },
    /// Video goes on at a keyframe with little lag. Its entries from `from` on were not sent.
    Skip {
        from: u64,
        /// Since when there is more lag than [`RESUME_LAG`]; nothing once it has been caught up.
        behind: Option<Instant>,
    },
}

/// Why an output that is behind is not given anything.
pub(super) enum Behind {
    /// It may not be.
    Unsure,
    /// Not even audio can keep up.
    TooSlow,
}

impl Running {
    /// Finds the beginning, and gives what comes before the ordinary reading.
    pub(super) fn begin(
        policy: StartPolicy,
        log: &Log,
        now: Instant,
        batch: &mut Batch<'_>,
    ) -> Option<Self> {
        let within = |point: &&Point, media| {
            let lag = log.lag(point.seq, 0);
            lag.media <= media && lag.bytes <= LAG_MAX_BYTES && log.is_whole_from(point.seq)
        };
        let waited = policy == StartPolicy::FirstKeyframe;
        let first = log
            .first_point()
            .filter(|point| waited && within(point, FIRST_KEYFRAME_LAG));
        let newest = || {
            log.newest_point().filter(|point| {
                now.saturating_duration_since(point.arrived) < CACHED_GOP_AGE
                    && within(point, LAG_MAX)
            })
        };
        if let Some(point) = first.or_else(newest) {
            return Self::begin_at_keyframe(point, log, batch);
        }

        if log.audio_alone(now)? < AUDIO_ALONE {
            return None;
        }
        let first = log
            .first_audio()
            .filter(|point| waited && !log.has_video() && within(point, FIRST_KEYFRAME_LAG));
        let (next, headers) = match first {
            Some(point) => (point.seq, &point.headers),
            None => (log.end(), log.headers()),
        };
        let running = Self::at(next, log, Video::Await { from: next });
        for header in headers.all() {
            running.give(header.kind, 0, &header.payload, batch);
        }
        Some(running)
    }

    fn begin_at_keyframe(point: &Point, log: &Log, batch: &mut Batch<'_>) -> Option<Self> {
        let keyframe = log.entry(point.seq)?;
        let mut running = Self::at(point.seq, log, Video::Pass);
        running.base = Some(point.timestamp);
        for header in point.headers.all() {
            running.give(header.kind, point.timestamp, &header.payload, batch);
        }
        running.give_entry(keyframe, batch);
        running.pass(keyframe);

        let earliest = point.seq.saturating_sub(LOOK_BACK).max(log.front());
        let before = (earliest..point.seq).rev().map_while(|seq| log.entry(seq));
        let mut early_audio: Vec<_> = before
            // What is before another configuration cannot come after it.
            .take_while(|entry| entry.class != TagClass::AudioSequenceHeader)
            .filter(|entry| entry.class == TagClass::AudioFrame)
            .filter(|entry| entry.timestamp >= point.timestamp)
            // That was among the headers.
            .filter(|entry| !flv::is_configuration(entry.kind, &entry.payload))
            .collect();
        while let Some(entry) = early_audio.pop() {
            running.give_entry(entry, batch);
        }
        Some(running)
    }

    fn at(next: u64, log: &Log, video: Video) -> Self {
        let (offset, elapsed) = log.position(next);
        Self {
            began: next,
            next,
            offset,
            elapsed,
            base: None,
            audio_begun: false,
            video,
        }
    }

    /// Whether what it is given is the same for all that stand where it does: one that skips goes by
    /// its own backlog.
    pub(super) fn skips_nothing(&self) -> bool {
        !matches!(self.video, Video::Skip { .. })
    }

    /// Whether what it has not read, and may not find on the log any more, goes over a change of
    /// format.
    pub(super) fn is_past_a_break(&self, log: &Log) -> bool {
        self.next < log.front() && log.breaks_within(self.began, log.end())
    }

    /// Sees to the bound on lag.
    pub(super) fn keep_up(
        &mut self,
        log: &Log,
        now: Instant,
        backlog: Backlog,
        skipped: &mut Skipped,
        batch: &mut Batch<'_>,
    ) -> Result<(), Behind> {
        let from = self.next;
        let lost = from < log.front();
        let mut lag = log.lag(from, backlog.total());
        let over = lost || lag.is_over(log.lag_max());
        if backlog.may_be_less && (over || matches!(self.video, Video::Skip { .. })) {
            return Err(Behind::Unsure);
        }
        if lost {
            if let Video::Skip {
                behind: Some(_), ..
            } = self.video
            {
                return Err(Behind::TooSlow);
            }
            self.leap(log, backlog, skipped, batch);
            lag = log.lag(self.next, backlog.total());
        }
        match &mut self.video {
            Video::Pass if over => {
                skipped.times += 1;
                self.video = Video::Skip {
                    from,
                    behind: Some(now),
                };
            }
            Video::Await { from } if over => {
                skipped.times += 1;
                self.video = Video::Skip {
                    from: *from,
                    behind: Some(now),
                };
            }
            Video::Skip {
                behind: behind @ None,
                ..
            } if over => {
                skipped.times += 1;
                *behind = Some(now);
            }
            Video::Skip { behind, .. } if lag.media <= RESUME_LAG => *behind = None,
            Video::Skip {
                behind: Some(since),
                ..
            } if now.saturating_duration_since(*since) >= CATCH_UP_MAX => {
                return Err(Behind::TooSlow);
            }
            Video::Pass | Video::Await { .. } | Video::Skip { .. } => {}
        }
        Ok(())
    }

    /// Leaves what is no longer on the log, audio too, for the newest keyframe if the output may go
    /// on there, else for the end.
    fn leap(&mut self, log: &Log, backlog: Backlog, skipped: &mut Skipped, batch: &mut Batch<'_>) {
        let point = log
            .newest_point()
            .filter(|point| log.lag(point.seq, backlog.total()).media <= RESUME_LAG);
        let (next, headers) = match point {
            Some(point) => (point.seq, &point.headers),
            None => (log.end(), log.headers()),
        };
        let (offset, elapsed) = log.position(next);
        skipped.messages += next - self.next;
        skipped.bytes += offset - self.offset;
        skipped.media += elapsed.saturating_sub(self.elapsed);

        // Those of video go with the keyframe.
        let time = log
            .entry(next)
            .map_or_else(|| log.newest_time(), |entry| entry.timestamp);
        for header in headers.but_video().filter(|header| header.seq >= self.next) {
            self.give(header.kind, time, &header.payload, batch);
        }
        (self.next, self.offset, self.elapsed) = (next, offset, elapsed);
    }

    /// Takes the next entry: gives it, or leaves it out.
    pub(super) fn take(
        &mut self,
        entry: &Entry,
        log: &Log,
        backlog: Backlog,
        skipped: &mut Skipped,
        batch: &mut Batch<'_>,
    ) {
        if let Video::Skip { .. } = self.video {
            skipped.media += entry.elapsed().saturating_sub(self.elapsed);
        }
        match entry.class {
            TagClass::VideoSequenceHeader
            | TagClass::VideoKeyframe
            | TagClass::VideoInterframe
            | TagClass::VideoOther => {
                if self.video_goes_on(entry, log, backlog, batch) {
                    self.give_entry(entry, batch);
                } else if let Video::Skip { .. } = self.video {
                    skipped.messages += 1;
                    skipped.bytes += entry.payload.len() as u64;
                }
            }
            TagClass::AudioFrame => {
                let base = *self.base.get_or_insert(entry.timestamp);
                self.audio_begun |= entry.timestamp >= base;
                if self.audio_begun {
                    self.give_entry(entry, batch);
                }
            }
            TagClass::AudioSequenceHeader | TagClass::Metadata | TagClass::Data => {
                self.give_entry(entry, batch);
            }
        }
        self.pass(entry);
    }

    /// Whether this entry of video is sent; at a keyframe where video goes on, after the headers
    /// that were left out.
    fn video_goes_on(
        &mut self,
        entry: &Entry,
        log: &Log,
        backlog: Backlog,
        batch: &mut Batch<'_>,
    ) -> bool {
        let (from, point) = match self.video {
            Video::Pass => return true,
            Video::Await { from } => (from, log.point(entry.seq)),
            Video::Skip { from, .. } => {
                let newest = log.newest_point().filter(|point| point.seq == entry.seq);
                // The audio of this read is not counted: it is little, and leaves first.
                let point =
                    newest.filter(|point| log.lag(point.seq, backlog.total()).media <= RESUME_LAG);
                (from, point)
            }
        };
        let Some(point) = point else {
            return false;
        };
        self.video = Video::Pass;
        self.base.get_or_insert(point.timestamp);
        for header in point.headers.video().filter(|header| header.seq >= from) {
            self.give(header.kind, point.timestamp, &header.payload, batch);
        }
        true
    }

    fn pass(&mut self, entry: &Entry) {
        self.next = entry.seq + 1;
        self.offset = entry.end();
        self.elapsed = entry.elapsed();
    }

    fn give_entry(&self, entry: &Entry, batch: &mut Batch<'_>) {
        self.give(entry.kind, entry.timestamp, &entry.payload, batch);
    }

    fn give(&self, kind: MessageType, time: u64, payload: &Bytes, batch: &mut Batch<'_>) {
        // A time before the first media can only be a header's or the encoder's clock stepping
        // back; as a negative number it would read as 49 days ahead.
        let time = self.base.map_or(0, |base| time.saturating_sub(base));
        // The cast is the wrap at 2^32 that the wire has.
        batch.push(SendItem {
            kind,
            timestamp: time as u32,
            payload: payload.clone(),
        });
    }
}
