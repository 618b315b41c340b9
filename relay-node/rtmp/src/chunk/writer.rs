//! Messages to bytes.

use std::io::IoSlice;

use bytes::{BufMut, Bytes, BytesMut};

use super::ChunkSize;
use super::header::EXTENDED;
use crate::message::MessageType;

/// The chunk size that we announce: most frames fit into one chunk or two, and peers take it.
pub const OUT_CHUNK_SIZE: ChunkSize = ChunkSize(65_536);

/// The longest payload that the 24-bit length can announce.
const MAX_PAYLOAD: usize = 0xFF_FFFF;
/// One byte of basic header, 11 of a type 0 header, 4 of extended timestamp.
const MAX_HEAD: usize = 16;
/// One byte of basic header, 4 of extended timestamp.
const MAX_CONTINUATION: usize = 5;

/// A chunk stream of ours, of those whose id takes one byte.
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
///
/// It always begins with a type 0 header, which says everything. So nothing about earlier messages
/// need be remembered, any message may be left out before its first byte is written, and the
/// timestamp is the connection's own.
#[derive(Clone, Debug)]
pub struct ChunkedMessage {
    head: Header<MAX_HEAD>,
    /// The type 3 header before every chunk but the first. It repeats an extended timestamp, as
    /// the specification (section 5.3.1.3) and FFmpeg want.
    continuation: Header<MAX_CONTINUATION>,
    payload: Bytes,
    chunk_size: ChunkSize,
}

impl ChunkedMessage {
    /// Wraps `payload`, which is not copied. `timestamp` is in milliseconds.
    ///
    /// # Errors
    ///
    /// The payload is longer than a message can be.
    pub fn new(
        chunk_stream: ChunkStreamId,
        message_stream: u32,
        kind: MessageType,
        timestamp: u32,
        payload: Bytes,
        chunk_size: ChunkSize,
    ) -> Result<Self, PayloadTooLong> {
        let len = match u32::try_from(payload.len()) {
            Ok(len) if payload.len() <= MAX_PAYLOAD => len,
            _ => return Err(PayloadTooLong(payload.len())),
        };
        let mut head = Header::EMPTY;
        let mut continuation = Header::EMPTY;
        head.put(&[chunk_stream.0]);
        continuation.put(&[0xC0 | chunk_stream.0]);
        head.put(&u24(timestamp.min(EXTENDED)));
        head.put(&u24(len));
        head.put(&[kind.0]);
        head.put(&message_stream.to_le_bytes());
        if timestamp >= EXTENDED {
            head.put(&timestamp.to_be_bytes());
            continuation.put(&timestamp.to_be_bytes());
        }
        Ok(Self {
            head,
            continuation,
            payload,
            chunk_size,
        })
    }

    /// Bytes on the wire.
    #[expect(clippy::len_without_is_empty, reason = "there is always a header")]
    pub fn len(&self) -> usize {
        let chunks = self.payload.len().div_ceil(self.chunk_size.get() as usize);
        let continuations = chunks.saturating_sub(1);
        self.head.len() + self.payload.len() + continuations * self.continuation.len()
    }

    /// Appends what is left to write after the first `skip` bytes; nothing if that is all.
    pub fn slices<'a>(&'a self, mut skip: usize, out: &mut Vec<IoSlice<'a>>) {
        for part in self.parts() {
            match part.get(skip..) {
                Some(rest) if !rest.is_empty() => {
                    out.push(IoSlice::new(rest));
                    skip = 0;
                }
                _ => skip -= part.len(),
            }
        }
    }

    /// All of it in one piece, copied: for control messages and commands.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.len());
        self.put(&mut bytes);
        bytes.freeze()
    }

    /// Appends all of it to `bytes`, copied.
    pub fn put(&self, bytes: &mut BytesMut) {
        for part in self.parts() {
            bytes.put_slice(part);
        }
    }

    /// Header, chunk, header, chunk, …; none but the payload's can be empty.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut chunks = self.payload.chunks(self.chunk_size.get() as usize);
        let first = [self.head.bytes(), chunks.next().unwrap_or_default()];
        let continuation = self.continuation.bytes();
        first
            .into_iter()
            .chain(chunks.flat_map(move |chunk| [continuation, chunk]))
    }
}

/// A payload of 16 MiB or more, which no message can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes is longer than RTMP allows (16777215)")]
pub struct PayloadTooLong(pub usize);

/// A header of at most `N` bytes.
#[derive(Clone, Copy, Debug)]
struct Header<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Header<N> {
    const EMPTY: Self = Self {
        bytes: [0; N],
        len: 0,
    };

    fn put(&mut self, field: &[u8]) {
        let free = self.bytes.iter_mut().skip(usize::from(self.len));
        for (to, from) in free.zip(field) {
            *to = *from;
            self.len += 1;
        }
    }

    fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }
}

fn u24(value: u32) -> [u8; 3] {
    let [_, a, b, c] = value.to_be_bytes();
    [a, b, c]
}
