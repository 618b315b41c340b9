//! Bytes to messages.

use bytes::BytesMut;

use crate::message::Message;

/// A frame of 4K at 100 Mbit/s is below 4 MiB; a longer message is refused before it is stored.
pub const DEFAULT_MAX_MESSAGE: usize = 8 << 20;
/// Commands are a few hundred bytes; what is longer is refused before it is parsed.
pub const DEFAULT_MAX_COMMAND: usize = 64 << 10;
/// Encoders use four to eight; each costs us a remembered header.
pub const DEFAULT_MAX_CHUNK_STREAMS: usize = 32;
/// Unfinished messages of all chunk streams together: a whole message and as much beside it.
pub const DEFAULT_MAX_PARTIAL_BYTES: usize = 16 << 20;

/// How much a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an audio, video or data message.
    pub max_message: usize,
    /// Bytes of a command or a control message.
    pub max_command: usize,
    /// Chunk streams ever used on the connection.
    pub max_chunk_streams: usize,
    /// Bytes of all unfinished messages together.
    pub max_partial_bytes: usize,
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

/// Puts messages together from a peer's chunks.
///
/// Bytes go in by [`push`](Self::push), or without a copy by reading from a socket into
/// [`read_buf`](Self::read_buf); then [`next_message`](Self::next_message) until it has none.
pub struct ChunkReader {}

impl ChunkReader {
    /// A reader at the start of a connection, after the handshake.
    pub fn new(limits: Limits) -> Self {
        let _ = limits;
        todo!()
    }

    /// Takes bytes that the peer sent, in any pieces.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
        todo!()
    }

    /// The buffer to append received bytes to, with room for at least one good read.
    pub fn read_buf(&mut self) -> &mut BytesMut {
        todo!()
    }

    /// The next whole message. Set Chunk Size and Abort are obeyed here and not returned.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit; the chunk stream can't be followed any further, and
    /// every later call answers the same error.
    pub fn next_message(&mut self) -> Result<Option<Message>, ChunkError> {
        todo!()
    }

    /// All bytes that ever came in (an acknowledgement carries its low 32 bits).
    pub fn bytes_received(&self) -> u64 {
        todo!()
    }
}

/// How the peer broke the chunk protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// More than the limit for its type.
    #[error("the peer announced a message of {len} bytes, at most {max} are accepted")]
    MessageTooLong {
        /// As announced.
        len: usize,
        /// The limit.
        max: usize,
    },
}
