//! Tags of Enhanced RTMP (its specification v2, "Enhanced Video" and "Enhanced Audio").

use crate::wire::{AUDIO, Tag, VIDEO};

/// A packet as legacy FLV has it: H.264 or AAC.
#[derive(Clone)]
pub(super) struct Packet {
    /// Video's frame type (1 for keyframes), 0 of audio.
    frame: u8,
    pub(super) is_header: bool,
    /// Milliseconds from decoding to presentation, video only.
    pub(super) composition: i32,
    data: Vec<u8>,
}

/// Packet types (0, 1, 5 and 7 are audio's too).
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const VIDEO_MULTITRACK: u8 = 6;
const AUDIO_MULTITRACK: u8 = 5;
const MOD_EX: u8 = 7;

/// Audio's sound format, and video's flag, that say so.
const ENHANCED: u8 = 0x90;

impl Packet {
    /// Reads a tag of H.264 or AAC; nothing of any other.
    pub(super) fn read(tag: &Tag) -> Option<Self> {
        match (tag.kind, tag.body.as_slice()) {
            (VIDEO, [first, kind, a, b, c, data @ ..]) if first & 0x0F == 7 => Some(Self {
                frame: first >> 4,
                is_header: *kind == 0,
                composition: i32::from_be_bytes([*a, *b, *c, 0]) >> 8,
                data: data.to_vec(),
            }),
            (AUDIO, [first, kind, data @ ..]) if first >> 4 == 10 => Some(Self {
                frame: 0,
                is_header: *kind == 0,
                composition: 0,
                data: data.to_vec(),
            }),
            _ => None,
        }
    }

    /// The first byte, for a packet type.
    fn first(&self, packet_type: u8) -> u8 {
        match self.frame {
            0 => ENHANCED | packet_type,
            frame => 0x80 | frame << 4 | packet_type,
        }
    }

    /// The packet type that it has when it stands alone.
    fn packet_type(&self) -> u8 {
        if self.is_header {
            SEQUENCE_START
        } else {
            CODED_FRAMES
        }
    }

    /// What follows the FourCC.
    fn content(&self, four_cc: &[u8; 4]) -> Vec<u8> {
        let mut content = Vec::new();
        // Only these two have it (and VVC).
        if !self.is_header && [b"avc1", b"hvc1"].contains(&four_cc) {
            content.extend(self.composition.to_be_bytes().into_iter().skip(1));
        }
        content.extend_from_slice(&self.data);
        content
    }

    /// As a codec of that name.
    pub(super) fn alone(&self, four_cc: &[u8; 4]) -> Vec<u8> {
        let mut body = vec![self.first(self.packet_type())];
        body.extend(four_cc);
        body.extend(self.content(four_cc));
        body
    }

    /// The same behind extensions, each with its type and at least a byte.
    pub(super) fn extended(&self, four_cc: &[u8; 4], extensions: &[(u8, &[u8])]) -> Vec<u8> {
        let mut body = vec![self.first(MOD_EX)];
        for (index, (kind, data)) in extensions.iter().enumerate() {
            let size = data.len() - 1;
            match u8::try_from(size) {
                Ok(size @ ..=254) => body.push(size),
                _ => {
                    body.push(255);
                    let size = u16::try_from(size).unwrap_or(u16::MAX);
                    body.extend(size.to_be_bytes());
                }
            }
            body.extend_from_slice(data);
            let is_last = index + 1 == extensions.len();
            body.push(kind << 4 | if is_last { self.packet_type() } else { MOD_EX });
        }
        body.extend(four_cc);
        body.extend(self.content(four_cc));
        body
    }

    /// In tracks: one, several of a codec, or several of several.
    pub(super) fn in_tracks(&self, tracks: Tracks<'_>) -> Vec<u8> {
        let multitrack = match self.frame {
            0 => AUDIO_MULTITRACK,
            _ => VIDEO_MULTITRACK,
        };
        let mut body = vec![self.first(multitrack)];
        let kind = self.packet_type();
        let track = |body: &mut Vec<u8>, id, content: &[u8]| {
            body.push(id);
            let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
            body.extend(size.to_be_bytes().into_iter().skip(1));
            body.extend_from_slice(content);
        };
        match tracks {
            Tracks::One(four_cc, id) => {
                body.push(kind);
                body.extend(four_cc);
                body.push(id);
                body.extend(self.content(four_cc));
            }
            Tracks::Many(four_cc, ids) => {
                body.push(1 << 4 | kind);
                body.extend(four_cc);
                for id in ids {
                    track(&mut body, *id, &self.content(four_cc));
                }
            }
            Tracks::ManyCodecs(tracks) => {
                body.push(2 << 4 | kind);
                for (four_cc, id) in tracks {
                    body.extend(*four_cc);
                    track(&mut body, *id, &self.content(four_cc));
                }
            }
        }
        body
    }

    /// Whether it is AAC.
    pub(super) fn is_audio(&self) -> bool {
        self.frame == 0
    }

    /// As legacy AAC: 44 kHz, 16 bits, stereo, which is what its tags always say.
    pub(super) fn audio(&self) -> Vec<u8> {
        [&[0xAF, u8::from(!self.is_header)], &self.data[..]].concat()
    }

    /// As legacy H.264 with another composition time.
    pub(super) fn composed(&self, composition: i32) -> Vec<u8> {
        let mut body = vec![self.frame << 4 | 7, u8::from(!self.is_header)];
        body.extend(composition.to_be_bytes().into_iter().skip(1));
        body.extend_from_slice(&self.data);
        body
    }
}

/// How tracks lie in a tag.
pub(super) enum Tracks<'a> {
    One(&'a [u8; 4], u8),
    Many(&'a [u8; 4], &'a [u8]),
    ManyCodecs(&'a [(&'a [u8; 4], u8)]),
}
