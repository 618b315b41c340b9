//! What is going on: the status of a live input and of its outputs.
//!
//! Of an input's status, `current` and `history` with the fields `state`, `reason`,
//! `ingestProtocol`, `statusEnteredAt` and `statusLastSeen` are Cloudflare's; the rest is ours.

use serde::{Deserialize, Serialize};

use crate::link::{AudioFigures, OutputState, Protocol, VideoFigures, Warning};
use crate::time::Timestamp;

/// The status of a live input that has been on air.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct InputStatus {
    /// How it stands.
    pub current: CurrentStatus,
    /// How it stood before, newest first, at most
    /// [`MAX_STATUS_HISTORY`](crate::limits::MAX_STATUS_HISTORY).
    pub history: Vec<PastStatus>,
}

/// How a live input stood for a while.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PastStatus {
    /// Its state.
    pub state: InputState,
    /// Why: Cloudflare's words where it has one.
    pub reason: String,
    /// How the encoder was connected.
    pub ingest_protocol: Option<Protocol>,
    /// Since when.
    pub status_entered_at: Timestamp,
    /// When it was last known to be so.
    pub status_last_seen: Timestamp,
}

/// How a live input stands, with what there is to know of its encoder.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentStatus {
    /// State, reason and times.
    #[serde(flatten)]
    pub base: PastStatus,
    /// When the present publisher came.
    pub connected_since: Option<Timestamp>,
    /// The encoder's name and version, as it gives them.
    pub encoder: Option<String>,
    /// Bits a second of payload lately.
    pub bitrate: Option<u64>,
    /// Milliseconds since the last byte.
    pub idle_ms: Option<u64>,
    /// The video that comes in.
    pub video: Option<Video>,
    /// The audio that comes in.
    pub audio: Option<Audio>,
    /// By how many milliseconds the audio's timestamps are ahead of the video's.
    pub audio_ahead_ms: Option<i64>,
    /// What should be changed at the encoder, most urgent first.
    pub warnings: Vec<Warning>,
    /// What went wrong last.
    pub last_error: Option<InputError>,
}

/// The video that comes in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Video {
    /// `h264`, `hevc`, `av1`, `vp9`, …
    pub codec: String,
    /// Width and height in pixels, where the sequence header tells.
    pub width: Option<u32>,
    /// See `width`.
    pub height: Option<u32>,
    /// Frames a second lately.
    pub frame_rate: Option<f64>,
    /// Milliseconds between the last two keyframes.
    pub keyframe_interval_ms: Option<u64>,
}

impl From<VideoFigures> for Video {
    fn from(figures: VideoFigures) -> Self {
        Self {
            codec: figures.codec,
            width: figures.width,
            height: figures.height,
            frame_rate: figures.frame_rate,
            keyframe_interval_ms: figures.keyframe_interval_ms,
        }
    }
}

/// The audio that comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audio {
    /// `aac`, `opus`, `mp3`, …
    pub codec: String,
    /// Samples a second, where the sequence header tells.
    pub sample_rate: Option<u32>,
    /// Channels, where the sequence header tells.
    pub channels: Option<u32>,
}

impl From<AudioFigures> for Audio {
    fn from(figures: AudioFigures) -> Self {
        Self {
            codec: figures.codec,
            sample_rate: figures.sample_rate,
            channels: figures.channels,
        }
    }
}

/// The state of a live input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputState {
    /// An encoder is sending.
    Connected,
    /// The encoder has vanished, and the broadcast waits for it.
    Reconnecting,
    /// No encoder.
    Disconnected,
    /// Nobody knows: the node that has it on air is silent.
    Unknown,
}

/// Something that went wrong at a live input.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputError {
    /// A stable code.
    pub code: String,
    /// What is wrong and what to change, a sentence for a person.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// The status of an output.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// Its state.
    pub state: OutputState,
    /// A stable code of why it is not live.
    pub reason: Option<String>,
    /// The destination's own words, without keys, or else ours.
    pub message: Option<String>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// Failures in a row.
    pub attempts: u32,
    /// When the next attempt begins, while waiting for it.
    pub next_retry_at: Option<Timestamp>,
    /// Bytes written to the destination in this broadcast.
    pub bytes: Option<u64>,
    /// Bits a second written lately.
    pub bitrate: Option<u64>,
    /// Milliseconds of media for which it had no picture, because it lagged.
    pub skipped_ms: Option<u64>,
    /// How often it was connected again in this broadcast.
    pub reconnects: u64,
    /// What may be wrong at the destination, while it takes the stream.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// Whether what was configured is what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Configuration {
    /// The node that has the input on air has acknowledged it, or the input is not on air.
    Applied,
    /// The node has not acknowledged it yet.
    Pending,
}
