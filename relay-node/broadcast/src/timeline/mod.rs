//! From publishers' 32-bit clocks to one that neither wraps nor stops nor steps back.

mod reach;

use std::time::{Duration, Instant};

use reach::Reach;

/// Where the first media of a timeline lies, in milliseconds: one turn of the wire's clock above
/// zero, so that timestamps that step back stay positive.
pub const TIMELINE_START: u64 = 1 << 32;

/// How far from the media a timestamp of something else is believed, in milliseconds. Encoders send
/// headers and metadata with a timestamp of 0 in the middle of a broadcast; carried on as it is,
/// that would be hours before the media beside it. Ten seconds are more than any interleaving.
pub const STRAY_MAX: u64 = 10_000;

/// The longest step ahead of a publisher's clock that is time passing; a longer one is a jump.
pub const JUMP: Duration = Duration::from_secs(10);

/// The longest step back of one track's clock that is taken for a slip, in milliseconds: the frame
/// is given the time of the one before it. It is more than any reordering, and less than a viewer
/// notices; a longer one is a jump.
pub const SLIP_MAX: u64 = 250;

/// How far ahead of the other a kind of media may begin, in milliseconds. Encoders interleave within
/// a second; what is further ahead is by the clock of before a jump.
pub const BEGIN_MAX: u64 = 2_000;

/// The 64-bit millisecond timeline of a broadcast, on which its publishers' sessions follow each
/// other.
///
/// A session's wire timestamps start anywhere and wrap at 2^32 (49.7 days); on the timeline they
/// differ from that by one constant for all kinds of messages, so that every difference between two
/// decode times of a session is kept exactly. The constant is fixed by the frame that a session is
/// [anchored](Self::anchor) at: by as much later than the last frame before it as it came later,
/// and by at least so much that nothing is shown before it that came before it.
///
/// A step of more than half a turn (24.8 days) is read as one in the other direction, which is what
/// makes wrapping work.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    anchor: Option<Anchor>,
    /// Where the session is anchored.
    seam: u64,
    begun: Begun,
    reach: Reach,
}

/// An audio or video frame by its publisher's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Of which kind.
    pub media: Media,
    /// Of which track.
    pub track: u8,
    /// Its timestamp on the wire.
    pub wire: u32,
    /// By how many milliseconds it is shown later than it is decoded.
    pub composition: i32,
    /// Whether decoding can start with it.
    pub key: bool,
}

/// A kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// At this time.
    At(u64),
    /// Nowhere: the publisher's clock has jumped, and the timeline is to be anchored anew.
    Jumped,
    /// Nowhere: its kind of media has not begun since the anchor, and does not begin with it.
    Stray,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    wire: u32,
    time: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Begun {
    audio: bool,
    video: bool,
}

impl Timeline {
    /// Whether frames can be placed.
    pub fn is_anchored(&self) -> bool {
        self.anchor.is_some()
    }

    /// Whether no frame has been placed yet.
    pub fn is_new(&self) -> bool {
        self.reach.newest().is_none()
    }

    /// Forgets the publisher's clock: what comes next is by another.
    pub fn lift(&mut self) {
        self.anchor = None;
    }

    /// Anchors a session at a frame that came at `arrived`, and gives its time.
    ///
    /// The very first frame is any; after that it is a keyframe, or an audio frame where there is
    /// no video.
    pub fn anchor(&mut self, arrived: Instant, frame: Frame) -> u64 {
        let (time, first) = match self.reach.after(arrived, frame.composition) {
            Some(time) => (time, false),
            None => (TIMELINE_START, true),
        };
        // What comes beside the very first frame is the encoder's beginning, and not what is left
        // of a cut.
        self.begun = Begun {
            audio: first,
            video: first,
        };
        self.seam = if first { 0 } else { time };
        self.begun.begin(frame.media);
        self.take(arrived, frame, time)
    }

    /// Finds the place of a frame that came at `arrived`.
    pub fn place(&mut self, arrived: Instant, frame: Frame) -> Placed {
        let Some(anchor) = self.anchor else {
            return Placed::Jumped;
        };
        let time = anchor.time_of(frame.wire);
        let newest = self.reach.newest().unwrap_or(time);
        let ahead = time.saturating_sub(newest);
        if !self.begun.has(frame.media) {
            if ahead > BEGIN_MAX || time < self.seam || !frame.key {
                return Placed::Stray;
            }
            self.begun.begin(frame.media);
        }
        let back = self.reach.of_track(frame.media, frame.track);
        if ahead > millis(JUMP) || back.is_some_and(|newest| time + SLIP_MAX < newest) {
            return Placed::Jumped;
        }
        Placed::At(self.take(arrived, frame, time))
    }

    /// The time of something else (metadata, sequence headers, cue points): what its timestamp says
    /// if that is within [`STRAY_MAX`] of the last media, else that of the last media; and not
    /// before the track that it belongs to, if it does.
    pub fn beside(&self, track: Option<(Media, u8)>, wire: u32) -> u64 {
        let least = track
            .and_then(|(media, track)| self.reach.of_track(media, track))
            .unwrap_or_default();
        let time = match self.anchor {
            None => self.reach.newest().unwrap_or(TIMELINE_START),
            Some(anchor) => {
                let time = anchor.time_of(wire);
                match time.abs_diff(anchor.time) <= STRAY_MAX {
                    true => time,
                    false => anchor.time,
                }
            }
        };
        time.max(least)
    }

    fn take(&mut self, arrived: Instant, frame: Frame, time: u64) -> u64 {
        self.anchor = Some(Anchor {
            wire: frame.wire,
            time,
        });
        self.reach.extend(arrived, frame, time)
    }
}

impl Anchor {
    fn time_of(self, wire: u32) -> u64 {
        // The cast reads the upper half of the differences as steps back.
        let step = wire.wrapping_sub(self.wire) as i32;
        self.time.saturating_add_signed(step.into())
    }
}

impl Begun {
    fn has(self, media: Media) -> bool {
        match media {
            Media::Audio => self.audio,
            Media::Video => self.video,
        }
    }

    fn begin(&mut self, media: Media) {
        match media {
            Media::Audio => self.audio = true,
            Media::Video => self.video = true,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
