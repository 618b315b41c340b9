use bytes::Bytes;

use super::*;
use crate::message::{Message, MessageType};

const VIDEO: MessageType = MessageType::VIDEO;
const AUDIO: MessageType = MessageType::AUDIO;

fn reader() -> ChunkReader {
    ChunkReader::new(Limits::default())
}

fn message(kind: MessageType, timestamp: u32, payload: &[u8]) -> Message {
    Message {
        kind,
        timestamp,
        stream_id: 1,
        payload: Bytes::copy_from_slice(payload),
    }
}

/// A type 0 header on a chunk stream of one byte.
fn type_0(chunk_stream: u8, timestamp: u32, len: usize, kind: MessageType) -> Vec<u8> {
    let mut header = vec![chunk_stream];
    header.extend(&timestamp.min(0xFF_FFFF).to_be_bytes()[1..]);
    header.extend(&(len as u32).to_be_bytes()[1..]);
    header.extend([kind.0, 1, 0, 0, 0]);
    if timestamp >= 0xFF_FFFF {
        header.extend(timestamp.to_be_bytes());
    }
    header
}

fn control(kind: MessageType, value: u32) -> Vec<u8> {
    [type_0(2, 0, 4, kind), value.to_be_bytes().to_vec()].concat()
}

/// All messages in `bytes`, the same however they are cut, and whatever came after them.
#[track_caller]
fn read(bytes: &[u8]) -> (Vec<Message>, Result<(), ChunkError>) {
    let whole = read_in_pieces(bytes, usize::MAX);
    for piece in [1, 2, 3, 5, 127, 128, 129] {
        assert_eq!(read_in_pieces(bytes, piece), whole, "in pieces of {piece}");
    }
    whole
}

fn read_in_pieces(bytes: &[u8], piece: usize) -> (Vec<Message>, Result<(), ChunkError>) {
    let mut reader = reader();
    let mut messages = Vec::new();
    for piece in bytes.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_message(), Err(error), "an error stays");
                    return (messages, Err(error));
                }
            }
        }
    }
    assert_eq!(reader.bytes_received(), bytes.len() as u64);
    (messages, Ok(()))
}

#[track_caller]
fn check(parts: &[&[u8]], messages: &[Message]) {
    assert_eq!(read(&parts.concat()), (messages.to_vec(), Ok(())));
}

#[track_caller]
fn check_error(parts: &[&[u8]], error: ChunkError) {
    assert_eq!(read(&parts.concat()).1, Err(error));
}

#[test]
fn headers_that_refer_to_the_last_one() {
    check(
        &[
            &type_0(4, 1000, 2, AUDIO),
            b"a0",
            // Type 1: a time, a length, a type.
            &[0x44, 0, 0, 20, 0, 0, 3, VIDEO.0],
            b"v01",
            // Type 2: a time.
            &[0x84, 0, 0, 5],
            b"v02",
            // Type 3: the same difference again.
            &[0xC4],
            b"v03",
        ],
        &[
            message(AUDIO, 1000, b"a0"),
            message(VIDEO, 1020, b"v01"),
            message(VIDEO, 1025, b"v02"),
            message(VIDEO, 1030, b"v03"),
        ],
    );
}

#[test]
fn a_type_3_message_after_a_type_0_adds_its_timestamp() {
    check(
        &[
            &type_0(4, 23, 2, AUDIO),
            b"a0",
            &[0xC4],
            b"a1",
            &[0xC4],
            b"a2",
        ],
        &[
            message(AUDIO, 23, b"a0"),
            message(AUDIO, 46, b"a1"),
            message(AUDIO, 69, b"a2"),
        ],
    );
}

#[test]
fn a_chunk_stream_may_begin_with_type_1_only() {
    let pong = Message {
        stream_id: 0,
        ..message(MessageType::USER_CONTROL, 5, b"\0\x07\0\0\0\0")
    };
    check(&[&[0x42, 0, 0, 5, 0, 0, 6, 4], b"\0\x07\0\0\0\0"], &[pong]);
    check_error(
        &[&[0x85, 0, 0, 5]],
        ChunkError::NoEarlierHeader { chunk_stream: 5 },
    );
    check_error(
        &[&[0xC0, 36]],
        ChunkError::NoEarlierHeader { chunk_stream: 100 },
    );
}

#[test]
fn chunk_streams_keep_apart_however_their_id_is_written() {
    check(
        &[
            &type_0(63, 1, 1, AUDIO),
            b"a",
            &[&[0, 0][..], &type_0(0, 2, 1, AUDIO)[1..]].concat(),
            b"b",
            &[&[1, 255, 255][..], &type_0(0, 3, 1, AUDIO)[1..]].concat(),
            b"c",
            &[0xFF],
            b"d",
            // 64 in three bytes.
            &[0xC1, 0, 0],
            b"e",
            &[0xC1, 255, 255],
            b"f",
        ],
        &[
            message(AUDIO, 1, b"a"),
            message(AUDIO, 2, b"b"),
            message(AUDIO, 3, b"c"),
            message(AUDIO, 2, b"d"),
            message(AUDIO, 4, b"e"),
            message(AUDIO, 6, b"f"),
        ],
    );
}

#[test]
fn messages_may_interleave() {
    let video = vec![0x11; 300];
    let audio = vec![0x22; 130];
    check(
        &[
            &type_0(6, 40, 300, VIDEO),
            &video[..128],
            &type_0(4, 41, 130, AUDIO),
            &audio[..128],
            &[0xC6],
            &video[..128],
            &type_0(5, 42, 1, AUDIO),
            b"x",
            &[0xC4],
            &audio[128..],
            &[0xC6],
            &video[256..],
        ],
        &[
            message(AUDIO, 42, b"x"),
            message(AUDIO, 41, &audio),
            message(VIDEO, 40, &video),
        ],
    );
}

#[test]
fn empty_messages() {
    check(
        &[&type_0(4, 7, 0, AUDIO), &[0xC4], &[0x84, 0, 0, 1]],
        &[
            message(AUDIO, 7, b""),
            message(AUDIO, 14, b""),
            message(AUDIO, 15, b""),
        ],
    );
}

#[test]
fn a_new_message_inside_another_is_refused() {
    let begun = [type_0(6, 0, 129, VIDEO), vec![0; 128]].concat();
    let error = ChunkError::MessageInterrupted {
        chunk_stream: 6,
        missing: 1,
    };
    check_error(&[&begun, &type_0(6, 0, 129, VIDEO)], error);
    check_error(&[&begun, &[0x46, 0, 0, 0, 0, 0, 1, 9]], error);
    check_error(&[&begun, &[0x86, 0, 0, 0]], error);
}

mod time {
    use super::*;

    #[test]
    fn of_more_than_24_bits_is_absolute_in_type_0() {
        for timestamp in [0xFF_FFFE, 0xFF_FFFF, 0x100_0000, u32::MAX] {
            check(
                &[&type_0(4, timestamp, 1, AUDIO), b"a"],
                &[message(AUDIO, timestamp, b"a")],
            );
        }
    }

    #[test]
    fn of_more_than_24_bits_is_a_difference_in_type_1_and_2() {
        check(
            &[
                &type_0(4, 10, 1, AUDIO),
                b"a",
                &[0x44, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8, 1, 0, 0, 0],
                b"b",
                &[0x84, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF],
                b"c",
            ],
            &[
                message(AUDIO, 10, b"a"),
                message(AUDIO, 0x0100_000A, b"b"),
                message(AUDIO, 0x0200_0009, b"c"),
            ],
        );
    }

    #[test]
    fn wraps() {
        check(
            &[&type_0(4, u32::MAX, 1, AUDIO), b"a", &[0x84, 0, 0, 2], b"b"],
            &[message(AUDIO, u32::MAX, b"a"), message(AUDIO, 1, b"b")],
        );
        // Backwards, as a difference of almost 2^32.
        let back = [0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE];
        check(
            &[&type_0(4, 9, 1, AUDIO), b"a", &back, b"b"],
            &[message(AUDIO, 9, b"a"), message(AUDIO, 7, b"b")],
        );
    }

    #[test]
    fn is_repeated_in_type_3_by_some_and_not_by_others() {
        let (start, payload) = (type_0(4, 0x0123_4567, 257, VIDEO), vec![0x55; 257]);
        let expected = [message(VIDEO, 0x0123_4567, &payload)];
        let (bare, repeated) = (&[0xC4][..], &[0xC4, 0x01, 0x23, 0x45, 0x67][..]);
        for first in [bare, repeated] {
            for second in [bare, repeated] {
                check(
                    &[
                        &start,
                        &payload[..128],
                        first,
                        &payload[128..256],
                        second,
                        &payload[256..],
                    ],
                    &expected,
                );
            }
        }
    }

    #[test]
    fn that_is_not_repeated_may_begin_like_the_payload() {
        // The last chunk is the time's first byte, so only the next message can tell.
        let payload = [vec![0; 128], vec![0x01]].concat();
        let mut reader = reader();
        reader.push(&type_0(4, 0x0123_4567, 129, VIDEO));
        reader.push(&payload[..128]);
        reader.push(&[0xC4, 0x01]);
        assert_eq!(reader.next_message(), Ok(None));
        reader.push(&type_0(5, 1, 1, AUDIO));
        let expected = Some(message(VIDEO, 0x0123_4567, &payload));
        assert_eq!(reader.next_message(), Ok(expected));
    }

    #[test]
    fn of_a_difference_is_repeated_as_the_difference() {
        let payload = vec![0x55; 129];
        check(
            &[
                &type_0(4, 5, 1, VIDEO),
                b"v",
                &[0x44, 0xFF, 0xFF, 0xFF, 0, 0, 129, 9, 2, 0, 0, 0],
                &payload[..128],
                &[0xC4, 2, 0, 0, 0],
                &payload[128..],
                // A new message of type 3, with the difference and without.
                &[0xC4, 2, 0, 0, 0],
                &payload[..128],
                &[0xC4],
                &payload[128..],
                &[0xC4],
                &payload[..128],
                &[0xC4, 2, 0, 0, 0],
                &payload[128..],
            ],
            &[
                message(VIDEO, 5, b"v"),
                message(VIDEO, 0x0200_0005, &payload),
                message(VIDEO, 0x0400_0005, &payload),
                message(VIDEO, 0x0600_0005, &payload),
            ],
        );
    }

    #[test]
    fn of_24_bits_forgets_an_extended_one() {
        let payload = vec![0x55; 129];
        check(
            &[
                &type_0(4, 0x0200_0000, 129, VIDEO),
                &payload[..128],
                &[0xC4],
                &payload[128..],
                &[0x84, 0, 0, 1],
                &payload[..128],
                &[0xC4],
                &payload[128..],
            ],
            &[
                message(VIDEO, 0x0200_0000, &payload),
                message(VIDEO, 0x0200_0001, &payload),
            ],
        );
    }
}

mod chunk_size {
    use super::*;

    const SET: MessageType = MessageType::SET_CHUNK_SIZE;

    #[test]
    fn holds_from_the_next_chunk_on_even_inside_a_message() {
        let payload = vec![9; 400];
        check(
            &[
                &type_0(6, 1, 400, VIDEO),
                &payload[..128],
                &control(SET, 200),
                &[0xC6],
                &payload[..200],
                &control(SET, 1),
                &[0xC6],
                &payload[..1],
                &[0xC6, 9],
                &type_0(2, 0, 4, SET),
                // The announcement itself goes by the old size.
                &[0, 0xC2, 0, 0xC2, 0x10, 0xC2, 0],
                &[0xC6],
                &payload[..70],
            ],
            &[message(VIDEO, 1, &payload)],
        );
    }

    #[test]
    fn of_zero_or_32_bits_is_refused() {
        for value in [0, 0x8000_0000, u32::MAX] {
            check_error(&[&control(SET, value)], ChunkError::ChunkSize(value));
        }
    }

    #[test]
    fn may_be_more_than_any_message_needs() {
        let payload = vec![7; 1 << 17];
        for value in [1 << 17, 16 << 20, (16 << 20) + 1, 0x7FFF_FFFF] {
            let mut reader = reader();
            reader.push(&control(SET, value));
            reader.push(&type_0(6, 0, payload.len(), VIDEO));
            reader.push(&payload);
            assert_eq!(reader.next_message(), Ok(Some(message(VIDEO, 0, &payload))));
        }
    }

    #[test]
    fn must_be_said() {
        let short = [type_0(2, 0, 3, SET), vec![0, 0, 1]].concat();
        check_error(&[&short], ChunkError::ShortControl { kind: SET, len: 3 });
    }

    #[test]
    fn is_1_to_16_mib() {
        assert_eq!(ChunkSize::new(0), None);
        assert_eq!(ChunkSize::new(1).map(ChunkSize::get), Some(1));
        assert_eq!(ChunkSize::new(16 << 20), Some(ChunkSize::MAX));
        assert_eq!(ChunkSize::new((16 << 20) + 1), None);
    }
}

mod abort {
    use super::*;

    const ABORT: MessageType = MessageType::ABORT;

    #[test]
    fn forgets_what_has_come_of_a_message() {
        let payload = vec![3; 129];
        check(
            &[
                &type_0(6, 10, 129, VIDEO),
                &payload[..128],
                &type_0(4, 11, 129, AUDIO),
                &payload[..128],
                &control(ABORT, 6),
                // Nothing under way on 7, never heard of 300.
                &control(ABORT, 7),
                &control(ABORT, 300),
                &[0xC4],
                &payload[128..],
                // The header is still known.
                &[0x86, 0, 0, 5],
                &payload[..128],
                &[0xC6],
                &payload[128..],
            ],
            &[message(AUDIO, 11, &payload), message(VIDEO, 15, &payload)],
        );
    }

    #[test]
    fn must_name_a_chunk_stream() {
        check_error(
            &[&type_0(2, 0, 0, ABORT)],
            ChunkError::ShortControl {
                kind: ABORT,
                len: 0,
            },
        );
    }
}

mod bounds {
    use super::*;

    #[test]
    fn on_a_message_by_its_type() {
        for (kind, max) in [
            (VIDEO, DEFAULT_MAX_MESSAGE),
            (AUDIO, DEFAULT_MAX_MESSAGE),
            (MessageType::DATA_AMF0, DEFAULT_MAX_MESSAGE),
            (MessageType(99), DEFAULT_MAX_MESSAGE),
            (MessageType::COMMAND_AMF0, DEFAULT_MAX_COMMAND),
            (MessageType::COMMAND_AMF3, DEFAULT_MAX_COMMAND),
            (MessageType::SET_CHUNK_SIZE, DEFAULT_MAX_COMMAND),
            (MessageType::USER_CONTROL, DEFAULT_MAX_COMMAND),
        ] {
            let mut reader = reader();
            reader.push(&type_0(6, 0, max, kind));
            assert_eq!(reader.next_message(), Ok(None), "{kind:?} of {max}");

            let len = max + 1;
            let error = ChunkError::MessageTooLong { kind, len, max };
            check_error(&[&type_0(6, 0, len, kind)], error);
            // By a type 1 header too.
            let [_, a, b, c] = (len as u32).to_be_bytes();
            check_error(
                &[&type_0(6, 0, 0, AUDIO), &[0x46, 0, 0, 0, a, b, c, kind.0]],
                error,
            );
        }
    }

    #[test]
    fn the_longest_message_arrives() {
        let payload = vec![1; DEFAULT_MAX_MESSAGE];
        for chunk_size in [4096, 16 << 20] {
            let mut reader = reader();
            reader.push(&control(MessageType::SET_CHUNK_SIZE, chunk_size));
            reader.push(&type_0(6, 0, payload.len(), VIDEO));
            for (index, chunk) in payload.chunks(chunk_size as usize).enumerate() {
                reader.push(if index > 0 { &[0xC6] } else { &[] });
                reader.push(chunk);
                assert!(reader.partial_capacity() <= 2 * reader.bytes_received() as usize);
                if index + 1 < payload.len().div_ceil(chunk_size as usize) {
                    assert_eq!(reader.next_message(), Ok(None));
                }
            }
            assert_eq!(reader.next_message(), Ok(Some(message(VIDEO, 0, &payload))));
            assert_eq!(reader.partial_capacity(), 0);
        }
    }

    #[test]
    fn on_chunk_streams() {
        let mut reader = reader();
        for id in 0..DEFAULT_MAX_CHUNK_STREAMS {
            reader.push(&[&[0, id as u8][..], &type_0(0, 0, 0, AUDIO)[1..]].concat());
            assert_eq!(reader.next_message(), Ok(Some(message(AUDIO, 0, b""))));
        }
        reader.push(&[0xC0, 0]);
        assert_eq!(
            reader.next_message(),
            Ok(Some(message(AUDIO, 0, b""))),
            "one of them"
        );
        reader.push(&[&[1, 0, 1][..], &type_0(0, 0, 0, AUDIO)[1..]].concat());
        let max = DEFAULT_MAX_CHUNK_STREAMS;
        assert_eq!(
            reader.next_message(),
            Err(ChunkError::TooManyChunkStreams { max })
        );
    }

    #[test]
    fn on_unfinished_messages_together() {
        let limits = Limits {
            max_partial_bytes: 300,
            ..Limits::default()
        };
        let begin = |reader: &mut ChunkReader, id| {
            reader.push(&type_0(id, 0, 1000, VIDEO));
            reader.push(&[0; 128]);
            reader.next_message()
        };
        let mut reader = ChunkReader::new(limits);
        assert_eq!(begin(&mut reader, 10), Ok(None));
        assert_eq!(begin(&mut reader, 11), Ok(None));
        // 256 are waiting; a message of 44 fits beside them, again and again.
        for _ in 0..3 {
            reader.push(&type_0(4, 0, 44, AUDIO));
            reader.push(&[5; 44]);
            assert_eq!(reader.next_message(), Ok(Some(message(AUDIO, 0, &[5; 44]))));
        }
        // In two chunks too.
        for _ in 0..3 {
            reader.push(&control(MessageType::SET_CHUNK_SIZE, 40));
            reader.push(&type_0(4, 0, 44, AUDIO));
            reader.push(&[&[5; 40][..], &[0xC4], &[5; 4]].concat());
            assert_eq!(reader.next_message(), Ok(Some(message(AUDIO, 0, &[5; 44]))));
        }
        reader.push(&control(MessageType::SET_CHUNK_SIZE, 128));
        // What is aborted counts no more.
        reader.push(&control(MessageType::ABORT, 10));
        assert_eq!(begin(&mut reader, 12), Ok(None));
        // One of 45 does not, and is not even waited for.
        reader.push(&type_0(4, 0, 45, AUDIO));
        assert_eq!(
            reader.next_message(),
            Err(ChunkError::TooMuchUnfinished { max: 300 })
        );
    }

    #[test]
    fn an_announcement_alone_costs_nothing() {
        let mut reader = reader();
        reader.push(&control(MessageType::SET_CHUNK_SIZE, 0x7FFF_FFFF));
        reader.push(&type_0(6, 0, DEFAULT_MAX_MESSAGE, VIDEO));
        assert_eq!(reader.next_message(), Ok(None));
        assert_eq!(reader.partial_capacity(), 0);
        assert!(reader.read_buf().capacity() <= 64 << 10);
    }
}

#[test]
fn a_message_in_one_chunk_is_not_copied() {
    let mut reader = reader();
    reader.push(&type_0(6, 0, 100, VIDEO));
    reader.push(&[1; 100]);
    let start = reader.read_buf().as_ptr();
    let payload = reader.next_message().unwrap().unwrap().payload;
    assert_eq!(payload.as_ptr(), start.wrapping_add(12));
}

#[test]
fn there_is_always_room_for_a_tls_record() {
    let mut reader = reader();
    let mut kept = Vec::new();
    for _ in 0..20 {
        let buffer = reader.read_buf();
        assert!(buffer.capacity() - buffer.len() >= 16 << 10);
        buffer.extend_from_slice(&type_0(6, 0, 100, VIDEO));
        buffer.extend_from_slice(&[1; 100]);
        buffer.extend_from_slice(&vec![0; 9000 - 112]);
        kept.push(reader.next_message().unwrap().unwrap().payload);
        // What follows is no chunk of interest: only the buffer counts here.
        reader.read_buf().clear();
    }
    assert!(kept.iter().all(|payload| payload[..] == [1; 100]));
}
