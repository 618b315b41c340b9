//! What a node tells of its broadcasts: events, each once and in order, and figures.
//!
//! Events are changes of state. They go up at once, are kept until the control plane has taken
//! care of them, and are ordered by (instance, sequence), not by clocks. Figures are what a person
//! watches; they are sent while somebody does ([`Watch`]) and lost without harm.

use serde::{Deserialize, Serialize};

use crate::id::{InputUid, Instance, OutputUid};
use crate::time::{Timestamp, micros, optional_micros};

/// Something that happened at a node.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Event {
    /// Counts up from 1 within an instance.
    pub sequence: u64,
    /// The live input.
    pub input: InputUid,
    /// The epoch under which the node held it.
    pub epoch: u64,
    /// When, by the node's clock: shown to people, never compared with another clock.
    #[serde(default, with = "micros")]
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// Events over the socket, in the order of their sequence; answered by
/// [`ToNode::EventsTaken`](super::ToNode::EventsTaken), and repeated in reports until then.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Events {
    /// The run of the node's process.
    pub instance: Instance,
    /// At most [`MAX_EVENTS_PER_REPORT`](crate::limits::MAX_EVENTS_PER_REPORT) of them.
    pub events: Vec<Event>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// An encoder feeds the broadcast: a new one, or one that came back.
    Connected(Publisher),
    /// The encoder is gone, and the broadcast waits for its return.
    Away {
        /// Why it is gone.
        #[serde(default)]
        reason: Departure,
    },
    /// The broadcast is over: the node holds nothing of this epoch any more, and its outputs are
    /// idle without saying so.
    Ended {
        /// Why the encoder is gone.
        #[serde(default)]
        reason: Departure,
    },
    /// Something is wrong with what the encoder sends.
    Faulted(Fault),
    /// An output has changed its state, or one of the other facts of it. That it is
    /// switched off is the last that is said of one; of one that is deleted nothing is.
    Output(OutputChange),
    /// An event of a newer node.
    #[serde(other)]
    Unknown,
}

/// The encoder that feeds a broadcast.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Publisher {
    /// How it came.
    pub protocol: Protocol,
    /// Its name and version, as it gives them; empty if it gives none.
    #[serde(default)]
    pub encoder: String,
    /// Whether the broadcast was waiting for it.
    #[serde(default)]
    pub returned: bool,
}

/// How an encoder is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// RTMP in the clear.
    Rtmp,
    /// RTMP within TLS.
    Rtmps,
    /// A protocol of a newer node.
    #[serde(other)]
    Unknown,
}

/// Why an encoder is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Departure {
    /// It said goodbye.
    Goodbye,
    /// Its connection ended without a word, or brought nothing for too long.
    Lost,
    /// It broke the protocol, or a bound.
    Misbehaved,
    /// The live input was deleted.
    Deleted,
    /// The live input was switched off.
    Disabled,
    /// Its stream key was replaced by another.
    KeyRotated,
    /// Another encoder, or another node, took the broadcast over.
    Replaced,
    /// The node is being shut down.
    ShuttingDown,
    /// A reason of another version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Something wrong with what an encoder sends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Fault {
    /// A stable code in lower snake case.
    pub code: String,
    /// What is wrong and what to change, a sentence for a person.
    pub message: String,
    /// The name of the video codec, empty if there is none or it is not known.
    #[serde(default)]
    pub video_codec: String,
    /// The same for audio.
    #[serde(default)]
    pub audio_codec: String,
}

/// An output's state as it is from here on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OutputChange {
    /// The output.
    pub output: OutputUid,
    /// Its state.
    pub state: OutputState,
    /// A stable code of why it last failed; none where it has not, or where it is live again.
    #[serde(default)]
    pub reason: Option<String>,
    /// The destination's own words, without keys, or else ours.
    #[serde(default)]
    pub message: Option<String>,
    /// Failures in a row.
    #[serde(default)]
    pub attempts: u32,
    /// How often the destination has taken the stream in this broadcast.
    #[serde(default)]
    pub connects: u64,
    /// When the next attempt begins, while waiting for it.
    #[serde(default, with = "optional_micros")]
    pub next_retry: Option<Timestamp>,
    /// What may be wrong at the destination, while it takes the stream.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// An output's state, as the API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputState {
    /// Switched off by the user.
    Disabled,
    /// Its input is not on air.
    Idle,
    /// On the way to the destination.
    Connecting,
    /// The destination takes the stream.
    Live,
    /// Live, but the destination has acknowledged nothing for a while.
    Stalled,
    /// Waiting to try again after a failure.
    Backoff,
    /// Refused: a person has to change something. Tried again slowly nevertheless.
    Failed,
    /// Nobody knows: the node that serves it is silent; or a state of a newer node.
    #[serde(other)]
    Unknown,
}

/// Asks a node for [`Figures`], at once and then every second, for `seconds` from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Watch {
    /// For how long; whoever watches longer asks again.
    pub seconds: u32,
}

/// How the broadcasts of a node are doing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Figures {
    /// The run of the node's process.
    pub instance: Instance,
    /// Every live input on air at the node.
    pub inputs: Vec<InputFigures>,
}

/// How a broadcast is doing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct InputFigures {
    /// The live input.
    pub input: InputUid,
    /// The epoch under which the node holds it.
    pub epoch: u64,
    /// What comes in.
    pub ingest: IngestFigures,
    /// What goes out.
    #[serde(default)]
    pub outputs: Vec<OutputFigures>,
}

/// What comes from the encoder.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct IngestFigures {
    /// Bytes of payload since the broadcast began.
    pub bytes: u64,
    /// Bits a second of payload lately.
    pub bitrate: u64,
    /// Milliseconds since the last byte.
    #[serde(default)]
    pub idle_ms: u64,
    /// The video, if there is any.
    #[serde(default)]
    pub video: Option<VideoFigures>,
    /// The audio, if there is any.
    #[serde(default)]
    pub audio: Option<AudioFigures>,
    /// By how many milliseconds the audio's timestamps are ahead of the video's.
    #[serde(default)]
    pub audio_ahead_ms: Option<i64>,
    /// What should be changed at the encoder, most urgent first.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// The video that comes in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct VideoFigures {
    /// `h264`, `hevc`, `av1`, `vp9`, …
    pub codec: String,
    /// Width and height in pixels, where the sequence header tells.
    #[serde(default)]
    pub width: Option<u32>,
    /// See `width`.
    #[serde(default)]
    pub height: Option<u32>,
    /// Frames a second lately.
    #[serde(default)]
    pub frame_rate: Option<f64>,
    /// Milliseconds between the last two keyframes.
    #[serde(default)]
    pub keyframe_interval_ms: Option<u64>,
}

/// The audio that comes in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct AudioFigures {
    /// `aac`, `opus`, `mp3`, …
    pub codec: String,
    /// Samples a second, where the sequence header tells.
    #[serde(default)]
    pub sample_rate: Option<u32>,
    /// Channels, where the sequence header tells.
    #[serde(default)]
    pub channels: Option<u32>,
}

/// Something to change or to look at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Warning {
    /// A stable code in lower snake case.
    pub code: String,
    /// What is wrong and what to change, a sentence for a person.
    pub message: String,
}

/// What goes to a destination.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OutputFigures {
    /// The output.
    pub output: OutputUid,
    /// Bytes written to the destination in this broadcast, headers included.
    pub bytes: u64,
    /// Bits a second written lately.
    pub bitrate: u64,
    /// Milliseconds of media for which it had no picture, because it lagged.
    #[serde(default)]
    pub skipped_ms: u64,
    /// How often the destination has taken the stream in this broadcast.
    #[serde(default)]
    pub connects: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INPUT: &str = "66be4bf738797e01e1fca35a7bdecdcd";
    const OUTPUT: &str = "6f8339ed45fe87daa8e7f0fe4e4ef776";

    #[test]
    fn events_are_flat_and_read_back() {
        for (what, fields) in [
            (
                What::Ended {
                    reason: Departure::Goodbye,
                },
                json!({"what": "ended", "reason": "goodbye"}),
            ),
            (
                What::Connected(Publisher {
                    protocol: Protocol::Rtmps,
                    encoder: "obs".into(),
                    returned: false,
                }),
                json!({"what": "connected", "protocol": "rtmps", "encoder": "obs",
                    "returned": false}),
            ),
            (
                What::Output(OutputChange {
                    output: OUTPUT.parse().unwrap(),
                    state: OutputState::Backoff,
                    reason: Some("connect_refused".into()),
                    message: None,
                    attempts: 1,
                    connects: 0,
                    next_retry: Some(Timestamp::from_micros(5)),
                    warnings: vec![Warning {
                        code: "codec_not_announced".into(),
                        message: "No.".into(),
                    }],
                }),
                json!({"what": "output", "output": OUTPUT, "state": "backoff",
                    "reason": "connect_refused", "message": null, "attempts": 1, "connects": 0,
                    "next_retry": 5,
                    "warnings": [{"code": "codec_not_announced", "message": "No."}]}),
            ),
        ] {
            let event = Event {
                sequence: 1,
                input: INPUT.parse().unwrap(),
                epoch: 2,
                at: Timestamp::from_micros(3),
                what,
            };
            let mut expected = json!({"sequence": 1, "input": INPUT, "epoch": 2, "at": 3});
            let more = fields.as_object().unwrap().clone();
            expected.as_object_mut().unwrap().extend(more);
            let written = serde_json::to_value(&event).unwrap();
            assert_eq!(written, expected);
            assert_eq!(serde_json::from_value::<Event>(written).unwrap(), event);
        }
    }

    #[test]
    fn what_a_newer_node_says_reads_as_unknown() {
        let event = |fields: serde_json::Value| {
            let mut event = json!({"sequence": 1, "input": INPUT, "epoch": 2});
            let more = fields.as_object().unwrap().clone();
            event.as_object_mut().unwrap().extend(more);
            serde_json::from_value::<Event>(event).unwrap().what
        };
        assert_eq!(event(json!({"what": "sang", "song": [1]})), What::Unknown);
        let reason = Departure::Unknown;
        assert_eq!(event(json!({"what": "ended"})), What::Ended { reason });
        assert_eq!(
            event(json!({"what": "ended", "reason": "bored"})),
            What::Ended { reason }
        );
        let What::Output(change) = event(json!({"what": "output", "output": OUTPUT, "state": "x"}))
        else {
            panic!("not an output's change");
        };
        assert_eq!(change.state, OutputState::Unknown);
    }
}
