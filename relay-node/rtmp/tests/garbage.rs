//! What a hostile peer sends: no panic, no bound exceeded.

#![cfg(test)]

use proptest::prelude::*;
use rtmp::{ChunkError, ChunkReader, Handshake, Limits, MessageType, flv};

const LIMITS: Limits = Limits {
    max_message: 5000,
    max_command: 300,
    max_chunk_streams: 4,
    max_partial_bytes: 6000,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_as_chunks(wire in garbage(), piece in 1..400_usize) {
        let mut reader = ChunkReader::new(LIMITS);
        let mut payloads = 0;
        'read: for piece in wire.chunks(piece) {
            reader.push(piece);
            loop {
                match reader.next_message() {
                    Ok(Some(message)) => {
                        prop_assert!(message.payload.len() <= LIMITS.max_message);
                        payloads += message.payload.len() as u64;
                        flv::inspect(message.kind, &message.payload);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        check_limit(error);
                        prop_assert_eq!(reader.next_message(), Err(error));
                        break 'read;
                    }
                }
            }
            prop_assert!(payloads <= reader.bytes_received());
            // Unfinished messages and one chunk are all that it may hold back.
            let held = reader.read_buf().len();
            prop_assert!(held < LIMITS.max_partial_bytes + 18 + piece.len(), "{held} held back");
        }
    }

    #[test]
    fn any_bytes_as_tags(kind in any::<u8>(), tag in prop::collection::vec(any::<u8>(), 0..40)) {
        flv::inspect(MessageType(kind), &tag);
        for kind in [MessageType::VIDEO, MessageType::AUDIO, MessageType::DATA_AMF0] {
            flv::inspect(kind, &tag);
        }
    }

    #[test]
    fn any_bytes_as_handshake(
        first in prop_oneof![3 => Just(3_u8), 1 => any::<u8>()],
        fill in prop::collection::vec(any::<u8>(), 64),
        len in 0..4000_usize,
        piece in 1..2000_usize,
    ) {
        let bytes: Vec<u8> =
            std::iter::once(first).chain(fill.into_iter().cycle()).take(len).collect();
        let (client, _) = Handshake::client().unwrap();
        for mut side in [Handshake::server(), client] {
            let mut after = None;
            let mut answered = 0;
            for piece in bytes.chunks(piece) {
                match side.process(piece) {
                    Ok(progress) => {
                        answered += progress.reply.len();
                        after = progress.done.map(|after| after.len());
                    }
                    Err(_) => break,
                }
                if after.is_some() {
                    break;
                }
            }
            prop_assert!(answered <= 3073);
            prop_assert_eq!(after.is_some(), first == 3 && len >= 3073);
        }
    }
}

/// Noise, and noise with enough sense in it to come further than the first header.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..600);
    let chunk = (
        0..4_u8,
        2..8_u8,
        any::<[u8; 3]>(),
        0..700_u16,
        kind(),
        any::<[u8; 4]>(),
    )
        .prop_map(|(format, stream, time, len, kind, stream_id)| {
            let mut header = vec![format << 6 | stream];
            let [high, low] = len.to_be_bytes();
            let fields = [&time[..], &[0, high, low, kind], &stream_id].concat();
            header.extend(&fields[..[11, 7, 3, 0][usize::from(format)]]);
            header
        });
    let payload = (any::<u8>(), 0..300_usize).prop_map(|(fill, len)| vec![fill; len]);
    let part = prop_oneof![3 => chunk, 2 => payload, 1 => noise.clone()];
    prop_oneof![
        1 => noise,
        4 => prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat()),
    ]
}

fn kind() -> impl Strategy<Value = u8> {
    prop_oneof![
        prop::sample::select(vec![1_u8, 2, 8, 9, 18, 20]),
        any::<u8>()
    ]
}

/// An error about a limit is about the one that was set.
fn check_limit(error: ChunkError) {
    match error {
        ChunkError::MessageTooLong { len, max, .. } => {
            assert!(len > max && (max == LIMITS.max_message || max == LIMITS.max_command));
        }
        ChunkError::TooManyChunkStreams { max } => assert_eq!(max, LIMITS.max_chunk_streams),
        ChunkError::TooMuchUnfinished { max } => assert_eq!(max, LIMITS.max_partial_bytes),
        _ => {}
    }
}
