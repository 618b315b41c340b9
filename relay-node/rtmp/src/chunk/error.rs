//! How a peer can break the chunk protocol.

use crate::message::MessageType;

/// What the peer did wrong; after it nothing on the connection can be understood any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// A message longer than the limit for its type.
    #[error("the peer announced a message ({kind:?}) of {len} bytes; at most {max} are accepted")]
    MessageTooLong {
        /// Its type.
        kind: MessageType,
        /// Its length as announced.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// More chunk streams than the limit.
    #[error("the peer uses more than {max} chunk streams")]
    TooManyChunkStreams {
        /// The limit.
        max: usize,
    },
    /// Too many messages begun and not finished.
    #[error("the peer left messages unfinished; more than {max} bytes would wait for their rest")]
    TooMuchUnfinished {
        /// The limit on their bytes.
        max: usize,
    },
    /// A header that refers to the one before it, and there was none.
    #[error(
        "the peer began chunk stream {chunk_stream} with a header that refers to an earlier one"
    )]
    NoEarlierHeader {
        /// The chunk stream.
        chunk_stream: u32,
    },
    /// A new message where the rest of the last one belonged.
    #[error(
        "the peer began a message on chunk stream {chunk_stream} with {missing} bytes of the last missing"
    )]
    MessageInterrupted {
        /// The chunk stream.
        chunk_stream: u32,
        /// Bytes of the unfinished message that had not come.
        missing: usize,
    },
    /// Zero, or a number of 32 bits.
    #[error("the peer set its chunk size to {0}; 1 to 2147483647 is allowed")]
    ChunkSize(u32),
    /// A control message without the number that it is about.
    #[error("the peer sent a control message ({kind:?}) of {len} bytes, which takes 4")]
    ShortControl {
        /// Its type.
        kind: MessageType,
        /// Its length.
        len: usize,
    },
}
