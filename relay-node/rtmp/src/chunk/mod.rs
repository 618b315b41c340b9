//! The chunk stream (RTMP 1.0, section 5): how messages share one connection.

mod error;
mod header;
mod limits;
mod reader;
#[cfg(test)]
mod reader_tests;
mod writer;
#[cfg(test)]
mod writer_tests;

pub use error::ChunkError;
pub use limits::{
    DEFAULT_MAX_CHUNK_STREAMS, DEFAULT_MAX_COMMAND, DEFAULT_MAX_MESSAGE, DEFAULT_MAX_PARTIAL_BYTES,
    Limits,
};
pub use reader::ChunkReader;
pub use writer::{ChunkStreamId, ChunkedMessage, OUT_CHUNK_SIZE, PayloadTooLong};

/// The most payload that one chunk carries: 1 byte to 16 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkSize(u32);

impl ChunkSize {
    /// What both sides begin with (section 5.4.1).
    pub const INITIAL: Self = Self(128);
    /// No message is longer than 24 bits can say, so more would change nothing (section 5.4.1).
    pub const MAX: Self = Self(16 << 20);

    /// A chunk size of `bytes`, 1 to 16 MiB.
    pub const fn new(bytes: u32) -> Option<Self> {
        if bytes == 0 || bytes > Self::MAX.0 {
            None
        } else {
            Some(Self(bytes))
        }
    }

    /// In bytes.
    pub const fn get(self) -> u32 {
        self.0
    }
}
