//! The objects of the API, field names and formats as Cloudflare's.

mod event;
mod notification;
mod status;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::id::{InputUid, OutputUid};
use crate::link::{OnFormatChange, OnStop, Takeover};
use crate::secret::{self, Secret};
use crate::time::Timestamp;

pub use self::event::{ApiEvent, EventId, EventKind, InvalidEventId, OutputInEvent};
pub use self::notification::{
    ALERT_TYPE, Delivery, DeliveryState, Destination, DestinationKind, Filters, Mechanism,
    Mechanisms, Policy, StreamWebhook,
};
pub use self::status::{
    Audio, Configuration, CurrentStatus, InputError, InputState, InputStatus, OutputStatus,
    PastStatus, Video,
};

/// A live input with its credentials: the answer to create and get.
#[derive(Debug, Serialize)]
pub struct LiveInput {
    /// The input's id.
    pub uid: InputUid,
    /// Where the encoder sends.
    pub rtmps: Ingest,
    /// When it was created.
    pub created: Timestamp,
    /// When it or one of its settings last changed.
    pub modified: Timestamp,
    /// When its key was last replaced; left out before the first time.
    #[serde(rename = "keysRotatedAt", skip_serializing_if = "Option::is_none")]
    pub keys_rotated_at: Option<Timestamp>,
    /// The user's own JSON, echoed to the letter.
    pub meta: Box<RawValue>,
    /// Whether encoders may publish to it.
    pub enabled: bool,
    /// What is going on; none before the first encoder.
    pub status: Option<InputStatus>,
    /// Whether what is configured is what is done.
    pub configuration: Configuration,
    /// How its publisher is treated.
    #[serde(flatten)]
    pub settings: Settings,
}

/// How the publisher of a live input is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// For how long outputs stay connected to wait for one that has vanished.
    pub reconnect_window_seconds: u32,
    /// What its goodbye means.
    pub on_stop: OnStop,
    /// What happens to outputs when it returns with other codecs.
    pub on_format_change: OnFormatChange,
    /// What a second one means.
    pub takeover: Takeover,
}

/// An ingest address and the key for it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingest {
    /// `rtmps://host:port/live/`.
    pub url: String,
    /// The stream key, in clear: showing it is this field's purpose.
    #[serde(serialize_with = "secret::exposed")]
    pub stream_key: Secret,
}

/// A live input as lists show it: without credentials.
#[derive(Debug, Serialize)]
pub struct ListedInput {
    /// The input's id, as today's clients read it.
    pub uid: InputUid,
    /// The same, as the product document's example has it.
    pub id: InputUid,
    /// When it was created.
    pub created: Timestamp,
    /// When it or one of its settings last changed.
    pub modified: Timestamp,
    /// The user's own JSON, echoed to the letter.
    pub meta: Box<RawValue>,
    /// Whether encoders may publish to it.
    pub enabled: bool,
    /// How it stands; null before its first encoder.
    pub status: Option<ListedStatus>,
    /// How its outputs stand.
    pub outputs: OutputCounts,
}

/// The status of a live input as lists show it: as that of the live input itself, and less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ListedStatus {
    /// How it stands.
    pub current: ListedState,
}

/// How a live input stands, in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedState {
    /// Its state.
    pub state: InputState,
    /// Since when.
    pub status_entered_at: Timestamp,
}

/// How many outputs a live input has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OutputCounts {
    /// All of them.
    pub configured: u64,
    /// Those that are live.
    pub live: u64,
}

/// The list of live inputs as Cloudflare's clients read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputList {
    /// The live inputs.
    pub live_inputs: Vec<ListedInput>,
    /// How many match from the cursor on, those shown included.
    pub range: u64,
    /// How many match.
    pub total: u64,
}

/// Whether a live input is on air, for everybody who knows its uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Always so: there are no videos.
    pub is_input: bool,
    /// The video of the broadcast: none, as nothing is recorded.
    #[serde(rename = "videoUID")]
    pub video_uid: Option<InputUid>,
    /// Whether it is on air.
    pub live: bool,
}

/// An output: a destination of a live input.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The output's id.
    pub uid: OutputUid,
    /// The destination, as the user typed it.
    pub url: String,
    /// The destination's stream key, in clear: showing it is this field's purpose.
    #[serde(serialize_with = "secret::exposed")]
    pub stream_key: Secret,
    /// Whether anything is sent to it while the input is on air.
    pub enabled: bool,
    /// The user's own JSON, echoed to the letter.
    pub meta: Box<RawValue>,
    /// What is going on.
    pub status: OutputStatus,
    /// Whether what is configured is what is done.
    pub configuration: Configuration,
}
