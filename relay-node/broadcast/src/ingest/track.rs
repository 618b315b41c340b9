//! One track of an encoder's stream, by the timestamps and arrivals of its frames.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rtmp::flv::{Codec, Tag};

use super::MISSING_AFTER;
use crate::timeline::JUMP;

/// What is meant by *lately*, in milliseconds of the stream.
const WINDOW_MS: u32 = 5000;

/// Frames looked at: [`WINDOW_MS`] at 240 frames a second. At more the window is shorter.
const FRAMES_MAX: usize = 1200;

/// The first track of a kind; further ones are not looked at.
#[derive(Debug)]
pub(super) struct Track<F> {
    number: Option<u8>,
    codec: Option<Codec>,
    format: Option<F>,
    began: Option<Instant>,
    /// When the newest frame came, and its timestamp.
    newest: Option<(Instant, u32)>,
    /// The timestamps of the frames of lately.
    frames: VecDeque<u32>,
    keyframe: Option<(Instant, u32)>,
    interval: Option<Duration>,
}

impl<F> Default for Track<F> {
    fn default() -> Self {
        Self {
            number: None,
            codec: None,
            format: None,
            began: None,
            newest: None,
            frames: VecDeque::new(),
            keyframe: None,
            interval: None,
        }
    }
}

impl<F: Copy> Track<F> {
    /// Whether a message is of this track, which the first one decides.
    pub(super) fn belongs(&mut self, tag: &Tag) -> bool {
        if *self.number.get_or_insert(tag.track) != tag.track {
            return false;
        }
        if tag.codec.is_some() && tag.codec != self.codec {
            self.codec = tag.codec;
            self.format = None;
        }
        true
    }

    /// A header came, and says this of the format, if it can be read.
    pub(super) fn described(&mut self, format: Option<F>) {
        self.format = format;
    }

    pub(super) fn is_described(&self) -> bool {
        self.format.is_some()
    }

    /// A frame came. Returns whether its timestamp has nothing to do with those before.
    pub(super) fn frame(&mut self, now: Instant, timestamp: u32, is_keyframe: bool) -> bool {
        let jumped = self
            .newest
            .is_some_and(|(_, newest)| is_jump(timestamp.wrapping_sub(newest)));
        if jumped {
            self.frames.clear();
            self.keyframe = None;
        }
        self.began.get_or_insert(now);
        self.newest = Some((now, timestamp));
        self.frames.push_back(timestamp);
        while let Some(&oldest) = self.frames.front()
            && (timestamp.wrapping_sub(oldest) > WINDOW_MS || self.frames.len() > FRAMES_MAX)
        {
            self.frames.pop_front();
        }
        if is_keyframe && let Some((_, before)) = self.keyframe.replace((now, timestamp)) {
            let interval = timestamp.wrapping_sub(before);
            self.interval = Some(Duration::from_millis(interval.into()));
        }
        jumped
    }

    /// Codec and format, once anything of the track came.
    pub(super) fn codec_and_format(&self) -> Option<(Option<Codec>, Option<F>)> {
        self.number.map(|_| (self.codec, self.format))
    }

    /// The newest frame's timestamp, if it came lately.
    pub(super) fn newest(&self, now: Instant) -> Option<u32> {
        let (at, timestamp) = self.newest?;
        let is_recent = now.saturating_duration_since(at) < MISSING_AFTER;
        is_recent.then_some(timestamp)
    }

    /// Frames a second lately, to the hundredth.
    pub(super) fn frame_rate(&self, now: Instant) -> Option<f64> {
        self.newest(now)?;
        let span = self.frames.back()?.wrapping_sub(*self.frames.front()?);
        if span == 0 {
            return None;
        }
        let steps = u32::try_from(self.frames.len()).ok()? - 1;
        let rate = f64::from(steps) * 1000.0 / f64::from(span);
        Some((rate * 100.0).round() / 100.0)
    }

    /// The same, once it was measured for as long as *lately* is.
    pub(super) fn steady_frame_rate(&self, now: Instant) -> Option<f64> {
        let began = self.began?;
        let window = Duration::from_millis(WINDOW_MS.into());
        let is_steady = now.saturating_duration_since(began) >= window;
        self.frame_rate(now).filter(|_| is_steady)
    }

    /// Between the last two keyframes.
    pub(super) fn keyframe_interval(&self) -> Option<Duration> {
        self.interval
    }

    /// For how long frames have come without a keyframe.
    pub(super) fn keyframe_gap(&self) -> Duration {
        let since = self.keyframe.map(|(at, _)| at).or(self.began);
        // Time in which nothing came says nothing of keyframes.
        match (since, self.newest) {
            (Some(since), Some((at, _))) => at.saturating_duration_since(since),
            _ => Duration::ZERO,
        }
    }

    /// Whether there was a keyframe at all.
    pub(super) fn had_keyframe(&self) -> bool {
        self.keyframe.is_some()
    }
}

/// Whether a step of the timestamps is none of the stream's own: back by more than B-frames and
/// interleaving explain, or far ahead.
fn is_jump(step: u32) -> bool {
    const BACK: i32 = 1000;
    // The cast reads the upper half of the steps as steps back.
    let step = step as i32;
    step < -BACK || i64::from(step) > JUMP.as_millis() as i64
}
