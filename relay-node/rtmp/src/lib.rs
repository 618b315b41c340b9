//! The RTMP protocol, sans-IO: bytes and time in, bytes and events out.
//!
//! From the wire up: [`Handshake`], then [`ChunkReader`] (bytes to [`Message`]s) and
//! [`ChunkedMessage`] (messages to bytes), [`amf0`] inside commands, and on top of them the
//! [`server`] session that an encoder publishes to and the [`client`] that publishes to a
//! destination. [`flv`] tells keyframes and sequence headers from the rest.

mod aggregate;
mod allowance;
pub mod amf0;
mod capabilities;
mod chunk;
pub mod client;
mod command;
mod connection;
pub mod flv;
mod handshake;
mod message;
pub mod server;
mod stream_name;
#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use capabilities::{Capabilities, CapsEx, FourCcInfo};
pub use chunk::{
    ChunkError, ChunkReader, ChunkSize, ChunkStreamId, ChunkedMessage, DEFAULT_MAX_CHUNK_STREAMS,
    DEFAULT_MAX_COMMAND, DEFAULT_MAX_MESSAGE, DEFAULT_MAX_PARTIAL_BYTES, Limits, OUT_CHUNK_SIZE,
    PayloadTooLong,
};
pub use command::CommandError;
pub use connection::{MAX_QUEUED_OUTPUT, ProtocolError};
pub use handshake::{Handshake, HandshakeError, Progress};
pub use message::{Message, MessageType};
pub use stream_name::StreamName;
