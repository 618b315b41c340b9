//! Bytes to messages.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::ChunkSize;
use super::error::ChunkError;
use super::header::{ChunkHeader, Fields, Time};
use super::limits::Limits;
use crate::message::{Message, MessageType};

/// What is read from a socket at a time shares a block of this size: messages sliced out of it keep
/// all of it alive, and a block of 64 KiB is full within a tenth of a second of video.
const READ_BLOCK: usize = 64 << 10;
/// Room for one TLS record; with less left in a block a new one is begun.
const READ_ROOM: usize = 16 << 10;

/// Puts messages together from a peer's chunks.
///
/// Bytes go in by [`push`](Self::push), or without a copy by reading from a socket into
/// [`read_buf`](Self::read_buf); after each, [`next_message`](Self::next_message) is called until
/// it has none. Chunks of different chunk streams may interleave. A message that came in one chunk
/// is a slice of what was read; others are copied once.
///
/// What it holds is bounded by its [`Limits`]: unfinished messages take at most twice the bytes
/// that came for them, and what has not been put together is shorter than one chunk (and one push).
#[derive(Debug)]
pub struct ChunkReader {
    limits: Limits,
    chunk_size: ChunkSize,
    buffer: BytesMut,
    consumed: u64,
    chunk_streams: Vec<ChunkStream>,
    partial_bytes: usize,
    failed: Option<ChunkError>,
}

impl ChunkReader {
    /// A reader at the start of a connection, after the handshake.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: ChunkSize::INITIAL,
            buffer: BytesMut::new(),
            consumed: 0,
            chunk_streams: Vec::new(),
            partial_bytes: 0,
            failed: None,
        }
    }

    /// Takes bytes that the peer sent, in any pieces.
    pub fn push(&mut self, bytes: &[u8]) {
        self.read_buf().extend_from_slice(bytes);
    }

    /// The buffer to append received bytes to, with room for a TLS record at least.
    pub fn read_buf(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() == 0 {
            self.buffer = BytesMut::with_capacity(READ_BLOCK);
        }
        self.buffer.reserve(READ_ROOM);
        &mut self.buffer
    }

    /// The next whole message. Set Chunk Size and Abort are obeyed here and not returned.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit. The rest can't be understood any more: every later
    /// call answers the same error.
    pub fn next_message(&mut self) -> Result<Option<Message>, ChunkError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.advance()
            .inspect_err(|error| self.failed = Some(*error))
    }

    /// Changes the limits, for messages that begin from here on: a peer that has shown who it is may
    /// say more.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// All bytes that ever came in; an acknowledgement carries its low 32 bits.
    pub fn bytes_received(&self) -> u64 {
        self.consumed + self.buffer.len() as u64
    }

    #[cfg(test)]
    pub(super) fn partial_capacity(&self) -> usize {
        self.chunk_streams
            .iter()
            .map(|stream| stream.partial.capacity())
            .sum()
    }

    fn advance(&mut self) -> Result<Option<Message>, ChunkError> {
        while let Some(read) = self.read_chunk()? {
            let Some(message) = read else { continue };
            match message.kind {
                MessageType::SET_CHUNK_SIZE => {
                    self.chunk_size = announced_chunk_size(control_value(&message)?)?;
                }
                MessageType::ABORT => self.abort(control_value(&message)?),
                _ => return Ok(Some(message)),
            }
        }
        Ok(None)
    }

    /// Takes one chunk off the buffer: `None` if it is not all there yet, `Some(None)` if its
    /// message goes on. Nothing changes before the chunk is complete.
    fn read_chunk(&mut self) -> Result<Option<Option<Message>>, ChunkError> {
        let Some(header) = ChunkHeader::parse(&self.buffer) else {
            return Ok(None);
        };
        let chunk_stream = find_or_add(
            &mut self.chunk_streams,
            header.chunk_stream,
            self.limits.max_chunk_streams,
        )?;
        let after = self.buffer.get(header.size..).unwrap_or_default();
        let Some((about, repeated)) = chunk_stream.resolve(&header, after)? else {
            return Ok(None);
        };

        let max = self.limits.max_len(about.kind);
        if about.len > max {
            return Err(ChunkError::MessageTooLong {
                kind: about.kind,
                len: about.len,
                max,
            });
        }
        let missing = about.len - chunk_stream.partial.len();
        let len = missing.min(self.chunk_size.get() as usize);
        let max = self.limits.max_partial_bytes;
        if self.partial_bytes + len > max {
            return Err(ChunkError::TooMuchUnfinished { max });
        }
        let header_len = header.size + repeated;
        if self.buffer.len() < header_len + len {
            return Ok(None);
        }

        self.consumed += (header_len + len) as u64;
        self.buffer.advance(header_len);
        chunk_stream.last = Some(about);
        let payload = if len == about.len {
            // An empty slice would keep the block alive for nothing.
            if len == 0 {
                Bytes::new()
            } else {
                self.buffer.split_to(len).freeze()
            }
        } else {
            self.partial_bytes += len;
            chunk_stream.append(self.buffer.get(..len).unwrap_or_default(), about.len);
            self.buffer.advance(len);
            if len < missing {
                return Ok(Some(None));
            }
            self.partial_bytes -= about.len;
            Bytes::from(mem::take(&mut chunk_stream.partial))
        };
        Ok(Some(Some(Message {
            kind: about.kind,
            timestamp: about.timestamp,
            stream_id: about.stream_id,
            payload,
        })))
    }

    fn abort(&mut self, id: u32) {
        if let Some(stream) = self.chunk_streams.iter_mut().find(|stream| stream.id == id) {
            self.partial_bytes -= mem::take(&mut stream.partial).len();
        }
    }
}

/// What is remembered of a chunk stream.
#[derive(Debug)]
struct ChunkStream {
    id: u32,
    last: Option<About>,
    /// What has come of an unfinished message; empty if there is none.
    partial: Vec<u8>,
}

/// A message as its headers describe it.
#[derive(Clone, Copy, Debug)]
struct About {
    kind: MessageType,
    len: usize,
    stream_id: u32,
    timestamp: u32,
    /// What a message without a time of its own adds; after a type 0 header its very timestamp
    /// (section 5.3.1.2.4; FFmpeg writes it so).
    delta: Time,
}

impl ChunkStream {
    /// Completes `header` with what is remembered. Says also how many bytes `after` it repeat the
    /// extended timestamp; `None` if that can't be known yet.
    fn resolve(
        &self,
        header: &ChunkHeader,
        after: &[u8],
    ) -> Result<Option<(About, usize)>, ChunkError> {
        let chunk_stream = self.id;
        let started = self.partial.len();
        if started > 0
            && header.fields != Fields::Nothing
            && let Some(last) = self.last
        {
            let missing = last.len - started;
            return Err(ChunkError::MessageInterrupted {
                chunk_stream,
                missing,
            });
        }
        let about = match (header.fields, self.last) {
            (
                Fields::All {
                    timestamp,
                    len,
                    kind,
                    stream_id,
                },
                _,
            ) => About {
                kind,
                len,
                stream_id,
                timestamp: timestamp.value,
                delta: timestamp,
            },
            // librtmp begins chunk stream 2 so when the first thing it has to say is a pong.
            (Fields::NoStream { delta, len, kind }, None) => About {
                kind,
                len,
                stream_id: 0,
                timestamp: delta.value,
                delta,
            },
            (Fields::NoStream { delta, len, kind }, Some(last)) => About {
                kind,
                len,
                ..last.later(delta)
            },
            (Fields::TimeOnly { delta }, Some(last)) => last.later(delta),
            (Fields::Nothing, Some(last)) => {
                let Some(repeated) = repeats(last.delta, after) else {
                    return Ok(None);
                };
                let about = if started > 0 {
                    last
                } else {
                    last.later(last.delta)
                };
                return Ok(Some((about, repeated)));
            }
            (Fields::TimeOnly { .. } | Fields::Nothing, None) => {
                return Err(ChunkError::NoEarlierHeader { chunk_stream });
            }
        };
        Ok(Some((about, 0)))
    }

    /// Grows by doubling and never beyond `whole`, so that a peer gets as much memory as it pays
    /// for with bytes, and a finished message has none to spare.
    fn append(&mut self, bytes: &[u8], whole: usize) {
        let needed = self.partial.len() + bytes.len();
        if needed > self.partial.capacity() {
            let capacity = whole.min(2 * needed);
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(bytes);
    }
}

impl About {
    fn later(self, delta: Time) -> Self {
        Self {
            timestamp: self.timestamp.wrapping_add(delta.value),
            delta,
            ..self
        }
    }
}

/// How many bytes after a type 3 header repeat the extended timestamp. The specification wants it
/// repeated and older senders don't, so the four bytes count only if they are the same.
fn repeats(last: Time, after: &[u8]) -> Option<usize> {
    if !last.extended {
        return Some(0);
    }
    let value = last.value.to_be_bytes();
    if after.starts_with(&value) {
        Some(value.len())
    } else if value.starts_with(after) {
        None
    } else {
        Some(0)
    }
}

fn find_or_add(
    all: &mut Vec<ChunkStream>,
    id: u32,
    max: usize,
) -> Result<&mut ChunkStream, ChunkError> {
    let full = ChunkError::TooManyChunkStreams { max };
    if !all.iter().any(|stream| stream.id == id) {
        if all.len() >= max {
            return Err(full);
        }
        all.push(ChunkStream {
            id,
            last: None,
            partial: Vec::new(),
        });
    }
    all.iter_mut().find(|stream| stream.id == id).ok_or(full)
}

/// The number that a control message consists of.
fn control_value(message: &Message) -> Result<u32, ChunkError> {
    match message.payload.first_chunk() {
        Some(value) => Ok(u32::from_be_bytes(*value)),
        None => Err(ChunkError::ShortControl {
            kind: message.kind,
            len: message.payload.len(),
        }),
    }
}

/// Any size of 31 bits is legal (section 5.4.1), some peers say 2^31 - 1 and mean "never split":
/// beyond the longest message it makes no difference.
fn announced_chunk_size(value: u32) -> Result<ChunkSize, ChunkError> {
    if value > i32::MAX as u32 {
        return Err(ChunkError::ChunkSize(value));
    }
    ChunkSize::new(value.min(ChunkSize::MAX.get())).ok_or(ChunkError::ChunkSize(value))
}
