//! What is sent: a stream like an encoder's, each message with its number in it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtmp::MessageType;

/// A stream's make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Media {
    /// Video and audio together.
    pub(crate) bits_per_second: u64,
}

/// A message, and when it is due after the stream's beginning.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: MessageType,
    pub(crate) timestamp: u32,
    pub(crate) payload: Bytes,
}

impl Media {
    /// What an encoder says first: metadata and sequence headers.
    pub(crate) fn headers() -> Vec<Piece> {
        let mut metadata =
            b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\0\0\0\x02".to_vec();
        metadata.extend_from_slice(b"\x00\x05width\x00\x40\x9e\0\0\0\0\0\0");
        metadata.extend_from_slice(b"\x00\x06height\x00\x40\x90\xe0\0\0\0\0\0\0\0\x09");
        let piece = |kind, payload: &[u8]| Piece {
            kind,
            timestamp: 0,
            payload: Bytes::copy_from_slice(payload),
        };
        vec![
            piece(MessageType::DATA_AMF0, &metadata),
            piece(MessageType::VIDEO, VIDEO_HEADER),
            piece(MessageType::AUDIO, b"\xaf\x00\x11\x90"),
        ]
    }

    /// The messages of media in the order of their times, without an end.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Piece> {
        let audio_bytes = AUDIO_BITS_PER_SECOND * AUDIO_FRAME / AUDIO_RATE / 8;
        let video_bits = self.bits_per_second - AUDIO_BITS_PER_SECOND;
        // A keyframe is as large as several other pictures.
        let shares = GROUP - 1 + KEYFRAME_SHARES;
        let share = video_bits * GROUP / PICTURES_PER_SECOND / 8 / shares;
        let noise =
            noise(usize::try_from(share * KEYFRAME_SHARES).unwrap_or_default() + NOISE_STEPS);
        let (mut picture, mut frame) = (0, 0);
        (0..).map(move |number| {
            let video_time = picture * 1000 / PICTURES_PER_SECOND;
            let audio_time = frame * AUDIO_FRAME * 1000 / AUDIO_RATE;
            let (kind, time, head, bytes): (_, _, &[u8], _) = if video_time <= audio_time {
                let is_key = picture.is_multiple_of(GROUP);
                picture += 1;
                match is_key {
                    true => (
                        MessageType::VIDEO,
                        video_time,
                        KEYFRAME,
                        share * KEYFRAME_SHARES,
                    ),
                    false => (MessageType::VIDEO, video_time, PICTURE, share),
                }
            } else {
                frame += 1;
                (MessageType::AUDIO, audio_time, SOUND, audio_bytes)
            };
            let bytes = usize::try_from(bytes).unwrap_or_default();
            let mut payload = Vec::with_capacity(bytes);
            payload.extend_from_slice(head);
            payload.extend_from_slice(&u64::to_be_bytes(number));
            let rest = bytes.saturating_sub(payload.len());
            // Another piece of it for each message.
            let from = usize::try_from(number).unwrap_or_default() % NOISE_STEPS;
            payload.extend_from_slice(noise.get(from..from + rest).unwrap_or_default());
            if let Some(length) = payload.get_mut(5..9).filter(|_| kind == MessageType::VIDEO) {
                let nal = u32::try_from(bytes.saturating_sub(9)).unwrap_or_default();
                length.copy_from_slice(&nal.to_be_bytes());
            }
            Piece {
                kind,
                timestamp: u32::try_from(time).unwrap_or_default(),
                payload: payload.into(),
            }
        })
    }
}

/// The number in a message of media, and whether it is a keyframe; nothing in headers.
pub(crate) fn number(kind: MessageType, payload: &[u8]) -> Option<(usize, bool)> {
    let head = match (kind, payload) {
        (MessageType::VIDEO, [0x17 | 0x27, 1, ..]) => KEYFRAME.len(),
        (MessageType::AUDIO, [0xaf, 1, ..]) => SOUND.len(),
        _ => return None,
    };
    let number = u64::from_be_bytes(*payload.get(head..)?.first_chunk()?);
    Some((
        usize::try_from(number).ok()?,
        payload.first() == Some(&0x17),
    ))
}

/// What tells a payload from an altered one.
pub(crate) fn fingerprint(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}

/// What a publisher has sent, for those who receive it.
#[derive(Debug)]
pub(crate) struct Sent {
    epoch: Instant,
    messages: Vec<(AtomicU64, AtomicU64)>,
    count: AtomicU64,
}

impl Sent {
    /// Nothing yet, with room for a stream of that length.
    pub(crate) fn new(epoch: Instant, length: Duration) -> Self {
        let count = length.as_secs() * (PICTURES_PER_SECOND + 1 + AUDIO_RATE / AUDIO_FRAME + 1);
        Self {
            epoch,
            messages: (0..count).map(|_| Default::default()).collect(),
            count: AtomicU64::new(0),
        }
    }

    /// Notes that the message of that number is about to be written; not if there is no more room.
    pub(crate) fn note(&self, number: usize, fingerprint: u64) -> bool {
        let Some((at, hash)) = self.messages.get(number) else {
            return false;
        };
        hash.store(fingerprint, Ordering::Relaxed);
        at.store(self.since_epoch(Instant::now()), Ordering::Release);
        self.count.store(number as u64 + 1, Ordering::Release);
        true
    }

    /// How many messages were sent.
    pub(crate) fn count(&self) -> usize {
        usize::try_from(self.count.load(Ordering::Acquire)).unwrap_or(usize::MAX)
    }

    /// When the message of that number was sent, and its payload's fingerprint.
    pub(crate) fn message(&self, number: usize) -> Option<(Instant, u64)> {
        let (at, hash) = self.messages.get(number)?;
        let at = at.load(Ordering::Acquire);
        (at > 0).then(|| {
            (
                self.epoch + Duration::from_nanos(at),
                hash.load(Ordering::Relaxed),
            )
        })
    }

    fn since_epoch(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    // xorshift64: nothing here has to be unforeseeable.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..bytes.div_ceil(8))
        .flat_map(|_| next().to_le_bytes())
        .collect()
}

/// AVC at 1920 × 1080, so that a peer that looks into it finds what it looks for.
const VIDEO_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x64\x00\x28\xff\xe1\x00\x1b\x67\x64\x00\x28\xac\xd9\x40\x78\x02\x27\xe5\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc6\x58\x01\x00\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\x00";
const KEYFRAME: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x00\x65";
const PICTURE: &[u8] = b"\x27\x01\x00\x00\x00\x00\x00\x00\x00\x41";
const SOUND: &[u8] = b"\xaf\x01\x21";

const PICTURES_PER_SECOND: u64 = 30;
/// Pictures from keyframe to keyframe: 2 s.
const GROUP: u64 = 60;
/// How much larger a keyframe is than another picture.
const KEYFRAME_SHARES: u64 = 6;
const AUDIO_BITS_PER_SECOND: u64 = 128_000;
const AUDIO_RATE: u64 = 48_000;
/// Samples in one message of AAC.
const AUDIO_FRAME: u64 = 1024;
const NOISE_STEPS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_has_the_bitrate_that_it_says() {
        let media = Media {
            bits_per_second: 6_000_000,
        };
        let mut bytes = 0;
        let mut keyframes = Vec::new();
        for (index, piece) in media
            .pieces()
            .take_while(|piece| piece.timestamp < 10_000)
            .enumerate()
        {
            let (found, is_key) = number(piece.kind, &piece.payload).unwrap();
            assert_eq!(found, index);
            if is_key {
                keyframes.push(piece.timestamp);
            }
            bytes += piece.payload.len();
        }
        assert_eq!(keyframes, [0, 2000, 4000, 6000, 8000]);
        let megabits = bytes as f64 * 8e-7;
        assert!((5.95..6.05).contains(&megabits), "{megabits}");
        for header in Media::headers() {
            assert_eq!(number(header.kind, &header.payload), None);
        }
    }
}
