//! How much a peer may make us hold.

use crate::message::MessageType;

/// A keyframe of 4K video at 100 Mbit/s stays below 4 MiB; what is announced as longer than this
/// ends the connection before a byte of it is stored.
pub const DEFAULT_MAX_MESSAGE: usize = 8 << 20;
/// Commands are a few hundred bytes; a longer one ends the connection before it is parsed.
pub const DEFAULT_MAX_COMMAND: usize = 64 << 10;
/// Encoders use four to eight. Each costs us a remembered header; one more ends the connection.
pub const DEFAULT_MAX_CHUNK_STREAMS: usize = 64;
/// The longest message and as much again beside it; a byte more in unfinished messages, or a chunk
/// on its way that would make it so, ends the connection.
pub const DEFAULT_MAX_PARTIAL_BYTES: usize = 2 * DEFAULT_MAX_MESSAGE;

/// How much a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an audio, video, data or unknown message.
    pub max_message: usize,
    /// Bytes of a command or a control message.
    pub max_command: usize,
    /// Chunk streams ever used on the connection.
    pub max_chunk_streams: usize,
    /// Bytes of all unfinished messages together.
    pub max_partial_bytes: usize,
}

impl Limits {
    pub(super) fn max_len(&self, kind: MessageType) -> usize {
        match kind {
            MessageType::SET_CHUNK_SIZE
            | MessageType::ABORT
            | MessageType::ACKNOWLEDGEMENT
            | MessageType::USER_CONTROL
            | MessageType::WINDOW_ACK_SIZE
            | MessageType::SET_PEER_BANDWIDTH
            | MessageType::COMMAND_AMF0
            | MessageType::COMMAND_AMF3 => self.max_command,
            _ => self.max_message,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: DEFAULT_MAX_MESSAGE,
            max_command: DEFAULT_MAX_COMMAND,
            max_chunk_streams: DEFAULT_MAX_CHUNK_STREAMS,
            max_partial_bytes: DEFAULT_MAX_PARTIAL_BYTES,
        }
    }
}
