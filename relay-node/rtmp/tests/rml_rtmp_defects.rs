//! What any peer can do to rml_rtmp 0.8.0's chunk reader, AMF0 and messages: the record behind
//! `docs/decisions/0001-own-rtmp-protocol.md`. A test that fails here after an update of rml_rtmp
//! says that a reason is gone.

#![cfg(test)]

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;

use bytes::Bytes;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;
use rtmp::{ChunkError, ChunkReader, Limits, Message, MessageType};

/// Set for the process that is to die.
const CHILD: &str = "RML_RTMP_DEFECTS_CHILD";

#[test]
fn a_command_of_one_value_panics() {
    let command = payload(MessageType::COMMAND_AMF0, b"\x02\x00\x03abc");
    assert!(panics(|| command.to_rtmp_message().is_ok()));
}

#[test]
fn interleaved_chunks_panic_and_are_two_messages_to_us() {
    let mut wire = Vec::new();
    wire.extend(b"\x06\x00\x00\x00\x00\x01\x00\x09\x01\x00\x00\x00");
    wire.extend([0x11; 128]);
    wire.extend(b"\x04\x00\x00\x00\x00\x00\x0A\x08\x01\x00\x00\x00");
    wire.extend([0x22; 10]);
    wire.extend(b"\xC6");
    wire.extend([0x11; 128]);

    let mut theirs = ChunkDeserializer::new();
    assert!(panics(|| theirs.get_next_message(&wire).is_ok()));

    let ours = read(&wire).unwrap();
    let [audio, video] = &ours[..] else {
        panic!("{ours:?}")
    };
    assert_eq!(
        (audio.kind, &audio.payload[..]),
        (MessageType::AUDIO, &[0x22; 10][..])
    );
    assert_eq!(
        (video.kind, &video.payload[..]),
        (MessageType::VIDEO, &[0x11; 256][..])
    );
}

/// Not a panic but a stack overflow, which no `catch_unwind` stops: it ends the process.
#[test]
fn nested_arrays_of_50_kb_end_the_process() {
    const DEPTH: usize = 10_000;
    if env::var_os(CHILD).is_some() {
        let command = payload(
            MessageType::COMMAND_AMF0,
            &b"\x0A\x00\x00\x00\x01".repeat(DEPTH),
        );
        let _ = command.to_rtmp_message();
        return;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "nested_arrays_of_50_kb_end_the_process"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert_eq!(
        child.status.code(),
        None,
        "it was to die of a signal: {}",
        child.status
    );
}

#[test]
fn its_writer_splits_an_uncompressed_message_into_beginnings_of_several() {
    let message = payload(MessageType::VIDEO, &[0x11; 129]);
    let wire = ChunkSerializer::new()
        .serialize(&message, true, false)
        .unwrap()
        .bytes;
    let error = ChunkError::MessageInterrupted {
        chunk_stream: 4,
        missing: 1,
    };
    assert_eq!(read(&wire), Err(error));
}

#[test]
fn its_writer_leaves_out_empty_messages() {
    let message = payload(MessageType::AUDIO, b"");
    let wire = ChunkSerializer::new()
        .serialize(&message, false, false)
        .unwrap()
        .bytes;
    assert!(wire.is_empty());
}

fn payload(kind: MessageType, data: &[u8]) -> MessagePayload {
    MessagePayload {
        timestamp: RtmpTimestamp::new(0),
        type_id: kind.0,
        message_stream_id: 1,
        data: Bytes::copy_from_slice(data),
    }
}

fn panics(run: impl FnOnce() -> bool) -> bool {
    panic::catch_unwind(AssertUnwindSafe(run)).is_err()
}

fn read(wire: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut reader = ChunkReader::new(Limits::default());
    reader.push(wire);
    let mut messages = Vec::new();
    while let Some(message) = reader.next_message()? {
        messages.push(message);
    }
    Ok(messages)
}
