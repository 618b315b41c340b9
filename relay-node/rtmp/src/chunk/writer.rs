//! Messages to bytes.

use std::io::IoSlice;

use bytes::Bytes;

use super::ChunkSize;
use crate::message::MessageType;

/// The chunk size that we announce: most frames need one chunk, and a header costs nothing.
pub const OUT_CHUNK_SIZE: ChunkSize = ChunkSize(65_536);

/// A chunk stream of ours, 2 to 63: those whose id takes one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkStreamId(u8);

impl ChunkStreamId {
    /// Protocol control (required by section 5.4).
    pub const CONTROL: Self = Self(2);
    /// Commands of the connection.
    pub const COMMAND: Self = Self(3);
    /// Audio.
    pub const AUDIO: Self = Self(4);
    /// Script data.
    pub const DATA: Self = Self(5);
    /// Video.
    pub const VIDEO: Self = Self(6);
    /// Commands of a message stream (`publish`, `onStatus`).
    pub const STREAM_COMMAND: Self = Self(8);
}

/// A message as it goes out: own headers round a shared payload.
#[derive(Clone, Debug)]
pub struct ChunkedMessage {}

impl ChunkedMessage {
    /// Wraps `payload`, which is not copied.
    ///
    /// # Errors
    ///
    /// The payload is longer than the protocol can say.
    pub fn new(
        chunk_stream: ChunkStreamId,
        message_stream: u32,
        kind: MessageType,
        timestamp: u32,
        payload: Bytes,
        chunk_size: ChunkSize,
    ) -> Result<Self, PayloadTooLong> {
        let _ = (
            chunk_stream,
            message_stream,
            kind,
            timestamp,
            payload,
            chunk_size,
        );
        todo!()
    }

    /// Bytes on the wire.
    #[expect(clippy::len_without_is_empty, reason = "a header is always there")]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Appends the slices that are left to write after the first `skip` bytes.
    pub fn slices<'a>(&'a self, skip: usize, out: &mut Vec<IoSlice<'a>>) {
        let _ = (skip, out);
        todo!()
    }

    /// All of it in one piece, copied: for control messages.
    pub fn to_bytes(&self) -> Bytes {
        todo!()
    }
}

/// A payload of 16 MiB or more, which no message can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes is longer than RTMP allows (16 777 215)")]
pub struct PayloadTooLong(pub usize);
