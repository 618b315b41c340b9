use std::io::IoSlice;

use bytes::Bytes;

use super::*;
use crate::message::{Message, MessageType};

const VIDEO: MessageType = MessageType::VIDEO;

fn chunked(timestamp: u32, payload: &Bytes, chunk_size: u32) -> ChunkedMessage {
    let chunk_size = ChunkSize::new(chunk_size).unwrap();
    ChunkedMessage::new(
        ChunkStreamId::VIDEO,
        1,
        VIDEO,
        timestamp,
        payload.clone(),
        chunk_size,
    )
    .unwrap()
}

fn payload(len: usize) -> Bytes {
    (0..len).map(|index| index as u8).collect()
}

fn gather(message: &ChunkedMessage, skip: usize) -> Vec<u8> {
    let mut slices = Vec::new();
    message.slices(skip, &mut slices);
    assert!(slices.iter().all(|slice| !slice.is_empty()));
    slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect()
}

#[test]
fn literal_bytes() {
    let message = chunked(0x010203, &Bytes::from_static(b"abcde"), 2);
    let bytes = b"\x06\x01\x02\x03\x00\x00\x05\x09\x01\x00\x00\x00ab\xC6cd\xC6e";
    assert_eq!(gather(&message, 0), bytes);

    let message = chunked(0x01020304, &Bytes::from_static(b"abcde"), 3);
    let bytes = b"\x06\xFF\xFF\xFF\x00\x00\x05\x09\x01\x00\x00\x00\x01\x02\x03\x04abc\
        \xC6\x01\x02\x03\x04de";
    assert_eq!(gather(&message, 0), bytes);
}

#[test]
fn message_stream_id_is_little_endian() {
    let message = ChunkedMessage::new(
        ChunkStreamId::COMMAND,
        0x0102_0304,
        MessageType::COMMAND_AMF0,
        0,
        Bytes::new(),
        OUT_CHUNK_SIZE,
    );
    assert_eq!(
        &message.unwrap().to_bytes()[..],
        b"\x03\0\0\0\0\0\0\x14\x04\x03\x02\x01"
    );
}

#[test]
fn can_be_resumed_after_every_byte() {
    const CHUNK: usize = 7;
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1] {
        for timestamp in [0, 0xFF_FFFE, 0xFF_FFFF, 0x100_0000, u32::MAX] {
            let extended = if timestamp >= 0xFF_FFFF { 4 } else { 0 };
            let message = chunked(timestamp, &payload(len), CHUNK as u32);
            let whole = gather(&message, 0);
            let continuations = len.div_ceil(CHUNK).saturating_sub(1);
            assert_eq!(
                whole.len(),
                12 + extended + len + continuations * (1 + extended)
            );
            assert_eq!(message.len(), whole.len());
            assert_eq!(message.to_bytes(), whole);
            for skip in 0..=whole.len() {
                assert_eq!(
                    gather(&message, skip),
                    &whole[skip..],
                    "{skip} of {}",
                    whole.len()
                );
            }
            assert_eq!(gather(&message, whole.len() + 1), b"");
        }
    }
}

#[test]
fn appends_to_other_slices() {
    let (first, second) = (chunked(0, &payload(3), 2), chunked(1, &payload(5), 2));
    let mut slices = Vec::<IoSlice<'_>>::new();
    first.slices(2, &mut slices);
    second.slices(0, &mut slices);
    let bytes: Vec<u8> = slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .collect();
    assert_eq!(bytes, [&first.to_bytes()[2..], &second.to_bytes()].concat());
}

#[test]
fn shares_the_payload() {
    let payload = payload(OUT_CHUNK_SIZE.get() as usize + 1);
    let message = chunked(0, &payload, OUT_CHUNK_SIZE.get());
    let mut slices = Vec::new();
    message.slices(0, &mut slices);
    assert_eq!(slices[1].as_ptr(), payload.as_ptr());
    assert_eq!(
        slices[3].as_ptr(),
        payload[OUT_CHUNK_SIZE.get() as usize..].as_ptr()
    );
}

#[test]
fn is_at_most_what_24_bits_can_say() {
    let new =
        |payload| ChunkedMessage::new(ChunkStreamId::VIDEO, 1, VIDEO, 0, payload, OUT_CHUNK_SIZE);
    assert!(new(Bytes::from(vec![0; 0xFF_FFFF])).is_ok());
    let error = new(Bytes::from(vec![0; 0x100_0000])).unwrap_err();
    assert_eq!(error, PayloadTooLong(0x100_0000));
}

#[test]
fn our_reader_reads_it() {
    let limits = Limits {
        max_message: 0xFF_FFFF,
        max_partial_bytes: 32 << 20,
        ..Limits::default()
    };
    for chunk_size in [1_u32, 127, 128, 129, 4096, 65_536, 16 << 20] {
        let mut reader = ChunkReader::new(limits);
        reader.push(
            &ChunkedMessage::new(
                ChunkStreamId::CONTROL,
                0,
                MessageType::SET_CHUNK_SIZE,
                0,
                Bytes::copy_from_slice(&chunk_size.to_be_bytes()),
                ChunkSize::INITIAL,
            )
            .unwrap()
            .to_bytes(),
        );
        let size = chunk_size as usize;
        for len in [0, size - 1, size, size + 1, 2 * size].map(|len| len.min(0xFF_FFFF)) {
            for timestamp in [0xFF_FFFE, 0xFF_FFFF, 0x100_0000, u32::MAX, 5] {
                let payload = payload(len);
                reader.push(&chunked(timestamp, &payload, chunk_size).to_bytes());
                let message = Message {
                    kind: VIDEO,
                    timestamp,
                    stream_id: 1,
                    payload,
                };
                assert_eq!(reader.next_message().unwrap().unwrap(), message);
            }
        }
        assert_eq!(reader.next_message(), Ok(None));
    }
}
