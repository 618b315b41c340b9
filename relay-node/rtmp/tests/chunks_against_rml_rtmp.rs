//! The chunk reader and writer against rml_rtmp's, and against each other.
//!
//! rml_rtmp's reader knows no interleaving and its writer no empty payloads
//! (`rml_rtmp_defects.rs`), so those are tried without it.

#![cfg(test)]

mod interleaver;

use bytes::Bytes;
use interleaver::Interleaver;
use proptest::prelude::*;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;
use rtmp::{
    ChunkReader, ChunkSize, ChunkStreamId, ChunkedMessage, DEFAULT_MAX_COMMAND, Limits, Message,
    MessageType,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn their_writer_our_reader(steps in steps(1), cuts in cuts()) {
        let mut writer = ChunkSerializer::new();
        let mut timestamp = RtmpTimestamp::new(0);
        let mut wire = Vec::new();
        let mut sent = Vec::new();
        for step in steps {
            timestamp = timestamp + step.later;
            // Below 4 it could not announce the next one (`rml_rtmp_defects.rs`).
            if let Some(size) = step.chunk_size.filter(|size| size.get() >= 4) {
                wire.extend(writer.set_max_chunk_size(size.get(), timestamp).unwrap().bytes);
            }
            let message = step.message(timestamp.value);
            wire.extend(writer.serialize(&theirs(&message), false, step.droppable).unwrap().bytes);
            sent.push(message);
        }
        prop_assert_eq!(read(&wire, &cuts), sent);
    }

    #[test]
    fn our_writer_their_reader(steps in steps(0)) {
        let (wire, sent) = write(steps);
        let mut reader = ChunkDeserializer::new();
        let mut received = Vec::new();
        let mut input = &wire[..];
        while let Some(message) = reader.get_next_message(input).unwrap() {
            input = &[];
            if message.type_id == MessageType::SET_CHUNK_SIZE.0 {
                let size = u32::from_be_bytes(message.data[..].try_into().unwrap());
                reader.set_max_chunk_size(size as usize).unwrap();
            } else {
                received.push(message);
            }
        }
        prop_assert_eq!(received, sent.iter().map(theirs).collect::<Vec<_>>());
    }

    #[test]
    fn our_writer_our_reader(steps in steps(0), cuts in cuts()) {
        let (wire, sent) = write(steps);
        prop_assert_eq!(read(&wire, &cuts), sent);
    }

    #[test]
    fn interleaved_chunk_streams(
        queues in prop::collection::vec(steps(0), 1..5),
        choices in prop::collection::vec(any::<u8>(), 1..200),
        cuts in cuts(),
    ) {
        let (wire, sent) = Interleaver::new(queues, choices).run();
        prop_assert_eq!(read(&wire, &cuts), sent);
    }
}

/// One message to send, and how.
#[derive(Clone, Debug)]
struct Step {
    kind: MessageType,
    stream_id: u32,
    /// Milliseconds after the message before; more than 2^31 go back.
    later: u32,
    /// Of the payload, whose bytes count up from `fill`.
    len: usize,
    fill: u8,
    chunk_size: Option<ChunkSize>,
    droppable: bool,
}

impl Step {
    fn message(&self, timestamp: u32) -> Message {
        let Self {
            kind,
            stream_id,
            len,
            fill,
            ..
        } = *self;
        let payload = (0..len)
            .map(|index| fill.wrapping_add(index as u8))
            .collect();
        Message {
            kind,
            timestamp,
            stream_id,
            payload,
        }
    }
}

prop_compose! {
    fn step(shortest: usize)(
        kind in prop::sample::select(vec![
            MessageType::AUDIO,
            MessageType::VIDEO,
            MessageType::DATA_AMF0,
            MessageType::COMMAND_AMF0,
            MessageType::WINDOW_ACK_SIZE,
            MessageType(77),
        ]),
        stream_id in prop::sample::select(vec![0, 1, 0x0102_0304]),
        later in prop_oneof![
            6 => prop::sample::select(vec![0_u32, 23, 23, 33]),
            1 => 0xFF_FFFE..=0x100_0001_u32,
            1 => 0..20_000_000_u32,
            1 => any::<u32>(),
        ],
        len in prop_oneof![
            4 => prop::sample::select(vec![shortest, 1, 127, 128, 129, 256, 257]),
            2 => 1..2000_usize,
            1 => 60_000..70_000_usize,
        ],
        fill in any::<u8>(),
        chunk_size in prop::option::weighted(0.2, prop_oneof![1..300_u32, Just(4096), Just(65_536)]),
        droppable in any::<bool>(),
    ) -> Step {
        let is_long = matches!(kind, MessageType::AUDIO | MessageType::VIDEO | MessageType(77));
        let len = if is_long { len } else { len.min(DEFAULT_MAX_COMMAND) };
        Step {
            kind,
            stream_id,
            later,
            len,
            fill,
            chunk_size: chunk_size.and_then(ChunkSize::new),
            droppable,
        }
    }
}

fn steps(shortest_payload: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(shortest_payload), 1..20)
}

/// How many bytes come at a time, over and over.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..20_usize, 1..5000_usize], 1..20)
}

fn theirs(message: &Message) -> MessagePayload {
    MessagePayload {
        timestamp: RtmpTimestamp::new(message.timestamp),
        type_id: message.kind.0,
        message_stream_id: message.stream_id,
        data: message.payload.clone(),
    }
}

fn write(steps: Vec<Step>) -> (Vec<u8>, Vec<Message>) {
    let (mut wire, mut sent, mut timestamp) = (Vec::new(), Vec::new(), 0_u32);
    let mut chunk_size = ChunkSize::INITIAL;
    let mut write = |stream, message: &Message, chunk_size| {
        let Message {
            kind,
            timestamp,
            stream_id,
            ref payload,
        } = *message;
        let chunked = ChunkedMessage::new(
            stream,
            stream_id,
            kind,
            timestamp,
            payload.clone(),
            chunk_size,
        );
        wire.extend_from_slice(&chunked.unwrap().to_bytes());
    };
    for step in steps {
        timestamp = step.later.wrapping_add(timestamp);
        if let Some(size) = step.chunk_size {
            write(ChunkStreamId::CONTROL, &set_chunk_size(size), chunk_size);
            chunk_size = size;
        }
        let message = step.message(timestamp);
        let stream = match step.kind {
            MessageType::AUDIO => ChunkStreamId::AUDIO,
            MessageType::VIDEO => ChunkStreamId::VIDEO,
            _ => ChunkStreamId::COMMAND,
        };
        write(stream, &message, chunk_size);
        sent.push(message);
    }
    (wire, sent)
}

fn set_chunk_size(size: ChunkSize) -> Message {
    Message {
        kind: MessageType::SET_CHUNK_SIZE,
        timestamp: 0,
        stream_id: 0,
        payload: Bytes::copy_from_slice(&size.get().to_be_bytes()),
    }
}

fn read(wire: &[u8], cuts: &[usize]) -> Vec<Message> {
    let mut reader = ChunkReader::new(Limits::default());
    let mut received = Vec::new();
    let (mut rest, mut cuts) = (wire, cuts.iter().cycle());
    while !rest.is_empty() {
        let cut = rest.len().min(*cuts.next().unwrap());
        let (piece, after) = rest.split_at(cut);
        rest = after;
        reader.push(piece);
        while let Some(message) = reader.next_message().unwrap() {
            received.push(message);
        }
    }
    assert_eq!(reader.bytes_received(), wire.len() as u64);
    received
}
