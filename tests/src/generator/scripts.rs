//! What the generator sends: a real stream of H.264 and AAC, put in other words.

use serde_json::json;

use super::enhanced::{Packet, Tracks};
use crate::wire::{AUDIO, DATA, Extended, Tag, VIDEO, command, string};

/// One stream.
#[derive(Clone, Debug)]
pub struct Script {
    /// What is special about it.
    pub name: &'static str,
    /// What is sent.
    pub tags: Vec<Tag>,
    /// In which chunks.
    pub chunk_size: u32,
    /// Whether extended timestamps are repeated.
    pub extended: Extended,
}

/// All of them, made of the tags of a recording.
pub fn scripts(source: &[Tag]) -> Vec<Script> {
    let script = |name, tags| Script {
        name,
        tags,
        chunk_size: 4096,
        extended: Extended::Repeated,
    };
    let later = |begin: u32| {
        let tags = source.iter().cloned();
        let later = tags.map(|tag| Tag {
            time: tag.time.wrapping_add(begin),
            ..tag
        });
        later.collect()
    };
    vec![
        script("ModEx", mapped(source, mod_ex)),
        script("multitrack", mapped(source, multitrack)),
        script("negative composition times", mapped(source, negative)),
        script(
            "negative composition times, enhanced",
            mapped(source, negative_enhanced),
        ),
        script("a clock that wraps at 2^32", later(u32::MAX - 1500)),
        Script {
            // As librtmp had it.
            extended: Extended::Once,
            chunk_size: 128,
            ..script(
                "a clock that passes 2^24, unrepeated",
                later(0xFF_FFFF - 1500),
            )
        },
        script(
            "HEVC and AC-3",
            mapped(source, |_, tag| renamed(tag, b"hvc1", b"ac-3")),
        ),
        script(
            "AV1 and FLAC",
            mapped(source, |_, tag| renamed(tag, b"av01", b"fLaC")),
        ),
        script(
            "VP9 and MP3",
            mapped(source, |_, tag| renamed(tag, b"vp09", b".mp3")),
        ),
        script("unknown tags", unknown(source)),
        script("metadata in mid-stream", metadata(source)),
        Script {
            chunk_size: 1,
            ..script("chunks of a byte", short(source))
        },
        Script {
            chunk_size: 16 << 20,
            ..script("chunks of 16 MiB", source.to_vec())
        },
    ]
}

/// The media of a source with each body put in other words by its number and packet.
fn mapped(source: &[Tag], body: impl Fn(usize, &Packet) -> Vec<u8>) -> Vec<Tag> {
    let tags = source.iter().enumerate();
    let tags = tags.map(|(index, tag)| match Packet::read(tag) {
        Some(packet) => Tag {
            body: body(index, &packet),
            ..tag.clone()
        },
        None => tag.clone(),
    });
    tags.collect()
}

fn names(packet: &Packet) -> &'static [u8; 4] {
    if packet.is_audio() { b"mp4a" } else { b"avc1" }
}

fn mod_ex(index: usize, packet: &Packet) -> Vec<u8> {
    let name = names(packet);
    // Type 0 is nanoseconds to be added; 9 is nothing yet.
    let (nanoseconds, long): (&[u8], &[u8]) = (&[0x07, 0xA1, 0x20], &[9; 300]);
    match index % 4 {
        0 => packet.alone(name),
        1 => packet.extended(name, &[(0, nanoseconds)]),
        2 => packet.extended(name, &[(9, long)]),
        _ => packet.extended(name, &[(0, nanoseconds), (9, long), (9, &[1])]),
    }
}

fn multitrack(index: usize, packet: &Packet) -> Vec<u8> {
    let name = names(packet);
    match index % 3 {
        _ if packet.is_header => packet.in_tracks(Tracks::Many(name, &[0, 1, 7])),
        0 => packet.in_tracks(Tracks::Many(name, &[0, 1, 7])),
        1 => packet.in_tracks(Tracks::One(name, 7)),
        _ => packet.in_tracks(Tracks::ManyCodecs(&[(name, 0), (name, 1), (b"none", 200)])),
    }
}

/// More than the reordering delay of two frames, so that some come out below zero.
const EARLIER_MS: i32 = 70;

fn negative(_: usize, packet: &Packet) -> Vec<u8> {
    match packet.is_audio() {
        true => packet.audio(),
        false if packet.is_header => packet.composed(0),
        false => packet.composed(packet.composition - EARLIER_MS),
    }
}

fn negative_enhanced(_: usize, packet: &Packet) -> Vec<u8> {
    let mut earlier = packet.clone();
    earlier.composition -= EARLIER_MS;
    earlier.alone(names(packet))
}

fn renamed(packet: &Packet, video: &[u8; 4], audio: &[u8; 4]) -> Vec<u8> {
    packet.alone(if packet.is_audio() { audio } else { video })
}

/// Beside media that is known: codecs, packet types, frame types and whole tags that are not.
fn unknown(source: &[Tag]) -> Vec<Tag> {
    let mut tags = Vec::new();
    for (index, tag) in source.iter().enumerate() {
        tags.push(tag.clone());
        let body: &[u8] = match (tag.kind, index % 8) {
            (_, _) if index < 8 => continue,
            // A codec, and a packet type, that nobody has heard of.
            (VIDEO, 0) => b"\xa1zzzz\0\0\0frame",
            (VIDEO, 1) => b"\xadavc1what is this",
            // HDR metadata; a command frame; a legacy codec without a name.
            (VIDEO, 2) => b"\xd4hvc1\x02\0\x09colorInfo\x05",
            (VIDEO, 3) => b"\x57\x00",
            (VIDEO, 4) => b"\x2fframe",
            (AUDIO, 0) => b"\x91zzzzsound",
            (AUDIO, 1) => b"\x9bmp4a?",
            (AUDIO, 2) => b"\xc0sound",
            (VIDEO | AUDIO, 5) => b"",
            _ => continue,
        };
        let (kind, time) = (tag.kind, tag.time);
        let body = body.to_vec();
        tags.push(Tag { kind, time, body });
    }
    tags
}

/// Metadata in both forms, and other data, between frames.
fn metadata(source: &[Tag]) -> Vec<Tag> {
    let mut tags = Vec::new();
    for (index, tag) in source.iter().enumerate() {
        tags.push(tag.clone());
        let mut body = match index % 16 {
            3 => string("@setDataFrame"),
            _ => Vec::new(),
        };
        let (name, value) = match index % 16 {
            3 | 7 => (
                "onMetaData",
                json!({"width": 320, "title": format!("part {index}")}),
            ),
            11 => ("onTextData", json!({"text": "caption", "trackid": 1})),
            15 => ("onCuePoint", json!({"name": "break", "time": index})),
            _ => continue,
        };
        body.extend(command(&[json!(name), value]));
        let (kind, time) = (DATA, tag.time);
        tags.push(Tag { kind, time, body });
    }
    tags
}

/// A second of it: each byte is a chunk.
fn short(source: &[Tag]) -> Vec<Tag> {
    let tags = source.iter().filter(|tag| tag.time < 1000);
    tags.cloned().collect()
}
