use bytes::Bytes;
use rtmp::{
    ChunkError, ChunkReader, ChunkSize, ChunkStreamId, ChunkedMessage, Limits, Message, MessageType,
};

use crate::pieces::Pieces;

/// Small, so that few bytes reach them.
const LIMITS: Limits = Limits {
    max_message: 6000,
    max_command: 800,
    max_chunk_streams: 6,
    max_partial_bytes: 8000,
};

/// The longest header of a chunk.
const HEADER: usize = 18;

/// The chunk reader: `[seed of the split, bytes…]`.
///
/// It reads the same whatever the split, holds no more than it may, and what it has read is read
/// again when we write it.
pub fn chunk_reader(data: &[u8]) {
    let Some((&seed, wire)) = data.split_first() else {
        return;
    };
    let whole = read(wire, 0);
    assert!(whole == read(wire, seed), "the split makes a difference");
    let payloads: usize = whole.0.iter().map(|message| message.payload.len()).sum();
    assert!(payloads <= wire.len());
    if let Some(size) = ChunkSize::new(1 + 7 * u32::from(seed)) {
        write_and_read(&whole.0, size, usize::from(seed));
    }
}

fn read(wire: &[u8], seed: u8) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = ChunkReader::new(LIMITS);
    let mut messages = Vec::new();
    for piece in Pieces::new(wire, seed) {
        reader.push(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => {
                    assert!(message.payload.len() <= LIMITS.max_message);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_message(), Err(error));
                    return (messages, Some(error));
                }
            }
        }
        let held = reader.read_buf().len();
        assert!(held < LIMITS.max_message + HEADER, "{held} bytes held back");
    }
    (messages, None)
}

fn write_and_read(messages: &[Message], size: ChunkSize, skip: usize) {
    let mut reader = ChunkReader::new(LIMITS);
    let announced = Bytes::copy_from_slice(&size.get().to_be_bytes());
    let announced = Message {
        kind: MessageType::SET_CHUNK_SIZE,
        timestamp: 0,
        stream_id: 0,
        payload: announced,
    };
    push(&mut reader, &announced, ChunkSize::INITIAL, skip);
    assert_eq!(reader.next_message(), Ok(None));
    for message in messages {
        push(&mut reader, message, size, skip);
        assert_eq!(reader.next_message().as_ref(), Ok(&Some(message.clone())));
        assert_eq!(reader.next_message(), Ok(None));
    }
}

fn push(reader: &mut ChunkReader, message: &Message, size: ChunkSize, skip: usize) {
    let Message {
        kind,
        timestamp,
        stream_id,
        payload,
    } = message;
    let written = ChunkedMessage::new(
        ChunkStreamId::VIDEO,
        *stream_id,
        *kind,
        *timestamp,
        payload.clone(),
        size,
    );
    let Ok(written) = written else { return };
    let bytes = written.to_bytes();
    assert_eq!(bytes.len(), written.len());
    let mut slices = Vec::new();
    written.slices(skip, &mut slices);
    let sliced: Vec<u8> = slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect();
    assert_eq!(sliced, bytes.get(skip..).unwrap_or_default());
    reader.push(&bytes);
}
