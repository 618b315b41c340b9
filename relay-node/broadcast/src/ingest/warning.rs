//! What should be changed at an encoder, in words that say what.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// The bitrate recommended to users, in bits a second.
pub const BITRATE_RECOMMENDED: u64 = 12_000_000;

/// Facebook's limit of 4 s, and what rounding and frame rates that vary add to it.
pub const KEYFRAMES_RARE: Duration = Duration::from_millis(4100);

/// Beyond the defaults of FFmpeg and OBS: most platforms refuse it, and whoever joins sees nothing
/// for that long.
pub const KEYFRAMES_TOO_RARE: Duration = Duration::from_millis(10_100);

/// Fewer frames a second than that are no moving picture: the slowest that platforms list is 15.
pub const FRAME_RATE_LOW: f64 = 10.0;

/// How far audio and video may be apart, in milliseconds: more than interleaving explains, and well
/// past what a viewer notices (some 150).
pub const DRIFT_MAX_MS: i64 = 500;

/// After so long without it, a warning that comes back is news.
pub const NEWS_AFTER: Duration = Duration::from_secs(60);

/// Something to change at the encoder; `Display` says what. Ordered by urgency.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Warning {
    /// Nothing comes, for so long.
    Silent(Duration),
    /// No video comes.
    NoVideo,
    /// No audio comes.
    NoAudio,
    /// No keyframe has ever come, for so long.
    NoKeyframe(Duration),
    /// Keyframes come further apart than [`KEYFRAMES_TOO_RARE`].
    KeyframesTooRare(Duration),
    /// Keyframes come further apart than [`KEYFRAMES_RARE`].
    KeyframesRare(Duration),
    /// Fewer frames a second than [`FRAME_RATE_LOW`].
    FrameRateLow(f64),
    /// Audio is ahead of video by so many milliseconds, or behind if negative.
    Drift(i64),
    /// More bits a second than [`BITRATE_RECOMMENDED`].
    BitrateHigh(u64),
}

impl Warning {
    pub(super) fn of_keyframes(
        interval: Option<Duration>,
        gap: Duration,
        had_any: bool,
    ) -> Option<Self> {
        if !had_any {
            return (gap > KEYFRAMES_TOO_RARE).then_some(Self::NoKeyframe(gap));
        }
        let interval = interval.unwrap_or_default();
        // One that is late already counts as if it came now.
        let apart = interval.max(gap);
        if apart > KEYFRAMES_TOO_RARE {
            Some(Self::KeyframesTooRare(apart))
        } else {
            (interval > KEYFRAMES_RARE).then_some(Self::KeyframesRare(interval))
        }
    }

    pub(super) fn of_frame_rate(rate: f64) -> Option<Self> {
        (rate < FRAME_RATE_LOW).then_some(Self::FrameRateLow(rate))
    }

    pub(super) fn of_drift(ahead: i64) -> Option<Self> {
        (ahead.saturating_abs() > DRIFT_MAX_MS).then_some(Self::Drift(ahead))
    }

    pub(super) fn of_bitrate(bitrate: u64) -> Option<Self> {
        (bitrate > BITRATE_RECOMMENDED).then_some(Self::BitrateHigh(bitrate))
    }

    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Silent(_) => "silent",
            Self::NoVideo => "no_video",
            Self::NoAudio => "no_audio",
            Self::NoKeyframe(_) => "no_keyframe",
            Self::KeyframesTooRare(_) => "keyframes_too_rare",
            Self::KeyframesRare(_) => "keyframes_rare",
            Self::FrameRateLow(_) => "frame_rate_low",
            Self::Drift(_) => "audio_video_drift",
            Self::BitrateHigh(_) => "bitrate_high",
        }
    }
}

/// Where the keyframe interval is set.
const SET_INTERVAL: &str = "set the keyframe interval to 2 s in OBS → Settings → Output";

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(time) => write!(
                f,
                "Nothing has come from the encoder for {} s: check its connection, and lower its \
                 bitrate if this repeats.",
                time.as_secs(),
            ),
            Self::NoVideo => f.write_str(
                "No video comes from the encoder: add a video source, or check that its video \
                 encoder runs.",
            ),
            Self::NoAudio => f.write_str(
                "No audio comes from the encoder; YouTube and Facebook refuse a stream without: add \
                 an audio source, a silent one serves.",
            ),
            Self::NoKeyframe(time) => write!(
                f,
                "No keyframe has come in {} s, and without one no destination shows a picture: \
                 {SET_INTERVAL}.",
                time.as_secs(),
            ),
            Self::KeyframesTooRare(apart) => write!(
                f,
                "Keyframes come {:.1} s apart or more; most platforms refuse that, and an output that is \
                 added waits as long for its first picture: {SET_INTERVAL}.",
                apart.as_secs_f64(),
            ),
            Self::KeyframesRare(apart) => write!(
                f,
                "Keyframes come every {:.1} s; Facebook refuses more than 4: {SET_INTERVAL}.",
                apart.as_secs_f64(),
            ),
            Self::FrameRateLow(rate) => write!(
                f,
                "Only {rate:.1} frames come a second: if more are set, the encoder's machine is \
                 overloaded; choose a faster preset or a lower resolution.",
            ),
            Self::Drift(ahead) => {
                let which = if *ahead > 0 { "ahead of" } else { "behind" };
                write!(
                    f,
                    "The audio is {:.1} s {which} the video: use one sample rate for all audio \
                     devices (OBS → Settings → Audio), and start the stream again.",
                    ahead.unsigned_abs() as f64 / 1000.0,
                )
            }
            Self::BitrateHigh(bitrate) => write!(
                f,
                "The stream has {} kbps, and more than {} are not recommended: lower the bitrate in \
                 OBS → Settings → Output.",
                bitrate / 1000,
                BITRATE_RECOMMENDED / 1000,
            ),
        }
    }
}

/// Tells a warning that has just begun from one that goes on.
#[derive(Debug, Default)]
pub struct Onsets(BTreeMap<&'static str, Instant>);

impl Onsets {
    /// Those that have just begun, of the warnings that hold at `now`. One that comes and goes
    /// within [`NEWS_AFTER`] begins once.
    pub fn of(&mut self, now: Instant, warnings: &[Warning]) -> Vec<Warning> {
        let news = |warning: &&Warning| {
            let before = self.0.insert(warning.code(), now);
            before.is_none_or(|before| now.saturating_duration_since(before) >= NEWS_AFTER)
        };
        warnings.iter().filter(news).copied().collect()
    }
}
