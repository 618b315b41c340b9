//! The link between a relay node and the control plane.
//!
//! A node asks over HTTP whether a key may publish ([`PublishRequest`]); the answer carries the
//! input's first [`Snapshot`]. From then on the control plane pushes newer snapshots over the
//! node's one WebSocket ([`ToNode`]), and resends until the node has acknowledged them
//! ([`ToControl`]). While the socket is down the node polls ([`Report`] up, [`Reconciliation`]
//! down); the same pair opens each connection, and is exchanged once a minute in any case.
//!
//! Versions meet: unknown fields are ignored, an unknown kind of frame or wish reads as
//! `Unknown`, and a node tells the control plane what it could not do.
//!
//! | what | where | credentials |
//! | --- | --- | --- |
//! | may this key publish | `POST` [`PUBLISH_PATH`] | relay token |
//! | the socket | `GET` [`link_path`], upgraded | relay token |
//! | poll | `POST` [`poll_path`] | relay token |

mod status;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, InputUid, Instance, NodeName, OutputUid};
use crate::limits::DEFAULT_RECONNECT_WINDOW_SECONDS;
use crate::secret::{self, Secret};

pub use self::status::{
    AudioFigures, Departure, Event, Events, Fault, Figures, IngestFigures, InputFigures,
    OutputChange, OutputFigures, OutputState, Protocol, Publisher, VideoFigures, Warning, Watch,
    What,
};

/// The protocol's version. Peers one version apart work together.
pub const LINK_VERSION: u32 = 1;

/// Where a node asks whether a key may publish.
pub const PUBLISH_PATH: &str = "/relay/v1/publish";

/// What a node sends as a text frame to keep the socket alive; the answer is [`PONG`]. Both are
/// plain words, so that Workers can answer for a hibernating object.
pub const PING: &str = "ping";

/// The answer to [`PING`].
pub const PONG: &str = "pong";

/// Where the node called `node` opens its socket.
pub fn link_path(node: &NodeName) -> String {
    format!("/relay/v1/nodes/{node}/link")
}

/// Where the node called `node` polls.
pub fn poll_path(node: &NodeName) -> String {
    format!("/relay/v1/nodes/{node}/poll")
}

/// May this key publish here?
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct PublishRequest {
    /// The sender's [`LINK_VERSION`].
    pub version: u32,
    /// The node that the encoder is connected to.
    pub node: NodeName,
    /// The run of that node's process.
    pub instance: Instance,
    /// The key as the encoder sent it.
    #[serde(serialize_with = "secret::exposed")]
    pub key: Secret,
}

/// The answer to a [`PublishRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum PublishAnswer {
    /// The encoder may publish; the asking instance owns the broadcast under the snapshot's epoch.
    Accepted {
        /// What the input wants.
        snapshot: Snapshot,
        /// How often the input's key had been replaced when the one asked about was made: see
        /// [`Snapshot::oldest_key`].
        #[serde(default)]
        key: u64,
    },
    /// It may not.
    Refused {
        /// Why.
        reason: PublishRefusal,
    },
}

/// Why a key may not publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PublishRefusal {
    /// The input exists and the key is right, but the input is switched off.
    #[error("this live input is disabled: enable it, then start streaming again")]
    Disabled,
    /// Not a key of a live input that exists: mistyped, revoked, or the input was deleted.
    #[error("no live input has this stream key: copy the key from the live input again")]
    UnknownKey,
    /// A reason of a newer control plane.
    #[serde(other)]
    #[error("the control plane refuses this stream key")]
    Unknown,
}

/// Everything a node must know of one live input, whole: repeating one is harmless, losing one
/// heals with the next, an older one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Snapshot {
    /// The live input.
    pub input: InputUid,
    /// Issued by the input's object alone, rising with every change; a node applies only a higher
    /// one.
    pub rev: u64,
    /// Rises with each owner; who sees a higher one drops the lower.
    pub epoch: u64,
    /// Who holds the broadcast, if the input is on air.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// Keys with a lower number in [`PublishAnswer::Accepted`] are revoked: a publisher that came
    /// with one is cut.
    #[serde(default)]
    pub oldest_key: u64,
    /// Whose the input is: what it does counts there. None from an older control plane, and where
    /// there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What is wanted of the input.
    pub wish: Wish,
}

/// The run of a node that the publisher is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Owner {
    /// The node.
    pub node: NodeName,
    /// The run of its process.
    pub instance: Instance,
}

/// What is wanted of a live input.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Wish {
    /// The input is gone: cut its publisher, stop its outputs, forget its key.
    Deleted,
    /// The input is switched off: cut its publisher, stop its outputs.
    Disabled,
    /// Relay it to these outputs.
    Relay {
        /// All outputs of the input, in the order of their creation.
        outputs: Vec<WantedOutput>,
        /// How to treat the publisher.
        #[serde(default)]
        settings: InputSettings,
    },
    /// A wish of a newer control plane: reported by [`Applied::unknown_wish`], nothing changed for
    /// it.
    #[serde(other)]
    Unknown,
}

impl Wish {
    /// Relay to `outputs`, in the default way.
    pub fn relay(outputs: Vec<WantedOutput>) -> Self {
        Self::Relay {
            outputs,
            settings: InputSettings::default(),
        }
    }
}

/// How a live input's publisher is treated. What an older control plane leaves out reads as the
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct InputSettings {
    /// For how many seconds outputs stay connected to wait for a publisher that has vanished; at
    /// most [`MAX_RECONNECT_WINDOW_SECONDS`](crate::limits::MAX_RECONNECT_WINDOW_SECONDS).
    pub reconnect_window: u32,
    /// What a publisher's goodbye means.
    pub on_stop: OnStop,
    /// What happens to outputs when the publisher returns with other codecs.
    pub on_format_change: OnFormatChange,
    /// What a second publisher means.
    pub takeover: Takeover,
}

impl Default for InputSettings {
    fn default() -> Self {
        Self {
            reconnect_window: DEFAULT_RECONNECT_WINDOW_SECONDS,
            on_stop: OnStop::default(),
            on_format_change: OnFormatChange::default(),
            takeover: Takeover::default(),
        }
    }
}

/// What a publisher's goodbye means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStop {
    /// The broadcast is over.
    #[default]
    End,
    /// The broadcast waits as for one that has vanished.
    Hold,
}

/// What happens to outputs when the publisher returns with other codecs, another audio rate or
/// another number of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFormatChange {
    /// They are closed cleanly and connected anew: most platforms take no change within a stream.
    #[default]
    Reconnect,
    /// They go on.
    Continue,
}

/// What a second publisher with a valid key means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Takeover {
    /// It takes the broadcast over.
    #[default]
    Newest,
    /// It is refused while the first one is connected.
    Reject,
}

/// An output as the node shall serve it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct WantedOutput {
    /// The output's id.
    pub uid: OutputUid,
    /// Whether to send to it.
    pub enabled: bool,
    /// Rises when somebody asks to try again now: a waiting output with a lower one connects at
    /// once.
    #[serde(default)]
    pub retry: u64,
    /// Where to.
    pub target: Target,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// A server that speaks RTMP or RTMPS.
    Rtmp {
        /// The URL as the user typed it, valid by [`OutputUrl`](crate::output_url::OutputUrl): it may
        /// name a user and a password.
        #[serde(serialize_with = "secret::exposed")]
        url: Secret,
        /// The key, byte for byte.
        #[serde(serialize_with = "secret::exposed")]
        stream_key: Secret,
    },
    /// A kind of a newer control plane: reported as unsupported.
    #[serde(other)]
    Unknown,
}

/// A frame from a node to the control plane.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToControl {
    /// What the node has; the first frame of a connection, then once a minute.
    Report(Report),
    /// A snapshot took effect.
    Applied(Applied),
    /// Something happened.
    Events(Events),
    /// How its broadcasts are doing.
    Figures(Figures),
    /// A kind of a newer node.
    #[serde(other)]
    Unknown,
}

/// A frame from the control plane to a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToNode {
    /// The answer to a report.
    Reconciliation(Reconciliation),
    /// A newer snapshot.
    Snapshot(Snapshot),
    /// Events are taken care of; the node forgets them.
    EventsTaken {
        /// Up to and including this sequence number.
        through: u64,
    },
    /// Somebody watches.
    Watch(Watch),
    /// A kind of a newer control plane.
    #[serde(other)]
    Unknown,
}

/// What a node has.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Report {
    /// The sender's [`LINK_VERSION`].
    pub version: u32,
    /// The run of the node's process.
    pub instance: Instance,
    /// Every input on air at the node, and the `rev` it has applied.
    pub revs: BTreeMap<InputUid, u64>,
    /// Events not yet acknowledged, oldest first, at most
    /// [`MAX_EVENTS_PER_REPORT`](crate::limits::MAX_EVENTS_PER_REPORT).
    #[serde(default)]
    pub events: Vec<Event>,
    /// How its broadcasts are doing, where the node polls: over the socket they come by
    /// themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<InputFigures>,
}

/// The answer to a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Reconciliation {
    /// The sender's [`LINK_VERSION`].
    pub version: u32,
    /// Snapshots newer than the reported `rev`s.
    pub snapshots: Vec<Snapshot>,
    /// Events up to and including this sequence number are taken care of; the node forgets them.
    #[serde(default)]
    pub events_through: u64,
}

/// An acknowledgement: the node has applied the snapshot, or a newer one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Applied {
    /// The live input.
    pub input: InputUid,
    /// The snapshot's `rev`.
    pub rev: u64,
    /// Outputs whose target this node cannot serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<OutputUid>,
    /// The node does not know this kind of wish, and goes on as before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown_wish: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INPUT: &str = "66be4bf738797e01e1fca35a7bdecdcd";
    const OUTPUT: &str = "6f8339ed45fe87daa8e7f0fe4e4ef776";

    #[test]
    fn a_snapshot_reads_back_and_hides_its_keys() {
        let snapshot = Snapshot {
            input: INPUT.parse().unwrap(),
            rev: 7,
            epoch: 2,
            owner: None,
            oldest_key: 0,
            account: None,
            wish: Wish::Relay {
                outputs: vec![WantedOutput {
                    uid: OUTPUT.parse().unwrap(),
                    enabled: true,
                    retry: 0,
                    target: Target::Rtmp {
                        url: Secret::new("rtmp://example.com/live"),
                        stream_key: Secret::new("hunter2"),
                    },
                }],
                settings: InputSettings::default(),
            },
        };
        let text = serde_json::to_string(&ToNode::Snapshot(snapshot.clone())).unwrap();
        assert_eq!(
            serde_json::from_str::<ToNode>(&text).unwrap(),
            ToNode::Snapshot(snapshot.clone())
        );
        assert!(text.contains("hunter2"));
        assert!(!format!("{snapshot:?}").contains("hunter2"));
    }

    #[test]
    fn an_acknowledgement_says_more_only_where_there_is_more_to_say() {
        let plain = json!({"type": "applied", "input": INPUT, "rev": 3});
        let more = json!({
            "type": "applied", "input": INPUT, "rev": 3,
            "unsupported": [OUTPUT], "unknown_wish": true,
        });
        for (frame, says_more) in [(plain, false), (more, true)] {
            // What an older node leaves out reads as nothing to say.
            let read: ToControl = serde_json::from_value(frame.clone()).unwrap();
            let ToControl::Applied(applied) = &read else {
                panic!("not an acknowledgement");
            };
            assert_eq!(applied.unknown_wish, says_more);
            assert_eq!(applied.unsupported.len(), usize::from(says_more));
            assert_eq!(serde_json::to_value(&read).unwrap(), frame);
        }
    }

    #[test]
    fn unknown_kinds_and_fields_of_newer_peers_are_read() {
        let frame = json!({"type": "weather", "rain": true});
        assert_eq!(
            serde_json::from_value::<ToNode>(frame).unwrap(),
            ToNode::Unknown
        );
        let snapshot = json!({
            "input": INPUT, "rev": 1, "epoch": 1, "mood": "new",
            "wish": {"state": "relay", "outputs": [
                {"uid": OUTPUT, "enabled": true, "target": {"kind": "srt", "url": "srt://a"}},
            ]},
        });
        let snapshot: Snapshot = serde_json::from_value(snapshot).unwrap();
        let Wish::Relay { outputs, settings } = snapshot.wish else {
            panic!("not a relay wish");
        };
        assert_eq!(outputs[0].target, Target::Unknown);
        assert_eq!(settings, InputSettings::default());
        let paused = json!({"state": "paused"});
        assert_eq!(
            serde_json::from_value::<Wish>(paused).unwrap(),
            Wish::Unknown
        );
        let refused = json!({"decision": "refused", "reason": "tired"});
        assert_eq!(
            serde_json::from_value::<PublishAnswer>(refused).unwrap(),
            PublishAnswer::Refused {
                reason: PublishRefusal::Unknown
            }
        );
    }
}
