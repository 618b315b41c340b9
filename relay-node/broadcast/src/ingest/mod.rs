//! What comes from an encoder, measured.

mod track;
mod warning;

use std::time::{Duration, Instant};

use rtmp::flv::{self, Codec, PictureSize, SoundFormat, Tag, TagClass};
use rtmp::{Message, MessageType};

pub use warning::{
    BITRATE_RECOMMENDED, DRIFT_MAX_MS, FRAME_RATE_LOW, KEYFRAMES_RARE, KEYFRAMES_TOO_RARE,
    NEWS_AFTER, Onsets, Warning,
};

use crate::meter::{METER_WINDOW, Meter};
use track::Track;

/// Video or audio that has not come for so long is missing: more than an encoder gathers before it
/// sends, less than a viewer's patience.
pub const MISSING_AFTER: Duration = Duration::from_secs(5);

/// An encoder from which no byte came for so long is silent: no healthy one pauses that long, and
/// the session lives for ten times as long still.
pub const SILENT_AFTER: Duration = Duration::from_secs(3);

/// What an encoder sends, from its first message on.
#[derive(Debug)]
pub struct Ingest {
    began: Instant,
    heard: Instant,
    bytes: Meter,
    video: Track<PictureSize>,
    audio: Track<SoundFormat>,
    /// By how many milliseconds audio is ahead of video, evened out; in 64ths.
    ahead: Option<i64>,
}

/// What there is to know of an encoder's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestFacts {
    /// Bytes of payload.
    pub bytes: u64,
    /// Bits a second of payload lately.
    pub bitrate: u64,
    /// Since when nothing came.
    pub idle: Duration,
    /// The video, if any came.
    pub video: Option<VideoFacts>,
    /// The audio, if any came.
    pub audio: Option<AudioFacts>,
    /// By how many milliseconds the audio's timestamps are ahead of the video's, while both come.
    pub audio_ahead_ms: Option<i64>,
    /// What should be changed at the encoder, most urgent first.
    pub warnings: Vec<Warning>,
}

/// The video that comes in: of several tracks, the one that came first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoFacts {
    /// How it is coded, if that is known.
    pub codec: Option<Codec>,
    /// The pictures' size, where it was told.
    pub size: Option<PictureSize>,
    /// Frames a second lately.
    pub frame_rate: Option<f64>,
    /// Between the last two keyframes.
    pub keyframe_interval: Option<Duration>,
}

/// The audio that comes in: of several tracks, the one that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFacts {
    /// How it is coded, if that is known.
    pub codec: Option<Codec>,
    /// Rate and channels, where they were told.
    pub format: Option<SoundFormat>,
}

impl Ingest {
    /// Nothing yet.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            heard: now,
            bytes: Meter::default(),
            video: Track::default(),
            audio: Track::default(),
            ahead: None,
        }
    }

    /// Begins with another encoder, or the same one anew; the bytes count on.
    pub fn begin_session(&mut self, now: Instant) {
        let bytes = std::mem::take(&mut self.bytes);
        *self = Self {
            bytes,
            ..Self::new(now)
        };
    }

    /// Takes note of a message that came at `now`, already inspected.
    pub fn observe(&mut self, now: Instant, tag: Tag, message: &Message) {
        self.heard = now;
        self.bytes.count(now, message.payload.len() as u64);
        match message.kind {
            MessageType::VIDEO => self.observe_video(now, tag, message),
            MessageType::AUDIO => self.observe_audio(now, tag, message),
            _ => {}
        }
    }

    /// Bytes of payload so far, and how many bits of them a second lately.
    pub fn received(&self, now: Instant) -> (u64, u64) {
        (self.bytes.total(), self.bytes.bits_per_second(now))
    }

    /// How many bits a second, once there was time to measure them.
    pub fn steady_bitrate(&self, now: Instant) -> Option<u64> {
        let measured = now.saturating_duration_since(self.began) >= METER_WINDOW;
        measured.then(|| self.bytes.bits_per_second(now))
    }

    /// How video and audio are coded, as far as they came and it is known.
    pub fn codecs(&self) -> impl Iterator<Item = Codec> {
        let video = self.video.codec_and_format().and_then(|(codec, _)| codec);
        let audio = self.audio.codec_and_format().and_then(|(codec, _)| codec);
        [video, audio].into_iter().flatten()
    }

    /// What there is to know.
    pub fn facts(&self, now: Instant) -> IngestFacts {
        let (bytes, bitrate) = self.received(now);
        let video = self
            .video
            .codec_and_format()
            .map(|(codec, size)| VideoFacts {
                codec,
                size,
                frame_rate: self.video.frame_rate(now),
                keyframe_interval: self.video.keyframe_interval(),
            });
        let audio = self.audio.codec_and_format();
        IngestFacts {
            bytes,
            bitrate,
            idle: now.saturating_duration_since(self.heard),
            video,
            audio: audio.map(|(codec, format)| AudioFacts { codec, format }),
            audio_ahead_ms: self.audio_ahead_ms(now),
            warnings: self.warnings(now),
        }
    }

    fn observe_video(&mut self, now: Instant, tag: Tag, message: &Message) {
        if !self.video.belongs(&tag) {
            return;
        }
        match tag.class {
            TagClass::VideoSequenceHeader => {
                self.video.described(flv::picture_size(&message.payload));
            }
            TagClass::VideoKeyframe | TagClass::VideoInterframe => {
                let is_keyframe = tag.class == TagClass::VideoKeyframe;
                // Where the pictures tell their size themselves.
                if is_keyframe && let Some(size) = flv::picture_size(&message.payload) {
                    self.video.described(Some(size));
                }
                let jumped = self.video.frame(now, message.timestamp, is_keyframe);
                self.even_out(now, jumped);
            }
            _ => {}
        }
    }

    fn observe_audio(&mut self, now: Instant, tag: Tag, message: &Message) {
        if !self.audio.belongs(&tag) {
            return;
        }
        if tag.class == TagClass::AudioSequenceHeader || !self.audio.is_described() {
            let format = flv::sound_format(&message.payload);
            if format.is_some() {
                self.audio.described(format);
            }
        }
        if tag.class == TagClass::AudioFrame && self.audio.frame(now, message.timestamp, true) {
            self.ahead = None;
        }
    }

    /// Audio comes in pieces longer than a frame, and encoders gather: one difference says little.
    fn even_out(&mut self, now: Instant, jumped: bool) {
        if jumped {
            self.ahead = None;
        }
        let (Some(audio), Some(video)) = (self.audio.newest(now), self.video.newest(now)) else {
            self.ahead = None;
            return;
        };
        // The cast reads the upper half of the differences as steps back.
        let ahead = i64::from(audio.wrapping_sub(video) as i32);
        self.ahead = Some(match self.ahead {
            Some(evened) => evened - evened / 64 + ahead,
            None => ahead * 64,
        });
    }

    fn audio_ahead_ms(&self, now: Instant) -> Option<i64> {
        let both = self.audio.newest(now).is_some() && self.video.newest(now).is_some();
        self.ahead.filter(|_| both).map(|ahead| ahead / 64)
    }

    fn warnings(&self, now: Instant) -> Vec<Warning> {
        let idle = now.saturating_duration_since(self.heard);
        if idle >= SILENT_AFTER {
            // Whatever else is wrong follows from it.
            return vec![Warning::Silent(idle)];
        }
        let mut warnings = Vec::new();
        let missing = now.saturating_duration_since(self.began) >= MISSING_AFTER;
        if missing && self.video.newest(now).is_none() {
            warnings.push(Warning::NoVideo);
        }
        if missing && self.audio.newest(now).is_none() {
            warnings.push(Warning::NoAudio);
        }
        if self.video.newest(now).is_some() {
            warnings.extend(Warning::of_keyframes(
                self.video.keyframe_interval(),
                self.video.keyframe_gap(),
                self.video.had_keyframe(),
            ));
            let rate = self.video.steady_frame_rate(now);
            warnings.extend(rate.and_then(Warning::of_frame_rate));
        }
        warnings.extend(self.audio_ahead_ms(now).and_then(Warning::of_drift));
        warnings.extend(self.steady_bitrate(now).and_then(Warning::of_bitrate));
        warnings
    }
}

#[cfg(test)]
mod tests;
