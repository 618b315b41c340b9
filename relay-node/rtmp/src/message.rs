//! What travels in chunks: one message, whole.

use std::fmt;

use bytes::Bytes;

/// One RTMP message, put together from its chunks; its payload is never looked into here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the payload is.
    pub kind: MessageType,
    /// Milliseconds on the sender's clock, which starts anywhere and wraps at 2^32 (49.7 days).
    pub timestamp: u32,
    /// The message stream (a `createStream` answer); 0 is the connection itself.
    pub stream_id: u32,
    /// The payload exactly as it was sent.
    pub payload: Bytes,
}

/// A message type id (RTMP 1.0, sections 5.4 and 7.1). Any byte is one: unknown ones pass.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// The sender's chunk size from the next chunk on.
    pub const SET_CHUNK_SIZE: Self = Self(1);
    /// The unfinished message of a chunk stream will not be finished.
    pub const ABORT: Self = Self(2);
    /// How many bytes the peer has received in all.
    pub const ACKNOWLEDGEMENT: Self = Self(3);
    /// Stream begin, ping and their like.
    pub const USER_CONTROL: Self = Self(4);
    /// After how many bytes the peer wants an acknowledgement.
    pub const WINDOW_ACK_SIZE: Self = Self(5);
    /// How many unacknowledged bytes the peer lets us send.
    pub const SET_PEER_BANDWIDTH: Self = Self(6);
    /// An FLV audio tag's body.
    pub const AUDIO: Self = Self(8);
    /// An FLV video tag's body.
    pub const VIDEO: Self = Self(9);
    /// Script data in AMF3 (in practice one byte 0, then AMF0).
    pub const DATA_AMF3: Self = Self(15);
    /// A command in AMF3 (in practice one byte 0, then AMF0).
    pub const COMMAND_AMF3: Self = Self(17);
    /// Script data in AMF0: metadata, cue points.
    pub const DATA_AMF0: Self = Self(18);
    /// A command in AMF0: `connect`, `publish`, `onStatus`, …
    pub const COMMAND_AMF0: Self = Self(20);
    /// Several FLV tags in one message.
    pub const AGGREGATE: Self = Self(22);
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::SET_CHUNK_SIZE => "SetChunkSize",
            Self::ABORT => "Abort",
            Self::ACKNOWLEDGEMENT => "Acknowledgement",
            Self::USER_CONTROL => "UserControl",
            Self::WINDOW_ACK_SIZE => "WindowAckSize",
            Self::SET_PEER_BANDWIDTH => "SetPeerBandwidth",
            Self::AUDIO => "Audio",
            Self::VIDEO => "Video",
            Self::DATA_AMF3 => "DataAmf3",
            Self::COMMAND_AMF3 => "CommandAmf3",
            Self::DATA_AMF0 => "DataAmf0",
            Self::COMMAND_AMF0 => "CommandAmf0",
            Self::AGGREGATE => "Aggregate",
            Self(other) => return write!(f, "MessageType({other})"),
        };
        f.write_str(name)
    }
}
