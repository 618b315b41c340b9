//! What happens to a live input, as event streams and webhooks tell it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::status::{CurrentStatus, InputError, OutputStatus};
use crate::id::{InputUid, OutputUid};
use crate::time::Timestamp;

/// Something that happened to a live input or one of its outputs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ApiEvent {
    /// Unique, and the same in every delivery.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// The live input.
    pub input: InputUid,
    /// How the input stands after it, for its own events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<CurrentStatus>,
    /// The output, for events of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputInEvent>,
    /// What is wrong, for [`EventKind::Errored`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<InputError>,
}

/// The output of an event.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct OutputInEvent {
    /// Its id.
    pub uid: OutputUid,
    /// How it stands after the event.
    pub status: OutputStatus,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
pub enum EventKind {
    /// An encoder began or came back.
    #[serde(rename = "live_input.connected")]
    Connected,
    /// The encoder vanished, and the broadcast waits for it.
    #[serde(rename = "live_input.reconnecting")]
    Reconnecting,
    /// The broadcast is over.
    #[serde(rename = "live_input.disconnected")]
    Disconnected,
    /// Something is wrong with what the encoder sends.
    #[serde(rename = "live_input.errored")]
    Errored,
    /// The node that has the input on air is silent.
    #[serde(rename = "live_input.unknown")]
    Unknown,
    /// An output was switched off.
    #[serde(rename = "live_input.output.disabled")]
    OutputDisabled,
    /// An output has nothing to send any more.
    #[serde(rename = "live_input.output.idle")]
    OutputIdle,
    /// An output is on the way to its destination.
    #[serde(rename = "live_input.output.connecting")]
    OutputConnecting,
    /// An output's destination takes the stream.
    #[serde(rename = "live_input.output.live")]
    OutputLive,
    /// An output's destination acknowledges nothing.
    #[serde(rename = "live_input.output.stalled")]
    OutputStalled,
    /// An output waits to try again after a failure.
    #[serde(rename = "live_input.output.backoff")]
    OutputBackoff,
    /// An output was refused: a person has to change something.
    #[serde(rename = "live_input.output.failed")]
    OutputFailed,
    /// Nobody knows how an output stands.
    #[serde(rename = "live_input.output.unknown")]
    OutputUnknown,
}

impl EventKind {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::Connected,
        Self::Reconnecting,
        Self::Disconnected,
        Self::Errored,
        Self::Unknown,
        Self::OutputDisabled,
        Self::OutputIdle,
        Self::OutputConnecting,
        Self::OutputLive,
        Self::OutputStalled,
        Self::OutputBackoff,
        Self::OutputFailed,
        Self::OutputUnknown,
    ];

    /// Its name, as JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "live_input.connected",
            Self::Reconnecting => "live_input.reconnecting",
            Self::Disconnected => "live_input.disconnected",
            Self::Errored => "live_input.errored",
            Self::Unknown => "live_input.unknown",
            Self::OutputDisabled => "live_input.output.disabled",
            Self::OutputIdle => "live_input.output.idle",
            Self::OutputConnecting => "live_input.output.connecting",
            Self::OutputLive => "live_input.output.live",
            Self::OutputStalled => "live_input.output.stalled",
            Self::OutputBackoff => "live_input.output.backoff",
            Self::OutputFailed => "live_input.output.failed",
            Self::OutputUnknown => "live_input.output.unknown",
        }
    }

    /// Whether Cloudflare has it too.
    pub fn is_cloudflares(self) -> bool {
        matches!(self, Self::Connected | Self::Disconnected | Self::Errored)
    }
}

/// An event's id: `<uid of the live input>-<number>`, the numbers of an input counting up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    /// The live input.
    pub input: InputUid,
    /// Counts the input's events.
    pub number: u64,
}

/// A text that is no event's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event's id is the live input's uid, - and a number")]
pub struct InvalidEventId;

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.input, self.number)
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let (input, number) = text.split_once('-').ok_or(InvalidEventId)?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidEventId);
        }
        Ok(Self {
            input: input.parse().map_err(|_| InvalidEventId)?,
            number: number.parse().map_err(|_| InvalidEventId)?,
        })
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::json!(kind), kind.as_str());
        }
    }

    #[test]
    fn an_id_is_an_input_and_a_number() {
        let text = "66be4bf738797e01e1fca35a7bdecdcd-17";
        let id: EventId = text.parse().unwrap();
        assert_eq!((id.number, id.to_string().as_str()), (17, text));
        for wrong in [
            "",
            "17",
            "66be4bf738797e01e1fca35a7bdecdcd",
            "66be4bf738797e01e1fca35a7bdecdcd-",
            "66be4bf738797e01e1fca35a7bdecdcd-+1",
            "66be4bf738797e01e1fca35a7bdecdcd-99999999999999999999",
        ] {
            assert_eq!(wrong.parse::<EventId>(), Err(InvalidEventId), "{wrong}");
        }
    }
}
